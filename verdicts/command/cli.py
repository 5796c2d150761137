"""How every tool starts and what it says: Typer without its decorations, user errors as one line with exit status 2."""

import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import typer

from verdicts.base.errors import UserError
from verdicts.base.plain import plain
from verdicts.base.progress import tokens_so_far
from verdicts.base.whole_file import refusal
from verdicts.command.colour import Tone, painted
from verdicts.command.stopping import Stopped, leave, stoppable

QUIET = "--quiet"
QUIET_HELP = "Every tool takes --quiet (or QUIET=1): no progress, no summary; errors are shown and the log is written."


def run(
    main: Callable[..., None], *, engine: str = "", writes: str | Callable[..., Path] = "", result: str = ""
) -> None:
    """Run ``main`` as a command line.

    A ``UserError``, or a disk that refuses, ends as one stderr line and exit 2; a signal as one line and its own
    status; any other error shows its traceback.

    ``engine``: the compiled code that ``main`` loads ("llama.cpp", "torch"): it runs in a child process, whose death is
    explained. ``writes``: the option that says what one command at a time may write into, or a function of all options.
    ``result``: the name of a tool that makes results. They get a note of what they were made from
    (verdicts/base/made.py); asked again with the same words and the same files, the tool keeps them.
    """
    # a launch of several processes looks after its own
    if engine and hasattr(os, "fork") and os.environ.get("WORLD_SIZE", "1") == "1":
        from verdicts.command.supervising import supervise

        supervise(engine, complain)
    if result:
        main = _noted(main, result)
    if writes:
        from verdicts.command import lock

        main = lock.writes(main, writes)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(epilog=QUIET_HELP)(main)
    if QUIET in sys.argv:
        sys.argv.remove(QUIET)
        os.environ["QUIET"] = "1"
    stderr, sys.stderr = sys.stderr, Patient(sys.stderr)
    try:
        with stoppable(complain):
            _finish(app)
    except UserError as error:
        complain(str(error))
        sys.exit(2)
    except Stopped as stopped:  # in the last moment
        leave(complain, stopped)
    finally:
        sys.stderr = stderr


def _finish(app: Callable[[], None]) -> None:
    """Run to the last byte of stdout. Raises UserError where the disk refuses, wherever that happened."""
    try:
        try:
            app()
        finally:
            _flush_stdout()
    except BrokenPipeError:  # `make show | head`: whoever read has enough
        _drop_stdout()
        sys.exit(1)
    except Exception as error:
        said = refusal(error)
        if said is None:
            raise
        _drop_stdout()
        raise said from None


def _flush_stdout() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop_stdout()
        raise refusal(error, "standard output") or error from None


def _drop_stdout() -> None:
    """What stdout still holds goes nowhere, or Python would complain of it once more at its end."""
    if sys.stdout is sys.__stdout__ and sys.stdout:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Patient:
    """Stderr whose terminal may have closed: no reason to end hours of work, for the run's log holds the same words."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or do without."""
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Flush, or do without."""
        try:
            self._stream.flush()
        except OSError:
            return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def without_shard(words: list[str]) -> tuple[list[str], str]:
    """The words of a command without ``--shard``, and what that named: a merge makes what one that did it all makes."""
    share = ""
    kept = []
    for at, word in enumerate(words):
        if word.startswith("--shard="):
            share = word.partition("=")[2]
        elif at and words[at - 1] == "--shard":
            share = word
        elif word != "--shard":
            kept.append(word)
    return kept, share


def _noted(main: Callable[..., None], tool: str) -> Callable[..., None]:
    """``main``, which leaves a note beside its results, and keeps those that stand."""

    @functools.wraps(main)
    def noted(*args: Any, **kwargs: Any) -> None:
        from verdicts.base import made

        words, share = without_shard([word for word in sys.argv[1:] if word != QUIET])
        if share:
            from verdicts.command.shards import is_merge  # heavy, and most calls have no share

            if not is_merge(share):  # its own first line says what it was made from
                main(*args, **kwargs)
                return
        note = made.Note(tool, words)
        if not os.environ.get("MADE_ANEW") and note.stands():
            note.touch()
            say(f"{tool}: kept {note.folder}: made from the same inputs")
            return
        seen = made.watch()
        began = time.monotonic()
        try:
            main(*args, **kwargs)
        except typer.Exit:
            note.write(seen)
            raise
        finally:
            count = tokens_so_far()
            took = f"{time.monotonic() - began:.1f} s"
            _log(f"took {tool}: {took}, {count.read} tokens read, {count.written} written")
        note.write(seen)

    return noted


def say(sentence: str, state: Tone | str = "", *, step: bool = False) -> None:
    """Print one line of result to stderr, unless QUIET is set, and to the run's log.

    What a terminal would obey is spelt out; a run of drawn tickets says so first. ``state``: its colour on a terminal.
    ``step``: a step of a round. While make plays rounds (ROUND_LINES) a terminal shows a line a round alone.
    """
    if os.environ.get("SYNTHETIC") and "SYNTHETIC" not in sentence:
        sentence = f"[synthetic] {sentence}"
    sentence = plain(sentence)
    hidden = os.environ.get("QUIET") or (step and os.environ.get("ROUND_LINES") and sys.stderr.isatty())
    if not hidden:
        print(painted(sentence, state, sys.stderr), file=sys.stderr, flush=True)
    _log(sentence)


def complain(sentence: str, state: Tone = "stop") -> None:
    """Print what is wrong to stderr, QUIET or not, and to the run's log; what a terminal would obey is spelt out."""
    sentence = plain(sentence)
    print(painted(sentence, state, sys.stderr), file=sys.stderr, flush=True)
    _log(sentence)


def _log(sentence: str) -> None:
    """Add a line to the file that RUN_LOG names, where its folder exists."""
    path = os.environ.get("RUN_LOG", "")
    if os.path.isdir(os.path.dirname(path)):  # a misspelt MISSION makes no folder
        import datetime

        try:
            with open(path, "a", encoding="utf-8") as log:
                log.write(f"{datetime.datetime.now().isoformat(timespec='seconds')} {sentence}\n")
        except OSError:
            return  # the sentence was said; a full disk has just been named, or will be when an artifact is written
