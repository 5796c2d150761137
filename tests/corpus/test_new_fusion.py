"""new_fusion: a working mix of what is there, with a word on each source."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.support.builders import RunFolder, call, ticket
from verdicts.base.jsonl import json_text, write_text
from verdicts.runs.naming import MadeWith

NUMBERS = range(12)


def a_run(folder: Path, models: str = "miniature", prefix: str = "Q") -> Path:
    """A finished run with a corpus of its own groups."""
    tickets = [ticket(f"{prefix}-{folder.parent.name}-{folder.name}-{number}") for number in NUMBERS]
    tickets += [ticket(f"{row.group_id}-f", "fail") for row in tickets]
    answers = {row.ticket_key: f"{row.label} {row.label}" for row in tickets}
    RunFolder(folder, tickets).play(answers).finish().complete()
    write_text(folder / "config" / "made_with.json", json_text(MadeWith(models=models)))
    return folder


def photo_rows(path: Path, count: int) -> None:
    """Rows of a photo each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        image = path.parent / f"{number}.png"
        Image.new("RGB", (8, 8)).save(image)
        turns = [{"role": "user", "content": "<image>what"}, {"role": "assistant", "content": "机柜×1"}]
        rows.append(json.dumps({"images": [image.name], "messages": turns}, ensure_ascii=False) + "\n")
    path.write_text("".join(rows), encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Runs and data as a user may have them."""
    folder = tmp_path_factory.mktemp("made")
    for run in ("mine/bbu_line", "mine/bbu_cable", "old/bbu_line", "old/bbu_cable", "old/bbu_wind"):
        a_run(folder / "runs" / run)
    a_run(folder / "runs" / "big" / "rru_cable", models="qwen3")
    a_run(folder / "runs" / "drawn" / "rru_cable", prefix="SYNTHETIC-Q")
    shutil.copytree(folder / "runs/mine/bbu_line", folder / "runs/mine/bbu_install")
    (folder / "runs/mine/bbu_install/distill.train.jsonl").unlink()
    photo_rows(folder / "data/bbu/dense.jsonl", 20)
    photo_rows(folder / "data/bbu/summary.jsonl", 20)
    for name in ("import.json", "chat.jsonl"):
        (folder / "data/bbu" / name).touch()
    photo_rows(folder / "data/bbu_line/bbu_line.dense.jsonl", 5)
    photo_rows(folder / "data/stray/dense.jsonl", 5)  # nothing says that this is an import
    return folder


def written(made: Path, output: Path, **options: object):
    return call(
        "new_fusion",
        **{"run_dir": made / "runs/mine/bbu_line", "name": "mine", "output": output, "data": made / "data"} | options,
    )


@pytest.fixture(scope="module")
def mix(made) -> Path:
    done = written(made, made / "mine.yaml")
    assert done.code == 0, done.err
    return made / "mine.yaml"


def of(mix: Path) -> dict[str, list[str]]:
    """Source -> its files below the folder."""
    sources = yaml.safe_load(mix.read_text(encoding="utf-8"))["sources"]
    return {row["name"]: [str(Path(path).relative_to(mix.parent)) for path in row["paths"]] for row in sources}


def test_the_mix_holds_the_run_a_corpus_for_each_other_mission_of_its_model_set_and_the_rows_of_imports(mix):
    assert of(mix) == {
        "chat": [f"runs/{run}/distill.train.jsonl" for run in ("mine/bbu_line", "mine/bbu_cable", "old/bbu_wind")],
        "dense": ["data/bbu/dense.jsonl", "data/bbu_line/bbu_line.dense.jsonl"],
        "summary": ["data/bbu/summary.jsonl"],
    }


def test_another_run_of_a_mission_stands_there_as_a_comment(mix, made):
    notes = [line.split("#")[1].strip() for line in mix.read_text().splitlines() if "another run of" in line]
    assert notes == [f"- {made}/runs/old/{mission}/distill.train.jsonl" for mission in ("bbu_cable", "bbu_line")]


def test_every_source_and_every_file_has_a_comment(mix):
    lines = [line for line in mix.read_text().splitlines() if "- name: " in line or line.strip().startswith("- /")]
    assert len(lines) == 3 + 2 * 3 + 3 and all("#" in line for line in lines)
    assert [line for line in lines if line.endswith("data/bbu/dense.jsonl  # 20 rows")]


def test_fuse_mixes_by_what_was_written(mix, made):
    done = call("fuse", config=mix, output_dir=made / "fused")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (made / "fused/mine.train.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["source"] for row in rows} == {"chat", "dense", "summary"}
    groups = {
        row["group_id"].split("-")[1] + "/" + row["group_id"].split("-")[2] for row in rows if row["task"] == "chat"
    }
    assert groups == {"mine/bbu_line", "mine/bbu_cable", "old/bbu_wind"}


def test_a_mix_that_is_there_is_not_overwritten(made, tmp_path):
    (tmp_path / "mine.yaml").write_text("mine\n")
    done = written(made, tmp_path / "mine.yaml")
    assert done.code == 2 and "exists already" in done.err and len(done.err.splitlines()) == 1
    assert (tmp_path / "mine.yaml").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"name": ""}, "NAME: no plain name (''); name the mix: make new-fusion NAME=mine"),
        ({"run": "mine/bbu_install"}, "no corpus in it (distill.train.jsonl); run `make distill`"),
        ({"run": "mine/none"}, "no corpus in it (distill.train.jsonl); run `make distill`"),
    ],
)
def test_what_cannot_be_mixed_is_one_sentence_and_nothing_written(made, tmp_path, told, message):
    run = {"run_dir": made / "runs" / told.pop("run")} if "run" in told else {}
    done = written(made, tmp_path / "mine.yaml", **told, **run)
    assert done.code == 2 and message in done.err and len(done.err.splitlines()) == 1
    assert not (tmp_path / "mine.yaml").exists()


def test_a_run_without_old_tasks_is_told_so_and_mixes_all_the_same(made, tmp_path):
    done = written(made, tmp_path / "mine.yaml", data=tmp_path / "none")
    assert done.code == 0 and "no old tasks in the mix: the student may forget them" in done.err
    assert call("fuse", config=tmp_path / "mine.yaml", output_dir=tmp_path).code == 0


def test_synthetic_runs_are_mixed_among_themselves(made, tmp_path):
    done = written(made, tmp_path / "mine.yaml", run_dir=made / "runs/drawn/rru_cable")
    chat = yaml.safe_load((tmp_path / "mine.yaml").read_text(encoding="utf-8"))["sources"][0]
    assert done.code == 0 and chat["paths"] == [f"{made}/runs/drawn/rru_cable/distill.train.jsonl"]
