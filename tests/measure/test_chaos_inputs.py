"""A short run of the mutation harness; the long one is a command (docs/reliability.md)."""

from collections import Counter

from tools.chaos_inputs import BAD, run_all


def test_mutated_files_end_in_a_record_or_in_one_sentence(tmp_path):
    found, harm = run_all(1000, seed=2, tools_share=0.05, workers=2, keep=tmp_path / "harm")
    total: Counter = Counter()
    for counts in found.values():
        total += counts
    assert harm == [] and not any(total[bad] for bad in BAD)
    assert len(found) >= 50 and total["inputs"] >= 1000 and total["read"] > 100 and total["refused"] > 400
