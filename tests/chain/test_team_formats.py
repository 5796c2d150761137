"""A team's own files, as they are, to a judged student: the commands of docs/import.md on a small synthetic set.

What is broken on purpose is found row by row with its reason, counts add up, and a loss of outlines, of paths or of
counts in JSON summaries is seen by the gate, each alone.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from miniature.formats.losses import PLANTED
from miniature.formats.team_set import main as write_set
from tests.support.builders import call
from tests.support.judging import Bench
from tests.support.whole_chain import ROOT, rows
from verdicts.base.jsonl import read_json
from verdicts.evaluation.questions import Question
from verdicts.evaluation.scores import score
from verdicts.records.evaluation import Evaluation, GateRecord, ScoredAnswer
from verdicts.records.imports import ImportReport
from verdicts.stage_b.protocol import render

SMALL = "--count 150 --broken 1 --tickets 130 --held-out 24"
# steps are dear on a CPU: a fraction of an epoch, few questions
CHEAP = {
    "epochs: 2.0": "epochs: 0.2",
    "photos: 40": "photos: 6",
    "max_new_tokens_dense: 1024": "max_new_tokens_dense: 200",
}

# what the import says of each kind of damage
REASONS = {
    "cut_off": "not_json", "a_list": "not_an_object", "no_photo_named": "missing_field", "two_photos": "several_photos",
    "photo_missing": "photo_not_there", "photo_is_none": "photo_unfit", "no_objects_no_summary": "nothing_to_learn",
    "objects_no_list": "bad_field", "field_unknown": "unknown_field", "two_geometries": "two_geometries",
    "no_geometry": "no_geometry", "odd_outline": "odd_length", "two_point_outline": "too_few_points",
    "flat_outline": "no_area", "other_number_of_points": "points_mismatch", "one_point_path": "too_few_points",
    "box_of_three": "odd_length", "box_inside_out": "corners_swapped", "box_without_area": "no_area",
    "number_as_text": "bad_field", "number_is_nan": "not_json", "far_outside": "out_of_bounds",
    "no_words": "empty_desc", "words_no_text": "bad_field", "words_name_a_photo": "media_word",
    "other_size": "photo_size", "blank_summary": "blank_summary", "summary_cut_off": "broken_summary",
    "objects_of_nothing": "irrelevant_with_objects", "chat_without_answer": "bad_chat",
    "chat_with_a_photo": "messages_and_photo", "stands_twice": "duplicate",
    "no_size": "size_from_photo", "blanks_in_words": "desc_blanks", "control_in_words": "desc_control",
    "closed_outline": "closing_point", "outline_turned_round": "clockwise", "outline_starts_elsewhere": "start_vertex",
    "path_reversed": "line_reversed", "points_in_pairs": "pairs_flattened", "just_outside": "moved_to_edge",
    "summary_no_text": "summary_object", "summary_headed": "prefix_removed", "irrelevant_counted": "irrelevant_count",
}  # fmt: skip
# what the door says of each slip of a ticket
SLIPS = {
    "label_in_capitals": "label", "label_in_chinese": "label", "label_as_number": "label",
    "keys_in_chinese": "photo_keys", "fields_of_theirs": "aside", "runaway_count": "count", "headed_summary": "prefix",
    "summary_in_json_text": "wrapped_summary", "cut_off": "not_json", "no_group": "field", "unknown_label": "label",
    "unknown_mission": "mission", "no_photo_said": "photos", "empty_summary": "photos", "fewer_summaries": "photos",
    "stands_twice": "same_ticket", "handed_in_anew": "resubmission",
}  # fmt: skip


def commands() -> str:
    """The example of the page."""
    page = (ROOT / "docs/import.md").read_text(encoding="utf-8")
    found = re.findall(r"```bash\n(.*?)```", page[page.index("## From their files") :], re.DOTALL)
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the project in which the page's commands have run, on a smaller set and with fewer steps."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("make", "configs", "tools", "verdicts", "miniature"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "data").mkdir()
    (folder / "data/miniature").symlink_to(ROOT / "data/miniature")
    overlay = folder / "miniature/formats/team.yaml"
    told = overlay.read_text(encoding="utf-8")
    for dear, cheap in CHEAP.items():
        assert dear in told
        told = told.replace(dear, cheap)
    overlay.write_text(told, encoding="utf-8")
    assert "--count 500" in commands()
    given = f"PY={sys.executable} READY= READY_STUDENT= READY_ECOSYSTEM="
    script = f'set -e\nmake() {{ command make "$@" {given}; }}\npython() {{ {sys.executable} "$@"; }}\n'
    script += commands().replace("--count 500", SMALL)
    done = subprocess.run(
        ["env", "-u", "MAKE_ROOT", "-u", "MAKEFLAGS", "bash", "-c", script], cwd=folder, capture_output=True, text=True
    )
    # the gate comes last; of a student taught so little it may say no, and make then ends with 2
    assert done.returncode == 0 or "NOT passed" in done.stderr, done.stderr[-4000:]
    return folder


def broken(project: Path, part: str) -> dict[tuple[str, int], dict]:
    """The key's rows of training or tickets by file and line."""
    key = rows(project / "data/team/key.jsonl")
    return {(f"data/team/{row['file']}", row["line"]): row for row in key if row["file"].startswith(part)}


def test_every_broken_row_is_refused_or_repaired_with_its_reason_and_no_other_row_is(project):
    found: dict[tuple[str, int], tuple[str, set[str]]] = {}
    for name in ("bbu", "rru"):
        for row in rows(project / f"data/{name}/refused.jsonl"):
            found[row["file"], row["line"]] = ("refused", {row["reason"]})
        for row in rows(project / f"data/{name}/repaired.jsonl"):
            found[row["file"], row["line"]] = ("repaired", {repair["repair"] for repair in row["repairs"]})
    key = broken(project, "train/")
    assert len(key) == len(REASONS) == 44
    assert found == {place: (row["expected"], {REASONS[row["kind"]]}) for place, row in key.items()}


def test_the_counts_of_an_import_add_up_to_the_rows_of_its_files(project):
    for name in ("bbu", "rru"):
        report = read_json(project / f"data/{name}/import.json", ImportReport)
        lines = sum(len(path.read_bytes().splitlines()) for path in (project / f"data/team/train/{name}").glob("*"))
        kept = report.dense_and_summary + report.dense_only + report.summary_only + report.irrelevant + report.chat
        assert report.rows_in == lines == kept + report.refused
        assert report.refused == len(rows(project / f"data/{name}/refused.jsonl"))
        written = {path: len(rows(project / f"data/{name}/{path}")) for path in report.written}
        assert written == report.written
        dense = ("dense.jsonl", "irrelevant.dense.jsonl", "held_out/dense.jsonl")
        asked = report.dense_and_summary + report.dense_only + report.irrelevant
        assert sum(written[path] for path in dense) == asked
        assert set(report.domains) == {name} and report.words["v1"] > 0 and report.words["v2"] > 0
        assert min(report.objects[kind] for kind in ("bbox_2d", "poly", "line")) > 0


def test_every_slip_of_a_ticket_is_put_right_or_refused_with_its_reason(project):
    run, found = project / "runs/team/bbu_line", defaultdict(set)
    for row in rows(run / "tickets.refused.jsonl"):
        found[row["line"]].add(("refused", row["reason"]))
    for row in rows(run / "tickets.repaired.jsonl"):
        found[row["line"]].add(("repaired", row["kind"]))
    for row in rows(run / "tickets.aside.jsonl"):
        found[row["line"]].add(("repaired", "aside"))
    key = broken(project, "tickets/")
    assert len(key) == len(SLIPS) == 17
    for (_, line), row in key.items():
        assert (row["expected"], SLIPS[row["kind"]]) in found[line], row
    # sound rows change in two ways alone: people's reasons get our name, v2 summaries lose their first line
    others = {
        what
        for line, all_of_it in found.items()
        if ("data/team/tickets/bbu_line.jsonl", line) not in key
        for what in all_of_it
    }
    assert others == {("repaired", "fail_reasons"), ("repaired", "prefix")}


def test_tickets_add_up_and_a_group_with_both_labels_is_two(project):
    run = project / "runs/team/bbu_line"
    given = len((project / "data/team/tickets/bbu_line.jsonl").read_bytes().splitlines())
    taken = rows(run / "stage_a.jsonl")
    replaced = 2  # the same ticket, and one handed in anew
    assert given == len(taken) + replaced + len(rows(run / "tickets.refused.jsonl"))
    labels = Counter(row["group_id"] for row in taken)
    assert list(labels.values()).count(2) == 4, "three in a hundred of 130 tickets were handed in again"


def test_the_mix_holds_every_kind_of_imported_rows_and_nothing_that_is_asked(project):
    mixed = rows(project / "data/fused/team.train.jsonl")
    assert {(row["source"], row["task"]) for row in mixed} == {
        ("chat", "chat"), ("dense", "dense"), ("summary", "summary"), ("irrelevant", "summary"),
        ("irrelevant_dense", "dense"), ("talk", "chat"),
    }  # fmt: skip
    asked = {
        row["group_id"]
        for task in ("dense", "summary")
        for row in rows(project / f"data/both/held_out/bbu_line.{task}.jsonl")
    }
    assert asked and not asked & {row["group_id"] for row in mixed}
    assert any('"poly": [[' in row["messages"][-1]["content"] for row in mixed)
    assert any('"line": [[' in row["messages"][-1]["content"] for row in mixed)


def test_the_gate_judges_the_student_on_their_questions(project):
    (pair,) = (project / "runs/team/bbu_line/evaluation").glob("team-*")
    before, after = (read_json(pair / f"{side}.json", Evaluation) for side in ("before", "after"))
    assert before.tickets == after.tickets == 24
    assert before.dense.photos == after.dense.photos > 0 and before.summary.photos == after.summary.photos > 0
    asked = before.dense.boxes_f1.wanted + before.dense.polygons_f1.wanted + before.dense.lines_f1.wanted
    assert asked > 0 and before.dense.boxes_f1.hits == 0, "object_N answers are new to the bundled student"
    assert read_json(pair / "gate.json", GateRecord).retention.keys() >= {"polygons_f1", "lines_f1", "json_f1"}


# -- what the gate sees of a student that has learnt from faulty rows

ALONE = {
    # what is no longer found takes its attributes with it
    "polygons": ["dense polygons F1", "dense attribute F1"],
    "lines": ["dense lines F1", "dense attribute F1"],
    "counts": ["JSON summary exact match", "JSON summary F1"],
}


@pytest.fixture(scope="module")
def wanted(tmp_path_factory) -> dict[str, dict[str, list[dict]]]:
    """Held-out rows by task, as imported from sound rows ("") and from the same rows with each fault."""
    held_out = {}
    for plant in PLANTED:
        folder = tmp_path_factory.mktemp(plant or "sound")
        write_set(count=150, broken=0, tickets=0, held_out=0, plant=plant, seed=5, output=folder)
        outcome = call("import_data", data=folder / "train/bbu", name="bbu", output_dir=folder / "bbu",
            mission="bbu_line", overlay=ROOT / "miniature/formats/team.yaml")  # fmt: skip
        assert outcome.code == 0, outcome.err
        held_out[plant] = {task: rows(folder / f"bbu/held_out/{task}.jsonl") for task in ("dense", "summary")}
    return held_out


def answered(wanted: dict, plant: str, frr: int) -> list[ScoredAnswer]:
    """Answers of a student that says all it has learnt, as evaluate scores them; ``frr`` of 80 fails are released."""
    out = []
    for at in range(120):
        label = "fail" if at < 80 else "pass"
        said = "pass" if at < frr or at >= 80 else "fail"
        out.append(
            score(Question("chat", f"t{at}::{label}", f"t{at}", (), label=label), render(said, "依据(G0)"), True)
        )
    for task in ("dense", "summary"):
        for sound, learnt in zip(wanted[""][task], wanted[plant][task], strict=True):
            truth, text = (row["messages"][-1]["content"] for row in (sound, learnt))
            question = Question(task, sound["images"][0], sound["group_id"], (), expected=truth)
            out.append(score(question, text, True))
    return out


@pytest.mark.parametrize("plant", ["", *ALONE])
def test_a_fault_in_the_rows_that_a_student_learns_is_seen_by_the_gate_by_its_own_scores_alone(plant, wanted, tmp_path):
    bench = Bench(tmp_path)
    bench.write_answers("before", answered(wanted, "", 40))
    bench.write_answers("after", answered(wanted, plant, 0))
    outcome = bench.gate()
    found = bench.found()
    assert outcome.code == (1 if plant else 0), outcome.err
    assert [reason.split(" lost ")[0] for reason in found.reasons] == ALONE.get(plant, [])
    assert all(found.retention[name].before == 1.0 for name in ("boxes_f1", "polygons_f1", "lines_f1", "json_f1"))
