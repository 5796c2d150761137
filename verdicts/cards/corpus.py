"""The dataset card of a run's corpus, from the files beside it."""

from collections import Counter
from pathlib import Path

from verdicts.base.errors import mistake
from verdicts.base.jsonl import stream_rows
from verdicts.cards.texts import SYNTHETIC, content_table, joined, table_of
from verdicts.records.corpus import ChatRow, DroppedRow, SftRow
from verdicts.records.guidance import read_guidance
from verdicts.records.run_folder import RUN_FILES
from verdicts.records.synthetic import tickets_source
from verdicts.report.data import models_of, read_config
from verdicts.runs.standing import read_standing
from verdicts.stage_b.protocol import parse

SPLITS = {"train": "distill.train.jsonl", "validation": "distill.val.jsonl", "dropped": "distill.dropped.jsonl"}
LOADED = ("train", "validation")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def corpus_card(run_dir: Path, mission: str, synthetic: bool) -> str:
    """The card's whole text, head and all. Raises UserError where the run has no corpus."""
    from huggingface_hub import DatasetCard, DatasetCardData

    if not all((run_dir / SPLITS[part]).is_file() for part in LOADED):
        raise mistake("no corpus yet (distill.train.jsonl, distill.val.jsonl)", "make distill first", path=run_dir)
    counts = {part: _counts(run_dir / name) for part, name in SPLITS.items() if (run_dir / name).is_file()}
    rows = sum(counts[part].total() for part in LOADED)
    data = DatasetCardData(
        language=["zh"],
        pretty_name=f"Verdicts of {mission}",
        task_categories=["text-generation"],
        size_categories=[next((name for most, name in SIZES if rows < most), "n>1M")],
        configs=[{"config_name": "default",
                  "data_files": [{"split": part, "path": SPLITS[part]} for part in LOADED]}],
        tags=["synthetic"] if synthetic else [],
    )  # fmt: skip
    return str(DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{_text(run_dir, mission, synthetic, counts)}"))


def _counts(path: Path) -> Counter[tuple[str, str]]:
    """Rows by label and by the verdict that they state."""
    model = RUN_FILES[path.name]
    assert issubclass(model, ChatRow)  # the table says so
    found: Counter[tuple[str, str]] = Counter()
    for row in stream_rows(path, model, allow_empty=True):
        verdict = parse(row.messages[-1].content).verdict
        found[row.label, verdict or "none"] += 1
    return found


def _text(run_dir: Path, mission: str, synthetic: bool, counts: dict[str, Counter[tuple[str, str]]]) -> str:
    pairs = [(label, verdict) for label in ("fail", "pass") for verdict in ("fail", "pass")]
    rows = [(f"{part} (`{SPLITS[part]}`)", found.total(), *(found[pair] for pair in pairs))
            for part, found in counts.items()]  # fmt: skip
    dropped = run_dir / SPLITS["dropped"]
    why = (
        Counter(row.dropped for row in stream_rows(dropped, DroppedRow, allow_empty=True)) if dropped.is_file() else {}
    )
    flags = Counter(
        flag for part in LOADED for row in stream_rows(run_dir / SPLITS[part], SftRow, allow_empty=True)
        for flag in row.flags.split(",") if flag
    )  # fmt: skip
    guidance = read_guidance(run_dir / "guidance.json", mission)
    return joined([
        f"# Verdicts of {mission}",
        SYNTHETIC if synthetic else "",
        "Chat rows: rules and the summaries of one ticket's photos in, a verdict of two lines out. The answers are a "
        "stronger model's, chosen by a vote; a label is never inside the messages.",
        "## Rows",
        table_of(("part", "rows", *(f"label {label}, states {verdict}" for label, verdict in pairs)), rows),
        f"Dropped: {', '.join(f'{n} {word}' for word, n in sorted(why.items()))}." if why else "",
        f"Marked: {', '.join(f'{n} {word}' for word, n in sorted(flags.items()))}." if flags else "",
        *_limits(run_dir),
        "## Where it comes from", *_sources(run_dir),
        f"Rules in force (`guidance.json`, step {guidance.step}):",
        table_of(("rule", "text"), sorted(guidance.experiences.items())),
        "## To load it",
        '```python\nfrom datasets import load_dataset\n\nrows = load_dataset("json", data_files='
        '{"train": "distill.train.jsonl", "validation": "distill.val.jsonl"})\n```',
        "## Content",
        content_table([run_dir / name for name in (*SPLITS.values(), "guidance.json", "stage_a.jsonl")], run_dir),
    ])  # fmt: skip


def _limits(run_dir: Path) -> list[str]:
    """How far the answers can be trusted, false releases first."""
    standing = read_standing(run_dir)
    lines = []
    if standing:
        frr, side = standing.rates.frr, standing.holdout
        lines.append(f"- **False releases of the model that answered:** {frr} of all failed tickets"
                     + (f", {side.frr} on tickets that its rules were not learnt from." if side else "."))  # fmt: skip
        lines.append(f"- False blocks: {standing.rates.false_block}. Label match: {standing.rates.label_match}.")
        lines.append(f"- {standing.waiting} tickets wait for a person; {standing.decisions} were decided.")
    lines.append("- Labels are people's and partly wrong. Answers that differ from them are dropped, marked or weighed "
                 "down, as `distill.conflict_policy` in `config/distill.yaml` says.")  # fmt: skip
    return ["## Limits", "\n".join(lines), "From `selections.jsonl` and `need_review.json`." if standing else ""]


def _sources(run_dir: Path) -> list[str]:
    """Tickets and models by name and digest."""
    source = tickets_source(run_dir)
    models = [(one.role, one.model, f"`{one.sha256}`" if one.sha256 else "not here") for one in
              models_of(read_config(run_dir))]  # fmt: skip
    return [
        f"Tickets: `{source.source}`, SHA-256 `{(source.sha256 or 'none')[:16]}`." if source else "",
        table_of(("model of", "name", "hash"), models),
    ]
