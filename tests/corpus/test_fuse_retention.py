"""fuse with mix.retention: old tasks that a student lost get more of the next mix, at the same size of all."""

from collections import Counter

import pytest

from tests.support.builders import Outcome
from tests.support.fusing import Bench, source
from tests.support.judging import BOXES, GOOD, SUMMARY
from tests.support.judging import Bench as Judged
from verdicts.base.jsonl import write_rows, write_text
from verdicts.corpus.mix_config import Fusion, LostBefore, Mix
from verdicts.corpus.retention import TaskLoss, adapt_ratios
from verdicts.evaluation.lost import read_losses
from verdicts.records.evaluation import Named

HALF = [""] * 20 + [SUMMARY] * 20  # of 40 summaries half are gone: exact match lost 50 % of itself


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Three sources, and what a first student lost of them in judged/gate.json."""
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path)


def judge(
    bench: Bench,
    student: str = "checkpoints/first/merged",
    before: dict[str, list[str]] | None = None,
    **after: list[str],
) -> None:
    """Write judged/gate.json as tools.gate does, of a student that says ``after`` and is whole in all else."""
    folder = bench.folder / "judged"
    folder.mkdir(exist_ok=True)
    judged = Judged(folder)
    judged.write("before", **(before or {}))
    judged.write("after", **(GOOD | after))
    judged.write_answers("after", judged.answers("after"), student=Named(folder=student, sha256="1"))
    assert judged.gate().code in (0, 1)


def fuse(bench: Bench, *sources: dict, strength: float = 2.0, at_most: float = 3.0, **mix: object) -> Outcome:
    retention = {"gate": "judged/gate.json", "strength": strength, "at_most": at_most}
    chosen = sources or (source("chat", "chat"), source("dense", "dense"), source("summary", "summary"))
    bench.configure(*chosen, retention=retention, **mix)
    return bench.fuse()


def rows(bench: Bench) -> dict[str, int]:
    return dict(Counter(row.source for row in bench.rows()))


def test_an_old_task_that_was_lost_gets_more_rows_and_the_mix_does_not_grow(bench):
    judge(bench, summary=HALF)
    outcome = fuse(bench)
    assert outcome.code == 0, outcome.err
    # summary 1 + 2 x 0.5 = 2 times, dense once; both shrink by 2/3, so that they are 2 together as told
    assert rows(bench) == {"chat": 40, "dense": 27, "summary": 53}
    dense, summary = bench.manifest().retention
    assert (dense.name, dense.lost.loss, dense.ratio, dense.adapted_ratio) == ("dense", 0.0, 1.0, 0.666667)
    assert (summary.lost.metric, summary.lost.before, summary.lost.after) == ("summary exact match", 1.0, 0.5)
    assert (summary.lost.loss, summary.ratio, summary.adapted_ratio) == (0.5, 1.0, 1.333333)
    assert [one.ratio for one in bench.manifest().config.sources] == [1.0, 1.0, 1.0], "the config as told"
    assert "summary: summary exact match lost 50.0% of itself; ratio 1 -> 1.33333" in outcome.err


def test_by_loss_tokens_the_old_tasks_weigh_as_much_as_they_were_told(bench):
    judge(bench, summary=HALF)
    assert fuse(bench, by="loss_tokens").code == 0
    chat, dense, summary = (one.loss_tokens for one in bench.manifest().sources)
    assert abs(dense + summary - 2 * chat) <= 12, "to a row"
    assert abs(summary - 2 * dense) <= 24


def test_a_ratio_grows_to_at_most_so_many_times_itself(bench):
    judge(bench, summary=[""] * 40)
    assert fuse(bench, strength=100.0, at_most=3.0).code == 0
    assert rows(bench) == {"chat": 40, "dense": 20, "summary": 60}


def test_sources_that_nothing_was_measured_of_keep_their_ratio_and_are_counted_aloud(bench):
    judge(bench, summary=HALF)
    talk = [
        {"messages": [{"role": "user", "content": f"{at}?"}, {"role": "assistant", "content": "是"}]} for at in (1, 2)
    ]
    write_rows(bench.folder / "in/talk.jsonl", talk)
    outcome = fuse(
        bench,
        source("chat", "chat"),
        source("dense", "dense"),
        source("summary", "summary"),
        source("more", "summary", paths=["in/summary.jsonl"], ratio=None, rows=9),
        source("talk", "chat", template="chat_general", fail_oversample=None, ratio=0.5),
    )
    assert outcome.code == 0, outcome.err
    assert rows(bench) == {"chat": 40, "dense": 27, "summary": 53, "more": 9, "talk": 20}
    assert "2 of 4 sources of old tasks keep their ratio: more (rows told), talk (no score)" in outcome.err
    assert [one.kept for one in bench.manifest().retention] == [None, None, "rows told", "no score"]


def test_where_nothing_was_lost_the_ratios_stay_and_it_is_said(bench):
    judge(bench)
    outcome = fuse(bench)
    assert rows(bench) == {"chat": 40, "dense": 40, "summary": 40}
    assert "mix.retention moves nothing: no old task lost more than another" in outcome.err


def test_another_evaluation_makes_another_mix_and_is_an_input_of_it(bench):
    judge(bench, summary=HALF)
    fuse(bench)
    first = {file.path: file.sha256 for file in bench.manifest().inputs}
    judge(bench, dense=["["] * 20 + [BOXES] * 20)
    fuse(bench)
    assert rows(bench)["dense"] > 40 > rows(bench)["summary"]
    second = {file.path: file.sha256 for file in bench.manifest().inputs}
    assert {path for path in first if first[path] != second[path]} == {"judged/gate.json"}


def test_without_retention_the_manifest_says_nothing_of_it(bench):
    assert bench.fuse().code == 0
    assert '"retention": [' not in (bench.folder / "out/mix.manifest.json").read_text()


def test_a_score_that_is_gone_lost_all_and_one_that_was_nought_could_lose_nothing(bench):
    judge(bench, dense=["["] * 40)
    found = read_losses(bench.folder / "judged/gate.json", "second")
    assert {task: (one.metric, one.loss) for task, one in found.items()} == {
        "summary": ("summary exact match", 0.0),
        "dense": ("dense F1 at IoU 0.5", 1.0),
    }
    judge(bench, before={"summary": HALF})
    assert read_losses(bench.folder / "judged/gate.json", "second")["summary"].loss == 0, "it got better"
    judge(bench, before={"dense": ["["] * 40})
    assert set(read_losses(bench.folder / "judged/gate.json", "second")) == {"summary"}


def test_the_anchor_sets_the_scale_and_keeps_its_ratio():
    sources = [source("dense", "dense"), source("summary", "summary"), source("other", "summary", ratio=3.0)]
    told = LostBefore(gate="gate.json", strength=1.0, at_most=2.0)
    mix = Mix(by="rows", anchor="dense", tokenizer="", retention=told)
    lost = TaskLoss(metric="m", before=0.8, after=0.4, loss=0.5)
    mixed, account = adapt_ratios(
        Fusion(seed=1, image_paths="relative", mix=mix, sources=sources), {"dense": lost, "summary": lost}
    )
    assert [one.ratio for one in mixed.sources] == pytest.approx([1.0, 1.0, 3.0]), "lost alike, they keep their parts"
    assert [one.kept for one in account] == ["anchor", None, None]


def lost_nothing_known(bench: Bench) -> None:
    judge(bench, before={"summary": [""] * 40, "dense": ["["] * 40})


MISTAKES = {
    "mix.yaml:8: mix.retention.gate.0: no such file": lambda bench: None,
    "mix.yaml:8: mix.retention.gate: no source with a ratio has a score": lost_nothing_known,
    "after.student.folder: it judged this mix's own student": lambda bench: judge(bench, "checkpoints/mix/merged"),
    "judged/gate.json: the file is empty": lambda bench: write_text(bench.folder / "judged/gate.json", ""),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_gate_that_says_nothing_of_the_mix_is_refused(bench, what):
    MISTAKES[what](bench)
    outcome = fuse(bench)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1), outcome.err
    assert what in outcome.err and not (bench.folder / "out").exists()
