"""Habits of the repository that no linter knows: lines, functions, names, and a test for each module."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from tests.conftest import SLOW

ROOT = Path(__file__).resolve().parents[2]
LINE, BODY = 120, 60
CODE = [
    path
    for folder in ("verdicts", "tools", "miniature", "make", "tests")
    for ending in ("*.py", "*.mk", "*.sh")
    for path in sorted((ROOT / folder).rglob(ending))
]
PYTHON = [path for path in CODE if path.suffix == ".py"]
MODULES = sorted(path for path in (ROOT / "verdicts").rglob("*.py") if path.name != "__init__.py")

# Public names that stand in two rooms, and why. Others are renamed.
SAME_NAME: dict[str, str] = {}

# Modules that no test imports, and the test that is about them: it calls what stands above them, as tools do.
TESTED_IN = {
    "pages/trend": "report/test_board",
    "base/json_text": "base/test_readers",
    "base/made": "chain/test_identity",
    "base/processes": "command/test_lock",
    "base/record": "records/test_records",
    "base/text_files": "base/test_readers",
    "command/stopping": "command/test_signals",
    "command/supervising": "command/test_signals",
    "behaviour/changes": "behaviour/test_behaviour",
    "corpus/index": "corpus/test_fuse",
    "engines/llama/drawing": "engines/test_schedule",
    "engines/openai/endpoint": "engines/test_openai_bad_servers",
    "engines/openai/reply": "engines/test_openai_bad_servers",
    "engines/openai/server_words": "engines/test_openai_bad_servers",
    "evaluation/at_point": "evaluation/test_operating_point",
    "evaluation/shown": "evaluation/test_gate",
    "student/verdict_watch": "prediction/test_predict",
    "facts/json_summary": "facts/test_summary",
    "facts/text_summary": "facts/test_summary",
    "facts/words": "facts/test_summary",
    "evaluation/run_answers": "evaluation/test_point_of_run",
    "rounds/point": "evaluation/test_point_of_run",
    "importing/account": "importing/test_import_data",
    "importing/domains": "importing/test_knobs",
    "importing/files": "importing/test_import_data",
    "importing/findings": "importing/test_refusals",
    "importing/geometry": "importing/test_refusals",
    "importing/rows": "importing/test_refusals",
    "importing/texts": "importing/test_refusals",
    "guidance/model_json": "guidance/test_reflection",
    "guidance/proposals": "guidance/test_learning",
    "measure/mutations": "measure/test_chaos_inputs",
    "lint/checks": "lint/test_lint_corpus",
    "lint/findings": "lint/test_lint_corpus",
    "lint/held_out": "lint/test_lint_corpus",
    "lint/rows": "lint/test_lint_corpus",
    "models/threads": "engines/test_llama",
    "report/evaluation": "report/test_report",
    "report/evidence": "report/test_report",
    "review/decisions": "review/test_review_apply",
    "review/given": "review/test_label_studio",
    "review/label_studio_export": "review/test_label_studio",
    "review/page": "review/test_review_page",
    "sft/merge": "sft/test_sft",
    "runs/checks/answers": "runs/test_check",
    "runs/checks/corpus": "runs/test_check",
    "runs/checks/review": "runs/test_check",
    "runs/checks/rounds": "runs/test_check",
    "runs/checks/rows": "runs/test_check",
    "runs/checks/rule": "runs/test_check",
    "runs/formats": "runs/test_schemas",
    "runs/freshness": "chain/test_identity",
    "runs/reader": "runs/test_check",
    "tables/schema": "tables/test_parquet",
    "runs/view": "runs/test_collect",
}


def shown(path: Path) -> str:
    """The path as the repository has it."""
    return path.relative_to(ROOT).as_posix()


def public_names(path: Path) -> set[str]:
    """What a module defines at its top level for others."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize(
    "path", [ROOT / "Makefile", ROOT / ".ci/run", *(path for path in CODE if "tests" not in path.parts)], ids=shown
)
def test_no_line_is_longer_than_a_window_is_wide(path):
    """Left out, as ruff does: one word without a blank, and a remark to ruff at the end."""
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    code = ((number, line.partition("  # noqa")[0]) for number, line in lines if len(line.split()) > 1)
    assert [number for number, line in code if len(line) > LINE] == []


@pytest.mark.parametrize("path", PYTHON, ids=shown)
def test_no_function_is_longer_than_a_reader_can_hold(path):
    """The body counts, not the signature: a tool's options are a table."""
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    functions = [node for node in tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert {node.name for node in functions if node.end_lineno - node.body[0].lineno + 1 > BODY} == set()


def test_a_public_name_is_defined_in_one_room():
    rooms = defaultdict(set)
    for path in MODULES:
        for name in public_names(path):
            rooms[name].add(path.relative_to(ROOT / "verdicts").parts[0])
    assert {name: where for name, where in rooms.items() if len(where) > 1 and name not in SAME_NAME} == {}


def test_every_module_is_tested_or_named_in_a_test():
    tests = [path for path in PYTHON if path.is_relative_to(ROOT / "tests") and path.parent.name != "house"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in tests)
    files = {path.name for path in tests}
    for path in MODULES:
        name = path.relative_to(ROOT / "verdicts").with_suffix("").as_posix()
        if f"verdicts.{name.replace('/', '.')}" in text or f"test_{path.name}" in files:
            continue
        assert name in TESTED_IN, f"no test names {name}; write one, or say in TESTED_IN which test is about it"
        assert (ROOT / "tests" / f"{TESTED_IN[name]}.py").exists(), name


def test_a_test_module_imports_no_other():
    imports = [
        (shown(path), node.module)
        for path in PYTHON
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if path.is_relative_to(ROOT / "tests") and isinstance(node, ast.ImportFrom) and node.module
    ]
    assert [(path, module) for path, module in imports if ".test_" in module and module.startswith("tests.")] == []


def test_every_slow_module_is_there():
    assert {name for name in SLOW if not (ROOT / "tests" / f"{name}.py").exists()} == set()
