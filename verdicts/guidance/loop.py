"""Where the loop stands: running, converged, or out of epochs. A function of the guidance after each round."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from verdicts.base.errors import mistake
from verdicts.config.tools import LoopConfig
from verdicts.records.guidance import MissionGuidance, read_guidance
from verdicts.records.run import LoopStatus
from verdicts.rounds.windows import place_of


def guidance_states(rounds: Path, mission: str) -> list[MissionGuidance]:
    """The guidance after round 0, 1, 2 …, as far as rounds follow each other; raises UserError where there is none."""
    states: list[MissionGuidance] = []
    while (path := rounds / f"{len(states):04d}" / "guidance.json").exists():
        states.append(read_guidance(path, mission))
    if not states:
        raise mistake("no such file", "make the starting guidance first (tools.apply --start)", path=path)
    return states


def status_of(states: Sequence[MissionGuidance], tickets: int, cfg: LoopConfig) -> LoopStatus:
    """Judge the rounds done. ``states[0]`` is the starting guidance, ``states[r]`` the one after round r.

    The first epoch without a change ends the loop as converged; ``max_epochs`` full epochs end it without. A round
    whose rules are those of an earlier state, after others came between, is an oscillation.
    """
    per_epoch = place_of(1, tickets, cfg.window.tickets).rounds_per_epoch
    seen, oscillations = {_rules(states[0]): 0}, []
    last_change = 0
    for round_number in range(1, len(states)):
        # not the step: a hand edit need not count it
        if states[round_number].experiences != states[round_number - 1].experiences:
            last_change = round_number
            rules = _rules(states[round_number])
            if rules in seen:
                oscillations.append(f"round {round_number} returns to the rules after round {seen[rules]}")
            seen[rules] = round_number
        epochs, rest = divmod(round_number, per_epoch)
        if rest:
            continue
        ended: Literal["converged", "max_epochs"] | None = None
        if round_number - last_change >= per_epoch:
            ended = "converged"
        elif epochs >= cfg.loop.max_epochs:
            ended = "max_epochs"
        if ended:
            return LoopStatus(
                status=ended, rounds=round_number, epochs=epochs, rounds_per_epoch=per_epoch, oscillations=oscillations
            )
    done = len(states) - 1
    return LoopStatus(
        status="running", rounds=done, epochs=done // per_epoch, rounds_per_epoch=per_epoch, oscillations=oscillations
    )


def supersede_rounds(rounds: Path, last: int) -> int:
    """Move rounds after ``last`` out of the way, replacing what an earlier call moved there. Returns how many."""
    later = [
        path for path in sorted(rounds.iterdir()) if path.is_dir() and path.name.isdigit() and int(path.name) > last
    ]
    for path in later:
        target = rounds.with_name(f"{rounds.name}.superseded") / path.name
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    return len(later)


def _rules(guidance: MissionGuidance) -> tuple[str, ...]:
    return tuple(sorted(guidance.experiences.values()))
