"""The checks of a corpus that look at one row, or at rows beside each other. Each sees every different row once."""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from verdicts.config.sections import FailFirst, LintSection
from verdicts.lint.findings import Findings
from verdicts.lint.reasons import ReasonReader, rules_in
from verdicts.lint.rows import LintRow, Runs
from verdicts.lint.shown import Shown
from verdicts.records.corpus import LintError, LintWarning
from verdicts.records.ticket_index import LABELS
from verdicts.records.tickets import StageA, Verdict
from verdicts.stage_b.protocol import REASON_HEADER

if TYPE_CHECKING:
    from verdicts.student.model import Encoder

# words that say how a ticket was judged; 合格 alone is said of objects
_LABEL = re.compile(
    r"(?:审核|验收|质检|人工)[^，,；;。]{0,4}?(?:通过|合格)|判定?为?(?:通过|合格|不合格)|不通过|未通过|::(?:pass|fail)\b"
    r"|\b(?:label|verdict|ground[ _]?truth|gt)\b\s*[:=：]|(?:真值|标注|答案|结论)\s*[:：]",
    re.IGNORECASE,
)
_RULE_KEYS = re.compile(r"[(（]\s*G\d+(?:[、,，]\s*G\d+)*\s*[)）]")
_NAMELIKE = re.compile(r"(?=.*\d).{6,}")


def prompt_name(system: str) -> str:
    """12 hex digits that name a system message."""
    return hashlib.sha256(system.encode("utf-8", "surrogatepass")).hexdigest()[:12]


class SaidAnswers:
    """What answers say: two lines, no third state, a reason that does not speak against its verdict."""

    def __init__(self, path: Path, lint: LintSection, guard: FailFirst, findings: Findings):
        self._path, self._guard, self._findings = path, guard, findings
        self._reasons = ReasonReader(lint.words, guard)
        self.verdicts: Counter[Verdict] = Counter()

    def see(self, row: LintRow) -> None:
        """Take in a row of Stage B."""
        said, text = row.answer, row.messages[-1].content
        if said.verdict is None or said.reason is None:
            kind: LintError = "third_state" if said.why == "third_state" else "malformed"
            self._findings.add(kind, self._path, row.line, f"{said.why}: {text!r}")
            return
        self.verdicts[said.verdict] += 1
        if why := self._reasons.contradiction(said.verdict, said.reason, rules_in(row.text_of("system"))):
            self._findings.add("contradiction", self._path, row.line, f"{why}: {said.reason}")
        if doubt := next((word for word in self._guard.doubts if word in said.reason), None):
            self._findings.add("doubt", self._path, row.line, f"{doubt}: {said.reason}")


@dataclass
class Telling:
    """A text of prompts that tells the verdict (``word``), and the lines that have it while one verdict does."""

    word: str
    verdict: Verdict | None
    lines: list[int] | None = field(default_factory=list)

    def see(self, row: LintRow) -> None:
        """Take in a row that has it."""
        if self.lines is not None and self.verdict == row.answer.verdict:
            self.lines.append(row.line)
        else:
            self.lines = None


class Leaks:
    """Words in a prompt that give the verdict or the reason away, and names of tickets.

    A text with such a word that stands in rows of both verdicts, or in all rows, tells nothing: a template asks so.
    """

    def __init__(self, path: Path, lint: LintSection, findings: Findings):
        self._path, self._findings, self._min = path, findings, lint.min_leak_chars
        self._rows = 0
        self._seen: dict[str, Telling] = {}

    def see(self, row: LintRow, tickets: list[StageA]) -> None:
        """Take in a row of Stage B and the tickets that it may be of."""
        self._rows += 1
        shown = Shown(row.text_of("user"))
        for text in dict.fromkeys(shown.said()):
            if found := _LABEL.search(text):
                self._seen.setdefault(text, Telling(found[0], row.answer.verdict)).see(row)
        if why := self._reason_in(row, tickets, shown):
            self._findings.add("reason_leak", self._path, row.line, why)
        if _NAMELIKE.fullmatch(row.group) and row.group in row.text_of("system") + row.text_of("user"):
            self._findings.add("ticket_name", self._path, row.line, f"the prompt names the ticket ({row.group})")

    def _reason_in(self, row: LintRow, tickets: list[StageA], shown: Shown) -> str | None:
        said = _RULE_KEYS.sub("", row.answer.reason or "").strip("。 ")
        written = [reason.strip() for ticket in tickets for reason in ticket.fail_reasons]
        for text in shown.free_texts():
            if REASON_HEADER.strip() in text:
                return f"the prompt has a line of an answer: {text}"
            for reason, whose in ((said, "the answer's"), *((each, "a person's") for each in written)):
                if len(reason) >= self._min and reason in text:
                    return f"{whose} reason stands in the prompt: {text}"
        return None

    def end(self) -> None:
        """Find the texts that tell."""
        found = [
            (line, one.word, text)
            for text, one in self._seen.items()
            if one.lines and len(one.lines) < max(self._rows, 2)
            for line in one.lines
        ]
        for line, word, text in sorted(found):
            what = f"the prompt says how the ticket was judged ({word}): {text}"
            self._findings.add("label_leak", self._path, line, what)


class Parity:
    """Whether a row asks, byte for byte, what its run's student is asked of the ticket when it serves."""

    def __init__(self, path: Path, runs: Runs, encoder: "Encoder | None", findings: Findings):
        self._path, self._runs, self._encoder, self._findings = path, runs, encoder, findings
        self.prompts: Counter[str] = Counter()
        self.unknown = 0

    def see(self, row: LintRow) -> list[StageA]:
        """Take in a row of Stage B; returns the tickets that it may be of."""
        system, user = row.text_of("system"), row.text_of("user")
        self.prompts[prompt_name(system)] += 1
        if self._encoder and (why := self._other_ids(row)):
            self._findings.add("prompt_parity", self._path, row.line, why)
        runs = self._runs.of(row.source)
        if not runs:
            self.unknown += 1
            return []
        why, of_group = "", list[StageA]()
        for run in runs:
            tickets = run.tickets_of(row.group)
            of_group += tickets
            same = any(run.user_text(ticket) == user for ticket in tickets)
            if same and run.system == system:
                return tickets
            if tickets and not why:
                asked = prompt_name(run.system)
                why = (
                    f"another system message ({prompt_name(system)}) than predict asks with now ({asked}, {run.folder})"
                    if same
                    else f"another user message than predict asks of {row.group!r} with ({run.folder})"
                )
        why = why or f"no ticket of group {row.group!r} in {', '.join(str(run.folder) for run in runs)}"
        self._findings.add("prompt_parity", self._path, row.line, why)
        return of_group

    def said(self) -> list[str]:
        """What could not be compared."""
        return [f"prompts of {self.unknown} rows: the runs that they come from are not there"] if self.unknown else []

    def _other_ids(self, row: LintRow) -> str | None:
        """Why the ids before the answer are not those that the student is asked with."""
        from verdicts.student.model import Dialogue

        assert self._encoder is not None
        said = Dialogue([message.model_dump() for message in row.messages])
        learnt, asked = self._encoder.encode(said), self._encoder.encode(said, generate=True)
        start = len(asked.ids)
        if learnt.ids[:start] != asked.ids or any(learnt.learn[:start]) or not learnt.learn[start]:
            return "other ids before the answer than the student is asked with: look at its chat template"
        return None


class Twins:
    """Rows beside each other: tickets that show the same, groups that train and validate, the share of verdicts."""

    def __init__(self, path: Path, val: Path, findings: Findings):
        self._path, self._val, self._findings = path, val, findings
        self._prompts: dict[bytes, tuple[int, Verdict | None]] = {}
        self._groups: set[str] = set()

    def see(self, row: LintRow, key: bytes | None) -> None:
        """Take in a row of Stage B. ``key``: what its photos show."""
        self._groups.add(row.group)
        if key is None:
            return
        verdict = row.answer.verdict
        line, first = self._prompts.setdefault(key, (row.line, verdict))
        if line == row.line:
            return
        kind: LintWarning = "near_duplicate" if first == verdict else "two_answers"
        same = f"its photos show the same facts as line {line}"
        what = same if first == verdict else f"{same}, whose verdict is {first}; this one's is {verdict}"
        self._findings.add(kind, self._path, row.line, what)

    def see_val(self, row: LintRow) -> None:
        """Take in a row that only measures."""
        if row.group and row.group in self._groups:
            self._findings.add("split_group", self._val, row.line, f"group {row.group!r} trains and validates")


def class_balance(path: Path, verdicts: Counter[Verdict], lint: LintSection, findings: Findings) -> None:
    """Find a verdict that is too rare among the rows of Stage B."""
    total = verdicts.total()
    rare = min(LABELS, key=lambda verdict: verdicts[verdict])
    if total and verdicts[rare] < lint.min_class_share * total:
        share = f"{verdicts[rare]} of {total} rows say {rare} ({verdicts[rare] / total:.1%})"
        what = f"{share}, less than lint.min_class_share"
        findings.add("class_balance", path, 1, what)
