"""What came of a file of new tickets, in figures and in a sentence; the counts add up."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from verdicts.models.fingerprint import checkpoint_hash
from verdicts.prediction.photos import NewPhotos
from verdicts.prediction.source import NewTickets
from verdicts.records.predictions import Prediction, PredictionsAsked
from verdicts.stage_b.protocol import WORD

if TYPE_CHECKING:
    from verdicts.prediction.student import VerdictStudent


class PredictionCounts:
    """Counts of predictions as they are written."""

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.without: Counter[str] = Counter()
        self.decided_by: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()

    def take(self, row: Prediction) -> None:
        """Count one."""
        self.missing.update(photo.reason for photo in row.missing)
        if row.verdict is None:
            self.without[str(row.why)] += 1
        else:
            self.verdicts[row.verdict] += 1
            self.decided_by[str(row.decided_by)] += 1


def asked_of(student: "VerdictStudent", source: NewTickets | NewPhotos, tally: PredictionCounts) -> PredictionsAsked:
    """The record beside the predictions."""
    cfg = student.cfg
    return PredictionsAsked.model_validate(
        {
            "student": student.folder.as_posix(),
            "sha256": checkpoint_hash(student.folder),
            "mission": cfg.mission.name,
            "guidance_step": student.guidance_step,
            "prompts": {kind: student.prompts.digest(kind) for kind in ("stage_b", "summary")},
            "threshold": cfg.predict.threshold,
            "target": student.point.target if student.point else None,
            "rows": source.rows,
            "verdicts": _sorted(tally.verdicts),
            "without": _sorted(tally.without),
            "refused": _sorted(source.refused),
            "decided_by": _sorted(tally.decided_by),
            "missing": _sorted(tally.missing),
            "labels_unread": source.labels_unread,
        }
    )


def _sorted(counts: Mapping[Any, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def warning(asked: PredictionsAsked) -> str:
    """What has to be said loudly: tickets that got no verdict; "" where each has one."""
    if not asked.without:
        return ""
    return f"predict: WARNING: {_counted(asked.without)} of {asked.rows} tickets have NO verdict: a person has to look"


def count_sentence(asked: PredictionsAsked) -> str:
    """The counts: rows in = verdicts + without + refused."""
    judged = sum(asked.verdicts.values())
    parts = [
        f"{asked.rows} in = {judged} verdicts ({asked.verdicts.get('pass', 0)} pass, {asked.verdicts.get('fail', 0)} "
        f"fail) + {sum(asked.without.values())} without + {sum(asked.refused.values())} refused"
    ]
    if turned := {by: n for by, n in asked.decided_by.items() if by != "model"}:
        parts.append(f"overridden: {_named(turned)}")
    if asked.threshold is not None:
        kept = "" if asked.target is None else f", FRR at most {asked.target:g}"
        parts.append(f"fail from P(fail) {asked.threshold:g}{kept}")
    if asked.missing:
        parts.append(f"photos missing: {_counted(asked.missing)}")
    if asked.labels_unread:
        parts.append(f"labels not read: {asked.labels_unread}")
    return f"predict {asked.student}: {'; '.join(parts)}"


def verdict_sentence(row: Prediction) -> str:
    """One prediction in a line."""
    if row.verdict is None:
        return f"predict {row.group_id}: no verdict ({row.why}): {row.detail}"
    sure = "" if row.p_fail is None else f", P(fail) {row.p_fail:.3f}"
    return f"predict {row.group_id}: {WORD[row.verdict]} by {row.decided_by}{sure}: {row.reason}"


def _named(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} by {name}" for name, count in counts.items())


def _counted(counts: Mapping[Any, int]) -> str:
    return f"{sum(counts.values())} ({', '.join(f'{count} {name}' for name, count in counts.items())})"
