"""Measure a miniature teacher: held-out verdicts, reflections, and real tickets under G0 alone.

    python -m miniature.measure.teacher --model data/miniature/teacher.gguf --output metrics.json
    python -m miniature.measure.teacher --worlds 0 --reflect 0 --real real_tickets --missions bbu_line,bbu_cable

Reads the GGUF, generates worlds of its own (seeds from 900,000 on, never used in training) and, with --real, reads
<mission>.stage_a.jsonl and <mission>.audit.jsonl there. Prints one JSON object; with --output writes it too.
"""

import json
import math
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

from miniature.teacher.reflection_data import reflection_case
from miniature.teacher.verdict_data import rule_keys
from miniature.world.dataset import MISSIONS, draw_tickets, sample_world
from miniature.world.prompts import prompts_of
from miniature.world.rules import parse_rule, verdict
from verdicts.stats.rates import wilson

HELD_OUT = 900_000


def open_teacher(model: Path):
    """The miniature in the default engine."""
    from verdicts.config.engine import LlamaCppConfig, Thinking
    from verdicts.engines import open_engine

    return open_engine(LlamaCppConfig(
        kind="llama_cpp", model=str(model),
        context_tokens=8192, batch_tokens=512, slots=16, chunk=64, kv="shared", kv_type="f16",
        contexts=1, n_threads=0, n_gpu_layers=0,
        grammar=True, reasons="per_verdict", thinking=Thinking(enabled=False, max_new_tokens=16),
    ))  # fmt: skip


def share(k: int, n: int) -> dict:
    """A rate with its n and 95 % Wilson interval."""
    rate = wilson(k, n)
    return {"rate": rate.rate, "n": n, "wilson": [rate.low, rate.high]}


def said(logprob: dict) -> str:
    """The likelier verdict."""
    return max(logprob, key=lambda name: -math.inf if logprob[name] is None else logprob[name])


def measure_verdicts(engine, worlds: int, count: int) -> dict:
    """Accuracy on clean labels, for each mission: under all hidden rules, and under G0 alone."""
    out, total = {}, Counter()
    for slug, mission in MISSIONS.items():
        seen = Counter()
        for seed in range(HELD_OUT, HELD_OUT + worlds):
            world = sample_world(seed, slug)
            rows = draw_tickets(world, count, seed, 0.0)
            rng = Random(seed)
            for hidden in (world.hidden, ()):
                rules = dict(zip(rule_keys(rng, len(hidden)), hidden, strict=True))
                guidance = {"G0": mission.g0.text()} | {key: rule.text() for key, rule in rules.items()}
                prompts = prompts_of(mission.name)
                users = [prompts.stage_b_user(row.ticket.per_image) for row in rows]
                scores = engine.judge(prompts.stage_b_system(guidance), users)
                for row, score in zip(rows, scores, strict=True):
                    _count(seen, row, score, mission.g0, rules)
        out[slug] = _verdict_rates(seen)
        total += seen
    return out | {"all": _verdict_rates(total)}


def _count(seen: Counter, row, score: dict, g0, rules: dict) -> None:
    right = verdict(row.ticket.facts, g0, rules)
    got = said(score)
    kind = "rules" if rules else "g0"
    seen[kind, "n"] += 1
    seen[kind, "right"] += got == right
    seen[kind, "hesitant"] += math.exp(score[right]) < 0.9
    seen["fail", "n"] += right == "fail"
    seen["fail", "released"] += right == "fail" and got == "pass"
    seen["pass", "n"] += right == "pass"
    seen["pass", "blocked"] += right == "pass" and got == "fail"
    if rules and verdict(row.ticket.facts, g0, {}) != right:
        seen["flip", "n"] += 1
        seen["flip", "right"] += got == right


def _verdict_rates(seen: Counter) -> dict:
    return {
        "accuracy_with_rules": share(seen["rules", "right"], seen["rules", "n"]),
        "accuracy_g0_alone": share(seen["g0", "right"], seen["g0", "n"]),
        "accuracy_where_a_rule_flips_g0": share(seen["flip", "right"], seen["flip", "n"]),
        "frr": share(seen["fail", "released"], seen["fail", "n"]),
        "fbr": share(seen["pass", "blocked"], seen["pass", "n"]),
        "right_verdict_below_0.9": share(seen["rules", "hesitant"] + seen["g0", "hesitant"],
            seen["rules", "n"] + seen["g0", "n"]),
    }  # fmt: skip


def reflections(engine, count: int) -> dict:
    """Is the first operation the right one: greedily, and among four samples at temperature 0.7."""
    from verdicts.engines import Decode

    rng, seen, by_op, cases = Random(HELD_OUT), Counter(), defaultdict(Counter), []
    for _ in range(count):
        sample, value, _ = reflection_case(rng)
        cases.append((sample, value))
    decodes = [Decode(0.0, 1.0, 384, 0)] + [Decode(0.7, 0.95, 384, seed) for seed in range(1, 5)]
    for sample, value in cases:
        answers = [_read(c.text) for c in engine.complete(sample.system, [sample.user] * len(decodes), decodes)]
        seen["answers"] += len(answers)
        seen["json"] += sum(answer is not None for answer in answers)
        wanted = _gist(value)
        kind = _kind(value)
        got = [_gist(answer) if answer else None for answer in answers]
        by_op[kind]["n"] += 1
        by_op[kind]["greedy"] += got[0] == wanted
        by_op[kind]["among_four"] += wanted in got[1:]
    table = {
        kind: {"greedy": share(c["greedy"], c["n"]), "among_four": share(c["among_four"], c["n"])}
        for kind, c in sorted(by_op.items())
    }
    return {"valid_json": share(seen["json"], seen["answers"]), "first_operation": table}


def _kind(value: dict) -> str:
    """The first operation, an add with how many cases speak for it; ``noise`` where no operation is right."""
    if not value["operations"]:
        return "noise"
    first = value["operations"][0]
    return (
        first["op"]
        if first["op"] != "add"
        else f"add_for_{min(4, len(first['evidence']))}{'+' if len(first['evidence']) > 3 else ''}_cases"
    )


def _read(text: str) -> dict | None:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("operations"), list) else None


def _gist(value: dict) -> tuple:
    """What the first operation does: its kind and the rule or keys it names."""
    if not value["operations"]:
        return ("none",)
    first = value["operations"][0]
    text = first.get("text")
    return (
        first.get("op"),
        str(parse_rule(text) or text) if text else None,
        first.get("key"),
        tuple(first.get("keys", ())),
    )


def on_real_tickets(engine, folder: Path, slugs: list[str], wrong: Path | None) -> dict:
    """Verdict = label under G0 alone, for each audit category."""
    out, misses = {}, []
    for slug in slugs:
        mission, seen = MISSIONS[slug], defaultdict(Counter)
        rows = [
            json.loads(line) for line in (folder / f"{slug}.stage_a.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        audit = {
            a["ticket_key"]: a["category"]
            for a in map(json.loads, (folder / f"{slug}.audit.jsonl").read_text(encoding="utf-8").splitlines())
        }
        prompts = prompts_of(mission.name)
        users = [prompts.stage_b_user(row["per_image"]) for row in rows]
        scores = engine.judge(prompts.stage_b_system({"G0": mission.g0.text()}), users)
        for row, score in zip(rows, scores, strict=True):
            category = audit[f"{row['group_id']}::{row['label']}"]
            seen[category]["n"] += 1
            seen[category]["right"] += said(score) == row["label"]
            if said(score) != row["label"]:
                misses.append({"mission": slug, "category": category, "score": score, **row})
        out[slug] = {category: share(c["right"], c["n"]) for category, c in sorted(seen.items())}
    if wrong:
        wrong.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in misses), encoding="utf-8")
    return out


def main(
    model: Path = Path("data/miniature/teacher.gguf"), worlds: int = 2, count: int = 100, reflect: int = 200,
    real: Path | None = None,
    missions: str = "bbu_line,bbu_cable,bbu_wind,bbu_install", wrong: Path | None = None, output: Path | None = None,
) -> None:  # fmt: skip
    """Measure a miniature teacher."""
    from verdicts.base.jsonl import write_json

    engine = open_teacher(model)
    figures = {"model": engine.fingerprint}
    if worlds:
        figures["verdicts"] = measure_verdicts(engine, worlds, count)
    if reflect:
        figures["reflections"] = reflections(engine, reflect)
    if real:
        figures["real_g0_alone"] = on_real_tickets(engine, real, missions.split(","), wrong)
    engine.close()
    print(json.dumps(figures, ensure_ascii=False, indent=1))
    if output:
        write_json(output, figures)


if __name__ == "__main__":
    from verdicts.command.cli import run

    run(main)
