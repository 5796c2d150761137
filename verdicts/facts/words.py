"""The words of both generations of summaries: which objects photos show, and which words mean the same.

The first generation writes ``类型/属性,属性×1``, the second JSON with a name and a value for each attribute.
"""

# Words that gather several objects: the object itself follows.
PARENTS = ("螺丝", "光纤插头")
LABEL = "标签"
DISTANCE = "站点距离"
IRRELEVANT = "无关图片"
OBJECTS = (
    "BBU设备", "挡风板", "BBU安装螺丝", "机柜处接地螺丝", "地排处接地螺丝", "BBU端光纤插头", "ODF端光纤插头", "光纤",
    "电线", LABEL, DISTANCE, "RRU设备", "紧固件", "RRU接地端", "地排接地端螺丝", "地排接地端", "尾纤", "接地线",
    IRRELEVANT, *PARENTS,
)  # fmt: skip
# What a label says of itself; anything else behind 标签 is the text on it.
LABEL_STATES = ("无法识别", "可以识别", "不可读")
# Names of attributes whose value is free text.
TEXT, REMARK = "文本", "备注"
# What is said of a label in the place of the text on it.
UNREADABLE_LABEL = ("无法识别", "不可读")
# Words of the two generations for one thing. ``name=value`` where the value alone could mean something else.
SAME = (
    ("不符合要求", "不符合"),
    ("只显示部分", "可见性=部分"),
    ("显示完整", "可见性=完整"),
    ("无需安装", "免装"),
    ("机柜空间充足需要安装", "空间充足需安装"),
    ("未按要求配备了挡风板", "未按要求配备挡风板", "未按要求配备"),
    ("安装方向错误", "方向错误"),
    ("无保护措施", "没有保护措施", "无保护"),
    ("弯曲半径不合理", "半径不合理"),
    ("分布散乱", "散乱"),
    ("没有标签", "无标签"),
    ("没有套管保护", "无套管保护", "无套管"),
    ("紧固不合格", "不合格"),
    UNREADABLE_LABEL,
)


def same(word: str) -> tuple[str, ...]:
    """The words of both generations that mean what ``word`` does, itself among them."""
    return next((words for words in SAME if word in words), (word,))
