"""The sentence that a reader acts on: every branch, with its words in both languages."""

from types import SimpleNamespace

import pytest

from verdicts.config.load import read_yaml
from verdicts.records.run import LoopStatus
from verdicts.report.page import advice_of, gap_sentence, rate_texts
from verdicts.runs.standing import TEXTS, Gap, training_advice
from verdicts.stats.rates import wilson

GAP = Gap("frr", learn=wilson(1, 30), holdout=wilson(6, 10))

# ((loop, released of failed, tickets that wait, limit, gap), tone, sentence)
TRAINING = [
    pytest.param(
        (None, None, 0, None, False),
        "wait",
        "Decide nothing yet: the run is still learning, 4 rounds are done and the figures will move.",
        "请暂不决策：仍在学习，已完成 4 轮，数字还会变化。",
        id="no loop.json: the loop is still running",
    ),
    pytest.param(
        ("running", (0, 100), 0, 0.05, False),
        "wait",
        "Decide nothing yet: the run is still learning, 4 rounds are done and the figures will move.",
        "请暂不决策：仍在学习，已完成 4 轮，数字还会变化。",
        id="loop.json says that it goes on",
    ),
    pytest.param(
        ("unreadable", (0, 100), 0, 0.05, False),
        "stop",
        (
            "Nothing was distilled: the loop stopped after 6 rounds because too many answers could not be read. "
            "The reason and the knob to turn stand under malformed answers."
        ),
        "未产出训练数据：第 6 轮后因过多回答无法读取而停止。原因与应调整的参数见“不合规回答”。",
        id="too much could not be read",
    ),
    pytest.param(
        ("max_epochs", (0, 100), 0, 0.05, False),
        "stop",
        (
            "Nothing was distilled: guidance did not settle in 3 epochs. Read what the last rounds changed, or "
            "allow more epochs."
        ),
        "未产出训练数据：3 个周期内准则未收敛。请查看最后几轮的改动，或放宽周期上限。",
        id="out of epochs, however good the figures",
    ),
    pytest.param(
        ("converged", None, 0, 0.05, False),
        "wait",
        (
            "Guidance has converged, but no ticket labelled fail was judged: the false release rate is unknown, "
            "so do not rely on it."
        ),
        "准则已收敛，但没有人工不通过的工单被评判：误放行率未知，不可据此放行。",
        id="nothing is known of the rate",
    ),
    pytest.param(
        ("converged", (0, 0), 0, 0.05, False),
        "wait",
        (
            "Guidance has converged, but no ticket labelled fail was judged: the false release rate is unknown, "
            "so do not rely on it."
        ),
        "准则已收敛，但没有人工不通过的工单被评判：误放行率未知，不可据此放行。",
        id="no ticket labelled fail",
    ),
    pytest.param(
        ("converged", (2, 100), 5, None, False),
        "wait",
        (
            "Guidance has converged: 2 of 100 tickets labelled fail would still be released (2.0%, up to 7.0%). "
            "Clear the review list before training: 5 tickets."
        ),
        (
            "准则已收敛：100 个人工不通过工单中仍有 2 个会被误放行（2.0%，最高 7.0%）。训练前请先清理复核清单：5 "
            "个工单。"
        ),
        id="no limit was named",
    ),
    pytest.param(
        ("converged", (10, 100), 5, 0.05, False),
        "stop",
        (
            "Do not train the student on this yet: 10 of 100 tickets labelled fail would be released (10.0%), "
            "the limit is 5.0%. Clear the review list first: 5 tickets."
        ),
        (
            "暂不可用于训练学生模型：100 个人工不通过工单中 10 个会被误放行（10.0%），上限 5.0%。请先清理复核清单"
            "：5 个工单。"
        ),
        id="above the limit, tickets wait",
    ),
    pytest.param(
        ("converged", (10, 100), 0, 0.05, False),
        "stop",
        (
            "Do not train the student on this yet: 10 of 100 tickets labelled fail would be released (10.0%), "
            "the limit is 5.0%. The review list is cleared: learn again with what people decided (make relearn), "
            "or add a rule to the checklist."
        ),
        (
            "暂不可用于训练学生模型：100 个人工不通过工单中 10 个会被误放行（10.0%），上限 5.0%。复核清单已清理完"
            "：请用复核结论重新学习（make relearn），或补充任务清单。"
        ),
        id="above the limit, nobody has tickets left to decide",
    ),
    pytest.param(
        ("converged", (2, 100), 5, 0.05, False),
        "wait",
        (
            "Within the limit, not yet for sure: 2 of 100 tickets labelled fail would be released (2.0%, limit "
            "5.0%), but the interval reaches 7.0%. Clear the review list (5 tickets) and judge more tickets "
            "labelled fail."
        ),
        (
            "暂未超限，但尚不确定：100 个人工不通过工单中 2 个会被误放行（2.0%，上限 5.0%），区间上端达 7.0%。请"
            "清理复核清单（5 个工单），并补充人工不通过的工单。"
        ),
        id="within the limit, the interval reaches beyond it",
    ),
    pytest.param(
        ("converged", (5, 100), 5, 0.05, False),
        "wait",
        (
            "Within the limit, not yet for sure: 5 of 100 tickets labelled fail would be released (5.0%, limit "
            "5.0%), but the interval reaches 11.2%. Clear the review list (5 tickets) and judge more tickets "
            "labelled fail."
        ),
        (
            "暂未超限，但尚不确定：100 个人工不通过工单中 5 个会被误放行（5.0%，上限 5.0%），区间上端达 11.2%。请"
            "清理复核清单（5 个工单），并补充人工不通过的工单。"
        ),
        id="exactly at the limit",
    ),
    pytest.param(
        ("converged", (0, 100), 5, 0.05, False),
        "good",
        (
            "Ready to train the student: 0 of 100 tickets labelled fail would be released (0.0%), and the whole "
            "interval is below the limit of 5.0%. 5 tickets wait for review."
        ),
        ("可以训练学生模型：100 个人工不通过工单中 0 个会被误放行（0.0%），整个区间低于上限 5.0%。待复核工单 5 个。"),
        id="the whole interval within the limit",
    ),
    pytest.param(
        ("converged", (0, 100), 5, 0.05, True),
        "wait",
        (
            "Not ready to train the student yet: 0 of 100 tickets labelled fail would be released (0.0%, limit "
            "5.0%), but this does not hold for tickets that guidance never saw. 5 tickets wait for review."
        ),
        (
            "暂不可训练学生模型：100 个人工不通过工单中 0 个会被误放行（0.0%，上限 5.0%），但在准则从未见过的工单"
            "上并非如此。待复核工单 5 个。"
        ),
        id="the same, and a gap to hold-out tickets",
    ),
    pytest.param(
        ("converged", (10, 100), 5, 0.05, True),
        "stop",
        (
            "Do not train the student on this yet: 10 of 100 tickets labelled fail would be released (10.0%), "
            "the limit is 5.0%. Clear the review list first: 5 tickets."
        ),
        (
            "暂不可用于训练学生模型：100 个人工不通过工单中 10 个会被误放行（10.0%），上限 5.0%。请先清理复核清单"
            "：5 个工单。"
        ),
        id="above the limit counts before a gap",
    ),
    pytest.param(
        ("converged", (2, 100), 5, 0.05, True),
        "wait",
        (
            "Within the limit, not yet for sure: 2 of 100 tickets labelled fail would be released (2.0%, limit "
            "5.0%), but the interval reaches 7.0%. Clear the review list (5 tickets) and judge more tickets "
            "labelled fail."
        ),
        (
            "暂未超限，但尚不确定：100 个人工不通过工单中 2 个会被误放行（2.0%，上限 5.0%），区间上端达 7.0%。请"
            "清理复核清单（5 个工单），并补充人工不通过的工单。"
        ),
        id="an unsure rate counts before a gap",
    ),
]


def said(advice) -> tuple[str, str, str]:
    english, chinese = read_yaml(TEXTS)[advice.key]
    return advice.tone, english.format(**advice.values), chinese.format(**advice.values)


def after(case):
    loop, released, waiting, limit, gap = case
    status = loop and LoopStatus(status=loop, rounds=6, epochs=3, rounds_per_epoch=2, oscillations=[])
    return training_advice(status, 4, released and wilson(*released), waiting, limit, [GAP] if gap else [])


@pytest.mark.parametrize(("case", "tone", "english", "chinese"), TRAINING)
def test_whether_to_train_the_student(case, tone, english, chinese):
    advice = after(case)
    assert said(advice) == (tone, english, chinese)
    assert str(advice) == english


def judged(passed: bool, reasons: int = 0) -> SimpleNamespace:
    """A report on a run whose gate has spoken: 84 of 91 released before, ``reasons`` of 91 after."""
    sides = {
        name: SimpleNamespace(chat=SimpleNamespace(frr=wilson(k, 91))) for name, k in (("before", 84), ("after", 7))
    }
    gate = SimpleNamespace(passed=passed, reasons=["a reason"] * reasons, **sides)
    return SimpleNamespace(status=None, now=None, student=SimpleNamespace(gate=gate))


GATE = [
    pytest.param(
        judged(True),
        "good",
        "The student may ship: it meets every condition of the gate and releases 7 of 91 held-out tickets labelled "
        "fail (7.7%; before training 92.3%).",
        "学生模型可以上线：门禁条件全部满足，91 个留出的人工不通过工单误放行 7 个（7.7%；训练前 92.3%）。",
        id="the gate lets it pass",
    ),
    pytest.param(
        judged(False, reasons=2),
        "stop",
        "Do not ship the student: it releases 7 of 91 held-out tickets labelled fail (7.7%; before training 92.3%). "
        "Conditions of the gate not met: 2, listed below.",
        "学生模型不可上线：91 个留出的人工不通过工单误放行 7 个（7.7%；训练前 92.3%）。未满足的门禁条件 2 项，见下文。",
        id="the gate does not",
    ),
]


@pytest.mark.parametrize(("report", "tone", "english", "chinese"), GATE)
def test_whether_to_ship_the_student(report, tone, english, chinese):
    assert said(advice_of(report)) == (tone, english, chinese)


@pytest.mark.parametrize("name", ["standing", "metrics", "nothing"])
def test_before_a_gate_the_verdict_is_on_training_by_the_best_figure_there_is(name):
    """The rate under labels as people corrected them, else that of the last epoch, else none."""
    standing = SimpleNamespace(rates=SimpleNamespace(frr=wilson(0, 100))) if name == "standing" else None
    now = None if name == "nothing" else SimpleNamespace(frr=wilson(9, 100))
    status = LoopStatus(status="converged", rounds=6, epochs=3, rounds_per_epoch=2, oscillations=[])
    learnt = SimpleNamespace(rounds=6)
    for student in (None, SimpleNamespace(gate=None)):
        report = SimpleNamespace(
            status=status, now=now, student=student, standing=standing, learnt=learnt, undecided=3, limit=0.05, gaps=[]
        )
        wanted = {"standing": "verdict.within", "metrics": "verdict.over", "nothing": "verdict.unknown"}[name]
        assert advice_of(report).key == wanted


def test_every_sentence_on_the_page_has_its_case_here():
    shown = {after(case.values[0]).key for case in TRAINING} | {advice_of(case.values[0]).key for case in GATE}
    assert shown == {key for key in read_yaml(TEXTS) if key.startswith("verdict.")}


@pytest.mark.parametrize(
    ("gap", "tone", "english", "chinese"),
    [
        (
            GAP,
            "stop",
            "Gap: 6 of 10 tickets labelled fail that guidance never saw are released (60.0%; 95%: 31.3% – 83.2%), "
            "of those that it was learnt from 1 of 30 (3.3%; 95%: 0.6% – 16.7%). "
            "That is beyond noise: do not trust the rules yet.",
            "差距：准则从未见过的 10 个人工不通过工单中 6 个被误放行（60.0%；95%：31.3% – 83.2%），"
            "而学习所用的 30 个中为 1 个（3.3%；95%：0.6% – 16.7%）。差距超出随机波动：请暂勿信任这些规则。",
        ),
        (
            GAP._replace(rate="false_block"),
            "wait",
            "Gap: 6 of 10 tickets labelled pass that guidance never saw are blocked (60.0%; 95%: 31.3% – 83.2%), "
            "of those that it was learnt from 1 of 30 (3.3%; 95%: 0.6% – 16.7%). "
            "That is beyond noise: do not trust the rules yet.",
            "差距：准则从未见过的 10 个人工通过工单中 6 个被误拦截（60.0%；95%：31.3% – 83.2%），"
            "而学习所用的 30 个中为 1 个（3.3%；95%：0.6% – 16.7%）。差距超出随机波动：请暂勿信任这些规则。",
        ),
    ],
)
def test_a_gap_stops_where_it_releases_fails_and_waits_where_it_blocks_passes(gap, tone, english, chinese):
    advice = gap_sentence(gap)
    filled = [text.format(**advice.values) for text in rate_texts()[advice.key]]
    assert (advice.tone, *filled) == (tone, english, chinese)
