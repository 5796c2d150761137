"""Bring in what a run is made of (tickets, each tool's section of the configuration), then start what makes the run.

    python -m tools.prepare --mission bbu_line --run-dir runs/miniature/bbu_line --models miniature \\
        --tickets tickets.jsonl
    python -m tools.prepare … --goals "distill" -- make GRAPH=1 distill          (as Make calls it)

    configs/base.yaml, models/*.yaml, missions/*.yaml, CONFIG=… ──> config/<tool>.yaml
    tickets.jsonl                                               ──> stage_a.jsonl (and config/tickets.json: where from),
                                                                    tickets.{repaired,refused,aside}.jsonl,
                                                                    tickets.{dropped,marked}.jsonl
    what was named                                              ──> config/made_with.json
    the version of the files' forms, of a run that begins       ──> config/run.json

A variable that is not named is what the run was made with; another name for it is refused, unless REMAKE=1 says so. A
file is rewritten only when its content changes. Given tickets are taken as such teams write them (verdicts/intake/);
the run's own stage_a.jsonl is strict, and may be edited by hand: it is taken anew only when its source, or a knob of
``tickets`` or ``filters``, has changed. The command behind ``--`` then runs in this process's place, with all variables
settled in its environment, and STALE: the results that were made from other inputs than those there now
(verdicts/base/made.py).

With --dry-run nothing is written; each file that would be is printed with the reason (or handed to the command as
``-W``).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from verdicts.intake.filters import Filters, Sieve
    from verdicts.intake.names import Door
    from verdicts.runs.naming import Choice, MadeWith

# they can do without tickets, and a knob of theirs touches no round
STUDENT_TOOLS = (
    "summarize", "lint_corpus", "sft", "evaluate", "behaviour", "gate", "predict", "calibrate", "export", "served",
    "export_gate",
)  # fmt: skip
# goals that need a corpus
JUDGES = {"evaluate", "behaviour", "gate", "calibrate", "export-gate"}  # they ask held-out questions
LEARNERS = {"fuse", "lint-corpus", "sft", "export"} | JUDGES


def main(
    mission: Annotated[str, typer.Option(help="Mission slug: configs/missions/<slug>.yaml.")],
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    models: Annotated[str | None, typer.Option(help="Model set: configs/models/<name>.yaml.")] = None,
    tickets: Annotated[str | None, typer.Option(help="Stage-A tickets to take.")] = None,
    overlay: Annotated[
        str | None, typer.Option(help="One more YAML laid over the configuration; empty for none.")
    ] = None,
    photos: Annotated[str | None, typer.Option(help="Folder or manifest of photos that summarize reads.")] = None,
    fusion: Annotated[
        str | None, typer.Option(help="Mix of the student's training data: configs/fusion/<name>.yaml.")
    ] = None,
    held_out: Annotated[str | None, typer.Option(help="Folder of held-out questions.")] = None,
    goals: Annotated[
        str, typer.Option(help="What will be made, as Make names it; decides which sections and sources are needed.")
    ] = "distill",
    remake: Annotated[
        bool, typer.Option("--remake", help="Make the run again with what is named now, if that is something else.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--everything", help="Count all that is there as made from other inputs (make -B).")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing: print what would be written, and why.")
    ] = False,
    command: Annotated[list[str] | None, typer.Argument(help="What to run then, in this process's place.")] = None,
) -> None:
    """Write the section files and the run's tickets, then run the command."""
    from verdicts.base.run_version import begins, refuse_newer, write_version
    from verdicts.runs.freshness import Fresh, refuse_unknown_mix
    from verdicts.runs.naming import RUN_GOALS, SUMMARIES, Choice, remembered, write_made_with

    refuse_control_characters(STAGE_A=tickets, CONFIG=overlay, PHOTOS=photos, HELD_OUT=held_out)
    refuse_unknown_mix(fusion)
    refuse_newer(run_dir)
    choice, wanted = Choice(run_dir, remake), set(goals.split())
    was, source = remembered(run_dir)
    student = not (wanted & RUN_GOALS or any(goal.startswith(f"{run_dir}{os.sep}") for goal in wanted))
    made = settle(choice, was, student, models, overlay, photos, fusion)
    if wanted & LEARNERS:
        if command and student and not made.fusion:
            refuse_without_corpus(run_dir)
        Fresh(run_dir, made.fusion).refuse_another_runs_student()
    source = choice.photos_or_tickets(wanted, photos, source, dry_run)
    taken = None
    if not student or source is not None:
        taken = choice.tickets(None if student else tickets, source, bool(wanted & _draws(made)))
    if taken and made.photos and taken[0] == str(run_dir / SUMMARIES):
        taken = (taken[0], drawn_photos(Path(made.photos.path)))
    texts = sections(made, mission, run_dir, tickets=taken is not None)
    entry = entry_of(made, mission, run_dir, taken)
    new = not_yet(texts, taken, run_dir, entry)
    if dry_run and command is None:
        for path, why in new.items():
            print(f"{path}: {why}")
    if not dry_run:
        new_run = begins(run_dir)
        write(texts, taken, mission, run_dir, entry)
        if new_run:  # tickets that are refused leave no folder behind
            write_version(run_dir)
        write_made_with(run_dir, made)
        Fresh(run_dir, made.fusion, made.photos).align()
    if command:
        changed = new if dry_run and "GRAPH=1" in command else ()
        words = [word for path in changed for word in ("-W", str(path))]
        start(command, environment(made, taken, run_dir, held_out, wanted, everything) | prompts_in(texts), words)


def refuse_without_corpus(run_dir: Path) -> None:
    """Raise UserError where a student is to learn from a run that has not even tickets."""
    from verdicts.base.errors import mistake

    if not (run_dir / "stage_a.jsonl").exists():
        raise mistake(
            "no corpus in it (distill.train.jsonl)",
            "run `make distill` for this run and mission first, or name a FUSION",
            path=run_dir,
        )


def refuse_control_characters(**paths: str | None) -> None:
    """Raise UserError for a path with a line end or the like: it would forge lines in messages, and make folds it."""
    from verdicts.base.errors import UserError

    for variable, path in paths.items():
        if any(not character.isprintable() for character in path or ""):
            raise UserError(f"{variable}={path!r} holds a line end or another control character; name it without")


def _draws(made: "MadeWith") -> set[str]:
    from verdicts.runs.naming import DRAWS

    return DRAWS if made.models == "miniature" else set()


def settle(
    choice: "Choice",
    was: "MadeWith",
    student: bool,
    models: str | None,
    overlay: str | None,
    photos: str | None,
    fusion: str | None,
) -> "MadeWith":
    """What the run is made with from now on. The student's tools may have a CONFIG of their own."""
    from verdicts.runs.naming import MadeWith, NamedPath

    config, own = was.config, was.student_config
    if not student:
        config = (
            choice.file("CONFIG", overlay, was.config) if was.models else NamedPath.of(overlay) if overlay else None
        )
    elif overlay is not None:
        own = choice.file("CONFIG", overlay, own) if own else NamedPath.of(overlay) if overlay else None
    return MadeWith(
        models=choice.word("MODELS", models, was.models) or "miniature",
        config=config, student_config=own,
        photos=choice.file("PHOTOS", photos or None, was.photos, NamedPath.of_photos), fusion=fusion or was.fusion,
    )  # fmt: skip


def sections(made: "MadeWith", mission: str, run_dir: Path, tickets: bool) -> dict[Path, str]:
    """The text of each section file; without tickets those of the student's tools alone."""
    from verdicts.config.load import load
    from verdicts.config.tools import SECTION_FILES, section_text
    from verdicts.stage_b.prompts import load_prompts

    of_run = (
        load(made.models, mission, Path(made.config.path) if made.config else None)
        if tickets or not made.student_config
        else None
    )
    own = load(made.models, mission, Path(made.student_config.path)) if made.student_config else of_run
    for config in filter(None, (of_run, own)):
        load_prompts(config.prompts, config.mission)  # a mistake in them is told before anything is written
    return {
        run_dir / "config" / f"{tool}.yaml": section_text(own if tool in STUDENT_TOOLS else of_run, tool)
        for tool in (SECTION_FILES if tickets else STUDENT_TOOLS)
    }


class Entry(NamedTuple):
    """What tickets go through into a run. ``door``: None for the run's own files (drawn, or summarised): strict."""

    door: "Door | None"
    sieve: "Sieve"


def entry_of(made: "MadeWith", mission: str, run_dir: Path, taken: tuple[str, bool] | None) -> Entry | None:
    """What given tickets are held against, and the filters; None where none are taken."""
    from verdicts.config.load import load
    from verdicts.intake.filters import Sieve
    from verdicts.intake.names import Door

    if taken is None:
        return None
    config = load(made.models, mission, Path(made.config.path) if made.config else None)
    own = Path(taken[0]).absolute().is_relative_to(run_dir.absolute())
    photos = Path(made.photos.path) if made.photos else None
    folder = photos.parent if photos and photos.is_file() else photos
    digest = made.photos.digest if made.photos else ""
    return Entry(None if own else Door.of_config(config), Sieve(config.filters, folder, digest))


def prompts_in(texts: dict[Path, str]) -> dict[str, str]:
    """Make's variables for the files of the prompts that the section files name."""
    import yaml

    from verdicts.config.prompts import files_in, prompt_path
    from verdicts.runs.freshness import plain_names

    found = {}
    for variable, tool, kind in (
        ("PROMPTS_B", "rollout", "stage_b"),
        ("PROMPTS_R", "reflect", "reflect"),
        ("PROMPTS_S", "summarize", "summary"),
    ):
        text = next((text for path, text in texts.items() if path.stem == tool), None)
        named = files_in(yaml.safe_load(text)["prompts"][kind]) if text else ()
        found[variable] = " ".join(plain_names(os.path.relpath(prompt_path(name)) for _, name in named))
    return found


def not_yet(
    texts: dict[Path, str], taken: tuple[str, bool] | None, run_dir: Path, entry: Entry | None
) -> dict[Path, str]:
    """The files that are to be written -> why."""
    from verdicts.config.tools import read_told
    from verdicts.runs.naming import section_differences

    new = {
        path: "it is not there" if not path.exists() else section_differences(read_told(path), text)
        for path, text in texts.items()
    }
    if taken and entry and new_source(Path(taken[0]), run_dir, entry) is not None:
        why = "is new to this run, or it or a knob of `tickets` or `filters` has changed since it was taken"
        new[run_dir / "stage_a.jsonl"] = f"{taken[0]} {why}"
    return {path: why for path, why in new.items() if why}


def write(
    texts: dict[Path, str], taken: tuple[str, bool] | None, mission: str, run_dir: Path, entry: Entry | None
) -> None:
    """Take the tickets and write the sections, each where it says something new."""
    from verdicts.base.jsonl import write_text_if_changed
    from verdicts.config.load import mission_name
    from verdicts.config.tools import is_older_form

    if taken and entry:
        source, drawn = Path(taken[0]), taken[1]
        if drawn and not source.exists() and not (run_dir / "stage_a.jsonl").exists():
            draw(mission, source)
        take_tickets(source, mission_name(mission), run_dir, entry, synthetic=drawn)
    for path, text in texts.items():
        if not is_older_form(path, text):
            write_text_if_changed(path, text)


def draw(mission: str, output: Path) -> None:
    """Draw 400 synthetic tickets of the miniature's world, and say so."""
    from miniature.world import dataset
    from verdicts.command.cli import complain

    complain(
        f"SYNTHETIC tickets: nothing is named (STAGE_A, PHOTOS) and there is no data/{mission}/stage_a.jsonl, so this "
        "run is made of tickets drawn by code"
    )
    dataset.main(
        mission=mission,
        seed=7,
        tickets=400,
        flip=0.05,
        mark_synthetic=True,
        output=output,
        truth=output.with_name("truth.jsonl"),
    )


def drawn_photos(folder: Path) -> bool:
    """Whether photos were drawn by miniature.drawing.photos: the truth of their tickets lies beside them."""
    return folder.with_name(f"{folder.name}.truth.jsonl").exists()


def new_source(source: Path, run_dir: Path, entry: Entry) -> str | None:
    """The source's hash where the run should take it; None where the run's copy stands.

    Where the source is no file it is "": reading names the mistake. Raises UserError where other filters want a source
    that is gone.
    """
    from verdicts.base.digests import sha256_of
    from verdicts.base.errors import mistake
    from verdicts.intake.reader import door_digest
    from verdicts.runs.naming import remembered

    kept = remembered(run_dir)[1] if (run_dir / "stage_a.jsonl").exists() else None
    sifted = kept is None or (kept.filtered.digest if kept.filtered else "") == entry.sieve.digest
    if kept and kept.source == str(source) and not source.exists():
        if not sifted:
            what = "is gone, and the filters are no longer those that its tickets went through"
            raise mistake(what, "bring it back, or set `filters` back", path=source)
        return None  # gone since
    digest = sha256_of(source) if source.is_file() else ""
    # an older run knows no door, and keeps what it has
    same_door = not (entry.door and kept and kept.entrance) or kept.entrance.settings == door_digest(entry.door)
    return None if digest and kept and kept.sha256 == digest and same_door and sifted else digest


def take_tickets(source: Path, mission: str, run_dir: Path, entry: Entry, *, synthetic: bool = False) -> None:
    """Take tickets into the run where their content, or what they go through, is new."""
    digest = new_source(source, run_dir, entry)
    if digest is None:
        return

    from verdicts.base.jsonl import write_json
    from verdicts.command.cli import say
    from verdicts.intake.given import say_entrance, say_filtered
    from verdicts.intake.reader import take_given
    from verdicts.records.tickets import TicketsSource

    filters = entry.sieve.open()
    if entry.door:
        entrance = take_given(source, entry.door, run_dir, filters)
        labels = entrance.labels
        say_entrance(entrance, source)
    else:
        entrance, labels = None, take_own(source, mission, run_dir, filters)
    filtered = filters.filtered() if filters else None
    note = TicketsSource(source=str(source), sha256=digest, synthetic=synthetic, entrance=entrance, filtered=filtered)
    write_json(run_dir / "config" / "tickets.json", note)
    labels = filters.kept if filters else labels
    counts = f"{labels.get('fail', 0)} fail, {labels.get('pass', 0)} pass"
    if filtered:
        say_filtered(filtered)
    say(f"tickets: {sum(labels.values())} from {source} (of {mission}: {counts})")


def take_own(source: Path, mission: str, run_dir: Path, filters: "Filters | None") -> dict[str, int]:
    """Take tickets that the run drew or summarised itself: they are strict. Returns how many there are, by label."""
    import shutil

    from verdicts.base.jsonl import stream_placed, whole_files
    from verdicts.intake.filters import SIFTED, kept_rows
    from verdicts.intake.reader import LISTS, noting
    from verdicts.records.ticket_index import Tickets
    from verdicts.records.tickets import StageA

    tickets = Tickets(source, mission)
    names = ("stage_a.jsonl", *SIFTED) if filters else ("stage_a.jsonl",)
    with whole_files(*(run_dir / name for name in names)) as (copy, *files):
        if filters:
            first, second = (((at.text, row) for at, row in stream_placed(source, StageA)) for _ in range(2))
            note = noting(dict(zip(SIFTED, files, strict=True)))
            copy.writelines(row + "\n" for row, _ in kept_rows(first, second, filters, source, note))
        else:
            with open(source, encoding="utf-8-sig") as text:
                shutil.copyfileobj(text, copy)
    for name in (*LISTS, *(SIFTED if not filters else ())):
        (run_dir / name).unlink(missing_ok=True)
    return {label: tickets.count(label) for label in ("fail", "pass")}


def environment(
    made: "MadeWith",
    taken: tuple[str, bool] | None,
    run_dir: Path,
    held_out: str | None,
    goals: set[str],
    everything: bool,
) -> dict[str, str]:
    """What the command finds in its environment, beside what is there already."""
    from verdicts.command.cli import complain
    from verdicts.runs.freshness import Fresh, questions_of

    fresh = Fresh(run_dir, made.fusion, made.photos)
    given = {
        "MODELS": made.models,
        "FUSION": fresh.student,
        "MIX": fresh.mix,
        "STALE": " ".join(fresh.stale(everything)),
        "MADE_ANEW": "1" if everything else "",
    }
    if taken:
        given |= {"STAGE_A": taken[0], "SYNTHETIC": "1" if taken[1] else ""}
    if made.config:
        given["CONFIG"] = made.config.path
    if made.photos:
        given["PHOTOS"] = made.photos.path
    if goals & LEARNERS:
        given["FUSED_FROM"] = " ".join(fresh.sources())
        for sentence in fresh.outdated_imports():
            complain(f"prepare: {sentence}")
    if goals & JUDGES:
        given["QUESTIONS"] = questions_of(Path(held_out or "data/held_out"), run_dir.name)
    if taken and not goals & {"summarize"}:
        fresh.refuse_old_summaries(Path(taken[0]))
    return given


def start(command: list[str], given: dict[str, str], as_new: list[str]) -> None:
    """Run the command in this process's place."""
    import sys

    sys.stdout.flush()
    sys.stderr.flush()
    letters, blank, rest = os.environ.get("MAKEFLAGS", "").partition(" ")
    given["MAKEFLAGS"] = (
        (letters if letters.startswith("-") else letters.replace("B", "")) + blank + rest
    )  # STALE says it, once
    os.execvpe(command[0], [*command, *as_new], {**os.environ, **given})


if __name__ == "__main__":
    run(main, writes="run_dir")
