"""fuse: sources are mixed as the config says, in bounded memory, and the result loads where students are trained."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.builders import RunFolder, call, snapshot, ticket, validation_groups
from tests.support.fusing import ROOT, Bench, chat_row, photo_row, source
from verdicts.base.jsonl import read_rows, write_rows
from verdicts.corpus.mix import draw_rows, order_of
from verdicts.corpus.mix_config import read_fusion
from verdicts.corpus.rows import FusedRow, read_fused
from verdicts.records.corpus import SftRow


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path)


def sources_of(rows: list[FusedRow]) -> Counter:
    return Counter(row.source for row in rows)


# -- what is mixed


def test_the_anchor_is_taken_whole_and_the_others_get_their_ratio_of_its_rows(bench):
    bench.configure(
        source("chat", "chat", ratio=2.0), source("dense", "dense", ratio=1.0), source("summary", "summary", ratio=3.0)
    )
    assert bench.fuse().code == 0
    rows = bench.rows()
    assert sources_of(rows) == {"chat": 40, "dense": 20, "summary": 60}
    repeats = Counter(tuple(row.images) for row in rows if row.source == "summary")
    assert len(repeats) == 30 and set(repeats.values()) == {2}, "whole passes before any row comes once more"
    assert len({row.group_id for row in rows if row.task == "chat"}) == 40


def test_mixing_by_loss_tokens_compares_what_the_answers_weigh(bench):
    bench.configure(source("dense", "dense", ratio=1.0), source("summary", "summary", ratio=1.0), by="loss_tokens")
    assert bench.fuse().code == 0
    dense, summary = bench.manifest().sources
    each = {name: len(bench.lines(name)[0]["messages"][1]["content"]) for name in ("dense", "summary")}
    assert dense.loss_tokens == 60 * each["dense"]
    assert abs(summary.loss_tokens - dense.loss_tokens) <= each["summary"] / 2
    assert summary.train_rows == summary.loss_tokens / each["summary"]
    assert bench.manifest().loss_counted_in.startswith("characters")


def test_a_named_tokenizer_counts_the_answers_tokens_and_their_end_of_turn(bench):
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    (bench.folder / "model").mkdir()
    words.save(str(bench.folder / "model" / "tokenizer.json"))
    bench.configure(source("summary", "summary"), tokenizer="model")
    assert bench.fuse().code == 0
    manifest = bench.manifest()
    assert manifest.loss_counted_in == "tokens of model/tokenizer.json"
    assert manifest.sources[0].loss_tokens == 30 * (len(words.encode("螺丝×1").ids) + 1)
    assert "model/tokenizer.json" in [given.path for given in manifest.inputs]


def test_an_absolute_row_count_is_met_by_cutting_or_repeating(bench):
    bench.configure(
        source("chat", "chat"),
        source("dense", "dense", rows=7, ratio=None),
        source("summary", "summary", rows=65, ratio=None),
    )
    assert bench.fuse().code == 0
    rows = bench.rows()
    assert sources_of(rows) == {"chat": 40, "dense": 7, "summary": 65}
    repeats = Counter(tuple(row.images) for row in rows if row.source == "summary")
    assert sorted(repeats.values()) == [2] * 25 + [3] * 5


def test_the_chat_corpus_goes_in_as_distill_wrote_it(bench):
    tickets = [ticket(f"g{number}", "fail" if number % 3 else "pass") for number in range(12)]
    run = (
        RunFolder(bench.folder / "run", tickets, conflict_policy="mark")
        .play({one.ticket_key: "fail fail pass" for one in tickets})
        .finish()
        .complete()
    )
    bench.configure(source("chat", "chat", paths=["run/distill.train.jsonl"], val={"paths": ["run/distill.val.jsonl"]}))
    assert bench.fuse().code == 0
    for part in ("train", "val"):
        corpus = read_rows(run.folder / f"distill.{part}.jsonl", SftRow)
        assert {(row.group_id, row.weight, *row.messages) for row in bench.rows(part)} == {
            (row.group_id, row.weight, *row.messages) for row in corpus
        }


def test_failed_tickets_are_oversampled_in_train_and_never_in_val(bench):
    bench.configure(source("chat", "chat", fail_oversample=2.5, val={"share": 0.3}))
    assert bench.fuse().code == 0
    failed = {row["group_id"] for row in bench.lines("chat") if row["label"] == "fail"}
    train, val = Counter(row.group_id for row in bench.rows()), Counter(row.group_id for row in bench.rows("val"))
    assert {train[group] for group in train if group not in failed} == {1}
    assert {train[group] for group in failed & train.keys()} == {2, 3}
    assert sum(train[group] for group in failed) == round(2.5 * len(failed & train.keys()))
    assert set(val.values()) == {1}
    share = bench.manifest().sources[0]
    assert share.fail_rows == sum(train[group] for group in failed) and share.fail_rows_read == 10


def predicted(group: str, verdict: str | None) -> dict:
    """A row of predictions.jsonl."""
    told = {"verdict": verdict, "reason": "r", "lines": "l", "decided_by": "model", "why": None}
    if verdict is None:
        told = {"verdict": None, "reason": None, "lines": None, "decided_by": None, "why": "empty"}
    return {
        "group_id": group, "mission": "BBU接地线检查", "images": ["1.jpg"], "per_image": {"image_1": "螺丝"},
        "answer": "", "said": verdict, "p_fail": None, "threshold": None, "detail": "", "missing": [], **told,
    }  # fmt: skip


def test_tickets_that_the_student_released_wrongly_are_taken_more_often(bench):
    # g0, g4, … are the failed ones; g9 passes rightly, g8 is judged twice, g12 got no verdict
    said = [("g0", "pass"), ("g4", "fail"), ("g8", "pass"), ("g8", "fail"), ("g9", "pass"), ("g12", None)]
    write_rows(bench.folder / "in/predictions.jsonl", [predicted(*pair) for pair in said])
    released = {"predictions": "in/predictions.jsonl", "times": 3}
    bench.configure(source("chat", "chat", released=released, fail_oversample=2.0))
    outcome = bench.fuse()
    assert outcome.code == 0
    train = Counter(row.group_id for row in bench.rows())
    assert {group: count for group, count in train.items() if count > 2} == {"g0": 6, "g8": 6}
    assert (train["g4"], train["g9"], train["g12"]) == (2, 1, 2)
    made = bench.manifest()
    assert (made.sources[0].judged_rows, made.sources[0].released_rows) == (4, 2)
    assert "the student judged 4 and released 2 wrongly; these are taken 3 times" in outcome.err
    assert "in/predictions.jsonl" in [file.path for file in made.inputs]


def test_predictions_of_other_tickets_are_no_account_of_these(bench):
    write_rows(bench.folder / "in/predictions.jsonl", [predicted("other", "pass")])
    bench.configure(source("chat", "chat", released={"predictions": "in/predictions.jsonl", "times": 3}))
    outcome = bench.fuse()
    assert outcome.code == 2 and "mix.yaml:19: sources.0.released.predictions: no ticket of source chat" in outcome.err


def test_a_rows_weight_is_multiplied_by_its_sources(bench):
    rows = bench.lines("chat")
    rows[3]["weight"] = 0.25
    write_rows(bench.folder / "in" / "chat.jsonl", rows)
    bench.configure(source("chat", "chat", weight=0.5))
    assert bench.fuse().code == 0
    weights = {row.group_id: row.weight for row in bench.rows()}
    assert weights["g3"] == 0.125 and weights["g4"] == 0.5


def test_no_group_and_no_photo_is_on_both_sides(bench):
    sources = [source(name, name, val={"share": 0.3}) for name in ("chat", "dense", "summary")]
    bench.configure(*sources)
    assert bench.fuse().code == 0
    train, val = bench.rows(), bench.rows("val")
    assert sources_of(val).keys() == {"chat", "dense", "summary"}
    assert not {row.group_id for row in train if row.group_id} & {row.group_id for row in val if row.group_id}
    assert not {image for row in train for image in row.images} & {image for row in val for image in row.images}, (
        "dense and summary of a photo go together"
    )


@pytest.mark.parametrize(("share", "groups", "expected"), [(0.001, 5, 1), (0.999, 5, 4), (0, 5, 0), (0.5, 1, 0)])
def test_a_share_leaves_neither_side_empty_where_there_are_two_groups(bench, share, groups, expected):
    write_rows(bench.folder / "in" / "chat.jsonl", [chat_row(number, "pass") for number in range(groups)])
    bench.configure(source("chat", "chat", val={"share": share}))
    assert bench.fuse().code == 0
    assert bench.manifest().sources[0].val_rows == expected
    assert len((bench.folder / "out" / "mix.val.jsonl").read_text().splitlines()) == expected


def test_the_label_reaches_no_message_and_no_row(bench):
    bench.fuse("before")
    rows = bench.lines("chat")
    write_rows(
        bench.folder / "in" / "chat.jsonl",
        [row | {"label": "pass" if row["label"] == "fail" else "fail"} for row in rows],
    )
    bench.fuse("after")
    assert (bench.folder / "before/mix.train.jsonl").read_bytes() == (
        bench.folder / "after/mix.train.jsonl"
    ).read_bytes()


def test_every_row_has_the_same_keys_and_types(bench):
    rows = bench.lines("dense")
    rows[0] |= {"weight": 1, "group_id": "g1"}
    write_rows(bench.folder / "in" / "dense.jsonl", rows)
    bench.configure(*(source(name, name, val={"share": 0.2}, weight=2) for name in ("chat", "dense", "summary")))
    bench.fuse()
    written = [
        json.loads(line)
        for part in ("train", "val")
        for line in (bench.folder / "out" / f"mix.{part}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert {tuple(row) for row in written} == {tuple(FusedRow.model_fields)}
    assert {tuple(type(value) for value in row.values()) for row in written} == {(list, list, str, str, float, str)}
    assert {tuple(message) for row in written for message in row["messages"]} == {("role", "content")}
    assert all(
        json.loads((bench.folder / "out" / f"mix.{part}.jsonl").read_text(encoding="utf-8").splitlines()[0])["images"]
        for part in ("train", "val")
    )


@pytest.mark.parametrize("style", ["relative", "absolute"])
def test_photos_are_named_from_the_working_directory_or_absolutely(bench, style):
    bench.configure(source("dense", "dense"), image_paths=style)
    assert bench.fuse().code == 0
    names = {image for row in bench.rows() for image in row.images}
    assert names == {
        str((bench.folder if style == "absolute" else Path()) / "in" / "photos" / f"{number}.png")
        for number in range(60)
    }


# -- the same again, and no more memory than said


def test_the_same_config_and_seed_give_the_same_bytes_and_another_seed_another_order(bench):
    bench.configure(
        *(
            source(name, name, val={"share": 0.2}, ratio=ratio)
            for name, ratio in (("chat", 1.0), ("dense", 0.7), ("summary", 1.3))
        )
    )
    first, again = bench.fuse("out"), None
    before = snapshot(bench.folder / "out")
    again = bench.fuse("out")
    assert snapshot(bench.folder / "out") == before and first.last_line == again.last_line
    bench.configure(*(source(name, name) for name in ("chat", "dense", "summary")), seed=18)
    bench.fuse("other")
    bench.configure(*(source(name, name) for name in ("chat", "dense", "summary")), seed=17)
    bench.fuse("same")
    assert sources_of(bench.rows(output_dir="other")) == sources_of(bench.rows(output_dir="same"))
    assert bench.rows(output_dir="other") != bench.rows(output_dir="same")


def splitmix64(state: int, count: int) -> list[int]:
    """The published generator in plain integers."""
    out = []
    for _ in range(count):
        state = key = (state + 0x9E3779B97F4A7C15) % 2**64
        key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        key = (key ^ key >> 27) * 0x94D049BB133111EB % 2**64
        out.append(key ^ key >> 31)
    return out


def test_an_order_depends_on_seed_and_name_alone_not_on_a_library():
    assert splitmix64(0, 1) == [0xE220A8397B1DCDAF]
    keys = splitmix64(int.from_bytes(hashlib.sha256(b"17:chat:draw").digest()[:8], "big"), 100)
    assert order_of(100, 17, "chat:draw").tolist() == sorted(range(100), key=keys.__getitem__)
    assert order_of(0, 17, "x").tolist() == []


def test_a_draw_meets_its_target_as_nearly_as_whole_rows_can():
    import numpy as np

    units = np.array([3, 5, 7, 11, 2], dtype=np.uint32)
    for target in (1, 2, 9, 27.4, 28, 29, 83.9, 84, 100):
        drawn = draw_rows(np.arange(5), units, target, 17, "x")
        assert abs(int(units[drawn].sum()) - target) <= units.max() / 2 or len(drawn) == 1
        assert (
            max(Counter(drawn.tolist()).values())
            - min(Counter({0: 0, 1: 0, 2: 0, 3: 0, 4: 0} | Counter(drawn.tolist())).values())
            <= 1
        )


def peak_kb(bench: Bench, rows: int) -> int:
    """Peak resident memory of a fuse over so many rows, in a process of its own.

    VmHWM, because ru_maxrss would count its parent.
    """
    texts = json.dumps(chat_row(0, "pass"), ensure_ascii=False)
    with open(bench.folder / "in" / "chat.jsonl", "w", encoding="utf-8") as out:
        out.writelines(texts.replace('"g0"', f'"g{number}"') + "\n" for number in range(rows))
    script = (
        "import sys; from verdicts.command import cli; from tools.fuse import main\n"
        "try: cli.run(main)\nexcept SystemExit as stop: assert not stop.code\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT), "RUN_LOG": ""}
    command = [sys.executable, "-c", script, "--config", "mix.yaml", "--output-dir", "out"]
    return int(subprocess.run(command, cwd=bench.folder, env=env, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_a_million_rows_would_fit_in_300_mb(bench):
    """From what 40,000 rows more take; FUSE_ROWS=1000000 measures the whole."""
    bench.configure(source("chat", "chat", val={"share": 0.1}))
    rows = int(os.environ.get("FUSE_ROWS", "41000"))
    small, large = peak_kb(bench, 1_000), peak_kb(bench, rows)
    print(f"{rows} rows: peak {large / 1000:.0f} MB")
    assert small + (large - small) * (999_000 / (rows - 1_000)) < 300_000


# -- what is said of it


def test_the_manifest_holds_hashes_counts_and_shares(bench):
    bench.configure(
        *(source(name, name, val={"share": 0.2}) for name in ("chat", "dense", "summary")), by="loss_tokens"
    )
    outcome = bench.fuse()
    manifest = bench.manifest()
    for file in (*manifest.inputs, *manifest.outputs.values()):
        assert hashlib.sha256((bench.folder / file.path).read_bytes()).hexdigest() == file.sha256, file.path
    assert {file.path for file in manifest.inputs} == {
        "mix.yaml",
        "in/chat.jsonl",
        "in/dense.jsonl",
        "in/summary.jsonl",
    }
    rows = {part: bench.rows(part) for part in ("train", "val")}
    assert {part: file.rows for part, file in manifest.outputs.items()} == {
        part: len(found) for part, found in rows.items()
    }
    for share in manifest.sources:
        assert (
            share.train_rows == sources_of(rows["train"])[share.name]
            and share.val_rows == sources_of(rows["val"])[share.name]
        )
        answers = [row.messages[-1].content for row in rows["train"] if row.source == share.name]
        assert share.loss_tokens == sum(map(len, answers))
        assert f"{share.loss_share:.1%}" in outcome.err and f"{share.row_share:.1%}" in outcome.err
    assert (
        abs(sum(share.row_share for share in manifest.sources) - 1) < 1e-5
        and abs(sum(share.loss_share for share in manifest.sources) - 1) < 1e-5
    )
    assert manifest.seed == 17 and manifest.config == read_fusion(bench.config)


def test_the_last_line_accounts_for_every_row(bench):
    bench.configure(source("chat", "chat", val={"share": 0.2}), source("dense", "dense", rows=10, ratio=None))
    outcome, val = bench.fuse(), bench.manifest().sources[0].val_rows
    assert outcome.last_line.startswith(
        f"fuse mix: 100 rows read = {40 - val + 10} in train ({40 - val + 10} lines with repeats) + 50 not drawn + "
        f"{val} in val; mixed by rows"
    )


def test_a_source_that_changes_while_it_is_read_is_not_half_used(bench, monkeypatch):
    import verdicts.corpus.mix

    choose_rows = verdicts.corpus.mix.choose_rows

    def empties_a_source(*given):
        (bench.folder / "in" / "dense.jsonl").write_text("")
        return choose_rows(*given)

    monkeypatch.setattr(verdicts.corpus.mix, "choose_rows", empties_a_source)
    outcome = bench.fuse()
    assert outcome.code == 2 and outcome.last_line == "in/dense.jsonl: changed while it was read; run fuse again"
    assert snapshot(bench.folder / "out") == {}


# -- bad input: one line that says where and what to do, exit 2, nothing overwritten


def changed(name: str, line: int, change) -> object:
    """A mistake in row ``line`` (from 1) of a source."""

    def apply(bench: Bench) -> None:
        rows = bench.lines(name)
        change(rows[line - 1])
        write_rows(bench.folder / "in" / f"{name}.jsonl", rows)

    return apply


def in_config(old: str, new: str) -> object:
    """A mistake in mix.yaml."""
    return lambda bench: bench.config.write_text(
        bench.config.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8"
    )


def message(**fields: object):
    return lambda row: row["messages"][-1].update(fields)


BAD_ROWS = {
    "a chat row without assistant": (
        changed("chat", 3, lambda row: row["messages"].pop()),
        "in/chat.jsonl:3: messages: no assistant message (found system, user); add the answer to learn, or delete "
        "the row",
    ),
    "an image path that does not exist": (
        changed("dense", 7, lambda row: row.update(images=["photos/none.png"])),
        "in/dense.jsonl:7: images.0: no such file (photos/none.png); correct the path (relative to in) or delete the "
        "row",
    ),
    "an unknown role": (
        changed("summary", 2, message(role="robot")),
        "in/summary.jsonl:2: messages.1.role: input should be 'system', 'user' or 'assistant' (\"robot\"); correct "
        "the value",
    ),
    "a blank answer": (
        changed("dense", 1, message(content=" ")),
        "in/dense.jsonl:1: messages: an assistant message is blank; write the answer to learn, or delete the row",
    ),
    "turns out of order": (
        changed("dense", 1, lambda row: row["messages"].reverse()),
        "in/dense.jsonl:1: messages: roles must be an optional system, then user and assistant in turn (found "
        "assistant, user); put them in this order",
    ),
    "a placeholder too few": (
        changed("dense", 5, lambda row: row["images"].append("photos/1.png")),
        "in/dense.jsonl:5: images: 2 images but 1 <image> in the user's text; write one a photo, where the photo "
        "belongs",
    ),
    "a placeholder in a chat row": (
        changed("chat", 5, lambda row: row["messages"][1].update(content="标签<image>")),
        "in/chat.jsonl:5: messages: 0 images but 1 <image> in the user's text; write one a photo, where the photo "
        "belongs",
    ),
    "a misspelt field": (
        changed("dense", 4, lambda row: row.update(image=row.pop("images"))),
        "in/dense.jsonl:4: image: unknown field; did you mean 'images'?",
    ),
    "a label Pass": (
        changed("chat", 4, lambda row: row.update(label="Pass")),
        "in/chat.jsonl:4: label: input should be 'pass' or 'fail' (\"Pass\"); correct the value",
    ),
    "an empty source": (
        lambda bench: (bench.folder / "in/dense.jsonl").write_text("\n"),
        "in/dense.jsonl: the file holds no record; give a file with at least one JSON object a line",
    ),
    "truncated JSON": (
        lambda bench: (bench.folder / "in/dense.jsonl").write_bytes(
            (bench.folder / "in/dense.jsonl").read_bytes()[:-30]
        ),
        "in/dense.jsonl:60: not valid JSON at column 109 (unterminated string); complete or delete the line",
    ),
    "bytes that are no UTF-8": (
        lambda bench: (bench.folder / "in/chat.jsonl").write_bytes(b'{"a": "\xff"}\n'),
        "in/chat.jsonl:1: not UTF-8 (byte 7 of the line); save the file as UTF-8",
    ),
}
BAD_CONFIGS = {
    "a ratio of 0": (
        in_config("ratio: 1.0", "ratio: 0"),
        "mix.yaml:15: sources.0.ratio: a ratio must be above 0 (0); to leave a source out, delete it",
    ),
    "a ratio of -1": (
        in_config("ratio: 1.0", "ratio: -1"),
        "mix.yaml:15: sources.0.ratio: a ratio must be above 0 (-1); to leave a source out, delete it",
    ),
    "an unknown key": (
        in_config("weight: 1.0", "wieght: 1.0"),
        "mix.yaml:16: sources.0.wieght: unknown field; did you mean 'weight'?",
    ),
    "a missing key": (in_config("seed: 17\n", ""), "mix.yaml:1: seed: missing; add it"),
    "ratio and rows": (
        in_config("ratio: 1.0", "ratio: 1.0\n  rows: 3"),
        "mix.yaml:8: sources.0: source chat needs either ratio or rows; keep one of them",
    ),
    "a wrong template": (
        in_config("template: chatml", "template: dense"),
        "mix.yaml:10: sources.0.template: 'dense' is no template for dataset chat; write chatml or chat_general",
    ),
    "a source file that is not there": (
        in_config("in/dense.jsonl", "in/none.jsonl"),
        "mix.yaml:22: sources.1.paths.0: no such file (in/none.jsonl); make it first, or correct the path (relative "
        "to the working directory)",
    ),
    "a name that is too long for a file": (
        in_config("in/dense.jsonl", f"in/{'x' * 300}.jsonl"),
        f"mix.yaml:22: sources.1.paths.0: no such file (in/{'x' * 300}.jsonl); make it first, or correct the path "
        "(relative to the working directory)",
    ),
    "an anchor that is no source": (
        in_config("anchor: chat", "anchor: talk"),
        "mix.yaml:5: mix.anchor: no source is named 'talk'; name one of chat, dense, summary",
    ),
    "two sources of one name": (
        in_config("name: dense", "name: chat"),
        "mix.yaml:18: sources.1.name: two sources are named chat; give each its own name",
    ),
    "no oversampling said": (
        in_config("  fail_oversample: 1.0\n", ""),
        "mix.yaml:8: sources.0: source chat: fail_oversample belongs to template chatml and to no other; add it",
    ),
    "oversampling below 1": (
        in_config("fail_oversample: 1.0", "fail_oversample: 0.5"),
        "mix.yaml:17: sources.0.fail_oversample: must be 1 or more (0.5); 1 takes every ticket once",
    ),
    "a tokenizer that is not there": (
        in_config("tokenizer: ''", "tokenizer: models/none"),
        "mix.yaml:6: mix.tokenizer: no such file (models/none); name a tokenizer.json or a checkpoint folder that "
        'holds one, or write "" to count characters',
    ),
    "nothing left to train on": (
        in_config("share: 0", "share: 1"),
        "mix.yaml:14: sources.0.val.share: leaves nothing to train on (1); lower it",
    ),
}


@pytest.mark.parametrize("case", [*BAD_ROWS, *BAD_CONFIGS])
def test_bad_input_is_one_line_with_exit_2_and_overwrites_nothing(bench, case):
    bench.fuse()
    before = snapshot(bench.folder / "out")
    make, expected = (BAD_ROWS | BAD_CONFIGS)[case]
    make(bench)
    outcome = bench.fuse()
    assert outcome.code == 2
    assert outcome.err.strip().splitlines() == [expected]
    assert snapshot(bench.folder / "out") == before


@pytest.mark.parametrize("holder", ["chat", "dense"])
def test_a_group_that_validates_trains_nowhere(bench, holder):
    """Whether the same source or another one trains on it."""
    held = bench.folder / "in" / "held.jsonl"
    write_rows(held, [chat_row(90, "pass"), chat_row(7, "pass")] if holder == "chat" else [photo_row(9, "螺丝")])
    chat, dense, summary = (
        source(name, name, val={"paths": ["in/held.jsonl"]} if name == holder else {"share": 0})
        for name in ("chat", "dense", "summary")
    )
    bench.configure(*((chat,) if holder == "chat" else (dense | {"paths": ["in/summary.jsonl"]}, summary)))
    outcome = bench.fuse()
    place = "in/chat.jsonl:8" if holder == "chat" else "in/summary.jsonl:10"
    assert outcome.code == 2
    assert outcome.last_line == (
        f"{place}: source {holder} validates on its group; keep each group (group_id, or else the first photo) on "
        "one side: "
        f"delete the row, or give source {holder} a val share"
    )


def test_a_source_with_a_share_gives_up_what_another_one_validates_on(bench):
    write_rows(bench.folder / "in" / "held.jsonl", [photo_row(59, "螺丝")])
    rows = [photo_row(number, "螺丝") for number in range(59)]
    write_rows(bench.folder / "in" / "dense.jsonl", rows)
    write_rows(bench.folder / "in" / "summary.jsonl", [*rows, photo_row(59, "螺丝")])
    bench.configure(
        source("dense", "dense", val={"paths": ["in/held.jsonl"]}), source("summary", "summary", val={"share": 0.0001})
    )
    outcome = bench.fuse()
    assert outcome.code == 2 and "source summary validates on its group" in outcome.last_line, (
        "the share's own group is in dense"
    )
    bench.configure(source("dense", "dense", val={"share": 0.1}), source("summary", "summary", val={"share": 0.2}))
    assert bench.fuse().code == 0
    assert not {image for row in bench.rows() for image in row.images} & {
        image for row in bench.rows("val") for image in row.images
    }


def test_a_share_holds_out_the_groups_that_distill_would(bench):
    bench.configure(source("chat", "chat", val={"share": 0.3}))
    bench.fuse()
    assert {row.group_id for row in bench.rows("val")} == validation_groups(
        (row["group_id"] for row in bench.lines("chat")), 0.3, 17
    )


FUSED_EDITS = {
    "an unknown role": (
        lambda row: row["messages"][0].update(role="robot"),
        "messages.0.role: input should be 'system', 'user' or 'assistant' (\"robot\"); correct the value",
    ),
    "no answer": (
        lambda row: row["messages"].pop(),
        "messages: no assistant message (found user); add the answer to learn, or delete the row",
    ),
    "a photo that is not there": (
        lambda row: row.update(images=["x.png"]),
        "images.0: no such file (x.png); correct the path (relative to .) or delete the row",
    ),
    "a weight of 0": (
        lambda row: row.update(weight=0),
        "weight: input should be greater than 0 (0); correct the value",
    ),
    "an unknown field": (lambda row: row.update(label="fail"), "label: unknown field; remove it"),
    "a task without its photos": (
        lambda row: row.update(task="chat"),
        "task: a chat row with 1 images; chat rows have none, dense and summary rows at least one",
    ),
}


@pytest.mark.parametrize("case", FUSED_EDITS)
def test_a_fused_file_edited_by_hand_is_checked_line_by_line(bench, case):
    bench.configure(source("dense", "dense"))
    bench.fuse()
    assert (
        call("check_fused", input="out/mix.train.jsonl").last_line
        == "check_fused: 60 rows = dense (dense) 60; out/mix.train.jsonl"
    )
    path, (change, expected) = bench.folder / "out" / "mix.train.jsonl", FUSED_EDITS[case]
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    change(rows[4])
    write_rows(path, rows)
    outcome = call("check_fused", input="out/mix.train.jsonl")
    assert outcome.code == 2 and outcome.err.strip() == f"out/mix.train.jsonl:5: {expected}"


def test_an_empty_fused_file_is_refused(bench):
    (bench.folder / "none.jsonl").write_text("")
    assert (
        call("check_fused", input="none.jsonl").err.strip()
        == "none.jsonl: the file holds no record; make it again with fuse"
    )


def test_reading_a_fused_file_takes_one_row_at_a_time(bench):
    bench.fuse()
    rows = read_fused(bench.folder / "out" / "mix.train.jsonl")
    assert iter(rows) is rows and next(rows).images


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "fusion").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_fusion_config_is_valid(path, monkeypatch):
    monkeypatch.setattr("verdicts.corpus.mix_config.check_files", lambda *_: None)
    assert read_fusion(path).sources
