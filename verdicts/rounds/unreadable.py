"""What of a run's answers could not be read, counted; and whether the loop has to stop for it.

An answer that cannot be read is never "nothing to learn". Where more than ``loop.max_unreadable`` of an epoch's
candidates are malformed, or of its reflections on errors as chance shows them unreadable, the loop stops after that
round: not converged, nothing distilled. The judgement is a function of the rounds on disk, so next_round, show, report
and check agree on it without a file of its own.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from verdicts.base.errors import UserError, mistake
from verdicts.base.jsonl import read_rows, stream_lines
from verdicts.config.load import read_yaml
from verdicts.config.sections import LoopSection
from verdicts.config.tools import LoopConfig, read_section
from verdicts.records.reflection import MUTE_TRIAL, Reflection
from verdicts.records.rollout import Malformed
from verdicts.records.run_folder import finished_rounds, round_folder
from verdicts.rounds.windows import place_of

_WRITTEN = (b'"source": "guard"', b'"source": "threshold"')
_SHOWN = 100  # characters of the first raw text
_UNPRINTABLE = re.compile(
    r"[^\S ]"  # any blank but the plain one
    r"|[^\x20-\x7e\xa1-\uffff\U00010000-\U0010ffff]"  # control characters
    r"|[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"  # invisible, turning the line, half characters
)


@dataclass
class AnswerCount:
    """Answers of one kind: how many, how many of them unreadable for each reason word, and the first such text."""

    total: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: str | None = None

    @property
    def unread(self) -> int:
        """How many cannot be read."""
        return self.reasons.total()

    @property
    def in_words(self) -> str:
        """``30 no_verdict, 7 third_state``."""
        return by_reason(self.reasons)

    def add(self, other: "AnswerCount") -> None:
        """Take in a further round's."""
        self.total += other.total
        self.reasons += other.reasons
        self.first = other.first if self.first is None else self.first

    def exceeds(self, limits: LoopSection, whole_epoch: bool) -> bool:
        """Whether more than ``max_unreadable`` is unreadable.

        One bad answer among few is no reason, nor are few in an epoch that goes on.
        """
        few = self.unread < 2 and self.unread < self.total
        enough = whole_epoch or self.total >= limits.enough_answers
        return self.unread > limits.max_unreadable * self.total and not few and enough


@dataclass(frozen=True)
class Kind:
    """What is counted: its name in a sentence, the file that tells more, and the knob for each reason word
    (``otherwise`` for the rest).
    """

    name: str
    file: str
    knobs: dict[str, str]
    otherwise: str

    def sentence(self, number: int, count: AnswerCount, share: float) -> str:
        """What is wrong: counts by reason and the first raw text."""
        first = f"; the first one: {printable(count.first)}" if count.first else ""
        many = f"{count.unread} of {count.total} {self.name} of its epoch"
        return (
            f"loop stopped after round {number:04d}: {many} cannot be read ({by_reason(count.reasons)}), "
            f"more than loop.max_unreadable ({share:g}){first}; nothing is distilled"
        )

    def turn(self, count: AnswerCount) -> str:
        """What to do: the knobs of every reason that stands for a tenth or more."""
        words = [word for word, found in count.reasons.most_common() if found >= 0.1 * count.unread]
        return "; ".join(dict.fromkeys(self.knobs.get(word, self.otherwise) for word in words))


ANSWERS = Kind(
    "answers",
    "failure_malformed.jsonl",
    {
        "over_length": "raise engine.context_tokens",
        "cut_off": "raise rollout.max_new_tokens",
        "no_reason": "raise rollout.max_new_tokens, or set engine.grammar: true",
        "refused": "see what the server said",
        "no_probability": "let the server give logprobs, or set rollout.decision: majority",
    },
    "set engine.grammar: true, change the prompt (prompts.stage_b), or take another model",
)
REFLECTIONS = Kind(
    "reflections",
    "reflection.jsonl",
    {
        "over_length": "raise engine.context_tokens, or lower reflect.prompt_tokens",
        "cut_off": "raise reflect.max_new_tokens",
        "refused": "see what the server said",
        MUTE_TRIAL: "let the server give logprobs, or have answers begin with the verdict (prompts.stage_b)",
    },
    "set reflect.grammar: true, change the prompt (prompts.reflect), or take another model",
)


class Stop(NamedTuple):
    """Why the loop stopped: after which round, the path to read, the fault and what to do about it."""

    round: int
    rounds_per_epoch: int
    path: Path
    what: str
    todo: str

    @property
    def epoch(self) -> int:
        """The epoch of the round, counted from 1."""
        return (self.round - 1) // self.rounds_per_epoch + 1

    @property
    def whole_epoch(self) -> bool:
        """Whether it stopped at the end of an epoch."""
        return self.round % self.rounds_per_epoch == 0

    @property
    def error(self) -> UserError:
        """The stop as the error that a tool ends with."""
        return mistake(self.what, self.todo, path=self.path)


def answers_of(folder: Path) -> AnswerCount:
    """The candidates of one round: all rows of its trajectories, and those that failed."""
    path, failed = folder / "trajectories.jsonl", folder / "failure_malformed.jsonl"
    if not path.exists() or not failed.exists():
        return AnswerCount()
    with path.open("rb") as file:  # lines are counted, not read: what was written is none of the model's answers
        total = sum(not any(written in line for written in _WRITTEN) for line in file)
    failures = [row for row in read_rows(failed, Malformed, allow_empty=True) if row.candidate_index is not None]
    return AnswerCount(
        total,
        Counter(row.why for row in failures),
        next((row.response_text for row in failures if row.response_text), None),
    )


def reflections_of(folder: Path, of_chance: bool = False) -> AnswerCount:
    """The reflection calls of one round. ``of_chance``: without those on errors put together for what they share.

    These show one thing again and again, so a model that stumbles over it would seem to stumble over everything.
    """
    path = folder / "reflection.jsonl"
    if not path.exists():
        return AnswerCount()
    return count_reflections(row for row in read_rows(path, Reflection) if not (of_chance and row.shared))


def count_reflections(records: Iterable[Reflection]) -> AnswerCount:
    """Reflection calls among records; the life-cycle record of a round is no call. One whose proposals were tried
    without a verdict to read counts as unreadable too.
    """
    calls = [record for record in records if record.is_call]
    unread = [record for record in calls if record.unreadable]
    mute = [
        record
        for record in calls
        if not record.applied and any(reason(rejected.why) == MUTE_TRIAL for rejected in record.rejected)
    ]
    reasons = Counter(reason(record.unreadable or "") for record in unread) + Counter({MUTE_TRIAL: len(mute)})
    return AnswerCount(
        len(calls), reasons, next((record.raw_response for record in unread if record.raw_response), None)
    )


def reason(why: str) -> str:
    """The reason word of a longer explanation: ``not_json: expecting value`` -> ``not_json``."""
    return why.partition(":")[0]


def stop_after(rounds: Path, last: int, rounds_per_epoch: int, limits: LoopSection) -> Stop | None:
    """The first round up to ``last`` after which too much of its epoch so far cannot be read, or None."""
    for number in range(1, last + 1):
        folder, place = round_folder(rounds, number), (number - 1) % rounds_per_epoch
        if place == 0:
            answers, reflections = AnswerCount(), AnswerCount()
        answers.add(answers_of(folder))
        reflections.add(reflections_of(folder, of_chance=True))
        for kind, count in ((ANSWERS, answers), (REFLECTIONS, reflections)):
            if count.exceeds(limits, place == rounds_per_epoch - 1):
                return Stop(
                    number,
                    rounds_per_epoch,
                    folder / kind.file,
                    kind.sentence(number, count, limits.max_unreadable),
                    kind.turn(count),
                )
    return None


def stop_of_run(run_dir: Path) -> Stop | None:
    """The same for a run folder, by the loop's own section file; None where the run has none (yet), or an older one
    without the knob.
    """
    config, tickets = run_dir / "config" / "loop.yaml", run_dir / "stage_a.jsonl"
    if not config.exists() or not tickets.exists() or "max_unreadable" not in (read_yaml(config).get("loop") or {}):
        return None
    cfg = read_section(config, LoopConfig)
    per_epoch = place_of(1, sum(1 for _ in stream_lines(tickets)), cfg.window.tickets).rounds_per_epoch
    return stop_after(run_dir / "rounds", finished_rounds(run_dir / "rounds"), per_epoch, cfg.loop)


def by_reason(reasons: Counter[str]) -> str:
    """``30 no_verdict, 7 third_state``, the most frequent first."""
    return ", ".join(f"{count} {word}" for word, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def printable(text: str) -> str:
    """A raw text as a part of one line: short, with what a terminal would obey or a line would break at spelt out."""
    short = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    short = short.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return "'" + _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", short) + "'"


def unread_in(unread: Sequence[str]) -> str:
    """For a summary line: `` (2 unreadable: 1 cut_off, 1 not_json)`` or nothing."""
    return f" ({len(unread)} unreadable: {by_reason(Counter(map(reason, unread)))})" if unread else ""


def forgiven_in_reflections(records: Iterable[Reflection]) -> str:
    """For a summary line: ``; forgiven in 3 answers: 2 fence, 1 prose`` or nothing."""
    forgiven = [record.forgiven for record in records if record.forgiven]
    counts = sum((Counter(kinds) for kinds in forgiven), Counter())
    return f"; forgiven in {len(forgiven)} answers: {by_reason(counts)}" if forgiven else ""


def reading_of(run_dir: Path, rounds: int) -> dict[str, AnswerCount]:
    """Over all rounds of a run: its answers and its reflections, counted, by the name of what is counted."""
    found = {ANSWERS.name: AnswerCount(), REFLECTIONS.name: AnswerCount()}
    for number in range(1, rounds + 1):
        folder = round_folder(run_dir / "rounds", number)
        found[ANSWERS.name].add(answers_of(folder))
        found[REFLECTIONS.name].add(reflections_of(folder))
    return found
