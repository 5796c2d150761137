"""Test what a model does on changed held-out tickets: what must not move its verdict, and what must.

    python -m tools.behaviour --config RUN/config/behaviour.yaml --tickets held_out/bbu_line.stage_a.jsonl \\
        --guidance RUN/guidance.json --student checkpoints/demo/merged --output PAIR/behaviour-after/behaviour.json
    python -m tools.behaviour … --teacher --output PAIR/behaviour-teacher/behaviour.json

In:  held-out tickets (labels are not read), the run's guidance; the student in that folder, the configured one without
     it, or with --teacher the run's engine.
Out: behaviour.json: failures by kind with 95 % Wilson intervals; behaviour.failures.jsonl beside it, each
     changed ticket that the model failed on.

The model alone is asked, without the guard of the vote. Kinds and what counts as a failure: docs/behaviour.md.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from verdicts.config.engine import EngineConfig
    from verdicts.config.tools import BehaviourConfig
    from verdicts.records.evaluation import Behaviour


def main(
    config: Annotated[Path, typer.Option(help="Section file config/behaviour.yaml.")],
    tickets: Annotated[Path, typer.Option(help="Held-out Stage-A tickets (JSONL).")],
    guidance: Annotated[Path, typer.Option(help="The run's guidance.json.")],
    output: Annotated[Path, typer.Option(help="behaviour.json to write.")],
    student: Annotated[Path | None, typer.Option(help="Checkpoint folder; the configured student without it.")] = None,
    teacher: Annotated[bool, typer.Option("--teacher", help="Ask the run's engine instead of a student.")] = False,
) -> None:
    """Test what a model does on changed held-out tickets."""
    from verdicts.base.jsonl import write_json, write_rows
    from verdicts.behaviour.changes import ChangedUnder
    from verdicts.behaviour.testing import ask_all, count_failures, plan_changes
    from verdicts.config.tools import BehaviourConfig, read_section
    from verdicts.engines import open_engine
    from verdicts.evaluation.question_files import text_digest
    from verdicts.evaluation.questions import sample_groups
    from verdicts.intake.given import say_entrance
    from verdicts.intake.names import Door
    from verdicts.intake.reader import read_tolerantly
    from verdicts.records.evaluation import Behaviour, Named
    from verdicts.records.guidance import read_guidance
    from verdicts.stage_b.prompts import load_prompts, rule_number

    cfg = read_section(config, BehaviourConfig)
    prompts, rules = load_prompts(cfg.prompts, cfg.mission), read_guidance(guidance, cfg.mission.name)
    given = read_tolerantly(tickets, Door.of(cfg.mission, cfg.tickets))
    say_entrance(given.entrance, tickets)
    chosen = sample_groups(given.tickets, cfg.behaviour.tickets, cfg.behaviour.seed, "behaviour.tickets")
    texts = [rules.experiences[key] for key in sorted(rules.experiences, key=rule_number)]
    scene = ChangedUnder(cfg.behaviour, cfg.fail_first, texts, cfg.lint.words.waived)
    plan = plan_changes(chosen, scene)
    told = cfg.engine if teacher else student_engine(cfg, student)
    engine = open_engine(told)
    system = prompts.stage_b_system(rules.experiences)
    before, after = ask_all(engine, prompts, system, chosen, plan)
    named = Named(folder=told.model, sha256=engine.fingerprint.get("sha256", ""))
    engine.close()
    kinds, failures = count_failures(plan, chosen, before, after, cfg.behaviour.tolerance)
    found = Behaviour(
        asked=named, mission=cfg.mission.name, guidance_step=rules.step, guidance=text_digest(system),
        questions=text_digest("\n".join(prompts.stage_b_user(ticket.per_image) for ticket in chosen)),
        tickets=len(chosen), settings=cfg.behaviour.model_dump(), kinds=kinds,
    )  # fmt: skip
    write_rows(output.with_suffix(".failures.jsonl"), failures)
    write_json(output, found)
    for line in table(found):
        cli.say(line)
    changed = sum(kind.failed.n for kind in kinds.values())
    cli.say(
        f"behaviour of {named.folder}: {len(failures)} failures on {changed} changed tickets of {len(chosen)}; {output}"
    )


def student_engine(cfg: "BehaviourConfig", student: Path | None) -> "EngineConfig":
    """The engine that asks a student: one forward pass a prompt."""
    from verdicts.config.engine import TransformersConfig
    from verdicts.student.model import check_folder

    folder = student or Path(cfg.student.model)
    check_folder(folder, weights=True)
    return TransformersConfig(kind="transformers", model=folder.as_posix(), context_tokens=8192, chunk=64)


def table(found: "Behaviour") -> list[str]:
    """A line a kind: its failures, and how many tickets it does not fit."""
    width = max(map(len, found.kinds))
    lines = []
    for name, kind in found.kinds.items():
        why = ", ".join(f"{count} {word}" for word, count in kind.left_out.items())
        lines.append(
            f"behaviour: {name:<{width}}  {kind.test:<10}  {kind.failed}" + (f"; left out: {why}" if why else "")
        )
    return lines


if __name__ == "__main__":
    cli.run(main, result="behaviour", engine="torch", writes="output")
