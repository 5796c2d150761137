"""Tiny hand-made runs for tests: records with sensible values, a run folder on disk, tools called as from a shell."""

import contextlib
import importlib
import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import yaml

from miniature.world.dataset import draw_tickets, sample_world, stage_a_rows
from verdicts.base.jsonl import write_json, write_rows, write_text
from verdicts.base.text_files import read_text
from verdicts.command import cli
from verdicts.config.sections import FailFirst
from verdicts.corpus.distill import Validation
from verdicts.records.guidance import MissionGuidance, RuleMeta, write_guidance
from verdicts.records.reflection import Reflection
from verdicts.records.rollout import Malformed, Trajectory
from verdicts.records.run import LoopStatus
from verdicts.records.run_folder import round_folder
from verdicts.records.tickets import StageA
from verdicts.review.unsupported import review_entries
from verdicts.stage_b.protocol import render
from verdicts.stage_b.selection import select, written_row

MISSION = "BBU接地线检查"
G0 = "至少需要机柜处接地螺丝符合要求"
DISTILL = {
    "enabled": True,
    "val_share": 0.3,
    "seed": 17,
    "conflict_policy": "drop",
    "conflict_weight": 0.25,
    "audit_sample": 3,
}
NO_GUARD = FailFirst(enabled=False, negatives=[])
OTHER = {"pass": "fail", "fail": "pass"}


class Outcome(NamedTuple):
    """What a tool's command left: its exit status, stdout, and stderr."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.err.strip().splitlines()[-1]


def call(tool: str, **options: object) -> Outcome:
    """Call ``python -m tools.<tool>`` in this process.

    ``stage_a=path`` becomes ``--stage-a path``, None is left out, True is a flag.
    """
    main = importlib.import_module(f"tools.{tool}").main
    given = [
        word
        for name, value in options.items()
        if value is not None
        for word in (f"--{name.replace('_', '-')}", *([] if value is True else [str(value)]))
    ]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", [tool, *given]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.run(main)
        except SystemExit as stop:
            code = stop.code or 0
    return Outcome(code, out.getvalue(), err.getvalue())


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def ticket(
    group: str,
    label: str = "pass",
    summaries: tuple[str, ...] = ("螺丝、光纤插头/机柜处接地螺丝,符合要求×1",),
    mission: str = MISSION,
    reasons: tuple[str, ...] = (),
) -> StageA:
    """A ticket with one summary a photo; ``reasons``: what people wrote when they failed it."""
    return StageA(
        group_id=group,
        mission=mission,
        label=label,
        images=[f"{group}_{number}.jpeg" for number in range(1, len(summaries) + 1)],
        per_image={f"image_{number}": text for number, text in enumerate(summaries, start=1)},
        fail_reasons=list(reasons),
    )


def drawn_rows(mission: str, count: int) -> list[dict]:
    """Stage-A rows of a mission, drawn by the miniature."""
    world = sample_world(1, mission)
    return stage_a_rows(world, draw_tickets(world, count, 1))


def candidate(
    of: StageA,
    verdict: str | None,
    *,
    index: int = 0,
    round: int = 1,
    epoch: int = 1,
    step: int = 0,
    odds: float | None = 2.0,
) -> Trajectory:
    """One candidate; ``verdict`` None: malformed. ``odds``: ln p(verdict) - ln p(other), None where not measured."""
    reason = f"第{index % 2 + 1}条依据(G0)"
    logprob = {"pass": None, "fail": None}
    if verdict and odds is not None:
        logprob = {verdict: -0.1, OTHER[verdict]: -0.1 - odds}
    return Trajectory.model_validate(
        {
            "ticket_key": of.ticket_key,
            "group_id": of.group_id,
            "mission": of.mission,
            "round": round,
            "epoch": epoch,
            "candidate_index": index,
            "decode": {"temperature": 0.3, "top_p": 0.9, "max_new_tokens": 96, "seed": 17 + index},
            "response_text": render(verdict, reason) if verdict else "说不清",
            "verdict": verdict,
            "reason": reason if verdict else None,
            "format_ok": verdict is not None,
            "label_match": verdict == of.label,
            "verdict_logprob": logprob,
            "guidance_step": step,
        }
    )


def candidates(of: StageA, verdicts: str, **fields: int | float | None) -> list[Trajectory]:
    """Candidates from a word each: ``"pass fail bad"``."""
    return [
        candidate(of, None if word == "bad" else word, index=index, **fields)
        for index, word in enumerate(verdicts.split())
    ]


def malformed(row: Trajectory) -> Malformed:
    """The failure record of a malformed candidate."""
    shared = row.model_dump(
        include={
            "ticket_key",
            "group_id",
            "mission",
            "round",
            "epoch",
            "candidate_index",
            "response_text",
            "guidance_step",
        }
    )
    return Malformed(why="no_verdict", **shared)


def rule_meta(hits: int = 0, misses: int = 0, reflection_id: str = "r0001-01", created_round: int = 1) -> RuleMeta:
    """What is known of a rule after some hits and misses."""
    return RuleMeta(
        hit_count=hits,
        miss_count=misses,
        confidence=(hits + 1) / (hits + misses + 2),
        reflection_id=reflection_id,
        sources=[],
        rationale="",
        created_round=created_round,
    )


def guidance(step: int = 0, **rules: str) -> MissionGuidance:
    """Guidance of G0 and the rules given by key."""
    return MissionGuidance(
        step=step,
        experiences={"G0": G0, **rules},
        metadata={key: rule_meta() for key in rules},
        last_applied_rule_keys=list(rules)[-1:],
    )


def reflection(round: int = 1, epoch: int = 1, number: str = "life", **fields: object) -> Reflection:
    """A reflection record in which nothing happened, but for ``fields``."""
    empty = {
        "reflection_id": f"r{round:04d}-{number}",
        "round": round,
        "epoch": epoch,
        "ticket_keys": [],
        "directions": {},
        "prompt_digest": "",
        "raw_response": "",
        "operations": [],
        "unexplainable": [],
        "applied": [],
        "rejected": [],
        "cleaned_up": [],
        "before_step": 0,
        "after_step": 0,
    }
    return Reflection.model_validate(empty | fields)


class RunFolder:
    """A run folder built round by round: ``play`` writes what rollout, reflect, apply leave, ``finish`` loop.json."""

    def __init__(self, folder: Path, tickets: list[StageA], *, high_risk: bool = True, **distill: object):
        self.folder, self.stage_a, self.loop, self.rounds = (
            folder,
            folder / "stage_a.jsonl",
            folder / "loop.json",
            folder / "rounds",
        )
        self.tickets = {ticket.ticket_key: ticket for ticket in tickets}
        self.done, self.guidance = 0, guidance()
        write_rows(self.stage_a, tickets)
        write_guidance(round_folder(self.rounds, 0) / "guidance.json", MISSION, self.guidance)
        self.mission, self.distill_section = (
            {"slug": "bbu_line", "name": MISSION, "g0": G0, "rules": [], "high_risk": high_risk},
            DISTILL | distill,
        )
        self.configure("distill", **self.sections())
        self.configure("aggregate_review", compat={"manual_review_queue": False})
        self.hold_out(0.0)

    def sections(self, **distill: object) -> dict[str, dict]:
        """What distill is told, with changes of its own section."""
        return {"mission": self.mission, "distill": self.distill_section | distill}

    def hold_out(self, share: float, seed: int = 17) -> "RunFolder":
        """Hold a share of the groups out of learning."""
        self.configure("collect", learn={"holdout": share, "seed": seed})
        return self

    def configure(self, tool: str, **sections: dict) -> Path:
        """Write a tool's section file."""
        path = self.folder / "config" / f"{tool}.yaml"
        write_text(path, yaml.safe_dump(sections, allow_unicode=True, sort_keys=False))
        return path

    def play(
        self,
        answers: dict[str, str],
        *,
        epoch: int | None = None,
        after: MissionGuidance | None = None,
        reflections: tuple[Reflection, ...] = (),
        policy: str = "unsupported",
        guard: FailFirst = NO_GUARD,
        suspects: tuple[str, ...] = (),
        odds: dict[str, float | None] | None = None,
        threshold: float | None = None,
    ) -> "RunFolder":
        """One round. ``answers``: ``{"a::pass": "pass pass fail bad"}``; ``after``: the guidance it leaves."""
        self.done += 1
        place = {"round": self.done, "epoch": epoch or self.done}
        rows, chosen = [], []
        for key, words in answers.items():
            found = candidates(
                self.tickets[key], words, step=self.guidance.step, odds=(odds or {}).get(key, 2.0), **place
            )
            selection = select(self.tickets[key], found, guard, threshold)
            rows += [*found, *filter(None, [written_row(selection)])]
            chosen += [selection] if selection else []
        folder = round_folder(self.rounds, self.done)
        write_rows(folder / "trajectories.jsonl", rows)
        write_rows(folder / "selections.jsonl", chosen)
        write_rows(folder / "failure_malformed.jsonl", [malformed(row) for row in rows if not row.format_ok])
        write_rows(
            folder / "need_review_queue.jsonl",
            review_entries(rows, chosen, policy, dict.fromkeys(suspects, f"r{self.done:04d}-01"), {}),
        )
        write_rows(folder / "reflection.jsonl", reflections or [reflection(**place)])
        self.guidance = after or self.guidance
        write_guidance(folder / "guidance.json", MISSION, self.guidance)
        return self

    def finish(self, status: str = "converged", rounds_per_epoch: int = 1) -> "RunFolder":
        """Write loop.json."""
        epochs = self.done // rounds_per_epoch
        write_json(
            self.loop,
            LoopStatus(
                status=status, rounds=self.done, epochs=epochs, rounds_per_epoch=rounds_per_epoch, oscillations=[]
            ),
        )
        return self

    def collect(self) -> Outcome:
        """Run tools.collect on it."""
        return call(
            "collect",
            config=self.folder / "config" / "collect.yaml",
            loop=self.loop,
            rounds=self.rounds,
            stage_a=self.stage_a,
            output_dir=self.folder,
        )

    def aggregate_review(self) -> Outcome:
        """Run tools.aggregate_review on it."""
        return call(
            "aggregate_review",
            config=self.folder / "config" / "aggregate_review.yaml",
            loop=self.loop,
            rounds=self.rounds,
            stage_a=self.stage_a,
            trajectories=self.folder / "trajectories.jsonl",
            selections=self.folder / "selections.jsonl",
            output_dir=self.folder,
        )

    def distill(self, decisions: Path | None = None) -> Outcome:
        """Run tools.distill on it."""
        return call(
            "distill",
            config=self.folder / "config" / "distill.yaml",
            loop=self.loop,
            stage_a=self.stage_a,
            selections=self.folder / "selections.jsonl",
            guidance=self.folder / "guidance.json",
            need_review=self.folder / "need_review.json",
            decisions=decisions,
            audited=self.folder / "audit_decisions.jsonl",
            output_dir=self.folder,
        )

    def check(self) -> Outcome:
        """Run tools.check on it."""
        return call("check", run_dir=self.folder)

    def complete(self) -> "RunFolder":
        """Run all three tools and expect each to succeed."""
        for tool in (self.collect, self.aggregate_review, self.distill):
            outcome = tool()
            assert outcome.code == 0, outcome.err
        return self


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are not blank, numbered from 1: what streaming has to give."""
    return [(number, text) for number, text in enumerate(read_text(path).split("\n"), start=1) if text.strip()]


def validation_groups(group_ids: Iterable[str], share: float, seed: int) -> set[str]:
    """The groups of these that validate."""
    groups, validation = set(group_ids), Validation(share, seed)
    for group in groups:
        validation.see(group)
    return {group for group in groups if group in validation}
