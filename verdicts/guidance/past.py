"""What a round of learning knows of the rounds before it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from verdicts.guidance.credit import Birth, births
from verdicts.records.guidance import MissionGuidance
from verdicts.records.reflection import Reflection
from verdicts.records.review import ReviewDecision
from verdicts.records.rollout import Selection
from verdicts.records.run_folder import round_folder, stream_file
from verdicts.records.tickets import StageA
from verdicts.review.decisions import for_learning


class Past(NamedTuple):
    """The past of a round.

    ``selections``: those of the last ``windows`` rounds, the latest first, which proposals are tried on too.
    ``lives``: life-cycle records by round, over an epoch's worth of rounds. ``born``: what the rules in force were
    learnt from. ``records``: all reflection records that were read, oldest first.
    """

    selections: Sequence[Selection] = ()
    windows: int = 0
    lives: Mapping[int, Reflection] = MappingProxyType({})
    born: Mapping[str, Birth] = MappingProxyType({})
    records: Sequence[Reflection] = ()

    @classmethod
    def of(cls, selections: Sequence[Sequence[Selection]], reflections: Mapping[int, Sequence[Reflection]]) -> "Past":
        """From selections of the rounds to try on, the latest first, and reflection records by round, oldest first."""
        lives = {number: records[0] for number, records in reflections.items()}
        records = tuple(record for of_round in reflections.values() for record in of_round)
        played = [selection for rows in selections for selection in rows]
        return cls(played, len(selections), lives, births(records), records)


def read_past(
    rounds: Path,
    round_number: int,
    guidance: MissionGuidance,
    trial_rounds: int,
    per_epoch: int,
    tickets: Mapping[str, StageA],
    said: Mapping[str, ReviewDecision],
) -> Past:
    """Read the past of a round: selections of ``trial_rounds`` - 1 rounds, labels as people corrected them, and
    reflection records of the last epoch and of the rounds that accepted a rule in force. A ticket that is gone since is
    left out.
    """
    tried_on = range(round_number - 1, max(0, round_number - trial_rounds), -1)
    selections = [
        for_learning(
            (
                row
                for _, row in stream_file(round_folder(rounds, number) / "selections.jsonl", Selection)
                if row.ticket_key in tickets
            ),
            said,
        )
        for number in tried_on
    ]
    wanted = set(range(max(1, round_number - per_epoch), round_number)) | {
        meta.created_round for meta in guidance.metadata.values() if 0 < meta.created_round < round_number
    }
    reflections = {
        number: [row for _, row in stream_file(round_folder(rounds, number) / "reflection.jsonl", Reflection)]
        for number in sorted(wanted)
    }
    return Past.of(selections, reflections)
