"""What the door did is said; and given tickets for tools that measure on them and keep no copy."""

from pathlib import Path

from verdicts.command.cli import complain, say
from verdicts.config.sections import Config
from verdicts.intake.filters import Sieve, kept_rows
from verdicts.intake.names import Door
from verdicts.intake.reader import read_tolerantly
from verdicts.intake.wording import left_out_sentence, refused_sentence, repaired_sentence
from verdicts.records.tickets import Entrance, Filtered, StageA


def say_entrance(entrance: Entrance, path: Path) -> None:
    """Say what was done with a file: what was refused as errors are said, the rest in a summary line."""
    if said := refused_sentence(entrance):
        complain(f"{path}: {said}")
    if said := repaired_sentence(entrance):
        say(f"tickets: {said}")


def say_filtered(filtered: Filtered) -> None:
    """Say how many tickets the filters left out; what of them could not be used as errors are said."""
    say(f"tickets: {left_out_sentence(filtered)}")
    for sentence in filtered.notes:
        complain(f"filters: {sentence}")


def given_tickets(path: Path, config: Config) -> list[StageA]:
    """The tickets of a file as a run would take them, and a word of what was put right, refused or left out.

    Raises UserError as the door and the filters do.
    """
    given, filters = read_tolerantly(path, Door.of_config(config)), Sieve(config.filters).open()
    say_entrance(given.entrance, path)
    if given.notes:
        say("tickets: this tool keeps no lists; a run of these tickets does")
    if filters is None:
        return given.tickets
    rows = [("", ticket) for ticket in given.tickets]
    kept = [ticket for _, ticket in kept_rows(rows, rows, filters, path, lambda record: None)]
    say_filtered(filters.filtered())
    return kept
