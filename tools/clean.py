"""Delete one run, and nothing that is none.

    python -m tools.clean --runs runs --run-name demo --mission bbu_line

Deletes runs/<RUN>/<MISSION>/ where that is a folder a run was made in (it has config/ with sections that prepare
wrote), and runs/<RUN>/ where nothing else is left in it. Anything else is refused.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command.cli import run


def main(
    runs: Annotated[Path, typer.Option(help="Folder of all runs.")],
    run_name: Annotated[str, typer.Option(help="Run: a name below --runs.")] = "",
    mission: Annotated[str, typer.Option(help="Mission slug.")] = "",
) -> None:
    """Delete one run."""
    import shutil

    from verdicts.base.errors import UserError, mistake
    from verdicts.base.made import is_run
    from verdicts.command.cli import say

    if not run_name or not mission:
        raise UserError("make clean deletes one run: name it, RUN=demo (MISSION=bbu_line)")
    folder = runs / run_name / mission
    if folder.is_symlink() or folder.resolve().parent.parent != runs.resolve() or not folder.is_dir():
        raise mistake("is no folder of a run", "check RUN, MISSION and RUNS", path=folder)
    if not is_run(folder):
        raise mistake(
            "was not made by a run (it has no config/rollout.yaml)", "delete it yourself, if you mean to", path=folder
        )
    shutil.rmtree(folder)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()
    say(f"clean: {folder} is deleted")


if __name__ == "__main__":
    run(main)
