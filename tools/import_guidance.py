"""Take a guidance.json of another team, or of another run, as the starting rules of a mission.

    make import-guidance GUIDANCE=their.json MISSION=bbu_line
    python -m tools.import_guidance --guidance their.json --models miniature --mission bbu_line \\
        --output data/bbu_line/guidance.yaml

In:  the file; the configuration (names of the mission, its own checklist).
Out: a YAML to lay over the configuration (CONFIG=), with what was taken and left out as comments. A file that is there
     and says something else is not overwritten.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command.cli import run


def main(
    guidance: Annotated[Path, typer.Option(help="Their guidance.json.")],
    models: Annotated[str, typer.Option(help="Model set: configs/models/<name>.yaml.")],
    mission: Annotated[str, typer.Option(help="Mission slug: configs/missions/<slug>.yaml.")],
    output: Annotated[Path, typer.Option(help="YAML to write.")],
) -> None:
    """Write the starting rules as a YAML."""
    from verdicts.base.errors import UserError, mistake
    from verdicts.base.jsonl import write_text
    from verdicts.base.text_files import read_text
    from verdicts.command.cli import say
    from verdicts.config.load import load
    from verdicts.intake.names import Door
    from verdicts.intake.their_guidance import read_their_guidance

    if guidance == Path():
        raise UserError("no guidance is named; name it: GUIDANCE=their.json")
    config = load(models, mission)
    found = read_their_guidance(guidance, Door.of_config(config), config.mission.g0)
    use = f"make distill MISSION={mission} CONFIG={output}"
    text = found.overlay([f"Starting rules of {mission}, from {guidance.name} (make import-guidance).", f"  {use}"])
    if output.exists() and read_text(output) != text:
        raise mistake("is there already, and says something else", "move it away first", path=output)
    write_text(output, text)
    for line in found.said:
        say(f"import_guidance: {line}")
    say(f"import_guidance: {len(found.rules)} rules to start from in {output}; next: {use}")


if __name__ == "__main__":
    run(main)
