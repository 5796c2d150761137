"""Predict GPU memory, tokens, time and disk of a run from a probe of 20 tickets, before it starts.

    python -m tools.plan --models miniature --mission bbu_line --tickets tickets.jsonl

In:  the configuration (configs/, CONFIG) and the tickets, as prepare takes them.
Out: a table on stdout, and GPU memory on stderr before the model is loaded. Writes nothing.

The probe plays the first tickets of round 1 under the starting guidance, reflects on their errors and judges them once
more, with the engine of the configuration. Each figure is what one epoch takes if all tickets are like these.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from verdicts.config.sections import Config
    from verdicts.engines import Engine
    from verdicts.records.rollout import Selection
    from verdicts.records.tickets import StageA
    from verdicts.runs.cost import Cost, Probe
    from verdicts.stage_b.prompts import Prompts

T = TypeVar("T")


def main(
    models: Annotated[str, typer.Option(help="Model set: configs/models/<name>.yaml.")],
    mission: Annotated[str, typer.Option(help="Mission slug: configs/missions/<slug>.yaml.")],
    tickets: Annotated[Path, typer.Option(help="Stage-A tickets.")],
    overlay: Annotated[Path | None, typer.Option(help="One more YAML laid over the configuration.")] = None,
) -> None:
    """Predict what a run takes."""
    from verdicts.base.plain import plain_lines
    from verdicts.command.cli import say
    from verdicts.config.load import load
    from verdicts.engines import open_engine
    from verdicts.intake.given import given_tickets
    from verdicts.rounds.windows import place_of, tickets_of
    from verdicts.runs.cost import duration, run_cost
    from verdicts.stage_b.prompts import load_prompts

    config = load(models, mission, overlay)
    prompts = load_prompts(config.prompts, config.mission)
    rows = given_tickets(tickets, config)
    place = place_of(1, len(rows), config.window.tickets)
    window = tickets_of(place, rows, config.window.seed)[: config.plan.tickets]
    say_memory(config)
    started = time.monotonic()
    engine = open_engine(config.engine)
    probe = measure(config, prompts, engine, window, time.monotonic() - started)
    engine.close()

    epochs = sorted({1, min(2, config.loop.max_epochs), config.loop.max_epochs})
    costs = {count: run_cost(probe, len(rows), config, count) for count in epochs}
    print(plain_lines(table(config, probe, len(rows), place.rounds_per_epoch, costs)))
    say(
        f"plan: {len(window)} of {len(rows)} tickets probed in {duration(time.monotonic() - started)}; one epoch "
        f"takes about {duration(costs[1].seconds)}"
    )


def say_memory(config: Config) -> None:
    """Say what the model takes of a GPU's memory, before it is loaded; nothing of one that a server holds."""
    from verdicts.base.errors import UserError
    from verdicts.command.cli import say
    from verdicts.engines.llama.memory import engine_memory

    if config.engine.kind != "llama_cpp" or not Path(config.engine.model).is_file():
        return  # opening the engine says what is wrong with it
    try:
        say(f"plan: {engine_memory(config.engine)}")
    except UserError as error:
        say(f"plan: GPU memory not known: {error}", "wait")


def measure(config: Config, prompts: Prompts, engine: Engine, window: list[StageA], open_s: float) -> Probe:
    """Play, reflect on and judge the probe's tickets, with a clock and a count of tokens at each step."""
    from verdicts.base.jsonl import dump
    from verdicts.guidance import replay
    from verdicts.guidance.reflection import groups_of, read_answer
    from verdicts.rounds.trajectories import decodes_for, trajectories_of, without_probability
    from verdicts.rounds.windows import place_of
    from verdicts.runs.cost import Probe
    from verdicts.stage_b.selection import select
    from verdicts.stage_b.threshold import threshold_of

    start, count = replay.start(config.mission), engine.count_tokens
    system = prompts.stage_b_system(start.experiences)
    users = [prompts.stage_b_user(ticket.per_image) for ticket in window]
    decodes = [decodes_for(ticket, config.rollout) for ticket in window]
    answers, rollout_s = timed(lambda: list(engine.rollout(system, users, decodes)))
    place = place_of(1, len(window), len(window))
    threshold = threshold_of(config.rollout)
    rows = [
        trajectories_of(*asked, without_probability(answer, threshold), place, 1, 0, config.rollout.cut_reasons)
        for *asked, answer in zip(window, decodes, answers, strict=True)
    ]
    verdicts = (select(ticket, row, config.fail_first, threshold) for ticket, row in zip(window, rows, strict=True))
    chosen = [verdict for verdict in verdicts if verdict]
    groups = groups_of(prompts, chosen, {ticket.ticket_key: ticket for ticket in window}, config.reflect, "plan", count)
    reflecting, shown = prompts.reflect_system(start.experiences), [group.user(prompts) for group in groups]
    said, calls_s = timed(lambda: reflections(config, engine, reflecting, shown))
    _, judge_s = timed(lambda: engine.judge(system, users))

    read = sum(map(count, users))
    trajectory_bytes, selection_bytes = (sum(len(dump(row).encode()) for row in of) for of in (chain(*rows), chosen))
    # the corpus holds the system prompt once a ticket
    corpus_bytes = sum(2 * len((system + user).encode()) for user in users)
    copied_bytes = sum(2 * len(dump(ticket).encode()) for ticket in window)
    keys = [[ticket.ticket_key for ticket in group.tickets] for group in groups]
    proposed = [read_answer(text, of) for text, of in zip(said, keys, strict=True)]
    return Probe(
        tickets=len(window),
        wrong=tally(chosen, right=False),
        right=tally(chosen, right=True),
        open_s=open_s,
        start_s=start_seconds(),
        rollout_s=rollout_s,
        rollout_read=read,
        rollout_written=sum(count(candidate.text) for answer in answers for candidate in answer),
        system_tokens=count(system),
        calls=len(groups),
        calls_s=calls_s,
        calls_read=count(reflecting) + sum(map(count, shown)),
        calls_written=sum(map(count, said)),
        operations=sum(len(answer.operations) for answer in proposed),
        judge_s=judge_s,
        judge_read=read,
        # trajectories stand in the run's view again
        round_bytes=2 * trajectory_bytes + selection_bytes + 3 * sum(len(text.encode()) for text in said),
        ticket_bytes=selection_bytes + corpus_bytes + copied_bytes,
    )


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What ``work`` returns, and the seconds it took."""
    clock = time.monotonic()
    return work(), time.monotonic() - clock


def tally(chosen: list[Selection], right: bool) -> dict[str, int]:
    """How many verdicts of either kind match their label, or do not."""
    return {
        verdict: sum(row.verdict == verdict and row.label_match == right for row in chosen)
        for verdict in ("pass", "fail")
    }


def reflections(config: Config, engine: Engine, system: str, shown: list[str]) -> list[str]:
    """What the model says to each group of errors."""
    from verdicts.guidance.reflection import answer_schema

    if not shown:
        return []
    most = config.reflect
    schema = answer_schema([], most.group_size, most.max_rule_chars) if most.grammar else None
    said = engine.complete(system, shown, [reflect_decode(config)] * len(shown), json_schema=schema)
    return [completion.text for completion in said]


def reflect_decode(config: Config):
    """How a reflection call is sampled."""
    from verdicts.engines import Decode

    return Decode(config.reflect.temperature, config.reflect.top_p, config.reflect.max_new_tokens, config.reflect.seed)


def start_seconds() -> float:
    """Seconds that a tool takes to start and to import what it needs."""
    import subprocess
    import sys

    clock = time.monotonic()
    subprocess.run([sys.executable, "-c", "import verdicts.guidance.learning, verdicts.records.run_folder"], check=True)
    return time.monotonic() - clock


def table(config: Config, probe: Probe, tickets: int, rounds: int, costs: dict[int, Cost]) -> list[str]:
    """What was measured, and what it comes to by number of epochs."""
    from verdicts.runs.cost import amount, duration

    wrong, answered = sum(probe.wrong.values()), sum(probe.wrong.values()) + sum(probe.right.values())
    columns = [f"{count} epoch{'s' if count > 1 else ''}" for count in costs]
    rows = {
        "tokens read": [amount(cost.read) for cost in costs.values()],
        "tokens written": [amount(cost.written) for cost in costs.values()],
        "time": [duration(cost.seconds) for cost in costs.values()],
        "of it reflection": [f"{cost.reflect_s / cost.seconds:.0%}" for cost in costs.values()],
        "disk": [amount(cost.bytes, "B") for cost in costs.values()],
    }
    return [
        f"{config.mission.name}: {tickets} tickets, {rounds} rounds an epoch, "
        f"{len(config.rollout.grid) * config.rollout.samples} candidates a ticket, {config.engine.model}",
        f"probe: {probe.tickets} tickets in {probe.rollout_s:.1f} s ({probe.tickets / probe.rollout_s:.1f} a second), "
        f"{wrong} of {answered} answered wrongly; "
        f"{probe.calls} reflection calls in {probe.calls_s:.1f} s; {probe.tickets} tickets judged in "
        f"{probe.judge_s:.1f} s; model opened in {probe.open_s:.1f} s",
        "",
        f"  {'':<18}" + "".join(f"{name:>16}" for name in columns),
        *(f"  {name:<18}" + "".join(f"{value:>16}" for value in values) for name, values in rows.items()),
        "",
        "The loop ends after an epoch without a change: 1 epoch if nothing is learnt, at least 2 if something is, "
        f"{config.loop.max_epochs} at most (loop.max_epochs).",
    ]


if __name__ == "__main__":
    run(main, engine="llama.cpp")
