"""Feed mutated files to every reader and to the tools, and count what they do with them.

    python -m tools.chaos_inputs --count 20000 --seed 1 [--output docs/inputs.md]

In:  tests/support/chaos_samples.py, which builds a small run and every other kind of file that tools read.
Out: a table on stdout (Markdown): read, refused in one sentence, tracebacks, hangs, files overwritten in spite of it.
     Exits with 1 where one of the last three is not 0; each such input is kept in --keep.

A hang is more than 2 s of processor time in one reader, so that a busy machine is not blamed. Each worker is forked.
"""

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from verdicts.command import cli

HANG_S = 2.0
ROOT = Path(__file__).resolve().parents[1]
BAD = ("traceback", "hang", "overwritten")
COLUMNS = ("inputs", "read", "refused", *BAD)


class Hang(BaseException):
    """A reader took too long."""


def main(
    count: Annotated[int, typer.Option(min=1, help="Mutated inputs, over all kinds of file.")] = 20000,
    seed: Annotated[int, typer.Option(help="Seed of the mutations.")] = 1,
    tools_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the inputs that go through a tool's command too.")
    ] = 0.1,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    output: Annotated[Path | None, typer.Option(help="Write the table here as well.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Folder for inputs that did harm.")] = None,
) -> None:
    """Feed mutated files to every reader and count what happens."""
    found, harm = run_all(count, seed, tools_share, workers, keep)
    lines = table(found)
    print("\n".join(lines))
    if output:
        from verdicts.base.jsonl import write_text

        write_text(output, "\n".join(lines) + "\n")
    for what in harm[:20]:
        cli.complain(what)
    total = Counter()
    for counts in found.values():
        total += counts
    cli.say(
        f"chaos_inputs: {total['inputs']} inputs = {total['read']} read + {total['refused']} refused + "
        f"{sum(total[bad] for bad in BAD)} with harm done; seed {seed}"
    )
    if any(total[bad] for bad in BAD):
        raise typer.Exit(1)


def run_all(
    count: int, seed: int, tools_share: float, workers: int, keep: Path | None
) -> tuple[dict[str, Counter], list[str]]:
    """Counts by kind of file, and a line for each input that did harm."""
    context = multiprocessing.get_context("fork")
    keep = keep.resolve() if keep else None
    with context.Pool(workers) as pool:
        shares = [
            (seed * 1000 + number, count // workers + (number < count % workers), tools_share, keep)
            for number in range(workers)
        ]
        results = pool.starmap(play, shares, chunksize=1)
    found: dict[str, Counter] = {}
    for counts, _ in results:
        for kind, one in counts.items():
            found.setdefault(kind, Counter()).update(one)
    return found, [line for _, lines in results for line in lines]


def play(seed: int, count: int, tools_share: float, keep: Path | None) -> tuple[dict[str, Counter], list[str]]:
    """One worker's share."""
    sys.path.insert(0, str(ROOT))
    from tests.support.chaos_samples import Samples
    from verdicts.measure.mutations import mutate

    os.fsync = lambda _: None  # a test of readers, not of the disk
    os.environ["QUIET"] = "1"
    rng = random.Random(seed)
    signal.signal(signal.SIGPROF, _hang)
    found: dict[str, Counter] = {}
    harm: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        samples = Samples(Path(temporary))
        kinds = samples.kinds()
        good = snapshot(Path(temporary))
        for number in range(count):
            kind = kinds[number % len(kinds)]
            shown = str(kind.path.relative_to(temporary))
            counts = found.setdefault(name_of(shown), Counter())
            name, data = mutate(good[kind.path], kind.path.suffix, rng)
            by_tool = kind.tools and rng.random() < tools_share
            for way in [kind.read, *([rng.choice(kind.tools)] if by_tool else [])]:
                kind.path.write_bytes(data)
                what, said = outcome(way, samples if way is not kind.read else kind.path)
                if way is not kind.read or kind.path.name.endswith((".part.jsonl",)):
                    what = what if way is kind.read or not overwritten(good, kind.path, what) else "overwritten"
                    restore(good)
                counts["inputs"] += 1
                counts[what] += 1
                if what in BAD:
                    harm.append(f"{what}: {shown}: {name}: {getattr(way, '__name__', way)}: {said}")
                    if keep:
                        keep.mkdir(parents=True, exist_ok=True)
                        (keep / f"{seed}-{number}-{what}-{kind.path.name}").write_bytes(data)
            kind.path.write_bytes(good[kind.path])
        os.chdir("/")
    return found, harm


def name_of(shown: str) -> str:
    """A kind's name: rounds by their pattern, the run's own folder left out."""
    return shown.replace("runs/one/bbu_line/", "RUN/").replace("rounds/0002", "rounds/NNNN")


def outcome(way: Any, given: Any) -> tuple[str, str]:
    """What a reader or a tool did: (a word of COLUMNS, the last line it said)."""
    from verdicts.base.errors import UserError

    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    try:
        done = way(given)
    except UserError as error:
        return ("refused", str(error)) if "\n" not in str(error) else ("traceback", f"several lines: {error}")
    except Hang:
        return "hang", ""
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is counted
        place = traceback.extract_tb(error.__traceback__)[-1]
        own = next(
            (
                frame
                for frame in reversed(traceback.extract_tb(error.__traceback__))
                if Path(frame.filename).is_relative_to(ROOT) and "/.venv/" not in frame.filename
            ),
            place,
        )
        return "traceback", f"{type(error).__name__}: {str(error)[:150]} ({Path(own.filename).name}:{own.lineno})"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if hasattr(done, "err") and done.code:
        whole = done.code in (1, 2) and "Traceback" not in done.err and "\x1b" not in done.err + done.out
        return ("refused" if whole else "traceback"), done.err[-200:]
    return "read", ""


def _hang(*_: object) -> None:
    raise Hang


def snapshot(folder: Path) -> dict[Path, bytes]:
    """Every file with its bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def overwritten(good: dict[Path, bytes], mutated: Path, what: str) -> bool:
    """Whether a tool that refused its input changed a file that was there."""
    return what != "read" and any(
        not path.is_file() or path.read_bytes() != data for path, data in good.items() if path != mutated
    )


def restore(good: dict[Path, bytes]) -> None:
    """Bring all files back, and remove new ones."""
    folder = Path.cwd()
    for path in [path for path in folder.rglob("*") if path.is_file() and path not in good]:
        path.unlink()
    for path, data in good.items():
        if not path.is_file() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def table(found: dict[str, Counter]) -> list[str]:
    """The counts as Markdown, a kind of file a row, and all of them together."""
    total: Counter = Counter()
    for counts in found.values():
        total.update(counts)
    rows = [(f"`{kind}`", counts) for kind, counts in sorted(found.items())] + [("all", total)]
    head = f"| file | {' | '.join(COLUMNS)} |"
    return [
        head,
        "|---|" + "---:|" * len(COLUMNS),
        *(f"| {name} | {' | '.join(str(counts[column]) for column in COLUMNS)} |" for name, counts in rows),
    ]


if __name__ == "__main__":
    cli.run(main)
