"""Say before a run whether this machine will do for its models, and which knob to turn where not.

    python -m tools.doctor --models qwen3 --mission bbu_line

In:  the configuration (configs/, CONFIG), the models' headers, and the machine: nvidia-smi, memory, disk, packages.
Out: a line for each need on stdout. Writes nothing, loads no weight. Exit status 1 where something will not do.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verdicts.capacity.findings import Finding

TONES = {"ok ": "good", "warn": "wait", "no ": "stop"}


def main(
    models: Annotated[str, typer.Option(help="Model set: configs/models/<name>.yaml.")],
    mission: Annotated[str, typer.Option(help="Mission slug: configs/missions/<slug>.yaml.")],
    overlay: Annotated[Path | None, typer.Option(help="One more YAML laid over the configuration.")] = None,
    folder: Annotated[Path, typer.Option(help="A folder on the disk that results go to.")] = Path("."),
) -> None:
    """Say whether GPU, driver, memory, disk and packages will do for a run."""
    from verdicts.base.plain import plain_lines
    from verdicts.capacity.findings import findings
    from verdicts.capacity.machine import look_at_machine
    from verdicts.command.colour import painted_lines
    from verdicts.config.load import load

    found = findings(load(models, mission, overlay), look_at_machine(folder))
    print(painted_lines(plain_lines(table(found)), TONES, sys.stdout))
    states = [finding.state for finding in found]
    bad, doubtful = states.count("no"), states.count("warn")
    verdict = f"{bad} of {len(found)} will not do" if bad else f"all {len(found)} will do"
    cli.say(
        f"doctor: {models}, {mission}: {verdict}" + (f", {doubtful} with a warning" if doubtful else ""),
        "stop" if bad else "wait" if doubtful else "good",
    )
    raise typer.Exit(1 if bad else 0)


def table(found: "Sequence[Finding]") -> list[str]:
    """State and subject, then what is needed, what is here and the knob, each on a line that says what it is."""
    lines = []
    for finding in found:
        lines.append(f"{finding.state:<4} {finding.what}: {finding.needed}; here: {finding.here}")
        lines += [f"       do: {finding.knob}"] if finding.knob else []
    return lines


if __name__ == "__main__":
    cli.run(main, engine="llama.cpp")
