"""How every tool starts and what it says: Typer without its decorations, user errors as one line with exit status 2."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from tools.core.errors import UserError

QUIET = "--quiet"
QUIET_HELP = "Every tool takes --quiet (or QUIET=1): no progress, no summary; errors are shown and the log is written."


def run(main: Callable[..., None], *, result: str = "") -> None:
    """Run ``main`` as a command line. A ``UserError`` ends as one stderr line and exit 2; any other error shows its traceback.

    ``result``: the name of a tool that makes results. They get a note of what they were made from (tools/core/made.py);
    asked again with the same words and the same files, the tool keeps them.
    """
    main = _noted(main, result) if result else main
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(epilog=QUIET_HELP)(main)
    if QUIET in sys.argv:
        sys.argv.remove(QUIET)
        os.environ["QUIET"] = "1"
    try:
        app()
    except UserError as error:
        complain(str(error))
        sys.exit(2)


def _noted(main: Callable[..., None], tool: str) -> Callable[..., None]:
    """``main``, which leaves a note beside its results, and keeps those that stand."""

    @functools.wraps(main)
    def noted(*args: Any, **kwargs: Any) -> None:
        from tools.core import made

        note = made.Note(tool, [word for word in sys.argv[1:] if word != QUIET])
        if not os.environ.get("MADE_ANEW") and note.stands():
            note.touch()
            say(f"{tool}: kept {note.folder}: made from the same inputs")
            return
        seen = made.watch()
        try:
            main(*args, **kwargs)
        except typer.Exit:
            note.write(seen)
            raise
        note.write(seen)

    return noted


def say(sentence: str) -> None:
    """Print one line of result to stderr, unless QUIET is set, and to the run's log. A run of drawn tickets says so first."""
    if os.environ.get("SYNTHETIC") and "SYNTHETIC" not in sentence:
        sentence = f"[synthetic] {sentence}"
    if not os.environ.get("QUIET"):
        print(sentence, file=sys.stderr, flush=True)
    _log(sentence)


def complain(sentence: str) -> None:
    """Print what is wrong to stderr, QUIET or not, and to the run's log."""
    print(sentence, file=sys.stderr, flush=True)
    _log(sentence)


def _log(sentence: str) -> None:
    """Add a line to the file that RUN_LOG names, where its folder exists."""
    path = os.environ.get("RUN_LOG", "")
    if os.path.isdir(os.path.dirname(path)):  # a misspelt MISSION makes no folder
        import datetime

        with open(path, "a", encoding="utf-8") as log:
            log.write(f"{datetime.datetime.now().isoformat(timespec='seconds')} {sentence}\n")
