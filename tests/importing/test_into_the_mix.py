"""What an import writes goes into the production mix, and its questions to evaluate."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.support.builders import call
from tests.support.fusing import ROOT, chat_row
from tests.support.importing import FRAME, Desk, talk
from verdicts.base.jsonl import read_json, write_rows
from verdicts.corpus.mix import Manifest
from verdicts.corpus.rows import read_fused
from verdicts.runs.freshness import Fresh


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with imports of both domains, and a corpus of one run in place of seven."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", "configs")
    desk = Desk(tmp_path)
    irrelevant = [desk.row(n, objects=[FRAME], summary="无关图片") for n in range(30, 40)]
    for name, mission, rows in (("bbu", "bbu_line", irrelevant), ("rru", "rru_install", [])):
        desk.out = Path("data", name)
        desk.write(*(desk.row(n + 100 * (name == "rru")) for n in range(30)), *rows, *map(talk, range(20)))
        assert desk.run(mission=mission, name=name, held_out={"share": 0.2}).code == 0
    write_rows(Path("run/distill.train.jsonl"), [chat_row(n, "fail" if n % 4 == 0 else "pass") for n in range(40)])
    write_rows(Path("run/distill.val.jsonl"), [chat_row(n, "pass") for n in range(40, 43)])
    mix = yaml.safe_load((ROOT / "configs/fusion/qwen3.yaml").read_text(encoding="utf-8"))
    mix["mix"]["tokenizer"] = ""
    mix["sources"][0] |= {"paths": ["run/distill.train.jsonl"], "val": {"paths": ["run/distill.val.jsonl"]}}
    Path("qwen3.yaml").write_text(yaml.safe_dump(mix, allow_unicode=True), encoding="utf-8")
    return desk


def test_the_production_mix_takes_every_kind_of_imported_rows_of_both_domains(project):
    outcome = call("fuse", config="qwen3.yaml", output_dir="data/fused")
    assert outcome.code == 0 and "forget" not in outcome.err
    rows = list(read_fused(Path("data/fused/qwen3.train.jsonl")))
    tasks = Counter((row.source, row.task) for row in rows)
    assert tasks.keys() == {
        ("chat", "chat"), ("dense", "dense"), ("summary", "summary"), ("irrelevant", "summary"),
        ("irrelevant_dense", "dense"), ("talk", "chat"),
    }  # fmt: skip
    assert read_json(Path("data/fused/qwen3.manifest.json"), Manifest).verdicts == {"pass": 30, "fail": 20}
    irrelevant = [row for row in rows if row.source.startswith("irrelevant")]
    assert {row.messages[-1].content for row in irrelevant} == {"无关图片"}
    assert call("check_fused", input="data/fused/qwen3.train.jsonl").code == 0


def test_what_is_held_out_is_in_no_mix(project):
    assert call("fuse", config="qwen3.yaml", output_dir="data/fused").code == 0
    trained = {Path(image).name for row in read_fused(Path("data/fused/qwen3.train.jsonl")) for image in row.images}
    asked = [
        json.loads(line)
        for path in Path("data").glob("*/held_out/*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert asked and trained and not {Path(row["images"][0]).name for row in asked} & trained


def test_a_kind_of_rows_that_no_import_has_is_left_out_and_said(project):
    for name in ("bbu", "rru"):
        for kind in ("irrelevant", "irrelevant.dense"):
            Path("data", name, f"{kind}.jsonl").write_text("")
    shutil.copy("data/bbu/chat.jsonl", "data/rru/chat.jsonl")
    outcome = call("fuse", config="qwen3.yaml", output_dir="data/fused")
    assert outcome.code == 0
    assert "fuse qwen3: no irrelevant and irrelevant_dense rows in the mix: the student may forget them" in outcome.err
    assert read_json(Path("data/fused/qwen3.manifest.json"), Manifest).left_out == ["irrelevant", "irrelevant_dense"]


def test_an_import_that_is_older_than_its_rows_is_said_before_it_is_learnt(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", "configs")
    desk = Desk(tmp_path)
    desk.write(desk.row(1), desk.row(2))
    words = ["--data", "in", "--name", "bbu_line", "--output-dir", "data/bbu_line", "--mission", "bbu_line"]
    command = [sys.executable, "-m", "tools.import_data", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RUN_LOG": ""}
    done = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(2)]
    assert "kept data/bbu_line: made from the same inputs" in done[1].stderr
    fresh = Fresh(Path("runs/one/bbu_line"), None)
    assert fresh.outdated_imports() == []
    desk.photo(3)
    desk.write(desk.row(1))
    assert fresh.outdated_imports() == [
        "data/bbu_line was imported before in/rows.jsonl changed; make import again, or go on with it"
    ]
