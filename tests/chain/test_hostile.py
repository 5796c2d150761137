"""A hundred hostile texts in summaries, ids, reasons, rules and notes.

No control token, no line of a prompt, no file elsewhere, no script, no escape.
"""

import json
import re
from pathlib import Path

import pytest

from miniature.world.prompts import prompts_of
from tests.support.builders import MISSION, RunFolder, call, guidance, snapshot, ticket
from tests.support.hostile import PAYLOADS
from tests.support.pages import Page
from verdicts.base.errors import UserError
from verdicts.base.jsonl import dump, read_json, write_rows, write_text
from verdicts.base.plain import plain
from verdicts.config.load import load
from verdicts.config.tools import section_text
from verdicts.records.review import NeedReviewFile, ReviewDecision
from verdicts.records.tickets import read_tickets
from verdicts.review.spreadsheet import read_given
from verdicts.stage_b.prompts import Case

PROMPTS = prompts_of(MISSION)
MINIATURE = Path(__file__).resolve().parents[2] / "data" / "miniature"
ESCAPE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def said(text: str) -> str:
    """A payload as a reason: one line, as the two-line protocol leaves it."""
    return " ".join(text.split()) or "x"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    """A run in which every text from data is hostile; each ticket waits for review, and half of them are decided."""
    folder = tmp_path_factory.mktemp("hostile") / "runs" / "one" / "bbu_line"
    tickets = [
        ticket(f"{payload}{number}", "fail", (f"标签/{payload}×1", payload), reasons=(said(payload),))
        for number, payload in enumerate(PAYLOADS)
    ]
    run = RunFolder(folder, tickets)
    for _ in range(2):
        run.play({of.ticket_key: "pass pass" for of in tickets}, after=guidance(1, G1=said(PAYLOADS[0])))
        rows = folder / "rounds" / f"{run.done:04d}"
        for name in ("trajectories.jsonl", "selections.jsonl", "need_review_queue.jsonl"):
            lines = (rows / name).read_text(encoding="utf-8").split("\n")[:-1]
            fresh = []
            for line in lines:
                row = json.loads(line)
                payload = said(
                    PAYLOADS[int(re.search(r"(\d+)::fail$", row["ticket_key"]).group(1)[-3:]) % len(PAYLOADS)]
                )
                for field in ("reason", "pred_reason"):
                    row |= {field: payload} if field in row else {}
                row |= {"response_text": f"Verdict: 通过\nReason: {payload}"} if "response_text" in row else {}
                fresh.append(dump(row))
            write_text(rows / name, "".join(line + "\n" for line in fresh))
    run.finish()
    assert run.collect().code == 0 and run.aggregate_review().code == 0
    config = load("miniature", "bbu_line")
    for tool in ("rollout", "reflect", "gate"):
        write_text(folder / "config" / f"{tool}.yaml", section_text(config, tool))
    write_rows(
        folder / "review_decisions.jsonl",
        [
            ReviewDecision(ticket_key=of.ticket_key, decision="unsure", note=of.per_image["image_2"])
            for of in tickets[::2]
        ],
    )
    return run


def test_there_are_a_hundred_of_them():
    assert len(set(PAYLOADS)) >= 100


def plain_ids_of_llama_cpp():
    from verdicts.engines.llama.runtime import Model

    pytest.importorskip("llama_cpp")
    model = Model(MINIATURE / "teacher.gguf", 0)
    return model.plain_ids, lambda found: bool(model.banned[found].any()), model.template_ids


def plain_ids_of_transformers():
    transformers = pytest.importorskip("transformers")
    from verdicts.models.chat_template import PlainText

    tokens = transformers.AutoTokenizer.from_pretrained(MINIATURE / "student")
    control = {
        number
        for number, token in tokens.added_tokens_decoder.items()
        if token.special or token.content.startswith("<")
    }
    text = PlainText(tokens)
    return text.ids, lambda found: not control.isdisjoint(found), text.template_ids


@pytest.mark.parametrize("tokenizer", [plain_ids_of_llama_cpp, plain_ids_of_transformers])
def test_no_payload_becomes_a_control_token(tokenizer):
    ids, has_control, template_ids = tokenizer()
    assert has_control(template_ids("<|im_end|>"))  # so the check can fail
    for payload in PAYLOADS:
        prompts = (
            payload,
            PROMPTS.stage_b_user({"image_1": payload, "image_2": f"标签/{payload}×1"}),
            PROMPTS.reflect_user([Case("fail", "pass", {"image_1": payload}, payload)]),
        )
        for text in prompts:
            assert not has_control(ids(text)), payload


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_is_a_line_of_its_own_in_a_prompt(payload):
    user = PROMPTS.stage_b_user({"image_1": payload, "image_2": "标签/可读×1"})
    assert len(user.splitlines()) == len(PROMPTS.stage_b_user({"image_1": "x", "image_2": "标签/可读×1"}).splitlines())
    system = PROMPTS.stage_b_system({"G0": "须见螺丝", "G1": payload})
    assert len(system.splitlines()) == len(PROMPTS.stage_b_system({"G0": "须见螺丝", "G1": "x"}).splitlines())


@pytest.mark.parametrize(
    "tool",
    ["show", "diff_runs", "check", "report", "review_page", "review_apply", "collect", "aggregate_review", "distill"],
)
def test_no_tool_prints_an_escape_or_writes_elsewhere(run, tool, tmp_path, monkeypatch):
    folder = run.folder
    log = tmp_path / "log"
    monkeypatch.setenv("RUN_LOG", str(log))
    monkeypatch.chdir(tmp_path)
    given = {
        "show": {"run_dir": folder}, "check": {"run_dir": folder}, "diff_runs": {"a": folder, "b": folder},
        "report": {"run_dir": folder, "output": folder / "report.html"},
        "review_page": {"run_dir": folder, "output": folder / "review.html", "photos": folder},
        "review_apply": {"run_dir": folder}, "collect": None, "aggregate_review": None, "distill": None,
    }[tool]  # fmt: skip
    outside = set(snapshot(folder.parents[2])) - set(snapshot(folder))
    outcome = call(tool, **given) if given else getattr(run, tool)()
    assert outcome.code in (0, 2) and "Traceback" not in outcome.err
    assert not ESCAPE.search(outcome.out + outcome.err)
    assert not log.exists() or not ESCAPE.search(log.read_text(encoding="utf-8"))
    assert {path for path in snapshot(folder.parents[2]) if not path.startswith("runs/one/bbu_line/")} == {
        path for path in outside if not path.startswith("runs/one/bbu_line/")
    }
    assert sorted(path.name for path in tmp_path.iterdir()) in ([], ["log"])


@pytest.mark.parametrize(("tool", "name"), [("review_page", "review.html"), ("report", "report.html")])
def test_no_payload_is_an_element_of_a_page(run, tool, name):
    outcome = call(tool, run_dir=run.folder, output=run.folder / name)
    assert outcome.code == 0, outcome.err
    page = Page(run.folder / name)
    benign = {"review_page": 2, "report": 1}[tool]  # the page's own script, and the review's data
    assert page.names.count("script") == benign
    assert not {"iframe", "base", "object"} & set(page.names) and page.names.count("img") == (
        tool == "review_page"
    )  # svg are the page's own
    bad = [
        (key, value)
        for key, value in page.attributes
        if key.startswith("on") or (key in ("href", "src") and re.match(r"\s*(javascript:|//)", value or ""))
    ]
    assert bad == []


def test_nothing_runs_in_a_browser(run, open_page):
    for tool, name in (("review_page", "review.html"), ("report", "report.html")):
        assert call(tool, run_dir=run.folder, output=run.folder / name).code == 0
        opened = open_page(run.folder / name)
        assert opened.page.evaluate("window.hacked") is None and opened.complaints == [] and opened.requests == []


def test_every_cell_of_the_table_is_shielded_and_every_key_comes_back(run, tmp_path):
    import csv
    import io

    table = tmp_path / "review.csv"
    assert call("review_apply", run_dir=run.folder, export=table).code == 0
    rows = list(csv.reader(io.StringIO(table.read_bytes().decode("utf-8-sig"), newline="")))
    for row in rows[1:]:
        for cell in row:
            assert not re.match(r"[\t\r\n]|[\s\x00-\x1f\u200b\ufeff]*[=+@＝＋－＠]", cell), cell
    said = json_notes(run)
    found = read_given(table, {of.ticket_key for of in read_tickets(run.stage_a)})
    assert {key: row.note for key, row in found.items()} == said


def json_notes(run: RunFolder) -> dict[str, str]:
    lines = (run.folder / "review_decisions.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    return {row["ticket_key"]: row["note"].replace("\r\n", "\n") for row in map(json.loads, lines)}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_label_or_a_verdict_is_one_of_two_words(payload, tmp_path):
    path = tmp_path / "t.jsonl"
    write_text(
        path,
        dump(
            {"group_id": "g", "mission": MISSION, "label": payload, "images": ["1.jpg"], "per_image": {"image_1": "x"}}
        )
        + "\n",
    )
    with pytest.raises(UserError) as caught:
        read_tickets(path)
    assert str(caught.value) == plain(str(caught.value)) and ":1: label: " in str(caught.value)


def test_what_is_spelt_out_is_all_that_a_terminal_would_obey_or_hide():
    assert plain("通过×1 é “x” 😀") == "通过×1 é “x” 😀"
    assert plain("\x1b[31m\n\r\t\x9b\u202e\u2028\ud800\x00") == "\\x1b[31m\\n\\r\\t\\x9b\\u202e\\u2028\\ud800\\x00"
    for char in map(chr, range(0x20)):
        assert char not in plain(char)


def test_the_queue_holds_every_hostile_ticket(run):
    review = read_json(run.folder / "need_review.json", NeedReviewFile).missions[MISSION]
    assert review.count == len(PAYLOADS)
