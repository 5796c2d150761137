"""review_apply: decisions from a browser, a hand or a spreadsheet come back in, or the wrong line is named."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.builders import MISSION, RunFolder, call, guidance, snapshot, ticket
from verdicts.base.jsonl import read_json, read_rows, write_rows, write_text
from verdicts.records.corpus import DroppedRow, SftRow
from verdicts.records.review import NeedReviewFile, ReviewDecision, ReviewSummary
from verdicts.review.agreement import compare_reviewers
from verdicts.review.spreadsheet import DECISION_WORDS, HEADS
from verdicts.stats.rates import wilson

QUEUED = {"a::fail": "pass pass", "b::fail": "pass pass", "c::pass": "fail fail", "d::fail": "pass pass"}
RIGHT = {f"right{number}::fail": "fail fail" for number in range(6)}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A finished run in which four of ten tickets are queued."""
    tickets = [
        ticket(*key.split("::"), (f"电线/捆扎整齐×{number}",)) for number, key in enumerate(QUEUED | RIGHT, start=1)
    ]
    return (
        RunFolder(tmp_path / "final" / "bbu_line", tickets)
        .play(QUEUED | RIGHT, after=guidance(1, G1="规则"))
        .play(QUEUED | RIGHT)
        .finish()
        .complete()
    )


def decide(run: RunFolder, text: str | bytes, name: str = "given.jsonl"):
    path = run.folder.parent / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return call("review_apply", run_dir=run.folder, decisions=path)


def line(key: str, decision: str, note: str = "") -> str:
    return json.dumps({"ticket_key": key, "decision": decision, "note": note}, ensure_ascii=False) + "\n"


def decided(run: RunFolder) -> dict[str, ReviewDecision]:
    return {row.ticket_key: row for row in read_rows(run.folder / "review_decisions.jsonl", ReviewDecision)}


def test_decisions_are_merged_sorted_and_counted(run):
    assert decide(run, line("b::fail", "unsure") + line("a::fail", "label_wrong", "看得见")).code == 0
    outcome = decide(
        run, line("d::fail", "exclude") + line("b::fail", "model_wrong") + line("a::fail", "label_wrong", "看得见")
    )
    rate = wilson(1, 3)
    assert outcome.last_line == (
        "review_apply: 3 given = 1 new + 1 changed + 1 unchanged; 0 others kept; "
        f"3 of 4 queued tickets decided; label errors {rate}"
    )
    assert list(decided(run)) == ["a::fail", "b::fail", "d::fail"]
    assert decided(run)["b::fail"].decision == "model_wrong" and decided(run)["a::fail"].note == "看得见"
    assert decide(run, line("c::pass", "unsure")).last_line.startswith(
        "review_apply: 1 given = 1 new + 0 changed + 0 unchanged; 3 others kept"
    )
    assert len(decided(run)) == 4


def test_the_summary_counts_label_errors_of_the_queue_alone(run):
    decide(run, line("a::fail", "label_wrong") + line("c::pass", "exclude") + line("right0::fail", "label_wrong"))
    summary = read_json(run.folder / "review_summary.json", ReviewSummary)
    assert (summary.queued, summary.decided, summary.not_queued) == (4, 2, 1)
    assert summary.decisions == {"label_wrong": 1, "model_wrong": 0, "exclude": 1, "unsure": 0}
    assert summary.label_error.model_dump() == wilson(1, 2).model_dump()
    assert {side: (rate.k, rate.n) for side, rate in summary.label_error_by_label.items()} == {
        "pass": (0, 1),
        "fail": (1, 1),
    }


def test_the_same_decisions_again_leave_the_file_untouched_so_that_nothing_is_rebuilt(run):
    decide(run, line("a::fail", "exclude"))
    before = (run.folder / "review_decisions.jsonl").stat().st_mtime_ns
    assert decide(run, line("a::fail", "exclude")).code == 0
    assert (run.folder / "review_decisions.jsonl").stat().st_mtime_ns == before
    assert call("review_apply", run_dir=run.folder).last_line.startswith("review_apply: 1 of 4 queued tickets decided")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            line("nobody::fail", "exclude"),
            "given.jsonl:1: ticket_key: no ticket 'nobody::fail' in this run; correct the key or delete the line",
        ),
        (line("a::pass", "exclude"), ":1: ticket_key: no ticket 'a::pass' in this run"),
        (
            line("a::fail", "exclude") + line("a::fail", "unsure"),
            ":2: ticket_key: 'a::fail' is decided on line 1 already; keep one of the two",
        ),
        (
            line("a::fail", "exclude") + "\n" + line("a::fail", "exclude"),
            ":3: ticket_key: 'a::fail' is decided on line 1 already",
        ),  # the same twice is twice
        (
            line("a::fail", "wrong"),
            ":1: decision: input should be 'label_wrong', 'model_wrong', 'exclude' or 'unsure' (\"wrong\")",
        ),
        ('{"ticket_key": "a::fail", "decision": "exclude", "nte": ""}', ":1: nte: unknown field; did you mean 'note'?"),
        ('{"ticket_key": "a::fail"}', ":1: decision: missing; add it"),
        (line("a::fail", "exclude") + '{"ticket_key": "b::f', ":2: not valid JSON"),
        ("", "given.jsonl:1: its first line has no heads ticket_key and decision"),
        (b"PK\x03\x04rest", "is a workbook, not text; save it as CSV (UTF-8)"),
        (b"\xff\xfe\x00", "given.jsonl: not UTF-8, UTF-16 or GB18030; save it as CSV (UTF-8)"),
        (b"\x81\xff\xff", "given.jsonl: not UTF-8, UTF-16 or GB18030"),
        ("ticket_key,decision\na::fail,\n", "given.jsonl: holds no decision; fill in at least one"),
        (
            "ticket_key,decision\na::fail,wrong\n",
            ":2: decision: unknown decision 'wrong'; write one of label_wrong, model_wrong, exclude, unsure "
            "(标签错、模型错、排除、不确定)",
        ),
        ("ticket_key,decision,note\na::fail,,看\n", ":2: decision: empty, though there is a note"),
        (
            "ticket_key,decision\nb::fail,unsure\nnobody::fail,unsure\n",
            ":3: ticket_key: no ticket 'nobody::fail' in this run",
        ),
        (
            'ticket_key,decision,note\nb::fail,unsure,"two\nlines"\nb::fail,unsure,\n',
            ":4: ticket_key: 'b::fail' is decided on line 2 already",
        ),
        ("ticket_key,decision,nots\na::fail,unsure,\n", ":1: nots: unknown head; did you mean 'note'?"),
        ("ticket_key,decision,决定\na::fail,unsure,\n", ":1: decision: stands on two columns; keep one of the two"),
        (
            "ticket_key,decision\na::fail,unsure,left over\n",
            ":2: 3 cells under 2 heads; quote a cell that holds the delimiter",
        ),
        (
            'ticket_key,decision,note\na::fail,unsure,"open\n',
            ":2: not a table row (unexpected end of data); close its quotes",
        ),
    ],
)
def test_a_wrong_line_is_named_in_one_line_and_nothing_is_written(run, text, message):
    decide(run, line("a::fail", "model_wrong", "earlier"))
    before = snapshot(run.folder)
    outcome = decide(run, text)
    assert outcome.code == 2 and message in outcome.err and outcome.err.count("\n") == 1
    assert snapshot(run.folder) == before


TABLE = (
    '工单,决定,备注,人工标签\r\na::fail,标签错,"第一行\r\n第二行, 完",不通过\r\n'
    "b::fail,,,不通过\r\nc::pass,unsure,,通过\r\n"
)


@pytest.mark.parametrize(
    "data",
    [
        TABLE.encode(),
        TABLE.replace("\r\n", "\n").encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        TABLE.encode("gb18030"),
        TABLE.replace('"第一行\r\n第二行, 完"', "#")
        .replace(",", ";")
        .replace("#", '"第一行\r\n第二行, 完"')
        .encode("utf-8-sig"),
        TABLE.replace('"第一行\r\n第二行, 完"', "#")
        .replace(",", "\t")
        .replace("#", '"第一行\r\n第二行, 完"')
        .encode("utf-16"),
        (TABLE + ",,,\r\n").encode(),
        TABLE.replace("工单,决定,备注,人工标签", "ticket_key, Decision ,note,label".replace("Decision", "decision"))
        .replace("标签错", "Label wrong")
        .encode(),
    ],
    ids=["utf-8", "lf", "bom", "utf-16", "gb18030", "semicolons", "unicode-text", "empty-rows", "english"],
)
def test_what_a_spreadsheet_saves_is_read(run, data):
    outcome = decide(run, data, "filled.csv")
    assert outcome.code == 0, outcome.err
    found = decided(run)
    assert {key: row.decision for key, row in found.items()} == {"a::fail": "label_wrong", "c::pass": "unsure"}
    assert found["a::fail"].note == "第一行\n第二行, 完"


def test_a_reason_to_teach_that_the_table_holds_is_brought_in(run):
    filled = "工单,决定,更正理由\r\na::fail,模型错,'=缺少机柜处接地螺丝(G0)\r\nb::fail,排除,\r\n"
    assert decide(run, filled, "filled.csv").code == 0
    assert {key: row.corrected_reason for key, row in decided(run).items()} == {
        "a::fail": "=缺少机柜处接地螺丝(G0)",
        "b::fail": "",
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b::fail,,缺螺丝", ":2: decision: empty, though there is a reason to teach; write one of"),
        ("b::fail,排除,缺螺丝", ":2: a corrected reason goes with label_wrong or model_wrong, not exclude; take one"),
        ("b::fail,模型错,证据不足", "corrected_reason: 'b::fail': an answer knows pass and fail alone"),
    ],
)
def test_a_reason_of_the_table_that_cannot_be_taught_is_named(run, row, message):
    outcome = decide(run, f"工单,决定,更正理由\n{row}\n", "filled.csv")
    assert outcome.code == 2 and message in outcome.err and outcome.err.count("\n") == 1


def test_the_exported_table_is_filled_in_and_read_back(run):
    decide(run, line("b::fail", "unsure", "=1+1"))
    table = run.folder / "review.csv"
    assert call("review_apply", run_dir=run.folder, export=table).last_line.startswith(
        f"review_apply: 4 rows in {table}; 1 of 4"
    )
    data = table.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf") and data.count(b"\r\n") == 5
    text = data.decode("utf-8-sig")
    assert text.splitlines()[0].split(",") == list(HEADS.values())
    assert "b::fail,不确定,'=1+1," in text
    filled = text.replace("a::fail,,", f"a::fail,{DECISION_WORDS['label_wrong']},")
    assert decide(run, filled.encode("utf-8-sig"), "back.csv").code == 0
    assert decided(run)["a::fail"].decision == "label_wrong" and decided(run)["b::fail"].note == "=1+1"


def test_the_table_has_what_people_wrote_and_no_formula_of_it(tmp_path):
    tickets = [ticket("a", "fail", reasons=("=1+1", "补拍")), ticket("b", "fail")]
    run = RunFolder(tmp_path, tickets).play({"a::fail": "pass", "b::fail": "pass"}).finish().complete()
    assert call("review_apply", run_dir=run.folder, export=run.folder / "review.csv").code == 0
    text = (run.folder / "review.csv").read_text(encoding="utf-8-sig")
    assert [(row["工单"], row["不通过理由"]) for row in csv.DictReader(io.StringIO(text))] == [
        ("a::fail", "'=1+1；补拍"),
        ("b::fail", ""),
    ]


def test_an_existing_table_is_not_written_over(run):
    write_text(run.folder / "review.csv", "somebody's work")
    before = snapshot(run.folder)
    outcome = call("review_apply", run_dir=run.folder, export=run.folder / "review.csv")
    assert outcome.code == 2 and "exists already" in outcome.err and snapshot(run.folder) == before


@pytest.mark.parametrize("start", [*"=+-@\t\r'", "＝"])
def test_no_cell_of_the_table_begins_as_a_formula_and_every_key_comes_back(tmp_path, start):
    group = f"{start}cmd|' /C calc'!A0"
    run = (
        RunFolder(tmp_path, [ticket(group, "fail"), ticket("x", "fail")])
        .play({f"{group}::fail": "pass", "x::fail": "fail"})
        .finish()
        .complete()
    )
    table = tmp_path / "review.csv"
    call("review_apply", run_dir=run.folder, export=table)
    text = table.read_bytes().decode("utf-8-sig")
    row = text.split("\r\n", 1)[1]
    assert row.lstrip('"').startswith("'" + start)
    heads, _, rest = text.partition("\r\n")
    filled = (
        heads + "\r\n" + rest.replace("::fail,,", "::fail,排除,", 1).replace('::fail",,', '::fail",排除,', 1)
    ).encode()
    assert decide(run, filled, "back.csv").code == 0
    assert list(decided(run)) == [f"{group}::fail"]


def test_the_corpus_takes_corrected_labels_and_leaves_excluded_tickets_out(run):
    decide(run, line("a::fail", "label_wrong") + line("b::fail", "exclude"))
    assert run.distill(run.folder / "review_decisions.jsonl").code == 0
    kept = [row for name in ("train", "val") for row in read_rows(run.folder / f"distill.{name}.jsonl", SftRow)]
    assert [(row.label, row.flags) for row in kept if row.group_id == "a"] == [("pass", "label_corrected")]
    assert not any(row.group_id == "b" for row in kept)


@pytest.mark.parametrize(("same_photos", "rows"), [(True, 1), (False, 2)])
def test_a_corrected_ticket_that_repeats_its_group_s_other_ticket_is_dropped_as_duplicate(tmp_path, same_photos, rows):
    summaries = ("电线/捆扎整齐×1",), ("电线/捆扎整齐×1" if same_photos else "电线/捆扎整齐×2",)
    tickets = [
        ticket("twin", "pass", summaries[0]),
        ticket("twin", "fail", summaries[1]),
        ticket("x", "fail", ("电线/散乱×1",)),
    ]
    run = (
        RunFolder(tmp_path, tickets)
        .play({"twin::pass": "pass", "twin::fail": "pass", "x::fail": "fail"})
        .finish()
        .complete()
    )
    decide(run, line("twin::fail", "label_wrong"))
    run.distill(run.folder / "review_decisions.jsonl")
    kept = [
        row
        for name in ("train", "val")
        for row in read_rows(run.folder / f"distill.{name}.jsonl", SftRow, allow_empty=True)
        if row.group_id == "twin"
    ]
    dropped = read_rows(run.folder / "distill.dropped.jsonl", DroppedRow, allow_empty=True)
    assert len(kept) == rows and all(row.label == "pass" for row in kept)
    assert [(row.ticket_key, row.dropped) for row in dropped] == ([("twin::fail", "duplicate")] if same_photos else [])


def test_a_run_with_decisions_passes_its_check(run):
    decide(run, line("a::fail", "label_wrong") + line("b::fail", "exclude"))
    run.distill(run.folder / "review_decisions.jsonl")
    outcome = run.check()
    assert outcome.code == 0, outcome.out


def test_a_decision_file_written_by_hand_needs_no_tool(run):
    write_rows(run.folder / "review_decisions.jsonl", [ReviewDecision(ticket_key="a::fail", decision="exclude")])
    assert run.distill(run.folder / "review_decisions.jsonl").code == 0
    assert call("review_apply", run_dir=run.folder).last_line.startswith(
        "review_apply: 1 of 4 queued tickets decided; label errors 0.0%"
    )


def test_a_corrected_reason_teaches_the_right_verdict_with_it(run):
    given = [
        ReviewDecision(ticket_key="a::fail", decision="label_wrong", corrected_reason="三处均符合(G0)"),
        ReviewDecision(ticket_key="b::fail", decision="model_wrong", corrected_reason="缺少机柜处接地螺丝(G0)"),
        ReviewDecision(ticket_key="d::fail", decision="model_wrong"),
    ]
    write_rows(run.folder / "given.jsonl", given)
    assert call("review_apply", run_dir=run.folder, decisions=run.folder / "given.jsonl").code == 0
    outcome = run.distill(run.folder / "review_decisions.jsonl")
    assert outcome.code == 0 and "; 1 labels corrected by people; 2 reasons written by people" in outcome.last_line
    kept = [row for name in ("train", "val") for row in read_rows(run.folder / f"distill.{name}.jsonl", SftRow)]
    assert {
        row.group_id: (row.label, row.flags, row.messages[2].content) for row in kept if row.group_id in ("a", "b", "d")
    } == {
        "a": ("pass", "label_corrected,reason_corrected", "Verdict: 通过\nReason: 三处均符合(G0)"),
        "b": ("fail", "reason_corrected", "Verdict: 不通过\nReason: 缺少机柜处接地螺丝(G0)"),
    }
    assert run.check().code == 0


@pytest.mark.parametrize(
    ("decision", "reason", "message"),
    [
        ("unsure", "看不清", "a corrected reason goes with label_wrong or model_wrong, not unsure"),
        ("model_wrong", "证据不足", "corrected_reason: 'a::fail': an answer knows pass and fail alone"),
        ("model_wrong", "一\n二", "corrected_reason: holds a line end; write it on one line"),
    ],
)
def test_a_reason_that_cannot_be_taught_is_refused(run, decision, reason, message):
    row = {"ticket_key": "a::fail", "decision": decision, "corrected_reason": reason}
    outcome = decide(run, json.dumps(row, ensure_ascii=False) + "\n")
    assert outcome.code == 2 and message in outcome.err
    assert not (run.folder / "review_decisions.jsonl").exists()


def test_two_reviewers_are_compared_and_a_third_settles_what_they_dispute(run):
    def said(name: str, words: dict[str, str]) -> Path:
        rows = [ReviewDecision(ticket_key=key, decision=word, reviewer=name) for key, word in words.items()]
        write_rows(run.folder / f"{name}.jsonl", rows)
        return run.folder / f"{name}.jsonl"

    keys = [
        row.ticket_key for row in read_json(run.folder / "need_review.json", NeedReviewFile).missions[MISSION].tickets
    ]
    one = said("one", dict(zip(keys, ("label_wrong", "model_wrong", "model_wrong"), strict=False)))
    two = said("two", dict(zip(keys, ("label_wrong", "label_wrong", "model_wrong", "unsure"), strict=False)))
    table = run.folder / "disputed.csv"
    outcome = call("review_apply", run_dir=run.folder, decisions=one, second=two, export=table)
    assert outcome.code == 0, outcome.err
    # two of three alike; by chance (1/3)(2/3) + (2/3)(1/3) = 4/9, so kappa = (6/9 - 4/9) / (5/9) = 0.4
    assert (
        "two reviewers: 2 of 3 tickets that both decided alike, Cohen's kappa 0.40 [0.00, 1.00]; 1 disputed, 1 decided"
        in outcome.err
    )
    assert f"disputed {keys[1]}: one: model_wrong; two: label_wrong" in outcome.err
    kept = decided(run)
    assert {key: row.decision for key, row in kept.items()} == {
        keys[0]: "label_wrong",
        keys[2]: "model_wrong",
        keys[3]: "unsure",
    }
    assert kept[keys[0]].reviewer == "one, two"
    text = table.read_text(encoding="utf-8-sig")
    assert [row["工单"] for row in csv.DictReader(io.StringIO(text))] == [keys[1]]
    third = run.folder / "third.csv"
    third.write_text(text.replace(f"{keys[1]},,", f"{keys[1]},标签错,"), encoding="utf-8-sig")
    assert call("review_apply", run_dir=run.folder, decisions=third, adjudicate=True).code == 0
    assert decided(run)[keys[1]].decision == "label_wrong" and decided(run)[keys[1]].adjudicated


def test_a_second_reviewer_without_a_first_is_refused(run):
    write_rows(run.folder / "two.jsonl", [ReviewDecision(ticket_key="a::fail", decision="unsure")])
    outcome = call("review_apply", run_dir=run.folder, second=run.folder / "two.jsonl")
    assert outcome.code == 2 and "there is no first; name the first's with --decisions" in outcome.err


def test_kappa_is_not_defined_where_one_word_alone_was_used():
    said = {"a": ReviewDecision(ticket_key="a", decision="unsure")}
    assert compare_reviewers(said, said).beyond.value is None and compare_reviewers(said, {}).shared == 0
