"""Text from data made safe for a terminal, a log line and a message: what would steer the terminal is spelt out."""

import re

# C0, DEL and C1 controls; line and paragraph separators; marks that turn or hide text (UAX #9, zero-width, tags); half
# surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def plain(text: str) -> str:
    """The text on one line, each character that a terminal would obey or not show spelt out: ESC becomes ``\\x1b``.

    Safe text stays as it is.
    """
    return _UNSAFE.sub(_spelt, text)


def _spelt(found: re.Match[str]) -> str:
    char = found.group()
    code = ord(char)
    return _SHORT.get(char) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )


def plain_lines(lines: list[str]) -> str:
    """Lines for a terminal, each made plain, so that a line end in data begins no line of its own."""
    return "\n".join(map(plain, lines))
