"""A little run with everything that tools read, for tools/chaos_inputs.py: good files, and how each is read."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.support.builders import call
from tests.support.fusing import Bench as FuseBench
from tests.support.judging import Bench as GateBench
from tests.support.report_runs import learnt_run
from verdicts.base.jsonl import decode_json, read_json, write_json, write_rows, write_text
from verdicts.base.part_file import PartFile
from verdicts.config.load import load, mission_name
from verdicts.config.tools import SECTION_FILES, read_section, section_text
from verdicts.corpus.mix import Manifest
from verdicts.corpus.mix_config import read_fusion
from verdicts.corpus.rows import read_fused
from verdicts.evaluation.pairs import read_evaluation
from verdicts.evaluation.questions import Trained, read_photo_questions, read_trained
from verdicts.guidance.past import read_past
from verdicts.photos.intake import read_input
from verdicts.records.guidance import read_guidance
from verdicts.records.reflection import Reflection, RejectedOperation, RuleTally, Tally
from verdicts.records.review import ReviewDecision, read_decisions
from verdicts.records.rollout import Trajectory
from verdicts.records.run_folder import ROUND_FILES, RUN_FILES, stream_file
from verdicts.records.tickets import Refused, read_tickets
from verdicts.report.data import TicketsSource, read_config
from verdicts.review.audit import read_audited
from verdicts.review.given import read_reviewers
from verdicts.review.spreadsheet import read_given
from verdicts.runs.diff import read_end
from verdicts.runs.standing import held_out_of
from verdicts.student.summaries import PhotoAnswer
from verdicts.tables.parquet import write_parquet

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


class Kind(NamedTuple):
    """A kind of file: its path below the samples, what reads it alone, and the tools that meet it in a run."""

    path: Path
    read: Callable[[Path], object]
    tools: tuple[Callable[["Samples"], object], ...] = ()


def read_file_rows(path: Path, model: type) -> list:
    """All records of a file of a run, read as the tools read them."""
    return [row for _, row in stream_file(path, model)]


class Samples:
    """All samples below one folder, and the working directory for the tools (fuse's sources are relative)."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.run = learnt_run(folder / "runs" / "one" / "bbu_line")
        self._learn()
        self.run.complete()
        self._configure()
        self._review()
        self._evaluate()
        self._fuse()
        self._parts()
        shutil.copytree(CONFIGS, folder / "configs")
        self._import()

    def _learn(self) -> None:
        """Records with all that learning writes: lives of rules, trials with level and tickets, how many were tried."""
        folder = self.run.rounds / "0002"
        life, call = read_file_rows(folder / "reflection.jsonl", Reflection)
        seen = RuleTally(
            hits=1, misses=5, errors=2, corrects=9, gives="fail", fresh=Tally(hits=0, misses=2, errors=1, corrects=4)
        )
        life = life.model_copy(
            update={"tallies": {"G1": seen}, "verdicts": {"fail/pass": 1, "pass/fail": 1, "pass/pass": 1}}
        )
        trial = call.applied[0].trial.model_copy(
            update={"level": 0.0268, "harm": 0.01, "foreign": "标签", "tickets": ["a::pass", "b::fail"]}
        )
        applied = call.applied[0].model_copy(update={"trial": trial})
        why = "does_harm: broke 3 of 9 right, 9.0% more of the other error"
        lost = RejectedOperation(
            op={"op": "add", "text": "须见挡风板"}, why=why, trial=trial.model_copy(update={"tickets": []})
        )
        write_rows(
            folder / "reflection.jsonl",
            [
                life,
                call.model_copy(
                    update={"applied": [applied], "rejected": [lost], "trials": 0, "ticket_keys": ["b::fail"]}
                ),
            ],
        )
        folder = self.run.rounds / "0003"
        (gone,) = read_file_rows(folder / "reflection.jsonl", Reflection)
        write_rows(
            folder / "reflection.jsonl",
            [gone.model_copy(update={"left": {"G1": "breaks_too_many: 1 right, 5 wrong"}, "trials": 3})],
        )

    def _configure(self) -> None:
        config = load("miniature", "bbu_line", configs=CONFIGS)
        for tool in SECTION_FILES:
            write_text(self.run.folder / "config" / f"{tool}.yaml", section_text(config, tool))
        write_json(self.run.folder / "config" / "tickets.json", {"source": "tickets.jsonl", "sha256": "0" * 64})
        write_text(
            self.folder / "overlay.yaml",
            yaml.safe_dump({"rollout": {"seed": 3}, "mission": {"rules": ["标签要能读"]}}, allow_unicode=True),
        )

    def _review_from_elsewhere(self) -> None:
        """Decisions as Label Studio exports them in its two forms, and in a table."""
        part = {"from_name": "decision", "to_name": "said", "type": "choices", "value": {"choices": ["exclude"]}}
        note = {"from_name": "note", "to_name": "said", "type": "textarea", "value": {"text": ["看不清"]}}
        who = {
            "completed_by": {"id": 1, "email": "a@b.c"},
            "was_cancelled": False,
            "updated_at": "2026-11-26T22:45:40Z",
        }
        task = {"id": 5, "drafts": [], "data": {"ticket_key": "b::fail"}}
        task["annotations"] = [who | {"id": 7, "result": [part, note]}]
        small = {"ticket_key": "b::fail", "id": 5, "decision": "exclude", "annotator": 1, "annotation_id": 7}
        write_text(self.folder / "export.json", json.dumps([task]))
        write_text(self.folder / "export.min.json", json.dumps([small]))
        write_text(self.run.folder / "audit_decisions.jsonl", '{"ticket_key":"b::fail","audit":"right","note":"好"}\n')
        rows = [ReviewDecision(ticket_key="b::fail", decision="exclude", note="看不清")]
        write_parquet(self.folder / "decided.parquet", ReviewDecision, rows)

    def _review(self) -> None:
        folder = self.run.folder
        write_rows(
            self.folder / "given.jsonl",
            [
                ReviewDecision(ticket_key="b::fail", decision="exclude", note="看不清"),
                ReviewDecision(ticket_key="d::fail", decision="label_wrong"),
            ],
        )
        assert call("review_apply", run_dir=folder, decisions=self.folder / "given.jsonl").code == 0
        assert call("review_apply", run_dir=folder, export=self.folder / "review.csv").code == 0
        self._review_from_elsewhere()
        write_rows(
            folder / "summaries" / "stage_a.refused.jsonl",
            [Refused(image="1.jpg", group_id="g", label="pass", reason="broken", detail="x")],
        )
        shutil.copy(folder / "stage_a.jsonl", folder / "summaries" / "stage_a.jsonl")
        write_rows(
            self.folder / "manifest.jsonl",
            [
                {"group_id": "g", "label": "pass", "images": ["1.jpg"]},
                {"group_id": "h", "label": "fail", "images": ["2.jpg", "3.jpg"]},
            ],
        )

    def _evaluate(self) -> None:
        (self.run.folder / "evaluation").mkdir()
        assert GateBench(self.run.folder / "evaluation").gate().code == 0

    def _fuse(self) -> None:
        self.bench = FuseBench(self.folder)
        self.bench.configure(*self.sources(), seed=17)
        assert self.fuse().code == 0

    def _import(self) -> None:
        box, outline = (
            {"desc": "BBU设备/华为", "bbox_2d": [1, 2, 20, 30]},
            {"desc": "挡风板", "poly": [1, 1, 9, 1, 9, 9, 1, 9]},
        )
        line = {"desc": "电线/捆扎整齐", "line": [1, 2, 9, 9, 30, 4], "line_points": 3}
        size = {"width": 32, "height": 32}
        photos = [[f"photos/{number}.png"] for number in range(6)]
        rows: list[dict] = [
            *({"images": photo, "objects": [box, outline, line], "summary": "电线×1", **size} for photo in photos[:3]),
            {"images": photos[3], "summary": "无关图片", "objects": [box | {"bbox_2d": [0, 0, 32, 32]}], **size},
            {"images": photos[4], "summary": '{"统计": [{"类别": "电线"}]}', "metadata": {"domain": "bbu"}, **size},
            {"messages": [{"role": "user", "content": "一加一？"}, {"role": "assistant", "content": "二"}]},
        ]
        write_rows(self.folder / "in" / "rows.jsonl", rows)
        assert import_rows(self).code == 0

    @staticmethod
    def sources() -> list[dict]:
        from tests.support.fusing import source

        return [source("chat", "chat"), source("dense", "dense"), source("summary", "summary")]

    def _parts(self) -> None:
        rows = read_file_rows(self.run.folder / "trajectories.jsonl", Trajectory)
        part = PartFile(self.folder / "rollout.part.jsonl", "inputs", list[tuple[list[Trajectory], list[str]]])
        part.load()
        for row in rows[:6]:
            part.append([([row.model_dump(mode="json")], ["stop"])])
        part = PartFile(self.folder / "summarize.part.jsonl", "inputs", list[PhotoAnswer])
        part.load()
        part.append(
            [
                PhotoAnswer(image="1.jpg", sha256="0", summary="标签/可读×1", reason=None, detail="").model_dump(
                    mode="json"
                )
            ]
        )
        part = PartFile(self.folder / "evaluate.part.jsonl", "inputs", list[tuple[str, bool]])
        part.load()
        part.append([("Verdict: 通过\nReason: 好", True), ("[]", False)])

    def fuse(self):
        """Run fuse on the mix."""
        return call("fuse", config="mix.yaml", output_dir="out")

    def kinds(self) -> list[Kind]:
        """Every kind of file with its readers."""
        made = [*self.records(), *self.read_otherwise(), *self.configurations(), *self.of_student()]
        return [kind for kind in made if kind.path.exists()]

    def records(self) -> Iterator[Kind]:
        """Files of a run and of a round by their record models, and each tool's section."""
        run = self.run.folder
        whole = (check, show, report, diff, collect, aggregate, distill, review_page, review_apply)
        for name, model in RUN_FILES.items():
            yield Kind(run / name, reader_of(name, model), whole)
        for name, model in ROUND_FILES.items():
            yield Kind(run / "rounds" / "0002" / name, reader_of(name, model), (*whole, apply))
        for tool, section in SECTION_FILES.items():
            read = partial(read_section, model=section)
            yield Kind(run / "config" / f"{tool}.yaml", read, whole)

    def read_otherwise(self) -> list[Kind]:
        """Files of a run as readers of their own see them, decisions, and photos."""
        run = self.run.folder
        tickets = {ticket.ticket_key: ticket for ticket in read_tickets(run / "stage_a.jsonl")}
        keys = set(tickets)
        rules = read_guidance(run / "rounds" / "0002" / "guidance.json", mission_name("bbu_line", CONFIGS))
        return [
            *(
                Kind(
                    run / "rounds" / "0002" / name, lambda path: read_past(path.parents[1], 3, rules, 4, 1, tickets, {})
                )
                for name in ("reflection.jsonl", "selections.jsonl")
            ),
            Kind(run / "config" / "collect.yaml", lambda path: held_out_of(path.parents[1]), (distill, show)),
            Kind(run / "config" / "tickets.json", lambda path: read_json(path, TicketsSource), (report, check)),
            Kind(self.folder / "given.jsonl", lambda path: read_given(path, keys), (review_apply_given,)),
            Kind(self.folder / "review.csv", lambda path: read_given(path, keys), (review_apply_table,)),
            *(
                Kind(self.folder / name, lambda path: read_reviewers([path], keys))
                for name in ("export.json", "export.min.json", "decided.parquet")
            ),
            Kind(self.folder / "manifest.jsonl", read_input),
            Kind(self.folder / "overlay.yaml", lambda path: load("miniature", "bbu_line", path, CONFIGS)),
        ]

    def configurations(self) -> list[Kind]:
        """Layers of the configuration."""
        return [
            Kind(self.folder / "configs" / "base.yaml", lambda path: load("miniature", "bbu_line", None, path.parent)),
            Kind(
                self.folder / "configs" / "missions" / "bbu_line.yaml",
                lambda path: (
                    load("miniature", "bbu_line", None, path.parents[1]),
                    mission_name("bbu_line", path.parents[1]),
                ),
            ),
            Kind(
                self.folder / "configs" / "models" / "miniature.yaml",
                lambda path: load("miniature", "bbu_line", None, path.parents[1]),
            ),
            Kind(self.folder / "mix.yaml", read_fusion, (Samples.fuse,)),
        ]

    def of_student(self) -> list[Kind]:
        """What the student's tools read and write, unfinished files, and files that a second reader reads."""
        run = self.run.folder
        keys = {ticket.ticket_key for ticket in read_tickets(run / "stage_a.jsonl")}
        questions = Trained(Path("trained"), frozenset(), frozenset())
        return [
            *(
                Kind(self.folder / "in" / f"{name}.jsonl", json_lines, (Samples.fuse,))
                for name in ("chat", "dense", "summary")
            ),
            Kind(
                self.folder / "out" / "mix.train.jsonl",
                lambda path: (list(read_fused(path)), read_trained(path)),
                (check_fused,),
            ),
            Kind(self.folder / "in" / "rows.jsonl", lambda path: path.read_bytes(), (import_rows,)),
            Kind(self.folder / "out" / "mix.manifest.json", lambda path: read_json(path, Manifest)),
            Kind(self.folder / "in" / "summary.jsonl", lambda path: read_photo_questions(path, "summary", questions)),
            Kind(
                self.folder / "rollout.part.jsonl",
                lambda path: PartFile(path, "inputs", list[tuple[list[Trajectory], list[str]]]).load(),
            ),
            Kind(
                self.folder / "summarize.part.jsonl",
                lambda path: PartFile(path, "inputs", list[PhotoAnswer]).load(lambda value: True),
            ),
            Kind(
                self.folder / "evaluate.part.jsonl",
                lambda path: PartFile(path, "inputs", list[tuple[str, bool]]).load(),
            ),
            Kind(run / "evaluation" / "after.json", read_evaluation, (gate,)),
            Kind(run / "guidance.json", lambda path: read_guidance(path, "BBU接地线检查"), (diff,)),
            Kind(run / "review_decisions.jsonl", lambda path: read_decisions(path, keys), (distill,)),
            Kind(run / "audit_decisions.jsonl", read_audited, (distill, show, report, review_page)),
            Kind(run / "stage_a.jsonl", read_tickets, (distill,)),
            Kind(run / "config" / "rollout.yaml", lambda path: read_config(path.parents[1]), (report,)),
            Kind(run / "selections.jsonl", lambda path: read_end(path.parent), (diff,)),
        ]


def reader_of(name: str, model: type) -> Callable[[Path], object]:
    """How a file of these records is read: one object, or one a line."""
    read = read_json if name.endswith(".json") else read_file_rows
    return lambda path: read(path, model)


def json_lines(path: Path) -> object:
    """A file's lines as values, whatever they hold."""
    from tests.support.builders import numbered_lines

    return [decode_json(text, path, line) for line, text in numbered_lines(path)]


def import_rows(samples: Samples):
    return call("import_data", data="in/rows.jsonl", name="rows", output_dir="imported", mission="bbu_line")


def check(samples: Samples):
    return samples.run.check()


def collect(samples: Samples):
    return samples.run.collect()


def aggregate(samples: Samples):
    return samples.run.aggregate_review()


def distill(samples: Samples):
    return samples.run.distill(samples.run.folder / "review_decisions.jsonl")


def show(samples: Samples):
    return call("show", run_dir=samples.run.folder)


def report(samples: Samples):
    return call("report", run_dir=samples.run.folder, output=samples.folder / "report.html")


def diff(samples: Samples):
    return call("diff_runs", a=samples.run.folder, b=samples.run.folder)


def review_page(samples: Samples):
    return call("review_page", run_dir=samples.run.folder, output=samples.folder / "review.html")


def review_apply(samples: Samples):
    return call("review_apply", run_dir=samples.run.folder)


def review_apply_given(samples: Samples):
    return call("review_apply", run_dir=samples.run.folder, decisions=samples.folder / "given.jsonl")


def review_apply_table(samples: Samples):
    return call("review_apply", run_dir=samples.run.folder, decisions=samples.folder / "review.csv")


def apply(samples: Samples):
    before, round_ = samples.run.folder / "rounds" / "0001", samples.run.folder / "rounds" / "0002"
    return call(
        "apply",
        config=samples.run.folder / "config" / "guidance.yaml",
        guidance=before / "guidance.json",
        reflection=round_ / "reflection.jsonl",
        output=samples.folder / "applied.json",
    )


def check_fused(samples: Samples):
    return call("check_fused", input="out/mix.train.jsonl")


def gate(samples: Samples):
    folder = samples.run.folder / "evaluation"
    return call(
        "gate",
        config=samples.run.folder / "config" / "gate.yaml",
        before=folder / "before.json",
        after=folder / "after.json",
        output=samples.folder / "gate.json",
    )
