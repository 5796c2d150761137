"""Measure tickets/s of our rollout against llama_cpp.Llama answering one after another, in one run.

    python -m tools.bench --models miniature --mission bbu_line --tickets 32 --repeats 5
    python -m tools.bench --models fake32b --tickets 256 --first 8 --shared-tokens 900 --own-tokens 500 --repeats 1 \\
        --variant kv=shared,contexts=1 --variant contexts=1

Same GGUF, tickets, prompts, candidates and max_new_tokens; the baseline reuses its own prefix, has no grammar to keep,
draws among the 40 likeliest tokens of a large vocabulary (its default; all of them take it twice as long)
and on the CPU gets one thread or as many as ours, whichever serves it better on the first tickets. All take turns, so
that a busy machine slows them alike; medians count. Each opens the model anew (not timed) and answers a ticket first
(not timed). Writes nothing.

A --variant is our rollout once more, with other knobs of the engine. With --llama-server llama.cpp's own server takes
its turn (`make llama-programs` compiles it), started with as many slots as ours has; with --server one that serves the
same model already (llama-server, vLLM). Either is asked by our openai engine for all candidates, as many at a time as
ours has slots. --first: so few tickets for the baseline, which is slow with a large model.
--shared-tokens and --own-tokens make prompts longer: with rules, and with photos of other tickets.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verdicts.config.engine import LlamaCppConfig, OpenAIConfig
    from verdicts.config.sections import Config
    from verdicts.engines import Decode
    from verdicts.records.tickets import StageA

GOAL = {"miniature": 5.0, "fake32b": 30.0}  # times as fast
PROBE = 6  # tickets
TEMPLATE = 64  # tokens that a chat template puts around two messages, at most

if TYPE_CHECKING:
    Answers = Callable[[Sequence[str], Sequence[Sequence[Decode]]], object]
    Way = Callable[[], tuple[Answers, Callable[[], None]]]  # opens a model; answers, and closes it


def main(
    models: Annotated[str, typer.Option(help="Model set: configs/models/<set>.yaml, of kind llama_cpp.")] = "miniature",
    mission: Annotated[str, typer.Option(help="Mission whose checklist and name the prompts carry.")] = "bbu_line",
    stage_a: Annotated[
        Path | None, typer.Option(help="Stage-A tickets (JSONL); else tickets of the miniature's world.")
    ] = None,
    tickets: Annotated[int, typer.Option(min=1, help="Number of tickets to answer.")] = 32,
    first: Annotated[int, typer.Option(min=0, help="So many of them for the baseline; 0: all.")] = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Turns each of them takes.")] = 5,
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0 takes the configuration's.")] = 0,
    shared_tokens: Annotated[int, typer.Option(min=0, help="Tokens of the system message, at least.")] = 0,
    own_tokens: Annotated[int, typer.Option(min=0, help="Tokens of a ticket, at least.")] = 0,
    variant: Annotated[list[str] | None, typer.Option(help="Our rollout with other knobs, knob=value,….")] = None,
    server: Annotated[str, typer.Option(help="Base URL of a server with the same model, to compare with.")] = "",
    llama_server: Annotated[bool, typer.Option("--llama-server", help="Start llama-server, to compare with.")] = False,
    served: Annotated[int, typer.Option(min=1, help="So many tickets for llama-server, at most: it is slow too.")] = 64,
) -> None:
    """Print a table of all rates and their ratios to the baseline's."""
    from functools import partial
    from statistics import median

    from verdicts.base.errors import mistake
    from verdicts.command.cli import say
    from verdicts.config.load import load
    from verdicts.rounds.trajectories import decodes_for

    cfg = load(models, mission)
    if cfg.engine.kind != "llama_cpp":
        raise mistake(f"{cfg.engine.kind} is not llama_cpp", "choose a model set of that kind", field="--models")
    settings = cfg.engine.model_copy(update={"n_threads": threads or cfg.engine.n_threads})
    system, users, lengths, longest = prompts_of(cfg, take(cfg, stage_a, tickets), shared_tokens, own_tokens)
    decodes = [decodes_for(ticket, cfg.rollout) for ticket in take(cfg, stage_a, tickets)]
    variants = {text: with_knobs(settings, text) for text in variant or ()}
    count = first or len(users)
    alone = partial(one_after_another, settings, system)
    ways: dict[str, Way] = {"llama_cpp.Llama": of_best_threads(settings, alone, users[:count], decodes[:count])}
    ways |= {name: ours(one, system) for name, one in {"our rollout": settings, **variants}.items()}
    if llama_server:
        theirs = partial(through_llama_server, cfg, system, longest + cfg.rollout.max_new_tokens)
        ways["llama-server"] = of_best_threads(settings, theirs, users, decodes)
    if server:
        ways["the server"] = ours(through_server(cfg, server), system)
    few = {"llama_cpp.Llama": count, "llama-server": min(len(users), served)}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            asked = few.get(name, len(users))
            rates[name].append(asked / timed(way, users[:asked], decodes[:asked]))

    base = median(rates["llama_cpp.Llama"])
    width = max(map(len, rates)) + 2
    print(f"{'tickets/s':{width}}{'median':>8}{'least':>8}{'most':>8}{'times':>8}")
    for name, found in rates.items():
        print(f"{name:{width}}{median(found):8.3g}{min(found):8.3g}{max(found):8.3g}{median(found) / base:8.1f}")
    goal = f" (goal: {GOAL[models]:.0f})" if models in GOAL else ""
    say(
        f"bench: {len(users)} tickets x {len(decodes[0])} candidates, {lengths}, {repeats} turns each: "
        f"{median(rates['our rollout']) / base:.1f} times as fast as llama_cpp.Llama{goal}"
    )


def with_knobs(settings: "LlamaCppConfig", text: str) -> "LlamaCppConfig":
    """Engine settings with other values, ``knob=value,knob=value``. Raises UserError for an unknown one."""
    import yaml

    from verdicts.base.errors import mistake
    from verdicts.config.engine import LlamaCppConfig

    knobs = dict(pair.partition("=")[::2] for pair in text.split(","))
    values = {knob: yaml.safe_load(value) for knob, value in knobs.items()}
    try:
        return LlamaCppConfig(**(settings.model_dump() | values))
    except ValueError as error:
        first = str(error).splitlines()[1:3]
        raise mistake(
            f"{text}: {' '.join(first)}", "write knob=value of engines.llama_cpp", field="--variant"
        ) from None


def prompts_of(cfg: "Config", tickets: "Sequence[StageA]", shared: int, own: int) -> tuple[str, list[str], str, int]:
    """System message, a user message a ticket, their lengths in words, and the tokens of the longest prompt."""
    from statistics import mean

    from verdicts.engines.llama.runtime import Model

    model = Model(Path(cfg.engine.model), 0)
    system, users = long_prompts(cfg, tickets, lambda text: len(model.plain_ids(text)), shared, own)
    first, *lengths = (len(model.plain_ids(text)) for text in (system, *users))
    words = f"{first} shared and {mean(lengths):.0f} ({min(lengths)} to {max(lengths)}) own tokens"
    model.close()
    return system, users, words, first + max(lengths)


def long_prompts(
    cfg: "Config", tickets: "Sequence[StageA]", tokens: "Callable[[str], int]", shared: int, own: int
) -> tuple[str, list[str]]:
    """System message and a user message a ticket, of real length and no two alike; ``tokens`` counts those of a text.

    Rules are repeated until the system message has ``shared`` tokens, photos of the tickets that follow are added until
    a ticket has ``own``.
    """
    from itertools import cycle, islice

    from verdicts.stage_b.prompts import load_prompts

    prompts = load_prompts(cfg.prompts, cfg.mission)
    rules = {"G0": cfg.mission.g0} | {f"G{i}": rule for i, rule in enumerate(cfg.mission.rules, start=1)}
    pool = cycle(list(rules.values()))
    while tokens(prompts.stage_b_system(rules)) < shared:
        rules[f"G{len(rules)}"] = next(pool)
    users: list[str] = []
    for at in range(len(tickets)):
        photos: list[str] = []
        for ticket in islice(cycle(tickets), at, None):
            photos += ticket.per_image.values()
            user = prompts.stage_b_user({f"image_{i}": photo for i, photo in enumerate(photos, start=1)})
            if tokens(user) >= own:
                break
        users.append(user)
    return prompts.stage_b_system(rules), users


def ours(settings: "LlamaCppConfig | OpenAIConfig", system: str) -> "Way":
    """Our engine with these settings."""

    def way() -> "tuple[Answers, Callable[[], None]]":
        from verdicts.engines import open_engine

        engine = open_engine(settings)
        return lambda users, decodes: list(engine.rollout(system, users, decodes)), engine.close

    return way


def of_best_threads(
    settings: "LlamaCppConfig",
    way: "Callable[[int], Way]",
    users: "Sequence[str]",
    decodes: "Sequence[Sequence[Decode]]",
) -> "Way":
    """A way with the number of threads that serves it better on the first tickets."""
    from verdicts.models.threads import cores

    candidates = sorted({1, settings.n_threads or cores()})
    if settings.n_gpu_layers:
        from llama_cpp import llama_supports_gpu_offload

        candidates = candidates[-1:] if llama_supports_gpu_offload() else candidates
    if len(candidates) > 1:
        candidates.sort(key=lambda n: timed(way(n), users[:PROBE], decodes[:PROBE]))
    return way(candidates[0])


def through_server(cfg: "Config", base_url: str) -> "OpenAIConfig":
    """Our openai engine on a server with the same model, with as many requests in flight as ours has slots."""
    from verdicts.config.engine import OpenAIConfig

    ours = cfg.engine
    return OpenAIConfig(
        kind="openai", model=Path(ours.model).stem, base_url=base_url, api_key_env="", chunk=ours.chunk,
        thinking=ours.thinking, timeout_s=600.0, retries=0, concurrency=ours.slots,
    )  # fmt: skip


def through_llama_server(cfg: "Config", system: str, tokens: int, threads: int) -> "Way":
    """llama-server with the same file and slots, asked by our openai engine; ``tokens``: of the longest answer and its
    prompt.
    """
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from verdicts.engines import open_engine
    from verdicts.export.server import LlamaServer, Served

    context = -(-(tokens + TEMPLATE) // 256) * 256
    served = Served(Path(cfg.engine.model), context=context, slots=cfg.engine.slots, threads=threads)

    def way() -> "tuple[Answers, Callable[[], None]]":
        opened = ExitStack()
        log = Path(opened.enter_context(TemporaryDirectory()), "log")
        running = opened.enter_context(LlamaServer(served, log))
        engine = open_engine(through_server(cfg, f"{running.url}/v1"))
        opened.callback(engine.close)
        return lambda users, decodes: list(engine.rollout(system, users, decodes)), opened.close

    return way


def take(cfg: "Config", stage_a: Path | None, count: int) -> list:
    """The first ``count`` tickets of a file, or of the miniature's world of this mission."""
    from verdicts.records.tickets import StageA, read_tickets

    if stage_a is not None:
        return read_tickets(stage_a, cfg.mission.name)[:count]
    from miniature.world.dataset import draw_tickets, sample_world, stage_a_rows

    world = sample_world(1, cfg.mission.slug)
    return [StageA.model_validate(row) for row in stage_a_rows(world, draw_tickets(world, count, 1, 0.05))]


def one_after_another(settings: "LlamaCppConfig", system: str, threads: int) -> "Way":
    """The baseline: llama-cpp-python's own class, one candidate after another, with its prefix reuse."""

    def way() -> "tuple[Answers, Callable[[], None]]":
        from llama_cpp import Llama

        from verdicts.engines.sampling import LARGE_VOCABULARY

        llama = Llama(
            settings.model,
            n_ctx=min(settings.context_tokens, 8192),
            n_batch=settings.batch_tokens,
            n_ubatch=settings.batch_tokens,
            n_threads=threads,
            n_threads_batch=threads,
            n_gpu_layers=settings.n_gpu_layers,
            verbose=False,
        )

        top_k = 40 if llama.n_vocab() > LARGE_VOCABULARY else 0

        def answer(users: "Sequence[str]", decodes: "Sequence[Sequence[Decode]]") -> None:
            for user, asked in zip(users, decodes, strict=True):
                messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
                for decode in asked:
                    llama.create_chat_completion(
                        messages, temperature=decode.temperature, top_p=decode.top_p, top_k=top_k, min_p=0.0,
                        max_tokens=decode.max_new_tokens, seed=decode.seed,
                    )  # fmt: skip

        return answer, llama.close

    return way


def timed(way: "Way", users: "Sequence[str]", decodes: "Sequence[Sequence[Decode]]") -> float:
    """Seconds that a way takes for all tickets, the model loaded and warmed up by the last one."""
    import time

    answer, close = way()
    answer(users[-1:], decodes[-1:])
    start = time.perf_counter()
    answer(users, decodes)
    taken = time.perf_counter() - start
    close()
    return taken


if __name__ == "__main__":
    run(main, engine="llama.cpp")
