"""The words of both generations of such teams' training data: v1 text and v2 ``key=value``, and the summaries of each.

v1: ``类型/属性,属性/条件属性``, summaries ``条目×N，条目×N``. v2: ``类别=…,键=值``, summaries as one-line JSON. A v2
description is made from the v1 one, so that the two generations state the same of a photo.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence

PREFIX = "<DOMAIN={domain}>, <TASK={task}>"
IRRELEVANT = "无关图片"
_PARENT = "螺丝、光纤插头"
_REMARK = re.compile(r"(?:需复核,?)?备注:(.*)", re.DOTALL)
_GROUP = re.compile(r"组(\d+): (.*)", re.DOTALL)
_FREE = {"标签": "文本", "站点距离": "站点距离"}  # what stands behind the slash is text or a number
# v1 word -> v2 key and value
_PAIR = {
    **{brand: ("品牌", brand) for brand in ("华为", "中兴", "爱立信")},
    "显示完整": ("可见性", "完整"), "只显示部分": ("可见性", "部分"),
    "无需安装": ("挡风板需求", "免装"), "机柜空间充足需要安装": ("挡风板需求", "空间充足需安装"),
    "这个BBU设备按要求配备了挡风板": ("挡风板符合性", "按要求配备"),
    "这个BBU设备未按要求配备挡风板": ("挡风板符合性", "未按要求配备"),
    "安装方向正确": ("安装方向", "方向正确"), "安装方向错误": ("安装方向", "方向错误"),
    "符合要求": ("符合性", "符合"), "不符合要求": ("符合性", "不符合"),
    "有保护措施": ("保护措施", "有保护"), "无保护措施": ("保护措施", "无保护"),
    "蛇形管": ("保护细节", "蛇形管"), "铠装": ("保护细节", "铠装"),
    "弯曲半径合理": ("弯曲半径", "半径合理"),
    "弯曲半径不合理(弯曲半径4cm或者成环)": ("弯曲半径", "半径不合理<4cm或成环"),
    "捆扎整齐": ("捆扎", "整齐"), "散乱": ("捆扎", "散乱"),
    "紧固合格": ("安装状态", "合格"), "不合格": ("安装状态", "不合格"),
    "有标签": ("标签", "有标签"), "没有标签": ("标签", "无标签"),
    "有套管保护": ("套管保护", "有套管"), "无套管保护": ("套管保护", "无套管"),
}  # fmt: skip


def pairs_of(v1: str) -> list[tuple[str, str]]:
    """The v2 pairs of a v1 description, ``类别`` first, the group last. Raises KeyError for a word that has none."""
    grouped = _GROUP.fullmatch(v1)
    if grouped:
        return [*pairs_of(grouped[2]), ("组", grouped[1])]
    category, _, rest = v1.partition("/")
    if remark := _REMARK.fullmatch(rest):
        return [("类别", category), ("备注", remark[1])]
    if category in _FREE:
        unread = rest == "无法识别"
        return [("类别", category), ("可读性", "不可读") if unread else (_FREE[category], rest)]
    pieces = [piece for piece in re.split("[,/]", rest) if piece]
    if category == _PARENT:
        category, *pieces = pieces
    return [("类别", category), *(_PAIR[piece] for piece in pieces)]


def v2_of(v1: str) -> str:
    """A v1 description in v2 words."""
    return ",".join(f"{key}={value}" for key, value in pairs_of(v1))


def summary_v1(descriptions: Sequence[str]) -> str:
    """Equal descriptions merged as ``…×N``, the short ones first."""
    counts = Counter(descriptions)
    return "，".join(f"{text}×{counts[text]}" for text in sorted(counts, key=lambda text: (len(text), text)))


def summary_v2(descriptions: Sequence[str]) -> str:
    """The JSON of a photo's v1 descriptions: an entry a category with its values counted, remarks, groups."""
    entries: dict[str, dict[str, Counter[str]]] = {}
    remarks: list[str] = []
    groups: Counter[str] = Counter()
    for pairs in map(pairs_of, descriptions):
        entry = entries.setdefault(pairs[0][1], {})
        for key, value in pairs[1:]:
            if key == "备注":
                remarks.append(value)
            elif key == "组":
                groups[value] += 1
            else:
                entry.setdefault(key, Counter())[value] += 1
    ordered = sorted(entries, key=lambda category: (category != "站点距离", category))
    summary: dict[str, object] = {"统计": [{"类别": category} | entries[category] for category in ordered]}
    summary |= {"备注": remarks} if remarks else {}
    summary |= {"分组统计": dict(sorted(groups.items()))} if groups else {}
    return json.dumps(summary, ensure_ascii=False)
