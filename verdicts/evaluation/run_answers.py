"""P(fail) of a run's held-out tickets under the guidance that it converged on: what a teacher is calibrated by.

Guidance never saw these groups (learn.holdout), so what a threshold does on them says what it does on new tickets.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from verdicts.base.digests import digest_of_path
from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_json
from verdicts.config.tools import CollectConfig, RolloutConfig, read_section
from verdicts.evaluation.operating_point import LabelledChance
from verdicts.records.evaluation import Named
from verdicts.records.guidance import read_guidance
from verdicts.records.review import read_decisions
from verdicts.records.rollout import Selection, Trajectory
from verdicts.records.run import LoopStatus
from verdicts.records.run_folder import stream_file
from verdicts.records.ticket_index import Tickets
from verdicts.review.decisions import for_learning
from verdicts.rounds.holdout import is_held_out
from verdicts.rounds.point import rollout_holder
from verdicts.stage_b.prompts import load_prompts
from verdicts.stage_b.selection import by_model, mean_chance


class RunAnswers(NamedTuple):
    """The held-out tickets, who judged them (the fields of an operating point), and the files read, by content."""

    rows: list[LabelledChance]
    judge: dict[str, object]
    inputs: dict[str, str]


def read_run_answers(run_dir: Path) -> RunAnswers:
    """What a converged run answered about the tickets that it held out, against labels as people corrected them.

    Raises UserError for a run that has not converged, that held nothing out, or that was asked otherwise than its
    configuration asks today.
    """
    cfg = read_section(run_dir / "config" / "rollout.yaml", RolloutConfig)
    learn = read_section(run_dir / "config" / "collect.yaml", CollectConfig).learn
    if read_json(run_dir / "loop.json", LoopStatus).status != "converged":
        raise mistake("the loop has not converged", "let it end first", path=run_dir / "loop.json", field="status")
    rules = read_guidance(run_dir / "guidance.json", cfg.mission.name)
    prompts = load_prompts(cfg.prompts, cfg.mission)
    said = run_dir / "review_decisions.jsonl"
    decisions = read_decisions(said, Tickets(run_dir / "stage_a.jsonl", cfg.mission.name)) if said.exists() else {}
    path = run_dir / "selections.jsonl"
    held_out = [row for _, row in stream_file(path, Selection) if is_held_out(row.group_id, learn)]
    if not held_out:
        todo = "raise learn.holdout before the run begins: guidance may not have seen the tickets that it is judged on"
        raise mistake("no ticket is of a group that was held out", todo, path=path)
    chances = _chances(run_dir / "trajectories.jsonl", {row.ticket_key: row.round for row in held_out})
    if all(chance is None for chance in chances.values()):
        todo = "let the server give logprobs, and make the run anew"
        raise mistake("no answer to a held-out ticket has P(fail)", todo, path=run_dir / "trajectories.jsonl")
    for row in held_out:
        if (row.guidance_step, row.prompt) != (rules.step, prompts.digest("stage_b")):
            what = f"{row.ticket_key!r} was not answered under this guidance and prompt"
            raise mistake(what, "make the run's view again (make converge)", path=path)
    rows = [
        LabelledChance(row.group_id, row.label, chances[row.ticket_key]) for row in for_learning(held_out, decisions)
    ]
    holder = rollout_holder(cfg.mission.name, cfg.engine, prompts.stage_b_system(rules.experiences))
    judge = {
        "mission": holder.mission, "engine": holder.engine, "guidance": holder.guidance,
        "student": Named(folder=cfg.engine.model, sha256=holder.sha256),
    }  # fmt: skip
    files = (run_dir / name for name in ("trajectories.jsonl", "selections.jsonl", "guidance.json", said.name))
    return RunAnswers(rows, judge, {file.name: digest_of_path(file) for file in files if file.exists()})


def _chances(path: Path, rounds: Mapping[str, int]) -> dict[str, float | None]:
    """P(fail) of each of these tickets in its round, by ticket_key; None where no candidate has one."""
    asked: dict[str, list[Trajectory]] = {key: [] for key in rounds}
    for _, row in stream_file(path, Trajectory):
        if rounds.get(row.ticket_key) == row.round and row.format_ok:
            asked[row.ticket_key].append(row)
    return {key: mean_chance(by_model(found)) for key, found in asked.items()}
