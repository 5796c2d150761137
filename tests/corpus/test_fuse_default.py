"""fuse by the default mix: a run's own corpus, and the student's old tasks where they are there."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.builders import call, snapshot
from tests.support.fusing import ROOT, chat_row, photo_row, png, source
from verdicts.base.jsonl import read_json, write_rows
from verdicts.corpus.mix import Manifest
from verdicts.corpus.rows import read_fused

CORPUS = "runs/my run's/bbu_line"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project with a run whose name has a blank and an apostrophe, and no old tasks."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs/fusion", "configs/fusion")
    write_rows(Path(CORPUS, "distill.train.jsonl"), [chat_row(n, "fail" if n % 4 == 0 else "pass") for n in range(20)])
    write_rows(Path(CORPUS, "distill.val.jsonl"), [chat_row(n, "pass") for n in range(20, 23)])


def old_tasks(folder: str, *names: str) -> None:
    for n in range(30):
        Path(folder, "photos").mkdir(parents=True, exist_ok=True)
        Path(folder, "photos", f"{n}.png").write_bytes(png())
    for name in names:
        write_rows(Path(folder, name), [photo_row(n, "机柜/螺丝×1" * 9) for n in range(30)])


def fuse(**options: object):
    return call("fuse", **({"corpus": CORPUS, "name": "mine", "output_dir": "data/fused"} | options))


def made() -> Manifest:
    return read_json(Path("data/fused/mine.manifest.json"), Manifest)


def test_without_old_tasks_the_corpus_alone_is_fused_and_it_is_said_loudly(monkeypatch):
    monkeypatch.setenv("QUIET", "1")
    outcome = fuse()
    assert outcome.code == 0
    assert outcome.err == (
        "fuse mine: no old tasks in the mix: the student may forget them (looked for data/bbu_line/dense.jsonl, "
        "data/bbu_line/bbu_line.dense.jsonl, "
        "data/bbu_line/summary.jsonl, data/bbu_line/bbu_line.summary.jsonl)\n"
    )
    assert made().left_out == ["dense", "summary"] and {
        row.source for row in read_fused(Path("data/fused/mine.train.jsonl"))
    } == {"chat"}


@pytest.mark.parametrize(
    "names",
    [
        ("dense.jsonl", "summary.jsonl"),
        ("bbu_line.dense.jsonl", "summary.jsonl"),
        ("dense.jsonl", "bbu_line.summary.jsonl"),
    ],
)
@pytest.mark.parametrize("old", [None, "my old tasks"])
def test_old_tasks_are_mixed_in_as_in_the_demo(names, old):
    old_tasks(old or "data/bbu_line", *names)
    outcome = fuse(old=old)
    assert outcome.code == 0 and "forget" not in outcome.err
    assert [share.name for share in made().sources] == ["chat", "dense", "summary"] and made().left_out == []
    shares = {share.name: share.loss_tokens for share in made().sources}
    assert shares["dense"] == pytest.approx(2 * shares["chat"], rel=0.1) and shares["summary"] == pytest.approx(
        shares["chat"] / 2, rel=0.2
    )


def test_one_old_task_that_is_missing_is_named():
    old_tasks("data/bbu_line", "dense.jsonl")
    assert (
        "fuse mine: no summary rows in the mix: the student may forget them (looked for data/bbu_line/summary.jsonl, "
        in fuse().err
    )
    assert made().left_out == ["summary"]


def test_the_manifest_holds_what_was_used_with_digests():
    old_tasks("data/bbu_line", "dense.jsonl")
    fuse()
    manifest = made()
    used = [
        "configs/fusion/default.yaml",
        f"{CORPUS}/distill.train.jsonl",
        f"{CORPUS}/distill.val.jsonl",
        "data/bbu_line/dense.jsonl",
    ]
    assert [given.path for given in manifest.inputs] == used
    assert [given.sha256 for given in manifest.inputs] == [
        hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in used
    ]
    assert manifest.name == "mine" and manifest.config.sources[0].paths == [f"{CORPUS}/distill.train.jsonl"]
    assert manifest.verdicts == {"pass": 15, "fail": 5}


def test_places_serve_a_mix_of_ones_own_and_its_name_names_the_output():
    own = {"seed": 1, "image_paths": "relative", "mix": {"by": "rows", "anchor": "chat", "tokenizer": ""},
           "sources": [source("chat", "chat", paths=["{corpus}/distill.train.jsonl"],
               val={"paths": ["{corpus}/distill.val.jsonl"]})]}  # fmt: skip
    Path("own.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    assert fuse(config="own.yaml", name=None).code == 0 and Path("data/fused/own.train.jsonl").exists()
    before = snapshot(Path("data/fused"))
    outcome = call("fuse", config="own.yaml", output_dir="data/fused")
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1
    assert (
        "sources.0.paths.0: nothing to put in place of {corpus} ({corpus}/distill.train.jsonl); give --corpus "
        "RUNS/RUN/MISSION" in outcome.err
    )
    own["sources"][0]["paths"] = ["{corpse}/distill.train.jsonl"]
    Path("own.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    assert (
        "nothing to put in place of {corpse} ({corpse}/distill.train.jsonl); write one of {corpus}, {old}, {mission}"
        in fuse(config="own.yaml").err
    )
    assert snapshot(Path("data/fused")) == before


@pytest.mark.parametrize(("options", "error"), [
    ({"corpus": None},
        "--config, --corpus: neither is given; give a fusion config, or the run folder whose corpus is to be learnt"),
    ({"corpus": "runs/none/bbu_line"},
        "runs/none/bbu_line: --corpus: no corpus in it (distill.train.jsonl); run `make distill` for this run and "
        "mission first"),
    ({"name": "../x"}, "--name: no plain name ('../x'); write a name without slashes that does not begin with a dot"),
    ({"name": ".."}, "--name: no plain name ('..'); write a name without slashes that does not begin with a dot"),
])  # fmt: skip
def test_what_cannot_be_meant_is_one_line_and_writes_nothing(options, error):
    outcome = fuse(**options)
    assert (outcome.code, outcome.err) == (2, f"{error}\n") and not Path("data/fused").exists()


def test_an_anchor_that_is_optional_and_missing_is_named():
    text = (
        Path("configs/fusion/default.yaml")
        .read_text(encoding="utf-8")
        .replace("    template: chatml\n", "    template: chatml\n    optional: true\n")
    )
    Path("own.yaml").write_text(text.replace("distill.train", "distill.other"), encoding="utf-8")
    assert (
        "sources.0.paths: none of the anchor's files is there; make one first, or correct the paths"
        in fuse(config="own.yaml").err
    )


@pytest.mark.parametrize(("label", "word"), [("pass", "通过"), ("fail", "不通过")])
def test_a_corpus_of_one_verdict_is_fused_with_a_warning(label, word):
    write_rows(Path(CORPUS, "distill.train.jsonl"), [chat_row(n, label) for n in range(6)])
    outcome = fuse()
    assert (
        outcome.code == 0
        and f"fuse mine: all 6 chat rows to learn from say {word}: sft asks for sft.allow_one_sided: true"
        in outcome.err
    )
    assert made().verdicts == {"pass": 0, "fail": 0} | {label: 6}


def test_verdicts_are_those_of_the_answers_whatever_the_label_says():
    rows = [chat_row(n, "pass") for n in range(4)]
    rows[0]["label"] = "fail"
    write_rows(Path(CORPUS, "distill.train.jsonl"), rows)
    assert "all 4 chat rows to learn from say 通过" in fuse().err


def test_no_validation_rows_at_all_are_an_empty_file_that_is_said():
    Path(CORPUS, "distill.val.jsonl").write_text("")
    assert fuse().code == 0
    assert Path("data/fused/mine.val.jsonl").read_text() == "" and made().outputs["val"].rows == 0
    assert json.loads(Path("data/fused/mine.manifest.json").read_text(encoding="utf-8"))["sources"][0]["val_rows"] == 0
    assert call("check_fused", input="data/fused/mine.val.jsonl").code == 0
