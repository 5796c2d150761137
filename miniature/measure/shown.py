"""Which hidden rules the tickets of a world can show at all, whoever looks: no model is asked.

    python -m miniature.measure.shown --seeds 10 --flips 0.1,0.2 --fails 0.3,0.5,0.7

With all other hidden rules in force, each hidden rule turns so many of the learn tickets. They can show it where that
is enough for four of five such rules to be confirmed (verdicts/stats/power.py), as the report says of a run's own
tickets. Prints for each kind of world how many of the hidden rules that is, and of the others what they turn and would
have to.
"""

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from miniature.world.dataset import Labelled, World
    from verdicts.config.sections import Config


class HiddenRule(NamedTuple):
    """A hidden rule: of how many learn tickets it turns the verdict, and of how many it would have to."""

    text: str
    turned: int
    least: int | None

    @property
    def is_shown(self) -> bool:
        """Whether the tickets can show it."""
        return self.least is not None and self.turned >= self.least


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Worlds of each kind, seeds --first, --first + 1, …")] = 10,
    first: Annotated[int, typer.Option(min=0, help="Seed of the first world.")] = 1,
    flips: Annotated[str, typer.Option(help="Shares of flipped labels, with commas.")] = "0.1,0.2",
    fails: Annotated[str, typer.Option(help="Shares of labels that are fail, with commas.")] = "0.3,0.5,0.7",
    mission: Annotated[str, typer.Option(help="Mission slug.")] = "bbu_line",
    tickets: Annotated[int, typer.Option(min=1, help="Tickets to learn from.")] = 400,
) -> None:
    """Print a row for each kind of world."""
    from miniature.measure.worlds import balanced_tickets, read_shares
    from miniature.world.dataset import sample_world
    from verdicts.config.load import load

    config = load("miniature", mission)
    for flip in read_shares(flips):
        for share in read_shares(fails):
            found: list[tuple[int, HiddenRule]] = []
            for seed in range(first, first + seeds):
                world = sample_world(seed, mission)
                labelled = balanced_tickets(world, tickets, seed, flip, share)
                found += [(seed, rule) for rule in hidden_rules(world, labelled, flip, config)]
            missing = [(seed, rule) for seed, rule in found if not rule.is_shown]
            said = "; ".join(
                f"world {seed} {rule.text} turns {rule.turned} of {rule.least or 'no number of'}"
                for seed, rule in missing
            )
            print(
                f"| {flip:.0%} | {share:.0%} | {len(found) - len(missing)}/{len(found)} | {said or '–'} |", flush=True
            )


def hidden_rules(world: "World", labelled: "Sequence[Labelled]", flip: float, config: "Config") -> list[HiddenRule]:
    """The hidden rules of a world, and what its tickets show of each.

    ``flip``: the share of labels that are wrong.
    """
    from miniature.world.dataset import verdict
    from verdicts.rounds.holdout import to_learn_from
    from verdicts.stats.power import least_shown

    rows = to_learn_from(labelled, config.learn)
    found = []
    for name, rule in world.rules.items():
        others = {other: kept for other, kept in world.rules.items() if other != name}
        without = [verdict(row.ticket.facts, world.mission.g0, others) for row in rows]
        turned = [before for row, before in zip(rows, without, strict=True) if before != row.clean]
        least = None
        if turned:
            right = [row.label == before for row, before in zip(rows, without, strict=True) if before == turned[0]]
            least = least_shown(right.count(False), right.count(True), 1 - flip, config.life_cycle.proof)
        found.append(HiddenRule(rule.text(), len(turned), least))
    return found


if __name__ == "__main__":
    run(main)
