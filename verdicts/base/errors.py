"""Errors that are the user's to mend: one sentence that says where, what and what to do."""

from pathlib import Path

from verdicts.base.plain import plain


class UserError(Exception):
    """A mistake in an input, a config or a call. Tools print it as one line and exit with 2."""


def mistake(
    what: str, todo: str, *, path: Path | str | None = None, line: int | None = None, field: str | None = None
) -> UserError:
    """Build the error ``path:line: field: what; todo`` (absent parts are left out).

    The parts come from data, so the whole sentence is made plain.
    """
    place = "" if path is None else f"{path}:{line}: " if line is not None else f"{path}: "
    return UserError(plain(f"{place}{f'{field}: ' if field else ''}{what}; {todo}"))


def stands_twice(
    name: str, first: int, *, path: Path, line: int, field: str, todo: str = "keep one of the two"
) -> UserError:
    """The error for a row of which another stands on line ``first``. ``name``: what the two have in common."""
    return mistake(f"{name} stands on line {first} already", todo, path=path, line=line, field=field)
