"""Play Stage B on one round's window of tickets under one frozen guidance.

    python -m tools.rollout --config config/rollout.yaml --stage-a stage_a.jsonl \
        --guidance rounds/0000/guidance.json --round 1 --output-dir rounds/0001

    stage_a.jsonl, guidance.json ──> trajectories.jsonl        every candidate, the guard's included
                                     selections.jsonl          one verdict a ticket
                                     failure_malformed.jsonl   text that is no answer

Killed, it goes on at the last whole chunk of tickets; the files come out the same, byte for byte.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command.cli import run


def main(
    config: Annotated[Path, typer.Option(help="Section file: mission, engine, rollout, fail_first, window.")],
    stage_a: Annotated[Path, typer.Option(help="Stage-A tickets (JSONL).")],
    guidance: Annotated[Path, typer.Option(help="guidance.json of the round before.")],
    round_number: Annotated[int, typer.Option("--round", min=1, help="Round, counted from 1.")],
    output_dir: Annotated[Path, typer.Option(help="Folder of the round.")],
    whole: Annotated[
        bool, typer.Option("--whole", help="All tickets as one window, whatever window.tickets says.")
    ] = False,
) -> None:
    """Sample the candidates of a window, read them and choose a verdict for each ticket."""
    from verdicts.base.jsonl import write_rows
    from verdicts.command.cli import say
    from verdicts.config.tools import RolloutConfig, read_section
    from verdicts.guidance.file import read_guidance
    from verdicts.records.ticket_index import Tickets
    from verdicts.rounds.trajectories import failures_of, forgiven_in_answers
    from verdicts.rounds.windows import place_of, tickets_of
    from verdicts.stage_b.prompts import load_prompts
    from verdicts.stage_b.selection import guard_row, select

    cfg = read_section(config, RolloutConfig)
    prompts = load_prompts(cfg.prompts, cfg.mission)
    tickets = Tickets(stage_a, cfg.mission.name)
    rules = read_guidance(guidance, cfg.mission.name)
    place = place_of(round_number, len(tickets), len(tickets) if whole else cfg.window.tickets)
    window = [tickets.at(number) for number in tickets_of(place, range(len(tickets)), cfg.window.seed)]

    done = play(cfg, prompts, window, rules, place, round_number, output_dir)
    selected = [select(ticket, rows, cfg.fail_first) for ticket, (rows, _) in zip(window, done.tickets, strict=True)]
    selections = [selection for selection in selected if selection]
    failures = [failure for rows, finishes in done.tickets for failure in failures_of(rows, finishes)]
    guarded = [
        guard_row(selection) for selection in selected
    ]  # behind the rows of its ticket; never in the part file, so a resumed round has it once
    rows = [
        row for (asked, _), by_guard in zip(done.tickets, guarded, strict=True) for row in (*asked, by_guard) if row
    ]
    write_rows(output_dir / "trajectories.jsonl", rows)
    write_rows(output_dir / "failure_malformed.jsonl", failures)
    write_rows(output_dir / "selections.jsonl", selections)
    done.part.remove()
    right, overridden = sum(selection.label_match for selection in selections), sum(row is not None for row in guarded)
    say(
        f"rollout {round_number:04d} (epoch {place.epoch}, {len(rules.experiences)} rules): {len(window)} tickets = "
        f"{len(selections)} selected "
        f"+ {len(window) - len(selections)} without a valid candidate; {right} match the label; {len(failures)} hard "
        "failures; "
        f"{done.tickets_per_s:.1f} tickets/s{done.reused}"
        + (f"; {overridden} passes overridden by the guard" if overridden else "")
        + forgiven_in_answers(row for rows, _ in done.tickets for row in rows),
        step=True,
    )


def play(cfg, prompts, window, rules, place, round_number, output_dir):
    """Sample all tickets of the window, chunk by chunk, going on where a killed rollout stopped."""
    import hashlib
    import time
    from types import SimpleNamespace

    from verdicts.base.made import code_digest
    from verdicts.base.part_file import PartFile
    from verdicts.base.progress import progress
    from verdicts.engines import open_engine
    from verdicts.engines.reuse import AnswerStore, Reusing, check_reuse
    from verdicts.records.rollout import Trajectory
    from verdicts.rounds.trajectories import belongs, decodes_for, trajectories_of

    limit = int(cfg.rollout.reuse_gb * 10**9)
    if limit:
        check_reuse(cfg.engine)
    engine = open_engine(cfg.engine)
    if limit:
        engine = Reusing(engine, cfg.engine, AnswerStore(Path(cfg.rollout.reuse_folder), limit), code_digest("rollout"))
    system = prompts.stage_b_system(rules.experiences)
    users = [prompts.stage_b_user(ticket.per_image) for ticket in window]
    inputs = [
        cfg.model_dump_json(),
        str(engine.fingerprint),
        str(round_number),
        str(rules.step),
        prompts.digest("stage_b"),
        system,
        *users,
        *(ticket.model_dump_json(exclude={"fail_reasons"}) for ticket in window),
    ]
    digest = hashlib.sha256("\0".join([*inputs, code_digest("rollout")]).encode()).hexdigest()
    # a line a chunk: its tickets' rows, and how each completion finished
    part = PartFile(output_dir / ".rollout.part.jsonl", digest, list[tuple[list[Trajectory], list[str]]])
    decodes = [decodes_for(ticket, cfg.rollout) for ticket in window]
    saved = part.load(
        follows=lambda before, chunk: belongs(chunk, window, decodes, sum(map(len, before)), round_number, rules.step)
    )
    tickets = [ticket for chunk in saved for ticket in chunk]
    started, fresh, chunk = time.monotonic(), len(window) - len(tickets), []
    first = len(tickets)
    with progress(f"rollout {round_number:04d}", len(window), first) as bar:
        for at, completions in enumerate(engine.rollout(system, users[first:], decodes[first:]), start=first):
            rows = trajectories_of(
                window[at], decodes[at], completions, place, round_number, rules.step, cfg.rollout.cut_reasons,
                prompts.digest("stage_b"),
            )  # fmt: skip
            chunk.append((rows, [completion.finish for completion in completions]))
            if len(chunk) == cfg.engine.chunk or at == len(window) - 1:
                part.append([([row.model_dump(mode="json") for row in rows], finishes) for rows, finishes in chunk])
                tickets, chunk = tickets + chunk, []
            bar.update()
    engine.close()
    return SimpleNamespace(
        tickets=tickets,
        part=part,
        tickets_per_s=fresh / max(1e-9, time.monotonic() - started),
        reused=engine.said(fresh) if limit else "",
    )


if __name__ == "__main__":
    run(main, result="rollout", engine="llama.cpp", writes="output_dir")
