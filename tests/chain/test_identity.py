"""Results are told by the content of what they were made from: small runs through Make, inputs moved, aged, edited."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from tests.support.builders import snapshot
from tests.support.small_runs import ROOT, make, tickets
from verdicts.base.jsonl import write_rows

SMALL = (
    "window: {tickets: 6}\nloop: {max_epochs: 2}\nrollout: {max_new_tokens: 40}\n"
    "reflect: {max_new_tokens: 120, groups: 1}\n"
)
NOTHING = "Nothing to be done"


def made(*words: str, **more) -> str:
    """What make said, of a call that went well."""
    done = make(*words, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A folder with tickets, a configuration and the finished run ``runs/r/bbu_line`` made from them."""
    folder = tmp_path_factory.mktemp("whole")
    write_rows(folder / "tickets.jsonl", tickets())
    (folder / "small.yaml").write_text(SMALL, encoding="utf-8")
    made(
        "distill",
        f"RUNS={folder / 'runs'}",
        "RUN=r",
        f"STAGE_A={folder / 'tickets.jsonl'}",
        f"CONFIG={folder / 'small.yaml'}",
    )
    return folder


@pytest.fixture
def run(whole, tmp_path) -> Path:
    """A copy of the run, all files dated anyhow, in a folder of its own; tickets and configuration stay in place."""
    shutil.copytree(whole / "runs", tmp_path / "runs")
    dates = random.Random(1)
    for path in (tmp_path / "runs").rglob("*"):
        os.utime(path, (dates.randint(0, 1_700_000_000),) * 2)
    return tmp_path / "runs" / "r" / "bbu_line"


def words(run: Path) -> list[str]:
    return [f"RUNS={run.parent.parent}", "RUN=r"]


def test_a_copied_run_stands_whatever_its_files_are_dated(run):
    before = snapshot(run)
    assert NOTHING in made("distill", *words(run))
    assert snapshot(run) == before


def test_a_hand_edit_with_an_old_date_is_seen_and_no_model_is_asked_for_what_stands(run):
    path = run / "rounds/0001/selections.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[0]["reason"] = "手工改写的理由"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    os.utime(path, (1, 1))
    said = made("distill", *words(run))
    assert "reflect 0001" in said and "rollout 0001" not in said
    assert "手工改写的理由" in path.read_text(encoding="utf-8")


def test_a_round_whose_tool_was_killed_before_it_wrote_its_note_is_played_again(run):
    before, note = snapshot(run), run / "rounds/0001/.made/rollout.json"
    note.unlink()
    assert "rollout 0001" in made("distill", *words(run))
    after = snapshot(run)
    assert note.exists() and {name: data for name, data in after.items() if name != "run.log"} == {
        name: data for name, data in before.items() if name != "run.log"
    }


def test_tickets_replaced_by_older_ones_at_the_same_path_are_played(whole, run, tmp_path):
    source = tmp_path / "tickets.jsonl"
    shutil.copy(whole / "tickets.jsonl", source)
    assert NOTHING in made("distill", *words(run), f"STAGE_A={source}")  # the same content elsewhere
    write_rows(source, tickets(first=10))
    os.utime(source, (1, 1))
    refused = make("distill", *words(run), f"STAGE_A={source}")
    assert refused.returncode == 2 and "was made with STAGE_A=" in refused.stderr and "REMAKE=1" in refused.stderr
    said = made("distill", *words(run), f"STAGE_A={source}", "REMAKE=1")
    assert "rollout 0001" in said and "t10" in (run / "distill_chatml.jsonl").read_text(encoding="utf-8") + (
        run / "selections.jsonl"
    ).read_text(encoding="utf-8")
    write_rows(source, tickets(first=20))
    os.utime(source, (1, 1))
    assert "rollout 0001" in made("distill", *words(run))  # the run's own source, edited


def test_a_run_keeps_the_model_set_and_configuration_that_it_was_made_with(whole, run, tmp_path):
    assert NOTHING in made("distill", *words(run))

    def state() -> dict:
        return {name: data for name, data in snapshot(run).items() if name != "run.log"}

    for other in ("MODELS=qwen3", "CONFIG=", f"CONFIG={tmp_path / 'other.yaml'}"):
        (tmp_path / "other.yaml").write_text("window: {tickets: 3}\n", encoding="utf-8")
        before = state()
        done = make("distill", *words(run), other)
        assert done.returncode == 2 and "REMAKE=1" in done.stderr and state() == before


@pytest.mark.parametrize(
    "name",
    [
        "two words.jsonl",
        "it's.jsonl",
        "a$b#;c.jsonl",
        "$(touch evil).jsonl",
        "`touch evil`.jsonl",
        '"quoted".jsonl',
        "a&b|c.jsonl",
        "百分之%.jsonl",
    ],
)
def test_a_path_may_hold_whatever_a_file_name_may(run, tmp_path, name):
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    write_rows(folder / name, tickets())
    said = make("distill", *words(run), f"STAGE_A={folder / name}")
    assert said.returncode == 0 and NOTHING in said.stdout, said.stderr
    (folder / name).write_text("no ticket\n", encoding="utf-8")
    said = make("distill", *words(run), f"STAGE_A={folder / name}", "REMAKE=1")
    assert said.returncode == 2 and f"{folder / name}:1: not valid JSON" in said.stderr
    assert not (ROOT / "evil").exists() and not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("RUN=a b", "RUN=a b: is no plain name"),
        ("RUN=../../x", "RUN=../../x: is no plain name"),
        ("RUN=", "RUN=: is no plain name"),
        ("RUN=..", "RUN=..: is no plain name"),
        ("RUN=x$(touch evil)", "is no plain name"),
        ("RUN=x;touch evil", "is no plain name"),
        ("RUNS=my runs", "RUNS=my runs: is no plain folder"),
        ("FUSION=a/../b", "FUSION=a/../b: is no plain name"),
        ("MISSION=BBU", "MISSION=BBU: is no mission slug"),
        ("MISSION=bbu_lin", "unknown MISSION 'bbu_lin'; did you mean bbu_line"),
        ("MODELS=miniatur", "unknown MODELS 'miniatur'; did you mean miniature"),
        ("MISION=bbu_wind", "unknown variable MISION; did you mean MISSION?"),
        ("STAGE_A=a\nb", "STAGE_A='a\\nb' holds a line end"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_in_one_sentence(word, message):
    done = make("distill", word)
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert len([line for line in done.stderr.splitlines() if not line.startswith("make")]) <= 1
    assert not (ROOT / "evil").exists()


def test_a_misspelt_target_gets_the_nearest():
    done = make("distil")
    assert done.returncode == 2 and "unknown target distil; did you mean distill?" in done.stderr


def test_nothing_of_a_run_folder_is_read_as_makes_or_the_shells_language(run, tmp_path):
    evil = tmp_path / "evil"
    (run / "config" / "prepared.mk").write_text(f"$(shell touch {evil})\n", encoding="utf-8")
    (run / "config" / "tickets.json").write_text(
        json.dumps({"source": f"x'; touch {evil}; '$(shell touch {evil})", "sha256": "0" * 64}), encoding="utf-8"
    )
    (run / "config" / "made_with.json").write_text(
        json.dumps({"models": f"$(shell touch {evil})", "fusion": f"a; touch {evil}"}), encoding="utf-8"
    )
    note = run / ".made" / "collect.json"
    value = json.loads(note.read_text(encoding="utf-8"))
    value["outputs"].append(f"$(shell touch {evil})")
    value["inputs"][f"$(shell touch {evil})"] = "0"
    note.write_text(json.dumps(value), encoding="utf-8")
    for goal in ("report", "show", "review-page", "check", "distill", "gate", "why"):
        make(goal, *words(run), f"FILE={run / 'guidance.json'}")
    make("-n", "distill", *words(run))
    assert not evil.exists()


def test_make_b_makes_all_again_and_a_changed_module_does_where_dev_says_so(whole, tmp_path):
    for name in ("make", "configs", "tools", "verdicts", "miniature"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")
    shutil.copytree(whole / "runs", tmp_path / "runs")
    run = tmp_path / "runs" / "r" / "bbu_line"
    assert NOTHING in made("distill", "RUN=r", folder=tmp_path)
    before = snapshot(run)
    again = made("-B", "distill", "RUN=r", folder=tmp_path)
    assert "rollout 0001" in again and "reflect 0001" in again and "distill: " in again
    assert {name: data for name, data in snapshot(run).items() if name != "run.log"} == {
        name: data for name, data in before.items() if name != "run.log"
    }
    assert NOTHING in made("distill", "RUN=r", folder=tmp_path)
    with (tmp_path / "verdicts/stage_b/selection.py").open("a", encoding="utf-8") as module:
        module.write("# a change\n")
    assert NOTHING in made("distill", "RUN=r", folder=tmp_path)
    said = made("distill", "RUN=r", "DEV=1", folder=tmp_path)
    assert "rollout 0001" in said and "guidance step 0:" not in said  # apply does not import it
    assert NOTHING in made("distill", "RUN=r", "DEV=1", folder=tmp_path)


def test_reading_a_run_writes_its_own_page_alone(run):
    (run / "stage_a.jsonl").write_text(
        (run / "stage_a.jsonl").read_text(encoding="utf-8").replace('"pass"', '"fail"', 1), encoding="utf-8"
    )
    for goal, page in (
        ("report", "report.html"),
        ("show", ""),
        ("review-page", "review.html"),
        ("check", ""),
        ("why", ""),
    ):
        before = {
            name: data
            for name, data in snapshot(run.parent.parent).items()
            if not name.endswith(("run.log", page or "run.log"))
        }
        make(goal, *words(run), f"FILE={run / 'guidance.json'}")
        make("-n", "distill", *words(run))
        after = {
            name: data
            for name, data in snapshot(run.parent.parent).items()
            if not name.endswith(("run.log", page or "run.log"))
        }
        assert after == before, goal
    done = make("report", f"RUNS={run.parent.parent}", "RUN=never")
    assert done.returncode == 2 and not (run.parent.parent / "never").exists()


def test_relearning_takes_what_people_decided_since(run):
    (run / "review_decisions.jsonl").write_text(
        '{"ticket_key": "t1::fail", "decision": "exclude", "note": ""}\n', encoding="utf-8"
    )
    said = made("distill", *words(run))
    assert "reflect" not in said and "distill: " in said
    said = made("relearn", *words(run))
    assert "reflect 0001" in said and "rollout 0001" not in said
    assert (run / "rounds/0000/review_decisions.jsonl").read_text(encoding="utf-8") == (
        run / "review_decisions.jsonl"
    ).read_text(encoding="utf-8")
    assert "reflect 0001" not in made("relearn", *words(run))


@pytest.mark.parametrize(
    "given", [["RUN=..", "MISSION=tools"], ["RUN=", "MISSION="], ["RUN=r", "MISSION=bbu_wind"], [], ["RUN=other"]]
)
def test_clean_deletes_nothing_but_a_run_that_is_named_and_recognised(run, given):
    other = run.parent.parent / "other" / "bbu_line"
    other.mkdir(parents=True)
    (other / "letters.txt").write_text("mine", encoding="utf-8")
    before = snapshot(run.parent.parent)
    done = make("clean", f"RUNS={run.parent.parent}", *given)
    assert done.returncode == 2 and snapshot(run.parent.parent) == before


def test_clean_deletes_a_run(run):
    made("clean", *words(run))
    assert not run.exists() and run.parent.parent.exists()
