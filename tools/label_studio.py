"""Write the review list for Label Studio: tasks to import, and the form to decide them on.

    python -m tools.label_studio --run-dir RUN --output-dir RUN/label_studio [--photos DIR] [--tasks waiting]

In:  RUN/need_review.json; RUN/review_decisions.jsonl and RUN/review_agreement.json where they are there; photos where
     there are any, by name as the review page finds them.
Out: tasks.json (a task a ticket, the likeliest label errors first), config.xml (the project's labelling configuration).

An export of the project, JSON or JSON-MIN, comes back by tools.review_apply --decisions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from verdicts.records.review import ReviewTicket


WHICH = ("waiting", "all", "disputed")  # tickets that nobody has decided; those that reviewers decided differently


def main(
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for tasks.json and config.xml.")],
    photos: Annotated[Path | None, typer.Option(help="Folder that holds the photos, at any depth.")] = None,
    photos_url: Annotated[
        str, typer.Option(help="Address that serves this folder; else Label Studio's local files do.")
    ] = "",
    tasks: Annotated[str, typer.Option(help="waiting: nobody decided them yet; all; disputed.")] = "waiting",
) -> None:
    """Write the review list for Label Studio."""
    from verdicts.base.errors import mistake
    from verdicts.base.jsonl import read_json, whole_files
    from verdicts.base.run_version import refuse_newer
    from verdicts.records.review import ReviewAgreement
    from verdicts.records.synthetic import named
    from verdicts.review.agreement import open_disputes, opinions
    from verdicts.review.label_studio_tasks import labelling_form, task_of
    from verdicts.review.review_list_file import stream_review
    from verdicts.runs.standing import read_said

    refuse_newer(run_dir)
    if tasks not in WHICH:
        raise mistake(f"is none of {', '.join(WHICH)} ({tasks!r})", "name one of them", path="--tasks")
    if photos_url and not photos:
        raise mistake("serves a folder that is not named", "name it with --photos", path=photos_url)
    said, compared = read_said(run_dir), run_dir / "review_agreement.json"
    agreement = read_json(compared, ReviewAgreement) if compared.exists() else None
    disputed = {one.ticket_key: opinions(one.opinions) for one in open_disputes(agreement, said)}
    shown = disputed if tasks == "disputed" else {}
    left_out = {"waiting": lambda key: key in said, "disputed": lambda key: key not in disputed}.get(tasks)
    address = photo_address(photos, photos_url) if photos else None
    listed = sent = pictures = asked = 0
    with whole_files(output_dir / "tasks.json", output_dir / "config.xml") as (file, form):
        file.write("[")
        for mission, ticket in stream_review(run_dir / "need_review.json", {}):
            listed += 1
            if left_out and left_out(ticket.ticket_key):
                continue
            task = task_of(mission, ticket, of_ticket(address, ticket), shown)
            file.write((",\n" if sent else "\n") + json.dumps(task, ensure_ascii=False))
            sent, asked, pictures = sent + 1, asked + len(ticket.images), pictures + len(task["data"].get("photos", ()))
        if not sent:
            raise mistake(f"no ticket is {tasks} ({listed} listed)", "name others with --tasks", path=run_dir)
        file.write("\n]\n")
        form.write(labelling_form(photos=bool(photos), opinions=bool(shown)))
    found = f", {pictures} of {asked} photos found" if photos else ""
    cli.say(f"{named('label_studio', run_dir)}: {sent} tasks of {listed} listed tickets{found} -> {output_dir}")


def photo_address(photos: Path, url: str) -> Callable[[ReviewTicket, str], str]:
    """Where Label Studio finds a ticket's photo; "" for one that is not in the folder."""
    from verdicts.base.errors import mistake
    from verdicts.review.label_studio_tasks import local_address
    from verdicts.review.page import Photos

    if not photos.is_dir():
        raise mistake("no such folder", "check --photos", path=photos)
    places = Photos(photos, photos / "tasks.json")  # relative to the folder itself

    def address(ticket: ReviewTicket, name: str) -> str:
        below = places.address(ticket, name)
        if below is None:
            return ""
        return f"{url.rstrip('/')}/{below}" if url else local_address(photos.resolve().name, below)

    return address


def of_ticket(address: Callable[[ReviewTicket, str], str] | None, ticket: ReviewTicket) -> Callable[[str], str] | None:
    """The addresses of one ticket's photos by name."""
    return (lambda name: address(ticket, name)) if address else None


if __name__ == "__main__":
    cli.run(main)
