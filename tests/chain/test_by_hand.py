"""Files edited by hand in a finished run: what `make -n` says is made again, and what becomes of the edit."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.edited_runs import DRAWN, FUSED, edit
from tests.support.make_graph import CORPUS, REVIEW, ROUND, RUN, VIEW, make


def of_rounds(first: int, names: list[str]) -> set[str]:
    """The files of round ``first`` that are named, and every file of the rounds after it."""
    later = {f"rounds/{number:04d}/{name}" for number in range(first + 1, 5) for name in ROUND}
    return {f"rounds/{first:04d}/{name}" for name in names} | later


CORPUS_ON = {*CORPUS, *FUSED}
REVIEW_ON = {*REVIEW, *CORPUS_ON}
VIEW_ON = {*VIEW, *REVIEW_ON}
LOOP_ON = {"loop.json", *VIEW_ON}

# file, a text in it, what a person writes there instead, what is made again
EDITS = [
    ("stage_a.jsonl", '"label": "fail"', '"label": "pass"', of_rounds(0, []) | LOOP_ON),
    ("rounds/0003/selections.jsonl", "第1条依据", "缺少照片", of_rounds(3, ROUND[3:]) | LOOP_ON),
    ("rounds/0002/guidance.json", "标签无法识别", "标签缺失", of_rounds(2, []) | LOOP_ON),
    (
        "rounds/0002/reflection.jsonl",
        '"raw_response": ""',
        '"raw_response": "{}"',
        of_rounds(2, ["guidance.json"]) | LOOP_ON,
    ),
    ("rounds/0002/need_review_queue.jsonl", "", "\n", VIEW_ON),
    ("selections.jsonl", "第1条依据", "缺少照片", REVIEW_ON),
    ("guidance.json", "标签无法识别", "标签缺失", CORPUS_ON),
    ("need_review_queue.jsonl", '"note": ""', '"note": "seen"', set()),
    ("need_review.json", '"times_queued": 1', '"times_queued": 2', CORPUS_ON),
    ("metrics.jsonl", '"changed": true', '"changed": false', set()),
    ("distill_chatml.jsonl", "第1条依据", "缺少照片", set()),
    ("distill.train.jsonl", '"weight": 1.0', '"weight": 0.5', set(FUSED)),
    ("distill.val.jsonl", "第1条依据", "缺少照片", set(FUSED)),
    (DRAWN[0], "1.0", "0.5", set(FUSED)),
    (FUSED[0], "1.0", "0.5", set()),
]
READ_ON = {name for name, *_ in EDITS if name.startswith(("stage_a", "rounds"))} | {
    "selections.jsonl",
    "guidance.json",
    "need_review.json",
}  # read by a later step


def test_make_n_of_a_finished_run_lists_nothing(edited):
    assert edited.would() == set()


@pytest.mark.parametrize(("name", "old", "new", "again"), EDITS, ids=[name for name, *_ in EDITS])
def test_make_n_after_an_edit_lists_exactly_what_is_made_from_it_and_touches_no_file(edited, name, old, new, again):
    path = edit(edited, name, old, new)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in edited.files()}
    assert edited.would() == again
    assert str(path.relative_to(edited.run if edited.run in path.parents else edited.folder)) not in again
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in edited.files()} == before


def test_every_intermediate_is_edited_in_the_table_above():
    named = {Path(name).name for name, *_ in EDITS}
    assert named >= {
        "stage_a.jsonl",
        "selections.jsonl",
        "guidance.json",
        "reflection.jsonl",
        "need_review_queue.jsonl",
        "distill.train.jsonl",
        "mix.train.jsonl",
    }


def test_a_rule_reworded_in_the_final_guidance_stands_in_the_corpus_and_stays_as_it_was_written(edited):
    path = edit(edited, "guidance.json", "标签无法识别", "标签缺失")
    written = path.read_bytes()
    done = make(edited.folder, "distill", "CONFIG=small.yaml")
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == written
    corpus = (edited.run / "distill_chatml.jsonl").read_text(encoding="utf-8")
    assert "标签缺失" in corpus and "标签无法识别" not in corpus


def test_a_decision_written_by_hand_changes_the_corpus_alone(edited):
    (edited.run / "review_decisions.jsonl").write_text(
        '{"ticket_key": "b::pass", "decision": "exclude"}\n', encoding="utf-8"
    )
    done = make(edited.folder, "distill", "CONFIG=small.yaml")
    assert done.returncode == 0, done.stderr
    changed = {path.name for path, data in edited.clean.items() if path.read_bytes() != data}
    assert "distill.dropped.jsonl" in changed and changed <= set(CORPUS)


@pytest.mark.parametrize("name", [name for name, *_ in EDITS if name in READ_ON])
def test_a_misspelt_field_is_named_with_its_place_and_nothing_is_overwritten(edited, name):
    path = edited.run / name
    if not path.read_text(encoding="utf-8").strip():
        path.write_text('{"group": "a"}\n', encoding="utf-8")
    else:
        first = re.search(
            r'"(group_id|step|reflection_id|times_queued|count)":', path.read_text(encoding="utf-8")
        ).group(1)
        edit(edited, name, f'"{first}":', f'"{first}_":')
    before = {path: path.read_bytes() for path in edited.files()}
    done = make(edited.folder, "distill", "CONFIG=small.yaml")
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert done.returncode == 2 and "unknown field" in said[-1]
    assert re.match(rf"{re.escape(str(RUN / name))}(:\d+)?: ", said[-1])
    assert {path: path.read_bytes() for path in edited.files() if path in before} == before


def test_a_fused_file_edited_badly_is_named_by_check_fused(edited):
    path = edit(edited, FUSED[0], "weight", "wieght")
    done = subprocess.run(
        [sys.executable, "-m", "tools.check_fused", "--input", FUSED[0]],
        cwd=edited.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.startswith(f"{FUSED[0]}:1: ")
    assert "wieght" in path.read_text(encoding="utf-8")


def test_a_mix_follows_its_config_and_its_sources_and_fuse_names_a_bad_or_missing_one_and_keeps_the_old_mix(edited):
    assert edited.would() == set()
    (edited.folder / "configs/fusion/mix.yaml").touch()
    assert edited.would() == set(FUSED)
    done = make(edited.folder, "fuse", "CONFIG=small.yaml", "FUSION=mix")
    assert done.returncode == 2 and f"{DRAWN[0]}:1: " in done.stderr
    assert all((edited.folder / name).read_bytes() == edited.clean[edited.folder / name] for name in FUSED)
    (edited.folder / DRAWN[1]).unlink()
    done = make(edited.folder, "fuse", "CONFIG=small.yaml", "FUSION=mix")
    assert (
        done.returncode == 2
        and f"configs/fusion/mix.yaml:20: sources.1.paths.1: no such file ({DRAWN[1]}); make it first" in done.stderr
    )
    (edited.folder / DRAWN[1]).write_text('{"weight": 1.0}\n', encoding="utf-8")
    done = make(edited.folder, "fuse", "CONFIG=small.yaml", "FUSION=nope")
    assert done.returncode == 2 and "configs/fusion/nope.yaml: no such file; check the path" in done.stderr
