"""Three right and three harmful rules enter at once: which credit keeps which?

    python -m miniature.measure.credit --worlds 8 --tickets 128 --flip 0.1 --output credit.json

Worlds of bbu_line (seeds from 700 on). The right rules are three of the world's four hidden ones. The harmful ones are
drawn from those that turn at least 4 % of the clean verdicts, each of them to the wrong side. All six are there when an
epoch begins, in a seeded order; nothing is proposed. After each round rules leave as in the loop. Prints a line a world
and credit.
"""

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from miniature.measure.teacher import open_teacher
from miniature.world.dataset import ALL_RULES, World, WorldRule, draw_tickets, sample_world, stage_a_rows, verdict
from verdicts.base.jsonl import write_json
from verdicts.config.load import load
from verdicts.config.sections import Config
from verdicts.engines import Engine
from verdicts.guidance.credit import tallies_of
from verdicts.guidance.leaving import leaving
from verdicts.guidance.replay import start
from verdicts.guidance.rules import credit, remove
from verdicts.measure.rehearsal import Recall, play
from verdicts.records.reflection import Reflection
from verdicts.records.tickets import StageA
from verdicts.rounds.windows import place_of, tickets_of
from verdicts.stage_b.prompts import load_prompts
from verdicts.stats.rates import wilson

FIRST, EACH = 700, 3


def harmful_rules(world: World, rng: Random, rows: list) -> list[WorldRule]:
    """Rules that turn enough clean verdicts, all of which are right under the world's own rules."""
    found = []
    for rule in rng.sample(ALL_RULES, len(ALL_RULES)):
        if rule in world.hidden:
            continue
        right = [verdict(row.ticket.facts, world.mission.g0, world.rules) for row in rows]
        rules = world.rules | {"X": rule}
        now = [verdict(row.ticket.facts, world.mission.g0, rules) for row in rows]
        if sum(a != b for a, b in zip(right, now, strict=True)) >= 0.04 * len(rows):
            found.append(rule)
        if len(found) == EACH:
            break
    return found


def kept_rules(config: Config, engine: Engine, tickets: list[StageA]) -> dict[str, str]:
    """The rules that are left after an epoch without proposals, by key."""
    prompts, by_key = load_prompts(config.prompts, config.mission), {one.ticket_key: one for one in tickets}
    guidance, lives, number = start(config.mission), dict[int, Reflection](), 1
    place = place_of(number, len(tickets), config.window.tickets)
    while place.epoch == 1:
        window = tickets_of(place, tickets, config.window.seed)
        chosen = [selection for _, selection in play(config, engine, guidance, window, place, number) if selection]
        tallies = tallies_of(prompts, guidance, chosen, by_key, engine, {}, config.reflect)
        guidance = credit(guidance, tallies)
        seen = Counter(f"{selection.label}/{selection.verdict}" for selection in chosen)
        lives[number] = Reflection(
            reflection_id=f"r{number:04d}-life", round=number, epoch=1, ticket_keys=[], directions={}, prompt_digest="",
            raw_response="", operations=[], unexplainable=[], applied=[], rejected=[], tallies=tallies,
            verdicts=dict(seen), cleaned_up=[], before_step=0, after_step=0,
        )  # fmt: skip
        if left := leaving(guidance, lives, {}, config.life_cycle, number, place.rounds_per_epoch):
            guidance = remove(guidance, left, number)
        number += 1
        place = place_of(number, len(tickets), config.window.tickets)
    return {key: text for key, text in guidance.experiences.items() if key != "G0"}


def main(
    worlds: Annotated[int, typer.Option(help="Worlds, seeds --first, --first + 1, …")] = 8,
    first: Annotated[int, typer.Option(help="Seed of the first world.")] = FIRST,
    tickets: Annotated[int, typer.Option(help="Tickets of each.")] = 128,
    flip: Annotated[float, typer.Option(help="Share of flipped labels.")] = 0.1,
    model: Annotated[Path, typer.Option(help="The teacher.")] = Path("data/miniature/teacher.gguf"),
    output: Annotated[Path | None, typer.Option(help="Counts as JSON.")] = None,
) -> None:
    """Count which of three right and three harmful rules each credit keeps."""
    engine, base = Recall(open_teacher(model)), load("miniature", "bbu_line")
    counts: dict[str, Counter[str]] = {"cited": Counter(), "causal": Counter()}
    for seed in range(first, first + worlds):
        world, rng = sample_world(seed, "bbu_line"), Random(seed)
        rows = draw_tickets(world, tickets, seed, flip)
        right, wrong = rng.sample(world.hidden, EACH), harmful_rules(world, rng, rows)
        texts = {rule.text(): "right" for rule in right} | {rule.text(): "harmful" for rule in wrong}
        mission = base.mission.model_copy(update={"rules": rng.sample(sorted(texts), len(texts))})
        given = [StageA.model_validate(row) for row in stage_a_rows(world, rows)]
        for how, seen in counts.items():
            reflect = base.reflect.model_copy(update={"credit": how})
            rollout = base.rollout.model_copy(update={"grid": base.rollout.grid[:1]})  # one candidate: four cost more
            config = base.model_copy(update={"mission": mission, "reflect": reflect, "rollout": rollout})
            before = dict(engine.asked)
            kept = kept_rules(config, engine, given).values()
            seen.update({f"{kind} kept": sum(texts[text] == kind for text in kept) for kind in ("right", "harmful")})
            seen.update(Counter(texts.values()))
            seen.update(judged=engine.asked["judge"] - before["judge"])
            print(seed, how, {text: texts[text] for text in kept}, flush=True)
    found = {
        how: {kind: str(wilson(seen[f"{kind} kept"], seen[kind])) for kind in ("right", "harmful")}
        | {"judged": seen["judged"]}
        for how, seen in counts.items()
    }
    print(json.dumps(found, ensure_ascii=False, indent=1))
    if output:
        write_json(output, found)


if __name__ == "__main__":
    typer.run(main)
