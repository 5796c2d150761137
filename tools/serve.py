"""Serve a student: an OpenAI-compatible endpoint by transformers' own server, or by llama-server, until Ctrl-C.

    python -m tools.serve --run-dir runs/demo/bbu_line --host 127.0.0.1 --port 8000
    python -m tools.serve --run-dir runs/demo/bbu_line --host 127.0.0.1 --port 8000 --engine llama --quant q8_0

In:  the run's config/predict.yaml (how the student sees photos), for llama-server config/served.yaml; its taught
     student, or the one that is named; for llama-server the export beside it, gguf-<quant>/ (tools/export.py).
Out: nothing but what it says: the address, the model's name there, how to ask it. docs/serve.md.
"""

import time
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from verdicts.serving.server import Address

LOOPBACK = ("127.", "localhost", "::1")


class ServingEngine(StrEnum):
    """Whose server answers."""

    transformers = "transformers"
    llama = "llama"


class Wanted(NamedTuple):
    """What is served, and how: opened, it serves at the address that it gives."""

    folder: Path
    server: "AbstractContextManager[Address]"


def main(
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    host: Annotated[str, typer.Option(help="Where to listen; 127.0.0.1 is this machine alone.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0: any port that is free.")],
    student: Annotated[
        Path | None, typer.Option(help="Checkpoint folder; the run's taught student without it.")
    ] = None,
    fusion: Annotated[str | None, typer.Option(help="Serve checkpoints/<name>/merged; else as the run has it.")] = None,
    engine: Annotated[ServingEngine, typer.Option(help="Whose server: on the folder itself, or on its export.")] = (
        ServingEngine.transformers
    ),
    quant: Annotated[str, typer.Option(help="With llama: which export, gguf-<quant>/.")] = "f16",
) -> None:
    """Serve a student until Ctrl-C."""
    from verdicts.serving.server import Address, free_port
    from verdicts.serving.view import NAME

    address = Address(host, port)
    if engine == ServingEngine.llama:
        folder, server = by_llama(run_dir, student or taught(run_dir, fusion), quant, address)
    else:
        folder, server = by_transformers(run_dir, student or taught(run_dir, fusion), address)
    free_port(address)
    if not host.startswith(LOOPBACK):
        cli.complain(
            f"serve: WARNING: whoever reaches {host} may ask this server, and it asks nobody for a key; it fetches the "
            "addresses and opens the image files that a request names"
        )
    cli.say(f"serve: loading {folder}")
    with server as (where, port):
        url = Address(where, port).url
        cli.say(f'serve: {folder} answers at {url} as model "{NAME}"; Ctrl-C ends it')
        body = f'{{"model": "{NAME}", "temperature": 0, "messages": [{{"role": "user", "content": "…"}}]}}'
        cli.say(f"serve: ask it: curl -s {url}/chat/completions -H 'Content-Type: application/json' -d '{body}'")
        cli.say("serve: tickets and photos of this run, from Python or curl: docs/serve.md")
        while True:
            time.sleep(3600)


def by_transformers(run_dir: Path, folder: Path, address: "Address") -> Wanted:
    """transformers' own server on a checkpoint folder. Raises UserError for what it cannot serve."""
    from verdicts.prediction.student import predict_section
    from verdicts.serving.server import check_packages, serving
    from verdicts.student.model import check_content, check_folder

    knobs = predict_section(run_dir).student
    check_folder(folder, weights=True)
    check_content(folder, weights=True)
    check_packages()
    return Wanted(folder, serving(folder, knobs.max_photo_pixels, knobs.n_threads, address))


def by_llama(run_dir: Path, student: Path, quant: str, address: "Address") -> Wanted:
    """llama-server on what make export made of a checkpoint folder. Raises UserError for what it cannot serve."""
    from verdicts.config.tools import ServedConfig, read_section
    from verdicts.serving.llama import check_host, exported, serving_export

    check_host(address)
    knobs = read_section(run_dir / "config" / "served.yaml", ServedConfig).llama_server
    folder = exported(student, quant)
    return Wanted(folder, serving_export(folder, knobs, address))


def taught(run_dir: Path, fusion: str | None) -> Path:
    """The run's taught student, else the configured one, which is said aloud."""
    from verdicts.prediction.student import predict_section
    from verdicts.runs.freshness import CHECKPOINTS, Fresh
    from verdicts.runs.naming import remembered

    folder = CHECKPOINTS / Fresh(run_dir, fusion or remembered(run_dir)[0].fusion).student
    if (folder / "metrics.json").exists():
        return folder / "merged"
    configured = predict_section(run_dir).student.model
    cli.complain(f"serve: WARNING: no taught student in {folder}; {configured}, the configured one, is served")
    return Path(configured)


if __name__ == "__main__":
    cli.run(main, engine="torch")
