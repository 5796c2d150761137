"""What the door did is said; and given tickets for tools that measure on them and keep no copy."""

from pathlib import Path

from verdicts.command.cli import complain, say
from verdicts.config.sections import Config
from verdicts.intake.names import Door
from verdicts.intake.reader import read_tolerantly
from verdicts.intake.wording import refused_sentence, repaired_sentence
from verdicts.records.tickets import Entrance, StageA


def say_entrance(entrance: Entrance, path: Path) -> None:
    """Say what was done with a file: what was refused as errors are said, the rest in a summary line."""
    if said := refused_sentence(entrance):
        complain(f"{path}: {said}")
    if said := repaired_sentence(entrance):
        say(f"tickets: {said}")


def given_tickets(path: Path, config: Config) -> list[StageA]:
    """The tickets of a file as a run would take them, and a word of what was put right or refused.

    Raises UserError as the door does.
    """
    given = read_tolerantly(path, Door.of_config(config))
    say_entrance(given.entrance, path)
    return given.tickets
