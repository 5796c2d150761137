"""The review list goes to Label Studio as tasks and a form, and its exports come back as decisions, all counted."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import get_args

import pytest

from tests.support.builders import RunFolder, call, guidance, snapshot, ticket
from verdicts.base.jsonl import read_json, read_rows, write_rows
from verdicts.records.review import Decision, NeedReviewFile, ReviewDecision
from verdicts.review.label_studio_tasks import labelling_form

KEYS = ("a::fail", "b::fail", "c::pass", "d::fail")
PLAYED = dict.fromkeys(KEYS, "pass pass") | {"c::pass": "fail fail"}
PEOPLE = {1: "one@example.com", 2: "two@example.com"}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A finished run in which four tickets are queued, one of them with a reason of people's."""
    summaries = {"a::fail": ("电线/捆扎整齐×1", "标签/无法识别×1")}
    tickets = [
        ticket(
            *key.split("::"), summaries.get(key, (f"电线/捆扎整齐×{number}",)), reasons=("缺<螺丝>",) * (key[0] == "b")
        )
        for number, key in enumerate(PLAYED, start=2)
    ] + [ticket("right", "fail", ("电线/散乱×1",))]
    played = PLAYED | {"right::fail": "fail fail"}
    made = RunFolder(tmp_path / "final" / "bbu_line", tickets).play(played, after=guidance(1, G1="规则"))
    return made.play(played).finish().complete()


def send(run: RunFolder, **options):
    return call("label_studio", run_dir=run.folder, output_dir=run.folder / "label_studio", **options)


def sent(run: RunFolder) -> list[dict]:
    return json.loads((run.folder / "label_studio" / "tasks.json").read_text(encoding="utf-8"))


def apply(run: RunFolder, items: object, **options):
    path = run.folder.parent / "export.json"
    path.write_text(json.dumps(items, ensure_ascii=False), encoding="utf-8")
    return call("review_apply", run_dir=run.folder, decisions=path, **options)


def decided(run: RunFolder) -> dict[str, ReviewDecision]:
    return {row.ticket_key: row for row in read_rows(run.folder / "review_decisions.jsonl", ReviewDecision)}


def annotation(number: int, who: object, *words: str, note: str = "", reason: str = "", skipped: bool = False) -> dict:
    """An annotation as Label Studio 1.23 exports it."""

    def part(name: str, kind: str, value: dict) -> dict:
        return {"from_name": name, "to_name": "said", "type": kind, "value": value}

    result = [part("decision", "choices", {"choices": list(words)})] if words else []
    result += [part("note", "textarea", {"text": [note]})] if note else []
    result += [part("corrected_reason", "textarea", {"text": [reason]})] if reason else []
    at = f"2026-11-26T22:45:{number:02}.731436Z"
    return {"id": number, "completed_by": who, "result": result, "was_cancelled": skipped, "updated_at": at}


def task(number: int, key: str | None, *annotations: dict, drafts: int = 0) -> dict:
    """A task as Label Studio 1.23 exports it."""
    data = {"ticket_key": key} if key else {"text": "another project's"}
    return {"id": number, "annotations": list(annotations), "drafts": [{}] * drafts, "predictions": [], "data": data}


def user(number: int) -> dict:
    return {"id": number, "email": PEOPLE[number], "first_name": "", "last_name": ""}


def test_a_task_has_all_that_a_person_decides_by(run):
    outcome = send(run)
    assert outcome.last_line == f"label_studio: 4 tasks of 4 listed tickets -> {run.folder / 'label_studio'}"
    listed = next(iter(read_json(run.folder / "need_review.json", NeedReviewFile).missions.values())).tickets
    tasks = [row["data"] for row in sent(run)]
    assert [row["ticket_key"] for row in tasks] == [row.ticket_key for row in listed]
    first = {row["ticket_key"]: row for row in tasks}["a::fail"]
    assert first["mission"] == "BBU接地线检查" and (first["label"], first["verdict"]) == ("fail", "pass")
    assert first["facts"] == "1. 电线/捆扎整齐×1\n2. 标签/无法识别×1" and first["photo_names"] == [
        "a_1.jpeg",
        "a_2.jpeg",
    ]
    assert first["candidates"] == [
        {"verdict": "pass", "reason": "第1条依据(G0)", "count": 1},
        {"verdict": "pass", "reason": "第2条依据(G0)", "count": 1},
    ]
    assert "人工标签 label: 不通过" in first["said"] and "通过 ×1: 第2条依据(G0)" in first["said"]
    assert "不通过理由 fail reasons: 缺<螺丝>" in {row["ticket_key"]: row for row in tasks}["b::fail"]["said"]


@pytest.mark.parametrize(("photos", "opinions"), [(False, False), (True, True)])
def test_the_form_asks_for_all_that_a_decision_holds_and_for_nothing_that_tasks_lack(photos, opinions):
    form = ElementTree.fromstring(labelling_form(photos=photos, opinions=opinions))
    assert [choice.get("alias") for choice in form.iter("Choice")] == list(get_args(Decision))
    controls = {node.get("name") for kind in ("Choices", "TextArea") for node in form.iter(kind)}
    assert controls == {"decision", "corrected_reason", "note"} <= ReviewDecision.model_fields.keys()
    wanted = {"said", "facts", "title"}
    wanted |= ({"photos"} if photos else set()) | ({"opinions"} if opinions else set())
    values = {node.get("value") or node.get("valueList") for node in form.iter()} - {None}
    assert {value[1:] for value in values if value.startswith("$")} == wanted


def test_photos_are_addressed_below_label_studios_local_files_or_by_a_servers_address(run, tmp_path):
    folder = tmp_path / "all photos"
    for path in (folder / "a" / "a_1.jpeg", folder / "deep" / "b_1.jpeg"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    assert "2 of 5 photos found" in send(run, photos=folder).last_line
    found = {row["data"]["ticket_key"]: row["data"]["photos"] for row in sent(run)}
    assert found["a::fail"] == ["/data/local-files/?d=all%20photos/a/a_1.jpeg"] and found["c::pass"] == []
    assert 'valueList="$photos"' in (run.folder / "label_studio" / "config.xml").read_text(encoding="utf-8")
    send(run, photos=folder, photos_url="https://photos.example.com/x/")
    found = {row["data"]["ticket_key"]: row["data"]["photos"] for row in sent(run)}
    assert found["b::fail"] == ["https://photos.example.com/x/deep/b_1.jpeg"]


def test_only_what_waits_is_sent_or_all_or_what_is_disputed(run):
    for name, word in (("one", "exclude"), ("two", "unsure")):
        rows = [ReviewDecision(ticket_key="a::fail", decision="unsure", reviewer=name)]
        rows += [ReviewDecision(ticket_key="b::fail", decision=word, reviewer=name)]
        write_rows(run.folder / f"{name}.jsonl", rows)
    call("review_apply", run_dir=run.folder, decisions=run.folder / "one.jsonl", second=run.folder / "two.jsonl")
    assert "3 tasks of 4 listed" in send(run).last_line
    assert "4 tasks of 4 listed" in send(run, tasks="all").last_line
    assert "1 tasks of 4 listed" in send(run, tasks="disputed").last_line
    assert sent(run)[0]["data"]["opinions"] == "意见 opinions:\none: exclude; two: unsure"
    assert 'value="$opinions"' in (run.folder / "label_studio" / "config.xml").read_text(encoding="utf-8")


def test_every_annotation_of_an_export_is_a_decision_or_counted(run):
    items = [
        task(1, "a::fail", annotation(1, user(1), "label_wrong", note="看得见", reason=" 三处均符合(G0) ")),
        task(2, "b::fail", annotation(2, user(1), "标签错 · label wrong"), annotation(3, user(1), "model_wrong")),
        task(3, "c::pass", annotation(4, user(1), skipped=True), drafts=2),
        task(4, "d::fail", annotation(5, user(1)), annotation(6, user(1), "maybe")),
        task(5, "elsewhere::fail", annotation(7, user(1), "exclude")),
        task(6, None, annotation(8, user(1), "exclude")),
        task(7, "right::fail"),
    ]
    items[0]["annotations"][0]["result"] += [{"from_name": "quality", "type": "rating", "value": {"rating": 4}}]
    outcome = apply(run, items)
    assert outcome.code == 0, outcome.err
    assert (
        "export.json: 8 annotations of 7 tasks = 2 decisions + 1 of one who decided the ticket again later "
        "+ 2 of tickets that this run has not + 1 skipped + 1 with an unknown choice + 1 without a choice; "
        "1 tasks nobody annotated; 2 drafts nobody submitted" in outcome.err
    )
    assert "left out, of tickets that this run has not: 'elsewhere::fail', task 6" in outcome.err
    assert "left out, with an unknown choice: 'maybe'" in outcome.err
    assert "left out, answers to controls that are not ours: quality" in outcome.err
    assert decided(run) == {
        "a::fail": ReviewDecision(
            ticket_key="a::fail",
            decision="label_wrong",
            note="看得见",
            reviewer="one@example.com",
            corrected_reason="三处均符合(G0)",
        ),
        "b::fail": ReviewDecision(ticket_key="b::fail", decision="model_wrong", reviewer="one@example.com"),
    }


def test_json_min_is_read_the_same(run):
    def row(number: int, key: str, who: object, **said: object) -> dict:
        return {"ticket_key": key, "id": 1, "annotator": who, "annotation_id": number, "updated_at": "1"} | said

    items = [
        row(1, "a::fail", 1, decision="label_wrong", note="看得见"),
        row(2, "b::fail", 1, decision={"choices": ["model_wrong"]}, corrected_reason={"text": ["缺螺丝(G0)"]}),
        {"ticket_key": "c::pass", "id": 3, "annotator": None, "annotation_id": None},
    ]
    outcome = apply(run, items)
    assert "2 annotations of 2 tasks = 2 decisions; 1 tasks nobody annotated" in outcome.err
    assert "names annotators by number; docs/review.md (In Label Studio) says how" in outcome.err
    assert {key: (row.decision, row.reviewer, row.note, row.corrected_reason) for key, row in decided(run).items()} == {
        "a::fail": ("label_wrong", "annotator 1", "看得见", ""),
        "b::fail": ("model_wrong", "annotator 1", "", "缺螺丝(G0)"),
    }


def test_the_annotators_of_an_export_are_reviewers_who_are_compared(run):
    items = [
        task(1, "a::fail", annotation(1, user(1), "exclude"), annotation(2, user(2), "exclude")),
        task(2, "b::fail", annotation(3, user(1), "label_wrong"), annotation(4, user(2), "model_wrong")),
    ]
    outcome = apply(run, items)
    # alike 1 of 2; by chance exclude 1/2 * 1/2 alone, so kappa = (1/2 - 1/4) / (3/4) = 1/3
    assert "two reviewers: 1 of 2 tickets that both decided alike, Cohen's kappa 0.33" in outcome.err
    assert "disputed b::fail: one@example.com: label_wrong; two@example.com: model_wrong" in outcome.err
    assert decided(run)["a::fail"].reviewer == "one@example.com, two@example.com" and set(decided(run)) == {"a::fail"}
    settled = apply(
        run, [task(2, "b::fail", annotation(5, {"id": 3, "email": "three@example.com"}, "exclude"))], adjudicate=True
    )
    assert "1 given = 1 new" in settled.last_line and "names annotators by number" not in settled.err
    assert decided(run)["b::fail"].adjudicated and decided(run)["b::fail"].reviewer == "three@example.com"


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "export.json: holds no decision of this run's tickets; export a project that people decided"),
        ([task(1, "a::fail", annotation(1, 1, skipped=True))], "holds no decision of this run's tickets"),
        ([{"some": "array"}], "export.json:1: "),
        (
            [task(3, "a::fail", annotation(1, 1, "exclude", reason="缺"))],
            "export.json: task 3: a corrected reason goes with",
        ),
        (
            [task(3, "a::fail", annotation(1, 1, "model_wrong", reason="一\n二"))],
            "task 3: corrected_reason: holds a line",
        ),
        (
            [task(3, "a::fail", annotation(1, 1, "model_wrong", reason="证据不足"))],
            "an answer knows pass and fail alone",
        ),
        ([task(3, "a::fail", {"id": 1, "result": [3, {"value": 7}]}, 8)], "holds no decision of this run's tickets"),
    ],
)
def test_an_export_that_cannot_be_used_is_named_and_nothing_is_written(run, items, message):
    before = snapshot(run.folder)
    outcome = apply(run, items)
    assert outcome.code == 2 and message in outcome.err.splitlines()[-1]
    assert snapshot(run.folder) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"photos": Path("nowhere")}, "nowhere: no such folder; check --photos"),
        ({"photos_url": "https://x"}, "https://x: serves a folder that is not named; name it with --photos"),
        ({"tasks": "disputed"}, "no ticket is disputed (4 listed); name others with --tasks"),
        ({"tasks": "some"}, "--tasks: is none of waiting, all, disputed ('some'); name one of them"),
    ],
)
def test_what_cannot_be_sent_is_named_and_nothing_is_written(run, options, message):
    before = snapshot(run.folder)
    outcome = send(run, **options)
    assert outcome.code == 2 and message in outcome.err
    assert snapshot(run.folder) == before
