"""What the README and docs/ name is there: tools, targets, options, files, messages; what they show works."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.edited_runs import Edited
from tests.support.make_graph import make
from verdicts.config.load import load

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "README.zh.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "data/miniature").glob("*.md")),
]
TOOLS = sorted(path.stem for path in (ROOT / "tools").glob("*.py") if path.stem != "__init__")
MISSIONS = sorted(path.stem for path in (ROOT / "configs/missions").glob("*.yaml"))
MODELS = sorted(path.stem for path in (ROOT / "configs/models").glob("*.yaml"))


def targets() -> set[str]:
    """Names that `make help` lists."""
    shown = subprocess.run(
        ["make", "help", f"PY={sys.executable}", "READY="], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return set(re.findall(r"^  ([a-z][a-z-]*) ", shown, re.MULTILINE))


def test_the_readme_has_one_line_for_each_tool():
    assert sorted(re.findall(r"^\| `([a-z_]+)` \|", README, re.MULTILINE)) == TOOLS


def test_every_make_target_named_in_the_docs_exists():
    named = {
        (page.name, target)
        for page in PAGES
        for target in re.findall(r"(?:^|`|&& )make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) >= 8
    assert {(page, target) for page, target in named if target not in targets()} == set()


def test_every_command_shown_for_a_tool_uses_options_it_has():
    shown = [
        (page.name, *found)
        for page in PAGES
        for found in re.findall(
            r"python -m ((?:tools|miniature)\.[a-z_.]+)((?: +[^\n`]*)?)", page.read_text(encoding="utf-8")
        )
    ]
    assert len(shown) >= 5
    for page, tool, words in shown:
        usage = subprocess.run([sys.executable, "-m", tool, "--help"], cwd=ROOT, capture_output=True, text=True).stdout
        for option in re.findall(r"--[a-z][a-z-]*", words):
            assert option in usage, f"{page}: {tool} has no {option}"


def test_every_file_linked_in_the_docs_exists():
    links = [
        (page, link) for page in PAGES for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8"))
    ]
    assert len(links) >= 6
    assert [str(page.name) + ": " + link for page, link in links if not (page.parent / link).exists()] == []


def test_every_file_of_the_repository_named_in_the_docs_exists():
    folders = "tools|verdicts|miniature|tests|make|configs|schemas|docs"
    named = {
        (page.name, name)
        for page in [*PAGES, ROOT / "CHANGELOG.md"]
        for name in re.findall(rf"(?<![\w/])(?:{folders})/[\w/]+(?:\.\w+)+", page.read_text(encoding="utf-8"))
        if name != "configs/missions/door.yaml"  # the example of docs/missions.md
    }
    assert len(named) >= 40
    assert {(page, name) for page, name in named if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("models", MODELS)
@pytest.mark.parametrize("mission", MISSIONS)
def test_every_shipped_configuration_loads(mission, models):
    assert load(models, mission).distill.enabled


def test_there_are_seven_missions_and_three_model_sets():
    assert (len(MISSIONS), len(MODELS)) == (7, 3)


CHEAP = {
    "help",
    "show",
    "check",
    "why",
    "diff",
    "schemas",
    "plan",
}  # targets that the docs show and that end in seconds


def shown_commands() -> dict[str, str]:
    """Whole `make` commands of the pages' code, with the page; none with a placeholder or another model set."""
    found = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for command in re.findall(r"(?:^|`)(make [a-z][^`\n#]*)", text, re.MULTILINE):
            named = command.strip() in ("make why", "make diff")  # in a sentence: they want FILE, or A and B
            if not named and not re.search(r"…|<|MODELS=", command) and command.split()[1] in CHEAP:
                found.setdefault(command.strip(), page.name)
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Edited:
    """A project as the docs have it: a finished run, a copy of it under other names, the miniature."""
    project = Edited(tmp_path_factory.mktemp("docs"))
    project.restore()
    for name in ("edited", "before", "qwen3"):
        shutil.copytree(project.run, project.run.parents[1] / name / project.run.name)
    (project.folder / "data/miniature").symlink_to(ROOT / "data/miniature")
    shutil.copytree(ROOT / "docs", project.folder / "docs")
    (project.folder / "my.yaml").write_text("window: {tickets: 2}\n", encoding="utf-8")
    return project


def test_the_cheap_make_commands_shown_in_the_docs_work(finished):
    commands = shown_commands()
    assert {command.split()[1] for command in commands} == CHEAP
    for command, page in commands.items():
        done = make(finished.folder, *shlex.split(command)[1:])
        assert done.returncode == 0, f"{page}: {command}\n{done.stderr}"


def test_the_example_for_a_notebook_prints_the_rate_of_the_run(finished):
    page = (ROOT / "docs/setup.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=finished.folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    # by the last round of each: d is a fail that was let through, c was held back
    assert re.fullmatch(r"FRR 50\.0% \[.*\] \(1/2\)\n", done.stdout), done.stdout + done.stderr


def test_the_chinese_runbook_shows_the_same_commands_in_the_same_order():
    shown = []
    for name in ("runbook.md", "runbook.zh.md"):
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        blocks = re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)
        shown.append([re.sub(r" *#.*|<.*?>", "", line) for block in blocks for line in block.splitlines()])
    assert shown[0] == shown[1] and len(shown[0]) >= 10


def of_page(text: str) -> dict[str, object]:
    """What a page and its translation have in common: levels of headings, commands, code in sentences, figures."""
    blocks = re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return {
        "headings": [len(level) for level in re.findall(r"^(#+) ", prose, re.MULTILINE)],
        "commands": [re.sub(r" *#.*", "", line) for block in blocks for line in block.splitlines()],
        "code": Counter(re.findall(r"`([^`]+)`", prose)),
        "figures": {re.sub(r"\s", "", found) for found in re.findall(r"[\d.]+\s%|\d+/\d+|\d[\d,]*\d{2}", prose)},
        "links": Counter(re.findall(r"\]\(([^)]+\.md[^)]*)\)", re.sub(r"\.zh\.md", ".md", prose))),
    }


def test_the_chinese_page_on_stage_b_says_what_the_english_one_says():
    english, chinese = (of_page((ROOT / f"docs/stage_b{of}.md").read_text(encoding="utf-8")) for of in ("", ".zh"))
    assert english == chinese and len(english["commands"]) >= 8 and len(english["headings"]) == 7


def test_the_chinese_readme_has_the_commands_and_figures_of_the_first_half_of_the_english_one():
    half = README[: README.index("\n## The graph\n")]
    english, chinese = map(of_page, (half, (ROOT / "README.zh.md").read_text(encoding="utf-8")))
    for what in ("headings", "commands", "figures"):
        assert english[what] == chinese[what], what
    assert len(english["figures"]) >= 10 and len(english["commands"]) >= 8


def words_of(node: ast.AST) -> str:
    """The fixed words of a string, of one with values in it, of a call's arguments or a tuple: mistake("what", "what to
    do") prints what; what to do. However the source breaks its lines, these words stay the same."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(words_of, node.values))
    if isinstance(node, ast.Call | ast.Tuple):
        return "; ".join(filter(None, map(words_of, node.args if isinstance(node, ast.Call) else node.elts)))
    if isinstance(node, ast.IfExp):
        return words_of(node.body)
    return "…"  # a value


def test_every_message_in_the_troubleshooting_page_is_one_that_the_code_prints():
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(messages) >= 30
    code = "\n".join(
        words_of(node)
        for folder in ("tools", "verdicts", "miniature", "make")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )
    for message in messages:  # what is wrong and what to do may stand apart in the code, each under a name
        parts = [part.strip(" ();:") for part in re.split("…|; ", message)]
        assert [part for part in parts if len(part) > 2 and part not in code] == [], message


def test_a_mission_is_added_by_the_ten_lines_of_the_docs(finished):
    page = (ROOT / "docs/missions.md").read_text(encoding="utf-8")
    lines, tickets = (page.split(f"```{kind}\n")[1].split("```")[0] for kind in ("yaml", "json"))
    assert len(lines.splitlines()) <= 10
    (finished.folder / "configs/missions/door.yaml").write_text(lines, encoding="utf-8")
    more = "".join(tickets.replace("D-0", f"D-{number}") for number in range(3))
    (finished.folder / "door.jsonl").write_text(more, encoding="utf-8")
    done = make(finished.folder, "distill", "MISSION=door", "STAGE_A=door.jsonl")
    assert done.returncode == 0, done.stderr
    assert (finished.folder / "runs/miniature/door/distill.train.jsonl").exists()
    assert make(finished.folder, "check", "MISSION=door").returncode == 0
