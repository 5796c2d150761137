"""What an arm found, judged on clean held-out tickets that no arm sees; the rows of the results and their table."""

from collections.abc import Callable, Iterable, Sequence
from statistics import mean, stdev
from typing import Any

from miniature.optimizers.arm import Found, Task, share_right, verdicts
from miniature.world.dataset import World, parse_rule
from verdicts.engines import Engine
from verdicts.records.tickets import StageA
from verdicts.stats.rates import verdict_rates, wilson

Row = dict[str, Any]


def scores(task: Task, engine: Engine, found: Found, clean: Sequence[StageA], world: World, flip: float) -> Row:
    """The scores of one search. ``optimism``: label match on the tickets that the arm judged itself by, less that on
    held-out ones with as many labels flipped (in expectation).
    """

    def say(tickets: Sequence[StageA]) -> list[str]:
        return found.decide(engine, tickets) if found.decide else verdicts(task, engine, found.rules, tickets)

    said = say(clean)
    rates = verdict_rates(zip((ticket.label for ticket in clean), said, strict=True))
    match = share_right(said, clean)
    own = share_right(say(found.judged_by), found.judged_by) if found.judged_by else None
    guidance = found.decide is None
    system = task.prompts.stage_b_system
    length = [engine.count_tokens(system(task.guidance(rules).experiences)) for rules in ([], found.rules)]
    hidden = [parse_rule(text) in world.hidden for text in found.rules]
    return {
        **{name: {"k": rate.k, "n": rate.n} for name, rate in rates._asdict().items()},
        "rules": found.rules,
        "found": len({parse_rule(text) for text in found.rules} & set(world.hidden)) if guidance else None,
        "hidden": len(world.hidden),
        "wrong": hidden.count(False) if guidance else None,
        "prompt_tokens": length[1] - length[0] if guidance else None,
        "optimism": None if own is None else round(own - (match * (1 - flip) + (1 - match) * flip), 6),
    }


def table(rows: Sequence[Row]) -> str:
    """All rows as Markdown: a table for each share of flipped labels, an arm a line."""
    parts = []
    for flip in sorted({row["flip"] for row in rows}):
        of_flip = [row for row in rows if row["flip"] == flip]
        runs = len({(row["world"], row["seed"]) for row in of_flip})
        worlds = len({row["world"] for row in of_flip})
        lines = [_line(name, [row for row in of_flip if row["arm"] == name]) for name in _names(of_flip)]
        parts.append(
            "\n".join([f"**{flip:.0%} flipped**, worlds: {worlds}, searches of an arm: {runs}", "", _HEAD, *lines])
        )
    return "\n\n".join(parts)


_HEAD = (
    "| arm | FRR [95 %] | by search (sd) | false block [95 %] | label match | planted rules found | wrong rules kept | "
    "tokens of the rules | calls | tokens asked, thousands | validation minus held-out |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def _names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row["arm"] for row in rows))


def _line(name: str, rows: Sequence[Row]) -> str:
    """One arm's searches together."""

    def rate(of: str) -> str:
        return str(wilson(sum(row[of]["k"] for row in rows), sum(row[of]["n"] for row in rows)))

    frr = [row["frr"]["k"] / row["frr"]["n"] for row in rows]
    spread = f"{min(frr):.1%} to {max(frr):.1%}" + (f" ({100 * stdev(frr):.1f})" if len(frr) > 1 else "")
    match = sum(row["label_match"]["k"] for row in rows) / sum(row["label_match"]["n"] for row in rows)
    return (
        f"| {name} | {rate('frr')} | {spread} | {rate('false_block')} | {match:.1%} | "
        f"{_sum(rows, 'found', over='hidden')} | {_sum(rows, 'wrong')} | {_mean(rows, 'prompt_tokens')} | "
        f"{_mean(rows, 'calls')} | {_mean(rows, 'tokens', lambda value: f'{value / 1000:,.0f}')} | "
        f"{_mean(rows, 'optimism', lambda value: f'{100 * value:+.1f}')} |"
    )


def _sum(rows: Sequence[Row], name: str, over: str = "") -> str:
    known = [row for row in rows if row[name] is not None]
    of = f"/{sum(row[over] for row in known)}" if over else ""
    return f"{sum(row[name] for row in known)}{of}" if known else "–"


def _mean(rows: Sequence[Row], name: str, shown: Callable[[float], str] = "{:,.0f}".format) -> str:
    known = [row[name] for row in rows if row[name] is not None]
    return shown(mean(known)) if known else "–"
