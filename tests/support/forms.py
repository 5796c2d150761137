"""Wanted answers in the forms of real students, and a student's answers to them, for tests of scores and gate."""

import json

from tests.support.judging import GOOD, answers
from verdicts.evaluation.questions import Question
from verdicts.evaluation.scores import score
from verdicts.facts.dense import DenseObject, render_objects
from verdicts.records.evaluation import ScoredAnswer

LINE = "<DOMAIN=BBU>, <TASK=DETECTION>\n"
BOX = DenseObject("类别=标签,可读性=不可读", "bbox_2d", ((0, 0), (100, 100)))
OUTLINE = DenseObject("类别=BBU设备,品牌=华为", "poly", ((200, 0), (300, 0), (300, 100), (200, 100)))
WAY = DenseObject("类别=电线,捆扎=整齐", "line", ((0, 500), (500, 500)))
SEEN = LINE + render_objects([BOX, OUTLINE, WAY])
COUNTED = json.dumps({"统计": [{"类别": "标签", "可读性": {"不可读": 2}}], "备注": ["模糊"]}, ensure_ascii=False)


def photos(summaries: list[str], dense: list[str], *, counted: str = COUNTED, seen: str = SEEN) -> list[ScoredAnswer]:
    """A student's answers to good tickets, to JSON summaries and to dense captions of objects."""
    rows = answers(GOOD["fail"], GOOD["pass"], [], [])
    for task, wanted, said in (("summary", counted, summaries), ("dense", seen, dense)):
        rows += [
            score(Question(task, f"g{at}/1.jpg", f"g{at}", (), expected=wanted), text, True)
            for at, text in enumerate(said)
        ]
    return rows
