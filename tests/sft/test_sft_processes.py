"""What is compared of one process and several that learn the same steps."""

import pytest

from miniature.speed.sft_processes import of_steps, table


def test_the_steps_that_warm_up_do_not_count_as_speed():
    found = of_steps([100] * 4, [0.0, 50.0, 90.0, 91.0, 95.0], [4.0, 3.0, 2.0, 1.0])
    assert found["tokens_per_s"] == 200 / 5
    assert (found["slowest_step"], found["fastest_step"]) == (25.0, 100.0)
    assert found["tokens"] == 400 and found["losses"] == [4.0, 3.0, 2.0, 1.0]


def test_losses_are_compared_step_by_step_with_those_of_one_process():
    ends = [0.0, 1.0, 2.0, 3.0]
    one = of_steps([100] * 3, ends, [4.0, 2.0, 1.0]) | {"processes": 1, "device": "a card", "peak_gib": [9.0]}
    two = of_steps([100] * 3, [end / 2 for end in ends], [4.0, 2.1, 1.0])
    two |= {"processes": 2, "device": "a card", "peak_gib": [9.0, 9.25]}
    lines = table({"one": one, "several": two})
    assert lines[-2] == "| 1 | 100 (100 to 100) | 1.00 | 9.0 GiB | 4 to 1 |  |"
    assert lines[-1] == "| 2 | 200 (200 to 200) | 2.00 | 9.2 GiB | 4 to 1 | 5.0e-02 |"
    with pytest.raises(ValueError):  # a curve that ended early is no curve
        table({"one": one, "several": two | {"losses": [4.0, 2.1]}})
