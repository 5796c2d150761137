"""What differs between two runs of one mission: verdicts by ticket, rules, rates, configuration, review."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verdicts.base.jsonl import read_json, read_rows
from verdicts.config.load import flat
from verdicts.config.tools import read_told
from verdicts.guidance.diff import RuleChange, changes_between
from verdicts.records.guidance import GuidanceFile, MissionGuidance
from verdicts.records.review import NeedReviewFile
from verdicts.records.rollout import Selection
from verdicts.runs.prompts import PromptInUse, prompts_in_use
from verdicts.stats.paired import mcnemar_exact
from verdicts.stats.rates import VerdictRates, verdict_rates


@dataclass(frozen=True)
class End:
    """How a run ended: last verdicts, guidance, the review list, what its tools were told and asked with."""

    folder: Path
    mission: str
    selections: dict[str, Selection]
    guidance: MissionGuidance
    review: set[str]
    knobs: dict[str, Any]
    prompts: dict[str, PromptInUse]


@dataclass(frozen=True)
class Verdicts:
    """Tickets (keys) by what B did.

    ``fixed`` are wrong in A and right in B, ``broke`` the reverse; ``both`` counts the tickets in both runs.

    ``p_value``: exact two-sided McNemar test of fixed against broke.
    """

    both: int
    fixed: list[str]
    broke: list[str]
    only_a: list[str]
    only_b: list[str]
    p_value: float


def read_end(folder: Path) -> End:
    """Read how a run ended; raises UserError for a folder without a finished run's view."""
    missions = read_json(folder / "guidance.json", GuidanceFile).root
    mission, guidance = next(iter(missions.items()))
    selections = read_rows(folder / "selections.jsonl", Selection, allow_empty=True)
    review = (
        read_json(folder / "need_review.json", NeedReviewFile).missions
        if (folder / "need_review.json").exists()
        else {}
    )
    knobs: dict[str, Any] = {}
    for path in sorted((folder / "config").glob("*.yaml")):
        knobs |= flat(read_told(path))
    return End(
        folder, mission, {row.ticket_key: row for row in selections}, guidance,
        {ticket.ticket_key for found in review.values() for ticket in found.tickets}, knobs,
        {prompt.kind: prompt for prompt in prompts_in_use(folder)},
    )  # fmt: skip


def compare_verdicts(a: Mapping[str, Selection], b: Mapping[str, Selection]) -> Verdicts:
    """Verdicts of the tickets that both runs hold. A key holds its label, so both judge it against the same one."""
    both = [key for key in a if key in b]
    fixed = [key for key in both if not a[key].label_match and b[key].label_match]
    broke = [key for key in both if a[key].label_match and not b[key].label_match]
    return Verdicts(
        len(both),
        fixed,
        broke,
        [key for key in a if key not in b],
        [key for key in b if key not in a],
        mcnemar_exact(len(broke), len(fixed)),
    )


def final_rates(selections: Iterable[Selection]) -> VerdictRates:
    """The three rates of a run's last verdicts."""
    return verdict_rates((row.label, row.verdict) for row in selections)


def compare_rules(a: MissionGuidance, b: MissionGuidance) -> list[RuleChange]:
    """The rules that differ.

    The same text under another key is the same rule: runs number their rules as they find them.
    """
    shared = set(a.experiences.values()) & set(b.experiences.values())
    return changes_between(_without(a, shared), _without(b, shared), [])


def _without(guidance: MissionGuidance, texts: set[str]) -> MissionGuidance:
    kept = {key: text for key, text in guidance.experiences.items() if text not in texts or key == "G0"}
    return guidance.model_copy(update={"experiences": kept})


def compare_knobs(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Knobs that differ: (name, in A, in B); None where a run does not have it."""
    return [(name, a.get(name), b.get(name)) for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]


def compare_prompts(a: Mapping[str, PromptInUse], b: Mapping[str, PromptInUse]) -> list[str]:
    """The kinds of prompts that differ: by name, or by file where a run's records name none."""

    def same(one: PromptInUse | None, other: PromptInUse | None) -> bool:
        named = one and other and one.names and other.names
        return one.names == other.names if one and other and named else one == other

    return [kind for kind in {**a, **b} if not same(a.get(kind), b.get(kind))]


def by_label(keys: Sequence[str]) -> str:
    """``5 (3 fail, 2 pass)``, from ticket keys."""
    fails = sum(key.endswith("::fail") for key in keys)
    return f"{len(keys)} ({fails} fail, {len(keys) - fails} pass)" if keys else "0"
