"""A server's own words, made fit for messages and files: short, without control characters, without the key."""

import base64
import re
import string
import urllib.parse
from collections.abc import Sequence
from itertools import groupby

MAX_SHOWN = 300  # characters of a server's words that a message or a record keeps
MASK = "***"
_READ = 4000  # characters looked at
_PIECE = 8  # letters and digits in a row, shared with a secret, that give it away
_WHOLE = 8  # a secret as short as a placeholder (EMPTY) stays in what a model says
_PLAIN = frozenset(string.ascii_letters + string.digits)


class ServerWords:
    """Makes a server's words harmless. ``secrets``: what was sent and must not come back (key, passwords)."""

    def __init__(self, secrets: Sequence[str]) -> None:
        forms = [form for secret in secrets if secret for form in _forms(secret)]
        self._exact = sorted(dict.fromkeys(forms), key=len, reverse=True)
        self._whole = [form for secret in secrets if len(secret) >= _WHOLE for form in [secret, *_forms(secret)]]
        self._pieces: dict[int, set[str]] = {}
        for form in map(_squeezed, self._exact):
            size = min(_PIECE, len(form))
            if size:
                self._pieces.setdefault(size, set()).update(form[i : i + size] for i in range(len(form) - size + 1))

    def safe(self, text: str) -> str:
        """``text`` on one line, printable, at most ``MAX_SHOWN`` characters, no secret in it, whole, coded or cut."""
        text = self._masked(" ".join(text[:_READ].split()))
        text = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
        return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"

    def without_secrets(self, text: str) -> str:
        """What a model says, left as it is but for a secret that stands in it as a whole."""
        for form in self._whole:
            text = text.replace(form, MASK)
        return text

    def _masked(self, text: str) -> str:
        for form in self._exact:
            text = re.sub(re.escape(form), MASK, text, flags=re.IGNORECASE)
        places = [i for i, character in enumerate(text) if character in _PLAIN]
        plain = "".join(text[i] for i in places).lower()
        hidden = bytearray(len(text))
        for size, pieces in self._pieces.items():
            for i in range(len(plain) - size + 1):
                if plain[i : i + size] in pieces:
                    start, end = places[i], places[i + size - 1] + 1
                    hidden[start:end] = b"\1" * (end - start)
        runs = groupby(zip(text, hidden, strict=True), key=lambda pair: pair[1])
        return "".join(MASK if hide else "".join(character for character, _ in run) for hide, run in runs)


def _squeezed(text: str) -> str:
    """Letters and digits alone, in lower case: however an echo is split, these come in a row."""
    return "".join(character for character in text if character in _PLAIN).lower()


def _forms(secret: str) -> list[str]:
    """A secret as a server may give it back: plain, in a URL, in hexadecimal, in base64 at each of its three places."""
    raw = secret.encode()
    forms = [secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret), raw.hex()]
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        inner = coded[(before * 8 + 5) // 6 : len(coded) - (1 if (before + len(raw)) % 3 else 0)]
        forms += [inner, inner.replace("+", "-").replace("/", "_")] if len(inner) >= 4 else []
    return forms
