"""Look through the rows that a student is to learn, before it learns them: leaks, prompts, contradictions, held-out.

    python -m tools.lint_corpus --config RUN/config/lint_corpus.yaml --train data/fused/demo.train.jsonl \\
        --val data/fused/demo.val.jsonl --held-out held_out --output RUN/corpus_lint.json

In:  rows of a mix (its manifest beside them says which runs they come from), or a run's own distill.train.jsonl; of
     each run config/predict.yaml, guidance.json and stage_a.jsonl, for what its student is asked when it serves; the
     folder of held-out questions.
Out: corpus_lint.json: rows with each kind of finding, the first of each with file and line, and what was not checked.

Exits with 1 where there are errors; with --for-sft it leaves that to sft, which reads the file (sft.lint). What each
kind means: docs/lint.md.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from verdicts.config.tools import LintConfig
    from verdicts.lint.findings import Findings
    from verdicts.records.corpus import CorpusLint
    from verdicts.student.model import Encoder


def main(
    config: Annotated[Path, typer.Option(help="Section file config/lint_corpus.yaml.")],
    train: Annotated[Path, typer.Option(help="Rows to learn from: of a mix, or a run's distill.train.jsonl.")],
    output: Annotated[Path, typer.Option(help="corpus_lint.json to write.")],
    val: Annotated[Path | None, typer.Option(help="Rows that only measure.")] = None,
    held_out: Annotated[Path | None, typer.Option(help="Folder of held-out questions.")] = None,
    for_sft: Annotated[bool, typer.Option("--for-sft", help="Exit with 0 whatever is found: sft decides.")] = False,
) -> None:
    """Look through the rows that a student is to learn, before it learns them."""
    from verdicts.base.jsonl import write_json
    from verdicts.config.tools import LintConfig, read_section

    cfg = read_section(config, LintConfig)
    found = lint(cfg, train, val, held_out)
    write_json(output, found)
    for sentence in found.not_checked:
        cli.say(f"lint_corpus: not checked: {sentence}", "wait")
    for kinds, state in ((found.errors, "stop"), (found.warnings, "wait")):
        for kind, finding in kinds.items():
            first = finding.examples[0]
            cli.say(f"lint_corpus: {kind}: {finding.rows}, first {first.file}:{first.line}: {first.what}", state)
    rows = ", ".join(f"{count} {task}" for task, count in found.rows.items())
    cli.say(f"lint_corpus: {rows} rows: {found.said()}; {output}", "stop" if found.errors else "good")
    if found.errors and not for_sft:
        raise typer.Exit(1)


def lint(cfg: "LintConfig", train: Path, val: Path | None, folder: Path | None) -> "CorpusLint":
    """All checks over all different rows of a corpus."""
    import hashlib
    from collections import Counter

    from verdicts.base.progress import progress
    from verdicts.lint.checks import Leaks, Parity, SaidAnswers, Twins, class_balance
    from verdicts.lint.findings import LINT_ERRORS, LINT_WARNINGS, Findings
    from verdicts.lint.held_out import HeldOut
    from verdicts.lint.rows import Runs, read_lint_rows
    from verdicts.lint.shown import Shown
    from verdicts.records.corpus import CorpusLint

    findings, runs, not_checked = Findings(cfg.lint.examples), Runs(train), list[str]()
    encoder = encoder_of(cfg, not_checked)
    answers = SaidAnswers(train, cfg.lint, cfg.fail_first, findings)
    leaks, parity = Leaks(train, cfg.lint, findings), Parity(train, runs, encoder, findings)
    twins, questions = Twins(train, val or train, findings), HeldOut(folder)
    rows, repeats, seen, digest = Counter[str](), 0, set[bytes](), hashlib.sha256()
    with progress(f"lint_corpus {train.name}", train.stat().st_size if train.is_file() else 0, unit="bytes") as bar:
        for row in read_lint_rows(train, digest):
            bar.update(len(row.text_of("user").encode()))
            if row.digest in seen:
                repeats += 1
                continue
            seen.add(row.digest)
            rows[row.task] += 1
            photos, key = [Path(image) for image in row.images], None
            if row.is_verdict:
                answers.see(row)
                tickets = parity.see(row)
                leaks.see(row, tickets)
                photos, key = runs.photos_of(row.source, tickets), Shown(row.text_of("user")).key()
                twins.see(row, key)
            questions.see(row, train, photos, key, findings)
    leaks.end()
    for row in read_lint_rows(val) if val else ():
        twins.see_val(row)
    class_balance(train, answers.verdicts, cfg.lint, findings)
    if encoder:
        find_long_rows(cfg, train, encoder, findings)
    not_checked += [*runs.unknown, *parity.said(), *questions.said()]
    return CorpusLint(
        corpus=train.as_posix(), sha256=digest.hexdigest(), held_out=folder.as_posix() if folder else "",
        rows=dict(sorted(rows.items())), repeats=repeats, verdicts=dict(sorted(answers.verdicts.items())),
        prompts=dict(sorted(parity.prompts.items())), errors=findings.of(LINT_ERRORS),
        warnings=findings.of(LINT_WARNINGS), not_checked=not_checked,
    )  # fmt: skip


def encoder_of(cfg: "LintConfig", not_checked: list[str]) -> "Encoder | None":
    """What makes ids of rows, None where there is no student or none of its packages."""
    from importlib.util import find_spec

    from verdicts.student.model import Encoder

    lacks = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if lacks or not cfg.student.model:
        why = f"{lacks[0]} is not installed" if lacks else "no student is configured (student.model)"
        not_checked.append(f"lengths and ids of prompts: {why}")
        return None
    return Encoder(Path(cfg.student.model), cfg.student.max_photo_pixels)


def find_long_rows(cfg: "LintConfig", train: Path, encoder: "Encoder", findings: "Findings") -> None:
    """Find the rows that are longer than sft takes."""
    from verdicts.lint.rows import is_fused, read_lint_rows
    from verdicts.sft.rows import FusedFile
    from verdicts.student.model import Dialogue

    if is_fused(train):
        file = FusedFile(train, encoder, cfg.sft.max_tokens, leave_out=True, allow_empty=True)
        long = [(fact.line, fact.tokens) for fact in file.left_out]
    else:
        sizes = (
            (row.line, len(encoder.encode(Dialogue([m.model_dump() for m in row.messages])).ids))
            for row in read_lint_rows(train)
        )
        long = [(line, tokens) for line, tokens in sizes if tokens > cfg.sft.max_tokens]
    for line, tokens in long:
        findings.add("too_long", train, line, f"{tokens} tokens, more than sft.max_tokens ({cfg.sft.max_tokens})")


if __name__ == "__main__":
    cli.run(main, result="lint_corpus", engine="torch", writes="output")
