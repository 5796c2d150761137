"""Tools of one step each; how a tool starts is told in verdicts/command/cli.py."""

import signal
import sys

if (
    sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler
):  # this is `python -m tools.…`
    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # Ctrl-C while a tool still imports ends it without a traceback; cli.run then says a sentence
