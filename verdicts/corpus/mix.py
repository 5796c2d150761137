"""Fusion: mix sources into one training file in a stated proportion, without holding a row in memory.

1. ``index_sources`` reads every source once and checks each row and its photos (index.py).
2. ``choose_rows`` takes rows by number: whole passes over a source, then part of one, in an order that depends only on
   the seed, the source's name and the row's number; then one order for all.
3. ``write`` reads the chosen rows by their place in the files and writes them out (index.py).

The mix: the source ``anchor`` is taken whole (its failed tickets ``fail_oversample`` times) and fixes the scale; any
other source gets ``ratio / ratio of the anchor`` times the anchor's rows, or loss tokens with ``by: loss_tokens``, and
is cut or repeated to fit. A source with ``rows`` gets that many rows, whatever the scale.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from verdicts.base.errors import mistake
from verdicts.base.record import PromptName, Record
from verdicts.base.seeding import seeded_int
from verdicts.corpus.index import VERDICTS, Index, OutputFile, RowNumbers, tokenizer_file
from verdicts.corpus.mix_config import Fusion, Source, config_mistake, predictions_of
from verdicts.corpus.retention import AdaptedSource
from verdicts.records.tickets import Verdict


class InputFile(Record):
    """An input as it was read."""

    path: str
    sha256: str
    bytes: int
    rows: int | None


class SourceShare(Record):
    """What one source gives. ``distinct_rows``: rows written at least once; shares are of all written training rows.

    ``judged_rows``, ``released_rows``: rows to learn from of which the student's verdict is known, and failed ones
    among them that it passed; None where the source names no predictions.
    ``prompts``: rows read of a photo task by what they ask, as summarize and evaluate name it.
    """

    name: str
    dataset: str
    rows_read: int
    fail_rows_read: int
    train_rows: int
    distinct_rows: int
    fail_rows: int
    loss_tokens: int
    row_share: float
    loss_share: float
    val_rows: int
    judged_rows: int | None = Field(default=None, exclude_if=lambda rows: rows is None)
    released_rows: int | None = Field(default=None, exclude_if=lambda rows: rows is None)
    prompts: dict[PromptName, int] = Field(default_factory=dict, exclude_if=lambda prompts: not prompts)


class Manifest(Record):
    """<name>.manifest.json: what went in, what came out, in which shares, by which config.

    ``verdicts``: training rows of chats by the verdict they state; ``left_out``: optional sources of which no file was
    there. ``retention``: the sources of old tasks with their ratios, where ``mix.retention`` adapts them; ``config``
    holds them as told.
    """

    name: str
    seed: int
    mixed_by: str
    loss_counted_in: str
    inputs: list[InputFile]
    outputs: dict[str, OutputFile]
    sources: list[SourceShare]
    verdicts: dict[Verdict, int]
    left_out: list[str]
    retention: list[AdaptedSource] = Field(default_factory=list, exclude_if=lambda found: not found)
    config: Fusion


def split(index: Index, config: Fusion, path: Path) -> list[tuple[RowNumbers, RowNumbers]]:
    """The training and the validation rows of each source; a group that validates in any of them trains in none.

    Raises UserError where a source without a share would train on such a group, and where a share leaves nothing to
    train on.
    """
    side = index.column("side")
    files = [
        (index.rows_of(at, validates=False), index.rows_of(at, validates=True)) for at in range(len(config.sources))
    ]
    held = [
        side[val] if source.val.share is None else chosen_groups(side[train], source.val.share)
        for source, (train, val) in zip(config.sources, files, strict=True)
    ]
    parts = []
    for at, (source, (train, val)) in enumerate(zip(config.sources, files, strict=True)):
        validates = np.isin(side[train], np.concatenate(held))
        if validates.any() and not source.val.share:
            row = int(train[validates][0])
            holder = next(other.name for other, groups in zip(config.sources, held, strict=True) if side[row] in groups)
            todo = (
                "keep each group (group_id, or else the first photo) on one side: "
                f"delete the row, or give source {source.name} a val share"
            )
            raise mistake(
                f"source {holder} validates on its group",
                todo,
                path=index.files[index.file[row]].path,
                line=index.line_of(row),
            )
        if validates.all():
            raise config_mistake(
                path, ("sources", at, "val", "share"), f"leaves nothing to train on ({source.val.share:g})", "lower it"
            )
        parts.append((train[~validates], np.concatenate([val, train[validates]])))
    return parts


def chosen_groups(side: np.ndarray, share: float) -> np.ndarray:
    """The groups, by their seeded hash, that validate: those below the share.

    The rule of distill.Validation, which keeps names instead.
    """
    groups = np.unique(side)
    chosen = groups[groups < share]
    if share in (0, 1):
        return chosen
    if len(groups) < 2:
        return groups[:0]
    if not len(chosen):
        return groups[:1]
    return chosen[:-1] if len(chosen) == len(groups) else chosen


def order_of(n: int, seed: int, name: str) -> np.ndarray:
    """A permutation of range(n) that depends on seed and name alone.

    Numbers sorted by their SplitMix64 hash (Steele et al. 2014).

    numpy's own generators may change between its versions; this may not.
    """
    start = seeded_int(seed, name, bits=64, between=":")
    key = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(start)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(key ^ (key >> np.uint64(31)), kind="stable")


def oversample(rows: RowNumbers, chosen: np.ndarray, factor: float, seed: int, name: str) -> RowNumbers:
    """Rows with the chosen ones ``factor`` times: 2.5 takes each twice and a seeded half of them once more."""
    often = rows[chosen[rows]]
    more = often[order_of(len(often), seed, name)[: round(len(often) * (factor % 1))]]
    return np.concatenate([rows, *[often] * (int(factor) - 1), more])


def wrongly_released(index: Index) -> np.ndarray:
    """Which rows state fail of a ticket that the student passed, a bool each."""
    fail, passed = VERDICTS.index("fail"), VERDICTS.index("pass")
    mask: np.ndarray = (index.column("verdict") == fail) & (index.column("said") == passed)
    return mask


def refuse_strangers(index: Index, config: Fusion, path: Path) -> None:
    """Raise UserError where a source's predictions are of none of its tickets."""
    owner, said = np.array([file.source for file in index.files])[index.column("file")], index.column("said")
    for at, source in enumerate(config.sources):
        if source.released and not said[owner == at].any():
            raise config_mistake(
                path,
                ("sources", at, "released", "predictions"),
                f"no ticket of source {source.name} has a verdict in it ({source.released.predictions})",
                "name what the student said of these tickets: make predict TICKETS=<run>/stage_a.jsonl",
            )


def pool(index: Index, source: Source, train: RowNumbers, seed: int) -> RowNumbers:
    """A source's rows to learn from, with those that its knobs take more often."""
    if source.released:
        train = oversample(train, wrongly_released(index), source.released.times, seed, f"{source.name}:released")
    return oversample(train, index.column("fail") == 1, source.fail_oversample or 1, seed, f"{source.name}:fail")


def draw_rows(rows: RowNumbers, units: np.ndarray, target: float, seed: int, name: str) -> RowNumbers:
    """Rows whose units sum up to the target as nearly as whole rows can; at least one row.

    Whole passes come first, then the start of a seeded order.
    """
    order = rows[order_of(len(rows), seed, f"{name}:draw")]
    running = np.cumsum(units[order], dtype=np.int64)
    passes, rest = divmod(target, int(running[-1]))
    count = int(np.searchsorted(running, rest, side="right"))
    below = int(running[count - 1]) if count else 0
    if count < len(order) and running[count] - rest < rest - below:
        count += 1
    if not passes:
        count = max(1, count)
    return np.concatenate([np.tile(order, int(passes)), order[:count]])


def choose_rows(index: Index, config: Fusion, path: Path) -> tuple[RowNumbers, RowNumbers]:
    """The rows of the training file (with repeats) and of the validation file, each in the order they are written."""
    ones, tokens = np.ones(len(index), dtype=np.uint32), index.column("tokens")
    units = ones if config.mix.by == "rows" else tokens
    parts = split(index, config, path)
    refuse_strangers(index, config, path)
    pools = [pool(index, source, train, config.seed) for source, (train, _) in zip(config.sources, parts, strict=True)]
    anchor = config.anchor
    whole = (
        pools[anchor]
        if (rows := config.sources[anchor].rows) is None
        else draw_rows(pools[anchor], ones, rows, config.seed, config.mix.anchor)
    )
    scale = int(units[whole].sum(dtype=np.int64)) / (config.sources[anchor].ratio or 1)
    chosen = []
    for at, (source, mine) in enumerate(zip(config.sources, pools, strict=True)):
        if at == anchor:
            chosen.append(whole)
        elif source.ratio is not None:
            chosen.append(draw_rows(mine, units, scale * source.ratio, config.seed, source.name))
        else:
            chosen.append(draw_rows(mine, ones, source.rows or 0, config.seed, source.name))
    has_photo = np.array([config.sources[file.source].dataset != "chat" for file in index.files])[index.column("file")]
    train, val = np.concatenate(chosen), np.concatenate([rows for _, rows in parts])
    first, second = (
        lead_with_photo(rows[order_of(len(rows), config.seed, name)], has_photo)
        for name, rows in (("train", train), ("val", val))
    )
    return first, second


def lead_with_photo(rows: RowNumbers, has_photo: np.ndarray) -> RowNumbers:
    """Swap the first row with photos to the front.

    Arrow guesses a column's type from its start, and ``images: []`` alone has none.
    """
    with_photo = np.flatnonzero(has_photo[rows])
    if len(with_photo):
        rows[[0, with_photo[0]]] = rows[[with_photo[0], 0]]
    return rows


def count_verdicts(index: Index, train: RowNumbers) -> dict[Verdict, int]:
    """Training rows by the verdict that their answer states, with repeats."""
    stated = np.bincount(index.column("verdict")[train], minlength=len(VERDICTS))
    return {verdict: int(count) for verdict, count in zip(VERDICTS, stated, strict=True) if verdict}


def manifest(
    index: Index,
    config: Fusion,
    path: Path,
    name: str,
    rows: Mapping[str, RowNumbers],
    outputs: Mapping[str, OutputFile],
    unit: str,
    missing: Sequence[str],
    retention: Sequence[AdaptedSource],
) -> Manifest:
    """The account of one fusion: every file that decides the output with its hash, and what each source gives."""
    fixed = [file for file in (path, tokenizer_file(config.mix.tokenizer)) if file]
    fixed += [Path(config.mix.retention.gate)] if config.mix.retention else []
    fixed += [Path(name) for source in config.sources for name in predictions_of(source)]
    read = [
        InputFile(
            path=str(file), sha256=hashlib.sha256(file.read_bytes()).hexdigest(), bytes=file.stat().st_size, rows=None
        )
        for file in fixed
    ]
    return Manifest(
        name=name,
        seed=config.seed,
        mixed_by=config.mix.by,
        loss_counted_in=unit,
        inputs=read
        + [InputFile(path=str(file.path), sha256=file.sha256, bytes=file.size, rows=file.rows) for file in index.files],
        outputs=dict(outputs),
        sources=source_shares(index, config, rows["train"], rows["val"]),
        verdicts=count_verdicts(index, rows["train"]),
        left_out=list(missing),
        retention=list(retention),
        config=config,
    )


def source_shares(index: Index, config: Fusion, train: RowNumbers, val: RowNumbers) -> list[SourceShare]:
    """What each source gives, in rows and in loss tokens, before weights."""
    owner = np.array([file.source for file in index.files])[index.column("file")]
    tokens, fail = index.column("tokens"), index.column("fail")
    judged, passed = index.column("said") != VERDICTS.index(None), wrongly_released(index)
    all_tokens = int(tokens[train].sum(dtype=np.int64))
    found = []
    for at, source in enumerate(config.sources):
        read, mine = np.flatnonzero(owner == at), train[owner[train] == at]
        loss, distinct = int(tokens[mine].sum(dtype=np.int64)), np.unique(mine)
        found.append(
            SourceShare(
                name=source.name,
                dataset=source.dataset,
                rows_read=len(read),
                fail_rows_read=int(fail[read].sum(dtype=np.int64)),
                train_rows=len(mine),
                distinct_rows=len(distinct),
                fail_rows=int(fail[mine].sum(dtype=np.int64)),
                loss_tokens=loss,
                row_share=round(len(mine) / len(train), 6),
                loss_share=round(loss / all_tokens, 6),
                val_rows=int((owner[val] == at).sum()),
                judged_rows=int(judged[distinct].sum()) if source.released else None,
                released_rows=int(passed[distinct].sum()) if source.released else None,
                prompts=dict(sorted(index.prompts[at].items())),
            )
        )
    return found


def table(found: Sequence[SourceShare]) -> list[str]:
    """The shares as aligned lines of text."""
    head = (
        "source",
        "dataset",
        "read",
        "train",
        "of which fail",
        "passes",
        "share of rows",
        "loss tokens",
        "share of loss",
        "val",
    )
    lines = [head]
    for one in found:
        fail = f"{one.fail_rows:,}" if one.dataset == "chat" else "-"
        passes = f"{one.train_rows / one.distinct_rows:.2f}" if one.distinct_rows else "-"
        shown = (
            f"{one.rows_read:,}",
            f"{one.train_rows:,}",
            fail,
            passes,
            f"{one.row_share:.1%}",
            f"{one.loss_tokens:,}",
            f"{one.loss_share:.1%}",
            f"{one.val_rows:,}",
        )
        lines.append((one.name, one.dataset, *shown))
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]


def account(name: str, found: Sequence[SourceShare]) -> str:
    """The count sentence: rows read = in train + not drawn + in val."""
    read, used, val, lines = (
        sum(getattr(one, field) for one in found) for field in ("rows_read", "distinct_rows", "val_rows", "train_rows")
    )
    return (
        f"fuse {name}: {read} rows read = {used} in train ({lines} lines with repeats) "
        f"+ {read - used - val} not drawn + {val} in val"
    )
