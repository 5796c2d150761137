"""The review page: what it holds, as data that its script shows."""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from verdicts.base.split import hash_share
from verdicts.facts.summary import read_summary
from verdicts.pages.renderer import render_page
from verdicts.photos.files import ENDINGS
from verdicts.records.corpus import AuditDecision, AuditRow
from verdicts.records.guidance import MissionGuidance
from verdicts.records.review import ReviewDecision, ReviewTicket
from verdicts.records.synthetic import BANNER, BANNER_ZH
from verdicts.review.audit import is_of
from verdicts.review.highlight import Marker, Piece
from verdicts.stage_b.protocol import cited_rules


class Photos:
    """Photos of a folder by the names that tickets give them, as addresses relative to the page."""

    def __init__(self, folder: Path, page: Path):
        self.folder, self.base = folder.resolve(), page.resolve().parent
        self.by_name: dict[str, list[Path]] = defaultdict(list)
        for root, _, names in os.walk(self.folder):
            for name in sorted(names):
                if Path(name).suffix.lower() in ENDINGS:
                    self.by_name[name].append(Path(root, name))

    def address(self, ticket: ReviewTicket | AuditRow, name: str) -> str | None:
        """The photo's address; None where it is not there.

        ``folder/name``, else the one file of that name (in a folder named after the group, where several have it).
        """
        direct = self.folder / name
        found = self.by_name.get(Path(name).name, [])
        if direct not in found:
            of_group = [path for path in found if path.parent.name == ticket.group_id]
            found = of_group or found
            if len(found) != 1:
                return None
            direct = found[0]
        return quote(Path(os.path.relpath(direct, self.base)).as_posix())


class Audit(NamedTuple):
    """The audit sample of a run, in its order, and what people said of its answers so far."""

    sample: Sequence[AuditRow]
    said: Mapping[str, AuditDecision]


def page_data(
    run: str,
    mission: str,
    tickets: Sequence[ReviewTicket],
    guidance: MissionGuidance,
    said: Mapping[str, ReviewDecision],
    marker: Marker,
    photos: Photos | None,
    audit: Audit | None = None,
) -> dict[str, Any]:
    """All that the page shows, as JSON.

    ``queue`` is a digest of which tickets are queued: decisions in a browser belong to it. ``audit`` is the same of
    the audit sample, None where the run has none: there they belong to the answers too.

    Summaries repeat themselves: a photo's ``facts`` are places in ``pieces``, which holds each piece once.
    """
    rules: dict[str, dict[str, str | int | None]]
    rules = {key: {"text": text, "removed": None} for key, text in guidance.experiences.items()}
    rules |= {key: {"text": rule.text, "removed": rule.round} for key, rule in guidance.removed.items()}
    table: dict[Piece, int] = {}  # filled by _ticket, in the order in which pieces are first met
    shown = [_ticket(ticket, marker, photos, table) for ticket in tickets]
    objects: dict[str, int] = {}
    sampled = [_audited(row, marker, photos, table) for row in audit.sample] if audit else []
    all_tickets: list[ReviewTicket | AuditRow] = [*tickets, *(audit.sample if audit else ())]
    for row, ticket in zip([*shown, *sampled], all_tickets, strict=True):
        row["objects"] = [objects.setdefault(name, len(objects)) for name in _objects(ticket)]
    return {
        "run": run,
        "mission": mission,
        "queue": _digest(ticket.ticket_key for ticket in tickets),
        "audit": {
            "queue": _digest(f"{row.ticket_key} {row.verdict} {row.reason}" for row in audit.sample),
            "said": {row.ticket_key: told for row in audit.sample if (told := _told(audit.said, row))},
            "tickets": sampled,
        }
        if audit and audit.sample
        else None,
        "pictured": photos is not None,
        "rules": rules,
        "required": marker.required,
        "said": {key: _said(decision) for key, decision in said.items()},
        "pieces": [piece._asdict() if piece.kind else piece.text for piece in table],
        "objects": list(objects),
        "tickets": shown,
    }


def _digest(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


def _told(said: Mapping[str, AuditDecision], row: AuditRow) -> list[Any]:
    """What was said of a sampled answer, as the page keeps it; nothing of an answer that stands no more."""
    told = said.get(row.ticket_key)
    if told is None or not is_of(told, row.verdict, row.reason):
        return []
    more = ({"reviewer": told.reviewer} if told.reviewer else {}) | ({"drop": True} if told.drop else {})
    return [told.audit, told.note, *([more] if more else [])]


def _said(decision: ReviewDecision) -> list[Any]:
    """A decision as the page keeps it: the word, the note, and what else it has, if anything."""
    more = {field: text for field in ("reviewer", "corrected_reason") if (text := getattr(decision, field))}
    return [decision.decision, decision.note, *([more] if more else [])]


def _objects(ticket: ReviewTicket | AuditRow) -> list[str]:
    """The objects that a ticket's summaries speak of, each once."""
    facts = (fact for summary in ticket.per_image.values() for fact in read_summary(summary).facts)
    return list(dict.fromkeys(name for fact in facts for name in fact.objects if name))


def _ticket(ticket: ReviewTicket, marker: Marker, photos: Photos | None, table: dict[Piece, int]) -> dict[str, Any]:
    reasons = " ".join([ticket.pred_reason, *(candidate.reason for candidate in ticket.candidates)])
    return {
        "key": ticket.ticket_key,
        "group": ticket.group_id,
        "label": ticket.gt_label,
        "wrote": ticket.fail_reasons,
        "verdict": ticket.pred_verdict,
        "reason": ticket.pred_reason,
        "suspect": ticket.reason_code == "label_suspect",
        "times": ticket.times_queued,
        "round": ticket.last_round,
        "odds": ticket.log_odds_against_label,
        "rules": cited_rules(reasons),
        "candidates": [candidate.model_dump() for candidate in ticket.candidates],
        "photos": _photos(ticket, marker, photos, table),
    }


def _audited(row: AuditRow, marker: Marker, photos: Photos | None, table: dict[Piece, int]) -> dict[str, Any]:
    """A sampled answer. ``drawn``: its place where it is looked at in an order that no figure of it sways."""
    return {
        "key": row.ticket_key,
        "group": row.group_id,
        "label": row.label,
        "wrote": [],
        "verdict": row.verdict,
        "reason": row.reason,
        "votes": row.vote_strength,
        "used": row.used_in,
        "dropped": row.dropped or "",
        "drawn": hash_share(0, f"page:{row.ticket_key}"),
        "rules": cited_rules(row.reason),
        "candidates": [],
        "photos": _photos(row, marker, photos, table),
    }


def _photos(
    ticket: ReviewTicket | AuditRow, marker: Marker, photos: Photos | None, table: dict[Piece, int]
) -> list[dict[str, Any]]:
    return [
        _photo(name, marker.pieces(summary), marker, photos.address(ticket, name) if photos else None, table)
        for name, summary in zip(ticket.images, ticket.per_image.values(), strict=True)
    ]


def _photo(
    name: str, pieces: Sequence[Piece], marker: Marker, src: str | None, table: dict[Piece, int]
) -> dict[str, Any]:
    facts = [table.setdefault(piece, len(table)) for piece in pieces]
    return {"name": name, "facts": facts, "evidence": marker.evidence(pieces)} | ({"src": src} if src else {})


def review_page(data: Mapping[str, Any]) -> str:
    """The page as HTML. A run on drawn tickets says so above everything, in both languages and without a script."""
    banner = Markup(f"{BANNER_ZH} {escape(BANNER)}") if data.get("synthetic") else ""
    return render_page("review", images=True, banner=banner, data=Markup(_json(data))) + "\n"


def _json(data: Mapping[str, Any]) -> str:
    """JSON that no text can end: ``<`` is escaped, so that neither ``</script>`` nor ``<!--`` can stand in it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for char in "<\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
