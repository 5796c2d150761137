"""Filters in a run: what prepare takes, lists, says, and when it takes tickets anew."""

import json
import os
import shutil

import pytest

from tests.support.builders import MISSION, call, ticket
from tests.support.playing import Bench, Speaker
from tests.support.small_runs import make
from verdicts.base.jsonl import read_rows, write_rows, write_text
from verdicts.config.load import load
from verdicts.intake.filters import is_filtering
from verdicts.intake.given import given_tickets
from verdicts.records.filtered import DroppedTicket, MarkedTicket
from verdicts.records.rollout import Selection
from verdicts.records.tickets import StageA

SCREW, WIRE, OPEN = "螺丝、光纤插头/机柜处接地螺丝,符合要求×1", "电线/捆扎整齐×1", "电线/散乱×1"
TICKETS = [
    ticket("a", summaries=(SCREW, WIRE)),
    ticket("b", "fail", (OPEN,)),
    ticket("c", summaries=(WIRE, SCREW)),
    ticket("d", "fail", (SCREW, WIRE)),
    ticket("e", "fail", (WIRE,)).model_copy(update={"fail_reasons": ["补拍"]}),
    ticket("f", summaries=(WIRE, WIRE)),
]
NOISE = "filters: {exclude_file: FILE, exclude_reasons: [补拍], duplicates: {by: summaries}}"


class Sifted:
    """A run folder to prepare, with a list of tickets that stay out."""

    def __init__(self, folder):
        self.folder, self.source, self.overlay = folder / "run", folder / "tickets.jsonl", folder / "c.yaml"
        self.noise, self.kept = folder / "noise.txt", self.folder / "stage_a.jsonl"
        write_rows(self.source, TICKETS)
        write_text(self.noise, "b::fail\ngone::pass\n")

    def prepare(self, filters: str = NOISE, **options):
        write_text(self.overlay, filters.replace("FILE", str(self.noise)) + "\n")
        told = {"models": "miniature", "mission": "bbu_line", "tickets": self.source, "run_dir": self.folder}
        return call("prepare", overlay=self.overlay, **(told | options))

    def taken(self) -> list[str]:
        return [row.ticket_key for row in read_rows(self.kept, StageA)]

    def note(self) -> dict:
        return json.loads((self.folder / "config" / "tickets.json").read_text(encoding="utf-8"))


@pytest.fixture
def run(tmp_path) -> Sifted:
    return Sifted(tmp_path)


def test_what_leaves_is_listed_counted_and_said_and_what_stays_keeps_its_bytes(run):
    outcome = run.prepare()
    assert outcome.code == 0, outcome.err
    lines = run.source.read_text(encoding="utf-8").splitlines(keepends=True)
    assert run.kept.read_text(encoding="utf-8") == "".join(lines[at] for at in (0, 3, 5))
    dropped = read_rows(run.folder / "tickets.dropped.jsonl", DroppedTicket)
    assert [(row.ticket_key, row.filter, row.like) for row in dropped] == [
        ("b::fail", "exclude", None),
        ("c::pass", "duplicates", "a::pass"),
        ("e::fail", "exclude_reasons", None),
    ]
    assert [row.ticket for row in dropped] == [TICKETS[1], TICKETS[2], TICKETS[4]]
    marked = read_rows(run.folder / "tickets.marked.jsonl", MarkedTicket)
    assert [(row.ticket_key, row.like) for row in marked] == [("d::fail", "a::pass")]
    filtered = run.note()["filtered"]
    counts = {"exclude": 1, "exclude_reasons": 1, "duplicates": 1}
    assert (filtered["read"], filtered["kept"], filtered["dropped"], filtered["marked"]) == (6, 3, counts, 1)
    assert outcome.err.splitlines() == [
        "tickets: filters left out 3 of 6 (exclude 1, exclude_reasons 1, duplicates 1), see tickets.dropped.jsonl; "
        "1 that show what one of the other label shows, see tickets.marked.jsonl",
        "filters: 1 of the excluded keys name no ticket here (gone::pass first)",
        f"tickets: 3 from {run.source} (of {MISSION}: 1 fail, 2 pass)",
    ]


def test_as_shipped_nothing_is_listed_and_the_note_is_that_of_before(run):
    assert run.prepare("{}").code == 0
    assert run.kept.read_bytes() == run.source.read_bytes()
    assert not list(run.folder.glob("tickets.*"))
    assert "filtered" not in run.note()


def test_the_same_filters_take_nothing_anew_and_a_changed_list_does(run):
    run.prepare()
    for path in run.folder.rglob("*"):
        os.utime(path, (1, 1))
    assert run.prepare().err == ""
    assert run.kept.stat().st_mtime == 1
    write_text(run.noise, "b::fail\nf::pass\n")
    assert run.prepare().code == 0
    assert run.taken() == ["a::pass", "d::fail"]
    assert [row.ticket_key for row in read_rows(run.folder / "tickets.dropped.jsonl", DroppedTicket)] == [
        "b::fail", "c::pass", "e::fail", "f::pass",
    ]  # fmt: skip


def test_filters_switched_off_bring_all_tickets_back_and_take_the_lists_away(run):
    run.prepare()
    assert run.prepare("{}", remake=True).code == 0
    assert run.kept.read_bytes() == run.source.read_bytes()
    assert not list(run.folder.glob("tickets.*")) and "filtered" not in run.note()


def test_filters_are_asked_behind_the_door(run):
    rows = [json.loads(line) for line in run.source.read_text(encoding="utf-8").splitlines()]
    rows[1]["label"], rows[0]["score"] = "不通过", 3
    again = rows[3] | {"per_image": {"image_1": SCREW, "image_2": OPEN}}
    write_rows(run.source, [*rows, again])
    outcome = run.prepare()
    assert outcome.code == 0, outcome.err
    assert run.taken() == ["a::pass", "f::pass", "d::fail"]  # the last row of a ticket counts
    note = run.note()
    assert note["entrance"]["rows"] == 7 and sum(note["entrance"]["labels"].values()) == note["filtered"]["read"] == 6
    assert {"tickets.repaired.jsonl", "tickets.aside.jsonl", "tickets.dropped.jsonl", "tickets.marked.jsonl"} == {
        path.name for path in run.folder.glob("tickets.*")
    }


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ("filters: {exclude_reasons: ['(']}", "c.yaml: filters.exclude_reasons.0: is no regular expression"),
        ("filters: {exclude: [QC-1]}", "c.yaml: filters.exclude.0: string should match pattern"),
        ("filters: {exclude_file: nowhere.txt}", "nowhere.txt: no such file; correct filters.exclude_file"),
        ("filters: {duplicates: {by: photos, photos: nowhere}}", "nowhere: no such folder; correct filters.duplicates"),
        ("filters: {duplicates: {by: names}}", "c.yaml: filters.duplicates.by: input should be 'nothing'"),
        (
            "filters: {min_useful_photos: {pass: 9, fail: 9}}",
            "tickets.jsonl: filters: they leave none of 6 tickets (min_useful_photos 6); loosen them",
        ),
    ],
)
def test_filters_that_cannot_be_meant_are_one_line_and_nothing_is_overwritten(run, filters, message):
    assert run.prepare("{}").code == 0
    before = run.kept.read_bytes()
    outcome = run.prepare(filters, remake=True)
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1), outcome.err
    assert message in outcome.err
    assert run.kept.read_bytes() == before and not list(run.folder.glob("tickets.*"))


def test_a_source_that_is_gone_stands_until_the_filters_change(run):
    run.prepare()
    run.source.unlink()
    assert run.prepare().code == 0
    outcome = run.prepare("{}", remake=True)
    assert outcome.code == 2
    assert "tickets.jsonl: is gone, and the filters are no longer those that its tickets went through" in outcome.err


def test_tickets_that_the_run_summarised_go_through_the_filters_too(run):
    own = run.folder / "summaries" / "stage_a.jsonl"
    write_rows(own, TICKETS)
    assert run.prepare(tickets=own).code == 0
    assert run.taken() == ["a::pass", "d::fail", "f::pass"]


def test_a_photo_that_changed_is_compared_anew(run):
    photos = run.folder.parent / "photos"
    for one in TICKETS:
        for name in one.images:
            write_text(photos / name, f"bytes of {'a' if one.group_id in 'acf' else name} {name[-6]}")
    told = f"filters: {{duplicates: {{by: photos, photos: {photos}}}}}"
    assert run.prepare(told).code == 0
    assert run.taken() == ["a::pass", "b::fail", "d::fail", "e::fail"]
    write_text(photos / "f_2.jpeg", "other bytes")
    assert run.prepare(told).code == 0
    assert run.taken() == ["a::pass", "b::fail", "d::fail", "e::fail", "f::pass"]


def test_a_list_from_a_spreadsheet_of_windows_is_read(run):
    run.noise.write_bytes(b"\xef\xbb\xbfb::fail\r\n\r\n# x\r\ngone::pass\r\n")
    assert run.prepare(NOISE).code == 0
    assert "b::fail" not in run.taken()


def test_a_mission_may_have_filters_of_its_own(tmp_path):
    shutil.copytree("configs", tmp_path / "configs")
    mission = tmp_path / "configs" / "missions" / "bbu_wind.yaml"
    write_text(mission, mission.read_text(encoding="utf-8") + "\nfilters: {min_useful_photos: {pass: 3}}\n")
    own = load("miniature", "bbu_wind", configs=tmp_path / "configs").filters
    assert own.min_useful_photos.model_dump() == {"pass": 3, "fail": 0, "beside_irrelevant": False}
    assert not is_filtering(load("miniature", "bbu_line", configs=tmp_path / "configs").filters)


def test_tools_that_keep_no_copy_see_what_a_run_would_take(run):
    run.prepare()
    config = load("miniature", "bbu_line", run.overlay)
    assert [one.ticket_key for one in given_tickets(run.source, config)] == run.taken()


def test_check_takes_the_lists_for_what_they_are(run):
    assert run.prepare().code == 0
    outcome = call("check", run_dir=run.folder)
    assert outcome.code == 0, outcome.err
    assert "tickets.dropped.jsonl: 3 records" in outcome.out and "tickets.marked.jsonl: 1 records" in outcome.out


def test_show_says_what_the_filters_left_out(run):
    run.prepare()
    start = run.folder / "rounds" / "0000" / "guidance.json"
    call("apply", config=run.folder / "config" / "guidance.yaml", output=start, start=True)
    shown = call("show", run_dir=run.folder).out
    counts = "exclude 1, exclude_reasons 1, duplicates 1"
    assert f"  tickets: filters left out 3 of 6 ({counts}), see tickets.dropped.jsonl; 1 that show" in shown
    assert "  tickets: 1 of the excluded keys name no ticket here (gone::pass first)" in shown


def test_no_prompt_of_a_kept_ticket_changes_by_a_byte(tmp_path, monkeypatch, run):
    """Leak test: the same system message, user message and seeds, with and without filters."""
    run.prepare()
    asked = []
    for name, rows in (("all", TICKETS), ("kept", read_rows(run.kept, StageA))):
        bench, engine = Bench(tmp_path / name, monkeypatch), Speaker()
        bench.write(rows)
        assert bench.rollout(engine).code == 0
        keys = [row.ticket_key for row in bench.rows("selections.jsonl", Selection)]
        each = len(engine.rollouts) // len(keys)
        asked.append({key: engine.rollouts[at * each : (at + 1) * each] for at, key in enumerate(keys)})
    everything, kept = asked
    assert sorted(kept) == ["a::pass", "d::fail", "f::pass"]
    assert kept == {key: everything[key] for key in kept}


def test_a_changed_list_that_leaves_the_same_tickets_makes_no_round_again(tmp_path, run):
    write_text(run.overlay, f"filters: {{exclude_file: {run.noise}}}\n")
    runs = tmp_path / "runs"
    goal = f"{runs}/r/bbu_line/rounds/0001/selections.jsonl"
    words = (goal, f"STAGE_A={run.source}", f"CONFIG={run.overlay}", "MISSION=bbu_line", f"RUNS={runs}", "RUN=r")
    first = make(*words)
    assert first.returncode == 0 and "rollout 0001" in first.stderr, first.stderr
    write_text(run.noise, "# the same tickets\nb::fail\n")
    again = make(*words)
    assert again.returncode == 0, again.stderr
    assert "filters left out 1 of 6" in again.stderr
    assert "rollout" not in again.stderr
    write_text(run.noise, "b::fail\nf::pass\n")
    third = make(*words)
    assert "4 tickets = 4 selected" in third.stderr, third.stderr
