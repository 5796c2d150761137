"""Which rows a step of sft sees, and its learning rate."""

from collections import Counter

import pytest

from verdicts.config.load import load
from verdicts.config.sections import SftSection
from verdicts.sft.steps import StepPlan, learning_rate, spread_tasks

TASKS = ["chat"] * 24 + ["dense"] * 12 + ["summary"] * 4
LENGTHS = [300 + i for i in range(24)] + [200 + i for i in range(12)] + [100 + i for i in range(4)]


def section(**changes: object) -> SftSection:
    return load("miniature", "bbu_line").sft.model_copy(
        update={"batch_rows": 2, "accumulate": 2, "epochs": 1.0, "seed": 5, **changes}
    )


def test_every_part_of_an_epoch_has_the_files_own_mixture():
    order = spread_tasks(TASKS, seed=1, epoch=0)
    assert sorted(order) == list(range(40))
    for at in range(0, 40, 10):
        seen = Counter(TASKS[index] for index in order[at : at + 10])
        assert abs(seen["chat"] - 6) <= 1 and abs(seen["dense"] - 3) <= 1 and seen["summary"] == 1


def test_the_order_is_the_seeds_and_the_epochs():
    assert spread_tasks(TASKS, 1, 0) == spread_tasks(TASKS, 1, 0)
    assert len({tuple(spread_tasks(TASKS, seed, epoch)) for seed, epoch in ((1, 0), (2, 0), (1, 1))}) == 3


@pytest.mark.parametrize("epochs", [1.0, 2.0])
def test_an_epoch_shows_every_row_once(epochs):
    plan = StepPlan(TASKS, LENGTHS, section(epochs=epochs), processes=1)
    assert Counter(row for step in range(plan.steps) for row in plan.rows(step)) == Counter(
        {row: int(epochs) for row in range(40)}
    )


def test_a_step_that_the_epoch_does_not_fill_takes_rows_of_the_next():
    plan = StepPlan(TASKS[:6], LENGTHS[:6], section(), processes=1)
    assert plan.steps == 2
    assert len(plan.rows(1)) == 4
    assert set(plan.rows(0)) | set(plan.rows(1)) == set(range(6))


def test_the_processes_share_a_steps_rows_by_length():
    plan = StepPlan(TASKS, LENGTHS, section(), processes=2)
    mine, yours = plan.batches(3, 0), plan.batches(3, 1)
    assert [len(batch) for batch in mine + yours] == [2] * 4
    assert [row for pair in zip(mine, yours, strict=True) for batch in pair for row in batch] == plan.rows(3)
    lengths = [LENGTHS[row] for row in plan.rows(3)]
    assert lengths == sorted(lengths)


def test_two_processes_take_the_steps_that_twice_the_batches_take():
    one, two = StepPlan(TASKS, LENGTHS, section(accumulate=2), 1), StepPlan(TASKS, LENGTHS, section(accumulate=1), 2)
    assert [one.rows(step) for step in range(one.steps)] == [two.rows(step) for step in range(two.steps)]


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.25), (3, 1.0), (4, 1.0), (12, 0.5), (19, 0.0096)],
)
def test_the_rate_rises_in_a_line_and_falls_as_a_cosine(step, rate):
    assert learning_rate(step, 20, section(learning_rate=1.0, warmup_share=0.2)) == pytest.approx(rate, abs=1e-4)


def test_a_run_may_be_all_warm_up_or_without():
    assert learning_rate(9, 10, section(learning_rate=1.0, warmup_share=1.0)) == 1.0
    assert learning_rate(0, 10, section(learning_rate=1.0, warmup_share=0.0)) == 1.0
