"""Rules as stories: where each came from, what it did by round, what its changes fixed and broke, why it left."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from verdicts.guidance.diff import RuleChange, changes_between, latest_metadata
from verdicts.records.guidance import RuleMeta
from verdicts.records.reflection import Reflection, RejectedOperation, RuleTally
from verdicts.runs.view import Learnt
from verdicts.stage_b.prompts import rule_number


@dataclass(frozen=True)
class Event:
    """A change of one rule in one round."""

    round: int
    epoch: int
    change: RuleChange


@dataclass
class Story:
    """One learnable rule. ``born`` 0: it stood in the mission's configuration. ``died`` None: it still is in force.

    ``events`` hold its birth (unless it was there at the start), rewordings and death. ``tallies``, ``confidence``: by
    round; ``metadata`` is what is known at the end, counted since it was last worded.
    """

    key: str
    text: str
    born: int
    metadata: RuleMeta
    died: int | None = None
    events: list[Event] = field(default_factory=list)
    tallies: dict[int, RuleTally] = field(default_factory=dict)
    confidence: dict[int, float] = field(default_factory=dict)


def stories_of(learnt: Learnt) -> list[Story]:
    """Every learnable rule that ever was, in the order of the keys."""
    stories: dict[str, Story] = {}
    known = latest_metadata(learnt.states[-1])
    for key, text in learnt.states[0].experiences.items():
        if key != "G0":
            stories[key] = Story(key, text, 0, known.get(key, learnt.states[0].metadata[key]))
    for number, records in enumerate(learnt.reflections, start=1):
        before, after = learnt.states[number - 1], learnt.states[number]
        for change in changes_between(before, after, records):
            if change.key != "G0":
                _tell(stories, Event(number, records[0].epoch, change), known)
        for key, seen in (item for record in records for item in record.tallies.items()):
            if key in stories:
                stories[key].tallies[number] = seen
        for key in stories.keys() & after.metadata.keys():
            stories[key].confidence[number] = after.metadata[key].confidence
    return [stories[key] for key in sorted(stories, key=rule_number)]


def _tell(stories: dict[str, Story], event: Event, known: dict[str, RuleMeta]) -> None:
    """Add a change to its rule's story; a birth begins one."""
    change = event.change
    if change.sign == "+":
        metadata = known.get(change.key) or change.metadata
        assert metadata is not None  # a change that adds a rule brings its metadata
        stories[change.key] = Story(change.key, change.text, event.round, metadata)
    story = stories[change.key]
    story.events.append(event)
    story.text = change.text
    if change.sign == "-":
        story.died = event.round


def changes_by_round(stories: Iterable[Story]) -> dict[int, str]:
    """What each round changed, as ``+G1 ~G2 -G3``; rounds without a change are left out."""
    changes = defaultdict(list)
    events = [event for story in stories for event in story.events]
    for event in sorted(events, key=lambda event: (event.round, rule_number(event.change.key))):
        changes[event.round].append(f"{event.change.sign}{event.change.key}".replace("-", "−"))
    return {number: " ".join(words) for number, words in changes.items()}


@dataclass(frozen=True)
class RefusedProposals:
    """Proposals refused for one reason word: how many, and their texts with how often each was proposed."""

    why: str
    count: int
    texts: list[tuple[str, int]]


def refused_of(reflections: Iterable[Iterable[Reflection]]) -> list[RefusedProposals]:
    """All refused proposals by reason word, the most frequent first."""
    texts: dict[str, Counter[str]] = defaultdict(Counter)
    for rejected in (rejected for records in reflections for record in records for rejected in record.rejected):
        texts[rejected.why.partition(":")[0]][_text_of(rejected)] += 1
    ranked = sorted(texts.items(), key=lambda item: (-item[1].total(), item[0]))
    return [
        RefusedProposals(why, found.total(), sorted(found.items(), key=lambda item: (-item[1], item[0])))
        for why, found in ranked
    ]


def _text_of(rejected: RejectedOperation) -> str:
    """What was proposed, as far as it could be read."""
    op = rejected.op if isinstance(rejected.op, dict) else {}
    keys = op.get("keys") or [op.get("key")] if isinstance(op.get("keys"), (list, type(None))) else []
    return " ".join(str(part) for part in (op.get("op"), *keys, op.get("text")) if part)
