"""Measure tickets/s of our rollout against llama_cpp.Llama answering one after another, in one run.

    python -m tools.bench --models miniature --mission bbu_line --tickets 32 --repeats 5

Same GGUF, tickets, prompts, candidates and max_new_tokens; the baseline reuses its own prefix, has no grammar to keep
and gets one thread or as many as ours, whichever serves it better on the first tickets. The two take turns, so that a
busy machine slows both; medians count. Writes nothing.

With --server a third takes its turn: an OpenAI-compatible server (llama-server, vLLM) that serves the same model,
asked by our openai engine for all candidates, as many at a time as ours has slots.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verdicts.config.engine import OpenAIConfig
    from verdicts.config.sections import Config
    from verdicts.engines import Decode

GOAL = 5.0  # times as fast
PROBE = 6  # tickets


def main(
    models: Annotated[str, typer.Option(help="Model set: configs/models/<set>.yaml, of kind llama_cpp.")] = "miniature",
    mission: Annotated[str, typer.Option(help="Mission whose checklist and name the prompts carry.")] = "bbu_line",
    stage_a: Annotated[
        Path | None, typer.Option(help="Stage-A tickets (JSONL); else tickets of the miniature's world.")
    ] = None,
    tickets: Annotated[int, typer.Option(min=1, help="Number of tickets to answer.")] = 32,
    repeats: Annotated[int, typer.Option(min=1, help="Turns each of the two takes.")] = 5,
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0 takes the configuration's.")] = 0,
    server: Annotated[str, typer.Option(help="Base URL of a server with the same model, to compare with.")] = "",
) -> None:
    """Print a table of both rates and their ratio."""
    from statistics import median

    from verdicts.base.errors import mistake
    from verdicts.command.cli import say
    from verdicts.config.load import load
    from verdicts.engines.llama.engine import LlamaCppEngine
    from verdicts.engines.openai.engine import OpenAIEngine
    from verdicts.rounds.trajectories import decodes_for
    from verdicts.stage_b.prompts import load_prompts

    cfg = load(models, mission)
    if cfg.engine.kind != "llama_cpp":
        raise mistake(f"{cfg.engine.kind} is not llama_cpp", "choose a model set of that kind", field="--models")
    chosen = take(cfg, stage_a, tickets)
    rules = {"G0": cfg.mission.g0} | {f"G{i}": rule for i, rule in enumerate(cfg.mission.rules, start=1)}
    prompts = load_prompts(cfg.prompts, cfg.mission)
    system, users = prompts.stage_b_system(rules), [prompts.stage_b_user(ticket.per_image) for ticket in chosen]
    decodes = [decodes_for(ticket, cfg.rollout) for ticket in chosen]
    engine = LlamaCppEngine(cfg.engine.model_copy(update={"n_threads": threads or cfg.engine.n_threads}))

    def probe(threads: int) -> float:
        return seconds(lambda: one_after_another(cfg, threads)(system, users[:PROBE], decodes[:PROBE]))

    their_threads = min(sorted({1, engine.threads}), key=probe)
    baseline = one_after_another(cfg, their_threads)
    ways = {
        "llama_cpp.Llama": lambda: baseline(system, users, decodes),
        "our rollout": lambda: list(engine.rollout(system, users, decodes)),
    }
    if server:
        through = OpenAIEngine(through_server(cfg, server))
        ways["the server"] = lambda: list(through.rollout(system, users, decodes))
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            rates[name].append(len(users) / seconds(way))
    engine.close()

    print(f"{'tickets/s':24}{'median':>8}{'least':>8}{'most':>8}")
    for name, of_way in rates.items():
        print(f"{name:24}{median(of_way):8.1f}{min(of_way):8.1f}{max(of_way):8.1f}")
    times = {name: median(rates["our rollout"]) / median(of_way) for name, of_way in rates.items()}
    print(f"{'times as fast':24}{times['llama_cpp.Llama']:8.1f}   (goal: at least {GOAL:.0f})")
    if server:
        through.close()
        print(f"{'  as the server':24}{times['the server']:8.1f}")
    say(
        f"bench: {len(users)} tickets x {len(decodes[0])} candidates, {engine.threads} threads ({their_threads} for "
        f"the baseline, which is faster so), {repeats} turns each: {times['llama_cpp.Llama']:.1f} times as fast as "
        "llama_cpp.Llama"
    )


def through_server(cfg: "Config", base_url: str) -> "OpenAIConfig":
    """Our openai engine on a server with the same model, with as many requests in flight as ours has slots."""
    from verdicts.config.engine import OpenAIConfig

    ours = cfg.engine
    return OpenAIConfig(
        kind="openai", model=Path(ours.model).stem, base_url=base_url, api_key_env="", chunk=ours.chunk,
        thinking=ours.thinking, timeout_s=600.0, retries=0, concurrency=ours.slots,
    )  # fmt: skip


def take(cfg: "Config", stage_a: Path | None, count: int) -> list:
    """The first ``count`` tickets of a file, or of the miniature's world of this mission."""
    from verdicts.records.tickets import StageA, read_tickets

    if stage_a is not None:
        return read_tickets(stage_a, cfg.mission.name)[:count]
    from miniature.world.dataset import draw_tickets, sample_world, stage_a_rows

    world = sample_world(1, cfg.mission.slug)
    return [StageA.model_validate(row) for row in stage_a_rows(world, draw_tickets(world, count, 1, 0.05))]


def one_after_another(
    cfg: "Config", threads: int
) -> "Callable[[str, Sequence[str], Sequence[Sequence[Decode]]], None]":
    """The baseline: llama-cpp-python's own class, one candidate after another, with its prefix reuse."""
    from llama_cpp import Llama

    llama = Llama(
        cfg.engine.model,
        n_ctx=min(cfg.engine.context_tokens, 8192),
        n_batch=cfg.engine.batch_tokens,
        n_ubatch=cfg.engine.batch_tokens,
        n_threads=threads,
        n_threads_batch=threads,
        n_gpu_layers=cfg.engine.n_gpu_layers,
        verbose=False,
    )

    def answer(system: str, users: "Sequence[str]", decodes: "Sequence[Sequence[Decode]]") -> None:
        for user, settings in zip(users, decodes, strict=True):
            messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
            for decode in settings:
                llama.create_chat_completion(
                    messages, temperature=decode.temperature, top_p=decode.top_p, top_k=0, min_p=0.0,
                    max_tokens=decode.max_new_tokens, seed=decode.seed,
                )  # fmt: skip

    return answer


def seconds(work: "Callable[[], object]") -> float:
    """How long ``work`` takes."""
    import time

    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    run(main, engine="llama.cpp")
