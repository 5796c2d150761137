"""Whatever a row holds, it is imported or refused with a reason, and every row is accounted for."""

import copy
import json
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from tests.support.importing import BOX, Desk, talk
from verdicts.evaluation.questions import Trained, read_photo_questions
from verdicts.facts.dense import read_objects
from verdicts.records.imports import RefusedImport

ODD: list[Any] = [
    None, True, 0, -1, 7, 1e308, -0.5, 2**62, "", " ", "×", "\x00", "<image>", "无关图片", "{", "类别=", "a" * 3000,
    [], [[]], [None], [1], [1, 2], [[1, 2]], [1, 2, 3, 4], ["1", 2], {}, {"desc": "x"}, {"统计": []},
    {"bbox_2d": [1, 2, 3, 4]},
]  # fmt: skip
ROUNDS = 1500


def places(value: Any, at: tuple = ()) -> Iterator[tuple]:
    """Every place in a value."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inner:
        yield from places(part, (*at, name))


def mutated(row: Any, rng: Random) -> str:
    """A row with one to three of its parts lost, doubled or put in place of another, or its text damaged."""
    row = copy.deepcopy(row)
    for _ in range(rng.randint(1, 3)):
        at = rng.choice([place for place in places(row) if place] or [("x",)])
        inside = row
        for name in at[:-1]:
            inside = inside[name]
        match rng.randrange(4):
            case 0 if len(inside) > 1 and isinstance(inside, dict):
                del inside[at[-1]]
            case 1 if isinstance(inside, list):
                inside.insert(at[-1], copy.deepcopy(rng.choice([*inside, *ODD])))
            case 2 if isinstance(inside, dict):
                inside[rng.choice(["line", "poly", "bbox_2d", "desc", "messages", "x"])] = copy.deepcopy(
                    rng.choice(ODD)
                )
            case _:
                inside[at[-1]] = copy.deepcopy(rng.choice(ODD))
    text = json.dumps(row, ensure_ascii=False)
    cut = rng.randrange(len(text))
    return text[:cut] + rng.choice(["", "\x7f", "}", '"', "NaN", ","]) + text[cut + 1 :] if rng.random() < 0.2 else text


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    """An import of mutated rows, each of a photo of its own."""
    desk, rng = Desk(tmp_path_factory.mktemp("damage")), Random(1)
    sound = [desk.row(1), desk.row(2, objects=[]), talk(), desk.row(3, summary='{"统计": [{"类别": "光纤"}]}')]
    rows: list[dict | str] = [desk.row(0)]
    for number in range(10, 10 + ROUNDS):
        row = rng.choice(sound)
        rows.append(mutated(row | {"images": [desk.photo(number)]} if "images" in row else row, rng))
    desk.write(*rows)
    assert desk.run(held_out={"share": 0.2}).code == 0
    return desk


def test_every_mutated_row_is_imported_or_refused_and_the_counts_add_up(desk):
    report = desk.report()
    kinds = (report.dense_and_summary, report.dense_only, report.summary_only, report.irrelevant, report.chat)
    assert (
        report.rows_in == sum(kinds) + report.refused == len((desk.folder / "in/rows.jsonl").read_text().splitlines())
    )
    assert report.refused == sum(report.refused_by_reason.values()) == len(desk.refused())
    assert report.repaired == len({line for line, _, _ in desk.repaired()})
    assert sum(report.repairs.values()) == len(desk.repaired())
    asked = report.written["held_out/dense.jsonl"], report.written["held_out/summary.jsonl"]
    dense, summary = report.dense_and_summary + report.dense_only, report.dense_and_summary + report.summary_only
    assert (
        report.written["dense.jsonl"] + report.written["irrelevant.dense.jsonl"] + asked[0] == dense + report.irrelevant
    )
    assert (
        report.written["summary.jsonl"] + report.written["irrelevant.jsonl"] + asked[1] == summary + report.irrelevant
    )
    assert (
        report.written["chat.jsonl"] == report.chat > 0 and report.refused > 200 and len(report.refused_by_reason) > 12
    )


def test_every_refused_row_says_what_was_found(desk):
    assert all(row.detail for row in desk.rows("refused", RefusedImport))


def test_evaluate_reads_every_question_that_is_held_out_and_every_dense_answer_is_whole(desk):
    nothing = Trained(desk.out, frozenset(), frozenset())
    for task in ("dense", "summary"):
        questions = read_photo_questions(desk.out / f"held_out/{task}.jsonl", task, nothing)
        assert len(questions) == desk.report().written[f"held_out/{task}.jsonl"] > 0
    answers = desk.answers("dense") + desk.answers("held_out/dense")
    assert all(read_objects(answer) for answer in answers if answer != "无关图片")


def test_words_with_a_hundred_thousand_blanks_take_no_longer_than_others(tmp_path):
    desk, blanks = Desk(tmp_path), " " * 100_000
    desk.write(
        desk.row(1, objects=[BOX | {"desc": f"BBU设备{blanks}/{blanks}华{blanks}为"}], summary=f"光纤{blanks}×1")
    )
    started = time.process_time()
    assert desk.run().code == 0 and time.process_time() - started < 2
    assert desk.repaired() == [(1, "desc_blanks", "objects.0.desc")]
