"""Rules that hold between the files of a run (DESIGN.md §3 and §4).

A check yields one item for each thing it looks at: None where all is well, else the problem as a sentence.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.core.errors import mistake
from tools.core.prompts import rule_number
from tools.core.protocol import parse, render
from tools.core.records import ticket_key
from tools.core.review import is_unsupported, last_evaluations, unresolved
from tools.core.run_folder import ROW_NAMES, doubled
from tools.core.run_reader import Numbered, Run

Findings = Iterator[str | None]
AGAIN = "delete the file to have it made again"


def _wrong(path: Path, line: int | None, field: str, what: str, todo: str) -> str:
    return str(mistake(what, todo, path=path, line=line, field=field))


def rounds_follow_each_other(run: Run) -> Findings:
    """Rounds are numbered without a gap, their rows bear their number, and guidance steps never go back."""
    steps: dict[str, int] = defaultdict(int)
    for number in range(max(max(run.guidance, default=0), run.loop.rounds if run.loop else 0) + 1):
        path = run.round_path(number, "guidance.json")
        if number not in run.guidance:
            yield _wrong(path, None, "", "no such file, though later rounds or loop.json need it", "run the loop again")
            continue
        for mission, guidance in run.guidance[number].root.items():
            what = f"{guidance.step} after {steps[mission]} in the round before"
            yield _wrong(path, None, f"{mission}.step", what, "run the loop again") if guidance.step < steps[mission] else None
            steps[mission] = guidance.step
        for name, rows in run.rounds.get(number, {}).items():
            for line, row in rows:
                what = f"{row.round} in the folder of round {number}"
                yield _wrong(run.round_path(number, name), line, "round", what, "correct it") if row.round != number else None


def rule_keys_are_never_used_again(run: Run) -> Findings:
    """A key that left guidance stays away."""
    born, gone = defaultdict(set), defaultdict(set)
    for number, file in sorted(run.guidance.items()):
        for mission, guidance in file.root.items():
            keys = set(guidance.experiences)
            again = sorted(keys & gone[mission], key=rule_number)
            path = run.round_path(number, "guidance.json")
            yield _wrong(path, None, f"{mission}.experiences.{again[0]}", "a removed key is used again", "give the rule a new key") if again else None
            gone[mission] |= born[mission] - keys
            born[mission] |= keys


def tickets_are_known(run: Run) -> Findings:
    """A record of a ticket names one of Stage A, and agrees with it on group, mission and label."""
    files: list[tuple[Path, Numbered]] = [(run.folder / name, rows) for name, rows in run.rows.items()]
    files += [(run.round_path(number, name), rows) for number, names in run.rounds.items() for name, rows in names.items()]
    for path, rows in files:
        for line, row in rows:
            if key := getattr(row, "ticket_key", None):
                yield _stranger(run, path, line, row, key)


def _stranger(run: Run, path: Path, line: int, row: object, key: str) -> str | None:
    ticket = run.tickets.get(key)
    if ticket is None:
        return _wrong(path, line, "ticket_key", f"{key!r} is not a ticket of stage_a.jsonl", "correct the key or delete the line")
    for name, want in (("group_id", ticket.group_id), ("mission", ticket.mission), ("label", ticket.label), ("gt_label", ticket.label)):
        if getattr(row, name, want) != want:
            return _wrong(path, line, name, f"{getattr(row, name)!r}, but ticket {key!r} has {want!r}", "correct one of the two")
    return None


def one_selection_a_ticket(run: Run) -> Findings:
    """The run's view holds each ticket once."""
    yield from _once(run.folder / "selections.jsonl", run.rows["selections.jsonl"])


def rows_stand_once(run: Run) -> Findings:
    """No row of any other file stands in it twice."""
    files: list[tuple[Path, Numbered]] = [(run.folder / name, rows) for name, rows in run.rows.items() if name != "selections.jsonl"]
    files += [(run.round_path(number, name), rows) for number, names in run.rounds.items() for name, rows in names.items()]
    for path, rows in files:
        yield from _once(path, rows)


def _once(path: Path, rows: Numbered) -> Findings:
    twice = doubled(path.name, rows)
    for line, _ in rows if path.name in ROW_NAMES else []:
        first, names = twice.get(line, (0, ""))
        yield _wrong(path, line, ROW_NAMES[path.name][-1], f"{names} stands on line {first} already", "keep one of the two") if first else None


def valid_answers_keep_the_protocol(run: Run) -> Findings:
    """A candidate with format_ok reads as exactly its verdict and reason, in two lines."""
    for line, row in run.rows["trajectories.jsonl"]:
        if not row.format_ok:
            continue
        parsed = parse(row.response_text)
        same = (parsed.verdict, parsed.reason) == (row.verdict, row.reason) and row.response_text.count("\n") == 1
        what = f"does not read as verdict {row.verdict} and its reason ({parsed.why or 'another answer'})"
        yield None if same else _wrong(run.folder / "trajectories.jsonl", line, "response_text", what, "correct it, or set format_ok to false")


def label_match_is_right(run: Run) -> Findings:
    """label_match says whether the verdict is the ticket's label."""
    for name in ("trajectories.jsonl", "selections.jsonl"):
        for line, row in run.rows[name]:
            ticket = run.tickets.get(row.ticket_key)
            right = ticket is None or row.label_match == (row.verdict == ticket.label)
            yield None if right else _wrong(run.folder / name, line, "label_match", f"{row.label_match} for verdict {row.verdict}", "correct it")


def one_guidance_in_a_converged_epoch(run: Run) -> Findings:
    """In a converged run every selection was made under the guidance that the run ended with."""
    if run.loop.status != "converged" or run.loop.rounds not in run.guidance:
        return
    steps = {mission: guidance.step for mission, guidance in run.guidance[run.loop.rounds].root.items()}
    for line, row in run.rows["selections.jsonl"]:
        what = f"{row.guidance_step}, but the run converged at step {steps.get(row.mission)}"
        yield _wrong(run.folder / "selections.jsonl", line, "guidance_step", what, AGAIN) if row.guidance_step != steps.get(row.mission) else None


def review_holds_the_unsupported(run: Run) -> Findings:
    """need_review.json lists the tickets no candidate of their last evaluation supports (under label_suspect: some of them)."""
    listed = unresolved(run.review)
    for key, candidates in last_evaluations(run.records("trajectories.jsonl")).items():
        unsupported = is_unsupported(candidates)
        what = None
        if key in listed and not unsupported:
            what = f"{key!r} is listed, though a candidate supports its label"
        elif key not in listed and unsupported and run.policy == "unsupported":
            what = f"{key!r} is missing, though no candidate supports its label"
        yield _wrong(run.folder / "need_review.json", None, "tickets", what, AGAIN) if what else None


def review_counts_its_tickets(run: Run) -> Findings:
    """The count and both breakdowns add up."""
    for mission, review in run.review.missions.items():
        counts = [review.count, len(review.tickets), sum(review.by_gt_label.values()), sum(review.by_reason_code.values())]
        what = "count, tickets, by_gt_label and by_reason_code give {}, {}, {}, {}".format(*counts)
        yield _wrong(run.folder / "need_review.json", None, mission, what, AGAIN) if len(set(counts)) != 1 else None


def corpus_says_what_was_selected(run: Run) -> Findings:
    """Each answer of the corpus is the selected one of its ticket."""
    said = {row.ticket_key: render(row.verdict, row.reason) for row in run.records("selections.jsonl")}
    for line, row in run.rows["distill_chatml.jsonl"]:
        same = said.get(ticket_key(row.group_id, row.label)) == row.messages[2].content
        yield None if same else _wrong(run.folder / "distill_chatml.jsonl", line, "messages.2", "not the selected answer of its ticket", AGAIN)


def same_photos_same_prompt(run: Run) -> Findings:
    """Tickets with the same summaries have the same prompt, so no label and no id is in it."""
    prompts: dict[tuple, tuple[str, str]] = {}
    for line, row in run.rows["distill_chatml.jsonl"]:
        ticket = run.tickets.get(ticket_key(row.group_id, row.label))
        prompt = (row.messages[0].content, row.messages[1].content)
        same = ticket is None or prompts.setdefault(tuple(ticket.per_image.items()), prompt) == prompt
        what = "another ticket with the same summaries has another prompt"
        yield None if same else _wrong(run.folder / "distill_chatml.jsonl", line, "messages", what, AGAIN)


def train_and_val_share_no_group(run: Run) -> Findings:
    """A group's tickets are all on one side."""
    train = {row.group_id for row in run.records("distill.train.jsonl")}
    for line, row in run.rows["distill.val.jsonl"]:
        what = f"{row.group_id!r} is in distill.train.jsonl too"
        yield _wrong(run.folder / "distill.val.jsonl", line, "group_id", what, AGAIN) if row.group_id in train else None


# what it says, the run's own files it needs, the check
CHECKS: list[tuple[str, set[str], Callable[[Run], Findings]]] = [
    ("rounds follow each other", set(), rounds_follow_each_other),
    ("rule keys are never used again", set(), rule_keys_are_never_used_again),
    ("records name known tickets", set(), tickets_are_known),
    ("one selection a ticket in the run's view", {"selections.jsonl"}, one_selection_a_ticket),
    ("no row of another file stands twice", set(), rows_stand_once),
    ("valid candidates keep the two-line protocol", {"trajectories.jsonl"}, valid_answers_keep_the_protocol),
    ("label_match says what it says", {"trajectories.jsonl", "selections.jsonl"}, label_match_is_right),
    ("one guidance for the whole converged epoch", {"loop.json", "selections.jsonl"}, one_guidance_in_a_converged_epoch),
    ("need_review.json = tickets no candidate supports at their last evaluation", {"need_review.json", "trajectories.jsonl"}, review_holds_the_unsupported),
    ("need_review.json counts its tickets", {"need_review.json"}, review_counts_its_tickets),
    ("corpus answers are the selected candidates", {"distill_chatml.jsonl", "selections.jsonl"}, corpus_says_what_was_selected),
    ("same summaries, same prompt", {"distill_chatml.jsonl"}, same_photos_same_prompt),
    ("train and val share no group", {"distill.train.jsonl", "distill.val.jsonl"}, train_and_val_share_no_group),
]
