"""See whether llama.cpp computes right here: the bundled teacher answers stored prompts, in a child process.

    python -m tools.selfcheck

reads   data/miniature/teacher.gguf, data/miniature/selfcheck.json (prompts with the answers of a build that is right)
writes  .venv/.checked, the mark that this library passed on this machine; nothing else

Exit 0: it does. Exit 2: it died, did not load, or answered otherwise; one sentence says which. `make setup` ends so,
and an engine asks for it before it uses libraries that have no mark (docs/setup.md).
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Measured (docs/setup.md): right builds differ by up to 0.02, damaged arithmetic by more than 0.1.
TOLERANCE = 0.1
WORDS = ("pass", "fail")
MOST_TOKENS = 48


def main(
    inside: Annotated[
        bool, typer.Option("--inside", help="Compute in this process, which a broken library may end.")
    ] = False,
    if_new: Annotated[
        bool, typer.Option("--if-new", help="Do nothing where these libraries have passed on this machine.")
    ] = False,
    record: Annotated[
        bool,
        typer.Option("--record", help="Store the answers as the right ones: after training the bundled teacher anew."),
    ] = False,
) -> None:
    """Answer the stored prompts, compare, and say in one sentence what came of it."""
    from verdicts.base.errors import mistake
    from verdicts.command.cli import say
    from verdicts.engines import trust

    if record:
        return store()
    if inside:
        return compute()
    if trust.library_folder() is None:
        raise mistake("llama_cpp is not installed", "run `make setup`")
    if if_new and trust.is_on_record():
        return None
    seen = trust.check()
    if seen.wrong:
        raise trust.failure(seen)
    kept = "" if trust.record_pass(seen) else "; no mark could be written, so that each tool checks it again"
    return say(f"selfcheck: llama.cpp computes right here: {seen.figures}{kept}")


def compute() -> None:
    """The child: answer and compare. Tells the parent figures and libraries on stdout, or what is wrong on stderr."""
    import json
    import resource
    import sys

    from verdicts.base.errors import UserError
    from verdicts.engines.trust import DIFFERS, loaded_files

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    stored = expected()
    try:
        wrong, figures = compare(stored["answers"], answers(stored))
    except UserError as error:  # llama.cpp does not load, or not the model
        wrong = f"cannot answer the stored prompts: {error}"
    if wrong:
        print(wrong, file=sys.stderr)
        raise typer.Exit(DIFFERS)
    print(json.dumps({"figures": figures, "files": loaded_files()}))


def expected() -> dict[str, Any]:
    """The stored prompts and answers. Raises UserError where they, or their teacher, are not what they were."""
    import json

    from verdicts.base.errors import mistake
    from verdicts.engines.trust import EXPECTED
    from verdicts.models.fingerprint import sampled_hash

    model, restore = EXPECTED.with_name("teacher.gguf"), "restore data/miniature (`git checkout -- data/miniature`)"
    for path in (EXPECTED, model):
        if not path.is_file():
            raise mistake("is missing, so llama.cpp cannot be checked", restore, path=path)
    stored = json.loads(EXPECTED.read_text(encoding="utf-8"))
    if sampled_hash(model) != stored["teacher"]:
        raise mistake(
            "is not the file that the stored answers belong to",
            f"{restore}; after training it anew: python -m tools.selfcheck --record",
            path=model,
        )
    return stored


def answers(stored: dict[str, Any], teacher: "Path | None" = None) -> list[dict[str, Any]]:
    """What llama.cpp answers here, for each stored prompt: ``pass`` and ``fail`` (probabilities) and ``text`` (greedy).

    Where it has a GPU, the answers of the GPU are followed by those of the processor alone. ``teacher``: another file
    than the bundled one.
    """
    from verdicts.config.engine import LlamaCppConfig, Thinking
    from verdicts.engines import trust
    from verdicts.engines.llama.engine import LlamaCppEngine

    trust.skip_check()
    found: list[dict[str, Any]] = []
    for layers in (-1, 0):
        config = LlamaCppConfig(
            kind="llama_cpp", model=str(teacher or trust.EXPECTED.with_name("teacher.gguf")),
            context_tokens=4096, batch_tokens=128, slots=4, chunk=64, kv="shared", kv_type="f16", contexts=1,
            n_threads=1, n_gpu_layers=layers,
            grammar=True, reasons="per_verdict", thinking=Thinking(enabled=False, max_new_tokens=1),
        )  # fmt: skip
        engine = LlamaCppEngine(config)
        found += answered(engine, stored["system"], stored["users"])
        gpu = engine.model.lib.llama_supports_gpu_offload()
        engine.close()
        if not gpu:
            break
    return found


def answered(engine: Any, system: str, users: "Sequence[str]") -> list[dict[str, Any]]:
    """Verdict probabilities, read in batches, and greedy texts, written token by token."""
    from math import exp, nan

    from verdicts.engines import Decode

    written = engine.rollout(system, users, [[Decode(0.0, 1.0, MOST_TOKENS, 1)]] * len(users))
    return [
        {word: nan if seen[word] is None else round(exp(seen[word]), 6) for word in WORDS} | {"text": completion.text}
        for seen, [completion] in zip(engine.judge(system, users), written, strict=True)
    ]


def compare(right: "Sequence[dict[str, Any]]", here: "Sequence[dict[str, Any]]") -> tuple[str, str]:
    """What is wrong with the answers ``here`` (empty where nothing is), and the figures in words.

    Two probabilities are right, and what lies between them: with 8-bit weights, kernels for processors round what they
    multiply them with to 8 bits too, cuBLAS multiplies in floats (``exact``). From there one may differ by
    ``TOLERANCE``; NaN never passes. A text may turn at a near tie, most of them may not. ``here`` may hold the answers
    of several devices, one after another.
    """
    gaps, texts = [], 0
    for number, answer in enumerate(here):
        wanted = right[number % len(right)]
        for word in WORDS:
            least, most = sorted((wanted[word], wanted["exact"][word]))
            gaps.append(abs(answer[word] - min(max(answer[word], least), most)))
        texts += answer["text"] == wanted["text"]
    off = [gap for gap in gaps if not gap <= TOLERANCE]
    if off:
        return (
            f"computes something else: {len(off)} of {len(gaps)} verdict probabilities differ from the stored ones by "
            f"more than {TOLERANCE} (one by {off[0]:.2f})",
            "",
        )
    if 2 * texts <= len(here):
        return f"writes something else: {len(here) - texts} of {len(here)} texts differ from the stored ones", ""
    return (
        "",
        f"{len(gaps)} verdict probabilities within {max(gaps):.3f} of the stored ones ({TOLERANCE} is allowed), "
        f"{texts} of {len(here)} texts the same",
    )


def store() -> None:
    """Write the answers of this machine's processor into the file of stored prompts: of the teacher, and in floats."""
    import json
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from verdicts.base.jsonl import write_text
    from verdicts.command.cli import say
    from verdicts.engines.trust import EXPECTED
    from verdicts.models.fingerprint import sampled_hash

    stored = json.loads(EXPECTED.read_text(encoding="utf-8"))
    bundled, count = EXPECTED.with_name("teacher.gguf"), len(stored["users"])
    stored["teacher"] = sampled_hash(bundled)
    with TemporaryDirectory() as folder:
        in_floats(bundled, Path(folder, "teacher.gguf"))
        exact = answers(stored, Path(folder, "teacher.gguf"))[-count:]
    stored["answers"] = [
        right | {"exact": {word: floats[word] for word in WORDS}}
        for right, floats in zip(answers(stored)[-count:], exact, strict=True)
    ]
    write_text(EXPECTED, json.dumps(stored, ensure_ascii=False, indent=1) + "\n")
    say(f"selfcheck: {len(stored['users'])} answers stored in {EXPECTED.name}")


def in_floats(model: "Path", output: "Path") -> None:
    """Write a GGUF with the same weights in F32: what they are multiplied with is then not rounded to 8 bits."""
    import gguf

    read = gguf.GGUFReader(model)
    writer = gguf.GGUFWriter(output, read.fields["general.architecture"].contents())
    for name, field in read.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            of = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], of)
    for tensor in read.tensors:
        writer.add_tensor(tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    run(main)
