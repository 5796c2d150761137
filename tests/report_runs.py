"""Runs for the tests of the report, as fixtures: one that learnt and forgot a rule, one with a student, one full of markup."""

import json
from pathlib import Path

import pytest
from builders import RunFolder, call, guidance, reflection, rule_meta, ticket
from test_gate import Bench

from tools.core.jsonl import write_text
from tools.core.records import AppliedOperation, Operation, RejectedOperation, RemovedRule, RuleTally, Trial

OLD, NEW = "出现标签无法识别则不通过", "出现两个标签无法识别则不通过"
FIXED, BROKE = ["a::pass", "b::fail", "c::pass", "d::fail"], ["e::pass"]
TRIAL = Trial(errors=9, corrects=20, fixed=FIXED, broke=BROKE, precision=0.8, p_value=0.00123)
TICKETS = [ticket("a"), ticket("b", "fail"), ticket("c", "pass", ("螺丝、光纤插头/机柜处接地螺丝,不符合要求×1，电线/散乱×2", "标签/需复核备注:看不清×1")), ticket("d", "fail")]
ANSWERS = {"a::pass": "pass pass", "b::fail": "pass bad", "c::pass": "fail fail", "d::fail": "fail fail"}


def applied(op: str, text: str, **fields: object) -> AppliedOperation:
    return AppliedOperation(op=Operation(op=op, rationale="标签要能读", evidence=["b::fail"], text=text, **fields), key="G1", trial=TRIAL)


def refused(text: str, why: str) -> RejectedOperation:
    return RejectedOperation(op={"op": "add", "key": None, "keys": [], "text": text}, why=why)


def learnt_run(folder: Path, old: str = OLD, new: str = NEW, answers: dict[str, str] = ANSWERS, tickets: list = TICKETS) -> RunFolder:
    """G1 is added, reworded and dropped in epochs of one round; an epoch without a change ends it."""
    run = RunFolder(folder, tickets)
    gone = RemovedRule(text=new, round=3, why="confidence below threshold", metadata=rule_meta(1, 5))
    left = guidance(3).model_copy(update={"removed": {"G1": gone}})
    born = guidance(1, G1=old)
    born = born.model_copy(update={"metadata": {"G1": born.metadata["G1"].model_copy(update={"sources": ["b::fail"]})}})
    life = reflection(2, 2, tallies={"G1": RuleTally(hits=1, misses=5)})
    no = [refused("须见挡风板", "fixes_too_few: 0"), refused("须见挡风板", "fixes_too_few: 1"), refused("其他", "too_long: 99 characters")]
    run.play(answers, after=born, reflections=(reflection(1, 1, "01", applied=[applied("add", old)], rejected=no),))
    run.play(answers, after=guidance(2, G1=new), reflections=(life, reflection(2, 2, "01", applied=[applied("update", new, key="G1")])))
    run.play(answers, after=left, reflections=(reflection(3, 3, cleaned_up=["G1"]),))
    return run.play(answers).finish()


def engine(model: str) -> dict:
    return {"kind": "llama_cpp", "model": model}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = learnt_run(tmp_path / "runs" / "one" / "bbu_line").complete()
    run.configure("rollout", engine=engine(str(tmp_path / "teacher.gguf")), fail_first={"enabled": True, "negatives": [["机柜处接地螺丝", "不符合要求"]]})
    run.configure("reflect", engine=engine(str(tmp_path / "teacher.gguf")))
    return run


@pytest.fixture
def judged(run) -> RunFolder:
    """A run with a student, before and after, and the gate's verdict."""
    (run.folder / "evaluation").mkdir()
    bench = Bench(run.folder / "evaluation")
    bench.gate()
    return run


def report(run: RunFolder) -> Path:
    """The page, made by the tool."""
    path = run.folder / "report.html"
    outcome = call("report", run_dir=run.folder, output=path)
    assert outcome.code == 0, outcome.err
    return path


HOSTILE = ["<script>window.hacked=1</script>", '"><img src=x onerror=window.hacked=1>', "'--><svg/onload=window.hacked=1>", "</style></title>{{ 7*7 }}{% raw %}&lt;b&gt;", "{0}{name}%s"]


@pytest.fixture
def hostile(tmp_path) -> RunFolder:
    """A run in which every text from data tries to be markup."""
    mark = " ".join(HOSTILE)
    tickets = [ticket(f"{mark}{number}", label, (f"标签/{mark},不符合要求×1", mark)) for number, label in enumerate(("pass", "fail"))]
    answers = {tickets[0].ticket_key: "fail bad", tickets[1].ticket_key: "pass pass"}
    run = learnt_run(tmp_path / "run", f"旧{mark}", f"新{mark}", answers, tickets).complete()
    (run.folder / "evaluation").mkdir()
    bench = Bench(run.folder / "evaluation")
    bench.gate()
    for name in ("rounds/0001/reflection.jsonl", "need_review.json", "evaluation/gate.json", "loop.json"):
        path = run.folder / name
        text = path.read_text(encoding="utf-8")
        for plain in ("标签要能读", "b::fail", "e::pass", "fixes_too_few", "须见挡风板", "依据(G0)", '"reasons": [', '"folder": "', '"oscillations": ['):
            here = json.dumps(mark)
            fresh = {'"reasons": [': f'"reasons": [{here}', '"folder": "': f'"folder": "{here[1:-1]}', '"oscillations": [': f'"oscillations": [{here}'}
            text = text.replace(plain, fresh.get(plain, f"{plain}{here[1:-1]}"))
        write_text(path, text)
    run.configure("rollout", engine=engine(mark), fail_first={"enabled": True, "negatives": [[mark]]})
    write_text(run.folder / "config" / "tickets.json", json.dumps({"source": mark, "sha256": mark}))
    return run
