"""A finished run with real files in a copy of the project, to be edited by hand."""

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.support.make_graph import CORPUS, LONG_AGO, REVIEW, ROUND, RUN, VIEW, Project, make

MIX = f"""
seed: 17
image_paths: relative
mix: {{by: loss_tokens, anchor: chat, tokenizer: ""}}
sources:
  - name: chat
    dataset: chat
    template: chatml
    paths: [{RUN}/distill.train.jsonl]
    val: {{paths: [{RUN}/distill.val.jsonl]}}
    ratio: 1.0
    weight: 1.0
    fail_oversample: 1.0
  # - name: another, with {RUN}/nothing.jsonl
  - name: dense
    dataset: dense
    template: dense
    paths:
      - data/photos/bbu_line.dense.jsonl
      - "data/photos/bbu_line.summary.jsonl"
    val: {{share: 0.1}}
    ratio: 0.5
    weight: 1.0
"""
DRAWN = ["data/photos/bbu_line.dense.jsonl", "data/photos/bbu_line.summary.jsonl"]
FUSED = ["data/fused/mix.train.jsonl", "data/fused/mix.val.jsonl", "data/fused/mix.manifest.json"]
WRITES = {"rollout": ROUND[:3], "reflect": ROUND[3:5], "collect": VIEW, "aggregate_review": REVIEW, "distill": CORPUS}


class Edited(Project):
    """The finished run of Project, with a fused file made from it."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        (folder / "configs/fusion/mix.yaml").write_text(MIX, encoding="utf-8")
        for name in [*DRAWN, *FUSED]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text('{"weight": 1.0}\n', encoding="utf-8")
        self.clean = {path: path.read_bytes() for path in self.files()}

    def files(self) -> list[Path]:
        """Every file that a step of the graph writes."""
        made = [
            path
            for path in self.run.rglob("*")
            if path.is_file()
            and path.parent.name not in ("config", ".made")
            and path.name not in ("stage_a.jsonl", "run.log")
        ]
        return [*made, *(self.folder / name for name in FUSED)]

    def restore(self) -> None:
        """All files as they were, dated in the order in which they are made."""
        for path in {*self.clean, *self.files()}:
            path.write_bytes(self.clean[path]) if path in self.clean else path.unlink()
        for notes in self.folder.rglob(".made"):
            shutil.rmtree(notes)
        self.age()
        for place, names in enumerate([[*DRAWN, "configs/fusion/mix.yaml"], FUSED]):
            for name in names:
                os.utime(self.folder / name, (LONG_AGO + 10_000 * place,) * 2)

    def would(self, *words: str) -> set[str]:
        """The files that `make -n` would make again, relative to the run folder (fused ones to the project)."""
        done = make(self.folder, "-n", "distill", "fuse", "CONFIG=small.yaml", "FUSION=mix", *words)
        assert done.returncode == 0, done.stderr
        calls = re.findall(
            r"-m tools\.(\w+) .*?--(?:output-dir|round-dir|output) (\S+?)(?:;|$)", done.stdout, re.MULTILINE
        )
        found: set[Path] = set()
        for tool, where in calls:
            found |= (
                {self.folder / name for name in FUSED}
                if tool == "fuse"
                else {self.folder / where / name for name in WRITES.get(tool, [""])}
            )
        return {str(path.relative_to(self.run if self.run in path.parents else self.folder)) for path in found}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Edited:
    return Edited(tmp_path_factory.mktemp("edited"))


@pytest.fixture
def edited(whole) -> Edited:
    whole.restore()
    yield whole
    source = (whole.folder / "tickets.jsonl").read_bytes()
    (whole.run / "stage_a.jsonl").write_bytes(source)


def edit(project: Project, name: str, old: str, new: str) -> Path:
    """Change a text in a file, as an editor does: the file is new now."""
    path = (project.folder if name.startswith("data/") else project.run) / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1) if old else text + new, encoding="utf-8")
    return path
