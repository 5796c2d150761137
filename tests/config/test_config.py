"""Configuration is merged from layers, strictly; every knob has its value in configs/."""

from pathlib import Path

import pytest
import yaml

from verdicts.base.errors import UserError
from verdicts.config.base import deep_merge
from verdicts.config.engine import ENGINE_KINDS, without_foreign_knobs
from verdicts.config.load import CONFIGS, load
from verdicts.config.sections import Config
from verdicts.config.tools import SECTION_FILES, DistillConfig, RolloutConfig, is_older_form, read_section, section_text
from verdicts.engines import ENGINES

ROOT = Path(__file__).resolve().parents[2]
MISSIONS = ["bbu_cable", "bbu_install", "bbu_line", "bbu_wind", "rru_cable", "rru_install", "rru_position"]
MODELS = ["fake32b", "miniature", "qwen3"]


@pytest.fixture
def layers(tmp_path, monkeypatch) -> Path:
    """A folder that is run in, with a copy of the shipped configs."""
    for path in (ROOT / CONFIGS).rglob("*.yaml"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path / CONFIGS


def change(path: Path, **sections: object) -> None:
    path.write_text(
        yaml.safe_dump(deep_merge(yaml.safe_load(path.read_text(encoding="utf-8")), sections), allow_unicode=True),
        encoding="utf-8",
    )


def problem(models: str = "miniature", mission: str = "bbu_line", overlay: Path | None = None) -> str:
    with pytest.raises(UserError) as caught:
        load(models, mission, overlay)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mission", MISSIONS)
@pytest.mark.parametrize("models", MODELS)
def test_every_shipped_mission_loads_with_every_model_set_and_distills(layers, models, mission):
    config = load(models, mission)
    assert config.mission.slug == mission
    assert config.distill.enabled


def test_the_shipped_files_are_the_ones_tested(layers):
    assert sorted(path.stem for path in (layers / "missions").glob("*.yaml")) == MISSIONS
    assert sorted(path.stem for path in (layers / "models").glob("*.yaml")) == MODELS


def test_distillation_is_off_where_no_layer_turns_it_on(layers):
    mission = layers / "missions" / "bbu_line.yaml"
    text = yaml.safe_load(mission.read_text(encoding="utf-8"))
    del text["distill"]
    mission.write_text(yaml.safe_dump(text, allow_unicode=True), encoding="utf-8")
    assert load("miniature", "bbu_line").distill.enabled is False


def test_a_later_layer_wins_mappings_merge_and_lists_replace():
    base, over = {"a": {"b": 1, "c": 2}, "d": [1, 2]}, {"a": {"c": 3}, "d": [4]}
    assert deep_merge(base, over) == {"a": {"b": 1, "c": 3}, "d": [4]}


def test_an_overlay_is_the_last_word(layers):
    overlay = layers.parent / "mine.yaml"
    overlay.write_text("distill: {val_share: 0.5}\n")
    assert load("miniature", "bbu_line", overlay).distill.val_share == 0.5


def test_an_unknown_mission_or_model_set_is_named_with_the_known_ones(layers):
    assert problem(mission="bbu_lime").startswith(
        "unknown MISSION 'bbu_lime'; choose one of bbu_cable, bbu_install, bbu_line"
    )
    assert problem(models="gpt").startswith("unknown MODELS 'gpt'; choose one of fake32b, miniature, qwen3")


def test_an_unknown_section_is_named_in_its_own_file(layers):
    change(layers / "models" / "miniature.yaml", rolout={"seed": 1})
    assert problem().startswith("configs/models/miniature.yaml:")
    assert problem().endswith("rolout: unknown field; did you mean 'rollout'?")


def test_an_unknown_knob_is_named_with_the_nearest_known_one(layers):
    change(layers / "missions" / "bbu_line.yaml", distill={"val_shared": 0.1})
    assert problem().startswith("configs/missions/bbu_line.yaml:")
    assert problem().endswith("distill.val_shared: unknown field; did you mean 'val_share'?")


def test_a_missing_knob_is_an_error_not_a_default(layers):
    base = yaml.safe_load((layers / "base.yaml").read_text(encoding="utf-8"))
    del base["distill"]["seed"]
    (layers / "base.yaml").write_text(yaml.safe_dump(base, allow_unicode=True), encoding="utf-8")
    assert "distill.seed: missing; add it" in problem()


@pytest.mark.parametrize(
    ("text", "message"), [("a: [1\n", "not valid YAML"), ("- 1\n", "holds no mapping"), ("", "holds no mapping")]
)
def test_a_file_that_is_no_mapping_is_named(layers, text, message):
    overlay = layers.parent / "mine.yaml"
    overlay.write_text(text)
    assert str(overlay) in problem(overlay=overlay) and message in problem(overlay=overlay)


def test_a_wrong_value_is_shown(layers):
    change(layers / "missions" / "bbu_line.yaml", distill={"conflict_policy": "ignore"})
    assert "distill.conflict_policy: input should be 'drop', 'downweight', 'mark' or 'keep' (\"ignore\")" in problem()


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"learn": {"holdout": 1.0}}, "learn.holdout: input should be less than 1 (1.0)"),
        ({"learn": {"holdout": -0.1}}, "learn.holdout: input should be greater than or equal to 0 (-0.1)"),
        ({"reflect": {"trial": {"rounds": 0}}}, "reflect.trial.rounds: input should be greater than 0 (0)"),
        ({"reflect": {"trial": {"spend": 1.5}}}, "reflect.trial.spend: input should be less than or equal to 1 (1.5)"),
        ({"reflect": {"trial": {"alpha": 0.005}}}, "reflect.trial.alpha: unknown field"),  # of an older version
        ({"life_cycle": {"drop_threshold": 0.65}}, "life_cycle.drop_threshold: unknown field"),
    ],
)
def test_what_learning_is_told_is_checked(layers, sections, message):
    change(layers / "missions" / "bbu_line.yaml", **sections)
    assert message in problem()


def test_collect_is_told_what_learning_is_told_of_the_hold_out(layers, tmp_path):
    config = load("miniature", "bbu_line")
    read = {}
    for tool in ("collect", "reflect"):
        (tmp_path / f"{tool}.yaml").write_text(section_text(config, tool), encoding="utf-8")
        read[tool] = read_section(tmp_path / f"{tool}.yaml", SECTION_FILES[tool])
    assert read["collect"].learn == read["reflect"].learn == config.learn


def test_per_verdict_reasons_without_a_grammar_are_refused(layers):
    change(layers / "models" / "miniature.yaml", engine={"grammar": False})
    assert "reasons: per_verdict needs grammar: true and thinking off; set reasons: all" in problem()


def test_a_section_file_reads_back_and_holds_only_its_sections(layers, tmp_path):
    config = load("miniature", "bbu_line")
    for tool in SECTION_FILES:
        path = tmp_path / f"{tool}.yaml"
        path.write_text(section_text(config, tool), encoding="utf-8")
        assert list(yaml.safe_load(path.read_text(encoding="utf-8"))) == list(SECTION_FILES[tool].model_fields)
        section = read_section(path, SECTION_FILES[tool])
        said, whole = section.model_dump(), config.model_dump()
        whole["prompts"] = {kind: whole["prompts"][kind] for kind in said.get("prompts", ())}  # those it asks with
        if tool == "reflect":  # of rollout, what it learns for
            whole["rollout"] = {knob: whole["rollout"][knob] for knob in ("decision", "threshold")}
        assert said == {name: whole[name] for name in SECTION_FILES[tool].model_fields}


def test_a_knob_of_one_tool_leaves_the_other_section_files_as_they_are(layers):
    before = load("miniature", "bbu_line")
    change(layers / "missions" / "bbu_line.yaml", distill={"seed": 99})
    after = load("miniature", "bbu_line")
    assert [tool for tool in SECTION_FILES if section_text(before, tool) != section_text(after, tool)] == ["distill"]


def test_a_section_file_edited_by_hand_is_checked(tmp_path):
    path = tmp_path / "distill.yaml"
    path.write_text("distil: {}\n")
    with pytest.raises(UserError, match=r"distill.yaml:.*distil: unknown field; did you mean 'distill'\?"):
        read_section(path, DistillConfig)


def test_every_section_of_the_configuration_reaches_a_tool():
    sections = {name for model in SECTION_FILES.values() for name in model.model_fields}
    # plan and import_data read the merged configuration: they run without a run
    assert sections | {"plan", "import_"} == set(Config.model_fields)


# -- prompts


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("mine.txt", "./mine.txt"),  # beside the overlay
        ("./mine.txt", "./mine.txt"),
        ("stage_b.user.txt", "stage_b.user.txt"),  # below configs/prompts/
    ],
)
def test_an_overlay_names_a_prompt_below_configs_or_one_beside_itself(layers, named, meant):
    (layers.parent / "mine.txt").write_text("{summaries}", encoding="utf-8")
    overlay = Path("mine.yaml")
    overlay.write_text(f"prompts: {{stage_b: {{user: {named}}}}}\n", encoding="utf-8")
    files = load("miniature", "bbu_line", overlay).prompts.stage_b
    assert (files.system, files.user) == ("stage_b.system.txt", meant)


def test_a_prompt_of_one_s_own_is_found_from_where_its_overlay_lies(layers):
    for folder in ("mine", "shared"):
        (layers.parent / folder).mkdir()
        (layers.parent / folder / "user.txt").write_text("{summaries}", encoding="utf-8")
    overlay = Path("mine", "my.yaml")
    overlay.write_text("prompts: {stage_b: {user: user.txt}, reflect: {user: ../shared/user.txt}}\n")
    prompts = load("miniature", "bbu_line", overlay).prompts
    assert (prompts.stage_b.user, prompts.reflect.user) == ("./mine/user.txt", "./shared/user.txt")


def test_a_name_that_means_two_prompts_is_refused(layers):
    (layers.parent / "stage_b.user.txt").write_text("{summaries}", encoding="utf-8")
    overlay = Path("mine.yaml")
    overlay.write_text("prompts: {stage_b: {user: stage_b.user.txt}}\n")
    assert problem(overlay=overlay) == (
        "mine.yaml: prompts: 'stage_b.user.txt' is stage_b.user.txt and configs/prompts/stage_b.user.txt; "
        "write ./stage_b.user.txt for the first, or give it another name"
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"stage_b": {"user": "stage_b.usr.txt"}},
            "prompts.stage_b.user: no such file (stage_b.usr.txt, neither below configs/prompts/ nor beside an overlay)"
            "; write it, or name another, such as stage_b.user.txt, ",
        ),
        ({"dense": {"user": "./d.txt"}}, "prompts.dense.user: no such file (./configs/missions/d.txt); write it, or"),
        ({"stage_b": {"system": ""}}, "prompts.stage_b.system: string should have at least 1 character"),
        ({"dense": {"user": ""}}, "prompts.dense.user: string should have at least 1 character"),
        ({"stageb": {"user": "stage_b.user.txt"}}, "prompts.stageb: unknown field; did you mean 'stage_b'?"),
    ],
)
def test_a_prompt_that_is_not_there_is_named_in_its_own_file(layers, section, message):
    change(layers / "missions" / "bbu_line.yaml", prompts=section)
    assert problem().startswith("configs/missions/bbu_line.yaml:") and message in problem()


def test_a_prompt_of_one_kind_leaves_the_section_files_of_other_tools_as_they_are(layers):
    def tools_told(kind: str) -> list[str]:
        before = load("miniature", "bbu_line")
        overlay = Path("mine.yaml")
        overlay.write_text(f"prompts: {{{kind}: {{user: dense.user.txt}}}}\n")
        after = load("miniature", "bbu_line", overlay)
        return [tool for tool in SECTION_FILES if section_text(before, tool) != section_text(after, tool)]

    assert tools_told("stage_b") == ["rollout", "reflect", "distill", "evaluate", "behaviour", "predict", "served"]
    assert tools_told("reflect") == ["reflect"]
    assert tools_told("summary") == ["summarize", "predict"]
    assert tools_told("dense") == []


def test_a_tool_is_told_the_packs_of_its_own_domain_and_mission_alone(layers, tmp_path):
    packs = {"domain_packs": {"bbu": "dense.user.txt", "rru": "summary.user.txt"}}
    packs["mission_rules"] = {"bbu_wind": "dense.user.txt", "bbu_line": "summary.user.txt"}
    change(layers / "models" / "miniature.yaml", prompts={"summary": packs})
    told = yaml.safe_load(section_text(load("miniature", "bbu_line"), "summarize"))["prompts"]["summary"]
    assert told["domain_packs"] == {"bbu": "dense.user.txt"} and told["mission_rules"] == {
        "bbu_line": "summary.user.txt"
    }
    packs["domain_packs"]["rru"] = "absent.txt"
    change(layers / "models" / "miniature.yaml", prompts={"summary": packs})
    assert "models/miniature.yaml: prompts.summary.domain_packs.rru: no such file" in problem()


def test_a_section_of_an_older_version_asks_with_the_prompts_of_then(layers, tmp_path):
    text = section_text(load("miniature", "bbu_line"), "reflect")
    older = {name: part for name, part in yaml.safe_load(text).items() if name != "prompts"}
    path = tmp_path / "reflect.yaml"
    path.write_text(yaml.safe_dump(older, allow_unicode=True), encoding="utf-8")
    prompts = read_section(path, SECTION_FILES["reflect"]).prompts
    assert (prompts.stage_b.system, prompts.reflect.user) == ("stage_b.system.txt", "reflect.user.txt")
    assert is_older_form(path, text)


# -- engines

CORRECT = "correct the value"
SERVED = {"kind": "openai", "base_url": "http://127.0.0.1:1/v1", "model": "teacher"}


def test_every_kind_of_engine_can_be_opened_and_has_one_value_for_each_of_its_knobs():
    values = yaml.safe_load((ROOT / CONFIGS / "base.yaml").read_text(encoding="utf-8"))["engines"]
    assert ENGINES.keys() == ENGINE_KINDS.keys() == values.keys()
    for kind, model in ENGINE_KINDS.items():
        assert list(model.model_validate({"kind": kind} | values[kind]).model_dump()) == ["kind", *values[kind]]


@pytest.mark.parametrize("models", MODELS)
def test_an_overlay_that_names_another_kind_starts_from_that_kinds_own_values(layers, models):
    overlay = layers.parent / "mine.yaml"
    overlay.write_text(yaml.safe_dump({"engine": SERVED | {"thinking": {"enabled": True}}}))
    values = yaml.safe_load((layers / "base.yaml").read_text(encoding="utf-8"))["engines"]["openai"]
    thinking = values["thinking"] | {"enabled": True}
    assert load(models, "bbu_line", overlay).engine.model_dump() == values | SERVED | {"thinking": thinking}


def test_an_overlay_that_keeps_the_kind_changes_its_own_knobs_alone(layers):
    overlay = layers.parent / "mine.yaml"
    overlay.write_text("engine: {slots: 7, thinking: {max_new_tokens: 9}}\n")
    before, after = load("qwen3", "bbu_line").engine, load("qwen3", "bbu_line", overlay).engine
    thinking = before.thinking.model_copy(update={"max_new_tokens": 9})
    assert after == before.model_copy(update={"slots": 7, "thinking": thinking})


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (
            {"base_url": "http://x/v1"},
            "engine.base_url: an engine of kind llama_cpp has no such knob; remove it, or choose kind openai",
        ),
        (
            SERVED | {"slots": 4},
            "engine.slots: an engine of kind openai has no such knob; remove it, or choose kind llama_cpp or ray",
        ),
        (
            {"kind": "transformers", "thinking": {"enabled": True}},
            "engine.thinking: an engine of kind transformers has no such knob; "
            "remove it, or choose kind llama_cpp or openai or ray",
        ),
        (SERVED | {"base_ulr": "x"}, "engine.base_ulr: unknown field; did you mean 'base_url'?"),
        ({"slotz": 4}, "engine.slotz: unknown field; did you mean 'slots'?"),
        (
            SERVED | {"retries": -1},
            "engine.retries: input should be greater than or equal to 0 (-1); correct the value",
        ),
        (
            {"thinking": {"enabled": 1}},
            "engine.thinking.enabled: input should be a valid boolean (1); correct the value",
        ),
        (
            {"kind": "vllm"},
            "engine.kind: input should be 'llama_cpp', 'openai', 'transformers' or 'ray' (\"vllm\"); correct the value",
        ),
    ],
)
def test_a_knob_that_its_kind_does_not_obey_is_named_in_its_own_file(layers, engine, message):
    overlay = layers.parent / "mine.yaml"
    overlay.write_text(yaml.safe_dump({"engine": engine}))
    assert problem(overlay=overlay) == f"{overlay}: {message}"


@pytest.mark.parametrize("engine", [3, [], "openai"])
def test_an_engine_that_is_no_mapping_is_named(layers, engine):
    change(layers / "models" / "miniature.yaml", engine=engine)
    assert problem().startswith("configs/models/miniature.yaml: engine: ")


def test_engines_stand_in_the_base_configuration_alone(layers):
    change(layers / "models" / "miniature.yaml", engines={"openai": SERVED})
    assert problem() == "configs/models/miniature.yaml: engines: unknown field; did you mean 'engine'?"


# knobs that a section file held for every kind, before each had its own
OLDER = {
    "model": "a.gguf", "base_url": "", "api_key_env": "", "context_tokens": 8192, "batch_tokens": 512, "slots": 16,
    "chunk": 64, "n_threads": 0, "n_gpu_layers": -1, "grammar": True, "reasons": "per_verdict",
    "thinking": {"enabled": False, "max_new_tokens": 1024}, "timeout_s": 120.0, "retries": 5, "concurrency": 16,
}  # fmt: skip
# and how it held cells before there was a choice
CELLS = {"kv": "shared", "kv_type": "f16", "contexts": 1}


@pytest.mark.parametrize("kind", ["llama_cpp", "openai", "transformers"])
def test_a_section_file_of_an_older_run_is_read_without_the_knobs_of_other_kinds(layers, tmp_path, kind):
    path, text = tmp_path / "rollout.yaml", section_text(load("miniature", "bbu_line"), "rollout")
    own = yaml.safe_load(text) | {"engine": {"kind": kind} | OLDER}
    path.write_text(yaml.safe_dump(own, allow_unicode=True), encoding="utf-8")
    read = read_section(path, RolloutConfig).engine
    assert read.model_dump() == {"kind": kind} | {
        knob: (OLDER | CELLS)[knob] for knob in ENGINE_KINDS[kind].model_fields if knob != "kind"
    }
    path.write_text(path.read_text(encoding="utf-8").replace("chunk:", "chunks:"), encoding="utf-8")
    with pytest.raises(UserError, match=r"engine\.chunks: unknown field; did you mean 'chunk'\?"):
        read_section(path, RolloutConfig)


def test_a_section_file_of_an_older_run_stays_while_it_says_the_same(layers, tmp_path):
    path, text = tmp_path / "rollout.yaml", section_text(load("miniature", "bbu_line"), "rollout")
    assert not is_older_form(path, text)
    path.write_text(text, encoding="utf-8")
    assert not is_older_form(path, text)
    older = yaml.safe_load(text)
    older["engine"] = {knob: older["engine"].get(knob, value) for knob, value in OLDER.items()} | {"kind": "llama_cpp"}
    known = without_foreign_knobs(older)
    assert known | {"engine": CELLS | known["engine"]} == yaml.safe_load(text) != older
    path.write_text(yaml.safe_dump(older, allow_unicode=True), encoding="utf-8")
    assert is_older_form(path, text)
    assert not is_older_form(path, text.replace("slots: 4", "slots: 5"))
