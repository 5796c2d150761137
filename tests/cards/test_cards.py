"""tools.cards: cards of a corpus and of a student, read back by huggingface_hub; figures by hand."""

import json
from pathlib import Path

import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard

from tests.support.builders import RunFolder, call, ticket
from tests.support.judging import GOOD, Bench, answers
from verdicts.base.digests import digest_of_path
from verdicts.base.jsonl import read_json, write_json
from verdicts.cards.corpus import SPLITS
from verdicts.cards.student import read_taught
from verdicts.cards.texts import table_of
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.records.evaluation import Evaluation, Named

TRAINED = {
    "base": "models/base", "base_sha256": "0123456789abcdef", "layers": [4, 5], "adapted_modules": 14,
    "learning_parameters": 163840, "train": {"chat": {"rows": 277, "learnt_tokens": 4985}}, "steps": 114,
    "too_long": {"train": {"rows": {"dense": 3}}}, "rows_per_step": 8, "processes": 1,
    "val": {"chat": {"rows": 27, "before": 0.5, "after": 0.25}},
}  # fmt: skip
ADAPTER = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": ["q_proj"]}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """Two rounds of four tickets, distilled: one fail is answered pass and waits for review."""
    run = RunFolder(tmp_path, [ticket("a"), ticket("b", "fail"), ticket("c"), ticket("d", "fail")])
    for _ in range(2):
        run.play({"a::pass": "pass pass", "b::fail": "pass pass", "c::pass": "pass pass", "d::fail": "fail fail"})
    run.finish().complete()
    return run


@pytest.fixture
def student(tmp_path) -> Path:
    folder = tmp_path / "checkpoints" / "demo"
    said = {"merged/config.json": {}, "adapter/adapter_config.json": ADAPTER, "metrics.json": TRAINED}
    for name, value in said.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(value))
    return folder


def judge(run: RunFolder, student: Path, fail: list[str]) -> Path:
    """Evaluations before (40 of 80 fails released) and after, about this student, in the run."""
    bench = Bench(run.folder / "judged")
    bench.write_answers("before", answers(["pass"] * 40 + ["fail"] * 40, GOOD["pass"], [], []))
    bench.write_answers("after", answers(fail, GOOD["pass"], [], []))
    pair = run.folder / "evaluation" / "demo-1"
    pair.mkdir(parents=True, exist_ok=True)
    for when in ("before", "after"):
        found = read_json(bench.path(when), Evaluation)
        named = Named(folder=str(student / "merged"), sha256=checkpoint_hash(student / "merged"))
        write_json(pair / f"{when}.json", found.model_copy(update={"student": named} if when == "after" else {}))
    return pair


def head(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_a_student_s_card_holds_its_figures_with_intervals_and_n_and_its_limits_first(run, student):
    judge(run, student, ["pass"] * 2 + ["fail"] * 78)
    assert call("cards", run_dir=run.folder).code == 0
    card = ModelCard.load(student / "README.md")
    (frr,) = [one for one in card.data.eval_results if one.metric_type == "frr"]
    assert (frr.metric_value, frr.metric_args["k"], frr.metric_args["n"]) == (0.025, 2, 80)
    assert (card.data.model_name, card.data.base_model) == ("demo", "models/base")
    text = card.text
    assert "| false release (FRR) | 50.0% [39.3%, 60.7%] (40/80) | 2.5% [0.7%, 8.7%] (2/80) |" in text
    limits = text.partition("## Limits\n\n")[2]
    assert limits.startswith("- **False releases.** It let 2 of 80 failed tickets pass. By these, up to 8.7% of failed")
    assert "**No gate has judged this student.**" in text
    assert "LoRA rank 16, alpha 32, dropout 0.0, on language layers [4, 5] (14 matrices, 163840 numbers" in text
    assert "| chat | 277 | 4985 |" in text and "Left out as too long: 3 dense." in text
    assert f"| metrics.json | `{digest_of_path(student / 'metrics.json')[:16]}` |" in text
    assert "Synthetic" not in text


def test_answers_that_cannot_be_read_stand_among_the_limits(run, student):
    judge(run, student, ["无法判断"] * 3 + ["fail"] * 77)
    assert call("cards", run_dir=run.folder).code == 0
    assert "- 3 failed tickets got no verdict that can be read" in (student / "README.md").read_text()


def test_an_evaluation_of_another_student_says_nothing_of_this_one(run, student):
    judge(run, student, GOOD["fail"])
    (student / "merged" / "config.json").write_text('{"other": 1}')
    taught = read_taught(student, run.folder)
    assert (taught.before, taught.after, taught.gate, taught.judged) == (None, None, None, None)
    assert call("cards", run_dir=run.folder, checkpoint=student / "merged").code == 0
    text = (student / "README.md").read_text()
    assert "Not evaluated" in text and "- **False releases: unknown.**" in text
    assert "model-index" not in text


def test_a_corpus_card_counts_rows_by_label_and_verdict_and_names_its_files(run):
    outcome = call("cards", run_dir=run.folder)
    assert outcome.code == 0, outcome.err
    assert "no student was evaluated in this run (CHECKPOINT=checkpoints/<name> names one)" in outcome.err
    card = DatasetCard.load(run.folder / "README.md")
    assert head(card.content)["configs"][0]["data_files"] == [
        {"split": "train", "path": "distill.train.jsonl"}, {"split": "validation", "path": "distill.val.jsonl"},
    ]  # fmt: skip
    parts = [line.split(" | ")[1:] for line in card.text.splitlines() if "(`distill." in line]
    assert len(parts) == len(SPLITS)
    counts = [[int(cell.strip(" |")) for cell in cells] for cells in parts]
    assert [sum(column) for column in zip(*counts, strict=True)] == [4, 1, 1, 0, 2], "rows; fail-fail, fail-pass, …"
    assert counts[-1] == [1, 0, 1, 0, 0] and "Dropped: 1 needs_review." in card.text
    assert "- **False releases of the model that answered:** 50.0% [9.5%, 90.5%] (1/2) of all failed" in card.text
    assert f"| guidance.json | `{digest_of_path(run.folder / 'guidance.json')[:16]}` |" in card.text


def test_the_same_run_has_the_same_cards(run, student):
    judge(run, student, GOOD["fail"])
    call("cards", run_dir=run.folder)
    first = (student / "README.md").read_bytes(), (run.folder / "README.md").read_bytes()
    call("cards", run_dir=run.folder)
    assert ((student / "README.md").read_bytes(), (run.folder / "README.md").read_bytes()) == first


def test_a_cell_cannot_break_its_table():
    assert table_of(("a", "b"), [("x|y", "1\n2")]).splitlines()[2:] == ["| x\\|y | 1 2 |"]


def test_a_run_without_a_corpus_and_a_folder_without_a_student_are_one_sentence_and_write_nothing(run, tmp_path):
    outcome = call("cards", run_dir=run.folder, checkpoint=tmp_path / "none")
    assert outcome.code == 2 and "no taught student (merged/ lacks its config.json); make sft first" in outcome.err
    assert not (run.folder / "README.md").exists()
    (run.folder / "distill.train.jsonl").unlink()
    outcome = call("cards", run_dir=run.folder)
    assert outcome.code == 2 and "no corpus yet" in outcome.err
