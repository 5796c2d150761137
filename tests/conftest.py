"""What all tests share."""

import os
import sys
from pathlib import Path

import pytest

# Fixtures that several test modules use. A test module imports no other test module.
pytest_plugins = ["tests.support.browser", "tests.support.edited_runs", "tests.support.report_runs"]

TESTS = Path(__file__).parent
# Modules that took more than four seconds of an idle core, measured folder by folder. All of chain/ starts make.
SLOW = {
    "command/test_lock",
    "command/test_signals",
    "corpus/test_fuse",
    "corpus/test_fuse_loaders",
    "engines/test_json_grammar",
    "engines/test_llama",
    "engines/test_openai_bad_servers",
    "engines/test_openai_load",
    "engines/test_ray",
    "engines/test_transformers",
    "engines/test_trust",
    "evaluation/test_evaluate",
    "export/test_check",
    "export/test_converter",
    "export/test_gate",
    "export/test_served",
    "guidance/test_pretrained",
    "measure/test_chaos_inputs",
    "measure/test_chaos_kills",
    "measure/test_rehearsal",
    "miniature/test_optimizers",
    "miniature/test_student_data",
    "models/test_checkpoints",
    "prediction/test_photos",
    "prediction/test_predict",
    "prediction/test_production",
    "report/test_report",
    "rounds/test_reuse",
    "runs/test_make_graph",
    "runs/test_plan",
    "runs/test_why",
    "serving/test_serve",
    "serving/test_view",
    "sft/test_sft",
    "student/test_model",
    "student/test_summarize",
}


def pytest_collection_modifyitems(items):
    """Mark each test as slow, browser or gpu; what is none of them is a unit test (`make test-fast`)."""
    for item in items:
        name = item.path.relative_to(TESTS).with_suffix("").as_posix()
        if name in SLOW or name.startswith("chain/"):
            item.add_marker("slow")
        if "chromium" in item.fixturenames:
            item.add_marker("browser")
        if not {"slow", "browser", "gpu", "pretrained"} & {mark.name for mark in item.iter_markers()}:
            item.add_marker("unit")


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Flushing to disk guards against power cuts; tests look at the bytes alone, and run twice as fast without."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(autouse=True)
def no_log(monkeypatch):
    """`make test` names a log; what tests say does not belong in it."""
    monkeypatch.delenv("RUN_LOG", raising=False)


@pytest.fixture(autouse=True)
def pillow_as_it_was():
    """summarize sets Pillow's limit for its whole process, which here is that of other tests too."""
    yield
    if image := sys.modules.get("PIL.Image"):
        image.MAX_IMAGE_PIXELS = 1024**3 // 4 // 3  # Pillow's own
