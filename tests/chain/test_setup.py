"""make/setup*.py: which llama.cpp is used, and what happens to one that dies or miscomputes. Nothing is compiled."""

import importlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "llama_cpp_python-0.3.36-py3-none-linux_x86_64.whl"
SEGFAULT, DIFFERS, RIGHT = "segfault", "differs", "right"

# A Python that packs, installs and checks as pip and tools.selfcheck would. What a check says of a wheel stands in the
# wheel.
FAKE = """#!{python} -S
import os, pathlib, sys
sys.argv[0:1] = []
venv = pathlib.Path({venv!r})
call = " ".join(sys.argv)
with open(venv.parent / "calls", "a") as log:
    log.write(call + " | " + os.environ.get("CMAKE_ARGS", "") + chr(10))
if "pip wheel" in call:
    folder = pathlib.Path(sys.argv[sys.argv.index("--wheel-dir") + 1])
    folder.mkdir(parents=True)
    kind = "portable" if "-DGGML_NATIVE=OFF" in os.environ["CMAKE_ARGS"] else "native"
    (folder / {name!r}).write_text({behaviour!r}.get(kind, "right"))
elif "--force-reinstall" in call and call.endswith(".whl"):
    (venv / "installed").write_text(pathlib.Path(sys.argv[-1]).read_text())
elif "tools.selfcheck" in call or "import llama_cpp" in call:
    loading = "import llama_cpp" in call
    behaviour = (venv / "installed").read_text()
    if behaviour == "segfault" and loading:
        os.kill(os.getpid(), 11)
    if behaviour in ("segfault", "differs"):
        print("llama.cpp " + {says!r}[behaviour] + " (/x/lib); `make setup` mends it", file=sys.stderr)
        sys.exit(2)
    if behaviour == "no teacher":
        print("data/miniature/teacher.gguf: is missing; restore it", file=sys.stderr)
        sys.exit(2)
"""
SAYS = {SEGFAULT: "dies of SIGSEGV when it answers the stored prompts", DIFFERS: "computes something else: 3 of 16"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The set-up of a project in a folder of its own, whose compiler makes wheels that behave as told."""
    (tmp_path / "make").mkdir()
    scripts = ("make/setup.py", "make/setup_commands.py", "make/setup_llama.py")
    for name in (*scripts, "make/llama.cmake", "make/llama_cuda.cmake", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "selfcheck.py").write_text("")
    (tmp_path / ".wheels").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "make")  # the scripts find each other, as when Python runs one of them
    for name in ("setup_commands", "setup_llama"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.spec_from_file_location("setup_under_test", tmp_path / "make" / "setup.py")
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)
    for name in ("CMAKE_ARGS", "CC", "CXX", "CFLAGS", "LLAMA_CPP_LIB_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(setup, "check_compilers", lambda cmake_args: None)
    monkeypatch.setattr(setup.shutil, "which", lambda name: None)  # whoever tests may have uv
    return Project(setup, tmp_path, monkeypatch)


class Project:
    def __init__(self, setup, folder, monkeypatch):
        self.setup, self.folder, self.venv = setup, folder, folder / ".venv"
        self.behaviour = {}
        monkeypatch.setattr(setup, "make_venv", lambda venv, cut, log: self.python())
        monkeypatch.setattr(sys, "argv", ["setup.py", "--venv", str(self.venv)])

    def python(self):
        path = self.venv / "bin" / "python"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            FAKE.format(python=sys.executable, venv=str(self.venv), name=NAME, behaviour=self.behaviour, says=SAYS)
        )
        path.chmod(0o755)
        return path

    def make(self):
        """Run the set-up; returns its exit status and forgets earlier calls."""
        (self.folder / "calls").write_text("")
        if self.venv.exists():
            self.python()
        return self.setup.main()

    def calls(self, part):
        return [line for line in (self.folder / "calls").read_text().splitlines() if part in line]

    def by_hand(self, behaviour):
        (self.folder / ".wheels" / NAME).write_text(behaviour)


def test_a_build_that_is_right_is_checked_and_kept(project, capsys):
    assert project.make() == 0
    assert len(project.calls("tools.selfcheck --if-new")) == 1
    assert re.search("is ready: llama.cpp compiled in [0-9]+ s, [0-9]+ packages asked for", capsys.readouterr().err)
    assert project.make() == 0
    assert not project.calls("pip")
    assert "is ready, nothing to do\n" in capsys.readouterr().err


@pytest.mark.parametrize("how", [SEGFAULT, DIFFERS])
def test_a_build_that_dies_or_differs_gives_way_to_a_portable_one_and_a_line_says_why(project, capsys, how):
    project.behaviour = {"native": how}
    assert project.make() == 0
    said = capsys.readouterr().err.splitlines()
    line = next(line for line in said if "left out" in line)
    assert (
        "compiled for this very processor is left out: llama.cpp " + SAYS[how] in line
        and "-DGGML_NATIVE=OFF: AVX2 on x86-64, nothing newer) takes its place" in line
    )
    assert [bool(re.search("GGML_NATIVE=OFF", call)) for call in project.calls("pip wheel")] == [False, True]
    assert (project.venv / "installed").read_text() == RIGHT
    assert json.loads((project.venv / ".ready").read_text())["cmake_args"] == ""


def test_what_was_left_out_stays_left_out_without_compiling_again(project, capsys):
    project.behaviour = {"native": SEGFAULT}
    assert project.make() == 0
    assert project.make() == 0
    assert not project.calls("pip")
    assert "nothing to do; llama.cpp compiled for any processor" in capsys.readouterr().err
    shutil.rmtree(project.venv)
    assert project.make() == 0
    assert not project.calls("pip wheel") and (project.venv / "installed").read_text() == RIGHT


def test_where_no_build_is_right_one_sentence_says_so_and_nothing_is_ready(project, capsys):
    project.behaviour = {"native": SEGFAULT, "portable": DIFFERS}
    assert project.make() == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(
        "set-up: no build of llama.cpp computes right here, the last one (llama.cpp compiled for any processor"
    )
    assert "computes something else: 3 of 16" in said[-1]
    assert not (project.venv / ".ready").exists() and not list((project.folder / ".wheels").glob("*.refused"))


def test_a_portable_build_asked_for_has_no_other_behind_it(project, capsys, monkeypatch):
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_NATIVE=OFF -DGGML_CUDA=ON")
    project.behaviour = {"portable": SEGFAULT}
    assert project.make() == 2
    assert len(project.calls("pip wheel")) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("without GPU: CMAKE_ARGS= make setup")


@pytest.mark.parametrize(
    "given",
    [
        "-DGGML_NATIVE=ON",
        "-DGGML_AMX_TILE=ON -DGGML_AMX_INT8=ON",
        "-DGGML_NATIVE=OFF -DGGML_AVX512=ON",
        "-DGGML_CPU_ALL_VARIANTS=ON -DGGML_BACKEND_DL=ON",
    ],
)
def test_a_portable_build_goes_without_what_was_asked_for_one_processor_and_keeps_the_rest(project, given):
    first, portable = project.setup.builds(given + " -DGGML_CUDA=ON")
    assert first.cmake_args == given + " -DGGML_CUDA=ON"
    assert portable.cmake_args == "-DGGML_NATIVE=OFF -DGGML_CUDA=ON"


def test_a_wheel_put_there_by_hand_is_checked_and_used(project, capsys):
    project.by_hand(RIGHT)
    assert project.make() == 0
    assert not project.calls("pip wheel") and project.calls("tools.selfcheck")


def test_a_wheel_put_there_by_hand_that_dies_gives_way_to_one_compiled_here(project, capsys):
    project.by_hand(SEGFAULT)
    assert project.make() == 0
    said = capsys.readouterr().err
    assert (
        f"{NAME} from .wheels is left out: llama.cpp dies of SIGSEGV" in said
        and "compiled for this very processor takes its place" in said
    )
    assert len(project.calls("pip wheel")) == 1 and (project.venv / "installed").read_text() == RIGHT
    project.by_hand("right ")  # another file of the same name is another wheel
    assert project.make() == 0
    assert not project.calls("pip wheel") and (project.venv / "installed").read_text() == "right "


def test_a_missing_model_is_no_reason_to_compile_again(project, capsys):
    project.behaviour = {"native": "no teacher"}
    assert project.make() == 2
    assert len(project.calls("pip wheel")) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "set-up: data/miniature/teacher.gguf: is missing; restore it"
    assert not (project.venv / ".ready").exists()


def test_without_the_tools_the_library_is_loaded_and_checked_once_they_are_there(project, capsys):
    (project.folder / "tools" / "selfcheck.py").unlink()
    project.behaviour = {"native": SEGFAULT}
    assert project.make() == 0
    assert "llama.cpp dies of SIGSEGV when it is loaded" in capsys.readouterr().err
    (project.folder / "tools" / "selfcheck.py").write_text("")
    assert project.make() == 0
    assert project.calls("tools.selfcheck") and not project.calls("pip")


def test_a_library_named_for_run_time_does_not_stand_in_for_the_installed_one(project, monkeypatch):
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", "/elsewhere")
    code, said, _ = importlib.import_module("setup_commands").follow(
        "look", [sys.executable, "-c", "import os; print(os.environ.get('LLAMA_CPP_LIB_PATH'))"], project.folder / "log"
    )
    assert (code, said) == (0, "None")


@pytest.mark.parametrize("status", [0, 1])
def test_uv_installs_the_packages_where_it_is_there_and_pip_where_it_fails(project, capsys, monkeypatch, status):
    uv = project.folder / "uv"
    uv.write_text(f"#!/bin/sh\necho uv $* >> {project.folder}/calls\necho no such index\nexit {status}\n")
    uv.chmod(0o755)
    monkeypatch.setattr(project.setup.shutil, "which", lambda name: str(uv) if name == "uv" else None)
    assert project.make() == 0
    (asked,) = project.calls("uv pip install --python")
    assert " jinja2 " in asked and len(project.calls("pip install --constraint")) == 1 + status
    said = capsys.readouterr().err
    assert ("uv did not install the packages (no such index); pip does" in said) == bool(status)


def test_amx_is_left_out_where_the_compiler_knows_it():
    rules = (ROOT / "make" / "llama.cmake").read_text()
    assert (
        "foreach(part amx-tile amx-int8 amx-bf16)" in rules
        and "PRIVATE -mno-${part}" in rules
        and "cmake_language(DEFER CALL leave_amx_out)" in rules
    )


MMQ = """bool ggml_cuda_should_use_mmq() {
    if (turing_mma_available(cc)) {
        return true;
    }

    if (ggml_cuda_highest_compiled_arch(cc) < GGML_CUDA_CC_DP4A) {
    }
}
"""
CUBLAS = "        prefer_f32_output = cc == GGML_CUDA_CC_VOLTA || GGML_CUDA_CC_IS_RDNA4(cc);\n"


@pytest.fixture
def cuda_source(tmp_path):
    """A project that a build for CUDA configures: ``configure(mmq, cublas)`` gives the exit code, words and texts."""
    if not shutil.which("cmake"):
        pytest.skip("no cmake here to read make/llama_cuda.cmake")
    shutil.copy(ROOT / "make" / "llama_cuda.cmake", tmp_path)
    (tmp_path / "llama.cmake").touch()
    folder = tmp_path / "vendor" / "llama.cpp" / "ggml" / "src" / "ggml-cuda"
    folder.mkdir(parents=True)
    include = "include(${CMAKE_CURRENT_SOURCE_DIR}/llama_cuda.cmake)"
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.21)\nproject(llama_cpp NONE)\n{include}\n"
    )

    def configure(mmq: str, cublas: str, *options: str) -> tuple[int, str, str, str]:
        (folder / "mmq.cu").write_text(mmq)
        (folder / "ggml-cuda.cu").write_text(cublas)
        done = subprocess.run(
            ["cmake", "-S", tmp_path, "-B", tmp_path / "build", *options], capture_output=True, text=True, check=False
        )
        texts = [(folder / name).read_text() for name in ("mmq.cu", "ggml-cuda.cu")]
        return done.returncode, " ".join(done.stderr.split()), *texts

    return configure


def test_a_build_for_cuda_leaves_long_products_on_a_hopper_card_to_cublas_once(cuda_source):
    code, _, mmq, cublas = cuda_source(MMQ, CUBLAS)
    assert code == 0
    assert "return cc != GGML_CUDA_CC_HOPPER || n_experts > 0 || ne11 <= 64;" in mmq and "return true" not in mmq
    assert "cc == GGML_CUDA_CC_VOLTA || cc == GGML_CUDA_CC_HOPPER || GGML_CUDA_CC_IS_RDNA4(cc)" in cublas
    assert cuda_source(mmq, cublas) == (0, "", mmq, cublas)


@pytest.mark.parametrize("mmq", [MMQ.replace("turing", "volta"), MMQ * 2])
def test_a_build_for_cuda_stops_where_llama_cpp_has_another_text(cuda_source, mmq):
    code, said, *texts = cuda_source(mmq, CUBLAS)
    assert code == 1 and texts == [mmq, CUBLAS]
    assert (
        "mmq.cu: this version of llama.cpp has another text where make/llama_cuda.cmake changes it; build with" in said
    )
    assert cuda_source(mmq, CUBLAS, "-DLLAMA_HOPPER_CUBLAS=OFF") == (0, "", mmq, CUBLAS)


def test_a_build_for_cuda_is_another_one_when_its_changes_are_others(project, monkeypatch):
    llama = importlib.import_module("setup_llama")
    cuda, plain = (llama.wheel_key(args) for args in ("-DGGML_CUDA=ON", ""))
    changed = project.folder / "llama_cuda.cmake"
    changed.write_text("# other changes")
    monkeypatch.setattr(llama, "CUDA_PARTS", changed)
    assert llama.wheel_key("-DGGML_CUDA=ON") != cuda
    assert llama.wheel_key("") == plain
