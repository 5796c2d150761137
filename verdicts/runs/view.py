"""The run's view of its rounds: what a reader of the whole run wants, drawn from its rounds' records."""

import os
import tempfile
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from verdicts.base.errors import mistake
from verdicts.base.jsonl import dump, read_json
from verdicts.config.sections import LearnSection
from verdicts.records.guidance import GuidanceFile, MissionGuidance, read_guidance
from verdicts.records.reflection import Reflection
from verdicts.records.rollout import Selection
from verdicts.records.run import LoopStatus, RoundMetrics, SideRates
from verdicts.records.run_folder import finished_rounds, round_folder, stream_round_rows
from verdicts.records.ticket_index import Tickets
from verdicts.rounds.holdout import SIDES, Side, side_of
from verdicts.rounds.unreadable import AnswerCount, Stop, count_reflections, stop_of_run
from verdicts.stats.rates import verdict_rates, wilson


@dataclass(frozen=True)
class Learnt:
    """How guidance came to be what it is. ``status`` None: the loop has not been judged yet.

    ``states[n]`` is the guidance after round n (0: the start), ``reflections[n - 1]`` what round n recorded. ``stop``:
    why the loop stopped before its end, where too much could not be read.
    """

    mission: str
    status: LoopStatus | None
    states: list[MissionGuidance]
    reflections: list[list[Reflection]]
    stop: Stop | None = None

    @property
    def rounds(self) -> int:
        """How many rounds were played."""
        return len(self.reflections)

    @property
    def reading(self) -> AnswerCount:
        """Its reflection calls, and how many of them could not be read."""
        return count_reflections(record for records in self.reflections for record in records)


def read_learnt(run_dir: Path) -> Learnt:
    """Read a run's guidance round by round, as far as it is. Raises UserError where no run has started."""
    rounds, loop = run_dir / "rounds", run_dir / "loop.json"
    start = round_folder(rounds, 0) / "guidance.json"
    if not start.exists():
        raise mistake(
            "no such file: this run has not started", "check MISSION and RUN, or start it with make distill", path=start
        )
    status = read_json(loop, LoopStatus) if loop.exists() else None
    stop = None if status else stop_of_run(run_dir)
    if stop:
        status = LoopStatus(
            status="unreadable",
            rounds=stop.round,
            epochs=stop.epoch - (not stop.whole_epoch),
            rounds_per_epoch=stop.rounds_per_epoch,
            oscillations=[],
        )
    last = status.rounds if status else finished_rounds(rounds)
    mission = next(iter(read_json(start, GuidanceFile).root))
    states: list[MissionGuidance] = []
    for number in range(last + 1):
        state = read_guidance(round_folder(rounds, number) / "guidance.json", mission)
        states.append(states[-1] if states and state == states[-1] else state)  # a converged epoch's rounds share one
    reflections = [list(stream_round_rows(rounds, number, "reflection.jsonl")) for number in range(1, last + 1)]
    return Learnt(mission, status, states, reflections, stop)


@dataclass(frozen=True)
class Round:
    """One finished round, counted.

    ``verdicts``: (label, verdict) of its selections by side. ``rules`` and ``step``: the guidance it ran under;
    ``after``: the step it left.
    """

    number: int
    epoch: int
    trajectories: int
    malformed: int
    verdicts: dict[Side, Counter[tuple[str, str]]]
    formats: Counter[bool]  # format_ok of the model's candidates
    cut: int  # reasons that did not end
    calls: AnswerCount  # its reflections
    queued: int
    rules: int
    step: int
    after: int


class LastSelections:
    """Each ticket's selection of the last round that evaluated it: 12 bytes of memory a ticket.

    They are kept as lines of a nameless file in ``folder``.

    A ticket that got no valid answer in that round has no selection: an older one was made under other guidance.
    """

    def __init__(self, folder: Path, tickets: int):
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 -- kept open as long as this object lives
        self._end = 0
        self._offset, self._length = array("Q", [0]) * tickets, array("I", [0]) * tickets

    def evaluated(self, number: int) -> None:
        """A ticket was asked again: what was selected before is void."""
        self._length[number] = 0

    def selected(self, number: int, row: Selection) -> None:
        """Keep what was selected for a ticket."""
        line = (dump(row) + "\n").encode()
        self._file.write(line)
        self._offset[number], self._length[number] = self._end, len(line)
        self._end += len(line)

    def lines(self) -> Iterator[str]:
        """The selections as they are to be written, in the order of the tickets."""
        self._file.flush()
        for offset, length in zip(self._offset, self._length, strict=True):
            if length:
                yield os.pread(self._file.fileno(), length, offset).decode()


def gather(
    rounds: Path,
    number: int,
    before: MissionGuidance,
    mission: str,
    tickets: Tickets,
    last: LastSelections,
    out: Mapping[str, TextIO],
    learn: LearnSection,
) -> tuple[Round, MissionGuidance]:
    """Read one finished round, row by row; returns its counts and the guidance it left.

    Its trajectories and failures go to ``out``, its selections to ``last``.

    Raises UserError where it evaluated a ticket which Stage A does not hold (edited since).
    """
    epoch = 0
    counts: Counter[str] = Counter()
    formats: Counter[bool] = Counter()
    verdicts: dict[Side, Counter[tuple[str, str]]] = {side: Counter() for side in SIDES}
    for row in stream_round_rows(rounds, number, "trajectories.jsonl"):
        epoch = epoch or row.epoch
        last.evaluated(_known(row.ticket_key, tickets, rounds, number, "trajectories.jsonl"))
        formats.update([row.format_ok] if row.source == "model" else [])
        counts["trajectories"] += 1
        counts["cut"] += row.cut
        out["trajectories.jsonl"].write(dump(row) + "\n")
    for row in stream_round_rows(rounds, number, "selections.jsonl"):
        last.selected(_known(row.ticket_key, tickets, rounds, number, "selections.jsonl"), row)
        verdicts[side_of(row.group_id, learn)][row.label, row.verdict] += 1
    for row in stream_round_rows(rounds, number, "failure_malformed.jsonl"):
        counts["malformed"] += 1
        out["failure_malformed.jsonl"].write(dump(row) + "\n")
    queued = sum(1 for _ in stream_round_rows(rounds, number, "need_review_queue.jsonl"))
    after = read_guidance(round_folder(rounds, number) / "guidance.json", mission)
    calls = count_reflections(stream_round_rows(rounds, number, "reflection.jsonl"))
    rules = len(before.experiences) - 1
    return Round(
        number,
        epoch,
        counts["trajectories"],
        counts["malformed"],
        verdicts,
        formats,
        counts["cut"],
        calls,
        queued,
        rules,
        before.step,
        after.step,
    ), after


def _known(key: str, tickets: Tickets, rounds: Path, number: int, name: str) -> int:
    found = tickets.number(key)
    if found is None:
        path = round_folder(rounds, number) / name
        raise mistake(
            f"{key!r} is not a ticket of this stage_a.jsonl",
            "make the rounds again from it",
            path=path,
            field="ticket_key",
        )
    return found


def metrics_rows(history: Sequence[Round], rounds_per_epoch: int) -> list[RoundMetrics]:
    """A row for each round and, after the last round of each whole epoch, a row for that epoch."""
    rows, epochs = [], defaultdict(list)
    for past in history:
        epochs[past.epoch].append(past)
    for past in history:
        rows.append(metrics_row("round", [past]))
        epoch = epochs[past.epoch]
        if len(epoch) == rounds_per_epoch and past is epoch[-1]:
            rows.append(metrics_row("epoch", epoch))
    return rows


def metrics_row(scope: Literal["round", "epoch"], rounds: Sequence[Round]) -> RoundMetrics:
    """How some rounds together stood to the labels.

    ``rules`` and ``guidance_step``: the guidance that the last of them ran under.
    """
    last = rounds[-1]
    verdicts = {side: sum((past.verdicts[side] for past in rounds), Counter()) for side in SIDES}
    formats = sum((past.formats for past in rounds), Counter())
    rates = verdict_rates(sum(verdicts.values(), Counter()).elements())
    sides = {side: verdict_rates(counts.elements()) for side, counts in verdicts.items()}
    calls = AnswerCount()
    for past in rounds:
        calls.add(past.calls)
    return RoundMetrics(
        scope=scope,
        round=last.number,
        epoch=last.epoch,
        guidance_step=last.step,
        rules=last.rules,
        **rates._asdict(),
        learn=SideRates(**sides["learn"]._asdict()),
        holdout=SideRates(**sides["holdout"]._asdict()),
        format=wilson(formats[True], formats.total()),
        need_review=sum(past.queued for past in rounds),
        changed=any(past.after != past.step for past in rounds),
        unreadable_answers=formats[False],
        cut_reasons=sum(past.cut for past in rounds),
        reflections=calls.total,
        unreadable_reflections=calls.unread,
    )
