"""tools.doctor: each need of a run beside what a machine has, and the knob that helps. Machines are described."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.builders import call
from verdicts.capacity.findings import Finding, findings, teacher_lines
from verdicts.capacity.machine import PACKAGES_LOOKED_AT, Gpu, Machine
from verdicts.capacity.needs import GIB
from verdicts.config.load import load
from verdicts.engines.llama.memory import Memory

ROOT = Path(__file__).resolve().parents[2]
MINIATURE = load("miniature", "bbu_line", configs=ROOT / "configs")
QWEN = load("qwen3", "bbu_line", configs=ROOT / "configs")
LAPTOP = Machine(
    ram=16 * GIB, ram_free=8 * GIB, disk_free=50 * GIB, cores=4, llama_gpu=False, torch_gpu=False,
    packages=dict.fromkeys(PACKAGES_LOOKED_AT, "1.0"),
)  # fmt: skip
# a 32B of 18 GiB: 65,536 cells are 16 GiB, one is 256 KiB; 64 layers
TEACHER = Memory(18 * GIB, 16 * GIB, 65_536, 2 * GIB, 64, 30_000_000_000)


def host(free: float, total: float = 80, **changes) -> Machine:
    gpus = (Gpu("H100", "570.86", round(total * GIB), round(free * GIB)),)
    return replace(LAPTOP, gpus=gpus, llama_gpu=True, torch_gpu=True, **changes)


def teacher(machine: Machine, **knobs) -> list[Finding]:
    return list(teacher_lines(QWEN.engine.model_copy(update=knobs), TEACHER, machine))


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def states(found: list[Finding]) -> dict[str, str]:
    return {finding.what: finding.state for finding in found}


def test_a_laptop_runs_the_miniature():
    assert states(findings(MINIATURE, LAPTOP)) == dict.fromkeys(
        ["GPU", "teacher, memory", "teacher, speed", "summarize (Stage A), memory", "evaluate, photos, memory",
         "sft, memory", "student, speed", "disk"], "ok",
    )  # fmt: skip


def test_a_32b_with_its_cells_and_buffers_fits_a_card_of_80():
    (line,) = teacher(host(79))
    assert (line.state, line.knob, line.here) == ("ok", "", "79.0 GiB free")
    assert line.needed == (
        "36.5 GiB = 18.0 GiB weights + 16.0 GiB for 65,536 KV cells in f16 + about 2.0 GiB buffers, and CUDA's own"
    )


@pytest.mark.parametrize(
    ("machine", "knob"),
    [
        # 24 - 0.5 - 18 - 2 = 3.5 GiB of 256 KiB
        (host(24, 24), "engine.context_tokens: 14336"),
        # 16 - 0.5 - 2 = 13.5 GiB of 34/64 a layer: 25
        (host(16, 16), "engine.n_gpu_layers: 25 (the rest on the CPU, slowly), or a smaller model"),
        (host(30), "end what holds 50.0 GiB of it (nvidia-smi), or engine.context_tokens: 38912"),
    ],
)
def test_a_card_that_is_too_small_or_full_names_the_knob_with_its_value(machine, knob):
    (line,) = teacher(machine)
    assert (line.state, line.knob) == ("no", knob)


def test_what_the_knob_says_fits():
    (line,) = list(teacher_lines(QWEN.engine, TEACHER._replace(kv=14_336 * 256 * 1024, cells=14_336), host(24, 24)))
    assert line.state == "ok"
    (line,) = teacher(host(16, 16), n_gpu_layers=25)
    assert line.state == "ok" and "39% of the layers" in line.needed


def test_without_a_gpu_a_32b_is_said_to_be_slow_and_how_slow():
    memory, speed = teacher(replace(LAPTOP, ram_free=64 * GIB))
    assert memory.state == "ok"
    assert speed[:4] == ("warn", "teacher, speed", "at least 20 tokens/s", "about 2 tokens/s read on 4 cores")  # 120/60
    memory, _ = teacher(LAPTOP)
    assert (memory.state, memory.knob) == ("no", "a smaller model (MODELS=), or a host with more memory")


def test_builds_for_the_cpu_beside_a_gpu_a_driver_that_fails_and_packages_that_lack_are_told():
    cpu_build = states(findings(MINIATURE, replace(host(79), llama_gpu=False, torch_gpu=False)))
    assert (cpu_build["llama.cpp"], cpu_build["torch"]) == ("warn", "warn")
    (driver,) = [line for line in findings(MINIATURE, replace(LAPTOP, trouble="NVML: mismatch")) if line.state == "no"]
    assert (driver.what, driver.here) == ("GPU driver", "NVML: mismatch")
    (packages,) = [
        line for line in findings(MINIATURE, replace(LAPTOP, packages={"llama-cpp-python": "1"})) if line.knob
    ]
    assert (packages.state, packages.what, packages.knob) == ("no", "packages, student", "make setup-student")
    assert packages.here == "without torch, transformers, peft, accelerate, pillow, safetensors, tokenizers"


def test_memory_and_disk_that_are_full_name_the_knobs_of_each_step():
    full = {line.what: line for line in findings(MINIATURE, replace(LAPTOP, ram_free=GIB // 2, disk_free=2**20))}
    bad = {what for what, line in full.items() if line.state == "no"}
    assert bad == {"summarize (Stage A), memory", "evaluate, photos, memory", "sft, memory", "disk"}
    # 512 MiB less 34.2 of weights, by 44 MiB a row
    assert full["summarize (Stage A), memory"].knob == "summarize.batch: 10"
    assert full["evaluate, photos, memory"].knob == "evaluate.batch: 10"
    assert full["sft, memory"].knob.startswith("sft.batch_rows: 2 ")


def test_a_server_holds_its_own_model_and_models_that_are_not_there_are_told():
    asked = QWEN.model_copy(update={"engine": load_openai("http://host/v1")})
    assert states(findings(asked, LAPTOP)) == {"GPU": "ok", "teacher": "ok", "student": "no"}
    assert states(findings(QWEN.model_copy(update={"engine": load_openai("")}), LAPTOP))["teacher"] == "no"
    gone = {line.what: line for line in findings(QWEN, LAPTOP)}
    assert "models/Qwen3-32B-Q4_K_M.gguf is not there" in gone["teacher"].here
    assert "no checkpoint folder" in gone["student"].here


def load_openai(url: str):
    from verdicts.config.engine import OpenAIConfig, Thinking

    return OpenAIConfig(
        kind="openai", model="q", base_url=url, api_key_env="", chunk=1, timeout_s=1.0, retries=0, concurrency=1,
        thinking=Thinking(enabled=False, max_new_tokens=1),
    )  # fmt: skip


def test_the_command_prints_a_line_a_need_and_fails_where_something_will_not_do(tmp_path):
    good = call("doctor", models="miniature", mission="bbu_line", folder=tmp_path)
    assert good.code == 0, good.err
    assert "teacher, memory: 58 MiB = 6 MiB weights + 48 MiB for 8,192 KV cells in f16" in good.out
    assert good.err.splitlines()[-1].startswith("doctor: miniature, bbu_line: all ")
    bad = call("doctor", models="qwen3", mission="bbu_line", folder=tmp_path)
    assert bad.code == 1
    assert "       do: put the GGUF file there" in bad.out
    assert "will not do" in bad.err.splitlines()[-1]
