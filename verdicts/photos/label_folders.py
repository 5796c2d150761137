"""Which folder holds the photos of which label, whatever an archive, a keyboard or another script made of its name.

    审核通过 | 审核不通过     what the folders are called
    審核通過, 通过, pass …    other words for the same, in any case and width, blanks around them left out
    瀹℃牳閫氳繃, σ«íµá╕Θ…     the same read in a wrong encoding, as an archive without its UTF-8 mark is unpacked

A name that could mean either label means none.
"""

import unicodedata
from functools import lru_cache
from urllib.parse import unquote

from verdicts.records.tickets import Verdict

LABEL_FOLDERS: dict[Verdict, str] = {"pass": "审核通过", "fail": "审核不通过"}
_WORDS: dict[Verdict, tuple[str, ...]] = {
    "pass": ("审核通过", "審核通過", "通过", "通過", "pass", "passed"),
    "fail": (
        "审核不通过",
        "審核不通過",
        "审核未通过",
        "審核未通過",
        "不通过",
        "不通過",
        "未通过",
        "未通過",
        "fail",
        "failed",
    ),
}
_WRITTEN = ("utf-8", "gb18030", "big5")
_READ = (
    "cp437", "cp850", "cp936", "gb18030", "big5", "latin-1", "cp1252", "cp1251", "cp866", "shift_jis", "euc_kr",
    "mac_roman",
)  # fmt: skip


def label_of(name: str) -> Verdict | None:
    """The label that a folder's name means, None where it means none.

    Bytes that are no UTF-8 come as surrogates, as from ``os.listdir``.
    """
    return _meanings().get(_plain(name))


def _plain(name: str) -> str:
    """A name without what does not count.

    Width, case, blanks around it, %E5 and #U5ba1 for characters, raw bytes of another encoding.
    """
    raw = name.encode("utf-8", "surrogateescape")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        name = next((text for encoding in ("gb18030", "big5") if (text := _decoded(raw, encoding)) in _known()), name)
    if "%" in name:
        name = unquote(name)
    if "#U" in name:
        head, *rest = name.split("#U")
        name = head + "".join(chr(int(part[:4], 16)) + part[4:] if _is_hex(part[:4]) else f"#U{part}" for part in rest)
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _is_hex(digits: str) -> bool:
    return len(digits) == 4 and all(digit in "0123456789abcdefABCDEF" for digit in digits)


def _decoded(raw: bytes, encoding: str) -> str:
    return raw.decode(encoding, "replace")


def _known() -> set[str]:
    return {word for words in _WORDS.values() for word in words}


@lru_cache(maxsize=1)
def _meanings() -> dict[str, Verdict]:
    """The label of every form of every word; a form of words of both labels is left out."""
    found: dict[str, set[Verdict]] = {}
    for label, words in _WORDS.items():
        for word in words:
            for form in _forms(word):
                found.setdefault(unicodedata.normalize("NFKC", form).strip().casefold(), set()).add(label)
    return {form: labels.pop() for form, labels in found.items() if len(labels) == 1}


def _forms(word: str) -> set[str]:
    """A word and what wrong encodings make of it; characters lost on the way are U+FFFD, "?", "_" or left out."""
    forms = {word}
    for written in _WRITTEN if not word.isascii() else ():
        raw = word.encode(written, "ignore")
        if raw.decode(written) != word:
            continue  # an encoding that lacks one of its characters: no archive was written in it
        for text in (raw.decode(read, "replace") for read in _READ):
            # what is left must be long enough to mean something: two lost characters could be any two
            if sum(char.isalpha() or not char.isascii() for char in text.replace("\ufffd", "")) >= 3:
                forms |= {text, *(text.replace("\ufffd", lost) for lost in ("?", "_", ""))}
    return forms
