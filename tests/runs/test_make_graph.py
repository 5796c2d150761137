"""The Make graph without any model: which tools `make distill` asks for on a finished run after each kind of edit."""

import re
import shutil
from collections import Counter

import pytest

from tests.support.make_graph import (
    CORPUS,
    ROOT,
    ROUND,
    RUN,
    Project,
    make,
)
from tools.prepare import JUDGES

TAIL = ["next_round", "collect", "aggregate_review", "distill"]  # what always follows when a round has changed


def rounds(first: int, after: str = "", last: int = 4) -> list[str]:
    """All that is done from round ``first`` on; ``after``: the step of that first round which stands as it is."""
    steps = [f"{tool} {number:04d}" for number in range(first, last + 1) for tool in ("rollout", "reflect", "apply")]
    return steps[steps.index(f"{after} {first:04d}") + 1 if after else 0 :]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize(("target", "shown"), [("distill", []), ("converge", []), ("review", ["list_review"])])
def test_a_finished_run_has_nothing_to_make(project, target, shown):
    assert project.after(target=target) == shown


@pytest.mark.parametrize(
    ("edited", "rebuilt"),
    [
        ("stage_a.jsonl", rounds(1) + TAIL),
        ("rounds/0001/trajectories.jsonl", rounds(1, after="rollout") + TAIL),
        ("rounds/0001/selections.jsonl", rounds(1, after="rollout") + TAIL),
        ("rounds/0003/selections.jsonl", rounds(3, after="rollout") + TAIL),
        ("rounds/0002/reflection.jsonl", rounds(2, after="reflect") + TAIL),
        ("rounds/0000/guidance.json", rounds(1) + TAIL),
        ("rounds/0002/guidance.json", rounds(3) + TAIL),
        ("rounds/0004/guidance.json", TAIL),
        ("rounds/0002/need_review_queue.jsonl", TAIL[1:]),
        ("rounds/0002/failure_malformed.jsonl", TAIL[1:]),
        ("loop.json", TAIL[1:]),
        ("selections.jsonl", TAIL[2:]),
        ("guidance.json", ["distill"]),
        ("failure_malformed.jsonl", []),
        ("need_review.json", ["distill"]),
        ("review_decisions.jsonl", ["distill"]),
        ("config/guidance.yaml", ["apply 0000", *rounds(1), *TAIL]),
        ("config/rollout.yaml", rounds(1) + TAIL),
        ("rounds/0000/review_decisions.jsonl", rounds(2, after="rollout") + TAIL),  # round 1 wrote it
        ("config/reflect.yaml", rounds(1, after="rollout") + TAIL),
        ("config/loop.yaml", TAIL),
        ("config/collect.yaml", TAIL[1:]),
        ("config/aggregate_review.yaml", ["aggregate_review", "distill"]),
        ("config/distill.yaml", ["distill"]),
        ("configs/prompts/stage_b.user.txt", rounds(1) + TAIL),
        ("configs/prompts/stage_b.system.txt", rounds(1) + TAIL),
        ("configs/prompts/reflect.system.txt", rounds(1, after="rollout") + TAIL),
        ("configs/prompts/summary.user.txt", []),
        ("configs/prompts/dense.user.txt", []),
        *[
            (f"tools/{tool}.py", [])
            for tool in ("apply", "rollout", "reflect", "next_round", "collect", "aggregate_review", "distill", "show")
        ],
        ("configs/missions/bbu_wind.yaml", []),
        ("need_review_queue.jsonl", []),
        ("metrics.jsonl", []),
        *[(name, []) for name in CORPUS],
    ],
)
def test_an_edit_rebuilds_what_depends_on_it_and_nothing_else(project, edited, rebuilt):
    done = project.after(edited)
    assert Counter(done) == Counter(rebuilt)
    assert [step for step in done if " " in step] == [step for step in rebuilt if " " in step]  # rounds in their order


def test_an_edit_of_the_prompts_in_use_rebuilds_and_one_of_others_nothing(tmp_path):
    project = Project(tmp_path)
    for name in ("stage_b.user.txt", "reflect.user.txt"):
        shutil.copy(project.folder / "configs/prompts" / name, project.folder / f"configs/mine.{name}")
    overlay = (
        "prompts: {stage_b: {user: ./configs/mine.stage_b.user.txt}, reflect: {user: configs/mine.reflect.user.txt}}"
    )
    (project.folder / "small.yaml").write_text(f"window: {{tickets: 2}}\n{overlay}\n", encoding="utf-8")
    project.made("REMAKE=1", "CONFIG=small.yaml", target="converge")
    assert Counter(project.after("configs/mine.stage_b.user.txt")) == Counter(rounds(1) + TAIL)
    assert Counter(project.after("configs/mine.reflect.user.txt")) == Counter(rounds(1, after="rollout") + TAIL)
    assert project.after("configs/prompts/stage_b.user.txt") == project.after("configs/prompts/reflect.user.txt") == []


@pytest.mark.parametrize(
    ("gone", "rebuilt"),
    [
        ("rounds/0002/trajectories.jsonl", rounds(2) + TAIL),
        ("rounds/0002/selections.jsonl", rounds(2) + TAIL),
        ("rounds/0002/reflection.jsonl", rounds(2, after="rollout") + TAIL),
        ("rounds/0004/guidance.json", ["apply 0004", *TAIL]),
        ("loop.json", TAIL),
        ("selections.jsonl", TAIL[1:]),
        ("need_review.json", TAIL[2:]),
        ("distill.val.jsonl", ["distill"]),
    ],
)
def test_a_deleted_file_is_made_again_with_what_depends_on_it(project, gone, rebuilt):
    assert Counter(project.after(gone=gone)) == Counter(rebuilt)


def planned(project, target: str) -> list[str]:
    """The tools that `make -n` would ask for."""
    done = make(project.folder, "-n", target)
    assert done.returncode == 0, done.stderr
    return [tool for tool in re.findall(r"-m tools\.(\w+)", done.stdout) if tool != "prepare"]


def test_decisions_brought_in_rebuild_the_corpus_alone(project):
    decided = project.run / "review_decisions.jsonl"
    project.age()
    decided.write_text('{"ticket_key": "d::fail", "decision": "exclude", "note": ""}\n')
    assert planned(project, "distill") == ["distill"] and planned(project, "converge") == []
    assert project.made() == ["distill"]
    decided.unlink()


@pytest.mark.parametrize("target", ["review-page", "report", "show", "check"])
def test_reading_a_run_makes_nothing_even_where_its_inputs_have_changed(project, target):
    project.age()
    (project.run / "stage_a.jsonl").touch()
    assert project.made(target=target) == [target.replace("-", "_")]


def test_review_apply_is_told_the_file_and_needs_nothing_made(project):
    project.age()
    assert project.made("DECISIONS=given.csv", target="review-apply") == ["review_apply"]
    assert (project.folder / "asked").read_text().split()[-4:] == ["--run-dir", str(RUN), "--decisions", "given.csv"]


@pytest.mark.parametrize(
    ("target", "words", "tool", "told"),
    [
        ("review-apply", ["DECISIONS=one", "SECOND=t w o"], "review_apply", "--decisions one --second t w o"),
        ("review-apply", ["TABLE=queue.csv"], "review_apply", "--export queue.csv"),
        ("adjudicate", ["DECISIONS=three"], "review_apply", "--decisions three --adjudicate"),
        (
            "label-studio",
            ["PHOTOS=a b", "TASKS=all", "PHOTOS_URL=https://x/?a=$b"],
            "label_studio",
            f"--output-dir {RUN}/label_studio --photos a b --photos-url https://x/?a=$b --tasks all",
        ),
        ("parquet", ["READY_PARQUET="], "to_parquet", f"--output-dir {RUN}/parquet"),
    ],
)
def test_what_goes_to_other_programs_and_comes_back_is_told_all_that_was_named(project, target, words, tool, told):
    project.age()
    assert project.made(*words, target=target) == [tool]
    assert (project.folder / "asked").read_text().splitlines()[-1].endswith(f"--run-dir {RUN} {told}")


def test_a_new_run_plays_round_after_round_keeps_every_file_and_is_then_finished(project):
    new = ["RUN=new", "STAGE_A=tickets.jsonl", "CONFIG=small.yaml"]
    expected = ["apply 0000", "next_round"] + [
        step for number in (1, 2, 3) for step in [*rounds(number, last=number), "next_round"]
    ]
    assert project.made(*new) == expected + TAIL[1:]
    folder = project.folder / "runs" / "new" / "bbu_line"
    assert {path.name for number in (1, 2, 3) for path in (folder / "rounds" / f"{number:04d}").iterdir()} == set(ROUND)
    assert project.made(*new) == []
    (folder / "loop.json").unlink()  # as where the loop was killed in its second round
    for name in ("need_review_queue.jsonl", "reflection.jsonl", "guidance.json"):
        (folder / "rounds" / "0002" / name).unlink()
    shutil.rmtree(folder / "rounds" / "0003")
    resumed = [*rounds(2, after="rollout", last=2), "next_round", *rounds(3, last=3), "next_round"]
    assert project.made(*new) == resumed + TAIL[1:]


def test_rounds_beyond_the_end_of_the_loop_are_moved_away_and_not_made_again(project):
    project.age()
    (project.run / "rounds" / "0005").mkdir()
    for name in ROUND:
        shutil.copyfile(project.run / "rounds" / "0004" / name, project.run / "rounds" / "0005" / name)
    (project.run / "config" / "loop.yaml").touch()
    done = make(project.folder, "review")
    gone = not (project.run / "rounds" / "0005").exists()
    moved = (project.run / "rounds.superseded" / "0005" / "guidance.json").exists()
    shutil.rmtree(project.run / ("rounds.superseded" if gone else "rounds/0005"))
    assert done.returncode == 0, done.stderr
    assert gone and moved and (project.run / "rounds" / "0004").exists()
    assert [line.split(":")[0].split()[0] for line in done.stderr.splitlines()] == [
        "loop",
        "collect",
        "aggregate_review",
    ]


def test_a_target_that_needs_no_run_prepares_none(project):
    done = make(project.folder, "-n", "help", "MISSION=bbu_wind")
    assert done.returncode == 0 and not (project.run.parent / "bbu_wind").exists()


def test_help_names_every_target_and_every_variable(project):
    texts = [path.read_text(encoding="utf-8") for path in [ROOT / "Makefile", *sorted((ROOT / "make").glob("*.mk"))]]
    phony = {
        name for text in texts for line in re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE) for name in line.split()
    } - {"FORCE", "$(WANTED)"}
    variables = {
        name for text in texts for name in re.findall(r"^([A-Z][A-Z_]*) (?:\?=|=.*##)", text, re.MULTILINE)
    } - {
        "GRAPH",
        "STALE",
        "MADE_ANEW",
        "PROMPTS_B",
        "PROMPTS_R",
        "PROMPTS_S",
        "FUSED_FROM",
        "MIX",
        "QUESTIONS",
        *(name for text in texts for name in re.findall(r"^(PROMPTS_[A-Z]) \?=", text, re.MULTILINE)),
    }
    told = {line.split()[0] for line in make(project.folder, "help").stdout.splitlines() if line.startswith("  ")}
    assert len(phony) >= 6 and len(variables) >= 6
    assert told == phony | variables


def test_help_stands_in_the_order_of_a_users_way_and_every_target_has_its_group(project):
    shown = make(project.folder, "help").stdout
    titles = re.findall(r"^(?!make )(\w.*)$", shown, re.MULTILINE)
    groups = ["Start", "Your tickets", "Look at a run, and keep order", "The student", "Measure", "Develop"]
    assert titles == [*groups, "What a command is told: make TARGET NAME=value"]  # and none of "Also"
    targets = re.findall(r"^  ([a-z-]+) ", shown, re.MULTILINE)
    way = ["setup", "plan", "distill", "review", "show", "fuse", "gate", "folds", "test"]
    assert [target for target in targets if target in way] == way


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["MISSION=nope"], "unknown MISSION 'nope'"),
        (["MISSION=nope", "STAGE_A=tickets.jsonl"], "unknown MISSION 'nope'; choose one of bbu_cable, "),
        (["STAGE_A=tikets.jsonl"], "tikets.jsonl: no such file; check the path"),
        (
            ["RUN=other", "STAGE_A=tickets.jsonl", "CONFIG=configs/none.yaml"],
            "configs/none.yaml: no such file; check the path",
        ),
    ],
)
def test_a_mistake_in_a_variable_is_one_clear_line_beside_makes_own_and_exit_2(project, words, message):
    done = make(project.folder, "distill", *words)
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert done.returncode == 2, done.stderr
    assert len(said) == 1 and message in said[0]
    assert (
        not (project.folder / "runs" / "other").exists()
        and not (project.folder / "runs" / "miniature" / "nope").exists()
    )


def test_a_changed_distill_knob_rebuilds_the_corpus_and_a_comment_nothing(project):
    project.age()
    base = project.folder / "configs" / "base.yaml"
    text = base.read_text(encoding="utf-8")
    base.write_text("# a comment\n" + text, encoding="utf-8")
    assert project.made("CONFIG=small.yaml") == []
    base.write_text(re.sub(r"^(  val_share: ).*$", r"\g<1>0.25", text, flags=re.MULTILINE), encoding="utf-8")
    assert project.made("CONFIG=small.yaml") == ["distill"]


def test_each_goal_whose_results_lie_by_their_held_out_questions_is_told_which_these_are():
    rules = (ROOT / "make/student.mk").read_text(encoding="utf-8")
    by_questions = re.findall(r"^([a-z-]+): .*(?:\$\((?:JUDGED|JUDGED_BY|SERVED|TESTED)\)|evaluate\b)", rules, re.M)
    assert set(by_questions) == JUDGES
