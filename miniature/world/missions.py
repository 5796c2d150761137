"""The seven missions of the miniature world: their checklists and what their photos usually show."""

from dataclasses import dataclass

from miniature.world.rules import G0
from miniature.world.vocabulary import BAD_OF, REMARKS

BBU_FAULTS = (
    *BAD_OF.values(),
    "电线散乱",
    "光纤无保护措施",
    "弯曲半径不合理",
    "未按要求配备挡风板",
    "挡风板安装方向错误",
)
BBU_REMARKS = (*REMARKS, "备注缺少螺丝", "备注部分未套蛇形管")
RRU_FAULTS = ("紧固件不合格", "接地端紧固不合格", "接地线没有标签", "尾纤没有标签", "尾纤无套管保护")


@dataclass(frozen=True)
class SyntheticMission:
    """A mission: its G0, the objects its photos usually show besides (``side``), and what its photos look at."""

    slug: str
    name: str
    g0: G0
    side: tuple[str, ...]
    scenes: tuple[str, ...]

    @property
    def is_bbu(self) -> bool:
        """Whether its photos show a BBU cabinet, else an RRU."""
        return not self.slug.startswith("rru")

    @property
    def forbiddable(self) -> tuple[str, ...]:
        """Negatives that G0 does not mention and that a rule may forbid."""
        own = (
            (*BBU_FAULTS, *BBU_REMARKS, "设备只显示部分", "中兴品牌", "爱立信品牌")
            if self.is_bbu
            else (*RRU_FAULTS, "备注拍摄不完整")
        )
        return tuple(name for name in (*own, "标签无法识别", "无关图片") if name not in self.g0.forbidden)


MISSIONS = {
    m.slug: m
    for m in (
        SyntheticMission("bbu_line", "BBU接地线检查",
                G0(("机柜处接地螺丝", "地排处接地螺丝", "电线捆扎整齐"),
                    ("机柜处接地螺丝不符合要求", "地排处接地螺丝不符合要求", "电线散乱")),
                ("BBU安装螺丝", "BBU设备", "地线标签", "BBU端光纤插头", "设备显示完整"), ("front", "bar")),
        SyntheticMission("bbu_cable", "BBU线缆布放要求",
                G0(("BBU端光纤插头", "ODF端光纤插头", "光纤有保护措施", "弯曲半径合理"),
                   ("BBU端光纤插头不符合要求", "ODF端光纤插头不符合要求", "光纤无保护措施", "弯曲半径不合理")),
                ("BBU设备", "BBU安装螺丝", "光纤标签", "电线捆扎整齐", "设备显示完整"), ("front", "front", "odf")),
        SyntheticMission("bbu_install", "BBU安装方式检查（正装）",
                G0(("BBU设备", "BBU安装螺丝"), ("BBU安装螺丝不符合要求",)),
                ("机柜处接地螺丝", "电线捆扎整齐", "BBU端光纤插头", "地线标签", "设备显示完整", "光纤有保护措施"),
                ("front", "front", "front", "bar")),
        SyntheticMission("bbu_wind", "挡风板安装检查",
                G0(("按要求配备挡风板", "挡风板安装方向正确"), ("未按要求配备挡风板", "挡风板安装方向错误")),
                ("BBU安装螺丝", "BBU端光纤插头", "光纤有保护措施", "设备显示完整", "电线捆扎整齐", "机柜处接地螺丝"),
                ("front",)),
        SyntheticMission("rru_install", "RRU安装检查", G0(("RRU设备", "紧固件紧固合格"), ("紧固件不合格",)),
                ("接地端紧固合格", "接地线有标签", "尾纤有标签", "尾纤有套管保护", "光纤标签"), ("rru",)),
        SyntheticMission("rru_position", "RRU位置检查",
                G0(("接地端紧固合格", "接地线有标签"), ("接地端紧固不合格", "接地线没有标签")),
                ("RRU设备", "紧固件紧固合格", "尾纤有标签", "尾纤有套管保护", "地线标签"), ("rru", "bar")),
        SyntheticMission("rru_cable", "RRU线缆",
                G0(("尾纤有标签", "尾纤有套管保护"), ("尾纤没有标签", "尾纤无套管保护")),
                ("RRU设备", "紧固件紧固合格", "接地端紧固合格", "接地线有标签", "光纤标签"), ("rru",)),
    )
}  # fmt: skip
