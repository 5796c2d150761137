"""Section files of runs that an older version made, whose constants of the code are knobs by now."""

import pytest
import yaml

from verdicts.base.errors import UserError
from verdicts.base.yaml_text import read_value
from verdicts.config.load import CONFIGS, flat, load
from verdicts.config.older import with_constants_of_before
from verdicts.config.tools import (
    DistillConfig,
    GuidanceConfig,
    LoopConfig,
    ReflectConfig,
    is_older_form,
    read_section,
    section_text,
)

NEW_OF_REASONS = ("show_reasons", "reason_chars")
NEW = {
    "loop": ("enough_answers",),
    "distill": ("min_agreement",),
    "reflect": ("words", "details", *NEW_OF_REASONS),
}
NEW_OF_TRIALS = (
    "discard",
    "min_elsewhere",
    "min_unseen",
    "harm",
    "remember_broke",
    "remember_ratio",
    "photo_classes",
)


def section(tool: str) -> dict:
    return yaml.safe_load(section_text(load("miniature", "bbu_line", configs=CONFIGS), tool))


def of_before(tool: str) -> dict:
    """A tool's section file as a version without the knobs wrote it."""
    told = section(tool)
    for name in NEW[tool]:
        del told[tool][name]
    for name in NEW_OF_TRIALS if tool == "reflect" else ():
        del told["reflect"]["trial"][name]
    return told


def written(path, told: dict):
    path.write_text(yaml.safe_dump(told, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("tool", "model"), [("loop", LoopConfig), ("distill", DistillConfig), ("reflect", ReflectConfig)]
)
def test_an_older_section_file_is_read_with_the_constants_of_its_time(tmp_path, tool, model):
    old = read_section(written(tmp_path / "old.yaml", of_before(tool)), model)
    assert old == read_section(written(tmp_path / "new.yaml", section(tool)), model)


def test_a_section_from_before_people_s_reasons_is_read_with_the_knobs_of_its_time(tmp_path):
    told = section("reflect")
    del told["reflect"]["details"]["reason_text"]
    for name in NEW_OF_REASONS:
        del told["reflect"][name]
    old = read_section(written(tmp_path / "old.yaml", told), ReflectConfig)
    assert old == read_section(written(tmp_path / "new.yaml", section("reflect")), ReflectConfig)
    assert is_older_form(tmp_path / "old.yaml", (tmp_path / "new.yaml").read_text(encoding="utf-8"))


def test_a_run_from_before_more_draws_and_sure_harm_goes_on_as_it_did_whatever_is_shipped(tmp_path):
    """Its rules left for harm by what was counted, and its errors were shown once, whatever proposals explained."""
    told = section("reflect")
    del told["reflect"]["draws"], told["reflect"]["trial"]["explains"], told["life_cycle"]["sure_harm"]
    old = read_section(written(tmp_path / "old.yaml", told), ReflectConfig)
    assert (old.reflect.draws, old.reflect.trial.explains, old.life_cycle.sure_harm) == (1, 0, False)
    assert load("miniature", "bbu_line", configs=CONFIGS).life_cycle.sure_harm


@pytest.mark.parametrize(
    ("tool", "model", "knob"),
    [("reflect", ReflectConfig, ("trial", "harm")), ("reflect", ReflectConfig, ("words", "photos"))],
)
def test_in_a_section_of_today_a_missing_knob_is_an_error(tmp_path, tool, model, knob):
    told = section(tool)
    del told[tool][knob[0]][knob[1]]
    with pytest.raises(UserError, match=rf"{tool}\.{knob[0]}\.{knob[1]}: "):
        read_section(written(tmp_path / "section.yaml", told), model)


def test_what_an_older_file_says_stands_and_other_sections_stay_as_they_are():
    told = of_before("reflect")
    told["reflect"]["trial"]["spend"] = 0.25
    whole = with_constants_of_before(told)
    assert whole["reflect"]["trial"]["spend"] == 0.25 and whole["learn"] == told["learn"]
    assert with_constants_of_before({"plan": {"tickets": 3}, "loop": None}) == {"plan": {"tickets": 3}, "loop": None}


def test_the_constants_of_before_are_those_that_the_configuration_began_with():
    """Where one is shipped otherwise today it stands here, and verdicts/config/older.py stays as it is."""
    base = flat(read_value(CONFIGS / "base.yaml"))
    constants = flat(with_constants_of_before({"loop": {}, "reflect": {}}))
    parted = {name: (value, base[name]) for name, value in constants.items() if value != base[name]}
    assert parted == {
        "reflect.pool.candidates": (0, 6),
        "reflect.pool.promising": (0.05, 0.2),
        "reflect.pool.exceptions": (1.0, 0.1),
        "reflect.contrast.features": (0, 3),
    }


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [("ids", "(", "is no regular expression"), ("label_text", "标签", "needs one group"), ("marks", "", "at least 1")],
)
def test_a_pattern_that_is_none_is_refused_where_it_stands(tmp_path, name, value, why):
    told = section("reflect")
    told["reflect"]["details"][name] = value
    with pytest.raises(UserError, match=rf"reflect\.details\.{name}: .*{why}"):
        read_section(written(tmp_path / "reflect.yaml", told), ReflectConfig)


@pytest.mark.parametrize(("slug", "domain"), [("bbu_line", "bbu"), ("rru_cable", "rru")])
def test_an_older_mission_has_the_domain_that_its_slug_names(tmp_path, slug, domain):
    text = section_text(load("miniature", slug, configs=CONFIGS), "guidance")
    told = yaml.safe_load(text)
    assert told["mission"].pop("domain") == domain
    points = told["mission"].pop("points")
    path = written(tmp_path / "guidance.yaml", told)
    assert read_section(path, GuidanceConfig).mission.domain == domain
    assert is_older_form(path, text) is not bool(points)  # what points are asked for is new


@pytest.mark.parametrize(("threshold", "decision"), [(None, "majority"), (0.3, "threshold")])
def test_of_an_older_predict_section_a_threshold_alone_says_that_it_decides(threshold, decision):
    told = section("predict")
    told["predict"] = {"threshold": threshold, "reason": "plain", "window": 4096}
    assert with_constants_of_before(told)["predict"]["decision"] == decision
