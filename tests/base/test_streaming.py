"""Files read and written with one row in memory at a time say what they said when they were held whole."""

import json
import random

import pytest

from tests.support.builders import (
    MISSION,
    RunFolder,
    call,
    candidates,
    numbered_lines,
    snapshot,
    ticket,
    validation_groups,
)
from verdicts.base.errors import UserError
from verdicts.base.jsonl import (
    RowsByPlace,
    json_text,
    read_json,
    read_numbered,
    read_rows,
    stream_lines,
    stream_placed,
    whole_files,
    write_rows,
)
from verdicts.base.split import hash_share
from verdicts.corpus.distill import Validation
from verdicts.records.review import MissionReview, NeedReviewFile, ReviewCandidate, ReviewTicket
from verdicts.records.rollout import Selection, Trajectory
from verdicts.records.ticket_index import Keys, Tickets, key_digest
from verdicts.records.tickets import StageA, read_tickets
from verdicts.review import review_list_file as review_list
from verdicts.review.review_list import Evaluations
from verdicts.review.review_list_file import Listed, stream_review, write_review
from verdicts.review.unsupported import is_unsupported, last_evaluations

TEXTS = [
    "a\nb\n",
    "a\n\n \nb",
    "a\r\nb\r\n",
    "a\rb\r\r\nc",
    "\ufeffa\nb",
    "\ufeff\na",
    "a\u2028b\x85c\nd\u3000\n\u3000\n",
    "",
    "\n",
    "挡风板\n接地",
]


@pytest.mark.parametrize("text", TEXTS)
def test_lines_are_the_same_streamed_and_read_whole_and_stand_where_it_is_said(text, tmp_path):
    path = tmp_path / "text"
    path.write_bytes(text.encode())
    found = list(stream_lines(path))
    assert [(placed.line, placed.text) for placed in found] == numbered_lines(path)
    assert [path.read_bytes()[placed.offset :][: placed.length].decode() for placed in found] == [
        placed.text for placed in found
    ]


@pytest.mark.parametrize("broken", [b'{"group_id": ', b'{"group_id": "x", "colour": 1}', b"[1]"])
def test_a_bad_line_is_named_in_the_same_words_streamed_and_read_whole(broken, tmp_path):
    path = tmp_path / "stage_a.jsonl"
    write_rows(path, [ticket("a"), ticket("b")])
    path.write_bytes(path.read_bytes() + broken + b"\n")
    with pytest.raises(UserError) as whole:
        read_numbered(path, StageA)
    with pytest.raises(UserError) as streamed:
        list(stream_placed(path, StageA))
    assert str(streamed.value) == str(whole.value)


def test_a_line_in_another_encoding_is_named(tmp_path):
    path = tmp_path / "stage_a.jsonl"
    write_rows(path, [ticket("a"), ticket("b")])
    path.write_bytes(path.read_bytes() + "挡风板".encode("gbk"))
    with pytest.raises(UserError, match=r"stage_a\.jsonl:3: not UTF-8"):
        list(stream_placed(path, StageA))


@pytest.mark.parametrize("make", ["nothing", "folder", "empty"])
def test_a_file_that_is_none_is_named_in_the_same_words(make, tmp_path):
    path = tmp_path / "stage_a.jsonl"
    if make != "nothing":
        path.mkdir() if make == "folder" else path.touch()
    with pytest.raises(UserError) as whole:
        read_numbered(path, StageA)
    with pytest.raises(UserError) as streamed:
        list(stream_placed(path, StageA))
    assert str(streamed.value) == str(whole.value)


def test_of_several_files_none_is_replaced_where_one_could_not_be_written(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("old")
    with pytest.raises(RuntimeError), whole_files(first, second) as files:
        files[0].write("new")
        raise RuntimeError
    assert snapshot(tmp_path) == {"first": b"old"}
    with whole_files(first, second) as files:
        for file in files:
            file.write("new")
        assert first.read_text() == "old"
    assert snapshot(tmp_path) == {"first": b"new", "second": b"new"}


def test_tickets_are_found_by_key_and_number_and_read_again(tmp_path):
    rows = [ticket(f"g{number}", label) for number in range(200) for label in ("pass", "fail")]
    random.Random(7).shuffle(rows)
    path = tmp_path / "stage_a.jsonl"
    write_rows(path, rows)
    path.write_bytes(b"\xef\xbb\xbf\n" + path.read_bytes().replace(b"\n", b"\r\n"))
    tickets = Tickets(path, MISSION)
    assert len(tickets) == 400 and list(tickets) == [row.ticket_key for row in rows]
    assert [tickets.at(number) for number in range(400)] == [tickets[row.ticket_key] for row in rows] == rows
    assert [tickets.number(row.ticket_key) for row in rows] == list(range(400)) and [
        tickets.label(number) for number in range(400)
    ] == [row.label for row in rows]
    assert "g7::pass" in tickets and "g7::" not in tickets and 7 not in tickets and tickets.get("g777::pass") is None
    assert (tickets.count("pass"), tickets.count("fail"), tickets.missions) == (200, 200, [MISSION])


def test_a_ticket_is_not_read_from_a_file_that_has_changed_since(tmp_path):
    path = tmp_path / "stage_a.jsonl"
    write_rows(path, [ticket("a"), ticket("b")])
    tickets = Tickets(path)
    with path.open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(UserError, match="changed while it was read; run the tool again"):
        tickets["a::pass"]


@pytest.mark.parametrize(
    "rows",
    [
        [ticket("a"), ticket("b"), ticket("a"), ticket("b")],
        [ticket("a"), ticket("b", mission="挡风板安装检查"), ticket("a")],
        [ticket("a"), ticket("a"), ticket("b", mission="挡风板安装检查")],
        [ticket("a"), ticket("b"), ticket("a", mission="挡风板安装检查")],
        [ticket("a", mission="挡风板安装检查")],
    ],
)
def test_what_read_tickets_refuses_is_refused_in_the_same_words(rows, tmp_path):
    path = tmp_path / "stage_a.jsonl"
    write_rows(path, rows)
    path.write_bytes(b"\n" + path.read_bytes())
    with pytest.raises(UserError) as whole:
        read_tickets(path, MISSION)
    with pytest.raises(UserError) as indexed:
        Tickets(path, MISSION)
    assert str(indexed.value) == str(whole.value)


def test_keys_are_found_whatever_their_digest_ends_with_and_repeated_ones_are_known():
    keys = [f"k{number}" for number in range(5000)]  # some twenty of their digests end with a zero byte
    assert any(key_digest(key).endswith(b"\0") for key in keys)
    index = Keys(bytearray(b"".join(map(key_digest, keys))))
    assert [index.number(key) for key in keys] == list(range(5000)) and index.number("k5000") is None
    repeated = Keys(bytearray(b"".join(map(key_digest, "abcbca"))))
    assert repeated.firsts().tolist() == [0, 1, 2, 1, 2, 0]
    assert len(Keys(bytearray()).firsts()) == 0 and Keys(bytearray()).number("a") is None


@pytest.mark.parametrize("seed", range(20))
def test_the_last_evaluation_is_the_same_in_any_order_of_the_rows(seed, tmp_path):
    chance, known = random.Random(seed), [ticket(f"g{number}", "fail") for number in range(6)]
    rows = [
        row
        for number in (1, 2, 10**18)
        for of in known
        for row in candidates(of, chance.choice(["pass pass", "pass bad", "bad bad", "pass fail"]), round=number)
    ]
    chance.shuffle(rows)
    path = tmp_path / "trajectories.jsonl"
    write_rows(path, rows)
    path.write_bytes(path.read_bytes().replace(b"\n", chance.choice([b"\n", b"\r\n", b"\r"])))
    evaluations, whole = Evaluations(), last_evaluations(rows)
    for placed, row in stream_placed(path, Trajectory):
        evaluations.see(known.index(next(of for of in known if of.ticket_key == row.ticket_key)), placed, row)
    for number, of in enumerate(known):
        assert evaluations.unsupported(number) == is_unsupported(whole[of.ticket_key])
        assert evaluations.candidates(number, of.ticket_key, RowsByPlace(path)) == whole[of.ticket_key]
    assert not evaluations.seen(6)


def review_of(*counts: int) -> NeedReviewFile:
    """A review list of so many tickets a mission, with text that needs care."""
    missions = {}
    for at, count in enumerate(counts):
        listed = [
            ReviewTicket(
                ticket_key=f"g{number}::pass", group_id=f"g{number}", images=["a.jpeg"],
                per_image={"image_1": "[]{}\t"},
                gt_label="pass", pred_verdict="fail", pred_reason='多行\n"引号"\u2028\\', reason_code="label_suspect",
                times_queued=1, last_round=2, log_odds_against_label=None if number % 2 else -1.5,
                candidates=[ReviewCandidate(verdict="fail", reason="x", count=1)] * (number % 3),
            )
            for number in range(count)
        ]  # fmt: skip
        missions[f'任务"{at}"[]'] = MissionReview(
            count=count, by_gt_label={"pass": count, "fail": 0}, by_reason_code={}, tickets=listed
        )
    return NeedReviewFile(missions=missions)


@pytest.mark.parametrize("counts", [(), (0,), (1,), (3, 0, 2)])
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_a_review_list_is_written_and_read_ticket_by_ticket_as_it_would_be_whole(
    counts, chunk, indent, tmp_path, monkeypatch
):
    monkeypatch.setattr(review_list, "CHUNK", chunk)
    review, path = review_of(*counts), tmp_path / "need_review.json"
    heads = [
        (name, mission.model_copy(update={"tickets": []}), mission.tickets) for name, mission in review.missions.items()
    ]
    with whole_files(path) as (file,):
        assert write_review(file, heads) == sum(counts)
    assert path.read_text(encoding="utf-8") == json_text(review)
    path.write_text(
        json.dumps(review.model_dump(mode="json"), indent=indent, ensure_ascii=indent is None), encoding="utf-8-sig"
    )
    found = {}
    listed = list(stream_review(path, found))
    assert listed == [Listed(name, one) for name, mission in review.missions.items() for one in mission.tickets]
    assert found == {name: head for name, head, _ in heads}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"count"', '"cuont"'),
        ('"g1::pass"', "7"),
        ('"missions"', '"mission"'),
        ('"candidates": []', '"candidates": [,]'),
        ("}\n", "} x\n"),
        ('"tickets": [', '"tickets": 7, "more": ['),
        ('"last_round": 2', '"last_round": 2e'),
        ("{", "[" * 100_000),
    ],
)
def test_a_review_list_that_is_none_is_named_as_reading_it_whole_names_it(old, new, tmp_path):
    path = tmp_path / "need_review.json"
    text = json_text(review_of(3))
    at = text.rindex(old) if old == "}\n" else text.index(old)
    path.write_text(text[:at] + new + text[at + len(old) :], encoding="utf-8")
    with pytest.raises((UserError, RecursionError)) as whole:
        read_json(path, NeedReviewFile)
    with pytest.raises((UserError, RecursionError)) as streamed:
        list(stream_review(path, {}))
    assert str(streamed.value) == str(whole.value)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999, 1.0])
def test_which_groups_validate_depends_on_the_groups_and_not_on_their_order(share):
    for count in (0, 1, 2, 3, 50):
        groups = [f"g{number}" for number in range(count)]
        there, back = Validation(share, 17), Validation(share, 17)
        for group, other in zip(groups, reversed(groups), strict=True):
            there.see(group)
            back.see(other)
        chosen = {group for group in groups if group in there}
        assert chosen == {group for group in groups if group in back} == validation_groups(groups, share, 17)
        if count > 1 and 0 < share < 1:
            assert (
                0 < len(chosen) < count
                and all((hash_share(17, group) < share) == (group in chosen) for group in groups)
            ) or len(chosen) in (1, count - 1)


def test_a_run_of_mixed_line_ends_collects_to_the_same_bytes(tmp_path):
    runs = []
    for name, end in (("unix", b"\n"), ("windows", b"\r\n")):
        run = (
            RunFolder(tmp_path / name, [ticket("a"), ticket("b", "fail")])
            .play({"a::pass": "pass bad", "b::fail": "pass pass"})
            .finish()
        )
        for path in (run.stage_a, *run.rounds.glob("0001/*.jsonl")):
            path.write_bytes(path.read_bytes().replace(b"\n", end))
        run.complete()
        runs.append(
            {
                name: data
                for name, data in snapshot(run.folder).items()
                if not name.startswith(("rounds", "stage_a", "config"))
            }
        )
    assert runs[0] == runs[1] and len(read_rows(tmp_path / "unix" / "selections.jsonl", Selection)) == 2


def test_prepare_takes_tickets_as_they_are_but_for_line_ends_and_a_byte_order_mark(tmp_path):
    source, run_dir = tmp_path / "tickets.jsonl", tmp_path / "runs" / "bbu_line"
    write_rows(source, [ticket("a"), ticket("b", "fail")])
    wanted = source.read_bytes()
    source.write_bytes(b"\xef\xbb\xbf" + wanted.replace(b"\n", b"\r\n"))
    outcome = call("prepare", models="miniature", mission="bbu_line", tickets=source, run_dir=run_dir)
    assert outcome.code == 0 and "2 from" in outcome.err and "1 fail, 1 pass" in outcome.err
    assert (run_dir / "stage_a.jsonl").read_bytes() == wanted


DOUBLED = [
    ("rounds/0002/trajectories.jsonl", 0, 1),
    ("rounds/0002/trajectories.jsonl", 1, 5),
    ("rounds/0001/failure_malformed.jsonl", 0, 2),
    ("rounds/0002/selections.jsonl", 1, 2),
]


def double(run: RunFolder, name: str, line: int, to: int) -> None:
    """Let a line of a file stand in it once more, further down."""
    path = run.folder / name
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:to], lines[line], *lines[to:]]))


@pytest.fixture
def whole(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "run", [ticket("a"), ticket("b", "fail"), ticket("c")])
    answers = {"a::pass": "pass bad", "b::fail": "pass bad", "c::pass": "pass pass"}
    return run.play(answers).play(answers).finish().complete()


@pytest.mark.parametrize(("name", "line", "to"), DOUBLED)
def test_a_row_that_stands_twice_in_a_round_is_named_by_collect_and_by_check(whole, name, line, to):
    double(whole, name, line, to)
    before = snapshot(whole.folder)
    collect, check = whole.collect(), whole.check()
    where = f"{whole.folder}/{name}:{to + 1}: "
    assert (
        collect.code == check.code == 2
        and collect.err.startswith(where)
        and f"stands on line {line + 1} already; keep one of the two" in collect.err
    )
    assert collect.err.strip() in check.err and "FAIL no row of another file stands twice" in check.out
    assert snapshot(whole.folder) == before


@pytest.mark.parametrize("name", ["trajectories.jsonl", "selections.jsonl"])
def test_a_row_that_stands_twice_in_the_run_s_view_is_named_by_aggregate_review(whole, name):
    double(whole, name, 0, 3)
    before = snapshot(whole.folder)
    outcome = whole.aggregate_review()
    assert (
        outcome.code == 2
        and outcome.err.startswith(f"{whole.folder}/{name}:4: ")
        and "stands on line 1 already" in outcome.err
    )
    assert snapshot(whole.folder) == before
