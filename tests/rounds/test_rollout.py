"""tools.rollout through its command, with a fake engine."""

import json
import shutil

import pytest

from miniature.world.prompts import prompts_of
from tests.support.builders import G0, MISSION, snapshot, ticket
from tests.support.fake_engine import FakeEngine
from tests.support.playing import FAIL, PASS, TICKETS, Bench, Killed, Speaker
from verdicts import engines
from verdicts.base.errors import UserError
from verdicts.base.jsonl import write_text
from verdicts.config import prompts
from verdicts.engines import Completion
from verdicts.records.rollout import Malformed, Selection, Trajectory

OUTPUTS = ["failure_malformed.jsonl", "selections.jsonl", "trajectories.jsonl"]


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_a_round_leaves_every_candidate_and_one_selection_a_ticket(bench):
    engine = Speaker()
    outcome = bench.rollout(engine)
    assert outcome.code == 0, outcome.err
    trajectories, selections = bench.rows("trajectories.jsonl", Trajectory), bench.rows("selections.jsonl", Selection)
    assert len(trajectories) == 4 * 5 and {row.ticket_key for row in selections} == {of.ticket_key for of in TICKETS}
    assert {row.ticket_key: row.verdict for row in selections}["b::fail"] == "fail"
    assert bench.rows("failure_malformed.jsonl", Malformed) == []
    assert sorted(snapshot(bench.folder / "rounds" / "0001")) == OUTPUTS  # and nothing half-done beside them
    assert engine.closed
    assert outcome.last_line.startswith(
        "rollout 0001 (epoch 1, 1 rules): 5 tickets = 5 selected + 0 without a valid candidate; 4 match the label; "
        "0 hard failures; "
    )


def test_the_model_reads_the_guidance_and_the_summaries_of_each_ticket(bench):
    engine = Speaker()
    bench.write(G3="出现标签无法识别则不通过").rollout(engine)
    assert {system.count(f"G0: {G0}\nG3: 出现标签无法识别则不通过") for system, _, _ in engine.rollouts} == {1}
    assert sum("image_1: 电线/散乱×1" in user for _, user, _ in engine.rollouts) == 4


def test_every_row_of_a_round_names_the_prompt_that_was_asked_with(bench):
    bench.write([ticket("a"), ticket("b", "fail")]).rollout(Speaker())
    rows = [*bench.rows("trajectories.jsonl", Trajectory), *bench.rows("selections.jsonl", Selection)]
    assert len(rows) == 10 and {row.prompt for row in rows} == {prompts_of(MISSION).digest("stage_b")}


def test_flipping_every_label_changes_no_byte_of_any_prompt_or_setting(bench):
    other = {"pass": "fail", "fail": "pass"}
    flipped = [of.model_copy(update={"label": other[of.label]}) for of in TICKETS]
    seen = []
    for tickets in (TICKETS, flipped):
        engine = Speaker()
        bench.write(tickets).rollout(engine)
        seen.append(engine.rollouts)
    assert seen[0] == seen[1]


def test_no_prompt_holds_a_group_id(bench):
    engine = Speaker()
    bench.write([ticket("QC-77-unique", "fail")]).rollout(engine)
    assert not any("QC-77-unique" in system + user for system, user, _ in engine.rollouts)


def test_the_rounds_of_an_epoch_share_its_tickets_out(bench):
    bench.write(window=2)
    keys = []
    for number in (1, 2, 3):
        assert bench.rollout(Speaker(), round=number, into=f"rounds/{number:04d}").code == 0
        keys += [row.ticket_key for row in bench.rows("selections.jsonl", Selection, f"rounds/{number:04d}")]
    assert sorted(keys) == sorted(of.ticket_key for of in TICKETS)
    bench.rollout(Speaker(), round=4, into="rounds/0004")
    assert {row.epoch for row in bench.rows("selections.jsonl", Selection, "rounds/0004")} == {2}


def test_malformed_text_goes_to_its_file_and_loses_no_ticket_that_has_a_valid_candidate(bench):
    bench.write([ticket("a")]).rollout(
        FakeEngine(["胡说", PASS, Completion("", {"pass": None, "fail": None}, "over_length"), FAIL + "\n需复核"])
    )
    assert [(row.candidate_index, row.why) for row in bench.rows("failure_malformed.jsonl", Malformed)] == [
        (0, "no_verdict"),
        (2, "over_length"),
        (3, "third_state"),
    ]
    (selection,) = bench.rows("selections.jsonl", Selection)
    assert (selection.selected_candidate, selection.candidates.malformed) == (1, 3)


def test_the_summary_line_counts_what_was_forgiven_and_cut(bench):
    cut = Completion(FAIL + "。因为", {"pass": -2.0, "fail": -0.1}, "length")
    outcome = bench.write([ticket("a")]).rollout(
        FakeEngine([PASS.replace(": ", "："), FAIL, cut, "**" + PASS.replace("\n", "**\n")])
    )
    assert outcome.last_line.endswith("; 2 answers in another form (1 bold, 1 full_width, 1 header), 1 reasons cut")
    rows = bench.rows("trajectories.jsonl", Trajectory)
    assert [(row.raw_text is not None, row.cut) for row in rows] == [
        (True, False),
        (False, False),
        (True, True),
        (True, False),
    ]
    assert rows[2].response_text == FAIL + "。"


def test_a_model_that_talks_nonsense_only_leaves_failures_and_no_selection(bench):
    outcome = bench.rollout(Speaker(lambda system, user: "<|im_start|>"))
    assert outcome.code == 0
    assert bench.rows("selections.jsonl", Selection) == []
    assert sum(row.why == "no_valid_candidate" for row in bench.rows("failure_malformed.jsonl", Malformed)) == 5
    assert "5 tickets = 0 selected + 5 without a valid candidate" in outcome.last_line


@pytest.mark.parametrize("alive", [0, 1, 2, 3, 4])
def test_a_rollout_that_was_stopped_goes_on_at_its_last_whole_chunk_and_ends_in_the_same_bytes(bench, alive):
    assert bench.rollout(whole := Speaker(), into="whole").code == 0
    with pytest.raises(Killed):
        bench.rollout(Speaker(alive=alive))
    assert not any((bench.folder / "rounds" / "0001" / name).exists() for name in OUTPUTS)
    engine = Speaker()
    assert bench.rollout(engine).code == 0
    assert engine.rollouts == whole.rollouts[4 * (alive // 2 * 2) :]  # chunks of two tickets are kept
    assert snapshot(bench.folder / "rounds" / "0001") == snapshot(bench.folder / "whole")


@pytest.mark.parametrize(
    "change", [{"G1": "出现标签无法识别则不通过"}, {"tickets": [ticket("z"), *TICKETS[1:]]}, {"chunk": 1}]
)
def test_what_was_done_under_other_inputs_is_played_again(bench, change):
    with pytest.raises(Killed):
        bench.rollout(Speaker(alive=4))
    engine = Speaker()
    assert bench.write(**change).rollout(engine).code == 0
    assert len(engine.rollouts) == 4 * 5


def test_a_second_run_gives_the_same_bytes(bench):
    bench.rollout(Speaker())
    bench.rollout(Speaker(), into="again")
    assert snapshot(bench.folder / "again") == snapshot(bench.folder / "rounds/0001")


LINE = (
    '{"group_id": "a", "mission": "BBU接地线检查", "label": "pass", "images": ["a.jpeg"], '
    '"per_image": {"image_1": "电线/散乱×1"}}'
)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("stage_a.jsonl", None, "stage_a.jsonl: no such file; check the path"),
        (
            "stage_a.jsonl",
            "",
            "stage_a.jsonl: the file holds no record; give a file with at least one JSON object a line",
        ),
        ("stage_a.jsonl", LINE + "\n" + LINE[:50], "stage_a.jsonl:2: not valid JSON at column"),
        (
            "stage_a.jsonl",
            LINE.replace('"label"', '"labell"'),
            "stage_a.jsonl:1: labell: unknown field; did you mean 'label'?",
        ),
        (
            "stage_a.jsonl",
            LINE.replace('"pass"', '"Pass"'),
            "stage_a.jsonl:1: label: input should be 'pass' or 'fail' (\"Pass\"); correct the value",
        ),
        (
            "stage_a.jsonl",
            LINE.replace("image_1", "image_2"),
            "stage_a.jsonl:1: per_image: keys must run image_1, image_2, … without a gap",
        ),
        (
            "stage_a.jsonl",
            f"{LINE}\n\n{LINE}\n",
            "stage_a.jsonl:3: group_id: ticket_key 'a::pass' stands on line 1 already; keep one of the two",
        ),
        (
            "stage_a.jsonl",
            LINE.replace(MISSION, "挡风板安装检查"),
            f"stage_a.jsonl:1: mission: '挡风板安装检查' is not this run's mission {MISSION!r}",
        ),
        ("guidance.json", None, "guidance.json: no such file; check the path"),
        ("guidance.json", "{}", f"guidance.json: holds no mission {MISSION!r}"),
        (
            "guidance.json",
            '{"a": {"step": 0, "experiences": {}, "metadata": {}, "last_applied_rule_keys": []}}',
            "guidance.json: a: experiences has no G0",
        ),
        ("rollout.yaml", None, "rollout.yaml: no such file; check the path"),
        ("rollout.yaml", "mission: ]", "rollout.yaml:1: not valid YAML"),
        ("rollout.yaml", "rolout: {}", "rollout.yaml: rolout: unknown field; did you mean 'rollout'?"),
    ],
)
def test_a_mistake_is_one_line_and_overwrites_nothing(bench, name, text, message):
    bench.rollout(Speaker())
    (bench.folder / name).unlink() if text is None else write_text(bench.folder / name, text)
    before = snapshot(bench.folder)
    outcome = bench.rollout(engine := Speaker())
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1
    assert outcome.err.removeprefix(f"{bench.folder}/").startswith(message)
    assert snapshot(bench.folder) == before and engine.rollouts == []


def test_rounds_count_from_1(bench):
    outcome = bench.rollout(Speaker(), round=0)
    assert outcome.code == 2 and "--round" in outcome.last_line
    assert not (bench.folder / "rounds").exists()


def test_a_missing_model_file_is_one_line_and_overwrites_nothing(bench):
    bench.rollout(Speaker())
    text = (bench.folder / "rollout.yaml").read_text(encoding="utf-8")
    write_text(bench.folder / "rollout.yaml", text.replace("data/miniature/teacher.gguf", "models/none.gguf"))
    before = snapshot(bench.folder)
    bench.monkeypatch.undo()
    outcome = bench.rollout()
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("models/none.gguf: engine.model: no such model file; ")
    assert snapshot(bench.folder) == before


def test_an_engine_that_gives_up_ends_as_one_line_and_keeps_what_was_done(bench):
    class Unplugged(Speaker):
        def rollout(self, system, users, decodes):
            yield from super().rollout(system, users[:3], decodes[:3])
            raise UserError("http://host: no answer after 5 retries; start the endpoint")

    outcome = bench.rollout(Unplugged())
    assert (outcome.code, outcome.err) == (2, "http://host: no answer after 5 retries; start the endpoint\n")
    bench.rollout(engine := Speaker())
    assert len(engine.rollouts) == 4 * 3


def _another_ticket(row):
    return row | {"ticket_key": "b::fail", "group_id": "b"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda chunk: [],
        lambda chunk: {"a": 1},
        lambda chunk: [[[], []]],
        lambda chunk: [[rows, finishes[:-1]] for rows, finishes in chunk],
        lambda chunk: [[rows[:-1], finishes[:-1]] for rows, finishes in chunk],
        lambda chunk: [[[{**row, "verdict": "maybe"} for row in rows], finishes] for rows, finishes in chunk],
        lambda chunk: [
            [[{**row, "label_match": not row["label_match"]} for row in rows], finishes] for rows, finishes in chunk
        ],
        lambda chunk: [[[{**row, "guidance_step": 9} for row in rows], finishes] for rows, finishes in chunk],
        lambda chunk: [[[_another_ticket(row) for row in rows], finishes] for rows, finishes in chunk],
        lambda chunk: [[[{**row, "zzz": 1} for row in rows], finishes] for rows, finishes in chunk],
        lambda chunk: chunk * 9,
    ],
)
def test_a_part_file_of_these_inputs_with_other_content_is_done_again_from_there(bench, spoil):
    whole = bench.rollout(Speaker(), into="rounds/whole")
    assert whole.code == 0
    bench.write(chunk=1)
    with pytest.raises(Killed):
        bench.rollout(Speaker(alive=3))
    part = bench.folder / "rounds" / "0001" / ".rollout.part.jsonl"
    lines = part.read_text(encoding="utf-8").split("\n")
    lines[2] = json.dumps(spoil(json.loads(lines[2])), ensure_ascii=False)
    part.write_text("\n".join(lines), encoding="utf-8")
    engine = Speaker()
    outcome = bench.rollout(engine)
    assert outcome.code == 0, outcome.err
    assert len(engine.rollouts) == 4 * 4  # the first ticket's rows stand, the second's and all after it are made again
    for name in OUTPUTS:
        assert (bench.folder / "rounds" / "0001" / name).read_bytes() == (
            bench.folder / "rounds" / "whole" / name
        ).read_bytes()


def test_a_prompt_that_was_spoilt_is_refused_before_a_model_is_loaded(bench, tmp_path, monkeypatch):
    broken = tmp_path / "prompts"
    shutil.copytree(prompts.PROMPTS_DIR, broken)
    (broken / "stage_b.user.txt").write_text("{tickets}\n", encoding="utf-8")
    monkeypatch.setattr(prompts, "PROMPTS_DIR", broken)
    monkeypatch.setattr(engines, "open_engine", lambda config: pytest.fail("a model was loaded"))
    outcome = bench.rollout()
    assert outcome.code == 2 and not (bench.folder / "rounds" / "0001" / "trajectories.jsonl").exists()
    assert f"{broken / 'stage_b.user.txt'}: {{tickets}} is no placeholder of this prompt" in outcome.err
