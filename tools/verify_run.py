"""Check a finished run against docs/design.md without any of the project's code.

    python -m tools.verify_run --run-dir runs/miniature/bbu_line

In:  the run folder. With --stage-a, the tickets as they were given, instead of the run's own copy of them; rows that
     the run's lists name (tickets.*.jsonl) are taken from there.
Out: a line a check on stdout; exits with 1 if any fails, with 2 if a file cannot be read. Writes nothing.

``tools.check`` reads files with the record models that wrote them, so a mistake in a model escapes it. This script
imports nothing of the project: what both pass was looked at twice. It holds a whole run in memory.
"""

import argparse
import json
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

WORDS = {"pass": "通过", "fail": "不通过"}
THIRD_STATES = (
    "需复核", "需要复核", "需人工复核", "待复核", "need-review", "need review", "need_review",
    "待定", "证据不足", "无法判定",
)  # fmt: skip
REVIEW_REASONS = ("no_candidate_supports_gt", "label_suspect")
CORPUS_KEYS = {"group_id", "mission", "label", "messages"}
TRAINING_KEYS = CORPUS_KEYS | {"weight", "flags"}
ROLES = ["system", "user", "assistant"]
Z95 = 1.959963984540054  # of a 95 % interval
ROUNDING = 1e-6  # of rates in records


class Unreadable(Exception):
    """A file that is not there, or a line that is no JSON object."""


class Row(NamedTuple):
    """A record and where it stands."""

    where: str
    data: dict[str, Any]

    @property
    def key(self) -> str:
        """Its ticket_key, which is ``group_id::label`` where a record does not spell it out."""
        return self.data.get("ticket_key") or f"{self.data['group_id']}::{self.data['label']}"


def read_rows(path: Path) -> list[Row]:
    """The rows of a JSONL file. Raises Unreadable, which names the line."""
    rows = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if line.strip():
            rows.append(Row(f"{path.name}:{number}", _object(line, f"{path}:{number}")))
    return rows


def read_object(path: Path) -> dict[str, Any]:
    """A file that is one JSON object."""
    return _object(_text(path), str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: {error}") from None


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"{where}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise Unreadable(f"{where}: not a JSON object")
    return value


def given_rows(stage_a: Path, folder: Path) -> list[Row]:
    """Tickets as they were given. Those that the run's lists name are as the run has them: put right, or left out."""
    listed = {
        name: read_rows(path) if (path := folder / f"tickets.{name}.jsonl").exists() else []
        for name in ("repaired", "aside", "refused", "dropped")
    }
    own = {row.key: row for row in read_rows(folder / "stage_a.jsonl")}
    replaced = [row for row in listed["repaired"] if row.data["kind"] in ("same_ticket", "resubmission")]
    left = {row.data["line"] for row in (*listed["refused"], *replaced)}
    mended = {row.data["line"]: row.data["ticket_key"] for row in (*listed["repaired"], *listed["aside"])}
    dropped = {row.data["ticket_key"] for row in listed["dropped"]}
    rows = []
    for number, line in enumerate(_text(stage_a).split("\n"), start=1):
        if number in left or not line.strip():
            continue
        key = mended.get(number)
        row = own.get(key) if key else Row(f"{stage_a.name}:{number}", _object(line, f"{stage_a}:{number}"))
        if row and (key or row.key) not in dropped:
            rows.append(row)
    return rows


class Run:
    """What a run folder holds. ``tickets``: by ticket_key. ``rounds``: the rows of each round's files, in order."""

    def __init__(self, folder: Path, stage_a: Path | None):
        self.folder = folder
        self.ticket_rows = given_rows(stage_a, folder) if stage_a else read_rows(folder / "stage_a.jsonl")
        self.tickets = {row.key: row.data for row in self.ticket_rows}
        self.loop = read_object(folder / "loop.json")
        self.trajectories = read_rows(folder / "trajectories.jsonl")
        self.selections = read_rows(folder / "selections.jsonl")
        self.malformed = read_rows(folder / "failure_malformed.jsonl")
        self.metrics = read_rows(folder / "metrics.jsonl")
        self.review = read_object(folder / "need_review.json")["missions"]
        self.queue = read_rows(folder / "need_review_queue.jsonl")
        numbers = range(1, self.loop["rounds"] + 1)
        self.rounds = {
            number: {
                name: read_rows(self.round_path(number, name)) for name in ("trajectories.jsonl", "selections.jsonl")
            }
            for number in numbers
        }
        self.guidance = [read_object(self.round_path(number, "guidance.json")) for number in (0, *numbers)]
        self.chosen = {row.key: row.data for row in self.selections}
        self.valid = [row for row in self.trajectories if row.data["format_ok"]]
        self.last = last_evaluations(self.trajectories)

    def round_path(self, number: int, name: str) -> Path:
        """A file of a round."""
        return self.folder / "rounds" / f"{number:04d}" / name

    @property
    def has_corpus(self) -> bool:
        """Whether anything was distilled: only a converged run has a corpus, and only where it was asked for one."""
        return (self.folder / "distill_chatml.jsonl").exists()

    @property
    def only_suspects(self) -> bool:
        """Whether ``review.policy`` narrows the review list to tickets that reflection could not explain."""
        told = self.folder / "config" / "reflect.yaml"
        return told.exists() and re.search(r"^\s*policy:\s*label_suspect\b", _text(told), re.MULTILINE) is not None


def last_evaluations(trajectories: Iterable[Row]) -> dict[str, list[Row]]:
    """By ticket, its candidates of the last round that evaluated it."""
    last: dict[str, list[Row]] = {}
    for row in trajectories:
        held = last.get(row.key)
        if held is None or row.data["round"] > held[0].data["round"]:
            last[row.key] = [row]
        elif row.data["round"] == held[0].data["round"]:
            held.append(row)
    return last


class Found(NamedTuple):
    """What a check found: what is wrong, each as a sentence with its place, and how many things were looked at."""

    wrong: list[str]
    total: int


def look(rows: Iterable[Row], problem: Callable[[Row], str | None]) -> Found:
    """Look at each row; ``problem`` says what is wrong with it."""
    rows = list(rows)
    return Found([f"{row.where}: {said}" for row in rows if (said := problem(row))], len(rows))


# -- tickets and the records of them
def tickets_stand_once(run: Run) -> Found:
    """A ticket is its group and its label: no two lines are the same ticket."""
    counts = Counter(row.key for row in run.ticket_rows)
    return look(run.ticket_rows, lambda row: f"{row.key} stands twice" if counts[row.key] > 1 else None)


def summaries_belong_to_photos(run: Run) -> Found:
    """``per_image`` runs image_1, image_2, …, one for each photo."""

    def problem(row: Row) -> str | None:
        wanted = [f"image_{number}" for number in range(1, len(row.data["images"]) + 1)]
        return None if list(row.data["per_image"]) == wanted else f"per_image holds {list(row.data['per_image'])}"

    return look(run.ticket_rows, problem)


def records_name_known_tickets(run: Run) -> Found:
    """A record of a ticket agrees with it on group, mission and label."""

    def problem(row: Row) -> str | None:
        ticket = run.tickets.get(row.key)
        if ticket is None:
            return f"{row.key} is no ticket"
        wrong = [name for name in ("group_id", "mission", "label") if row.data.get(name, ticket[name]) != ticket[name]]
        if row.data.get("gt_label", ticket["label"]) != ticket["label"]:
            wrong.append("gt_label")
        return f"{row.key} has another {wrong[0]}" if wrong else None

    return look([*run.trajectories, *run.selections, *run.malformed, *run.queue], problem)


# -- answers
def two_lines(text: str) -> tuple[str, str] | None:
    """Verdict word and reason of an answer that keeps the two-line protocol, else None."""
    lines = text.split("\n")
    if len(lines) != 2 or not lines[0].startswith("Verdict: ") or not lines[1].startswith("Reason: "):
        return None
    word, reason = lines[0].removeprefix("Verdict: "), lines[1].removeprefix("Reason: ")
    third = any(state in text.lower() for state in THIRD_STATES)
    return (word, reason) if word in WORDS.values() and reason.strip() and not third else None


def valid_answers_keep_the_protocol(run: Run) -> Found:
    """A valid candidate reads as exactly its verdict and its reason."""

    def problem(row: Row) -> str | None:
        said = two_lines(row.data["response_text"])
        if said is None:
            return f"not two lines: {row.data['response_text']!r}"
        same = said == (WORDS.get(row.data["verdict"]), row.data["reason"])
        return None if same else f"reads as {said}, recorded as {row.data['verdict']}: {row.data['reason']}"

    return look(run.valid, problem)


def label_match_is_right(run: Run) -> Found:
    """``label_match``: the verdict is the ticket's label."""

    def problem(row: Row) -> str | None:
        label = run.tickets.get(row.key, {}).get("label")
        right = row.data["label_match"] == (row.data["verdict"] == label)
        return None if right else f"label_match {row.data['label_match']} for {row.data['verdict']} of {row.key}"

    return look([*run.valid, *run.selections], problem)


def hard_failures_are_recorded(run: Run) -> Found:
    """Every answer that is none stands in failure_malformed.jsonl, and no valid one does."""

    def names(row: Row) -> tuple[Any, ...]:
        return row.data["round"], row.key, row.data["candidate_index"]

    recorded = {names(row) for row in run.malformed}

    def problem(row: Row) -> str | None:
        if row.data["format_ok"] and names(row) in recorded:
            return "a valid candidate stands in failure_malformed.jsonl"
        return None if row.data["format_ok"] or names(row) in recorded else "not in failure_malformed.jsonl"

    return look(run.trajectories, problem)


# -- rounds, and the run's view of them
def rounds_are_whole(run: Run) -> Found:
    """Each row of a round bears its number."""
    wrong = [
        f"rounds/{number:04d}/{row.where}: round {row.data['round']}"
        for number, files in run.rounds.items()
        for rows in files.values()
        for row in rows
        if row.data["round"] != number
    ]
    return Found(wrong, sum(len(rows) for files in run.rounds.values() for rows in files.values()))


def view_holds_all_rounds(run: Run) -> Found:
    """trajectories.jsonl of the run is those of its rounds, one after another."""
    played = [row.data for files in run.rounds.values() for row in files["trajectories.jsonl"]]
    wrong = []
    if len(played) != len(run.trajectories):
        wrong.append(f"trajectories.jsonl: {len(run.trajectories)} rows, its rounds have {len(played)}")
    pairs = zip(run.trajectories, played, strict=False)
    wrong += [f"{row.where}: not the row of its round" for row, of_round in pairs if row.data != of_round]
    return Found(wrong, len(played))


def view_holds_last_selections(run: Run) -> Found:
    """selections.jsonl of the run: of each ticket, what the last round that evaluated it selected."""
    by_round = {
        (number, row.key): row.data for number, files in run.rounds.items() for row in files["selections.jsonl"]
    }
    wanted = {key: by_round.get((rows[0].data["round"], key)) for key, rows in run.last.items()}
    wrong = [
        f"selections.jsonl: {key} differs from its last round" for key in wanted if run.chosen.get(key) != wanted[key]
    ]
    wrong += [f"selections.jsonl: {key} was never evaluated" for key in run.chosen if key not in wanted]
    counts = Counter(row.key for row in run.selections)
    wrong += [f"selections.jsonl: {key} stands {count} times" for key, count in counts.items() if count > 1]
    return Found(wrong, len(wanted))


def selected_answers_are_candidates(run: Run) -> Found:
    """What was selected for a ticket is a valid candidate of the same round."""
    said = defaultdict(set)
    for row in run.valid:
        said[row.key, row.data["round"]].add((row.data["verdict"], row.data["reason"]))

    def problem(row: Row) -> str | None:
        there = said[row.key, row.data["round"]]
        return None if (row.data["verdict"], row.data["reason"]) in there else f"no candidate of {row.key} says so"

    return look(run.selections, problem)


def wilson(k: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (E. B. Wilson, JASA 22, 1927)."""
    share, z = k / n, Z95
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def rates_are_those_of_the_rounds(run: Run) -> Found:
    """FRR, false block and label match of each round and epoch follow from its selections, with their intervals."""
    epochs = defaultdict(list)
    for number, files in run.rounds.items():
        for row in files["selections.jsonl"]:
            epochs["epoch", row.data["epoch"]].append(row.data)
            epochs["round", number].append(row.data)

    def problem(row: Row) -> str | None:
        scope = row.data["scope"]
        rows = epochs[scope, row.data[scope]]
        verdicts = [(one["label"], one["verdict"]) for one in rows]
        counts = {
            "frr": (verdicts.count(("fail", "pass")), sum(label == "fail" for label, _ in verdicts)),
            "false_block": (verdicts.count(("pass", "fail")), sum(label == "pass" for label, _ in verdicts)),
            "label_match": (sum(label == verdict for label, verdict in verdicts), len(verdicts)),
        }
        for name, (k, n) in counts.items():
            rate = row.data[name]
            if (rate["k"], rate["n"]) != (k, n):
                return f"{name} is {rate['k']}/{rate['n']}, the selections give {k}/{n}"
            wanted = (k / n, *wilson(k, n)) if n else (None, None, None)
            found = (rate["rate"], rate["low"], rate["high"])
            if any(
                a != b and (a is None or b is None or abs(a - b) > ROUNDING) for a, b in zip(found, wanted, strict=True)
            ):
                return f"{name} says {found}, {k}/{n} gives {wanted}"
        return None

    return look(run.metrics, problem)


# -- guidance
def missions_of(run: Run) -> list[str]:
    """The missions that the run has guidance for."""
    return sorted({mission for guidance in run.guidance for mission in guidance})


def rule_keys_are_never_used_again(run: Run) -> Found:
    """A key that left guidance stays away, and G0 stays as it is."""
    wrong, seen = [], 0
    for mission in missions_of(run):
        born: set[str] = set()
        gone: set[str] = set()
        start = run.guidance[0][mission]["experiences"].get("G0")
        for number, guidance in enumerate(run.guidance):
            rules = guidance[mission]["experiences"]
            wrong += [f"rounds/{number:04d}/guidance.json: {key} is used again" for key in sorted(rules.keys() & gone)]
            wrong += [f"rounds/{number:04d}/guidance.json: G0 has changed"] if rules.get("G0") != start else []
            gone |= born - rules.keys()
            born |= rules.keys()
        seen += len(born)
    return Found(wrong, seen)


def steps_follow_changes(run: Run) -> Found:
    """``step`` never goes back, and moves where rules change."""
    wrong = []
    for mission in missions_of(run):
        states = [guidance[mission] for guidance in run.guidance]
        for number, (before, after) in enumerate(pairwise(states), start=1):
            changed, moved = before["experiences"] != after["experiences"], after["step"] - before["step"]
            if moved < 0 or (changed and moved == 0):
                wrong.append(f"rounds/{number:04d}/guidance.json: step {before['step']} -> {after['step']}")
    return Found(wrong, len(run.guidance))


def converged_means_an_epoch_without_change(run: Run) -> Found:
    """A converged run's last epoch was played under one guidance, which is the run's, and with one prompt."""
    if run.loop["status"] != "converged":
        return Found([], 1)
    last = run.guidance[-run.loop["rounds_per_epoch"] - 1 :]
    wrong = []
    for mission in missions_of(run):
        if any(guidance[mission]["experiences"] != last[0][mission]["experiences"] for guidance in last):
            wrong.append("loop.json: converged, though its last epoch changed a rule")
        steps = {row.data["guidance_step"] for row in run.selections if row.data["mission"] == mission}
        if steps != {last[-1][mission]["step"]}:
            wrong.append(
                f"selections.jsonl: made under steps {sorted(steps)}, converged at {last[-1][mission]['step']}"
            )
    prompts = {row.data.get("prompt", "") for row in run.selections} - {""}  # rows of an older version name none
    if len(prompts) > 1:
        wrong.append(f"selections.jsonl: answers to several prompts ({', '.join(sorted(prompts))})")
    if read_object(run.folder / "guidance.json") != run.guidance[-1]:
        wrong.append("guidance.json: not what the last round left")
    return Found(wrong, 1)


# -- review
def review_lists_the_unsupported(run: Run) -> Found:
    """need_review.json: the tickets with a valid candidate at their last evaluation, and none that supports them."""
    unsupported = set()
    for key, rows in run.last.items():
        valid = [row.data for row in rows if row.data["format_ok"]]
        if valid and not any(row["label_match"] for row in valid):
            unsupported.add(key)
    listed = {ticket["ticket_key"] for mission in run.review.values() for ticket in mission["tickets"]}
    wrong = [
        f"need_review.json: {key} is listed, though a candidate supports it" for key in sorted(listed - unsupported)
    ]
    if not run.only_suspects:
        wrong += [f"need_review.json: {key} is missing" for key in sorted(unsupported - listed)]
    return Found(wrong, len(run.last))


def review_counts_its_tickets(run: Run) -> Found:
    """The count and both breakdowns add up."""
    wrong = []
    for name, mission in run.review.items():
        counts = {
            mission["count"],
            len(mission["tickets"]),
            *(sum(mission[part].values()) for part in ("by_gt_label", "by_reason_code")),
        }
        if len(counts) > 1:
            wrong.append(f"need_review.json: {name}: counts {sorted(counts)}")
    return Found(wrong, max(1, len(run.review)))


def queue_holds_no_hard_failure(run: Run) -> Found:
    """Hard failures never go to people."""
    found = look(run.queue, lambda row: None if row.data["reason_code"] in REVIEW_REASONS else row.data["reason_code"])
    return Found(found.wrong, max(1, found.total))  # an empty queue is a good one


# -- the corpus
def corpus_rows_are_chats(run: Run) -> Found:
    """Exactly four keys, and messages of system, user, assistant."""

    def problem(row: Row) -> str | None:
        if set(row.data) != CORPUS_KEYS:
            return f"keys {sorted(row.data)}"
        roles = [message["role"] for message in row.data["messages"]]
        return None if roles == ROLES else f"roles {roles}"

    return look(read_rows(run.folder / "distill_chatml.jsonl"), problem)


def corpus_says_what_was_selected(run: Run) -> Found:
    """Each answer of the corpus is the selected candidate, in the two-line protocol."""

    def problem(row: Row) -> str | None:
        chosen, answer = run.chosen.get(row.key), row.data["messages"][2]["content"]
        wanted = f"Verdict: {WORDS[chosen['verdict']]}\nReason: {chosen['reason']}" if chosen else None
        return None if answer == wanted and two_lines(answer) else f"{answer!r} is not what was selected for {row.key}"

    return look(read_rows(run.folder / "distill_chatml.jsonl"), problem)


def prompts_know_no_label(run: Run) -> Found:
    """Tickets with the same summaries have the same prompt: so no label and no id is in it."""
    prompts = defaultdict(set)
    for row in read_rows(run.folder / "distill_chatml.jsonl"):
        summaries = json.dumps(run.tickets.get(row.key, {}).get("per_image"), ensure_ascii=False)
        prompts[summaries].add(row.data["messages"][0]["content"] + "\0" + row.data["messages"][1]["content"])
    wrong = [
        f"distill_chatml.jsonl: {len(found)} prompts for {said[:60]}"
        for said, found in prompts.items()
        if len(found) > 1
    ]
    return Found(wrong, len(prompts))


def _key_as_given(row: Row) -> str:
    """A training row's ticket, which has the other label where people corrected it."""
    if "label_corrected" not in str(row.data.get("flags", "")).split(","):
        return row.key
    return f"{row.data['group_id']}::{'fail' if row.data['label'] == 'pass' else 'pass'}"


def training_rows_come_from_the_corpus(run: Run) -> Found:
    """train, val and dropped are the corpus, each row once; ``flags`` is text."""
    names = ("distill.train.jsonl", "distill.val.jsonl", "distill.dropped.jsonl")
    parts = {name: read_rows(run.folder / name) for name in names}
    corpus = Counter(row.key for row in read_rows(run.folder / "distill_chatml.jsonl"))
    found = Counter(_key_as_given(row) for rows in parts.values() for row in rows)
    wrong = [
        f"distill.*.jsonl: {key} stands {found[key]} times, {corpus[key]} in the corpus"
        for key in sorted((corpus - found) | (found - corpus))
    ]
    for row in (*parts[names[0]], *parts[names[1]]):
        if set(row.data) != TRAINING_KEYS or not isinstance(row.data["flags"], str):
            wrong.append(f"{row.where}: keys {sorted(row.data)}")
    return Found(wrong, corpus.total())


def train_and_val_share_no_group(run: Run) -> Found:
    """All tickets of a group are on one side."""
    train, val = (
        {row.data["group_id"] for row in read_rows(run.folder / f"distill.{side}.jsonl")} for side in ("train", "val")
    )
    return Found(
        [f"distill.val.jsonl: group {group} is in train too" for group in sorted(train & val)], len(train | val)
    )


CHECKS: dict[str, Callable[[Run], Found]] = {
    "no ticket stands twice": tickets_stand_once,
    "every photo has its summary": summaries_belong_to_photos,
    "records name known tickets": records_name_known_tickets,
    "valid candidates keep the two-line protocol": valid_answers_keep_the_protocol,
    "label_match says what it says": label_match_is_right,
    "every hard failure is recorded as one": hard_failures_are_recorded,
    "rows bear the number of their round": rounds_are_whole,
    "the run's trajectories are those of its rounds": view_holds_all_rounds,
    "the run's selections are the last ones": view_holds_last_selections,
    "what was selected is a valid candidate": selected_answers_are_candidates,
    "rates are those of the selections": rates_are_those_of_the_rounds,
    "rule keys are never used again, G0 never changes": rule_keys_are_never_used_again,
    "steps follow changes of rules": steps_follow_changes,
    "a converged epoch has one guidance and one prompt": converged_means_an_epoch_without_change,
    "need_review.json = tickets no candidate supports": review_lists_the_unsupported,
    "need_review.json counts its tickets": review_counts_its_tickets,
    "the queue holds no hard failure": queue_holds_no_hard_failure,
}
CORPUS_CHECKS: dict[str, Callable[[Run], Found]] = {
    "corpus rows are chats of four keys": corpus_rows_are_chats,
    "corpus answers are the selected candidates": corpus_says_what_was_selected,
    "same summaries, same prompt": prompts_know_no_label,
    "train, val and dropped are the corpus": training_rows_come_from_the_corpus,
    "train and val share no group": train_and_val_share_no_group,
}


def verify(run: Run) -> int:
    """Print a line a check; returns how many failed. A check that saw nothing fails: an empty file proves nothing."""
    failed = 0
    for name, check in (CHECKS | (CORPUS_CHECKS if run.has_corpus else {})).items():
        try:
            found = check(run)
        except (KeyError, TypeError, AttributeError) as error:  # a field that is not there, or of another type
            found = Found([f"a record lacks a field or holds something else in it ({error!r})"], 1)
        bad = bool(found.wrong) or found.total == 0
        failed += bad
        example = f", such as {found.wrong[0]}" if found.wrong else ""
        print(f"{'FAIL' if bad else 'ok  '} {name}: {found.total} looked at, {len(found.wrong)} wrong{example}")
    if not run.has_corpus:
        print(f"--   no distill_chatml.jsonl: {len(CORPUS_CHECKS)} checks of the corpus are left out")
    return failed


def compare_with_people(run: Run, audit: Path) -> None:
    """Print how verdicts and the review list stand to what people said of these tickets, by their category."""
    by_category = defaultdict(list)
    for row in read_rows(audit):
        by_category[row.data["category"]].append(row.key)
    listed = {ticket["ticket_key"] for mission in run.review.values() for ticket in mission["tickets"]}
    for category, keys in sorted(by_category.items()):
        seen = [key for key in keys if key in run.chosen]
        right = sum(run.chosen[key]["label_match"] for key in seen)
        print(f"     {category}: verdict = label {right}/{len(seen)}, in review {sum(key in listed for key in seen)}")


def main(words: list[str] | None = None) -> int:
    """Check a run folder; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.verify_run", description=__doc__.splitlines()[0], add_help=False
    )
    parser.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help="runs/<RUN>/<MISSION>, finished.")
    parser.add_argument("--stage-a", type=Path, metavar="FILE", help="The tickets as given; else the run's own copy.")
    parser.add_argument("--audit", type=Path, metavar="FILE", help="What people said of tickets: ticket_key, category.")
    parser.add_argument("--help", action="help", help="Show this message and exit.")
    given = parser.parse_args(words)
    try:
        run = Run(given.run_dir, given.stage_a)
        failed = verify(run)
        if given.audit:
            compare_with_people(run, given.audit)
    except Unreadable as error:
        print(f"verify_run: {error}", file=sys.stderr)
        return 2
    except (KeyError, TypeError, AttributeError) as error:
        print(f"verify_run: {given.run_dir}: a record lacks a field ({error!r}); make check names it", file=sys.stderr)
        return 2
    print(
        f"verify_run: {failed} checks failed" if failed else "verify_run: the run is as docs/design.md says",
        file=sys.stderr,
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
