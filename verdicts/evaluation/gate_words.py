"""The gate's sentences: English, as gate.json holds them, and Chinese, as pages show them beside it.

A sentence is made from its English text and found again by it, so that records which are there already speak Chinese.
"""

import re

from verdicts.evaluation.scores import METRICS

SENTENCES: dict[str, tuple[str, str]] = {
    "below": ("{metric} rate {rate} is below its limit {limit}", "{metric} {rate}，低于下限 {limit}"),
    "above": ("{metric} rate {rate} is above its limit {limit}", "{metric} {rate}，超过上限 {limit}"),
    "unknown": ("the {metric} rate is unknown: {why}", "{metric}未知：{why}"),
    "frr_unknown": (
        "FRR is unknown {when}: no failed ticket has a verdict",
        "{when}误放行率未知：没有不通过工单得到判定",
    ),
    "frr_stays": ("FRR did not fall: {old} before, {new} after", "误放行率未下降：训练前 {old}，训练后 {new}"),
    "frr_above": ("FRR {rate} is above its limit {limit}", "误放行率 {rate}，超过上限 {limit}"),
    "frr_hidden": (
        "FRR would be {rate}, above its limit {limit}, with the {n} malformed answers to failed tickets as releases",
        "若把不通过工单的 {n} 个不合规回答计为放行，误放行率为 {rate}，超过上限 {limit}",
    ),
    "frr_hopeless": (
        "FRR may be above its limit {limit}: {k} of {n} held-out fails released, at most {high} at {sure}; "
        "at this rate no number of fails shows it below",
        "误放行率可能超过上限 {limit}：留出的不通过工单误放行 {k} / {n}，{sure} 上端 {high}；"
        "按此比例，再多工单也无法证明低于上限",
    ),
    "frr_unsure": (
        "FRR may be above its limit {limit}: {k} of {n} held-out fails released, at most {high} at {sure}; "
        "at this rate {enough} held-out fails are enough: {missing} missing",
        "误放行率可能超过上限 {limit}：留出的不通过工单误放行 {k} / {n}，{sure} 上端 {high}；"
        "按此比例需 {enough} 个留出的不通过工单，尚缺 {missing} 个",
    ),
    "lost_sight": (
        "{metric} is unknown after, {before} before: nothing that was found has any",
        "{metric}：训练前 {before}，训练后未知，找到的内容均无此项",
    ),
    "lost": (
        "{metric} lost {points} points, its limit is {most}: {before} before, {after} after",
        "{metric}下降 {points} 个百分点，上限 {most}：训练前 {before}，训练后 {after}",
    ),
    "task_unknown": (
        "what the student keeps of {task} is unknown: no photo has anything to score",
        "学生模型是否保留{task}能力未知：没有可评分的照片",
    ),
    "block_unsure": (
        "false block may be above its limit {limit}: {k} of {n} held-out passes blocked, at most {high} at 95 %; "
        "{enough} held-out passes would tell",
        "误拦截率可能超过上限 {limit}：留出的通过工单误拦截 {k} / {n}，95% 上端 {high}；"
        "有 {enough} 个留出的通过工单即可判定",
    ),
    "may_have_lost": (
        "{metric} may have lost up to {points} points, its limit is {most}; more held-out photos would tell",
        "{metric}可能下降多达 {points} 个百分点，上限 {most}；更多留出照片可以判定",
    ),
    "cut_off": (
        "{k} of {n} {task} answers {when} were cut off: what they left out counts as not found; "
        "raise evaluate.max_new_tokens_dense",
        "{when}{n} 个{task}回答中有 {k} 个被截断，未写出的内容计为未找到；请调大 evaluate.max_new_tokens_dense",
    ),
    "behaviour": (
        "behaviour {kind}: {k} of {n} changed tickets fail ({rate}), the limit is {limit}",
        "行为测试 {kind}：{n} 个改动工单中 {k} 个未通过（{rate}），上限 {limit}",
    ),
    "behaviour_unknown": (
        "behaviour {kind}: no held-out ticket can be changed so",
        "行为测试 {kind}：没有留出工单可作此改动",
    ),
    "at_point": (
        "an operating point decides: fail from P(fail) {threshold}; FRR there {rate}; {n} tickets of the groups that "
        "chose it are left out",
        "按工作点判定：不通过概率达到 {threshold} 即不通过；此时误放行率 {rate}；用于选点的分组共 {n} 个工单不计入",
    ),
    "look": (
        "this is student {number} that is judged on these questions; the more are tried, the likelier one passes by "
        "chance (gate.looks: spend pays for it)",
        "这是在同一批留出问题上评判的第 {number} 个学生；尝试越多，越可能有一个碰巧通过（gate.looks: spend 可抵消）",
    ),
    "old_version": (
        "an older version made these evaluations: they do not say from which files and which base",
        "这些评测由旧版本生成：未记录所用文件与基础模型",
    ),
}  # fmt: skip
WORDS = {
    "before": "训练前", "after": "训练后", "summary": "摘要", "dense": "密集描述",
    "no passed ticket has a verdict": "没有通过工单得到判定", "nothing was counted": "没有可统计的内容",
}  # fmt: skip
NAMES = {name: metric.page[1] for metric in METRICS for name in (metric.brief, metric.title) if name}
_FORMS = [
    (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(english))), chinese)
    for english, chinese in SENTENCES.values()
]


# Sentences that say how it was judged, among the remarks; all others say what was not decided.
_NOTES = [re.compile(re.sub(r"\\\{\w+\\\}", ".+?", re.escape(SENTENCES[name][0]))) for name in ("at_point", "look")]


def is_note(sentence: str) -> bool:
    """Whether a remark says how it was judged."""
    return any(note.fullmatch(sentence) for note in _NOTES)


def gate_sentence(key: str, **values: object) -> str:
    """The sentence in English, as gate.json has it. KeyError for one that is not there."""
    return SENTENCES[key][0].format(**values)


def gate_in_chinese(sentence: str) -> str:
    """The same in Chinese; "" for a sentence that no gate of ours says."""
    found = next(((form.fullmatch(sentence), chinese) for form, chinese in _FORMS if form.fullmatch(sentence)), None)
    if found is None or found[0] is None:
        return ""
    named = found[0].groupdict()
    return found[1].format(**{place: WORDS.get(text, NAMES.get(text, text)) for place, text in named.items()})
