"""Section files of older runs: knobs that were constants of the code then, with the values that they had.

So report, show and check go on reading such a run. What a section lacks is taken from here only where it has none of
the knobs that came together: in a section of today a missing knob stays an error. Values here never change, whatever
configs/base.yaml says later.
"""

from collections.abc import Iterable
from typing import Any

from verdicts.config.base import deep_merge
from verdicts.config.load import flat

_GENERIC = [
    "照片", "图片", "拍摄", "画面", "重复", "模糊", "清晰", "数量", "少于", "多于", "至少",
    "以上", "以下", "不足", "超过", "提供", "同一", "缺失", "缺少", "没有",
    "未见", "须见", "必须", "应当", "需要", "可见", "出现", "存在", "无法", "不能", "未能",
    "识别", "不通过", "通过", "判定", "视为", "作为", "依据", "理由", "情形",
    "情况", "豁免", "如果", "或者", "以及", "并且", "任一", "任何", "全部", "所有", "方可",
    "才能", "不得", "不可",
    "且", "若", "则", "的", "与", "和", "或", "及", "须", "需", "有",
    "无", "未", "即", "可", "张", "一", "二", "三", "两",
]  # fmt: skip
_CONSTANTS: list[dict[str, dict[str, Any]]] = [{
    "loop": {"enough_answers": 8},
    "distill": {"min_agreement": 0.0},
    "summarize": {"broken": "drop_photo", "max_cut_off": 0.01},
    "sft": {"long_rows": "stop", "max_left_out": 0.01},
    "evaluate": {"max_cut_off": 0.01},
    "reflect": {
        "trial": {
            "discard": 0.5, "min_elsewhere": 0.5, "min_unseen": 0.25, "harm": 2.0,
            "remember_broke": 3, "remember_ratio": 2.0, "photo_classes": 7,
        },
        "words": {
            "generic": _GENERIC,
            "photos": ["照片", "图片", "张"],
            "amounts": ["少于", "多于", "不足", "至少", "超过", "数量"],
        },
        "details": {
            "ids": r"QC-|\d{5,}",
            "label_text": "标签[/:：]?([^，；,×]+)",
            "marks": "[A-Za-z0-9]|站$|局$|机房$",
            "min_chars": 3,
        },
    },
}, {
    "reflect": {"show_reasons": True, "reason_chars": 120, "details": {
        "reason_text": r"[A-Za-z]+-?\d[A-Za-z0-9-]*|\d\w*-[A-Za-z0-9-]{2,}|[一-鿿]{2}(?:站|局|机房)",
    }},
}, {
    "rollout": {"reuse_gb": 0.0, "reuse_folder": ".cache/rollout"},
    "sft": {"cache_gb": 0.0, "cache_folder": ".cache/sft"},
    "reflect": {"draws": 1, "trial": {"explains": 0}},
    "life_cycle": {"sure_harm": False},
}, {
    "sft": {"lint": "warn"},
    "summarize": {"batch_tokens": 0},
    "gate": {"max_behaviour": None},
    "reflect": {"credit": "cited", "min_log_odds": 1.0},
}, {
    "gate": {"decision": "majority", "looks": "free"},
}, {
    "rollout": {"decision": "majority", "threshold": None},
    "reflect": {"pool": {"candidates": 0, "promising": 0.05, "spend": 0.05}},
}, {
    "reflect": {"contrast": {"features": 0, "draws": 8, "level": 0.05}},
}, {
    "reflect": {"pool": {"exceptions": 1.0}},
    "life_cycle": {"proof": 0.0, "fail_precision": 0.0},
}]  # fmt: skip
# sections that a tool's file did not have before
_SECTIONS: dict[str, dict[str, Any]] = {
    "tickets": {
        "aliases": [],
        "labels": {
            "pass": ["pass", "passed", "通过", "审核通过", "合格", "1"],
            "fail": ["fail", "failed", "不通过", "审核不通过", "未通过", "不合格", "2"],
        },
        "max_count": 999,
        "max_refused": 0.05,
    },
    "rollout": {"decision": "majority", "threshold": None},  # reflect's, which has no more of it
}


_NO_PACKS: dict[str, dict[str, str]] = {"domain_packs": {}, "mission_rules": {}}
# the only prompts there were
_PROMPTS = {
    "stage_b": {"system": "stage_b.system.txt", "user": "stage_b.user.txt", **_NO_PACKS},
    "reflect": {"system": "reflect.system.txt", "user": "reflect.user.txt"},
    "summary": {"system": "", "user": "summary.user.txt", **_NO_PACKS},
}


# how the llama_cpp engine held KV cells
_CELLS = {"kv": "shared", "kv_type": "f16", "contexts": 1}


def with_constants_of_before(
    told: dict[str, Any], sections: Iterable[str] = (), prompts: Iterable[str] = ()
) -> dict[str, Any]:
    """What a section file says, with the constants of its time where an older version wrote it.

    ``sections``: those that a file of the tool has today; ``prompts``: the kinds of prompts that the tool asks with.
    """
    whole = {name: _SECTIONS[name] for name in sections if name in _SECTIONS} | told
    mission = told.get("mission")
    if isinstance(mission, dict) and "domain" not in mission:  # then told by the slug alone
        domain = "rru" if str(mission.get("slug")).startswith("rru") else "bbu"
        whole["mission"] = mission | {"domain": domain, "points": []}
    engine = told.get("engine")
    if isinstance(engine, dict) and engine.get("kind") == "llama_cpp" and not engine.keys() & _CELLS.keys():
        whole["engine"] = _CELLS | engine
    if prompts and "prompts" not in told:
        whole["prompts"] = {kind: _PROMPTS[kind] for kind in prompts}
    predict = told.get("predict")
    if isinstance(predict, dict) and "decision" not in predict:  # then a threshold alone said it
        whole["predict"] = {"decision": "majority" if predict.get("threshold") is None else "threshold"} | predict
    for name, constants in (constant for together in _CONSTANTS for constant in together.items()):
        section = whole.get(name)
        if name == "rollout" and isinstance(section, dict) and section.keys() <= _SECTIONS[name].keys():
            continue  # reflect's, to which the other knobs were never told
        if isinstance(section, dict) and not flat(section).keys() & flat(constants).keys():
            whole[name] = deep_merge(constants, section)
    return whole
