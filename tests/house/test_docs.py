"""Links between the pages lead somewhere: to a file that is there, and to a heading that it has."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "data/miniature").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading: words in lower case, joined by hyphens, without other marks."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    lines = page.read_text(encoding="utf-8").splitlines()
    return {anchor(line.lstrip("#")) for line in lines if line.startswith("#")}


def broken(page: Path) -> list[str]:
    """The links of a page to files and headings that are not there."""
    found = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (heading and heading not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "there.md").write_text("# Of `rules`, and what else\n", encoding="utf-8")
    links = ("there.md", "there.md#of-rules-and-what-else", "#here", "gone.md", "there.md#rules", "https://a.b/c#d")
    page = tmp_path / "page.md"
    page.write_text("# Here\n" + " ".join(f"[x]({link})" for link in links), encoding="utf-8")
    assert broken(page) == ["gone.md", "there.md#rules"]
