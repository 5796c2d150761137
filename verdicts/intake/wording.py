"""What the door did, in one sentence each: what was put right or kept aside, and what was refused."""

from collections.abc import Mapping

from verdicts.records.tickets import Entrance, Filtered


def repaired_sentence(entrance: Entrance) -> str:
    """How many repairs by kind, and fields kept aside; "" where there are none."""
    parts = []
    if entrance.repaired:
        parts.append(
            f"{sum(entrance.repaired.values())} repairs ({counted(entrance.repaired)}), see tickets.repaired.jsonl"
        )
    if entrance.aside:
        parts.append(f"fields kept aside in tickets.aside.jsonl ({counted(entrance.aside)})")
    if entrance.replaced:
        parts.insert(0, f"{entrance.rows} rows, of which {entrance.replaced} are replaced by later ones")
    return "; ".join(parts)


def refused_sentence(entrance: Entrance) -> str:
    """How many rows were refused and their share, by reason; "" where none was."""
    refused = sum(entrance.refused.values())
    if not refused:
        return ""
    share = f"{refused} of {entrance.rows} rows ({refused / entrance.rows:.1%})"
    return f"REFUSED {share} that can be no ticket: {counted(entrance.refused)}; see tickets.refused.jsonl"


def left_out_sentence(filtered: Filtered | None) -> str:
    """How many tickets the filters left out, by filter, and how many they mark; "" where none is on."""
    if filtered is None:
        return ""
    left = filtered.read - filtered.kept
    why = f" ({counted(filtered.dropped)}), see tickets.dropped.jsonl" if left else ""
    marked = f"; {filtered.marked} that show what one of the other label shows, see tickets.marked.jsonl"
    return f"filters left out {left} of {filtered.read}{why}" + (marked if filtered.marked else "")


def counted(counts: Mapping[str, int]) -> str:
    """``label 3, prefix 1``."""
    return ", ".join(f"{name} {number}" for name, number in counts.items())
