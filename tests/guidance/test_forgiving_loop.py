"""The loop with a teacher that says the right thing in the wrong form learns; one that cannot be read stops it."""

import json
from pathlib import Path

import pytest

from tests.support.builders import G0, MISSION, call, guidance, ticket
from tests.support.fake_engine import SURE, FakeEngine
from tests.support.learning import rounds_alone
from verdicts import engines
from verdicts.base.jsonl import write_rows, write_text
from verdicts.config.load import CONFIGS, load
from verdicts.config.tools import section_text
from verdicts.engines import Completion
from verdicts.records.guidance import read_guidance, write_guidance
from verdicts.records.run import LoopStatus
from verdicts.stage_b.protocol import WORD

RULE = "机柜门敞开时不通过"
TICKETS = [
    ticket(
        f"T{number:02d}",
        "fail" if number % 2 else "pass",
        (f"标签/GPS馈线×{number + 1}" + ("，机柜门敞开×1" if number % 2 else ""),),
    )
    for number in range(24)
]
ANSWER = json.dumps(
    {"operations": [{"op": "add", "text": RULE, "rationale": "案例均敞开", "evidence": [1, 2]}], "unexplainable": []},
    ensure_ascii=False,
)


class Teacher(FakeEngine):
    """Obeys the rule once it is in the guidance, and cites it; writes verdicts and reflections in the forms given ({}
    for the word, the JSON).
    """

    def __init__(self, verdict_form: str, reflection_form: str):
        super().__init__(judges=self.judged_by)
        self.verdict_form, self.reflection_form = verdict_form, reflection_form

    @staticmethod
    def judged_by(system: str, user: str) -> str:
        return "fail" if RULE in system and "机柜门敞开" in user else "pass"

    def rollout(self, system, users, decodes):
        for user, settings in zip(users, decodes, strict=True):
            verdict = self.judged_by(system, user)
            text = self.verdict_form.replace("{}", WORD[verdict]).replace("G0", "G1" if verdict == "fail" else "G0")
            yield [Completion(text, SURE[verdict], "stop") for _ in settings]

    def complete(self, system, users, decodes, json_schema=None):
        return [
            Completion(self.reflection_form.replace("{}", ANSWER), {"pass": None, "fail": None}, "stop") for _ in users
        ]


def run_loop(folder: Path, monkeypatch, engine) -> tuple[LoopStatus | None, str]:
    """Rollout, reflect, apply and next_round until the loop ends; its status (None: it stopped) and what the tools
    said.
    """
    whole = load("miniature", "bbu_line", configs=CONFIGS)
    cfg = whole.model_copy(update={"reflect": rounds_alone(whole.reflect)})
    for tool in ("rollout", "reflect", "guidance", "loop"):
        write_text(folder / f"{tool}.yaml", section_text(cfg, tool))
    write_rows(folder / "stage_a.jsonl", TICKETS)
    write_guidance(folder / "rounds" / "0000" / "guidance.json", MISSION, guidance())
    monkeypatch.setattr(engines, "open_engine", lambda config: engine)
    said, number = "", 1
    while True:
        before, here = (folder / "rounds" / f"{n:04d}" for n in (number - 1, number))
        common = {"stage_a": folder / "stage_a.jsonl", "guidance": before / "guidance.json", "round": number}
        steps = [
            call("rollout", config=folder / "rollout.yaml", output_dir=here, **common),
            call("reflect", config=folder / "reflect.yaml", round_dir=here, **common),
            call(
                "apply",
                config=folder / "guidance.yaml",
                guidance=before / "guidance.json",
                reflection=here / "reflection.jsonl",
                output=here / "guidance.json",
            ),
            call(
                "next_round",
                config=folder / "loop.yaml",
                stage_a=folder / "stage_a.jsonl",
                rounds=folder / "rounds",
                output=folder / "loop.json",
            ),
        ]
        said += "".join(step.err for step in steps)
        assert all(step.code == 0 for step in steps[:-1]), said
        if steps[-1].code:
            return None, said
        if not steps[-1].out:
            return LoopStatus.model_validate_json((folder / "loop.json").read_text(encoding="utf-8")), said
        number += 1


STRICT = "Verdict: {}\nReason: 依据见规则(G0)"


@pytest.mark.parametrize(
    ("verdict_form", "reflection_form", "words"),
    [
        (STRICT, "{}", "3 calls, "),
        (STRICT, "```json\n{}\n```", "forgiven in 3 answers: 3 fence"),
        (STRICT, "<think>\n\n</think>\n\n好的：\n```\n{}\n```\n", "3 fence, 3 prose, 3 thinking"),
        (STRICT, "想了想</think>\ufeff{}", "3 bom, 3 thinking"),
        ("Verdict：{}\nReason：依据见规则(G0)", "{}", "96 answers in another form (96 full_width, 96 header)"),
        ("先看照片</think>\n\nVerdict: {}\nReason: 依据见规则(G0)", "{}", "(96 thinking)"),
        ("**Verdict:** {}。\r\n**Reason:** 依据见规则(G0)\r\n\r\n", "```\n{}", "(96 bold, 96 full_stop, 96 line_ends)"),
    ],
)
def test_a_teacher_that_is_wrong_in_form_alone_teaches_all_the_same(
    tmp_path, monkeypatch, verdict_form, reflection_form, words
):
    status, said = run_loop(tmp_path, monkeypatch, Teacher(verdict_form, reflection_form))
    assert (status.status, status.rounds) == ("converged", 2) and words in said
    assert read_guidance(tmp_path / "rounds" / "0002" / "guidance.json", MISSION).experiences == {"G0": G0, "G1": RULE}
    assert "24 tickets = 24 selected + 0 without a valid candidate; 24 match the label" in said


@pytest.mark.parametrize(
    ("verdict_form", "reflection_form", "words"),
    [
        (STRICT, "规则：机柜门敞开时不通过", "3 of 3 reflections of its epoch cannot be read (3 not_json)"),
        (STRICT, '{}\n或者\n{"operations":[]}', "(3 two_objects)"),
        (STRICT, "", "(3 empty)"),
        ("结论：{}\n理由：见规则", "{}", "96 of 96 answers of its epoch cannot be read (96 no_verdict)"),
        ("Verdict: {}，但需复核\nReason: 看不清", "{}", "(96 third_state)"),
    ],
)
def test_a_teacher_that_cannot_be_read_stops_the_loop(tmp_path, monkeypatch, verdict_form, reflection_form, words):
    status, said = run_loop(tmp_path, monkeypatch, Teacher(verdict_form, reflection_form))
    assert status is None and words in said and "loop stopped after round 0001" in said
    assert not (tmp_path / "loop.json").exists()


@pytest.mark.parametrize("context_tokens", [300, 700])
def test_tickets_that_do_not_fit_the_context_stop_it_and_the_knob_is_named(tmp_path, monkeypatch, context_tokens):
    from verdicts.engines.llama.engine import LlamaCppEngine

    cfg = load("miniature", "bbu_line", configs=CONFIGS)
    engine = cfg.engine.model_copy(update={"context_tokens": context_tokens, "n_threads": 1})
    monkeypatch.setattr(engines, "open_engine", LlamaCppEngine)
    long = [ticket(f"T{number}", "pass", ("螺丝、光纤插头/机柜处接地螺丝,符合要求×1，" * 90,)) for number in range(3)]
    write_rows(tmp_path / "stage_a.jsonl", long)
    write_guidance(tmp_path / "rounds" / "0000" / "guidance.json", MISSION, guidance())
    for tool in ("rollout", "loop", "reflect", "guidance"):
        write_text(tmp_path / f"{tool}.yaml", section_text(cfg.model_copy(update={"engine": engine}), tool))
    here, before = tmp_path / "rounds" / "0001", tmp_path / "rounds" / "0000" / "guidance.json"
    common = {"stage_a": tmp_path / "stage_a.jsonl", "guidance": before, "round": 1}
    steps = [
        lambda: call("rollout", config=tmp_path / "rollout.yaml", output_dir=here, **common),
        lambda: call("reflect", config=tmp_path / "reflect.yaml", round_dir=here, **common),
        lambda: call(
            "apply",
            config=tmp_path / "guidance.yaml",
            guidance=before,
            reflection=here / "reflection.jsonl",
            output=here / "guidance.json",
        ),
        lambda: call(
            "next_round",
            config=tmp_path / "loop.yaml",
            stage_a=tmp_path / "stage_a.jsonl",
            rounds=tmp_path / "rounds",
            output=tmp_path / "loop.json",
        ),
    ]
    outcome = next(done for step in steps if (done := step()).code)
    assert (
        outcome.code == 2
        and "raise engine.context_tokens" in outcome.err
        and len(outcome.err.strip().splitlines()) == 1
    )
    assert context_tokens == 300 or "12 of 12 answers of its epoch cannot be read (12 over_length)" in outcome.err
    assert not (tmp_path / "loop.json").exists()
