"""Apply a round's reflection records to the guidance before it. With --start: write the starting guidance.

    python -m tools.apply --config config/guidance.yaml --output rounds/0000/guidance.json --start
    python -m tools.apply --config config/guidance.yaml --output baseline/guidance.json --start --checklist
    python -m tools.apply --config config/guidance.yaml --guidance rounds/0000/guidance.json \
        --reflection rounds/0001/reflection.jsonl --output rounds/0001/guidance.json

    guidance.json (before), reflection.jsonl ──> guidance.json (after)

No model is asked: a reflection.jsonl edited by hand takes effect as it stands.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command.cli import run


def main(
    config: Annotated[Path, typer.Option(help="Section file: mission.")],
    output: Annotated[Path, typer.Option(help="guidance.json to write.")],
    guidance: Annotated[Path | None, typer.Option(help="guidance.json of the round before.")] = None,
    reflection: Annotated[Path | None, typer.Option(help="reflection.jsonl of the round.")] = None,
    start: Annotated[bool, typer.Option("--start", help="Write the guidance a run starts from.")] = False,
    checklist: Annotated[
        bool, typer.Option("--checklist", help="With --start: G0 alone, without the mission's rules.")
    ] = False,
) -> None:
    """Write guidance.json."""
    from verdicts.base.errors import UserError
    from verdicts.base.jsonl import read_numbered
    from verdicts.command.cli import say
    from verdicts.config.tools import GuidanceConfig, read_section
    from verdicts.guidance import replay
    from verdicts.guidance.rules import end_round
    from verdicts.records.guidance import read_guidance, write_guidance
    from verdicts.records.reflection import Reflection

    mission = read_section(config, GuidanceConfig).mission
    if start:
        after = replay.start(mission.model_copy(update={"rules": []}) if checklist else mission)
    elif guidance is None or reflection is None:
        raise UserError("apply needs --guidance and --reflection, or --start; give one or the other")
    else:
        before = after = read_guidance(guidance, mission.name)
        for line, record in read_numbered(reflection, Reflection):
            try:
                after = replay.replay_record(after, record)
            except UserError as error:
                raise UserError(f"{reflection}:{line}: {error}") from None
        after = end_round(before, after)
    write_guidance(output, mission.name, after)
    say(
        f"guidance step {after.step}: {len(after.experiences)} rules in, {len(after.removed)} removed so far", step=True
    )


if __name__ == "__main__":
    run(main, result="apply", writes="output")
