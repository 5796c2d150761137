"""How one answer is read and scored, by its task and by the form of the wanted answer.

An answer in another form than the wanted one finds nothing, and is counted as such. A prefix line decides nothing.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, get_args

from verdicts.evaluation.questions import Question
from verdicts.facts.dense import read_dense_answer
from verdicts.facts.prefix import split_prefix
from verdicts.facts.summary import read_summary
from verdicts.records.corpus import Task
from verdicts.records.evaluation import AnswerNote, Overlap
from verdicts.records.tickets import Verdict
from verdicts.stage_b.protocol import parse
from verdicts.student.coordinates import has_coordinates
from verdicts.student.json_scores import is_json, score_json
from verdicts.student.object_scores import score_objects
from verdicts.student.photo_scores import F1, attribute_f1, dense_f1, parse_dense, summary_matches


class Found(NamedTuple):
    """The fields of a ScoredAnswer that its text decides."""

    format_ok: bool
    right: bool
    verdict: Verdict | None = None
    overlap: Overlap | None = None
    form: Literal["json", "objects"] | None = None
    parts: Mapping[str, Overlap] = {}
    notes: Mapping[AnswerNote, int] = {}


def score_chat(question: Question, text: str, whole: bool) -> Found:
    """A Stage-B answer: of one that was cut off nothing counts, as in a rollout."""
    verdict = parse(text).verdict if whole else None
    return Found(verdict is not None, verdict == question.label, verdict)


def score_summary(question: Question, text: str, _: bool) -> Found:
    """A photo's summary."""
    (line, given), (wanted_line, wanted) = split_prefix(text), split_prefix(question.expected or "")
    forms = {read_summary(given).form, read_summary(wanted).form}
    other = forms == {"text", "json"}
    notes = _notes(other_form=other, other_prefix=line != wanted_line and "irrelevant" not in forms)
    plain = not has_coordinates(given)
    if read_summary(wanted).form != "json":
        overlap = attribute_f1(given, wanted)
        overlap = F1(0, *overlap[1:]) if other else overlap
        return Found(plain, summary_matches(given, wanted), overlap=_recorded(overlap), notes=notes)
    found = score_json(given, wanted)
    parts = _all_recorded({"statistics": found.statistics, "remarks": found.remarks})
    return Found(plain and is_json(given), found.right, form="json", parts=parts, notes=notes)


def score_dense(question: Question, text: str, _: bool) -> Found:
    """A photo's dense captions."""
    expected = question.expected or ""
    answer, wanted = read_dense_answer(text), read_dense_answer(expected)
    forms = {one.form for one in (answer, wanted) if one}
    other = forms == {"list", "objects"}
    notes = _notes(
        other_form=other,
        other_prefix="irrelevant" not in forms and split_prefix(text)[0] != split_prefix(expected)[0],
        broken_entries=answer.broken if answer else 0,
    )
    if wanted is None or wanted.form == "list" or (wanted.form == "irrelevant" and "list" in forms):
        found = parse_dense(text)
        overlap = dense_f1(found, parse_dense(expected) or [])
        right = found is not None and overlap.hits == overlap.given == overlap.wanted
        return Found(found is not None, right, overlap=_recorded(overlap), notes=notes)
    readable = answer is not None and not other
    scores = score_objects(answer.objects if answer and readable else (), wanted.objects)
    same = all(one.hits == one.given == one.wanted for one in scores.parts.values())
    right = readable and same and "broken_entries" not in notes
    notes |= _notes(mended_outlines=scores.mended)
    return Found(readable, right, form="objects", parts=_all_recorded(scores.parts), notes=notes)


SCORERS: dict[Task, Callable[[Question, str, bool], Found]] = {
    "chat": score_chat,
    "summary": score_summary,
    "dense": score_dense,
}


def _notes(**counts: int) -> dict[AnswerNote, int]:
    return {note: int(counts[note]) for note in get_args(AnswerNote) if counts.get(note)}


def _recorded(found: F1) -> Overlap:
    return Overlap(**found._asdict())


def _all_recorded(parts: Mapping[str, F1]) -> dict[str, Overlap]:
    return {name: _recorded(found) for name, found in parts.items() if found.given + found.wanted}
