"""How a tool ends before its time: by a signal, or because the make that asked for it has ended.

``stoppable()`` raises ``Stopped`` in the main thread, so that what clears up (``finally``, ``with``) runs; cli.run says
one sentence and leaves. Whatever the main thread is held up with, a second later a watching thread does the same for
it: files are whole at any moment, so nothing is lost by leaving at once. Threads in the middle of a decode just end.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from verdicts.base import processes

GRACE_S = 1.0
SAY_S = 0.4
LOOK_S = 0.25


class Stopped(BaseException):
    """Told to end. ``number``: the signal; ``why``: in words."""

    def __init__(self, number: int, why: str):
        super().__init__(why)
        self.number, self.why = number, why

    @property
    def status(self) -> int:
        """The exit status of a program that a signal ended."""
        return 128 + self.number


class _State:
    """What this process was told. ``number``: the signal, 0 before; ``make_gone``: the watcher saw make end."""

    number = 0
    raised = False
    make_gone = False
    leaving = threading.Lock()


def _told(number: int, _: object) -> None:
    if not _State.raised:  # a terminal tells all processes, and a parent passes on what it is told
        _State.raised = True
        _State.number = _State.number or number
        raise _stopped()


def _stopped() -> Stopped:
    number = _State.number
    return Stopped(
        number,
        "stopped, since the make that asked for it has ended"
        if _State.make_gone
        else f"stopped by {signal.Signals(number).name}",
    )


def leave(say: Callable[[str], None], stopped: Stopped) -> None:
    """Say why and end this process without waiting for its threads. Any caller but the first waits to be ended."""
    _State.leaving.acquire()
    from verdicts.base.whole_file import remove_unfinished

    remove_unfinished()
    say(f"{tool_name()}: {stopped.why}; the same command goes on where it stopped")
    try:
        sys.stdout.flush()
    finally:
        os._exit(stopped.status)


def tool_name() -> str:
    """The tool as its module is named: ``rollout``."""
    return os.path.basename(sys.argv[0]).removesuffix(".py") or "python"


@contextmanager
def stoppable(say: Callable[[str], None]) -> Iterator[None]:
    """While open: SIGINT, SIGTERM, SIGHUP, and the end of the make above, raise Stopped, which ends the process.

    If that comes to nothing (compiled code, a reader that does not read), the process ends a second later anyway. A
    signal that whoever started us has switched off (nohup, ``make &``) stays off. In other threads than the main one:
    nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = {
        number: signal.signal(number, _told)
        for number in processes.ENDING
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    woken_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader, say), daemon=True, name="watch").start()
    try:
        yield
    except Stopped as stopped:
        leave(say, stopped)
    finally:
        signal.set_wakeup_fd(woken_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)  # ends the watcher


def _watch(reader: int, say: Callable[[str], None]) -> None:
    """Wait for a signal, or for the end of a process above.

    The signal's number comes through the pipe at once, whatever the main thread does.
    """
    root = processes.named_root()
    above, deadline = processes.up_to(root) if root else [], 0.0
    while True:
        if not deadline and any(map(_gone, above)):
            _State.make_gone, _State.number = True, signal.SIGTERM
            deadline = time.monotonic() + GRACE_S
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        wait = max(0.0, deadline - time.monotonic()) if deadline else LOOK_S
        if select.select([reader], [], [], wait)[0]:
            came = os.read(reader, 64)
            if not came:
                os.close(reader)
                return
            told = [number for number in came if number in processes.ENDING]
            if told and not deadline:
                _State.number = _State.number or told[0]
                deadline = time.monotonic() + GRACE_S
        elif deadline:
            threading.Thread(target=leave, args=(say, _stopped()), daemon=True).start()
            time.sleep(SAY_S)
            os._exit(_stopped().status)  # whoever should read what was said does not


def _gone(above: processes.Above) -> bool:
    return not processes.is_alive(*above.process) or (above.is_make and processes.is_ending(above.process.number))
