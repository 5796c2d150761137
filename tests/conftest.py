"""What all tests share."""

import os
import sys

import pytest

# Fixtures that several test modules use. A test module imports no other test module.
pytest_plugins = ["tests.support.browser", "tests.support.edited_runs", "tests.support.report_runs"]


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
