"""Colour for people who look at a terminal. Files, pipes and the run's log never hold any.

A sentence has the colour of its state, and its words say the same without it. NO_COLOR (https://no-color.org) and
TERM=dumb are obeyed.
"""

import os
from collections.abc import Mapping
from typing import Literal, TextIO

# good, wait, stop: what a verdict says, as Advice.tone (verdicts/runs/standing.py). A warning waits; an error stops.
Tone = Literal["", "good", "wait", "stop"]
CODES = {"good": "32", "wait": "33", "stop": "31"}  # ECMA-48, select graphic rendition: green, yellow, red


def shows_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal whose user wants colour."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in (None, "", "dumb")


def painted(text: str, state: Tone | str, stream: TextIO) -> str:
    """Text that is plain already, in the colour of its state where the stream shows colour."""
    return f"\x1b[{CODES[state]}m{text}\x1b[0m" if state in CODES and shows_colour(stream) else text


def painted_lines(text: str, states: Mapping[str, Tone | str], stream: TextIO) -> str:
    """The same for lines of a text: ``states`` holds how a line begins, blanks aside, and its state."""

    def state(line: str) -> Tone | str:
        return next((state for begin, state in states.items() if line.lstrip().startswith(begin)), "")

    return "\n".join(painted(line, state(line), stream) for line in text.split("\n"))
