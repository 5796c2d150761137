"""A file of given tickets: what is taken, listed, refused, and that the counts add up."""

import json
from pathlib import Path
from typing import get_args

import pytest

from tests.support.builders import MISSION, call, ticket
from verdicts.base.errors import UserError
from verdicts.base.jsonl import dump, write_text
from verdicts.config.load import load
from verdicts.config.sections import TicketsSection
from verdicts.intake.names import Door
from verdicts.intake.reader import LISTS, door_digest, read_tolerantly, take_given, write_lists
from verdicts.intake.wording import refused_sentence, repaired_sentence
from verdicts.records.tickets import DoorRefusal, RepairKind, read_tickets

CONFIG = load("miniature", "bbu_line")
DOOR = Door.of_config(CONFIG)


def lenient(share: float) -> Door:
    return Door(DOOR.slug, DOOR.mission, DOOR.knobs.model_copy(update={"max_refused": share}))


def given(tmp_path: Path, *rows: object, mark: str = "") -> Path:
    path = tmp_path / "given.jsonl"
    write_text(path, mark + "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def row(group: str = "a", label: object = "pass", **fields: object) -> dict:
    return ticket(group).model_dump() | {"label": label} | fields


def listed(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def test_a_file_in_order_is_copied_byte_for_byte_and_leaves_no_list(tmp_path):
    path, run = (
        given(tmp_path, dump(ticket("a")), json.dumps(ticket("b", "fail").model_dump()).replace(": ", ":")),
        tmp_path / "run",
    )
    entrance = take_given(path, DOOR, run)
    assert (run / "stage_a.jsonl").read_bytes() == path.read_bytes()
    assert (entrance.rows, entrance.labels, repaired_sentence(entrance), refused_sentence(entrance)) == (
        2, {"fail": 1, "pass": 1}, "", "",
    )  # fmt: skip
    assert [file.name for file in run.iterdir()] == ["stage_a.jsonl"]


def test_each_repair_is_listed_with_its_line_and_the_rest_stays_as_it_was(tmp_path):
    in_order = json.dumps(row("b")).replace(": ", ":")
    path, run = given(tmp_path, row("a", "PASS", note="x"), "", in_order, mark="\ufeff"), tmp_path / "run"
    entrance = take_given(path, DOOR, run)
    assert (run / "stage_a.jsonl").read_text(encoding="utf-8").splitlines() == [dump(ticket("a")), in_order]
    file = {"file": str(path)}
    repairs = [
        {"line": 1, "ticket_key": None, "kind": "byte_order_mark", "field": "", "before": "BOM", "after": ""},
        {"line": 1, "ticket_key": "a::pass", "kind": "label", "field": "label", "before": "PASS", "after": "pass"},
        {"line": 2, "ticket_key": None, "kind": "blank_line", "field": "", "before": "", "after": ""},
    ]
    assert listed(run, "tickets.repaired.jsonl") == [file | repair for repair in repairs]
    aside = file | {"line": 1, "ticket_key": "a::pass", "fields": {"note": "x"}}
    assert listed(run, "tickets.aside.jsonl") == [aside]
    assert repaired_sentence(entrance) == (
        "3 repairs (blank_line 1, byte_order_mark 1, label 1), see tickets.repaired.jsonl; "
        "fields kept aside in tickets.aside.jsonl (note 1)"
    )


def test_the_same_ticket_again_is_dropped_and_a_resubmission_replaces_what_came_before(tmp_path):
    first, second = row("a", note=1), row("a", "1", per_image={"图片1": "x"})
    path, run = given(tmp_path, first, row("b"), row("b"), second, second, row("b", "fail")), tmp_path / "run"
    entrance = take_given(path, DOOR, run)
    kept = read_tickets(run / "stage_a.jsonl", MISSION)
    assert [of.ticket_key for of in kept] == ["b::pass", "a::pass", "b::fail"]
    assert kept[1].per_image == {"image_1": "x"}
    replaced = [found for found in listed(run, "tickets.repaired.jsonl") if found["field"] == "group_id"]
    assert [(found["line"], found["kind"], found["after"]) for found in replaced] == [
        (1, "resubmission", "the row on line 5 counts"),
        (2, "same_ticket", "the row on line 3 counts"),
        (4, "same_ticket", "the row on line 5 counts"),
    ]
    assert json.loads(replaced[0]["before"]) == first  # nothing is lost
    assert (entrance.rows, sum(entrance.labels.values()), entrance.replaced) == (6, 3, 3)
    assert repaired_sentence(entrance).startswith("6 rows, of which 3 are replaced by later ones; ")


def test_refused_rows_are_listed_whole_with_their_reason_and_the_counts_add_up(tmp_path):
    rows = [row(f"g{number}") for number in range(16)]
    path = given(tmp_path, *rows, '{"group_id": ', row("x", "maybe"), row("y", 0), row("z", per_image={}))
    entrance = take_given(path, lenient(0.2), tmp_path / "run")
    refused = listed(tmp_path / "run", "tickets.refused.jsonl")
    assert [(found["line"], found["reason"]) for found in refused] == [
        (17, "not_json"), (18, "label"), (19, "label"), (20, "photos"),
    ]  # fmt: skip
    assert json.loads(refused[1]["row"]) == row("x", "maybe")
    assert (entrance.rows, entrance.labels, entrance.refused) == (
        20,
        {"pass": 16},
        {"label": 2, "not_json": 1, "photos": 1},
    )
    assert refused_sentence(entrance) == (
        "REFUSED 4 of 20 rows (20.0%) that can be no ticket: label 2, not_json 1, photos 1; see tickets.refused.jsonl"
    )


def test_more_refused_rows_than_allowed_are_an_error_and_nothing_is_written(tmp_path):
    path, run = (
        given(tmp_path, *[row(f"g{number}") for number in range(18)], row("x", "maybe"), row("y", 0)),
        tmp_path / "run",
    )
    with pytest.raises(
        UserError, match=r":19: label: 'maybe' is no word .* \(and 1 more of 20 rows, tickets.max_refused is 0.05\)"
    ):
        take_given(path, DOOR, run)
    assert not run.exists()
    write_text(path, path.read_text(encoding="utf-8").rsplit("\n", 2)[0] + "\n" + dump(ticket("y")) + "\n")
    assert take_given(path, DOOR, run).refused == {"label": 1}  # 1 of 20 is not more than 0.05


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file holds no record"),
        ("\n\n", "the file holds no record"),
        (json.dumps([row("a"), row("b")]), "input should be a valid dictionary"),
        (json.dumps([row("a")], indent=1), "holds one JSON array of 1 items, not an object a line"),
        (json.dumps(row("a") | {"group_id": "x"})[:-1] + ', "group_id": "y"}', "group_id: stands twice in one object"),
    ],
)
def test_a_file_without_tickets_is_an_error(tmp_path, text, message):
    write_text(tmp_path / "given.jsonl", text)
    with pytest.raises(UserError, match=message):
        read_tolerantly(tmp_path / "given.jsonl", lenient(1.0))


def test_lists_of_a_source_of_before_go_with_it(tmp_path):
    run = tmp_path / "run"
    take_given(given(tmp_path, row("a", "PASS", note="x"), row("b", "maybe")), lenient(0.5), run)
    assert all((run / name).exists() for name in LISTS)
    take_given(given(tmp_path, row("a")), DOOR, run)
    assert not any((run / name).exists() for name in LISTS)


def test_tickets_in_memory_are_those_that_a_run_gets(tmp_path):
    path = given(tmp_path, row("a"), row("a", per_image={"图片_7": "x×5000"}), row("b", "2"))
    given_to_tools, run = read_tolerantly(path, DOOR), tmp_path / "run"
    assert take_given(path, DOOR, run) == given_to_tools.entrance
    assert given_to_tools.tickets == read_tickets(run / "stage_a.jsonl")
    write_lists(tmp_path / "lists", given_to_tools.notes)
    name = "tickets.repaired.jsonl"
    assert listed(tmp_path / "lists", name) == listed(run, name) != []


def test_the_digest_of_a_door_follows_its_knobs():
    assert door_digest(DOOR) == door_digest(Door.of_config(CONFIG)) != door_digest(lenient(0.5))


def prepare(tmp_path: Path, source: Path, **options: object):
    return call("prepare", models="miniature", mission="bbu_line", tickets=source, run_dir=tmp_path / "run", **options)


def test_prepare_says_what_was_repaired_and_how_much_was_refused(tmp_path):
    rows = [row(f"g{number}") for number in range(19)]
    outcome = prepare(tmp_path, given(tmp_path, *rows, row("x", "PASS"), row("y", "maybe")))
    assert outcome.code == 0 and outcome.err.splitlines() == [
        f"{tmp_path}/given.jsonl: REFUSED 1 of 21 rows (4.8%) that can be no ticket: label 1; "
        "see tickets.refused.jsonl",
        "tickets: 1 repairs (label 1), see tickets.repaired.jsonl",
        f"tickets: 20 from {tmp_path}/given.jsonl (of {MISSION}: 0 fail, 20 pass)",
    ]  # fmt: skip
    note = json.loads((tmp_path / "run/config/tickets.json").read_text(encoding="utf-8"))
    assert note["entrance"]["refused"] == {"label": 1} and note["entrance"]["rows"] == 21
    assert call("check", run_dir=tmp_path / "run").out.count("ok   tickets.") == 2


def test_a_knob_of_the_door_takes_the_tickets_anew_and_no_other_knob_does(tmp_path):
    source = given(tmp_path, row("a", per_image={"image_1": "x×50"}), row("b", "fail"))
    assert prepare(tmp_path, source).code == 0
    kept = tmp_path / "run" / "stage_a.jsonl"
    write_text(kept, dump(ticket("by hand")) + "\n")
    for overlay, count in (("distill: {seed: 3}", 1), ("tickets: {max_count: 9}", 2)):
        write_text(tmp_path / "c.yaml", overlay)
        assert prepare(tmp_path, source, overlay=tmp_path / "c.yaml", remake=True).code == 0
        assert len(read_tickets(kept)) == count
    assert read_tickets(kept)[0].per_image == {"image_1": "x×9"}


def test_a_runs_own_tickets_edited_by_hand_are_held_to_the_strict_form(tmp_path):
    assert prepare(tmp_path, given(tmp_path, row("a", "PASS"))).code == 0
    write_text(tmp_path / "run" / "stage_a.jsonl", json.dumps(row("a", "PASS")) + "\n")
    assert "label: input should be 'pass' or 'fail'" in call("check", run_dir=tmp_path / "run").err


def test_the_page_on_tickets_explains_every_kind_of_repair_every_reason_and_every_knob():
    page = (Path(__file__).resolve().parents[2] / "docs" / "tickets.md").read_text(encoding="utf-8")
    words = (*get_args(RepairKind), *get_args(DoorRefusal))
    knobs = [f"tickets.{knob}" for knob in TicketsSection.model_fields]
    assert [word for word in (*words, *knobs) if f"`{word}`" not in page] == []
