"""A tool with an engine runs in a child process, so that somebody is left to say why where the engine dies.

Compiled code ends a process without a word: a processor that lacks an instruction, a model file cut while it is mapped,
the system that takes back memory. The parent imports nothing, passes signals on, waits, and says what happened.
"""

import os
import signal
import sys
from collections.abc import Callable

from verdicts.base import processes
from verdicts.command.stopping import tool_name

PR_SET_PDEATHSIG = 1  # linux/prctl.h
REBUILDS = {"llama.cpp": "`CMAKE_ARGS=-DGGML_NATIVE=OFF make setup`", "torch": "`make setup-student`"}
GOES_ON = "the same command goes on where it stopped"


def supervise(engine: str, complain: Callable[[str], None]) -> None:
    """Go on in a child process; this call returns there alone. ``engine``: what may die, a key of REBUILDS."""
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, processes.ENDING)
    child = os.fork()
    if not child:
        die_with(parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, processes.ENDING)
        return
    for number in processes.ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: _pass_on(child, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, processes.ENDING)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status >= 0:
        os._exit(status)
    complain(f"{tool_name()}: {sentence(engine, signal.Signals(-status))}")
    os._exit(2)


def sentence(engine: str, died_of: signal.Signals) -> str:
    """Why a child ended, and what helps."""
    if died_of is signal.SIGKILL:
        what = "killed (SIGKILL), by hand or because memory ran out"
        return f"{what}; make memory free (engine.slots, engine.context_tokens, batches), and {GOES_ON}"
    if died_of in processes.ENDING:
        return f"stopped by {died_of.name}; {GOES_ON}"
    died = f"{engine} died ({died_of.name})"
    if died_of is signal.SIGBUS:
        what = "the model file changed while it was read, or its disk fails"
        return f"{died}: {what}; put the whole file there again, and {GOES_ON}"
    what = "this build does not fit this processor, or the model file is damaged or changed while it was read"
    return f"{died}: {what}; run {REBUILDS[engine]}, and check the file"


def _pass_on(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except ProcessLookupError:
        return  # it has just ended


def die_with(parent: int) -> None:
    """Have the system kill this process where its parent is killed (Linux; elsewhere the watcher sees make end)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(128 + signal.SIGKILL)
