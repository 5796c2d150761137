"""What Make is told before it starts: which results hold, by content, and what is refused."""

import os
from pathlib import Path

import pytest

from verdicts.base.digests import digest_of_path
from verdicts.base.errors import UserError
from verdicts.base.jsonl import write_json, write_text
from verdicts.base.made import code_digest
from verdicts.runs.freshness import Fresh, first_few, out_of_date, refuse_unknown_mix
from verdicts.runs.naming import SUMMARIES, NamedPath

RUN = Path("runs/one/bbu_line")
DISTILL = RUN / "config" / "distill.yaml"


@pytest.fixture
def fresh(tmp_path, monkeypatch) -> Fresh:
    """A project with a run: selections made from tickets, a corpus made from selections and the configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEV", raising=False)
    monkeypatch.delenv("REMAKE", raising=False)
    for path in (RUN / "stage_a.jsonl", RUN / "selections.jsonl", RUN / "distill.train.jsonl", DISTILL):
        write_text(path, f"{path.name}\n")
    note(RUN, "collect", ["selections.jsonl"], ["stage_a.jsonl"])
    note(RUN, "distill", ["distill.train.jsonl"], ["selections.jsonl", "config/distill.yaml"])
    return Fresh(RUN, None)


def note(folder: Path, tool: str, outputs: list[str], inputs: list[str], arguments: tuple[str, ...] = ()) -> None:
    """What a tool notes of its results; names are those below the run."""
    made = {
        "tool": tool,
        "arguments": list(arguments),
        "outputs": [f"{{run}}/{name}" for name in outputs],
        "inputs": {f"{{run}}/{name}": digest_of_path(RUN / name) for name in inputs},
        "code": code_digest("tools." + tool),
    }
    write_json(folder / ".made" / f"{tool}.json", made)


def test_results_that_are_made_from_what_is_there_hold(fresh):
    assert fresh.changed() == {} and fresh.stale() == [] and out_of_date(RUN) is None


def test_a_result_made_from_another_input_is_stale_and_says_which(fresh):
    write_text(DISTILL, "another\n")
    assert fresh.changed() == {RUN / "distill.train.jsonl": ["{run}/config/distill.yaml"]}
    assert fresh.stale() == [str(RUN / "distill.train.jsonl")]
    assert str(out_of_date(RUN)) == (
        f"1 results were made from other inputs than those there now, {RUN}/distill.train.jsonl first "
        f"({DISTILL} changed since): make again what they are read for"
    )


def test_times_say_nothing(fresh):
    os.utime(RUN / "stage_a.jsonl")
    os.utime(RUN / "distill.train.jsonl", ns=(0, 0))
    assert fresh.changed() == {}


def test_everything_is_stale_where_all_is_asked_for(fresh):
    assert fresh.stale(everything=True) == [str(RUN / "distill.train.jsonl"), str(RUN / "selections.jsonl")]


def test_a_name_that_make_cannot_take_is_left_out(fresh):
    write_text(RUN / "a b.jsonl", "")
    note(RUN, "apply", ["a b.jsonl"], ["stage_a.jsonl"])
    assert str(RUN / "a b.jsonl") not in fresh.stale(everything=True)


def test_results_are_dated_behind_their_inputs_in_order(fresh):
    """A copy has dated them anyhow: the corpus before the selections, these before the tickets."""
    for age, name in enumerate(("stage_a.jsonl", "selections.jsonl", "distill.train.jsonl")):
        os.utime(RUN / name, ns=(10**18 - age * 10**9,) * 2)
    fresh.align()
    times = [(RUN / name).stat().st_mtime_ns for name in ("stage_a.jsonl", "selections.jsonl", "distill.train.jsonl")]
    assert times == sorted(times) and times[0] == 10**18


def test_what_is_out_of_date_keeps_its_time(fresh):
    write_text(DISTILL, "another\n")
    os.utime(RUN / "distill.train.jsonl", ns=(10**18,) * 2)
    fresh.align()
    assert (RUN / "distill.train.jsonl").stat().st_mtime_ns == 10**18


def test_a_rounds_file_without_a_note_is_made_again_unless_the_run_has_no_notes_at_all(fresh):
    for name in ("0000/guidance.json", "0001/selections.jsonl"):
        write_text(RUN / "rounds" / name, "")
    assert fresh.changed() == {}
    note(RUN / "rounds" / "0000", "next_round", ["rounds/0000/guidance.json"], [])
    assert fresh.changed() == {RUN / "rounds/0001/selections.jsonl": ["no note of what it was made from"]}


@pytest.mark.parametrize(("named", "stale"), [("photos", False), ("copy", False), ("other", True)])
def test_summaries_are_of_the_photos_named_now_by_place_or_content(fresh, named, stale):
    for folder, text in (("photos", "1"), ("copy", "1"), ("other", "2")):
        write_text(Path(folder) / "a.jpeg", text)
    write_text(RUN / SUMMARIES, "")
    digest = digest_of_path(Path("photos"))
    made = {"tool": "summarize", "arguments": ["--input", "photos"], "outputs": [f"{{run}}/{SUMMARIES}"]}
    write_json(RUN / "summaries" / ".made" / "summarize.json", made | {"inputs": {"photos": digest}, "code": ""})
    found = Fresh(RUN, None, NamedPath.of(named)).changed()
    assert found == ({RUN / SUMMARIES: [f"PHOTOS={named}"]} if stale else {})


def test_the_sources_of_a_mix_are_the_runs_corpus_and_files_that_are_there(fresh):
    corpus = [str(RUN / "distill.train.jsonl"), str(RUN / "distill.val.jsonl")]
    assert fresh.sources() == corpus
    write_text(Path("old.jsonl"), "")
    text = 'sources: [{path: "{corpus}/distill.train.jsonl"}, {path: old.jsonl}, {path: gone.jsonl}]\n'
    write_text(Path("configs/fusion/mine.yaml"), text)
    assert Fresh(RUN, "mine").sources() == [corpus[0], "old.jsonl"]
    write_text(Path("gate.json"), "{}")
    write_text(Path("configs/fusion/mine.yaml"), "mix: {retention: {gate: gate.json}}\n" + text)
    assert Fresh(RUN, "mine").sources() == ["gate.json", corpus[0], "old.jsonl"], "what a mix follows is a source too"
    assert Fresh(RUN, "none").sources() == []


def test_a_mix_that_is_not_there_is_refused_with_those_that_are(fresh):
    for name in ("demo", "mine"):
        write_text(Path(f"configs/fusion/{name}.yaml"), "")
    refuse_unknown_mix("demo")
    refuse_unknown_mix(None)
    with pytest.raises(UserError, match=r"none\.yaml: no such file; .* name a FUSION that is there: demo, mine"):
        refuse_unknown_mix("none")


@pytest.mark.parametrize(
    ("config", "changed", "remake", "refused"),
    [
        (RUN / "config" / "sft.yaml", True, "", False),  # this run's own student
        (Path("runs/two/bbu_line/config/sft.yaml"), False, "", False),  # taught by another, from what is there now
        (Path("runs/two/bbu_line/config/sft.yaml"), True, "", True),
        (Path("runs/two/bbu_line/config/sft.yaml"), True, "1", False),
    ],
)
def test_another_runs_student_is_not_overwritten(fresh, monkeypatch, config, changed, remake, refused):
    monkeypatch.setenv("REMAKE", remake)
    folder = Path("checkpoints/one-bbu_line")
    write_text(Path("mix.jsonl"), "1")
    made = {"tool": "sft", "arguments": ["--config", str(config)], "outputs": [], "code": ""}
    write_json(folder / ".made" / "sft.json", made | {"inputs": {"mix.jsonl": digest_of_path(Path("mix.jsonl"))}})
    if changed:
        write_text(Path("mix.jsonl"), "2")
    if not refused:
        return fresh.refuse_another_runs_student()
    with pytest.raises(UserError, match=r"was taught by runs/two/bbu_line, from other inputs than runs/one/bbu_line's"):
        fresh.refuse_another_runs_student()


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b, c"), (["a", "b", "c", "d", "e"], "a, b, c and 2 more")],
)
def test_the_first_names_stand_for_all(names, text):
    assert first_few(names) == text
