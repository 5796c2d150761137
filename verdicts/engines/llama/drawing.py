"""The next token of many sequences at once, each with its own settings, random numbers and banned tokens."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from verdicts.engines.llama.sequences import NO_TOKEN, Feed
from verdicts.engines.sampling import draw_tokens


def sample_tokens(
    feeds: Sequence[Feed], logits: np.ndarray, rows: Sequence[int], pool: ThreadPoolExecutor | None
) -> list[int]:
    """A token for each feed that asks for one, all drawn at once; a banned one is drawn again from those allowed.

    ``rows``: the row of ``logits`` (float32 ``[any, vocabulary]``) of each feed. ``NO_TOKEN`` where none is asked for.
    """
    tokens = [NO_TOKEN] * len(feeds)
    asking = [i for i, feed in enumerate(feeds) if feed.sampler]
    if not asking:
        return tokens
    drawn = _draw([feeds[i] for i in asking], logits, [rows[i] for i in asking], pool)
    for i, token in zip(asking, drawn, strict=True):
        tokens[i] = int(token)
    masks = {i: mask for i in asking if (mask := feeds[i].redraw_mask(tokens[i], logits[rows[i]])) is not None}
    if again := list(masks):
        allowed = np.stack([np.where(mask, -np.inf, logits[rows[i]]) for i, mask in masks.items()])
        drawn = _draw([feeds[i] for i in again], allowed, range(len(again)), pool)
        for i, token in zip(again, drawn, strict=True):
            tokens[i] = int(token)
    return tokens


def _draw(
    feeds: Sequence[Feed], logits: np.ndarray, rows: Sequence[int], pool: ThreadPoolExecutor | None
) -> np.ndarray:
    samplers = [sampler for feed in feeds if (sampler := feed.sampler)]
    temperature = np.array([sampler.decode.temperature for sampler in samplers], np.float32)
    top_p = np.array([sampler.decode.top_p for sampler in samplers])
    uniform = np.array([sampler.random.random() for sampler in samplers])
    return draw_tokens(logits, rows, temperature, top_p, uniform, pool)
