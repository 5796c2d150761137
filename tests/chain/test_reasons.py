"""People's reasons go to people and to reflection, and nowhere else: through the real tools, with the miniature."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from miniature.world.dataset import draw_tickets, sample_world, stage_a_rows
from tests.support.builders import call
from tests.support.verify import verify
from tests.support.whole_chain import make, rows
from verdicts.base.jsonl import dump, write_text
from verdicts.config.load import load
from verdicts.evaluation.questions import ticket_questions
from verdicts.records.guidance import read_guidance
from verdicts.records.reflection import Reflection
from verdicts.records.tickets import StageA, read_tickets
from verdicts.stage_b.prompts import load_prompts

SECRET = "独家暗语甲乙丙"  # in no vocabulary of the miniature
SHOWN_IN = {"stage_a.jsonl", "need_review.json", "report.html", "review.html"}


def drawn() -> list[dict]:
    """48 tickets of a world, a tenth of them with the wrong label; each failed one has the secret for a reason."""
    world = sample_world(3, "bbu_line")
    found = stage_a_rows(world, draw_tickets(world, 48, 3, 0.1))
    return [row | ({"fail_reasons": [SECRET, "补拍"]} if row["label"] == "fail" else {}) for row in found]


def with_other_reasons(tickets: list[dict]) -> list[dict]:
    return [row | ({"fail_reasons": ["地排端"]} if row["label"] == "fail" else {}) for row in tickets]


def without_reasons(tickets: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "fail_reasons"} for row in tickets]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run on tickets with reasons, with its report and review page."""
    folder = tmp_path_factory.mktemp("reasons")
    write_text(folder / "tickets.jsonl", "".join(dump(row) + "\n" for row in drawn()))
    named = (f"RUNS={folder}", "RUN=r", f"STAGE_A={folder / 'tickets.jsonl'}")
    make("distill", "report", "review-page", *named)
    return folder / "r" / "bbu_line"


def changed(run: Path, folder: Path, tickets: list[dict]) -> Path:
    """A copy of the run that has other tickets."""
    shutil.copytree(run, folder)
    write_text(folder / "stage_a.jsonl", "".join(dump(row) + "\n" for row in tickets))
    return folder


def made_again(run: Path) -> Mapping[str, bytes]:
    """What rollout, distill and fuse make of a run's tickets under its guidance, and what an evaluation asks."""
    config, out = run / "config", run / "again"
    tickets = run / "stage_a.jsonl"
    start = run / "rounds" / "0000" / "guidance.json"
    done = call("rollout", config=config / "rollout.yaml", stage_a=tickets, guidance=start, round=1, output_dir=out)
    assert done.code == 0, done.err
    view = {
        name: run / f"{name}.{kind}"
        for name, kind in (
            ("loop", "json"),
            ("selections", "jsonl"),
            ("guidance", "json"),
            ("need_review", "json"),
        )
    }
    done = call("distill", config=config / "distill.yaml", stage_a=tickets, output_dir=out, **view)
    assert done.code == 0, done.err
    one = {
        "name": "chat", "dataset": "chat", "template": "chatml", "paths": [str(out / "distill_chat.jsonl")],
        "val": {"share": 0}, "ratio": 1.0, "weight": 1.0, "fail_oversample": 1.0,
    }  # fmt: skip
    shutil.copy(out / "distill.train.jsonl", out / "distill_chat.jsonl")
    mix = {"seed": 17, "image_paths": "relative", "mix": {"by": "rows", "anchor": "chat", "tokenizer": ""}}
    write_text(out / "mix.yaml", yaml.safe_dump(mix | {"sources": [one]}))
    done = call("fuse", config=out / "mix.yaml", output_dir=out)
    assert done.code == 0, done.err
    whole = load("miniature", "bbu_line")
    rules = read_guidance(run / "guidance.json", whole.mission.name).experiences
    prompts = load_prompts(whole.prompts, whole.mission)
    asked = ticket_questions(read_tickets(tickets), prompts, prompts.stage_b_system(rules))
    files = {path.name: path.read_bytes() for path in out.glob("*.jsonl")}
    return files | {"questions": repr(asked).encode()}


def test_no_file_of_a_run_has_them_but_the_tickets_and_what_people_read(run):
    assert verify(run).returncode == 0
    having = {
        str(path.relative_to(run))
        for path in run.rglob("*")
        if path.is_file() and SECRET in path.read_text(encoding="utf-8", errors="replace")
    }
    waiting = json.loads((run / "need_review.json").read_text(encoding="utf-8"))["missions"]
    reasons = [ticket.get("fail_reasons") for mission in waiting.values() for ticket in mission["tickets"]]
    assert [SECRET, "补拍"] in reasons
    assert having == SHOWN_IN


def test_other_reasons_and_none_give_the_same_rollouts_corpus_mix_and_questions(run, tmp_path):
    as_it_is = made_again(changed(run, tmp_path / "a" / "m", drawn()))
    assert {"trajectories.jsonl", "selections.jsonl", "distill.train.jsonl", "mix.train.jsonl"} <= set(as_it_is)
    assert made_again(changed(run, tmp_path / "b" / "m", with_other_reasons(drawn()))) == as_it_is
    assert made_again(changed(run, tmp_path / "c" / "m", without_reasons(drawn()))) == as_it_is


def reflected(run: Path, tickets: list[dict], folder: Path, show: bool) -> list[tuple[str, str]]:
    """Prompt digest and answer of each call of the first round."""
    again = changed(run, folder, tickets)
    told = yaml.safe_load((again / "config" / "reflect.yaml").read_text(encoding="utf-8"))
    told["reflect"]["show_reasons"] = show
    write_text(again / "config" / "reflect.yaml", yaml.safe_dump(told, allow_unicode=True))
    done = call(
        "reflect", config=again / "config" / "reflect.yaml", stage_a=again / "stage_a.jsonl",
        guidance=again / "rounds" / "0000" / "guidance.json", round=1, round_dir=again / "rounds" / "0001",
    )  # fmt: skip
    assert done.code == 0, done.err
    records = [Reflection.model_validate(row) for row in rows(again / "rounds" / "0001" / "reflection.jsonl")]
    return [(record.prompt_digest, record.raw_response) for record in records[1:]]


def test_reflection_is_shown_them_where_the_knob_says_so_and_is_else_as_without(run, tmp_path):
    shown, other, hidden, none = (
        reflected(run, tickets, tmp_path / f"{number}" / "m", show)
        for number, (tickets, show) in enumerate(
            [(drawn(), True), (with_other_reasons(drawn()), True), (drawn(), False), (without_reasons(drawn()), True)]
        )
    )
    assert len(none) >= 1 and shown != other and shown != none
    assert hidden == none
    failed = [row for row in drawn() if row["label"] == "fail"]
    assert StageA.model_validate(failed[0]).fail_reasons == [SECRET, "补拍"]
