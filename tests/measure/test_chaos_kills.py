"""The short form of `python -m tools.chaos_kills`: kills, interrupts and restarts of tools that write, compared byte
for byte.
"""

import subprocess
import sys

from tests.support.small_tools import ROOT, environment


def test_tools_killed_at_random_moments_write_what_undisturbed_ones_write(tmp_path):
    command = [
        sys.executable,
        "-m",
        "tools.chaos_kills",
        "--kills",
        "8",
        "--seed",
        "5",
        "--only",
        "prepare,fuse,review_apply",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    every = done.stdout.splitlines()[-1].split()
    assert every[0] == "all" and int(every[1]) >= 8 and every[-3:] == ["0", "0", "0"]
    assert "0 things wrong" in done.stderr
