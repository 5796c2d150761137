"""How every tool starts and what it says: Typer without its decorations, user errors as one line with exit status 2."""

import os
import sys
from collections.abc import Callable

import typer

from tools.core.errors import UserError
from tools.core.plain import plain

QUIET = "--quiet"
QUIET_HELP = "Every tool takes --quiet (or QUIET=1): no progress, no summary; errors are shown and the log is written."


def run(main: Callable[..., None]) -> None:
    """Run ``main`` as a command line. A ``UserError`` ends as one stderr line and exit 2; any other error shows its traceback."""
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


def say(sentence: str) -> None:
    """Print one line of result to stderr, unless QUIET is set, and to the run's log; what a terminal would obey is spelt out."""
    sentence = plain(sentence)
    if not os.environ.get("QUIET"):
        print(sentence, file=sys.stderr, flush=True)
    _log(sentence)


def complain(sentence: str) -> None:
    """Print what is wrong to stderr, QUIET or not, and to the run's log; what a terminal would obey is spelt out."""
    sentence = plain(sentence)
    print(sentence, file=sys.stderr, flush=True)
    _log(sentence)


def _log(sentence: str) -> None:
    """Add a line to the file that RUN_LOG names, where its folder exists."""
    path = os.environ.get("RUN_LOG", "")
    if os.path.isdir(os.path.dirname(path)):  # a misspelt MISSION makes no folder
        import datetime

        with open(path, "a", encoding="utf-8") as log:
            log.write(f"{datetime.datetime.now().isoformat(timespec='seconds')} {sentence}\n")
