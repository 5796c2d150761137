"""Check what a user names on make's command line, once, before anything else: one sentence and exit 2, or silence.

    python3 make/names.py --goals 'distill' --given 'RUN STAGE_A' --known 'RUN RUNS …' --targets 'distill sft …' \\
        RUN=exp1 …

Plain Python without packages: it runs before the virtual environment is there. Make quotes each value for the shell;
nothing of them is read as make's or the shell's language afterwards, so names that become parts of make's targets are
held to plain characters, and paths, which only go through the environment, may hold anything but control characters.
"""

import argparse
import difflib
import os
import re
import sys
from pathlib import Path

NAMES = ("RUN", "MODELS", "FUSION", "NAME", "QUANT")  # parts of file names that make handles
PATHS = (
    "STAGE_A",
    "PHOTOS",
    "HELD_OUT",
    "DECISIONS",
    "SECOND",
    "TABLE",
    "DATA",
    "GUIDANCE",
    "CONFIG",
    "FILE",
    "AUDIT",
    "TICKETS",
    "CHECKPOINT",
    "A",
    "B",
)
PLAIN_NAME = re.compile(r"[\w][\w.+@-]*")
PLAIN_FOLDER = re.compile(r"[\w.+@/-]+")
SLUG = re.compile(r"[a-z0-9_]+")
SHARED = {"baseline", "predict", "summarize"}  # goals that take SHARD
SHARD = re.compile(r"prepare|merge|[0-9]+/[0-9]+|(slurm|kubernetes|skypilot|auto)(/[0-9]+)?")
HOST = re.compile(r"[\w.:-]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def near(word, words):
    """``; did you mean X?`` where a known word is near."""
    found = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def problem(goals, given, known, targets, values):
    """The first thing that is wrong, as a sentence; None where nothing is."""
    for name in given:
        if name not in known and near(name, known):
            return f"unknown variable {name}{near(name, known)} (make help lists them)"
    for goal in goals:
        if goal not in targets and not re.search(r"[/.%]", goal):
            return f"unknown target {goal}{near(goal, targets)} (make help lists them)"
    for name, value in values.items():
        wrong = shape(name, value)
        if wrong:
            readable = CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)
            return f"{name}={readable}: {wrong}"
    if values.get("SHARD") and not set(goals) <= SHARED:
        return f"SHARD={values['SHARD']}: only make {', '.join(sorted(SHARED))} have shares; leave it out"
    if "predict" in goals and not values.get("TICKETS"):
        return "make predict: no tickets are named; name them: TICKETS=new.jsonl, or a folder of photos"
    return existing("MISSION", values, Path("configs/missions")) or existing("MODELS", values, Path("configs/models"))


def shape(name, value):
    """What is wrong with the characters of a value; None where nothing is."""
    if CONTROL.search(value):
        return "holds a line end or another control character; name it without"
    if name in ("FUSION", "NAME") and not value:
        return None
    if name in NAMES and not PLAIN_NAME.fullmatch(value):
        return "is no plain name; use letters, digits, and . _ - + @ behind the first (no blank, no slash)"
    if name == "PORT" and not (value.isascii() and value.isdigit() and int(value) < 65536):
        return "is no port; write a number up to 65535, or 0 for any that is free"
    if name == "ENGINE" and value not in ("transformers", "llama"):
        return "is no server that make serve starts; choose transformers or llama"
    if name == "HOST" and not HOST.fullmatch(value):
        return "is no address; write one like 127.0.0.1, or 0.0.0.0 for all of this machine"
    if name == "SHARD" and value and not SHARD.fullmatch(value):
        return "is no share; write prepare, i/N such as 2/7, slurm, kubernetes/N, skypilot, auto, or merge"
    if name == "MISSION" and not SLUG.fullmatch(value):
        return "is no mission slug; use small letters, digits and _"
    if name == "RUNS" and not PLAIN_FOLDER.fullmatch(value):
        return "is no plain folder; use letters, digits, / and . _ - + @ (no blank)"
    return None


def existing(variable, values, folder):
    """Why a named configuration cannot be used; None where it is there."""
    name = values.get(variable, "")
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name in known:
        return None
    hint = near(name, known)[2:].replace("?", "? ")
    return f"unknown {variable} {name!r}; {hint}choose one of {', '.join(known)}, or add {folder}/{name}.yaml"


def main():
    """Check; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for words in ("goals", "given", "known", "targets"):
        parser.add_argument("--" + words, default="")
    parser.add_argument("values", nargs="*", help="NAME=value")
    asked = parser.parse_args()
    values = dict(value.split("=", 1) for value in asked.values)
    found = problem(asked.goals.split(), asked.given.split(), asked.known.split(), asked.targets.split(), values)
    if found:
        print(found, file=sys.stderr)
        return 2
    try:
        print("well", flush=True)
    except BrokenPipeError:  # make was killed meanwhile
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
