"""How every tool starts: Typer without its decorations, user errors as one line with exit status 2."""

import os
import sys
from collections.abc import Callable

import typer

from tools.core.errors import UserError


def run(main: Callable[..., None]) -> None:
    """Run ``main`` as a command line. A ``UserError`` ends as one stderr line and exit 2; any other error shows its traceback."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app()
    except UserError as error:
        say(str(error))
        sys.exit(2)


def say(sentence: str) -> None:
    """Print one line of progress or result to stderr, and to the run's log file where RUN_LOG names one in a folder that exists."""
    print(sentence, file=sys.stderr, flush=True)
    path = os.environ.get("RUN_LOG", "")
    if os.path.isdir(os.path.dirname(path)):  # a misspelt MISSION makes no folder
        import datetime

        with open(path, "a", encoding="utf-8") as log:
            log.write(f"{datetime.datetime.now().isoformat(timespec='seconds')} {sentence}\n")
