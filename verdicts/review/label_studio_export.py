"""Decisions out of a Label Studio export, JSON or JSON-MIN: each annotator's, and a count of what is none.

JSON has a task an item with all its annotations; JSON-MIN an annotation an item. Either names who annotated by a
number, or by e-mail, in an export made with ``annotations__completed_by: {only_id: false}``.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from verdicts.base.errors import mistake
from verdicts.base.jsonl import validate
from verdicts.records.review import ReviewDecision
from verdicts.review.label_studio_tasks import SHOWN
from verdicts.review.spreadsheet import decision_of

CONTROLS = ("decision", "corrected_reason", "note")  # names of the form's controls
SHOWN_EXAMPLES = 3  # examples in a sentence
NUMBERED = "annotator "  # before the number of one whose e-mail an export has not
_SHOWN = {text: word for word, text in SHOWN.items()}


class Annotation(NamedTuple):
    """One annotation. ``who``: e-mail, or the annotator's number; ``at``: when it was last changed, and its number."""

    task: Any
    key: Any
    who: str
    at: tuple[str, int]
    skipped: bool
    said: dict[str, list[str]]


class Exported(NamedTuple):
    """``by_reviewer``: decisions by annotator, then ticket. ``counted``: all that the export holds, in words."""

    by_reviewer: dict[str, dict[str, ReviewDecision]]
    counted: list[str]


def is_export(value: Any) -> bool:
    """Whether a JSON value is an export of Label Studio's."""
    return isinstance(value, list) and all(isinstance(item, dict) and (_full(item) or _min(item)) for item in value)


def _full(item: dict[str, Any]) -> bool:
    return isinstance(item.get("data"), dict) and isinstance(item.get("annotations"), list)


def _min(item: dict[str, Any]) -> bool:
    return {"annotator", "annotation_id", "id"} <= item.keys()


def read_export(path: Path, items: list[Any], known: Container[str]) -> Exported:
    """The decisions of an export (``is_export``). Raises UserError for a reason that no decision may have.

    Skipped tasks, drafts, tickets that are not ``known``, unknown words: left out and counted.
    """
    found: Counter[str] = Counter()
    examples: dict[str, dict[str, None]] = defaultdict(dict)
    last: dict[tuple[str, str], Annotation] = {}
    for annotation in _annotations(items, found):
        bin_, example = _bin(annotation, known)
        if not bin_:
            before = last.get((annotation.who, annotation.key))
            if before is None or annotation.at > before.at:
                last[annotation.who, annotation.key] = annotation
            bin_ = "" if before is None else "of one who decided the ticket again later"
        found[bin_ or "decisions"] += 1
        examples[bin_] |= dict.fromkeys([example] if example else [])
        examples["answers to controls that are not ours"] |= dict.fromkeys(annotation.said.keys() - {*CONTROLS})
    by_reviewer: dict[str, dict[str, ReviewDecision]] = defaultdict(dict)
    for (who, key), annotation in last.items():
        by_reviewer[who][key] = _decision(path, annotation)
    return Exported(dict(sorted(by_reviewer.items())), _counted(items, found, examples, by_reviewer))


def _annotations(items: list[Any], found: Counter[str]) -> Iterator[Annotation]:
    """All annotations. Counts tasks that nobody annotated, and drafts."""
    for item in items:
        rows = item["annotations"] if _full(item) else [item] if item["annotation_id"] is not None else []
        found["task"] += not rows
        drafts = item.get("drafts")
        found["draft"] += len(drafts) if isinstance(drafts, list) else 0
        for row in map(_object, rows):
            yield _of_full(item, row) if _full(item) else _of_min(row)


def _of_full(task: dict[str, Any], row: dict[str, Any]) -> Annotation:
    said: dict[str, list[str]] = defaultdict(list)
    parts = row.get("result")
    for part in map(_object, parts if isinstance(parts, list) else []):
        said[str(part.get("from_name"))] += _texts(part.get("value"))
    key = task["data"].get("ticket_key")
    return Annotation(
        task.get("id"), key, _who(row.get("completed_by")), _at(row), bool(row.get("was_cancelled")), said
    )


def _of_min(row: dict[str, Any]) -> Annotation:
    said = {name: _texts(row.get(name)) for name in CONTROLS}
    at = _at(row | {"id": row["annotation_id"]})
    return Annotation(row["id"], row.get("ticket_key"), _who(row["annotator"]), at, False, said)


def _texts(value: Any) -> list[str]:
    """A control's value as texts: one, a list, or either inside ``{"choices": …}`` or ``{"text": …}``."""
    if isinstance(value, dict):
        value = value.get("choices", value.get("text"))
    return [str(text) for text in (value if isinstance(value, list) else [value]) if text not in (None, "")]


def _object(value: Any) -> dict[str, Any]:
    """The value, or nothing where it is no object: such an annotation counts as one without a choice."""
    return value if isinstance(value, dict) else {}


def _who(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("email") or value.get("id")
    return value if isinstance(value, str) else f"{NUMBERED}{value}"


def _at(row: dict[str, Any]) -> tuple[str, int]:
    number = row.get("id")
    return str(row.get("updated_at")), number if isinstance(number, int) else 0


def _bin(annotation: Annotation, known: Container[str]) -> tuple[str, str]:
    """Why an annotation is no decision ("" where it is one), and what to name of it."""
    if not isinstance(annotation.key, str) or annotation.key not in known:
        example = repr(annotation.key) if annotation.key else f"task {annotation.task}"
        return "of tickets that this run has not", example
    if annotation.skipped:
        return "skipped", ""
    words = annotation.said.get("decision", [])
    if not words:
        return "without a choice", ""
    if len(words) > 1 or _word(words[0]) is None:
        return "with an unknown choice", " + ".join(map(repr, words))
    return "", ""


def _word(text: str) -> str | None:
    return _SHOWN.get(text) or decision_of(text)


def _decision(path: Path, annotation: Annotation) -> ReviewDecision:
    reasons = annotation.said.get("corrected_reason", [])
    if len(reasons) > 1:
        raise mistake(
            f"has {len(reasons)} reasons to teach", "keep one, export again", path=path, field=f"task {annotation.task}"
        )
    said = {
        "ticket_key": annotation.key,
        "decision": _word(annotation.said["decision"][0]),
        "note": "\n".join(annotation.said.get("note", [])),
        "reviewer": annotation.who,
        "corrected_reason": "".join(reasons).strip(),
    }
    return validate(said, ReviewDecision, Path(f"{path}: task {annotation.task}"))


def _counted(
    items: list[Any], found: Counter[str], examples: dict[str, dict[str, None]], reviewers: Iterable[str]
) -> list[str]:
    """The count of all annotations; then, where there are any, what was left out by name."""
    bins = {name: n for name, n in found.items() if name not in ("task", "draft", "decisions") and n}
    total = found["decisions"] + sum(bins.values())
    rest = "".join(f" + {n} {name}" for name, n in sorted(bins.items()))
    beside = [f"{found[name]} {name}s {what}" for name, what in
              (("task", "nobody annotated"), ("draft", "nobody submitted")) if found[name]]  # fmt: skip
    tasks = len({repr(item.get("id")) for item in items})
    lines = [
        f"{total} annotations of {tasks} tasks = {found['decisions']} decisions{rest}"
        + "".join(f"; {b}" for b in beside)
    ]
    if any(who.startswith(NUMBERED) for who in reviewers):
        lines.append("names annotators by number; docs/review.md (In Label Studio) says how an export has e-mails")
    for name, named in sorted(examples.items()):
        if named:
            more = f" and {len(named) - SHOWN_EXAMPLES} more" if len(named) > SHOWN_EXAMPLES else ""
            lines.append(f"left out, {name}: {', '.join(list(named)[:SHOWN_EXAMPLES])}{more}")
    return lines
