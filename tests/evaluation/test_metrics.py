"""The table of the student's metrics: what is recorded, judged and shown is what stands in it."""

from verdicts.config.sections import GateSection
from verdicts.evaluation.scores import METRICS
from verdicts.records.evaluation import ChatScores, DenseScores, F1Record, Overlap, ScoredAnswer, SummaryScores
from verdicts.stats.rates import Rate, wilson

SCORES = {"chat": ChatScores, "summary": SummaryScores, "dense": DenseScores}


def answer(**fields: object) -> ScoredAnswer:
    plain = dict.fromkeys(("label", "expected", "verdict", "overlap"))
    said = {"task": "chat", "key": "a", "group_id": "a", "text": "", "whole": True, "format_ok": True, "right": True}
    return ScoredAnswer(**(plain | said | fields))


def test_every_score_of_the_records_is_a_metric_and_every_metric_has_its_field():
    recorded = {
        (task, name)
        for task, scores in SCORES.items()
        for name, field in scores.model_fields.items()
        if field.annotation in (Rate, F1Record)
    }
    assert {(metric.task, metric.field) for metric in METRICS} == recorded
    assert len({metric.name for metric in METRICS}) == len(METRICS) == len(recorded)


def test_a_metric_is_held_to_a_limit_of_the_configuration_or_to_retention_never_to_both():
    assert {metric.limit for metric in METRICS} - {""} <= GateSection.model_fields.keys()
    assert not [metric.name for metric in METRICS if metric.limit and metric.retained]


def test_an_answer_adds_to_a_metric_what_its_score_counts():
    released = answer(label="fail", verdict="pass", right=False)
    blocked, mute = answer(label="pass", verdict="fail", right=False), answer(label="fail", right=False)
    frr = next(metric for metric in METRICS if metric.name == "frr")
    assert [frr.adds(row) for row in (released, blocked, mute)] == [(1, 1), (0, 0), (0, 0)]
    assert frr.score([released, blocked, mute]) == wilson(1, 1)
    boxes = next(metric for metric in METRICS if metric.name == "dense_f1")
    rows = [
        answer(task="dense", overlap=Overlap(hits=1, given=2, wanted=1)),
        answer(task="dense", overlap=Overlap(hits=2, given=2, wanted=3)),
    ]
    assert [boxes.adds(row) for row in rows] == [(2, 3), (4, 5)]
    assert boxes.score(rows) == F1Record(hits=3, given=4, wanted=4, f1=0.75)
