"""What a run costs in memory grows by some bytes a ticket, not by its tickets' texts."""

from tools.chaos_size import Cost, Shape, draw_rounds, draw_tickets, measure, table
from verdicts.base.jsonl import read_rows
from verdicts.records.rollout import Selection, Trajectory
from verdicts.records.tickets import StageA

SMALL, LARGE = 300, 4_300
# bytes: some 50 are columns, the rest is the noise of a process; held as objects the tickets alone take 8,000
A_TICKET = 2_000


def test_no_tool_holds_the_rows_of_a_run_in_memory(tmp_path):
    few, many = (
        {
            cost.tool: cost.peak_mb
            for cost in measure(tmp_path / str(count), Shape(count, window=900, candidates=4, epochs=1))
        }
        for count in (SMALL, LARGE)
    )
    assert set(few) == {
        "prepare", "prepare, with filters", "collect", "aggregate_review", "distill", "check", "report", "show",
        "board", "fuse", "predict",
    }  # fmt: skip
    for tool, peak in many.items():
        assert (peak - few[tool]) * 1e6 / (LARGE - SMALL) < A_TICKET, (
            f"{tool}: {few[tool]:.0f} MB for {SMALL} tickets, {peak:.0f} MB for {LARGE}"
        )


def test_a_drawn_run_holds_each_ticket_once_an_epoch_and_the_same_size_is_the_same_run(tmp_path):
    for name in ("one", "two"):
        draw_tickets(tmp_path / name / "stage_a.jsonl", 100)
        draw_rounds(tmp_path / name, Shape(100, window=40, candidates=2, epochs=2))
    files = [
        {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in (tmp_path / name).rglob("*.json*")}
        for name in ("one", "two")
    ]
    assert files[0] == files[1]
    keys = sorted(row.ticket_key for row in read_rows(tmp_path / "one" / "stage_a.jsonl", StageA))
    assert len(set(keys)) == 100 and len({key.split("::")[0] for key in keys}) == 98  # two groups have both labels
    for first in (1, 4):
        rows = [
            row
            for number in range(first, first + 3)
            for row in read_rows(tmp_path / "one" / "rounds" / f"{number:04d}" / "trajectories.jsonl", Trajectory)
        ]
        assert sorted(row.ticket_key for row in rows) == sorted([*keys, *keys])
    assert {
        row.guidance_step
        for number in (4, 5, 6)
        for row in read_rows(tmp_path / "one" / "rounds" / f"{number:04d}" / "selections.jsonl", Selection)
    } == {1}


def test_figures_are_a_row_a_tool_and_a_column_a_size():
    assert table({1000: [Cost("collect", 1.26, 49.6)], 20: [Cost("collect", 0.3, 48.0)]}).splitlines()[1:] == [
        "|---|---|---|",
        "| collect | 1.3 s, 50 MB | 0.3 s, 48 MB |",
    ]
