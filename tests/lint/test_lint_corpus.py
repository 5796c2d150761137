"""make lint-corpus: each kind of finding is found where it was planted, with file and line, and nothing else is."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.builders import G0, MISSION, call, guidance, ticket
from tests.support.fusing import png
from verdicts.base.jsonl import read_json, write_json, write_rows, write_text
from verdicts.config.load import load
from verdicts.config.sections import FailFirst
from verdicts.config.tools import section_text
from verdicts.lint.reasons import ReasonReader, rules_in
from verdicts.lint.shown import Shown
from verdicts.records.corpus import CorpusLint
from verdicts.records.guidance import write_guidance
from verdicts.stage_b.prompts import load_prompts

CONFIG = load("miniature", "bbu_line")
PROMPTS = load_prompts(CONFIG.prompts, CONFIG.mission)
SYSTEM = PROMPTS.stage_b_system({"G0": G0})
PASS, FAIL = "Verdict: 通过\nReason: 机柜处接地螺丝符合要求(G0)", "Verdict: 不通过\nReason: 缺少机柜处接地螺丝(G0)"
GROUPS = [f"QC-{number:06d}" for number in range(8)]


def run_ticket(number: int):
    """Odd tickets fail; no two show the same. Ticket 1 has what a person wrote."""
    reasons = ("接地螺丝两端都要拍全",) if number == 1 else ()
    summaries = (f"螺丝、光纤插头/机柜处接地螺丝,符合要求×{number + 1}", "标签/不通过×1，标签/5G-BBU×1")
    return ticket(GROUPS[number], "fail" if number % 2 else "pass", summaries, reasons=reasons)


def row(number: int) -> dict:
    of = run_ticket(number)
    texts = {"system": SYSTEM, "user": PROMPTS.stage_b_user(of.per_image), "assistant": FAIL if number % 2 else PASS}
    return {
        "group_id": of.group_id, "mission": MISSION, "label": of.label, "weight": 1.0, "flags": "",
        "messages": [{"role": role, "content": text} for role, text in texts.items()],
    }  # fmt: skip


class Corpus:
    """A run with its corpus of eight rows, and held-out questions."""

    def __init__(self, folder: Path):
        self.run, self.held_out, self.rows = folder / "runs/x/bbu_line", folder / "held_out", [*map(row, range(8))]
        write_rows(self.run / "stage_a.jsonl", map(run_ticket, range(8)))
        write_guidance(self.run / "guidance.json", MISSION, guidance())
        for tool in ("predict", "lint_corpus"):
            write_text(self.run / f"config/{tool}.yaml", section_text(CONFIG, tool))
        told = yaml.safe_load((self.run / "config/lint_corpus.yaml").read_text(encoding="utf-8"))
        told["student"]["model"] = ""  # its tokenizer has a test of its own
        self.section(told)
        write_rows(self.held_out / "bbu_line.stage_a.jsonl", [ticket("QC-999999", "fail", ("电线/分布散乱×7",))])

    def section(self, told: dict) -> None:
        write_text(self.run / "config/lint_corpus.yaml", yaml.safe_dump(told, allow_unicode=True))

    def say(self, line: int, role: str, text: str) -> None:
        """What a role says in a row (line from 1)."""
        next(message for message in self.rows[line - 1]["messages"] if message["role"] == role)["content"] = text

    def said(self, line: int, role: str) -> str:
        return next(m["content"] for m in self.rows[line - 1]["messages"] if m["role"] == role)

    def lint(self, train: Path | None = None, **options: object):
        path = train or self.run / "distill.train.jsonl"
        if train is None:
            write_rows(path, self.rows)
        output, section = self.run / "corpus_lint.json", self.run / "config/lint_corpus.yaml"
        options = {"held_out": self.held_out} | options
        outcome = call("lint_corpus", config=section, train=path, output=output, **options)
        return outcome, read_json(output, CorpusLint)


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    return Corpus(tmp_path)


def places(found: CorpusLint) -> dict[str, list[int]]:
    return {
        kind: [example.line for example in finding.examples]
        for kind, finding in {**found.errors, **found.warnings}.items()
    }


def test_a_corpus_as_distill_writes_it_has_no_finding(corpus):
    outcome, found = corpus.lint()
    assert (outcome.code, places(found)) == (0, {}), outcome.err
    assert (found.rows, found.verdicts) == ({"chat": 8}, {"fail": 4, "pass": 4})
    assert outcome.last_line.startswith("lint_corpus: 8 chat rows: 0 errors, 0 warnings; ")
    assert found.not_checked == [
        "lengths and ids of prompts: no student is configured (student.model)",
        "1 held-out photos: they are not there",
    ]
    assert corpus.lint(held_out=None)[1].not_checked[1:] == ["held-out questions: no folder of them is named"]
    empty = corpus.run / "config"
    assert corpus.lint(held_out=empty)[1].not_checked[1:] == [f"held-out questions: none in {empty}"]


REASONS = "Verdict: {}\nReason: {}"
PLANTED = {
    "malformed": ("assistant", "通过，齐全", ["malformed"]),
    "third_state": ("assistant", "Verdict: 通过\nReason: 证据不足，待定", ["third_state"]),
    "contradiction": ("assistant", REASONS.format("通过", "缺少机柜处接地螺丝(G0)"), ["contradiction"]),
    "doubt": ("assistant", REASONS.format("通过", "螺丝符合要求，品牌无法判断(G0)"), ["doubt"]),
    "another system": ("system", SYSTEM + "\nG1: 出现电线散乱则不通过", ["prompt_parity"]),
    "a label": ("user", "{}\nlabel: pass", ["label_leak", "prompt_parity"]),
    "a remark of the outcome": ("user", "{}，备注:审核通过", ["label_leak", "prompt_parity"]),
    "the answer's reason": ("user", "{}\n备注：机柜处接地螺丝符合要求", ["reason_leak", "prompt_parity"]),
    "the ticket's name": ("user", f"{{}}\n{GROUPS[2]}", ["ticket_name", "prompt_parity"]),
}


@pytest.mark.parametrize("case", PLANTED)
def test_what_is_planted_in_a_row_is_found_there(corpus, case):
    role, text, kinds = PLANTED[case]
    corpus.say(3, role, text.replace("{}", corpus.said(3, role)))
    outcome, found = corpus.lint()
    assert places(found) == {kind: [3] for kind in kinds}
    assert outcome.code == (0 if case == "doubt" else 1)
    assert f"{corpus.run}/distill.train.jsonl:3: " in outcome.err


def test_what_a_person_wrote_is_found_in_a_summary_that_repeats_it(corpus):
    of = run_ticket(1)
    of = of.model_copy(update={"per_image": of.per_image | {"image_2": "BBU设备/华为,备注:接地螺丝两端都要拍全×1"}})
    write_rows(corpus.run / "stage_a.jsonl", [of if n == 1 else run_ticket(n) for n in range(8)])
    corpus.say(2, "user", PROMPTS.stage_b_user(of.per_image))
    assert places(corpus.lint()[1]) == {"reason_leak": [2]}


def test_a_line_that_rows_of_both_verdicts_have_gives_nothing_away(corpus):
    for line in (3, 4):
        corpus.say(line, "user", corpus.said(line, "user") + "\n结论：不通过或通过")
    assert "label_leak" not in places(corpus.lint()[1])


def test_a_fail_that_finds_no_fault_is_a_contradiction(corpus):
    corpus.say(2, "assistant", REASONS.format("不通过", "机柜处接地螺丝、地排处接地螺丝均符合要求(G0)"))
    assert places(corpus.lint()[1]) == {"contradiction": [2]}


@pytest.mark.parametrize(
    ("verdict", "reason", "contradicts"),
    [
        ("pass", "机柜处接地螺丝松动(G0)", True),
        ("pass", "未见机柜处接地螺丝(G0)", True),
        ("pass", "照片清楚，故不予通过", True),
        ("pass", "未见机柜处接地螺丝松动，电线捆扎整齐(G0)", False),
        ("pass", "未发现光纤无保护措施", False),
        ("pass", "缺少地排处接地螺丝可豁免(G2)", False),
        ("pass", "缺少地排处接地螺丝(G2)", False),  # G2 waives it
        ("pass", "缺少地排处接地螺丝(G1)", True),
        ("pass", "若缺少螺丝则不通过，此处齐全", False),
        ("fail", "螺丝齐全，未见异常", True),
        ("fail", "螺丝符合要求，但仅一端", False),
        ("fail", "不符合要求", False),
        ("fail", "照片少于2张", False),
        ("fail", "各项完整，判定为通过", True),
    ],
)
def test_a_reason_is_read_against_its_verdict(verdict, reason, contradicts):
    rules = rules_in("G0: 须见螺丝\nG1: 须见标签，缺失则不通过\nG2: 缺少地排处接地螺丝可豁免")
    reads = ReasonReader(CONFIG.lint.words, CONFIG.fail_first)
    assert bool(reads.contradiction(verdict, reason, rules)) == contradicts


def test_words_of_denial_come_from_the_guard():
    guard = FailFirst.model_validate(CONFIG.fail_first.model_dump() | {"negations": ["查无"]})
    assert not ReasonReader(CONFIG.lint.words, guard).contradiction("pass", "查无松动", {})
    assert ReasonReader(CONFIG.lint.words, guard).contradiction("pass", "未见松动", {})


def test_held_out_groups_and_photos_are_found_whatever_they_are_called(corpus):
    write_rows(corpus.held_out / "rru_line.stage_a.jsonl", [ticket(GROUPS[4], "fail", ("电线/分布散乱×3",))])
    (corpus.held_out / "a.png").write_bytes(png())
    photo = corpus.run / "photos" / run_ticket(5).images[0]
    photo.parent.mkdir()
    photo.write_bytes(png())
    with (corpus.held_out / "dense.jsonl").open("w") as file:
        file.write(json.dumps({"images": ["a.png", "gone.png"], "messages": []}) + "\n")
    write_json(corpus.run / "config/made_with.json", {"photos": {"path": str(photo.parent), "digest": "0"}})
    outcome, found = corpus.lint()
    assert (outcome.code, places(found)) == (1, {"held_out_group": [5], "held_out_photo": [6]})
    assert "held-out photos: they are not there" in found.not_checked[-1]


def test_rows_that_show_the_same_are_found_whatever_their_free_texts_say(corpus):
    facts = ["电线/捆扎整齐×2，标签/A-01×1", "电线/捆扎整齐×2，标签/站点B×1"]
    assert len({Shown(f"image_1: {text}").key() for text in facts}) == 1
    write_rows(corpus.held_out / "bbu_line.stage_a.jsonl", [ticket("QC-999999", "fail", (facts[0],))])
    for line, text in ((3, facts[0]), (4, facts[1]), (5, facts[1])):
        corpus.say(line, "user", f"照片摘要：\nimage_1: {text}")
    found = places(corpus.lint()[1])
    del found["prompt_parity"]
    assert found == {"two_answers": [4], "near_duplicate": [5], "held_out_twin": [3, 4, 5]}


def test_a_verdict_that_is_too_rare_and_a_group_that_trains_and_validates_are_warnings(corpus):
    rows = [{**row(0), "group_id": f"QC-1{n:05d}"} for n in range(30)]
    for number, one in enumerate(rows):
        one["messages"][1]["content"] = f"image_1: 标签/可以识别×{number}"
    corpus.rows = [row(0), row(1), *rows]
    val = corpus.run / "distill.val.jsonl"
    write_rows(val, [row(1)])
    found = corpus.lint(val=val)[1]
    kinds = places(found)
    del kinds["prompt_parity"]
    assert kinds == {"split_group": [1], "class_balance": [1]}
    assert "1 of 32 rows say fail (3.1%)" in found.warnings["class_balance"].examples[0].what


def test_a_mix_is_held_against_the_runs_of_its_manifest_and_repeats_count_once(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_rows(Path("runs/x/bbu_line/distill.train.jsonl"), corpus.rows)
    write_rows(Path("runs/x/bbu_line/distill.val.jsonl"), corpus.rows[:1])
    mix = yaml.safe_load((Path(__file__).resolve().parents[2] / "configs/fusion/demo.yaml").read_text(encoding="utf-8"))
    chat = mix["sources"][0]
    chat |= {"paths": ["runs/x/bbu_line/distill.train.jsonl"], "val": {"share": 0.0}, "fail_oversample": 2.0}
    write_text(Path("mix.yaml"), yaml.safe_dump(mix | {"sources": [chat]}))
    assert call("fuse", config="mix.yaml", output_dir="fused").code == 0
    train = Path("fused/mix.train.jsonl")
    outcome, found = corpus.lint(train)
    assert (outcome.code, places(found), found.rows, found.repeats) == (0, {}, {"chat": 8}, 4), outcome.err
    write_guidance(corpus.run / "guidance.json", MISSION, guidance(1, G1="出现电线散乱则不通过"))
    assert corpus.lint(train)[1].errors["prompt_parity"].rows == 8
    Path("fused/mix.manifest.json").unlink()
    outcome, found = corpus.lint(train)
    assert outcome.code == 0 and "prompts of 8 rows: the runs that they come from are not there" in found.not_checked


@pytest.fixture
def with_student(corpus, tmp_path):
    """The corpus with a student's tokenizer; a function that rewrites its chat template."""
    pytest.importorskip("transformers", reason="transformers is not installed: `make setup-student` installs it")
    told = yaml.safe_load(section_text(CONFIG, "lint_corpus"))
    shutil.copytree(told["student"]["model"], tmp_path / "student")
    told["student"]["model"], told["sft"]["max_tokens"] = str(tmp_path / "student"), 300
    corpus.section(told)
    template = tmp_path / "student/chat_template.jinja"

    def rewrite(old: str, new: str) -> None:
        template.write_text(template.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    return rewrite


def test_rows_too_long_for_sft_are_warnings(corpus, with_student):
    corpus.say(8, "assistant", REASONS.format("不通过", "缺少" + "、".join(map(str, range(300)))))
    outcome, found = corpus.lint()
    assert (outcome.code, places(found), found.not_checked[1:]) == (0, {"too_long": [8]}, []), outcome.err


def test_a_template_that_asks_otherwise_than_it_teaches_is_found(corpus, with_student):
    with_student("assistant\\n' }}{% endif %}", "assistant\\n照片' }}{% endif %}")
    outcome, found = corpus.lint()
    assert (outcome.code, found.errors["prompt_parity"].rows) == (1, 8), outcome.err
    assert "other ids before the answer" in outcome.err


def test_with_for_sft_errors_are_left_to_sft(corpus):
    corpus.say(3, "assistant", "通过，齐全")
    assert corpus.lint(for_sft=True)[0].code == 0
