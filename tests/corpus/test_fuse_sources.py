"""fuse: general chat, rows of other programs' corpora, irrelevant photos, and prompts of a source's own."""

import hashlib
import json

import pytest

from tests.support.builders import snapshot
from tests.support.fusing import Bench, photo_row, source
from verdicts.base.jsonl import write_rows


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path)


def talk(number: int) -> dict:
    """A row of general chat."""
    return {
        "messages": [{"role": "user", "content": f"{number}加一？"}, {"role": "assistant", "content": str(number + 1)}]
    }


def general(bench: Bench, count: int = 20, **fields: object) -> dict:
    """A source of general chat, written."""
    write_rows(bench.folder / "in" / "talk.jsonl", [talk(number) for number in range(count)])
    return source("talk", "chat", template="chat_general", fail_oversample=None, **fields)


def test_general_chat_is_a_source_without_ticket_photo_or_verdict(bench):
    bench.configure(source("chat", "chat"), general(bench))
    assert bench.fuse().code == 0
    rows = [row for row in bench.rows() if row.source == "talk"]
    assert len(rows) == 40, "as many as the anchor has: each of the 20 twice"
    assert {(row.task, row.group_id, row.weight, *row.images) for row in rows} == {("chat", "", 1.0)}
    assert bench.manifest().verdicts == {"pass": 30, "fail": 10}, "those of the chat source alone"


def test_general_chat_alone_is_not_one_sided(bench):
    bench.configure(source("dense", "dense"), general(bench))
    outcome = bench.fuse()
    assert outcome.code == 0 and "allow_one_sided" not in outcome.err
    assert bench.manifest().verdicts == {"pass": 0, "fail": 0}


def test_equal_conversations_of_general_chat_stay_on_one_side(bench):
    rows = [talk(number) for number in range(20)]
    mix = source("talk", "chat", template="chat_general", fail_oversample=None, val={"share": 0.3})
    write_rows(bench.folder / "in" / "talk.jsonl", [row | {"weight": w} for w in (1.0, 0.5) for row in rows])
    bench.configure(mix)
    assert bench.fuse().code == 0
    train, val = ({row.messages[0].content for row in bench.rows(part)} for part in ("train", "val"))
    assert len(train) + len(val) == 20 and val and not train & val


def test_a_corpus_with_ticket_keys_beside_its_fields_is_read(bench):
    without = bench.fuse("without")
    rows = [row | {"ticket_key": f"{row['group_id']}::{row['label']}"} for row in bench.lines("chat")]
    write_rows(bench.folder / "in" / "chat.jsonl", rows)
    assert (without.code, bench.fuse("with").code) == (0, 0)
    assert (bench.folder / "with/mix.train.jsonl").read_bytes() == (
        bench.folder / "without/mix.train.jsonl"
    ).read_bytes()


PROMPTS = {"system_prompt": "你是标注员。", "user_prompt": "列出对象"}


def test_a_sources_prompts_stand_in_place_of_its_rows_own(bench):
    rows = bench.lines("dense")
    rows[0]["messages"].insert(0, {"role": "system", "content": "旧"})
    write_rows(bench.folder / "in" / "dense.jsonl", rows)
    bench.configure(source("dense", "dense", **PROMPTS), source("summary", "summary", ratio=0.5))
    assert bench.fuse().code == 0
    asked = {(row.source, *(message.content for message in row.messages[:-1])) for row in bench.rows()}
    assert asked == {("dense", "你是标注员。", "<image>列出对象"), ("summary", "<image>请描述")}
    assert bench.manifest().config.sources[0].user_prompt == "列出对象"


def test_the_manifest_names_the_prompts_of_each_source_of_photos(bench):
    bench.configure(source("chat", "chat"), source("dense", "dense", **PROMPTS))
    assert bench.fuse().code == 0
    chat, dense = bench.manifest().sources
    name = hashlib.sha256("你是标注员。\0列出对象".encode()).hexdigest()[:12]
    assert chat.prompts == {} and dense.prompts == {name: dense.rows_read}


def test_an_empty_system_prompt_takes_the_rows_own_out(bench):
    rows = bench.lines("dense")
    rows[0]["messages"].insert(0, {"role": "system", "content": "旧"})
    write_rows(bench.folder / "in" / "dense.jsonl", rows)
    bench.configure(source("dense", "dense", system_prompt=""))
    assert bench.fuse().code == 0
    assert {len(row.messages) for row in bench.rows()} == {2}


def with_row(name: str, **fields: object):
    """The first row of a source changed."""

    def apply(bench: Bench) -> None:
        rows = bench.lines(name)
        write_rows(bench.folder / "in" / f"{name}.jsonl", [rows[0] | fields, *rows[1:]])

    return apply


def two_questions(bench: Bench) -> None:
    row = photo_row(0, "一")
    row["messages"] += [{"role": "user", "content": "再看"}, {"role": "assistant", "content": "二"}]
    write_rows(bench.folder / "in" / "dense.jsonl", [row])
    bench.configure(source("dense", "dense", **PROMPTS))


BAD = {
    "a key of another ticket": (
        with_row("chat", ticket_key="g0::pass"),
        "in/chat.jsonl:1: ticket_key: 'g0::pass' is not the row's group_id and label ('g0::fail'); "
        "correct one of the three",
    ),
    "two questions under one prompt": (
        two_questions,
        "in/dense.jsonl:1: messages: 2 questions, where user_prompt of its source stands for one; make a row of each, "
        "or take user_prompt out",
    ),
    "a prompt for chat": (
        lambda bench: bench.configure(source("chat", "chat", user_prompt="说")),
        "mix.yaml:18: sources.0.user_prompt: a chat row has its own prompt, which its answer follows; take it out",
    ),
    "a photo in a prompt": (
        lambda bench: bench.configure(source("dense", "dense", user_prompt="<image>看")),
        "mix.yaml:17: sources.0.user_prompt: <image> would be read as a photo or clip of its own; the photos come by "
        "themselves",
    ),
    "a blank prompt": (
        lambda bench: bench.configure(source("dense", "dense", user_prompt=" ")),
        "mix.yaml:17: sources.0.user_prompt: is blank; write what the photo is asked, or take it out",
    ),
    "failed tickets of general chat": (
        lambda bench: bench.configure(general(bench) | {"fail_oversample": 2.0}),
        "mix.yaml:8: sources.0: source talk: fail_oversample belongs to template chatml and to no other; remove it",
    ),
    "a ticket in general chat": (
        lambda bench: (
            bench.configure(general(bench)),
            write_rows(bench.folder / "in" / "talk.jsonl", [talk(1), talk(2) | {"group_id": "g"}]),
        ),
        "in/talk.jsonl:2: group_id: unknown field; remove it",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_source_that_cannot_be_used_is_one_sentence_and_nothing_is_overwritten(bench, case):
    bench.fuse()
    before = snapshot(bench.folder / "out")
    spoil, expected = BAD[case]
    spoil(bench)
    outcome = bench.fuse()
    assert (outcome.code, outcome.err.strip().splitlines()) == (2, [expected])
    assert snapshot(bench.folder / "out") == before


def test_irrelevant_photos_are_a_source_of_summaries(bench):
    write_rows(bench.folder / "in" / "irrelevant.jsonl", [photo_row(number, "无关图片") for number in range(30, 40)])
    bench.configure(source("summary", "summary"), source("irrelevant", "summary", ratio=0.1))
    assert bench.fuse().code == 0
    answers = [row.messages[-1].content for row in bench.rows() if row.source == "irrelevant"]
    assert answers == ["无关图片"] * 3
    assert json.loads((bench.folder / "out/mix.train.jsonl").read_text(encoding="utf-8").splitlines()[0])["images"]
