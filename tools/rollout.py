"""Play Stage B on one round's window of tickets under one frozen guidance.

    python -m tools.rollout --config config/rollout.yaml --stage-a stage_a.jsonl \
        --guidance rounds/0000/guidance.json --round 1 --output-dir rounds/0001

    stage_a.jsonl, guidance.json ──> trajectories.jsonl        every candidate, what guard or threshold wrote included
                                     selections.jsonl          one verdict a ticket
                                     failure_malformed.jsonl   text that is no answer

Killed, it goes on at the last whole chunk of tickets; the files come out the same, byte for byte. With --shard i/N it
answers a share of the chunks into rollout.shard-i-of-N.jsonl alone; --shard merge makes the files of all N of them
(docs/clusters.md). --point, with --whole: an operating point of this model under this guidance (tools.calibrate
--run-dir) decides from which P(fail) on a ticket fails (docs/operating_point.md).
"""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from verdicts.base.part_file import PartFile
    from verdicts.command.shards import Shard
    from verdicts.config.tools import RolloutConfig
    from verdicts.records.guidance import MissionGuidance
    from verdicts.records.rollout import Selection
    from verdicts.records.tickets import StageA
    from verdicts.rounds.windows import Place
    from verdicts.stage_b.prompts import Prompts


def main(
    config: Annotated[Path, typer.Option(help="Section file: mission, engine, rollout, fail_first, window.")],
    stage_a: Annotated[Path, typer.Option(help="Stage-A tickets (JSONL).")],
    guidance: Annotated[Path, typer.Option(help="guidance.json of the round before.")],
    round_number: Annotated[int, typer.Option("--round", min=1, help="Round, counted from 1.")],
    output_dir: Annotated[Path, typer.Option(help="Folder of the round.")],
    whole: Annotated[
        bool, typer.Option("--whole", help="All tickets as one window, whatever window.tickets says.")
    ] = False,
    shard: Annotated[str, typer.Option(help="i/N: that share of the chunks alone; merge: the files of all N.")] = "",
    point: Annotated[
        Path | None, typer.Option(help="Operating point (calibrate): decides by its threshold. With --whole alone.")
    ] = None,
) -> None:
    """Sample the candidates of a window, read them and choose a verdict for each ticket."""
    from verdicts.base.jsonl import write_rows
    from verdicts.command.cli import say
    from verdicts.command.shards import is_merge, shard_named, standing
    from verdicts.config.tools import RolloutConfig, read_section
    from verdicts.records.guidance import read_guidance
    from verdicts.records.ticket_index import Tickets
    from verdicts.rounds.trajectories import failures_of, forgiven_in_answers
    from verdicts.rounds.windows import place_of, tickets_of
    from verdicts.stage_b.prompts import load_prompts
    from verdicts.stage_b.selection import select, written_row
    from verdicts.stage_b.threshold import threshold_of

    cfg = read_section(config, RolloutConfig)
    prompts = load_prompts(cfg.prompts, cfg.mission)
    tickets = Tickets(stage_a, cfg.mission.name)
    rules = read_guidance(guidance, cfg.mission.name)
    cfg = decided_by(cfg, point, prompts.stage_b_system(rules.experiences), whole) if point else cfg
    threshold = threshold_of(cfg.rollout)
    place = place_of(round_number, len(tickets), len(tickets) if whole else cfg.window.tickets)
    window = [tickets.at(number) for number in tickets_of(place, range(len(tickets)), cfg.window.seed)]

    work = Work(cfg, prompts, window, rules, place, round_number, output_dir / "rollout")
    if share := shard_named(shard):
        if kept := standing(work.result, share, work.digest()):
            say(f"rollout {round_number:04d}: share {share}: kept {kept}: made from the same inputs")
            return
        done = play(work, share)
        done.part.finish()
        answered = f"{len(done.tickets)} of {len(window)} tickets"
        say(f"rollout {round_number:04d}: share {share}: {answered}; {done.part.whole}")
        return
    done = put_together(work) if is_merge(shard) else play(work)
    selected = [
        select(ticket, rows, cfg.fail_first, threshold) for ticket, (rows, _) in zip(window, done.tickets, strict=True)
    ]
    selections = [selection for selection in selected if selection]
    failures = [failure for rows, finishes in done.tickets for failure in failures_of(rows, finishes)]
    written = [
        written_row(selection) for selection in selected
    ]  # behind the rows of its ticket; never in the part file, so a resumed round has it once
    rows = [row for (asked, _), own in zip(done.tickets, written, strict=True) for row in (*asked, own) if row]
    write_rows(output_dir / "trajectories.jsonl", rows)
    write_rows(output_dir / "failure_malformed.jsonl", failures)
    write_rows(output_dir / "selections.jsonl", selections)
    done.part.remove()
    right = sum(selection.label_match for selection in selections)
    say(
        f"rollout {round_number:04d} (epoch {place.epoch}, {len(rules.experiences)} rules): {len(window)} tickets = "
        f"{len(selections)} selected "
        f"+ {len(window) - len(selections)} without a valid candidate; {right} match the label; {len(failures)} hard "
        f"failures; {done.speed}"
        + overruled(selections, threshold)
        + forgiven_in_answers(row for rows, _ in done.tickets for row in rows),
        step=True,
    )


def decided_by(cfg: "RolloutConfig", point: Path, system: str, whole: bool) -> "RolloutConfig":
    """The configuration that decides by an operating point.

    Raises UserError for one of another model or guidance, and in a round of a loop, whose guidance changes.
    """
    from verdicts.base.errors import mistake
    from verdicts.rounds.point import at_point

    if not whole:
        what = "an operating point holds for one guidance, and the rounds of a loop change it"
        todo = "write its threshold as rollout.threshold, which promises nothing, or give --whole"
        raise mistake(what, todo, path=point, field="--point")
    return at_point(cfg, point, system)


def overruled(selections: "list[Selection]", threshold: float | None) -> str:
    """For the summary line: how many verdicts are not those of the votes, by what decided."""
    from verdicts.stage_b.selection import OVERRIDE, TURNED

    turned, by_guard = (sum(mark in one.warnings for one in selections) for mark in (TURNED, OVERRIDE))
    by_threshold = "" if threshold is None else f"; {turned} verdicts turned by the threshold {threshold:g}"
    return by_threshold + (f"; {by_guard} passes overridden by the guard" if by_guard else "")


class Work(NamedTuple):
    """One round's window with all that its answers depend on but the engine. ``result``: names part files."""

    cfg: "RolloutConfig"
    prompts: "Prompts"
    window: "list[StageA]"
    rules: "MissionGuidance"
    place: "Place"
    round_number: int
    result: Path

    def digest(self) -> str:
        """Names all of that."""
        from verdicts.base.made import code_digest

        inputs = [
            self.cfg.model_dump_json(),
            str(self.round_number),
            str(self.rules.step),
            self.prompts.digest("stage_b"),
            self.prompts.stage_b_system(self.rules.experiences),
            *(self.prompts.stage_b_user(ticket.per_image) for ticket in self.window),
            *(ticket.model_dump_json(exclude={"fail_reasons"}) for ticket in self.window),
        ]
        return hashlib.sha256("\0".join([*inputs, code_digest("rollout")]).encode()).hexdigest()


def play(work: Work, share: "Shard | None" = None) -> SimpleNamespace:
    """Sample the window's tickets, or those of a share, chunk by chunk, going on where a killed rollout stopped."""
    import time

    from verdicts.base.progress import progress
    from verdicts.rounds.trajectories import belongs, decodes_for, trajectories_of, without_probability

    cfg, prompts, number, step = work.cfg, work.prompts, work.round_number, work.rules.step
    window = share.of_units(work.window, cfg.engine.chunk) if share else work.window
    engine = opened(cfg, share) if window else None
    part = part_of(work, share, json.dumps(engine.fingerprint, sort_keys=True) if engine else "")
    decodes = [decodes_for(ticket, cfg.rollout) for ticket in window]
    saved = part.load(
        follows=lambda before, chunk: belongs(chunk, window, decodes, sum(map(len, before)), number, step)
    )
    tickets = [ticket for chunk in saved for ticket in chunk]
    started, fresh, chunk = time.monotonic(), len(window) - len(tickets), []
    first, users = len(tickets), [prompts.stage_b_user(ticket.per_image) for ticket in window]
    system, digest = prompts.stage_b_system(work.rules.experiences), prompts.digest("stage_b")
    with progress(f"rollout {number:04d}", len(window), first) as bar:
        answers = engine.rollout(system, users[first:], decodes[first:]) if engine else ()
        for at, said in enumerate(answers, start=first):
            completions = without_probability(said, cfg.rollout.threshold)
            rows = trajectories_of(
                window[at], decodes[at], completions, work.place, number, step, cfg.rollout.cut_reasons, digest
            )
            chunk.append((rows, [completion.finish for completion in completions]))
            if len(chunk) == cfg.engine.chunk or at == len(window) - 1:
                part.append([([row.model_dump(mode="json") for row in rows], finishes) for rows, finishes in chunk])
                tickets, chunk = tickets + chunk, []
            bar.update()
    if engine:
        engine.close()
    rate, reused = fresh / max(1e-9, time.monotonic() - started), engine.said(fresh) if cfg.rollout.reuse_gb else ""
    return SimpleNamespace(tickets=tickets, part=part, speed=f"{rate:.1f} tickets/s{reused}")


def opened(cfg: "RolloutConfig", share: "Shard | None") -> Any:
    """The engine, with the store of answers where there is one. A share has none: what it would say depends on it."""
    from verdicts.base.errors import mistake
    from verdicts.base.made import code_digest
    from verdicts.engines import open_engine
    from verdicts.engines.reuse import AnswerStore, Reusing, check_reuse

    limit = int(cfg.rollout.reuse_gb * 10**9)
    if limit and share:
        what = f"shares do not go with answers that are used again ({cfg.rollout.reuse_gb:g})"
        raise mistake(what, "set it to 0", field="rollout.reuse_gb")
    if limit:
        check_reuse(cfg.engine)
    engine = open_engine(cfg.engine)
    if not limit:
        return engine
    return Reusing(engine, cfg.engine, AnswerStore(Path(cfg.rollout.reuse_folder), limit), code_digest("rollout"))


def part_of(work: Work, share: "Shard | None", made_with: str) -> "PartFile":
    """What is done so far, of the window or of a share: a line a chunk."""
    from verdicts.base.part_file import PartFile
    from verdicts.command.shards import ShardFile

    if share:
        return ShardFile(work.result, share, work.digest(), made_with, chunk_type())
    return PartFile(work.result.with_name(".rollout.part.jsonl"), f"{work.digest()} {made_with}", chunk_type())


def put_together(work: Work) -> SimpleNamespace:
    """The window's tickets from the files of all shares. No model is loaded."""
    from verdicts.command.shards import MergedShards
    from verdicts.models.fingerprint import use_model
    from verdicts.rounds.trajectories import belongs, decodes_for

    merge, size = MergedShards(work.result, work.digest(), chunk_type()), work.cfg.engine.chunk
    answered = json.loads(merge.made_with) if merge.made_with else {}
    use_model(Path(work.cfg.engine.model), answered.get("sha256", ""))
    decodes, total = [decodes_for(ticket, work.cfg.rollout) for ticket in work.window], -(-len(work.window) // size)

    def fits(unit: int, chunk: list[Any]) -> bool:
        whole = len(chunk) == len(work.window[unit * size : (unit + 1) * size])
        return whole and belongs(chunk, work.window, decodes, unit * size, work.round_number, work.rules.step)

    merge.check(total, fits)
    tickets = [ticket for chunk in merge.units(total) for ticket in chunk]
    return SimpleNamespace(tickets=tickets, part=merge, speed=f"put together of {len(merge.files)} shares")


def chunk_type() -> Any:
    """What a part file holds a line: a chunk's tickets, each with its rows and how its completions finished."""
    from verdicts.records.rollout import Trajectory

    return list[tuple[list[Trajectory], list[str]]]


if __name__ == "__main__":
    run(main, result="rollout", engine="llama.cpp", writes="output_dir")
