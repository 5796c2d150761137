"""The two-line protocol of Stage B: reading, writing and cleaning its text.

A model answers in exactly two lines, ``Verdict: 通过|不通过`` and ``Reason: …``. The words 通过 and
不通过 live in model text alone; records say ``pass`` and ``fail``. Source: docs/design.md §4.
"""

import re
from typing import Literal, NamedTuple

_Verdict = Literal["pass", "fail"]  # as in records, which this module does without to load fast
WORD = {"pass": "通过", "fail": "不通过"}
VERDICT_OF: dict[str, _Verdict] = {"通过": "pass", "不通过": "fail"}
HEADER = "Verdict: "
REASON_HEADER = "Reason: "

# A third state in an output makes it malformed: the protocol knows two verdicts only.
THIRD_STATE = (
    "需复核",
    "需要复核",
    "需人工复核",
    "待复核",
    "need-review",
    "need review",
    "need_review",
    "待定",
    "证据不足",
    "通过但需复核",
    "无法判定",
)

# Markers that inputs may carry. The marker goes, the remark stays.
_MARKER = re.compile(
    r"(?:通过但)?(?:需要?(?:人工)?|待)复核(?:[,，、:：/]?\s*(备注)[:：,，]*)*|need[-_ ]review[:：]?", re.IGNORECASE
)
_RULE_KEY = re.compile(r"(?<![A-Za-z0-9])G(\d+)(?![0-9])")
_END_OF_THINKING = "</think>"
_LOOKS_LIKE_AN_ANSWER = re.compile(r"[\s`~*_\ufeff]*(?:json\s*)?[*_`]*(?:verdict|[\[{])", re.IGNORECASE)

# What normalise() forgives: form, never words. Keys are the kinds that a rollout counts.
FORGIVEN_FORMS = {
    "thinking": "everything up to a </think> before the answer",
    "invisible": "a byte order mark or zero-width characters around the answer or in a header",
    "line_ends": "CR or CRLF for a line end",
    "outer_blanks": "blank lines around the answer, blanks around a line",
    "fence": "a code fence around the two lines",
    "bold": "*, _ or ` around a header, the verdict word or a whole line",
    "full_width": "full-width letters, colon and blanks in a header",
    "header": "case of Verdict and Reason; a blank missing or too many beside their colons",
    "full_stop": "a full stop behind the verdict word",
    "traditional": "通過 for 通过",
}
# a character for a character: places in the narrow text are places in the text
_NARROW: dict[int, int | str] = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " "}
_SIMPLE = str.maketrans("過複覆覈證據無", "过复复核证据无")
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\x00"
_MARK = "[*_`]*"
_BLANK = rf"[\s{_INVISIBLE}]*"
_ANY = rf"[\s*_`{_INVISIBLE}]*"
_VERDICT_LINE = re.compile(rf"{_ANY}verdict{_ANY}:{_ANY}(不?通[过過]){_ANY}(?:([.。｡]){_ANY})?", re.IGNORECASE)
_REASON_HEADER = re.compile(rf"{_BLANK}({_MARK}){_BLANK}reason{_BLANK}({_MARK}){_BLANK}:{_BLANK}", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[。！？；!?;]|(?<!\d)\.(?=\s|$)")


class Parsed(NamedTuple):
    """One answer read. ``why`` is None exactly when both other fields are set."""

    verdict: _Verdict | None
    reason: str | None
    why: str | None


class Normal(NamedTuple):
    """An answer in normal form, and the kinds of ``FORGIVEN_FORMS`` that it took."""

    text: str
    forgiven: list[str]


def third_state_word(text: str) -> str | None:
    """Return the first third-state word in ``text``, or None. Full-width and traditional writing is the same word."""
    lowered = text.translate(_NARROW).translate(_SIMPLE).lower()
    return next((word for word in THIRD_STATE if word in lowered), None)


def strip_thinking(text: str) -> str:
    """Drop what was thought before the answer: all up to a ``</think>``, whether or not a ``<think>`` opens it.

    The last ``</think>`` that an answer follows counts. One inside or behind an answer is text of the answer.
    """
    ends = [found.end() for found in re.finditer(_END_OF_THINKING, text)]
    for end in reversed(ends):
        if _LOOKS_LIKE_AN_ANSWER.match(text, end):
            return text[end:].lstrip()
    if ends and not _LOOKS_LIKE_AN_ANSWER.match(text):
        return text[ends[-1] :].lstrip()
    return text


def normalise(text: str) -> Normal:
    """Bring an answer into the form that ``parse`` wants, as far as only its form is wrong (``FORGIVEN_FORMS`` lists
    the kinds).

    Words are never guessed: another word for pass or fail, a third state, a further line, or a blank line between the
    two stay as they are, and ``parse`` refuses them. The reason's own text is kept to the letter. Normal text stays as
    it is.
    """
    text = text.rstrip()
    kinds: list[str] = []

    def change(kind: str, after: str) -> str:
        kinds.extend([kind] if after != text else [])
        return after

    text = change("line_ends", text.replace("\r\n", "\n").replace("\r", "\n"))
    if parse(text).why:
        text = change("thinking", strip_thinking(text))
    text = change("invisible", text.strip(_INVISIBLE))
    text = change("outer_blanks", text.strip())
    text = change("fence", _unfenced(text))
    lines = text.split("\n")
    lines[0] = _verdict_line(lines[0], kinds)
    lines[1:2] = [_reason_line(line, kinds) for line in lines[1:2]]
    return Normal("\n".join(lines), list(dict.fromkeys(kinds)))


def _unfenced(text: str) -> str:
    """The text inside a code fence that holds all of it."""
    lines = text.split("\n")
    mark = lines[0][:3]
    if len(lines) < 3 or mark not in ("```", "~~~") or lines[-1].strip() != mark or " " in lines[0].strip():
        return text
    return "\n".join(lines[1:-1]).strip()


def _verdict_line(line: str, kinds: list[str]) -> str:
    """A verdict line in its one form; any other line as it is."""
    narrow = line.translate(_NARROW)
    found = _VERDICT_LINE.fullmatch(narrow)
    if not found:
        return line
    word = found[1].translate(_SIMPLE)
    around = narrow[: found.start(1)] + narrow[found.end(1) :].replace(found[2] or "", "", 1).rstrip()
    kinds += ["full_width"] if narrow != line else []
    kinds += ["full_stop"] if found[2] else []
    kinds += ["traditional"] if word != found[1] else []
    kinds += ["outer_blanks"] if line != line.rstrip() else []
    kinds += _oddities(around, HEADER)
    return HEADER + word


def _reason_line(line: str, kinds: list[str]) -> str:
    """A reason line with its header in its one form; any other line as it is."""
    narrow = line.translate(_NARROW)
    found = _REASON_HEADER.match(narrow)
    if not found:
        return line
    head, reason = narrow[: found.end()], line[found.end() :].rstrip()
    opened = "" if found[2] else found[1]  # bold that ends behind the colon, or with the line
    if opened and reason.startswith(opened):
        reason, head = reason.removeprefix(opened), head + " " * (not head.endswith(" "))
    elif opened and reason.endswith(opened):
        reason = reason.removesuffix(opened)
    reason = reason.strip() if reason.strip("*_` ") else ""
    if len(reason) > 4 and reason[:2] in ("**", "__") and reason.endswith(reason[:2]) and reason.count(reason[:2]) == 2:
        reason, head = reason[2:-2], f"**{head}"
    kinds += ["full_width"] if line[: found.end()] != narrow[: found.end()] else []
    kinds += _oddities(head if reason else f"{head.rstrip()} ", REASON_HEADER)
    return REASON_HEADER + reason


def _oddities(written: str, header: str) -> list[str]:
    """The kinds in which a header as it was written differs from its one form, width aside."""
    seen = re.sub(f"[{_INVISIBLE}]", "", written)
    plain = re.sub("[*_`]", "", seen)
    kinds = ["invisible"] if seen != written else []
    kinds += ["bold"] if plain != seen else []
    return kinds + (["header"] if plain != header else [])


def begun_verdict(text: str) -> _Verdict | None:
    """The verdict of an answer that may have been cut behind its first line, or None: for a trial, which wants no
    reason.
    """
    normal = normalise(text).text
    word = normal.partition("\n")[0].removeprefix(HEADER) if normal.startswith(HEADER) else ""
    return None if third_state_word(normal) else VERDICT_OF.get(word)


def cut_reason(reason: str) -> str:
    """The part of a cut-off reason that ends a sentence, else a clause; all of it where it has neither."""
    ends = [found.end() for found in _SENTENCE_END.finditer(reason)]
    if ends:
        return reason[: ends[-1]].strip()
    clause, comma, _ = reason.rpartition("，")
    return clause.strip() if comma and clause.strip() else reason.strip()


def parse(text: str) -> Parsed:
    """Read one answer strictly; ``normalise`` comes before it where a form is to be forgiven.

    Returns a verdict and reason, or the reason word why the answer is malformed: ``empty``, ``no_verdict``,
    ``no_reason``, ``extra_lines``, ``third_state``. Trailing line ends are forgiven, nothing else is.
    """
    lines = text.rstrip("\r\n").split("\n")
    if not text.strip():
        return Parsed(None, None, "empty")
    word = lines[0].removeprefix(HEADER) if lines[0].startswith(HEADER) else None
    if third_state_word(text):
        return Parsed(None, None, "third_state")
    if word not in VERDICT_OF:
        return Parsed(None, None, "no_verdict")
    if len(lines) < 2 or not lines[1].startswith(REASON_HEADER) or not lines[1].removeprefix(REASON_HEADER).strip():
        return Parsed(None, None, "no_reason")
    if len(lines) > 2 or "\r" in text.rstrip("\r\n"):
        return Parsed(None, None, "extra_lines")
    return Parsed(VERDICT_OF[word], lines[1].removeprefix(REASON_HEADER).strip(), None)


def render(verdict: str, reason: str) -> str:
    """Write the two lines for a verdict (``pass`` or ``fail``) and a one-line reason."""
    return f"{HEADER}{WORD[verdict]}\n{REASON_HEADER}{reason}"


def clean_summary(text: str) -> str:
    """Return a photo summary fit for a prompt: one line, third-state markers gone, their remarks kept.

    ``BBU设备/需复核备注:无法判断品牌×1`` becomes ``BBU设备/备注:无法判断品牌×1``.
    """
    text = " ".join(text.split())
    return _MARKER.sub(lambda found: "备注:" if found.group(1) else "", text)


def cited_rules(reason: str) -> list[str]:
    """Return the rule keys a reason cites (``G0``, ``G3`` …), each once, in order of first mention."""
    return list(dict.fromkeys(f"G{number}" for number in _RULE_KEY.findall(reason)))
