"""The model card of a taught student, from the files of its training, its evaluation and its gate.

Each figure stands in one of them, and the card says in which. huggingface_hub writes the head (ModelCardData,
EvalResult); the text is ours, not its template.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_json
from verdicts.cards.texts import SYNTHETIC, content_table, joined, table_of
from verdicts.corpus.mix import Manifest
from verdicts.evaluation.scores import METRICS
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.records.evaluation import Evaluation, F1Record, GateRecord
from verdicts.stats.rates import Rate

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


class TaughtStudent(NamedTuple):
    """What is known of a student. ``folder``: checkpoints/<name>. ``training``: its metrics.json; ``adapter``: its
    adapter_config.json. ``before`` and ``after``: evaluations with where they lie, None where there is none.
    """

    folder: Path
    training: dict[str, Any]
    adapter: dict[str, Any]
    manifest: Manifest | None
    before: Evaluation | None
    after: Evaluation | None
    gate: GateRecord | None
    judged: Path | None
    hash: str


def read_taught(folder: Path, run_dir: Path, fused: Path = Path("data/fused")) -> TaughtStudent:
    """Read what a run knows of the student in ``folder``.

    An evaluation counts where it is about this very student by content. Raises UserError for a folder without one.
    """
    if not (folder / "merged" / "config.json").is_file():
        raise mistake("no taught student (merged/ lacks its config.json)", "make sft first", path=folder)
    merged, manifest = checkpoint_hash(folder / "merged"), fused / f"{folder.name}.manifest.json"
    pairs = [path.parent for path in sorted((run_dir / "evaluation").glob("*/after.json"))
             if read_json(path, Evaluation).student.sha256 == merged]  # fmt: skip
    judged = max(pairs, key=lambda pair: ((pair / "gate.json").is_file(), pair.name), default=None)
    before, after, gate = (judged / name if judged else None for name in ("before.json", "after.json", "gate.json"))
    return TaughtStudent(
        folder=folder,
        training=_object(folder / "metrics.json"),
        adapter=_object(folder / "adapter" / "adapter_config.json"),
        manifest=read_json(manifest, Manifest) if manifest.is_file() else None,
        before=read_json(before, Evaluation) if before and before.is_file() else None,
        after=read_json(after, Evaluation) if after and after.is_file() else None,
        gate=_gate_on(gate, merged),
        judged=judged,
        hash=merged,
    )


def _gate_on(path: Path | None, merged: str) -> GateRecord | None:
    """The gate's record, where it is about this student."""
    found = read_json(path, GateRecord) if path and path.is_file() else None
    return found if found and found.after.student.sha256 == merged else None


def _object(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise mistake(f"cannot be read ({type(error).__name__})", "make sft again", path=path) from None
    if not isinstance(said, dict):
        raise mistake("no JSON object", "make sft again", path=path)
    return said


def student_card(student: TaughtStudent, mission: str, synthetic: bool) -> str:
    """The card's whole text, head and all."""
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCardData(
        model_name=student.folder.name,
        base_model=str(student.training.get("base", "")) or None,
        language=["zh"],
        library_name="transformers",
        pipeline_tag="image-text-to-text",
        tags=["lora", "qwen3_vl", *(["synthetic"] if synthetic else [])],
        eval_results=list(_results(student, mission)) or None,
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{_text(student, mission, synthetic)}"))


def _results(student: TaughtStudent, mission: str) -> "Iterator[EvalResult]":
    """The scores after training, with what they are counted on."""
    from huggingface_hub import EvalResult

    made = student.after.made_from if student.after else None
    for metric in METRICS if student.after else ():
        score = metric.of(student.after) if student.after else None
        value = score.rate if isinstance(score, Rate) else score.f1 if score else None
        if value is None or score is None:
            continue
        counted = score.model_dump(exclude={"rate", "f1"})
        yield EvalResult(
            task_type="image-text-to-text", dataset_type=mission, metric_type=metric.name, metric_name=metric.title,
            dataset_name=made.held_out if made else mission, metric_value=value, metric_args=counted,
        )  # fmt: skip


def _text(student: TaughtStudent, mission: str, synthetic: bool) -> str:
    return joined([
        f"# {student.folder.name}",
        SYNTHETIC if synthetic else "",
        f"A student for tickets of {mission}: photos in, lines of facts and a verdict of two lines out. LoRA on top "
        f"language layers of `{student.training.get('base')}`, merged into a full checkpoint (`merged/`).",
        *_gate_part(student), *_scores_part(student), *_limits_part(student), *_training_part(student),
        "## To load it", _loading(student),
        "## Content",
        content_table([student.folder / name for name in ("merged", "adapter", "metrics.json")], student.folder),
        f"The gate and `make predict` know the student as `{student.hash}`, its base as "
        f"`{student.training.get('base_sha256')}`.",
    ])  # fmt: skip


def _gate_part(student: TaughtStudent) -> list[str]:
    if student.gate is None or student.judged is None:
        return ["## May it ship?", "**No gate has judged this student.** `make gate` does. Until then it may not ship."]
    verdict = "**It may ship**, by the gate." if student.gate.passed else "**It may not ship**, by the gate:"
    said = [f"- {reason}" for reason in student.gate.reasons]
    said += [f"- open: {remark}" for remark in student.gate.remarks]
    return ["## May it ship?", verdict, "\n".join(said), f"From `{student.judged.as_posix()}/gate.json`."]


def _scores_part(student: TaughtStudent) -> list[str]:
    if student.after is None or student.judged is None:
        return ["## On held-out questions", "Not evaluated: `make evaluate` asks them."]
    rows = []
    for metric in METRICS:
        before = _shown(metric.of(student.before)) if student.before else "–"
        after = _shown(metric.of(student.after))
        rows += [(metric.title, before, after)] if metric.known(student.after) else []
    photos = f"{student.after.summary.photos} photos to summarise and {student.after.dense.photos} to describe"
    return [
        "## On held-out questions",
        f"{student.after.tickets} tickets, {photos}, none of which it was taught. Rates with 95 % Wilson intervals "
        "(k of n); F1 with hits, given and wanted.",
        table_of(("score", "before training", "after"), rows),
        f"From `{student.judged.as_posix()}/before.json` and `after.json`. What each score is: docs/evaluation.md.",
    ]


def _shown(score: Rate | F1Record) -> str:
    if isinstance(score, Rate):
        return str(score)
    if score.f1 is None:
        return "nothing wanted"
    return f"{score.f1:.1%} ({score.hits} hits, {score.given} given, {score.wanted} wanted)"


def _limits_part(student: TaughtStudent) -> list[str]:
    """What it must not be trusted with, false releases first."""
    lines = []
    if student.after is None:
        lines.append("- **False releases: unknown.** Nobody has asked it tickets that people failed.")
    else:
        frr, hidden = student.after.chat.frr, student.after.chat.failed_without_verdict
        if frr.high is None:
            lines.append("- **False releases: unknown.** No held-out ticket that people failed has a verdict.")
        else:
            lines.append(
                f"- **False releases.** It let {frr.k} of {frr.n} failed tickets pass. By these, up to {frr.high:.1%} "
                "of failed tickets may be released; on other sites or other labels it may be more."
            )
        if hidden:
            lines.append(
                f"- {hidden} failed tickets got no verdict that can be read: they count as releases to the gate."
            )
        block = student.after.chat.false_block
        lines.append(f"- **False blocks.** {block}: that much work for people.")
        if cut := (student.after.summary.cut_off or 0) + (student.after.dense.cut_off or 0):
            lines.append(f"- {cut} answers about photos were cut off; what they left out counts as not found.")
        lines.append("- It was asked about the missions and the rules of its run alone; other rules are another task.")
    lines.append("- Labels are people's and partly wrong; what it agrees with may be wrong as well.")
    return ["## Limits", "\n".join(lines)]


def _training_part(student: TaughtStudent) -> list[str]:
    said, lora = student.training, student.adapter
    rows = [(task, part.get("rows"), part.get("learnt_tokens")) for task, part in said.get("train", {}).items()]
    losses = [
        (task, part.get("rows"), part.get("before"), part.get("after")) for task, part in said.get("val", {}).items()
    ]
    left = said.get("too_long", {}).get("train", {}).get("rows", {})
    parts = [
        "## What it was taught on",
        table_of(("task", "rows", "learnt tokens"), rows),
        f"Left out as too long: {', '.join(f'{n} {task}' for task, n in left.items())}." if left else "",
    ]
    if mix := student.manifest:
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(mix.verdicts.items()))
        parts += [
            f"Of the rows about tickets: {verdicts} (the verdict they state).",
            table_of(("source", "rows written", "of them fail", "share of rows"),
                     [(one.name, one.train_rows, one.fail_rows, f"{one.row_share:.1%}") for one in mix.sources]),
            f"From `data/fused/{mix.name}.manifest.json`, which names every input with its SHA-256.",
        ]  # fmt: skip
    return [
        *parts,
        "## How",
        f"LoRA rank {lora.get('r')}, alpha {lora.get('lora_alpha')}, dropout {lora.get('lora_dropout')}, on language "
        f"layers {said.get('layers')} ({said.get('adapted_modules')} matrices, {said.get('learning_parameters')} "
        f"numbers; `{lora.get('target_modules')}`). {said.get('steps')} steps of {said.get('rows_per_step')} rows on "
        f"{said.get('processes')} process(es).",
        table_of(("validation", "rows", "loss before", "after"), losses) if losses else "No validation rows.",
        "From `metrics.json` and `adapter/adapter_config.json`.",
    ]


def _loading(student: TaughtStudent) -> str:
    merged = (student.folder / "merged").as_posix()
    return (
        f"```python\nfrom transformers import AutoModelForImageTextToText, AutoProcessor\n\n"
        f'processor = AutoProcessor.from_pretrained("{merged}")\n'
        f'model = AutoModelForImageTextToText.from_pretrained("{merged}")\n```\n\n'
        f"Verdicts as the gate asked for them, prompts and all: `make predict CHECKPOINT={merged}` (docs/predict.md)."
    )
