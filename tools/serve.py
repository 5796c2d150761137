"""Serve a student: an OpenAI-compatible endpoint by transformers' own server, until Ctrl-C.

    python -m tools.serve --run-dir runs/demo/bbu_line --host 127.0.0.1 --port 8000

In:  the run's config/predict.yaml (how the student sees photos); its taught student, or the one that is named.
Out: nothing but what it says: the address, the model's name there, how to ask it. docs/serve.md.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from verdicts.config.tools import PredictConfig

LOOPBACK = ("127.", "localhost", "::1")


def main(
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    host: Annotated[str, typer.Option(help="Where to listen; 127.0.0.1 is this machine alone.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0: any port that is free.")],
    student: Annotated[
        Path | None, typer.Option(help="Checkpoint folder; the run's taught student without it.")
    ] = None,
    fusion: Annotated[str | None, typer.Option(help="Serve checkpoints/<name>/merged; else as the run has it.")] = None,
) -> None:
    """Serve a student until Ctrl-C."""
    from verdicts.prediction.student import predict_section
    from verdicts.serving.server import Address, check_packages, free_port, serving
    from verdicts.serving.view import NAME
    from verdicts.student.model import check_content, check_folder

    cfg = predict_section(run_dir)
    folder = student or taught(run_dir, fusion, cfg)
    check_folder(folder, weights=True)
    check_content(folder, weights=True)
    check_packages()
    free_port(Address(host, port))
    if not host.startswith(LOOPBACK):
        cli.complain(
            f"serve: WARNING: whoever reaches {host} may ask this server, and it asks nobody for a key; it fetches the "
            "addresses and opens the image files that a request names"
        )
    cli.say(f"serve: loading {folder}")
    with serving(folder, cfg.student.max_photo_pixels, cfg.student.n_threads, Address(host, port)) as address:
        cli.say(f'serve: {folder} answers at {address.url} as model "{NAME}"; Ctrl-C ends it')
        body = f'{{"model": "{NAME}", "messages": [{{"role": "user", "content": "…"}}]}}'
        ask = f"curl -s {address.url}/chat/completions -H 'Content-Type: application/json' -d '{body}'"
        cli.say(f"serve: ask it: {ask}")
        cli.say("serve: tickets and photos of this run, from Python or curl: docs/serve.md")
        while True:
            time.sleep(3600)


def taught(run_dir: Path, fusion: str | None, cfg: "PredictConfig") -> Path:
    """The run's taught student, else the configured one, which is said aloud."""
    from verdicts.runs.freshness import CHECKPOINTS, Fresh
    from verdicts.runs.naming import remembered

    folder = CHECKPOINTS / Fresh(run_dir, fusion or remembered(run_dir)[0].fusion).student
    if (folder / "metrics.json").exists():
        return folder / "merged"
    cli.complain(f"serve: WARNING: no taught student in {folder}; {cfg.student.model}, the configured one, is served")
    return Path(cfg.student.model)


if __name__ == "__main__":
    cli.run(main, engine="torch")
