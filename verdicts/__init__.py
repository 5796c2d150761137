"""Tickets of photos to verdicts: the package under the commands of tools/. docs/design.md maps its rooms.

``from verdicts import Student`` is verdicts.prediction.student.VerdictStudent (docs/predict.md). It is imported when it
is asked for, so that importing the package loads nothing.
"""

from typing import Any

__all__ = ["Student"]


def __getattr__(name: str) -> Any:
    if name != "Student":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from verdicts.prediction.student import VerdictStudent

    return VerdictStudent
