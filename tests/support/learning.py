"""A world of tickets with a hidden rule, and a round of learning in it."""

import json
import re
from collections.abc import Sequence

from miniature.world.prompts import prompts_of
from tests.support.builders import NO_GUARD, candidates, ticket
from tests.support.builders import guidance as guidance_of
from tests.support.fake_engine import FakeEngine
from verdicts.base.jsonl import dump
from verdicts.config.load import CONFIGS, load
from verdicts.config.sections import ReflectSection
from verdicts.config.tools import ReflectConfig
from verdicts.guidance.learning import learn
from verdicts.guidance.past import Past
from verdicts.guidance.replay import replay
from verdicts.records.guidance import MissionGuidance
from verdicts.records.reflection import Reflection
from verdicts.records.rollout import Selection
from verdicts.rounds.windows import Place
from verdicts.stage_b.selection import select

NO_PAST = Past()
UNREADABLE, TIDY, MESSY = "标签/无法识别×1", "电线/捆扎整齐×1", "电线/散乱×1"
RIGHT_RULE, WRONG_RULE = "出现无法识别则不通过", "出现捆扎整齐则不通过"


def follows(system: str, user: str) -> str:
    """The verdict of an obedient model: 散乱 fails, ``出现X则不通过`` fails X, ``出现X可豁免`` waives X."""
    rules = re.findall(r"^G[1-9]\d*: (.*)$", system, re.MULTILINE)
    causes = {"散乱"} | {found for rule in rules for found in re.findall("出现([^、]+)(?:则不通过|、)", rule)}
    waived = {found for rule in rules for found in re.findall("出现(.+)可豁免", rule)}
    return "fail" if any(cause in user for cause in causes - waived) else "pass"


def config(holdout: float = 0.0, **reflect: object) -> ReflectConfig:
    """The configuration as shipped, with one call a direction and nothing more at an epoch's end."""
    whole = load("miniature", "bbu_line", configs=CONFIGS)
    sections = {name: getattr(whole, name) for name in ReflectConfig.model_fields}
    learn = whole.learn.model_copy(update={"holdout": holdout})
    return ReflectConfig(
        **sections | {"learn": learn, "reflect": rounds_alone(whole.reflect, **{"groups": 1, **reflect})}
    )


def rounds_alone(section: ReflectSection, **fields: object) -> ReflectSection:
    """The section with other values, and neither contrasts nor a pool at an epoch's end."""
    off = {
        "contrast": section.contrast.model_copy(update={"features": 0}),
        "pool": section.pool.model_copy(update={"candidates": 0}),
    }
    return section.model_copy(update=off | fields)


def add(text: str) -> dict:
    """An operation that brings a rule."""
    return {"op": "add", "text": text}


def answer(*operations: dict, unexplainable: Sequence[int] = ()) -> str:
    """A reflection answer with these operations, each on the first two cases."""
    return json.dumps(
        {
            "operations": [{"evidence": [1, 2], "rationale": "看案例", **operation} for operation in operations],
            "unexplainable": unexplainable,
        },
        ensure_ascii=False,
    )


class World:
    """Tickets, and a round of learning on the verdicts that an obedient model gave under some guidance."""

    def __init__(self, **counts: tuple[str, str, int]):
        """``name=(summary, label, count)``."""
        made = [
            ticket(f"{name}-{number}", label, (summary,))
            for name, (summary, label, count) in counts.items()
            for number in range(count)
        ]
        self.tickets = {of.ticket_key: of for of in made}

    def selections(self, guidance: MissionGuidance, cites: str = "G0", of: str = "") -> list[Selection]:
        """What an obedient model says of the tickets whose name begins with ``of``."""
        system = "\n".join(f"{key}: {text}" for key, text in guidance.experiences.items())
        asked = [one for one in self.tickets.values() if one.group_id.startswith(of)]
        chosen = [
            select(one, candidates(one, follows(system, next(iter(one.per_image.values())))), NO_GUARD) for one in asked
        ]
        return [selection.model_copy(update={"reason": f"依据({cites})"}) for selection in chosen]

    def learn(
        self,
        *reflections: str,
        guidance: MissionGuidance | None = None,
        cites: str = "G0",
        cfg: ReflectConfig | None = None,
        round: int = 1,
        judges=follows,
        past: Past = NO_PAST,
        window: str = "",
        rounds_per_epoch: int = 1,
    ) -> tuple[list[Reflection], MissionGuidance, FakeEngine]:
        """One round, on the tickets whose name begins with ``window``. Checks what must hold of every round: its
        records, read back from their file, replay to the guidance it ends with.
        """
        guidance = guidance or guidance_of()
        engine = FakeEngine(reflections=reflections, judges=judges)
        cfg = cfg or config()
        records, after = learn(
            cfg,
            prompts_of(cfg.mission.name),
            engine,
            guidance,
            self.tickets,
            self.selections(guidance, cites, window),
            past,
            Place(1, 0, rounds_per_epoch),
            round,
        )
        assert not engine.reflections, "more reflection answers than calls"
        assert replay(guidance, [Reflection.model_validate(json.loads(dump(record))) for record in records]) == after
        return records, after, engine
