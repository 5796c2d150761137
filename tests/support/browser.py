"""Debian's headless Chromium for tests of pages: opened from file://, everything it complains about kept.

    def test_the_page_is_quiet(open_page):
        opened = open_page(path, width=375)
        assert opened.complaints == [] and opened.requests == []

Uses the ``playwright`` package with the Chromium that the system has: nothing is downloaded. Skips where either is
absent.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
INSIDE = ("data:", "blob:", "about:")  # what a page holds itself


@dataclass
class Opened:
    """A page in a browser context of its own (own storage).

    ``complaints``: console errors and warnings, uncaught exceptions. ``requests``: every URL asked for but the page
    itself.
    """

    page: "Page"
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def context(self) -> "BrowserContext":
        return self.page.context

    def overflow(self) -> int:
        """By how many CSS pixels the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """The browser, started once."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="pages are tested in a browser: pip install playwright"
    )
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        pytest.skip("pages are tested in a browser: apt install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: "Browser") -> Iterator[Callable[..., Opened]]:
    """``open_page(path, width=1280, height=800, **options)``.

    Options are playwright's for a context, such as ``locale="zh-CN"``, ``color_scheme="dark"``,
    ``java_script_enabled=False``.
    """
    contexts = []

    def open_it(path: Path, width: int = 1280, height: int = 800, **options: object) -> Opened:
        context = chromium.new_context(viewport={"width": width, "height": height}, **{"locale": "en-US"} | options)
        contexts.append(context)
        opened, url = Opened(context.new_page()), path.resolve().as_uri()
        opened.page.on(
            "console", lambda said: opened.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on(
            "request",
            lambda request: None if request.url.startswith((url, *INSIDE)) else opened.requests.append(request.url),
        )
        opened.page.goto(url)
        return opened

    yield open_it
    for context in contexts:
        context.close()
