"""Changed tickets, by kind of behavioural test: what must not move a verdict, and what must.

After CheckList (Ribeiro et al., ACL 2020): minimum functionality, invariance, direction. A change takes a ticket's
summaries and gives others, or a reason word why it does not fit this ticket. The same seed gives the same changes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple

from verdicts.config.sections import BehaviourSection, FailFirst, Negative
from verdicts.facts.summary import read_summary
from verdicts.facts.words import IRRELEVANT, SAME
from verdicts.stage_b.negatives import negatives_in

PhotoTexts = Mapping[str, str]
Test = Literal["minimum", "invariance", "direction"]
# what holds them in the text form of summaries, as Stage A writes it
_GATHERED = ("螺丝", "插头")
_GATHERS = "螺丝、光纤插头/"
# words for one thing, without those that mean it only behind a name (可见性=部分)
_WORDINGS = [tuple(word for word in words if "=" not in word) for words in SAME]


class Changed(NamedTuple):
    """A changed ticket: its summaries, and in words what was changed."""

    summaries: dict[str, str]
    what: str


@dataclass(frozen=True)
class ChangedUnder:
    """What changes depend on beside the ticket. ``rules``: the guidance, G0 first; ``waivers``: words of a waiver."""

    settings: BehaviourSection
    guard: FailFirst
    rules: Sequence[str]
    waivers: Sequence[str]

    def names(self, words: Sequence[str]) -> bool:
        """Whether a rule has one of the words."""
        return any(word in rule for word in words for rule in self.rules)

    def negatives(self) -> list[tuple[str, str]]:
        """(object, value) of each explicit negative that no rule waives."""
        waiving = [rule for rule in self.rules[1:] if any(word in rule for word in self.waivers)]
        pairs = [
            (name, value)
            for one in self.guard.negatives
            if isinstance(one, Negative)
            for name in one.objects
            for value in one.values
        ]
        return [(name, value) for name, value in pairs if not any(name in rule or value in rule for rule in waiving)]


MakeChange = Callable[[PhotoTexts, Random, ChangedUnder], Changed | str]


def numbered(texts: Sequence[str]) -> dict[str, str]:
    """PhotoTexts as tickets name them."""
    return {f"image_{number}": text for number, text in enumerate(texts, start=1)}


def reorder_photos(photos: PhotoTexts, rng: Random, scene: ChangedUnder) -> Changed | str:
    """The photos in another order."""
    texts = list(photos.values())
    if len(set(texts)) < 2:
        return "one_photo"
    order = list(texts)
    while order == texts:
        rng.shuffle(order)
    return Changed(numbered(order), "photos in another order")


def reorder_facts(photos: PhotoTexts, rng: Random, scene: ChangedUnder) -> Changed | str:
    """The facts of each photo in another order."""
    items = [_items(text) for text in photos.values()]
    if None in items:
        return "json"
    shuffled = [rng.sample(known, len(known)) for known in items if known is not None]
    if shuffled == items:
        return "nothing_to_change"
    return Changed(numbered(["，".join(known) for known in shuffled]), "facts in another order")


def rename_brand(photos: PhotoTexts, rng: Random, scene: ChangedUnder) -> Changed | str:
    """Another brand throughout."""
    brands = scene.settings.brands
    if scene.names(brands):
        return "a_rule_names_it"
    there = [brand for brand in brands if any(brand in text for text in photos.values())]
    if not there:
        return "nothing_to_change"
    old = rng.choice(there)
    new = rng.choice([brand for brand in brands if brand != old])
    return Changed({name: text.replace(old, new) for name, text in photos.items()}, f"{new} for {old}")


def add_irrelevant(photos: PhotoTexts, rng: Random, scene: ChangedUnder) -> Changed | str:
    """One more photo, of nothing."""
    if scene.names(scene.settings.photo_words):
        return "a_rule_counts_photos"
    texts = list(photos.values())
    texts.insert(rng.randrange(len(texts) + 1), f"{IRRELEVANT}×1")
    return Changed(numbered(texts), f"one more photo: {IRRELEVANT}")


def paraphrase(photos: PhotoTexts, rng: Random, scene: ChangedUnder) -> Changed | str:
    """Another word for the same, one throughout."""
    whole = "\n".join(photos.values())
    pairs = [
        (old, new) for words in _WORDINGS for old in words if _whole_word(old, whole) for new in words if new != old
    ]
    if not pairs:
        return "nothing_to_change"
    old, new = rng.choice(pairs)
    return Changed({name: text.replace(old, new) for name, text in photos.items()}, f"{new} for {old}")


def _whole_word(word: str, text: str) -> bool:
    """Whether a word stands there and no longer one of the list does: 不符合 is not the 不符合 of 不符合要求."""
    longer = [other for words in _WORDINGS for other in words if word in other and word != other]
    return word in text and not any(other in text for other in longer)


def insert_negative(photos: PhotoTexts, rng: Random, scene: ChangedUnder) -> Changed | str:
    """An explicit negative of the mission: in place of what a photo says of the object, else behind its facts."""
    pairs = scene.negatives()
    seen = {name: items for name, text in photos.items() if (items := _items(text)) and IRRELEVANT not in text}
    if not pairs or not seen:
        return "no_negative" if not pairs else "json"
    name, value = rng.choice(pairs)
    holds = [at for at, items in seen.items() if any(name in item for item in items)]
    at = rng.choice(holds or list(seen))
    fact = f"{_GATHERS if name.endswith(_GATHERED) else ''}{name},{value}×1"
    items = [item for item in seen[at] if name not in item]
    return Changed({**photos, at: "，".join([*items, fact])}, f"{at}: {fact}")


def remove_negative(photos: PhotoTexts, rng: Random, scene: ChangedUnder) -> Changed | str:
    """All explicit negatives of the mission are gone; a photo of nothing else goes with them."""
    texts, gone = [], []
    for text in photos.values():
        bad = {fact.text for fact in negatives_in(text, scene.guard)}
        items = _items(text)
        if bad and items is None:
            return "json"
        gone += sorted(bad)
        left = [item for item in items or () if item not in bad] if bad else [text]
        texts += ["，".join(left)] if left else []
    if not gone or not texts:
        return "no_negative" if not gone else "nothing_left"
    return Changed(numbered(texts), f"without {'，'.join(gone)}")


def all_irrelevant(photos: PhotoTexts, rng: Random, scene: ChangedUnder) -> Changed | str:
    """Every photo is of nothing."""
    return Changed(dict.fromkeys(photos, f"{IRRELEVANT}×1"), f"all photos: {IRRELEVANT}")


class BehaviourKind(NamedTuple):
    """A kind of test: what is changed, and for direction and minimum what must come of it.

    ``must_fail``: the changed ticket has to fail (only tickets that passed are changed, where ``from_pass``). Without
    it the verdict has to stay, or with ``may_not_rise`` P(fail) may not rise.
    """

    test: Test
    change: MakeChange
    must_fail: bool = False
    from_pass: bool = False
    may_not_rise: bool = False


BEHAVIOUR_KINDS: dict[str, BehaviourKind] = {
    "all_irrelevant": BehaviourKind("minimum", all_irrelevant, must_fail=True),
    "reorder_photos": BehaviourKind("invariance", reorder_photos),
    "reorder_facts": BehaviourKind("invariance", reorder_facts),
    "rename_brand": BehaviourKind("invariance", rename_brand),
    "add_irrelevant": BehaviourKind("invariance", add_irrelevant),
    "paraphrase": BehaviourKind("invariance", paraphrase),
    "insert_negative": BehaviourKind("direction", insert_negative, must_fail=True, from_pass=True),
    "remove_negative": BehaviourKind("direction", remove_negative, may_not_rise=True),
}


def _items(summary: str) -> list[str] | None:
    """The items of a summary of the text form, as written; None of another form."""
    found = read_summary(summary)
    if found.form == "json":
        return None
    return list({fact.start: fact.text for fact in found.facts}.values())
