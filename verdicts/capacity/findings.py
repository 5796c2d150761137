"""Will this machine do for a run, and which knob helps where not: each need beside what is there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from verdicts.base.errors import UserError
from verdicts.capacity.machine import Machine
from verdicts.capacity.needs import GIB, PROMPT_TOKENS, AnsweringBytes, answering, learning, shape_of, taught_bytes
from verdicts.config.engine import LlamaCppConfig, RayConfig, TransformersConfig
from verdicts.config.sections import Config
from verdicts.engines.llama.memory import Memory, bytes_text, engine_memory

State = Literal["ok", "warn", "no"]
GPU_OWN = GIB // 2  # what CUDA and its kernels take
CPU_FLOPS = 30e9  # operations a core does a second; the miniature's 3,550 tokens a second of one core come to 36e9
SLOW = 20.0  # tokens a second below which a CPU is said to be slow
PHOTO_PIXELS = 16_777_216  # of a checkpoint's own limit, where max_photo_pixels is 0
STUDENT_STEPS = ("torch", "transformers", "peft", "accelerate", "pillow", "safetensors", "tokenizers")


class Finding(NamedTuple):
    """One line: what was looked at, what it needs, what is here, and which knob to turn ("" where it will do)."""

    state: State
    what: str
    needed: str
    here: str
    knob: str = ""


def findings(config: Config, machine: Machine) -> list[Finding]:
    """Everything that a run of this configuration asks of a machine, in the order of its steps."""
    return [*_accelerators(machine), *_teacher(config, machine), *_student(config, machine)]


def _accelerators(machine: Machine) -> Iterator[Finding]:
    if machine.trouble:
        yield Finding(
            "no", "GPU driver", "an answer of nvidia-smi", machine.trouble, "mend the driver (restart the host)"
        )
    for number, gpu in enumerate(machine.gpus):
        here = f"{gpu.name}, driver {gpu.driver}, {bytes_text(gpu.free)} of {bytes_text(gpu.total)} free"
        yield Finding("ok", f"GPU {number}", "any", here)
    if not machine.gpus and not machine.trouble:
        yield Finding("ok", "GPU", "none", f"none: everything runs on {machine.cores} cores")
    if machine.gpus and machine.llama_gpu is False:
        yield Finding("warn", "llama.cpp", "a build for the GPU", "a build for the CPU alone",
                      "CMAKE_ARGS=-DGGML_CUDA=ON make setup (docs/setup.md)")  # fmt: skip
    if machine.gpus and machine.torch_gpu is False:
        yield Finding("warn", "torch", "a build for the GPU", f"{machine.packages.get('torch')}: it sees no GPU",
                      "a torch for CUDA, and a driver that is new enough for it")  # fmt: skip


def _packages(what: str, names: tuple[str, ...], todo: str, machine: Machine) -> Iterator[Finding]:
    """The packages of a part of the chain; nothing is said where all are there."""
    if missing := [name for name in names if name not in machine.packages]:
        yield Finding("no", f"packages, {what}", ", ".join(names), f"without {', '.join(missing)}", todo)


# -- the teacher


def _teacher(config: Config, machine: Machine) -> Iterator[Finding]:
    engine = config.engine
    if engine.kind == "openai":
        yield from _packages("teacher", ("httpx",), "make setup", machine)
        yield (
            Finding("ok", "teacher", "memory of its server", f"{engine.model} at {engine.base_url}")
            if engine.base_url and engine.model
            else Finding("no", "teacher", "an endpoint", "none is named", "engine.base_url and engine.model")
        )
        return
    if isinstance(engine, RayConfig):
        yield from _packages("teacher", ("ray",), "pip install ray, on every node", machine)
        where = f"the cluster at {engine.address}" if engine.address else "a cluster of this machine alone"
        yield Finding("ok", "teacher", "memory of its nodes: run make doctor on one, with kind llama_cpp", where)
        return
    if isinstance(engine, TransformersConfig):
        yield from _packages("teacher", ("torch", "transformers"), "make setup-student", machine)
        yield from _checkpoint_teacher(engine, machine)
        return
    yield from _packages("teacher", ("llama-cpp-python",), "make setup", machine)
    if not Path(engine.model).is_file():
        todo = "put the GGUF file there, name it in engine.model, or choose another set (MODELS=miniature)"
        yield Finding("no", "teacher", "its file", f"{engine.model or '(none named)'} is not there", todo)
        return
    try:
        memory = engine_memory(engine)
    except UserError as error:
        yield Finding("no", "teacher", "a whole GGUF file", str(error), "fetch the file again")
        return
    yield from teacher_lines(engine, memory, machine)


def teacher_lines(engine: LlamaCppConfig, memory: Memory, machine: Machine) -> Iterator[Finding]:
    """Where a GGUF file's weights, KV cells and buffers go: on the GPU, in memory, or partly in each."""
    on_gpu = bool(machine.gpus and machine.llama_gpu and engine.n_gpu_layers)
    share = 1.0 if engine.n_gpu_layers < 0 else min(1.0, engine.n_gpu_layers / max(1, memory.layers))
    parts = (
        f"{bytes_text(memory.weights)} weights + {bytes_text(memory.kv)} for {memory.cells:,} KV cells in "
        f"{memory.kind} + about {bytes_text(memory.buffers)} buffers"
    )
    if not on_gpu:
        fits = memory.total <= machine.ram_free
        cells = _cells_that_fit(memory, machine.ram_free)
        knob = "" if fits else _fewer_cells(cells) or "a smaller model (MODELS=), or a host with more memory"
        yield Finding("ok" if fits else "no", "teacher, memory", f"{bytes_text(memory.total)} = {parts}",
                      f"{bytes_text(machine.ram_free)} free", knob)  # fmt: skip
        yield _cpu_speed("teacher", memory.parameters, machine)
        return
    gpu = max(machine.gpus, key=lambda gpu: gpu.free)
    need = round(share * (memory.weights + memory.kv)) + memory.buffers + GPU_OWN
    state: State = "ok" if need <= gpu.free else "no"
    knob = ""
    if state == "no":
        knob = _fewer_cells(_cells_that_fit(memory, gpu.free - GPU_OWN)) or _fewer_layers(memory, gpu.free)
        if need <= gpu.total:
            knob = f"end what holds {bytes_text(gpu.total - gpu.free)} of it (nvidia-smi), or {knob}"
    whole = f"{bytes_text(need)} = {parts}" + (f", {share:.0%} of the layers" if share < 1 else "") + ", and CUDA's own"
    yield Finding(state, "teacher, GPU memory", whole, f"{bytes_text(gpu.free)} free", knob)


def _cells_that_fit(memory: Memory, free: int) -> int:
    """KV cells of a context beside the weights, in thousands and 24; buffers are left as they are."""
    cells = (free - memory.weights - memory.buffers) / max(1, memory.kv / memory.cells)
    return max(0, int(cells / memory.contexts) // 1024 * 1024)


def _fewer_cells(cells: int) -> str:
    return f"engine.context_tokens: {cells}" if cells >= 4096 else ""


def _fewer_layers(memory: Memory, free: int) -> str:
    layers = int(max(0, free - GPU_OWN - memory.buffers) / ((memory.weights + memory.kv) / max(1, memory.layers)))
    return f"engine.n_gpu_layers: {min(layers, memory.layers)} (the rest on the CPU, slowly), or a smaller model"


def _cpu_speed(who: str, parameters: int, machine: Machine) -> Finding:
    rate = machine.cores * CPU_FLOPS / max(1, 2 * parameters)
    said = f"{rate:,.0f} tokens/s" if rate >= 1 else f"{1 / rate:,.0f} s a token"
    here, wanted = f"about {said} read on {machine.cores} cores", f"at least {SLOW:.0f} tokens/s"
    if rate >= SLOW:
        return Finding("ok", f"{who}, speed", wanted, here)
    return Finding("warn", f"{who}, speed", wanted, here, "a GPU host or a smaller model" + (
        ", or an endpoint (engine.kind: openai); make plan measures it" if who == "teacher" else ""
    ))  # fmt: skip


def _checkpoint_teacher(engine: TransformersConfig, machine: Machine) -> Iterator[Finding]:
    files = sorted(Path(engine.model).glob("*.safetensors"))
    if not files:
        yield Finding("no", "teacher", "a checkpoint folder", f"{engine.model} has no *.safetensors", "engine.model")
        return
    held = sum(path.stat().st_size for path in files)
    yield _fits("teacher, weights", held, f"{bytes_text(held)} weights, KV cells on top", machine, "a smaller model")


# -- the student


def _student(config: Config, machine: Machine) -> Iterator[Finding]:
    yield from _packages("student", STUDENT_STEPS, "make setup-student", machine)
    folder = Path(config.student.model)
    try:
        shape = shape_of(folder)
    except UserError as error:
        todo = "put the checkpoint there, name it in student.model, or choose another set (MODELS=)"
        yield Finding("no", "student", "its checkpoint folder", str(error), todo)
        return
    width = 2 if _on_gpu(machine) else 4
    pixels = config.student.max_photo_pixels or PHOTO_PIXELS
    summarize, evaluate = config.summarize, config.evaluate
    for what, rows, new, knob in (
        ("summarize (Stage A)", summarize.batch, summarize.max_new_tokens, "summarize.batch"),
        ("evaluate, photos", evaluate.batch, evaluate.max_new_tokens_dense, "evaluate.batch"),
    ):
        yield _rows_fit(what, answering(shape, pixels, new, width), rows, knob, machine)
    learnt, tokens = learning(shape, config.sft, width), config.sft.batch_rows * config.sft.max_tokens
    most = learnt.most(_memory(machine) - _own(machine))
    knob = "sft.top_layers, or a GPU with more memory"
    if most >= PROMPT_TOKENS + pixels // 1024:
        rows = most // config.sft.max_tokens
        knob = f"sft.batch_rows: {rows} (and sft.accumulate more)" if rows else f"sft.max_tokens: {most // 100 * 100}"
    needed = (
        f"about {bytes_text(learnt.of(tokens))} for {tokens:,} tokens together ({bytes_text(learnt.fixed)} without any)"
    )
    yield _fits("sft", learnt.of(tokens), needed, machine, knob)
    if not _on_gpu(machine):
        yield _cpu_speed("student", shape.weights, machine)
    disk = taught_bytes(shape, config)
    enough = disk <= machine.disk_free
    said = f"{bytes_text(disk)} for a taught student, and the run (make plan)"
    todo = "" if enough else "free some, run from another disk, or lower sft.cache_gb"
    yield Finding("ok" if enough else "no", "disk", said, f"{bytes_text(machine.disk_free)} free", todo)


def _rows_fit(what: str, need: AnsweringBytes, rows: int, knob: str, machine: Machine) -> Finding:
    most = need.most(_memory(machine) - _own(machine))
    todo = f"{knob}: {most}" if most else "student.max_photo_pixels, a shorter answer, or a smaller student"
    said = (
        f"about {bytes_text(need.of(rows))} = {bytes_text(need.fixed)} weights + {rows} rows of {bytes_text(need.row)}"
    )
    return _fits(what, need.of(rows), said, machine, todo)


def _fits(what: str, need: int, said: str, machine: Machine, knob: str) -> Finding:
    """A need of the student's against the memory it runs in, with CUDA's own."""
    there, where = _memory(machine), "GPU memory" if _on_gpu(machine) else "memory"
    fits = need + _own(machine) <= there
    return Finding("ok" if fits else "no", f"{what}, {where}", said, f"{bytes_text(there)} free", "" if fits else knob)


def _on_gpu(machine: Machine) -> bool:
    return bool(machine.gpus and machine.torch_gpu)


def _memory(machine: Machine) -> int:
    """What torch may have: the free memory of the first GPU, on which it computes, or of the machine."""
    return machine.gpus[0].free if _on_gpu(machine) else machine.ram_free


def _own(machine: Machine) -> int:
    return GPU_OWN if _on_gpu(machine) else 0
