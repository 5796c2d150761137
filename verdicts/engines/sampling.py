"""Drawing tokens from logits: temperature and nucleus (top-p), many rows at once, each with its own random numbers.

Nucleus sampling as in Holtzman et al. 2020 (arXiv:1904.09751): keep the fewest most likely tokens whose probability
reaches ``top_p`` and draw among them. Temperature 0 takes the most likely token. A row's result depends on that row,
its settings and its random number alone, never on the other rows.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

LARGE_VOCABULARY = 32_768
TOP_K = 256  # of a large vocabulary only the most likely ones can be drawn
_BLOCK = 64  # columns a block when the best of a large row are sought
_REACH = 40.0  # nats (at temperature 1) below the best token where exp() is below 5e-18: nothing is ever drawn there


def log_softmax(row: np.ndarray) -> np.ndarray:
    """Natural-log probabilities of one row of logits ``[vocabulary]``, in float64."""
    wide: np.ndarray = row.astype(np.float64)
    wide -= wide.max()
    logp: np.ndarray = wide - np.log(np.exp(wide).sum())
    return logp


def draw_tokens(
    logits: np.ndarray,
    rows: Sequence[int],
    temperature: np.ndarray,
    top_p: np.ndarray,
    uniform: np.ndarray,
    pool: ThreadPoolExecutor | None = None,
) -> np.ndarray:
    """Draw one token for each of ``rows``, which are rows of ``logits`` (float32 ``[any, vocabulary]``) and may repeat.

    ``temperature``, ``top_p`` and ``uniform`` (in [0, 1)) are ``[rows]``. Returns token ids int64 ``[rows]``. Of a
    vocabulary of more than 32,768 only the ``TOP_K`` best are considered. With ``pool`` those rows are drawn side by
    side (numpy releases the interpreter lock); the result is the same.
    """
    if logits.shape[1] > LARGE_VOCABULARY:
        tokens = (pool.map if pool else map)(draw_large, (logits[row] for row in rows), temperature, top_p, uniform)
        drawn: np.ndarray = np.fromiter(tokens, np.int64, len(rows))
        return drawn
    chosen: np.ndarray = logits[np.asarray(rows)]
    best: np.ndarray = chosen.argmax(axis=1)
    warm = np.flatnonzero(temperature > 0)
    if not len(warm):
        return best
    scaled = chosen[warm] - chosen[warm, best[warm]][:, None]
    scaled /= temperature[warm, None]
    weight = np.exp(scaled, out=scaled).sum(axis=1, dtype=np.float64)
    for i in warm[weight * top_p[warm] > 1]:  # else the best token alone reaches top_p
        best[i] = draw_small(chosen[i], temperature[i], top_p[i], uniform[i])
    return best


def draw_large(row: np.ndarray, temperature: float, top_p: float, uniform: float) -> int:
    """Draw from one row of a large vocabulary: among its ``TOP_K`` most likely tokens."""
    if temperature == 0:
        return int(row.argmax())
    ids = most_likely(row, TOP_K)
    return int(ids[draw_small(row[ids], temperature, top_p, uniform)])


def draw_small(row: np.ndarray, temperature: float, top_p: float, uniform: float) -> int:
    """Draw from one row as it stands; ties count the lower id as more likely."""
    if temperature == 0:
        return int(row.argmax())
    ids = np.flatnonzero(row >= row.max() - _REACH * temperature)
    scaled = row[ids].astype(np.float64) / temperature
    order = np.argsort(-scaled, kind="stable")
    weight = np.exp(scaled[order] - scaled[order[0]])
    reach = np.cumsum(weight)
    kept = min(int(np.searchsorted(reach, top_p * reach[-1])) + 1, len(reach))
    return int(ids[order[min(int(np.searchsorted(reach[:kept], uniform * reach[kept - 1], side="right")), kept - 1)]])


def most_likely(row: np.ndarray, count: int) -> np.ndarray:
    """Ids of the ``count`` greatest logits of a long row, ascending (more of them where the last one ties).

    The ``count``-th greatest maximum of blocks of columns is a floor that at least ``count`` logits reach; few others
    do, so that a full partition of the row, ten times as slow, is not needed.
    """
    whole = len(row) // _BLOCK * _BLOCK
    if whole // _BLOCK <= count:
        return (
            np.arange(len(row))
            if len(row) <= count
            else np.flatnonzero(row >= np.partition(row, len(row) - count)[-count])
        )
    tops = row[:whole].reshape(-1, _BLOCK).max(axis=1)
    ids: np.ndarray = np.flatnonzero(row >= np.partition(tops, len(tops) - count)[-count])
    logits = row[ids]
    likeliest: np.ndarray = ids[logits >= np.partition(logits, len(logits) - count)[-count]]
    return likeliest


def two_way(log_first: float, log_second: float, temperature: float, top_p: float) -> float:
    """Probability of the first of two outcomes, under temperature and top-p.

    Given are their log-probabilities in a wider distribution. The two are renormalised, sharpened, and cut to the
    better one where it alone reaches ``top_p``. At temperature 0 the better one is certain; a tie goes to the second.
    """
    if temperature == 0:
        return float(log_first > log_second)
    share = 1 / (1 + np.exp(np.clip((log_second - log_first) / temperature, -700, 700)))
    if max(share, 1 - share) >= top_p:
        return float(share > 0.5)
    return float(share)
