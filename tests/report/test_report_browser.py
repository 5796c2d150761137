"""The report in headless Chromium: quiet, whole on a phone and on paper, usable by keyboard, deaf to markup in data."""

import pytest

from tests.support.contrast import CONTRAST
from tests.support.report_runs import HOSTILE, report


def open_all(page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(detail => detail.open = true)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("name", ["judged", "weighed"])
def test_the_page_is_quiet_asks_for_nothing_and_fits(name, request, open_page, width, scheme):
    path = report(request.getfixturevalue(name))
    for locale in ("en-US", "zh-CN"):
        opened = open_page(path, width=width, color_scheme=scheme, locale=locale)
        assert opened.overflow() <= 0
        open_all(opened.page)
        assert opened.overflow() <= 0
        assert (opened.complaints, opened.requests) == ([], [])


def test_the_language_follows_the_browser_then_the_reader_and_is_kept(judged, open_page):
    path = report(judged)
    opened = open_page(path, locale="zh-TW")
    heading = opened.page.locator("#guidance h2")
    assert heading.inner_text() == "判定准则" and opened.page.evaluate("document.documentElement.lang") == "zh-CN"
    opened.page.focus("#lang-zh")
    opened.page.keyboard.press("ArrowRight")
    assert heading.inner_text() == "Guidance" and opened.page.evaluate("document.documentElement.lang") == "en"
    opened.page.reload()
    assert heading.inner_text() == "Guidance"
    assert open_page(path, locale="fr-FR").page.locator("#guidance h2").inner_text() == "Guidance"


def test_the_page_and_its_switch_work_without_a_script(judged, open_page):
    opened = open_page(report(judged), java_script_enabled=False)
    assert opened.page.locator("#guidance h2").inner_text() == "Guidance"
    opened.page.locator("label[for=lang-zh]").click()
    assert opened.page.locator("#guidance h2").inner_text() == "判定准则"
    opened.page.locator("#refused summary").first.click()
    assert opened.page.locator("#refused details[open]").count() == 1


def test_everything_that_opens_is_reached_with_the_keyboard(judged, open_page):
    page = open_page(report(judged)).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        where = page.evaluate(FOCUSED)
        if where == "end":
            break
        reached.add(where)
    visible = page.evaluate(VISIBLE)
    assert visible and set(visible) <= reached


def test_paper_shows_what_matters_without_the_switch(judged, open_page):
    opened = open_page(report(judged), color_scheme="dark")
    assert len(opened.page.pdf(format="A4")) > 20_000
    opened.page.emulate_media(media="print")
    shown = "locator => locator.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})"
    assert opened.page.locator(".chips li").first.evaluate(shown) and opened.page.locator(".photos li").first.evaluate(
        shown
    )
    assert not opened.page.locator(".switch").is_visible() and not opened.page.locator("nav").is_visible()
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_marks_tell_their_numbers_to_a_pointer(judged, open_page):
    page = open_page(report(judged)).page
    hit = page.locator(".curve rect.hit").first
    hit.scroll_into_view_if_needed()
    box = hit.bounding_box()
    title = page.evaluate(
        "([x, y]) => document.elementFromPoint(x, y).querySelector('title')?.textContent",
        [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2],
    )
    assert title.startswith("R1 (E1): 50.0% [9.5%, 90.5%]")


def test_a_gap_is_seen_above_all_other_sentences_without_scrolling(weighed, open_page):
    for width, locale in ((1280, "en-US"), (375, "zh-CN")):
        page = open_page(report(weighed), width=width, locale=locale).page
        assert page.locator("#gap").bounding_box()["y"] < page.locator("#verdict").bounding_box()["y"]
        assert page.locator("#gap").bounding_box()["y"] < 400


def test_the_table_of_epochs_fits_a_desk_without_scrolling(weighed, open_page):
    page = open_page(report(weighed), locale="en-US").page
    assert page.evaluate("(e => e.scrollWidth - e.clientWidth)(document.querySelector('#epochs').parentElement)") == 0


def test_hostile_text_neither_runs_nor_shows_as_markup(hostile, open_page):
    opened = open_page(report(hostile), width=375)
    open_all(opened.page)
    opened.page.wait_for_timeout(200)
    assert opened.page.evaluate("window.hacked") is None
    assert (opened.complaints, opened.requests) == ([], [])
    assert opened.page.locator("img").count() == 0
    assert HOSTILE[0] in opened.page.locator("#rule-G1 .text").inner_text()
    assert opened.overflow() <= 0


def test_the_policy_stops_a_script_even_if_escaping_failed(judged, open_page, tmp_path):
    path = tmp_path / "broken.html"
    path.write_text(
        report(judged)
        .read_text(encoding="utf-8")
        .replace("<main>", "<main><script>window.hacked=1</script><img src=x onerror=window.hacked=1>", 1),
        encoding="utf-8",
    )
    opened = open_page(path)
    assert opened.page.evaluate("window.hacked") is None and opened.complaints
    assert not [url for url in opened.requests if url.startswith("http")]


@pytest.mark.parametrize("name", ["judged", "weighed"])
def test_text_has_enough_contrast_in_both_schemes(name, request, open_page):
    path = report(request.getfixturevalue(name))
    for scheme in ("light", "dark"):
        page = open_page(path, color_scheme=scheme).page
        open_all(page)
        worst = page.evaluate(CONTRAST)
        assert worst["ratio"] >= 4.5, (scheme, worst)


# which summary has the focus: its place, "end" for none, null for another element
FOCUSED = """(() => {
  const focused = document.activeElement;
  if (focused.tagName === 'SUMMARY') return [...document.querySelectorAll('summary')].indexOf(focused);
  return focused === document.body ? 'end' : null;
})()"""
VISIBLE = """[...document.querySelectorAll('summary')]
  .map((summary, place) => summary.checkVisibility() ? place : null).filter((place) => place !== null)"""
