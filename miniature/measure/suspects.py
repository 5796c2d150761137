"""Do suspects find labels that are wrong? Average precision on planted flips, and on tickets that people audited.

    python -m miniature.measure.suspects --output suspects.json
    python -m miniature.measure.suspects --worlds 0 --real real_tickets

Reads with --real <mission>.stage_a.jsonl and <mission>.audit.jsonl there (ticket_key, category); a category that begins
with likely_ is a wrong label, uncertain ones are left out. Average precision; of audited tickets with the 95 % interval
of 1,000 draws of groups (percentiles, seed 17). Chance is the share of wrong labels. Beside the score and its signals:

- cleanlab: its label quality (self-confidence, adjusted for the classes) of the same cross-validated probabilities
- need_review: how sure the miniature teacher is against the label under the checklist alone, the order of that list (of
  audited tickets)

Needs scikit-learn (make suspects installs it); cleanlab is left out where it is not installed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Annotated, NamedTuple

import typer

from verdicts.command.cli import run
from verdicts.config.load import load
from verdicts.measure.audit import read_audit
from verdicts.records.tickets import StageA, read_tickets
from verdicts.review.suspects import cross_validated, label_match_at_best, shown_of, suspects_of

WORLD_MISSIONS = ("bbu_line", "bbu_cable", "rru_position")
REAL_MISSIONS = ("bbu_line", "bbu_cable", "bbu_wind", "bbu_install")
SEED, FOLDS, DRAWS = 17, 5, 1000
MODEL = Path("data/miniature/teacher.gguf")


class Set(NamedTuple):
    """Tickets, and which of their labels are wrong; tickets that are not in ``wrong`` are not scored."""

    name: str
    slug: str
    tickets: list[StageA]
    wrong: dict[str, bool]


def main(
    worlds: Annotated[
        int, typer.Option(help="Drawn worlds a mission and share of flipped labels, seeds 41, 42, …")
    ] = 5,
    real: Annotated[Path | None, typer.Option(help="Folder of audited tickets.")] = None,
    output: Annotated[Path | None, typer.Option(help="Figures (JSON).")] = None,
) -> None:
    """Average precision of each ranking, by set of tickets."""
    from miniature.measure.teacher import open_teacher
    from verdicts.base.jsonl import write_json

    found = []
    for one in [*drawn(worlds), *(audited(real) if real else [])]:
        ranked, tops = rankings(one), {}
        if one.name.startswith("real"):
            ranked |= {"need_review": by_teacher(one, load("miniature", one.slug), open_teacher(MODEL))}
        keys = [ticket.ticket_key for ticket in one.tickets if ticket.ticket_key in one.wrong]
        for name, order in ranked.items():
            of = [(one.wrong[key], order[key], key.rpartition("::")[0]) for key in keys]
            tops[name] = interval(of) if one.name.startswith("real") else [average_precision(of)]
        found.append({"set": one.name, "n": len(keys), "wrong": sum(one.wrong.values())} | tops | ceilings(one))
        print(json.dumps(found[-1], ensure_ascii=False), flush=True)
    if output:
        write_json(output, {"seed": SEED, "folds": FOLDS, "sets": found})


def drawn(worlds: int) -> list[Set]:
    """Tickets of synthetic worlds, 400 each, with 5, 10 and 20 % of the labels flipped."""
    from miniature.world.dataset import draw_tickets, sample_world, stage_a_rows

    sets = []
    for slug in WORLD_MISSIONS:
        for flip in (0.05, 0.1, 0.2):
            for seed in range(41, 41 + worlds):
                world = sample_world(seed, slug)
                rows = draw_tickets(world, 400, seed, flip)
                tickets = [StageA.model_validate(row) for row in stage_a_rows(world, rows)]
                wrong = {ticket.ticket_key: row.label != row.clean for ticket, row in zip(tickets, rows, strict=True)}
                sets.append(Set(f"{slug} {flip:.0%} world {seed}", slug, tickets, wrong))
    return sets


def audited(folder: Path) -> list[Set]:
    """Tickets whose labels people looked at afterwards."""
    sets = []
    for slug in REAL_MISSIONS:
        categories = read_audit(folder / f"{slug}.audit.jsonl")
        wrong = {key: said.startswith("likely_") for key, said in categories.items() if said != "uncertain"}
        sets.append(Set(f"real {slug}", slug, read_tickets(folder / f"{slug}.stage_a.jsonl"), wrong))
    return sets


def rankings(one: Set) -> dict[str, dict[str, float]]:
    """By name of a ranking: how much it doubts each ticket's label."""
    config = load("miniature", one.slug)
    shown = [shown_of(ticket, config.fail_first) for ticket in one.tickets]
    found = suspects_of(shown, config.fail_first, FOLDS, SEED)
    orders = {"score": {row.ticket_key: row.score for row in found}}
    for name in ("checklist", "other_label", "twins", "same_group"):
        signal = {row.ticket_key: getattr(row.signals, name) for row in found}
        if any(value is not None for value in signal.values()):
            orders[name] = {key: 0.5 if value is None else value for key, value in signal.items()}
    return orders | (by_cleanlab(shown) if "other_label" in orders else {})


def ceilings(one: Set) -> dict[str, float]:
    """The label match that nobody exceeds who says the same of tickets that show the same."""
    guard = load("miniature", one.slug).fail_first
    shown = [shown_of(ticket, guard) for ticket in one.tickets]
    return {f"ceiling_{same}": label_match_at_best(shown, same) / len(shown) for same in ("summaries", "facts")}


def by_cleanlab(shown: Sequence) -> dict[str, dict[str, float]]:
    """How little cleanlab trusts each label; nothing where it is not installed."""
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return {}
    import numpy as np

    fail = np.array(cross_validated(shown, FOLDS, SEED))
    labels = np.array([int(ticket.label == "fail") for ticket in shown])
    sure = get_label_quality_scores(labels, np.stack([1 - fail, fail], axis=1), adjust_pred_probs=True)
    return {"cleanlab": {ticket.ticket_key: 1 - float(one) for ticket, one in zip(shown, sure, strict=True)}}


def by_teacher(one: Set, config, engine) -> dict[str, float]:
    """ln P(other label) - ln P(label) of the teacher under the checklist alone."""
    from verdicts.stage_b.prompts import load_prompts

    prompts = load_prompts(config.prompts, config.mission)
    system = prompts.stage_b_system({"G0": config.mission.g0})
    said = engine.judge(system, [prompts.stage_b_user(ticket.per_image) for ticket in one.tickets])
    sign = {"pass": 1, "fail": -1}
    return {
        ticket.ticket_key: sign[ticket.label] * (sure["fail"] - sure["pass"])
        for ticket, sure in zip(one.tickets, said, strict=True)
    }


def average_precision(rows: Sequence[tuple[bool, float, str]]) -> float:
    """Of (wrong, doubt, group); ties count as scikit-learn counts them."""
    from sklearn.metrics import average_precision_score

    return round(float(average_precision_score([row[0] for row in rows], [row[1] for row in rows])), 3)


def interval(rows: Sequence[tuple[bool, float, str]]) -> list[float]:
    """Average precision, and the 95 % interval of draws of groups."""
    of_group: dict[str, list[tuple[bool, float, str]]] = {}
    for row in rows:
        of_group.setdefault(row[2], []).append(row)
    draw, names, values = Random(SEED), sorted(of_group), []
    for _ in range(DRAWS):
        sample = [row for _ in names for row in of_group[draw.choice(names)]]
        values += [average_precision(sample)] if any(row[0] for row in sample) else []
    values.sort()
    return [average_precision(rows), *(values[round(share * (len(values) - 1))] for share in (0.025, 0.975))]


if __name__ == "__main__":
    run(main)
