"""What people of the miniature world write when they fail a ticket: short notes, in varied words, many of no use.

A person who fails a ticket sees one or two of its causes and names them in passing, as notes of the field do: an object
by a short name, an order to photograph it again. A share writes nothing, a share writes what says nothing. A label that
was flipped has no cause: its note is of no use, or names what is in order.
"""

from collections.abc import Sequence
from random import Random

from miniature.world.dataset import Labelled, World
from miniature.world.rules import apply_rules
from miniature.world.vocabulary import BIT
from verdicts.records.tickets import StageA

SILENT, USELESS, SECOND = 0.25, 0.2, 0.2
NO_USE = ("补拍", "拍全", "重新拍摄", "整改", "拍清楚", "不合格", "按要求拍", "正常采集", "资料不全", "见群里")
_MISSING = ("补拍{}", "{}拍全", "{}未拍", "没有{}", "{}呢", "缺{}", "要看到{}", "{}未体现", "{}拍清楚")
_SEEN = ("{}", "{}，整改", "{}需处理", "{}不行", "有{}", "不能{}", "图里{}")
_PHOTOS = ("照片不够", "至少{}张", "照片太少", "少于{}张照片", "照片数量不足", "就这几张？补拍")
_SHORT = {
    "机柜处接地螺丝": ("机柜端接地", "设备端接地螺丝"), "地排处接地螺丝": ("地排端", "接地排", "地排螺丝"),
    "电线捆扎整齐": ("线缆绑扎", "捆扎"), "BBU安装螺丝": ("安装螺丝", "BBU螺丝"),
    "BBU端光纤插头": ("BBU端插头", "BBU侧光纤"), "ODF端光纤插头": ("ODF端插头", "ODF侧光纤"),
    "光纤有保护措施": ("光纤保护", "光纤套管"), "弯曲半径合理": ("弯曲半径", "光纤弯曲"),
    "BBU设备": ("BBU", "设备正面"), "按要求配备挡风板": ("挡风板",), "挡风板安装方向正确": ("挡风板方向",),
    "设备显示完整": ("设备全貌", "整机"), "地线标签": ("接地标签", "地线标识"), "光纤标签": ("光纤标识", "纤标签"),
    "RRU设备": ("RRU",), "紧固件紧固合格": ("紧固件", "抱杆螺丝"), "接地端紧固合格": ("RRU接地端", "接地端螺丝"),
    "接地线有标签": ("接地线标签",), "尾纤有标签": ("尾纤标签",), "尾纤有套管保护": ("尾纤套管",),
    "电线散乱": ("线乱", "绑扎不规范"), "光纤无保护措施": ("光纤没套管",),
    "弯曲半径不合理": ("光纤弯太急", "弯曲半径小"), "未按要求配备挡风板": ("没装挡风板",),
    "挡风板安装方向错误": ("挡风板装反",), "标签无法识别": ("标签看不清", "标签模糊"),
    "无关图片": ("无关照片", "图纸不用传"), "设备只显示部分": ("设备没拍全", "只拍了一半"), "华为品牌": ("华为设备",),
    "中兴品牌": ("中兴设备",), "爱立信品牌": ("爱立信设备",), "备注无法判断品牌": ("看不出品牌",),
    "备注无法判断空间": ("看不出空间",), "备注疑似设备": ("是不是本期设备",), "备注拍摄不完整": ("拍摄不完整",),
    "备注缺少螺丝": ("少螺丝",), "备注部分未套蛇形管": ("蛇形管没套全",), "紧固件不合格": ("紧固件松",),
    "接地端紧固不合格": ("接地端松",), "接地线没有标签": ("接地线没标签",), "尾纤没有标签": ("尾纤没标签",),
    "尾纤无套管保护": ("尾纤没套管",),
}  # fmt: skip


def notes_of(rng: Random, causes: Sequence[str]) -> list[str]:
    """The notes on one failed ticket, none to two. ``causes``: as Judgement has them (缺少…, 出现…, 照片少于N张)."""
    roll = rng.random()
    if roll < SILENT:
        return []
    if roll < SILENT + USELESS or not causes:
        return [rng.choice(NO_USE)]
    named = rng.sample(causes, min(len(causes), 2 if rng.random() < SECOND else 1))
    return [_note(rng, cause) for cause in named]


def with_notes(world: World, drawn: Sequence[Labelled], tickets: Sequence[StageA], seed: int) -> list[StageA]:
    """The tickets of a world, in the order in which they were drawn, with notes on those labelled fail."""
    rng = Random(f"{world.mission.slug}:notes:{seed}")
    return [
        ticket.model_copy(update={"fail_reasons": _notes_on(rng, world, row) if row.label == "fail" else []})
        for row, ticket in zip(drawn, tickets, strict=True)
    ]


def _notes_on(rng: Random, world: World, row: Labelled) -> list[str]:
    facts, g0 = row.ticket.facts, world.mission.g0
    if row.clean == "fail":
        return notes_of(rng, [cause for cause, _ in apply_rules(facts, g0, world.rules).causes])
    return mistaken_notes(rng, [name for name in g0.required if facts.bits & BIT[name]])


def mistaken_notes(rng: Random, in_order: Sequence[str]) -> list[str]:
    """The notes on a ticket that should have passed: half of those that say something name what is ``in_order``."""
    return notes_of(rng, [f"缺少{name}" for name in in_order] if rng.random() < 0.5 else [])


def _note(rng: Random, cause: str) -> str:
    if cause.startswith("照片"):
        return rng.choice(_PHOTOS).format(cause.removeprefix("照片少于").removesuffix("张"))
    name = cause[2:]
    return rng.choice(_MISSING if cause.startswith("缺少") else _SEEN).format(_spoken(rng, name))


def _spoken(rng: Random, name: str) -> str:
    """The name itself now and then, mostly a short form; of a faulty object, that of the object and what is wrong."""
    if name not in _SHORT:
        of = name.removesuffix("不符合要求")
        return f"{rng.choice(_SHORT[of])}{rng.choice(('不合格', '松动', '没拧紧'))}"
    return name if rng.random() < 0.3 else rng.choice(_SHORT[name])
