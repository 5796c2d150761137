"""Write the need-review queue as one page, to be decided in a browser without a server.

    python -m tools.review_page --run-dir RUN --output RUN/review.html [--photos DIR]

In:  RUN/need_review.json, RUN/guidance.json, RUN/config/rollout.yaml (mission, explicit negatives), and
     RUN/review_decisions.jsonl, RUN/distill.audit.jsonl, RUN/audit_decisions.jsonl and photos where there are any.
     A photo is found by its name, or below a folder named after its group; it is linked, not embedded, so the page
     has to stay where it is relative to them.
Out: review.html, which saves review_decisions.jsonl and audit_decisions.jsonl for tools.review_apply.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command import cli


def main(
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    output: Annotated[Path, typer.Option(help="Page to write.")],
    photos: Annotated[Path | None, typer.Option(help="Folder that holds the photos, at any depth.")] = None,
) -> None:
    """Write the need-review queue as one page."""
    from verdicts.base.errors import mistake
    from verdicts.base.jsonl import read_json, write_text
    from verdicts.config.tools import RolloutConfig, read_section
    from verdicts.records.guidance import read_guidance
    from verdicts.records.review import NeedReviewFile, read_decisions
    from verdicts.records.synthetic import is_synthetic, named
    from verdicts.records.ticket_index import Tickets
    from verdicts.review.audit import KEPT, read_audited, read_sample
    from verdicts.review.highlight import Marker
    from verdicts.review.page import Audit, Photos, page_data, review_page
    from verdicts.runs.naming import remembered

    cfg = read_section(run_dir / "config" / "rollout.yaml", RolloutConfig)
    review = read_json(run_dir / "need_review.json", NeedReviewFile).missions.get(cfg.mission.name)
    tickets = review.tickets if review else []
    guidance = read_guidance(run_dir / "guidance.json", cfg.mission.name)
    decided = run_dir / "review_decisions.jsonl"
    said = read_decisions(decided, Tickets(run_dir / "stage_a.jsonl")) if decided.exists() else {}
    sample = read_sample(run_dir)
    told = read_audited(run_dir / KEPT) if (run_dir / KEPT).exists() else {}
    remembered_photos = remembered(run_dir)[0].photos
    gone = ""
    if photos is None and remembered_photos:
        photos = Path(remembered_photos.path) if Path(remembered_photos.path).is_dir() else None
        gone = "" if photos else f", without photos (PHOTOS={remembered_photos.path} is no folder here; name one)"
    if photos and not photos.is_dir():
        raise mistake("no such folder", "check --photos", path=photos)

    run = "/".join(run_dir.resolve().parts[-2:])
    data = page_data(
        run,
        cfg.mission.name,
        tickets,
        guidance,
        said,
        Marker(cfg.mission.g0, cfg.fail_first),
        Photos(photos, output) if photos else None,
        Audit(list(sample.values()), told),
    )
    data["synthetic"] = is_synthetic(run_dir)
    write_text(output, review_page(data))
    audited = data["audit"] or {"tickets": [], "said": {}}
    shown = [photo for ticket in [*data["tickets"], *audited["tickets"]] for photo in ticket["photos"]]
    pictures = f", {sum('src' in photo for photo in shown)} of {len(shown)} photos found" if photos else gone
    cli.say(
        f"{named('review_page', run_dir)}: {len(tickets)} tickets, "
        f"{sum(ticket.ticket_key in said for ticket in tickets)} decided already"
        + (f"; audit sample: {len(sample)} answers, {len(audited['said'])} decided already" if sample else "")
        + f"{pictures} -> {output}"
    )


if __name__ == "__main__":
    cli.run(main)
