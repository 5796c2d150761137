"""Two evaluations with their answers, as a student gave them before and after, for tests of the gate."""

from pathlib import Path

import yaml

from tests.support.builders import Outcome, call
from verdicts.base.jsonl import read_json, read_rows, write_json, write_rows, write_text
from verdicts.evaluation.questions import Question
from verdicts.evaluation.scores import answers_path, score, tally
from verdicts.records.evaluation import Evaluation, GateRecord, Named, ScoredAnswer
from verdicts.stage_b.protocol import render
from verdicts.student.photo_scores import render_dense

LIMITS = {
    "max_frr": 0.05,
    "max_false_block": 0.05,
    "min_format": 0.995,
    "max_retention_loss": 0.01,
    "decision": "majority",
    "looks": "free",
    "resamples": 200,
    "seed": 17,
}
SUMMARY = "BBU设备/华为,显示完整×1，电线/捆扎整齐×1"
BOXES = render_dense([((0, 0, 100, 100), "电线/捆扎整齐"), ((200, 0, 300, 100), "BBU设备/华为,显示完整")])
GOOD = {"fail": ["fail"] * 80, "pass": ["pass"] * 40, "summary": [SUMMARY] * 40, "dense": [BOXES] * 40}
BASE = GOOD | {"fail": ["pass"] * 40 + ["fail"] * 40}


def answers(fail: list[str], passed: list[str], summary: list[str], dense: list[str]) -> list[ScoredAnswer]:
    """Answers to ``fail`` and ``pass`` tickets (verdicts; anything else is said as it is) and to photos."""
    out = []
    for label, said in (("fail", fail), ("pass", passed)):
        for at, text in enumerate(said):
            question = Question("chat", f"g{at}::{label}", f"g{at}", (), label=label)
            out.append(score(question, render(text, "依据(G0)") if text in ("pass", "fail") else text, True))
    for task, wanted, said in (("summary", SUMMARY, summary), ("dense", BOXES, dense)):
        out += [
            score(Question(task, f"g{at}/1.jpg", f"g{at}", (), expected=wanted), text, True)
            for at, text in enumerate(said)
        ]
    return out


class Bench:
    """A folder with a config and two evaluations; ``gate`` compares them."""

    def __init__(self, folder: Path):
        self.folder, self.output = folder, folder / "gate.json"
        self.configure()
        self.write("before")
        self.write("after", **GOOD)

    def configure(self, **limits: float) -> None:
        write_text(self.folder / "gate.yaml", yaml.safe_dump({"gate": LIMITS | limits}))

    def path(self, side: str) -> Path:
        return self.folder / f"{side}.json"

    def write(self, side: str, **said: list[str]) -> None:
        """An evaluation of what was said, BASE where nothing else is given."""
        said = BASE | said
        self.write_answers(side, answers(said["fail"], said["pass"], said["summary"], said["dense"]))

    def write_answers(self, side: str, rows: list[ScoredAnswer], **fields: object) -> None:
        tickets, chat, summary, dense = tally(rows)
        shared = {
            "student": Named(folder=side, sha256="0"),
            "mission": "BBU接地线检查",
            "guidance_step": 2,
            "questions": "asked",
        }
        write_rows(answers_path(self.path(side)), rows)
        write_json(
            self.path(side), Evaluation(tickets=tickets, chat=chat, summary=summary, dense=dense, **(shared | fields))
        )

    def answers(self, side: str) -> list[ScoredAnswer]:
        return read_rows(answers_path(self.path(side)), ScoredAnswer)

    def gate(self, **options: object) -> Outcome:
        return call(
            "gate",
            config=self.folder / "gate.yaml",
            before=self.path("before"),
            after=self.path("after"),
            output=self.output,
            **options,
        )

    def found(self) -> GateRecord:
        return read_json(self.output, GateRecord)
