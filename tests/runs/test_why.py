"""tools.why: make's own answer in plain sentences."""

import pytest

from tests.support.edited_runs import FUSED, edit
from tests.support.make_graph import RUN, make


def why(project, name: str, *words: str) -> str:
    """What `make why` prints of a file of the run, the run folder's path cut off."""
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in project.files()}
    done = make(
        project.folder,
        "why",
        f"FILE={name if name.startswith('data/') else RUN / name}",
        "CONFIG=small.yaml",
        "FUSION=mix",
        *words,
    )
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in project.files()} == before  # it only asks
    assert done.returncode == 0, done.stderr
    return done.stdout.replace(f"{RUN}/", "")


def test_a_file_that_is_up_to_date_names_what_it_depends_on_and_what_an_edit_would_cost(edited):
    said = why(edited, "rounds/0004/guidance.json").splitlines()
    assert said[0] == "rounds/0004/guidance.json is up to date."
    assert {line.strip() for line in said[2:-1]} == {
        "config/guidance.yaml",
        "rounds/0004/reflection.jsonl",
        "rounds/0003/guidance.json",
    }
    assert (
        said[-1] == "An edit of it would run: next_round, collect, aggregate_review, distill, fuse (make distill fuse)."
    )


def test_the_root_cause_of_a_long_chain_is_named_with_the_way_to_it(edited):
    edit(edited, "rounds/0003/selections.jsonl", "第1条依据", "缺少照片")
    said = why(edited, "distill.val.jsonl").splitlines()
    assert said[0] == "distill.val.jsonl would be made again."
    assert (
        said[1].startswith("Because rounds/0003/selections.jsonl (20")
        and ") is newer than rounds/0003/reflection.jsonl (2017-" in said[1]
    )
    way = [
        "distill.val.jsonl",
        "loop.json",
        "rounds/0003/guidance.json",
        "rounds/0003/reflection.jsonl",
        "rounds/0003/selections.jsonl",
    ]
    assert said[2].split() == " <- ".join(way).split()
    rounds = "reflect 0003, apply 0003, rollout 0004, reflect 0004, apply 0004"
    steps = f"{rounds}, next_round, collect, aggregate_review, distill"
    assert said[3] == f"It takes: {steps}. What stands in it now is overwritten."
    assert said[4] == "next_round then asks for new rounds as long as rules change."


def test_two_causes_are_both_named(edited):
    edit(edited, "rounds/0004/selections.jsonl", "第1条依据", "缺少照片")
    (edited.run / "rounds/0002/reflection.jsonl").unlink()
    said = why(edited, "loop.json")
    assert "Because rounds/0002/reflection.jsonl does not exist." in said
    assert "Because rounds/0004/selections.jsonl (" in said


def test_a_file_that_is_not_there_is_the_cause_itself(edited):
    (edited.run / "guidance.json").unlink()
    assert why(edited, "guidance.json").splitlines() == [
        "guidance.json would be made again.",
        "Because guidance.json does not exist.",
        "It takes: collect.",
    ]


def test_a_fused_file_is_traced_into_the_run(edited):
    edit(edited, "selections.jsonl", "第1条依据", "缺少照片")
    said = why(edited, FUSED[1]).splitlines()
    assert said[1].startswith("Because selections.jsonl (") and said[-1].startswith(
        "It takes: aggregate_review, distill, fuse."
    )


def test_a_changed_knob_is_named_though_prepare_has_not_run(edited):
    (edited.folder / "other.yaml").write_text("window: {tickets: 2}\ndistill: {val_share: 0.4}\n", encoding="utf-8")
    said = why(edited, "distill.train.jsonl", "CONFIG=other.yaml")
    assert "Because prepare would write config/distill.yaml again: distill.val_share 0.1 -> 0.4." in said
    assert "distill.val_share 0.1 -> 0.4" in why(edited, "config/distill.yaml", "CONFIG=other.yaml")


def test_tickets_and_sections_are_said_to_come_from_prepare(edited):
    assert why(edited, "stage_a.jsonl").startswith("stage_a.jsonl stays as it is: prepare takes it from its source")
    assert why(edited, "config/rollout.yaml").startswith("config/rollout.yaml stays as it is: prepare writes it")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("", "no file is given; name one: make why FILE=runs/miniature/bbu_line/guidance.json"),
        (
            f"{RUN}/rounds/0009/guidance.json",
            f"{RUN}/rounds/0009/guidance.json: is not there, and no rule makes it; check FILE",
        ),
        (
            "runs/none/bbu_line/guidance.json",
            "runs/none/bbu_line/guidance.json: is not there, and no rule makes it; check FILE",
        ),
    ],
)
def test_a_file_that_nothing_makes_is_one_clear_line(edited, file, message):
    done = make(edited.folder, "why", f"FILE={file}")
    assert done.returncode == 2 and done.stderr.startswith(message)
