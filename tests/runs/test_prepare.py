"""tools.prepare through its command."""

import json
import os
from pathlib import Path

import pytest
import yaml

from tests.support.builders import MISSION, Outcome, call, snapshot, ticket
from verdicts.base.jsonl import write_rows, write_text
from verdicts.config.tools import SECTION_FILES

ROOT = Path(__file__).resolve().parents[2]
TICKETS = [ticket("a"), ticket("b", "fail")]


class Run:
    """A run folder to prepare."""

    def __init__(self, folder):
        self.folder, self.source, self.overlay = folder / "run", folder / "tickets.jsonl", folder / "overlay.yaml"
        self.kept = self.folder / "stage_a.jsonl"
        write_rows(self.source, TICKETS)

    def prepare(
        self,
        source=None,
        overlay: str | None = None,
        mission: str = "bbu_line",
        models: str = "miniature",
        **options: object,
    ) -> Outcome:
        if overlay is not None:
            write_text(self.overlay, overlay)
        given = {"overlay": self.overlay} if overlay is not None else {}
        return call(
            "prepare",
            models=models,
            mission=mission,
            tickets=source or self.source,
            run_dir=self.folder,
            **given,
            **options,
        )

    def age(self) -> None:
        """Make every file of the run old, so that a rewritten one shows."""
        for path in self.folder.rglob("*"):
            os.utime(path, (1, 1))

    def rewritten(self) -> set[str]:
        return {path.name for path in self.folder.rglob("*") if path.is_file() and path.stat().st_mtime > 1}


@pytest.fixture
def run(tmp_path) -> Run:
    run = Run(tmp_path)
    outcome = run.prepare(overlay="{}")
    assert outcome.code == 0 and "2 from" in outcome.last_line and "1 fail, 1 pass" in outcome.last_line
    run.age()
    return run


def test_each_tool_gets_its_own_sections_and_no_other(run):
    for tool, model in SECTION_FILES.items():
        assert list(yaml.safe_load((run.folder / "config" / f"{tool}.yaml").read_text(encoding="utf-8"))) == list(
            model.model_fields
        )
    assert run.kept.read_bytes() == run.source.read_bytes()


def test_nothing_new_rewrites_nothing_and_says_nothing(run):
    assert run.prepare().err == ""
    assert run.rewritten() == set()


@pytest.mark.parametrize(
    ("overlay", "rewritten"),
    [
        ("distill: {val_share: 0.2}", {"distill.yaml"}),
        ("compat: {manual_review_queue: true}", {"aggregate_review.yaml"}),
        ("review: {policy: label_suspect}", {"reflect.yaml"}),
        ("reflect: {temperature: 0.1}", {"reflect.yaml"}),
        ("life_cycle: {min_miss: 9}", {"reflect.yaml"}),
        ("learn: {holdout: 0.3}", {"reflect.yaml", "collect.yaml"}),
        ("loop: {max_epochs: 3}", {"loop.yaml"}),
        ("rollout: {seed: 1}", {"rollout.yaml"}),
        ("window: {tickets: 4}", {"rollout.yaml", "reflect.yaml", "loop.yaml"}),
        (
            "student: {n_threads: 3}",
            {
                "summarize.yaml",
                "sft.yaml",
                "evaluate.yaml",
                "predict.yaml",
                "export.yaml",
                "served.yaml",
                "lint_corpus.yaml",
                "behaviour.yaml",
            },
        ),
        ("sft: {rank: 4}", {"sft.yaml", "lint_corpus.yaml"}),
        ("lint: {examples: 3}", {"lint_corpus.yaml", "behaviour.yaml"}),
        ("behaviour: {seed: 1}", {"behaviour.yaml"}),
        ("gate: {max_frr: 0.1}", {"gate.yaml", "export_gate.yaml"}),
        ("llama_server: {slots: 4}", {"served.yaml", "export_gate.yaml"}),
        ("engine: {slots: 5}", {"rollout.yaml", "reflect.yaml", "behaviour.yaml"}),
        (
            "mission: {g0: 须见标签}",
            {
                "guidance.yaml",
                "rollout.yaml",
                "reflect.yaml",
                "distill.yaml",
                "evaluate.yaml",
                "predict.yaml",
                "served.yaml",
                "behaviour.yaml",
                "suspects.yaml",
            },
        ),
    ],
)
def test_a_knob_rewrites_the_files_of_the_tools_that_read_it_and_no_other(run, overlay, rewritten):
    assert run.prepare(overlay=overlay).code == 0
    assert run.rewritten() - {"made_with.json"} == rewritten


def test_the_section_files_of_an_older_run_stay_until_a_knob_changes(run):
    path = run.folder / "config" / "rollout.yaml"
    older = path.read_text(encoding="utf-8").replace("engine:\n", "engine:\n  base_url: ''\n  retries: 5\n")
    path.write_text(older, encoding="utf-8")
    assert run.prepare().code == 0
    assert path.read_text(encoding="utf-8") == older
    assert run.prepare(overlay="engine: {slots: 5}").code == 0
    assert "base_url" not in path.read_text(encoding="utf-8")


def test_tickets_edited_by_hand_stay_while_their_source_stays(run):
    write_rows(run.kept, TICKETS[:1])
    assert run.prepare().err == ""
    assert len(run.kept.read_text(encoding="utf-8").splitlines()) == 1


def test_the_same_content_under_another_path_overwrites_no_edit(run, tmp_path):
    write_rows(run.kept, TICKETS[:1])
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(run.source.read_bytes())
    assert run.prepare(copy).code == 0
    assert len(run.kept.read_text(encoding="utf-8").splitlines()) == 1


def test_a_source_with_new_content_is_taken_anew(run):
    write_rows(run.source, [*TICKETS, ticket("c")])
    outcome = run.prepare()
    assert outcome.last_line == f"tickets: 3 from {run.source} (of {MISSION}: 1 fail, 2 pass)"
    assert run.kept.read_bytes() == run.source.read_bytes()
    assert run.rewritten() == {"stage_a.jsonl", "tickets.json"}


def test_a_run_outlives_its_source(run):
    run.source.unlink()
    outcome = run.prepare()
    assert (outcome.code, outcome.err, run.rewritten()) == (0, "", set())


def test_a_misspelt_source_is_named_even_where_the_run_holds_tickets_of_another(run, tmp_path):
    before = snapshot(run.folder)
    outcome = run.prepare(tmp_path / "tikets.jsonl")
    assert (outcome.code, outcome.err) == (2, f"{tmp_path}/tikets.jsonl: no such file; check the path\n")
    assert snapshot(run.folder) == before


def test_the_note_says_where_the_tickets_came_from(run):
    assert json.loads((run.folder / "config" / "tickets.json").read_text(encoding="utf-8"))["source"] == str(run.source)


def test_a_line_end_of_windows_and_a_byte_order_mark_are_not_taken_over(run):
    text = run.source.read_text(encoding="utf-8").replace("\n", "\r\n")
    run.source.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert run.prepare().code == 0
    assert run.kept.read_bytes() == text.replace("\r\n", "\n").encode()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mission": "nope"}, "unknown MISSION 'nope'; choose one of bbu_cable, bbu_install, bbu_line, bbu_wind"),
        ({"models": "gpt"}, "unknown MODELS 'gpt'; choose one of fake32b, miniature, qwen3"),
        (
            {"mission": "bbu_wind"},
            ":1: mission: 'BBU接地线检查' is not this run's mission '挡风板安装检查'; run it under its own MISSION",
        ),
        ({"overlay": "distil: {seed: 1}"}, "overlay.yaml: distil: unknown field; did you mean 'distill'?"),
        ({"overlay": "distill: {seeds: 1}"}, "overlay.yaml: distill.seeds: unknown field; did you mean 'seed'?"),
        (
            {"overlay": "distill: {val_share: 2}"},
            "overlay.yaml: distill.val_share: input should be less than or equal to 1 (2)",
        ),
        ({"overlay": ""}, "overlay.yaml: holds no mapping; "),
    ],
)
def test_a_mistake_is_one_line_and_a_new_run_folder_stays_away(tmp_path, fields, message):
    run = Run(tmp_path)
    outcome = run.prepare(**fields)
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1
    assert message in outcome.err
    assert not run.folder.exists()


def test_the_students_goals_of_a_run_without_tickets_write_the_sections_of_its_tools_alone(tmp_path):
    run = Run(tmp_path)
    assert call("prepare", models="miniature", mission="bbu_line", run_dir=run.folder, goals="sft").code == 0
    students = {"summarize.yaml", "sft.yaml", "evaluate.yaml", "gate.yaml", "predict.yaml"}
    students |= {
        "lint_corpus.yaml",
        "behaviour.yaml",
        "export.yaml",
        "served.yaml",
        "export_gate.yaml",
        "calibrate.yaml",
    }
    assert {path.name for path in run.folder.rglob("*") if path.is_file()} == students | {"made_with.json", "run.json"}
    run.age()
    assert run.prepare().code == 0
    assert run.rewritten() == {f"{tool}.yaml" for tool in SECTION_FILES} - students | {"stage_a.jsonl", "tickets.json"}


MADE_WITH = "was made with"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"models": "qwen3"}, "MODELS=miniature, not with MODELS=qwen3"),
        ({"overlay": "distill: {val_share: 0.2}", "elsewhere": True}, "CONFIG="),
        ({"source": "other.jsonl"}, "STAGE_A="),
    ],
)
def test_something_else_than_the_run_was_made_with_is_refused_and_made_where_remake_says_so(
    run, tmp_path, fields, named
):
    if fields.pop("elsewhere", False):
        run.overlay = tmp_path / "elsewhere.yaml"
    if "source" in fields:
        fields["source"] = tmp_path / fields["source"]
        write_rows(fields["source"], [ticket("z")])
    before = snapshot(run.folder)
    outcome = run.prepare(**fields)
    assert (
        outcome.code == 2
        and len(outcome.err.splitlines()) == 1
        and MADE_WITH in outcome.err
        and named in outcome.err
        and "REMAKE=1" in outcome.err
    )
    assert snapshot(run.folder) == before
    assert run.prepare(**fields, remake=True).code == 0
    assert snapshot(run.folder) != before


def test_what_is_not_named_is_what_the_run_was_made_with(run):
    before = snapshot(run.folder)
    assert call("prepare", mission="bbu_line", run_dir=run.folder).code == 0
    assert snapshot(run.folder) == before


def test_the_same_content_under_another_name_is_the_same(run, tmp_path):
    run.overlay = tmp_path / "another.yaml"
    assert run.prepare(overlay="{}").code == 0


@pytest.mark.parametrize("goals", ["sft", "review", "converge"])
def test_tickets_are_drawn_by_distill_alone_and_said_to_be_synthetic(tmp_path, goals, monkeypatch):
    folder = tmp_path / "miniature" / "bbu_line"
    drawn = {"mission": "bbu_line", "run_dir": folder}
    assert call("prepare", **drawn, goals=goals).code == (0 if goals == "sft" else 2)
    assert not (folder / "stage_a.jsonl").exists()
    outcome = call("prepare", **drawn, goals="distill")
    assert outcome.code == 0 and outcome.err.startswith("SYNTHETIC tickets: ")
    assert json.loads((folder / "config" / "tickets.json").read_text(encoding="utf-8"))["synthetic"] is True


def test_without_tickets_a_run_of_another_model_set_is_refused_and_nothing_is_drawn(tmp_path):
    outcome = call(
        "prepare", models="qwen3", mission="bbu_cable", run_dir=tmp_path / "qwen3" / "bbu_cable", goals="distill"
    )
    assert outcome.code == 2 and "no tickets for MISSION=bbu_cable; name them: STAGE_A=" in outcome.err
    assert not (tmp_path / "qwen3").exists()


def photo_manifest(folder, name: str, content: bytes = b"a photo") -> str:
    """A manifest of one photo that lies beside it."""
    write_text(
        folder / name / "manifest.jsonl", json.dumps({"group_id": "a", "label": "pass", "images": ["1.jpg"]}) + "\n"
    )
    (folder / name / "1.jpg").write_bytes(content)
    return str(folder / name / "manifest.jsonl")


def test_a_name_that_made_nothing_binds_nobody(tmp_path):
    folder, given = tmp_path / "run", {"mission": "bbu_line", "run_dir": tmp_path / "run", "goals": "summarize"}
    first, second = photo_manifest(tmp_path, "first"), photo_manifest(tmp_path, "second", b"another")
    assert call("prepare", photos=first, models="qwen3", **given).code == 0
    assert call("prepare", photos=second, models="miniature", **given).code == 0
    write_text(
        folder / "summaries/.made/stage_a.jsonl.json",
        json.dumps({"tool": "summarize", "arguments": ["--input", second], "outputs": [], "inputs": {}, "code": ""}),
    )
    refused = call("prepare", photos=first, **given)
    assert refused.code == 2 and f"was made with PHOTOS={second}, not with PHOTOS={first}" in refused.err


@pytest.mark.parametrize("word", [{"photos": "nowhere"}, {"fusion": "never"}])
def test_what_is_not_there_is_refused_and_not_remembered(tmp_path, word):
    refused = call("prepare", mission="bbu_line", run_dir=tmp_path / "run", goals="summarize", **word)
    assert (
        refused.code == 2
        and "no such file" in refused.err
        and len(refused.err.splitlines()) == 1
        and not (tmp_path / "run").exists()
    )


def test_a_manifest_is_told_by_its_photos_as_well(tmp_path):
    from verdicts.runs.naming import NamedPath

    first, second, third = (
        NamedPath.of_photos(photo_manifest(tmp_path, name, content))
        for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2"))
    )
    assert first.is_like(second) and not first.is_like(third)
    (tmp_path / "d.jsonl").write_bytes(b'{"images": 3}\n[]\n{"images": ["\\u0000", 1, "..", "x/y"]}\n\xff\n')
    assert NamedPath.of_photos(str(tmp_path / "d.jsonl")).path.endswith("d.jsonl")


def test_a_student_of_another_run_is_refused_and_its_name_not_remembered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    note = {
        "tool": "sft",
        "arguments": ["--config", "runs/other/bbu_line/config/sft.yaml"],
        "outputs": ["merged"],
        "inputs": {"rows.jsonl": "0" * 32},
        "code": "",
    }
    write_text(tmp_path / "checkpoints/demo/.made/sft.json", json.dumps(note))
    given = {
        "models": "miniature",
        "mission": "bbu_line",
        "run_dir": "runs/mine/bbu_line",
        "goals": "gate",
        "fusion": "demo",
    }
    refused = call("prepare", **given)
    assert (
        refused.code == 2
        and "was taught by runs/other/bbu_line, from other inputs than runs/mine/bbu_line's" in refused.err
        and not (tmp_path / "runs").exists()
    )
    monkeypatch.setenv("REMAKE", "1")
    assert call("prepare", **given).code == 0
