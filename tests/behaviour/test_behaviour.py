"""make behaviour: each change does what it says and no more, and a model that does what it must not is counted."""

import math
from pathlib import Path
from random import Random

import pytest
import yaml

from tests.support.builders import MISSION, call, guidance, ticket
from tests.support.judging import Bench
from verdicts.base.jsonl import read_rows, write_json, write_rows, write_text
from verdicts.behaviour.changes import BEHAVIOUR_KINDS, Changed, ChangedUnder
from verdicts.behaviour.testing import chance_of_fail, count_failures, plan_changes
from verdicts.config.load import load
from verdicts.config.tools import GateConfig, read_section, section_text
from verdicts.evaluation.gate_words import gate_in_chinese
from verdicts.records.evaluation import Behaviour, BehaviourFailure, BehaviourResult, Named
from verdicts.records.guidance import write_guidance
from verdicts.report.evaluation import read_behaviours
from verdicts.stage_b.negatives import negatives_in
from verdicts.stats.rates import wilson

CONFIG = load("miniature", "bbu_line")
GOOD = "螺丝、光纤插头/机柜处接地螺丝,符合要求×1"
PHOTOS = {"image_1": f"BBU设备/华为,显示完整×1，{GOOD}", "image_2": "电线/捆扎整齐×2，标签/无法识别×1"}
BAD = {"image_1": "螺丝、光纤插头/机柜处接地螺丝,不符合要求×1，电线/捆扎整齐×1", "image_2": "电线/分布散乱×1"}
JSON = {"image_1": '{"统计": [{"类别": "BBU设备", "品牌": {"华为": 1}}]}'}


def scene(*rules: str) -> ChangedUnder:
    return ChangedUnder(CONFIG.behaviour, CONFIG.fail_first, [CONFIG.mission.g0, *rules], CONFIG.lint.words.waived)


def changed(kind: str, photos: dict[str, str], *rules: str, seed: int = 0) -> Changed | str:
    return BEHAVIOUR_KINDS[kind].change(photos, Random(seed), scene(*rules))


def test_photos_and_facts_change_places_and_nothing_else():
    assert list(changed("reorder_photos", PHOTOS).summaries.items()) == [
        ("image_1", PHOTOS["image_2"]),
        ("image_2", PHOTOS["image_1"]),
    ]
    for seed in range(20):
        found = changed("reorder_facts", PHOTOS, seed=seed)
        if not isinstance(found, str):
            for name, text in PHOTOS.items():
                assert sorted(found.summaries[name].split("，")) == sorted(text.split("，"))
            break
    else:
        pytest.fail("no seed changed the order")


def test_a_brand_gives_way_to_another_unless_a_rule_names_one():
    found = changed("rename_brand", PHOTOS)
    assert "华为" not in found.summaries["image_1"] and found.summaries["image_2"] == PHOTOS["image_2"]
    assert found.summaries["image_1"] in [PHOTOS["image_1"].replace("华为", brand) for brand in ("中兴", "爱立信")]
    assert changed("rename_brand", PHOTOS, "出现华为品牌则不通过") == "a_rule_names_it"
    assert changed("rename_brand", {"image_1": GOOD}) == "nothing_to_change"


def test_an_irrelevant_photo_is_added_unless_a_rule_counts_photos():
    found = list(changed("add_irrelevant", PHOTOS).summaries.values())
    assert sorted(found) == sorted([*PHOTOS.values(), "无关图片×1"])
    assert changed("add_irrelevant", PHOTOS, "照片少于2张则不通过") == "a_rule_counts_photos"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (BAD["image_2"], {"电线/散乱×1"}),
        ("光纤/弯曲半径不合理×1", {"光纤/半径不合理×1"}),
        ("光纤/半径不合理×1", {"光纤/弯曲半径不合理×1"}),
        ("标签/无法识别×1", {"标签/不可读×1"}),
        ("标签/5G-BBU×1", {"nothing_to_change"}),
    ],
)
def test_a_word_gives_way_to_another_for_the_same(text, wanted):
    found = (
        {changed("paraphrase", {"image_1": text}, seed=seed) for seed in range(4)}
        if "5G" in text
        else {changed("paraphrase", {"image_1": text}, seed=seed).summaries["image_1"] for seed in range(4)}
    )
    assert found == wanted


@pytest.mark.parametrize("seed", range(12))
def test_an_inserted_negative_is_one_that_the_guard_finds_and_stands_for_what_was_said_of_the_object(seed):
    found = changed("insert_negative", PHOTOS, seed=seed)
    said = [fact for text in found.summaries.values() for fact in negatives_in(text, CONFIG.fail_first)]
    assert len(said) == 1, found
    assert not any(negatives_in(text, CONFIG.fail_first) for text in PHOTOS.values())
    if "机柜处接地螺丝" in found.what:
        assert GOOD not in found.summaries["image_1"]


def test_no_negative_is_inserted_that_a_rule_waives():
    rules = [f"出现{name}的问题可豁免" for name in ("机柜处接地螺丝", "地排处接地螺丝", "电线")]
    assert changed("insert_negative", PHOTOS, *rules) == "no_negative"
    assert {changed("insert_negative", PHOTOS, *rules[:2], seed=seed).what.split("/")[0] for seed in range(9)} <= {
        f"image_{n}: 电线,分布散乱×1" for n in (1, 2)
    } | {f"image_{n}: 电线,不整齐×1" for n in (1, 2)}


def test_removed_negatives_are_gone_and_a_photo_of_nothing_else_with_them():
    assert changed("remove_negative", BAD).summaries == {"image_1": "电线/捆扎整齐×1"}
    assert changed("remove_negative", {"image_1": BAD["image_2"]}) == "nothing_left"
    assert changed("remove_negative", PHOTOS) == "no_negative"


def test_what_cannot_be_taken_apart_is_left_out():
    assert {kind: changed(kind, JSON) for kind in ("reorder_facts", "insert_negative", "reorder_photos")} == {
        "reorder_facts": "json",
        "insert_negative": "json",
        "reorder_photos": "one_photo",
    }


def counted(judge, tickets):
    """What comes of a model that gives ``judge(per_image)`` as P(fail)."""
    plan = plan_changes(tickets, scene())
    before = [judge(one.per_image) for one in tickets]
    after = [judge(one.changed.summaries) for one in plan.changed]
    return count_failures(plan, tickets, before, after, CONFIG.behaviour.tolerance)


TICKETS = [ticket("a", "pass", tuple(PHOTOS.values())), ticket("b", "fail", tuple(BAD.values()))]


def by_the_guard(photos) -> float:
    bad = any(negatives_in(text, CONFIG.fail_first) for text in photos.values())
    return 0.9 if bad or all("无关图片" in text for text in photos.values()) else 0.1


def test_a_model_that_reads_as_the_guard_does_fails_nowhere():
    results, failures = counted(by_the_guard, TICKETS)
    assert failures == []
    assert {kind for kind, found in results.items() if not found.failed.n} == set()
    assert results["insert_negative"].left_out == {"fails_already": 1}


@pytest.mark.parametrize(
    ("judge", "kinds"),
    [
        (lambda photos: 0.2, {"all_irrelevant", "insert_negative"}),  # passes everything
        (lambda photos: 0.1 if "BBU设备" in photos["image_1"] else 0.9, {"reorder_photos"}),  # reads the first photo
        (lambda photos: max(0.1, 0.7 - by_the_guard(photos) / 2), {"remove_negative"}),  # a negative calms it
        (lambda photos: 0.9 if "中兴" in str(photos) or "爱立信" in str(photos) else 0.1, {"rename_brand"}),
        (lambda photos: 0.9 if len(photos) > 2 else 0.1, {"add_irrelevant"}),
    ],
)
def test_a_model_that_does_what_it_must_not_fails_the_kind_that_tests_it(judge, kinds):
    failed = {one.kind for one in counted(judge, TICKETS)[1]}
    assert kinds <= failed
    assert not failed & {"reorder_facts"}


def test_a_probability_is_that_of_both_verdicts_together():
    assert chance_of_fail({"pass": math.log(0.2), "fail": math.log(0.6)}) == pytest.approx(0.75)
    assert chance_of_fail({"pass": -1e6, "fail": 0.0}) == 1 and chance_of_fail({"pass": None, "fail": None}) is None


@pytest.fixture(scope="module")
def tested(tmp_path_factory) -> Path:
    """The real miniature teacher on 12 drawn tickets."""
    from tests.support.builders import drawn_rows

    folder = tmp_path_factory.mktemp("tested")
    write_rows(folder / "tickets.jsonl", drawn_rows("bbu_line", 12))
    rules = guidance().model_copy(update={"experiences": {"G0": CONFIG.mission.g0}})
    write_guidance(folder / "guidance.json", MISSION, rules)
    write_text(folder / "behaviour.yaml", section_text(CONFIG, "behaviour"))
    outcome = call(
        "behaviour", config=folder / "behaviour.yaml", tickets=folder / "tickets.jsonl", teacher=True,
        guidance=folder / "guidance.json", output=folder / "behaviour-teacher/behaviour.json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    return folder


def test_the_teachers_failures_are_counted_and_listed(tested):
    found = read_behaviours(tested)["teacher"]
    listed = read_rows(tested / "behaviour-teacher/behaviour.failures.jsonl", BehaviourFailure, allow_empty=True)
    assert found.tickets == 12 and found.asked.folder.endswith("teacher.gguf") and found.asked.sha256
    assert found.kinds.keys() == BEHAVIOUR_KINDS.keys()
    assert found.kinds["all_irrelevant"].failed.n == 12
    assert {kind: result.failed.k for kind, result in found.kinds.items() if result.failed.k} == {
        kind: sum(one.kind == kind for one in listed) for kind in {one.kind for one in listed}
    }


def test_the_gate_holds_a_taught_student_to_the_limit_where_there_is_one(tmp_path):
    bench, path = Bench(tmp_path), tmp_path / "behaviour.json"

    def write(**fields: object) -> None:
        kinds = {
            "paraphrase": BehaviourResult(test="invariance", failed=wilson(3, 20), left_out={}),
            "rename_brand": BehaviourResult(test="invariance", failed=wilson(0, 0), left_out={"nothing_to_change": 20}),
        }
        said = {"asked": Named(folder="after", sha256="0"), "mission": MISSION, "guidance_step": 2, "guidance": "",
                "questions": "", "tickets": 20, "settings": {}, "kinds": kinds}  # fmt: skip
        write_json(path, Behaviour(**said | fields))

    assert bench.gate(behaviour=path).code == 0  # no limit: not even looked for
    write()
    bench.configure(max_behaviour=0.2)
    assert "rename_brand: no held-out ticket can be changed so" in bench.gate(behaviour=path).err
    bench.configure(max_behaviour=0.1)
    outcome = bench.gate(behaviour=path)
    said = "behaviour paraphrase: 3 of 20 changed tickets fail (15.00%), the limit is 10.00%"
    assert outcome.code == 1 and said in outcome.err
    assert gate_in_chinese(said) == "行为测试 paraphrase：20 个改动工单中 3 个未通过（15.00%），上限 10.00%"
    write(guidance_step=3)
    outcome = bench.gate(behaviour=path)
    assert outcome.code == 2 and "run make behaviour" in outcome.err
    path.unlink()
    assert bench.gate(behaviour=path).code == 2


def test_the_gate_of_a_run_made_before_has_no_limit(tmp_path):
    told = yaml.safe_load(section_text(CONFIG, "gate"))
    del told["gate"]["max_behaviour"]
    write_text(tmp_path / "gate.yaml", yaml.safe_dump(told))
    assert read_section(tmp_path / "gate.yaml", GateConfig).gate.max_behaviour is None
