"""Compare how two runs of one mission ended: rules, verdicts by ticket, rates, review, prompts, configuration.

    python -m tools.diff_runs --a runs/run1/bbu_line --b runs/run2/bbu_line

In:  guidance.json, selections.jsonl, need_review.json and config/*.yaml of both runs.
Out: text on stdout. Reads files only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from verdicts.guidance.diff import RuleChange
    from verdicts.runs.diff import End, Verdicts

TICKETS_SHOWN = 20


def main(
    a: Annotated[Path, typer.Option(help="Run folder A: runs/<RUN>/<MISSION>.")],
    b: Annotated[Path, typer.Option(help="Run folder B.")],
) -> None:
    """Compare how two runs of one mission ended."""
    from verdicts.base.errors import mistake
    from verdicts.base.plain import plain_lines
    from verdicts.base.run_version import refuse_newer
    from verdicts.runs.diff import compare_knobs, compare_rules, compare_verdicts, read_end

    for folder in (a, b):
        if not folder.is_dir():
            raise mistake("no such run folder", "check A, B and MISSION", path=folder)
        refuse_newer(folder)
    ends = read_end(a), read_end(b)
    if ends[0].mission != ends[1].mission:
        raise mistake(
            f"is of mission {ends[1].mission}, {a} of {ends[0].mission}", "compare runs of one mission", path=b
        )
    sections = [
        [f"{ends[0].mission}", f"  A: {a}", f"  B: {b}"],
        rule_lines(compare_rules(ends[0].guidance, ends[1].guidance), ends),
        verdict_lines(compare_verdicts(ends[0].selections, ends[1].selections), *ends),
        rate_lines(*ends),
        review_lines(*ends),
        prompt_lines(*ends),
        [
            "Configuration: what differs",
            *(
                f"  {name}: {shown(old)} -> {shown(new)}"
                for name, old, new in compare_knobs(ends[0].knobs, ends[1].knobs)
            ),
        ],
    ]
    print("\n\n".join(plain_lines(section if len(section) > 1 else [f"{section[0]}: nothing"]) for section in sections))


def rule_lines(changes: list[RuleChange], ends: tuple[End, End]) -> list[str]:
    """Rules of B alone (+), of A alone (-) and of the same key with other words (~)."""
    lines = ["Rules: what differs"]
    for change in changes:
        lines.append(f"  {change.sign} {change.key}: {change.text}")
        lines += [f"      was: {change.old_text}"] if change.old_text is not None else []
        meta = ends[0 if change.sign == "-" else 1].guidance.metadata.get(change.key)
        if meta:
            lines.append(f"      {meta.hit_count} hits, {meta.miss_count} misses, confidence {meta.confidence:.2f}")
    return lines


def verdict_lines(found: Verdicts, a: End, b: End) -> list[str]:
    """How many tickets B mends and breaks, and the first of them with both verdicts' reasons."""
    from verdicts.runs.diff import by_label

    lines = [f"Verdicts: {found.both} tickets in both, {len(found.fixed) + len(found.broke)} differ"]
    lines.append(f"  fixed (wrong in A, right in B): {by_label(found.fixed)}")
    lines.append(f"  broke (right in A, wrong in B): {by_label(found.broke)}")
    if found.fixed or found.broke:
        lines.append(f"  McNemar, exact, two-sided: p = {found.p_value:.2g}")
    for word, keys in (("A", found.only_a), ("B", found.only_b)):
        lines += [f"  in {word} alone: {by_label(keys)}"] if keys else []
    for sign, keys in (("+", found.fixed), ("-", found.broke)):
        for key in keys[:TICKETS_SHOWN]:
            before, after = a.selections[key], b.selections[key]
            lines.append(f"  {sign} {key}: {before.verdict} -> {after.verdict}; {before.reason} -> {after.reason}")
        lines += [f"  {sign} … and {len(keys) - TICKETS_SHOWN} more"] if len(keys) > TICKETS_SHOWN else []
    return lines


def rate_lines(a: End, b: End) -> list[str]:
    """The rates of the last verdicts side by side, each with its 95 % interval."""
    from verdicts.runs.diff import final_rates
    from verdicts.stats.rates import RATES

    before, after = final_rates(a.selections.values()), final_rates(b.selections.values())
    rows = [(rate.label, str(old), str(new)) for rate, old, new in zip(RATES, before, after, strict=True)]
    width = max(len(left) for _, left, _ in rows)
    return [
        "Rates of the last verdicts, with 95 % intervals",
        *(f"  {name:<12} {left:<{width}}  ->  {right}" for name, left, right in rows),
    ]


def prompt_lines(a: End, b: End) -> list[str]:
    """The prompts that the two runs did not ask with alike."""
    from verdicts.runs.diff import compare_prompts

    lines = ["Prompts: what differs"]
    for kind in compare_prompts(a.prompts, b.prompts):
        lines.append(f"  {kind}: {a.prompts.get(kind, 'not asked')} -> {b.prompts.get(kind, 'not asked')}")
    return lines


def review_lines(a: End, b: End) -> list[str]:
    """Which tickets only one of the runs sends to people."""
    from verdicts.runs.diff import by_label

    lines = [f"Review: {len(a.review)} tickets in A, {len(b.review)} in B, {len(a.review & b.review)} in both"]
    for word, keys in (("no longer", sorted(a.review - b.review)), ("new", sorted(b.review - a.review))):
        if keys:
            lines.append(
                f"  {word}: {by_label(keys)}: "
                f"{', '.join(keys[:TICKETS_SHOWN])}{', …' if len(keys) > TICKETS_SHOWN else ''}"
            )
    return lines if len(lines) > 1 else [*lines, "  the same tickets"]


def shown(value: object) -> str:
    """A knob's value, cut to a line's part."""
    text = "(absent)" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


if __name__ == "__main__":
    cli.run(main)
