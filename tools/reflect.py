"""Learn from one round's errors: credit and drop rules, reflect, try proposals, queue unsupported tickets for review.

    python -m tools.reflect --config config/reflect.yaml --stage-a stage_a.jsonl \
        --guidance rounds/0000/guidance.json [--decisions rounds/0000/review_decisions.jsonl] --round 1 \\
        --round-dir rounds/0001

    trajectories.jsonl, selections.jsonl ──> reflection.jsonl         what was proposed, tried, applied, refused
    guidance.json of the round before        need_review_queue.jsonl  tickets that no candidate supports
    selections.jsonl and reflection.jsonl of rounds before: proposals are tried on several windows, rules credited over
    an epoch

The guidance after the round is made from reflection.jsonl by tools.apply. Learning takes labels as people corrected
them and leaves excluded tickets out; the review queue is about the labels as given.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verdicts.guidance.diff import RuleChange
    from verdicts.records.reflection import Reflection
    from verdicts.records.rollout import Selection
    from verdicts.records.tickets import StageA


def main(
    config: Annotated[
        Path, typer.Option(help="Section file: mission, engine, learn, reflect, life_cycle, review, window.")
    ],
    stage_a: Annotated[Path, typer.Option(help="Stage-A tickets (JSONL).")],
    guidance: Annotated[Path, typer.Option(help="guidance.json of the round before.")],
    round_number: Annotated[int, typer.Option("--round", min=1, help="Round, counted from 1.")],
    round_dir: Annotated[Path, typer.Option(help="Folder of the round: trajectories and selections in, results out.")],
    decisions: Annotated[
        Path | None, typer.Option(help="What people said of tickets when this learning began.")
    ] = None,
    decided: Annotated[
        Path | None,
        typer.Option(
            help="What people have said of tickets since: round 1 begins to learn, and takes it down as --decisions."
        ),
    ] = None,
) -> None:
    """Reflect on the errors of a round."""
    from verdicts.base.jsonl import write_rows
    from verdicts.command.cli import say
    from verdicts.config.tools import ReflectConfig, read_section
    from verdicts.engines import open_engine
    from verdicts.guidance.diff import changes_between
    from verdicts.guidance.learning import learn
    from verdicts.guidance.past import read_past
    from verdicts.records.guidance import read_guidance
    from verdicts.records.review import read_decisions
    from verdicts.records.rollout import Trajectory
    from verdicts.records.run_folder import stream_file
    from verdicts.records.ticket_index import Tickets
    from verdicts.review.decisions import for_learning
    from verdicts.review.unsupported import review_entries
    from verdicts.rounds.unreadable import forgiven_in_reflections
    from verdicts.rounds.windows import place_of
    from verdicts.stage_b.prompts import load_prompts

    cfg = read_section(config, ReflectConfig)
    prompts = load_prompts(cfg.prompts, cfg.mission)
    tickets = Tickets(stage_a, cfg.mission.name)
    rules = read_guidance(guidance, cfg.mission.name)
    trajectories = [row for _, row in stream_file(round_dir / "trajectories.jsonl", Trajectory)]
    selections = read_selections(round_dir / "selections.jsonl", tickets)
    if decisions and decided and round_number == 1:
        take_down(decided, decisions, tickets)
    said = read_decisions(decisions, tickets) if decisions else {}
    place = place_of(round_number, len(tickets), cfg.window.tickets)
    past = read_past(
        round_dir.parent, round_number, rules, cfg.reflect.trial.rounds, place.rounds_per_epoch, tickets, said
    )
    engine = open_engine(cfg.engine)
    records, after = learn(
        cfg, prompts, engine, rules, tickets, for_learning(selections, said), past, place, round_number
    )
    engine.close()
    suspects = {key: record.reflection_id for record in records for key in record.unexplainable}
    shown_in = {key: record.reflection_id for record in records for key in record.ticket_keys}
    entries = review_entries(trajectories, selections, cfg.review.policy, suspects, shown_in)
    write_rows(round_dir / "need_review_queue.jsonl", entries)
    write_rows(round_dir / "reflection.jsonl", records)
    if os.environ.get("ROUND_LINES"):
        say(round_line(round_number, place.epoch, selections, changes_between(rules, after, records), len(entries)))
    say(
        f"reflect {round_number:04d}: {counts(records)}; {len(entries)} tickets to review; "
        f"guidance step {rules.step} -> {after.step}"
        + (with_reasons(records, tickets) if cfg.reflect.show_reasons else "")
        + forgiven_in_reflections(records),
        step=True,
    )


def counts(records: "Sequence[Reflection]") -> str:
    """What became of a round's reflection calls, in words."""
    from verdicts.rounds.unreadable import unread_in

    unread = [record.unreadable for record in records if record.unreadable]
    applied = sum(len(record.applied) for record in records)
    refused = sum(len(record.rejected) for record in records)
    removed = sum(len(record.cleaned_up) for record in records)
    return (
        f"{sum(record.is_call for record in records)} calls{unread_in(unread)}, {applied + refused} operations = "
        f"{applied} applied + {refused} refused; {removed} rules dropped"
    )


def round_line(
    number: int, epoch: int, selections: "Sequence[Selection]", changes: "Sequence[RuleChange]", waiting: int
) -> str:
    """What a round came to in one line, for those who watch a loop; rates against the labels as given."""
    from verdicts.stats.rates import RATES, verdict_rates

    found = verdict_rates((row.label, row.verdict) for row in selections)
    rates = {rate.label: getattr(found, rate.name) for rate in RATES if rate.is_error}
    shown = [f"{name} {rate.k}/{rate.n}" + (f" ({rate.rate:.1%})" if rate.n else "") for name, rate in rates.items()]
    signs = " ".join(change.sign + change.key for change in changes)
    rules = f"{len(changes)} rules changed" + (f" ({signs})" if changes else "")
    said = [f"{len(selections)} tickets", *shown, rules, f"{waiting} to review"]
    return f"round {number} (epoch {epoch}): {', '.join(said)}"


def with_reasons(records: "Sequence[Reflection]", tickets: "Mapping[str, StageA]") -> str:
    """With how many of the cases shown that people failed their reasons were shown; "" where there were none."""
    failed = [key for record in records if "false_release" in record.directions for key in record.ticket_keys]
    shown = sum(bool(tickets[key].fail_reasons) for key in failed)
    return f"; {shown} of {len(failed)} failed cases shown with people's reasons" if shown else ""


def take_down(decided: Path, decisions: Path, tickets: Mapping) -> None:
    """Keep what people have said so far as what this learning knows. Only make relearn brings later words in."""
    from verdicts.base import made
    from verdicts.base.jsonl import write_text_if_changed
    from verdicts.records.review import read_decisions

    made.does_not_use(decided)
    if decided.exists():
        read_decisions(decided, tickets)
    write_text_if_changed(decisions, decided.read_text(encoding="utf-8-sig") if decided.exists() else "")


def read_selections(path: Path, tickets: Mapping) -> "list[Selection]":
    """The round's selections. Raises UserError at the first that contradicts its ticket or itself, as an edit may."""
    from verdicts.base.errors import mistake, stands_twice
    from verdicts.base.jsonl import read_numbered
    from verdicts.records.rollout import Selection

    seen: dict[str, int] = {}
    numbered = read_numbered(path, Selection, allow_empty=True)
    for line, selection in numbered:
        ticket, first = tickets.get(selection.ticket_key), seen.setdefault(selection.ticket_key, line)
        if ticket is None:
            what, to_do = f"{selection.ticket_key!r} is no ticket of stage_a", "remove the line, or run rollout again"
            raise mistake(what, to_do, path=path, line=line, field="ticket_key")
        if first != line:
            raise stands_twice(repr(selection.ticket_key), first, path=path, line=line, field="ticket_key")
        if selection.label != ticket.label:
            what = f"{selection.label!r}, but its ticket's label is {ticket.label!r}"
            raise mistake(what, "correct it, or edit stage_a", path=path, line=line, field="label")
        if selection.label_match != (selection.verdict == selection.label):
            what = f"{selection.label_match}, but verdict is {selection.verdict!r} and label {selection.label!r}"
            raise mistake(what, "correct it", path=path, line=line, field="label_match")
    return [selection for _, selection in numbered]


if __name__ == "__main__":
    run(main, result="reflect", engine="llama.cpp", writes="round_dir")
