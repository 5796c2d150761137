"""The run's view of its rounds: what a reader of the whole run wants, drawn from its rounds' records."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.core.errors import mistake
from tools.core.guidance_file import read_guidance
from tools.core.jsonl import read_json
from tools.core.metrics import Rate, verdict_rates, wilson
from tools.core.records import (
    GuidanceFile,
    LoopStatus,
    Malformed,
    MissionGuidance,
    RateRecord,
    Reflection,
    RoundMetrics,
    Selection,
    StageA,
    Trajectory,
)
from tools.core.run_folder import finished_rounds, read_round_rows, round_folder


@dataclass(frozen=True)
class Learnt:
    """How guidance came to be what it is. ``status`` None: the loop has not been judged yet.

    ``states[n]`` is the guidance after round n (0: the start), ``reflections[n - 1]`` what round n recorded.
    """

    mission: str
    status: LoopStatus | None
    states: list[MissionGuidance]
    reflections: list[list[Reflection]]

    @property
    def rounds(self) -> int:
        return len(self.reflections)


def read_learnt(run_dir: Path) -> Learnt:
    """Read a run's guidance round by round, as far as it is; raises UserError for a folder in which no run has started."""
    rounds, loop = run_dir / "rounds", run_dir / "loop.json"
    start = round_folder(rounds, 0) / "guidance.json"
    if not start.exists():
        raise mistake("no such file: this run has not started", "check MISSION and RUN, or start it with make distill", path=start)
    status = read_json(loop, LoopStatus) if loop.exists() else None
    last = status.rounds if status else finished_rounds(rounds)
    mission = next(iter(read_json(start, GuidanceFile).root))
    states = [read_guidance(round_folder(rounds, number) / "guidance.json", mission) for number in range(last + 1)]
    reflections = [read_round_rows(rounds, number, "reflection.jsonl") for number in range(1, last + 1)]
    return Learnt(mission, status, states, reflections)


@dataclass(frozen=True)
class Round:
    """One finished round: its records, the guidance it ran under, and the guidance it left. ``queued``: tickets it sent to review."""

    number: int
    trajectories: Sequence[Trajectory]
    selections: Sequence[Selection]
    malformed: Sequence[Malformed]
    queued: int
    before: MissionGuidance
    after: MissionGuidance

    @property
    def epoch(self) -> int:
        return self.trajectories[0].epoch


def read_round(rounds: Path, number: int, mission: str) -> Round:
    """Read one finished round from its folder and the guidance from the folder before it."""
    return Round(
        number=number,
        trajectories=read_round_rows(rounds, number, "trajectories.jsonl"),
        selections=read_round_rows(rounds, number, "selections.jsonl"),
        malformed=read_round_rows(rounds, number, "failure_malformed.jsonl"),
        queued=len(read_round_rows(rounds, number, "need_review_queue.jsonl")),
        before=read_guidance(round_folder(rounds, number - 1) / "guidance.json", mission),
        after=read_guidance(round_folder(rounds, number) / "guidance.json", mission),
    )


def refuse_unknown_tickets(rounds: Path, history: Iterable[Round], tickets: Iterable[StageA]) -> None:
    """Raise UserError for the first round that evaluated a ticket which Stage A does not hold (edited since)."""
    known = {ticket.ticket_key for ticket in tickets}
    for past in history:
        for name, rows in (("trajectories.jsonl", past.trajectories), ("selections.jsonl", past.selections)):
            if unknown := next((row.ticket_key for row in rows if row.ticket_key not in known), None):
                path = round_folder(rounds, past.number) / name
                raise mistake(f"{unknown!r} is not a ticket of this stage_a.jsonl", "make the rounds again from it", path=path, field="ticket_key")


def last_selections(history: Iterable[Round], tickets: Iterable[StageA]) -> list[Selection]:
    """Each ticket's selection of the last round that evaluated it, in the order of ``tickets``.

    A ticket that got no valid answer in that round has no selection: an older one was made under other guidance.
    """
    last: dict[str, Selection | None] = {}
    for past in history:
        last.update(dict.fromkeys(row.ticket_key for row in past.trajectories))
        last.update({row.ticket_key: row for row in past.selections})
    chosen = (last.get(ticket.ticket_key) for ticket in tickets)
    return [selection for selection in chosen if selection is not None]


def metrics_rows(history: Sequence[Round], rounds_per_epoch: int) -> list[RoundMetrics]:
    """A row for each round and, after the last round of each whole epoch, a row for that epoch."""
    rows = []
    for past in history:
        rows.append(metrics_row("round", [past]))
        epoch = [other for other in history if other.epoch == past.epoch]
        if len(epoch) == rounds_per_epoch and past is epoch[-1]:
            rows.append(metrics_row("epoch", epoch))
    return rows


def metrics_row(scope: Literal["round", "epoch"], rounds: Sequence[Round]) -> RoundMetrics:
    """How some rounds together stood to the labels. ``rules`` and ``guidance_step``: the guidance the last of them ran under."""
    last = rounds[-1]
    rates = verdict_rates((row.label, row.verdict) for past in rounds for row in past.selections)
    formats = [row.format_ok for past in rounds for row in past.trajectories]
    return RoundMetrics(
        scope=scope,
        round=last.number,
        epoch=last.epoch,
        guidance_step=last.before.step,
        rules=len(last.before.experiences) - 1,
        frr=_record(rates.frr),
        false_block=_record(rates.false_block),
        label_match=_record(rates.label_match),
        format=_record(wilson(sum(formats), len(formats))),
        need_review=sum(past.queued for past in rounds),
        changed=any(past.after.step != past.before.step for past in rounds),
    )


def _record(rate: Rate) -> RateRecord:
    return RateRecord(**rate._asdict())
