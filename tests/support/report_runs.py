"""Runs for the tests of the report, as fixtures.

One that learnt and forgot a rule, one that held tickets out, one with a student, one full of markup.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.support.builders import RunFolder, call, guidance, reflection, rule_meta, ticket
from tests.support.judging import Bench
from verdicts.base.jsonl import write_text
from verdicts.config.sections import LearnSection
from verdicts.records.guidance import RemovedRule
from verdicts.records.reflection import AppliedOperation, Operation, RejectedOperation, RuleTally, Tally, Trial
from verdicts.rounds.holdout import side_of

OLD, NEW = "出现标签无法识别则不通过", "出现两个标签无法识别则不通过"
FIXED, BROKE = ["a::pass", "b::fail", "c::pass", "d::fail"], ["e::pass"]
TRIAL = Trial(errors=9, corrects=20, fixed=FIXED, broke=BROKE, precision=0.8, p_value=0.00123)
TICKETS = [
    ticket("a"),
    ticket("b", "fail"),
    ticket("c", "pass", ("螺丝、光纤插头/机柜处接地螺丝,不符合要求×1，电线/散乱×2", "标签/需复核备注:看不清×1")),
    ticket("d", "fail"),
]
ANSWERS = {"a::pass": "pass pass", "b::fail": "pass bad", "c::pass": "fail fail", "d::fail": "fail fail"}


def applied(op: str, text: str, **fields: object) -> AppliedOperation:
    return AppliedOperation(
        op=Operation(op=op, rationale="标签要能读", evidence=["b::fail"], text=text, **fields), key="G1", trial=TRIAL
    )


def refused(text: str, why: str) -> RejectedOperation:
    return RejectedOperation(op={"op": "add", "key": None, "keys": [], "text": text}, why=why)


def learnt_run(
    folder: Path, old: str = OLD, new: str = NEW, answers: dict[str, str] = ANSWERS, tickets: list = TICKETS
) -> RunFolder:
    """G1 is added, reworded and dropped in epochs of one round; an epoch without a change ends it."""
    run = RunFolder(folder, tickets)
    gone = RemovedRule(text=new, round=3, why="confidence below threshold", metadata=rule_meta(1, 5))
    left = guidance(3).model_copy(update={"removed": {"G1": gone}})
    born = guidance(1, G1=old)
    born = born.model_copy(update={"metadata": {"G1": born.metadata["G1"].model_copy(update={"sources": ["b::fail"]})}})
    life = reflection(2, 2, tallies={"G1": RuleTally(hits=1, misses=5)})
    no = [
        refused("须见挡风板", "fixes_too_few: 0"),
        refused("须见挡风板", "fixes_too_few: 1"),
        refused("其他", "too_long: 99 characters"),
    ]
    run.play(answers, after=born, reflections=(reflection(1, 1, "01", applied=[applied("add", old)], rejected=no),))
    run.play(
        answers,
        after=guidance(2, G1=new),
        reflections=(life, reflection(2, 2, "01", applied=[applied("update", new, key="G1")])),
    )
    run.play(answers, after=left, reflections=(reflection(3, 3, cleaned_up=["G1"]),))
    return run.play(answers).finish()


def engine(model: str) -> dict:
    return {"kind": "llama_cpp", "model": model}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = learnt_run(tmp_path / "runs" / "one" / "bbu_line").complete()
    run.configure(
        "rollout",
        engine=engine(str(tmp_path / "teacher.gguf")),
        fail_first={"enabled": True, "negatives": [["机柜处接地螺丝", "不符合要求"]]},
    )
    run.configure("reflect", engine=engine(str(tmp_path / "teacher.gguf")))
    return run


LEARN = LearnSection(holdout=0.2, seed=17)
LIMITS = {
    "errors": 96,
    "corrects": 96,
    "rounds": 4,
    "min_fixed": 2,
    "spend": 0.5,
    "early": 0.001,
    "foreign": 0.5,
    "min_precision": 0.75,
}
LIFE = {
    "confirm": 0.05, "proof": 0.0, "min_miss": 3, "min_precision": 0.75, "fail_precision": 0.0,
    "label_noise": 0.0, "max_harm": 0.05, "sure_harm": False,
}  # fmt: skip
LEFT = "no_lift: 4 right, 12 wrong, 50% by chance"
WORKS, RIDES, GONE = "出现标签无法识别则不通过", "出现电线散乱则不通过", "未见挡风板则不通过"
SOLID = Trial(
    errors=9,
    corrects=20,
    fixed=FIXED,
    broke=BROKE,
    precision=0.8,
    p_value=0.00123,
    level=0.0123,
    harm=0.0345,
    foreign="挡风板",
)


def groups(side: str) -> Iterator[str]:
    """Group ids of one side, without end."""
    return (name for number in count() if side_of(name := f"g{number}", LEARN) == side)


def tried(
    text: str, fixed: int, broke: int, level: float, p_value: float, why: str = "rides_on_the_base_rate: p"
) -> RejectedOperation:
    """A refused proposal that changed so many of ten wrong and ten right tickets."""
    trial = Trial(
        errors=10,
        corrects=10,
        fixed=[f"f{n}" for n in range(fixed)],
        broke=[f"b{n}" for n in range(broke)],
        precision=0.8,
        p_value=p_value,
        level=level,
        harm=0.0,
    )
    return RejectedOperation(op={"op": "add", "key": None, "keys": [], "text": text}, why=why, trial=trial)


# 3 of ten wrong and 0 of ten right: p = C(10, 3) / C(20, 3) = 0.105263; twice as many of each: 0.010098, three times:
# 0.000968, four times: 0.000093.
NEAR = [
    tried("须见线夹", 3, 0, 0.02, 0.105263),  # three times
    tried("须见扎带", 3, 0, 0.0001, 0.105263),  # six times; its better trial is
    tried("须见扎带。", 3, 0, 0.001, 0.105263),  # five times
    tried(f" {WORKS}。", 3, 0, 0.02, 0.105263),  # stands in the guidance
    tried("须见螺母", 3, 0, 1e-300, 0.105263),  # no number of tickets would do
    tried("须见垫片", 1, 0, 0.02, 0.5, "fixes_too_few: 1"),
    tried("须见护套", 3, 3, 0.02, 0.7, "breaks_too_many: fixed 3, broke 3"),
]


def weighed_run(
    folder: Path,
    released: Mapping[str, int] = MappingProxyType({"learn": 2, "holdout": 8}),
    blocked: Mapping[str, int] = MappingProxyType({"learn": 0, "holdout": 0}),
    near: list = NEAR,
) -> RunFolder:
    """Two epochs of two rounds on 40 fails and 10 passes to learn from, and 20 fails and 10 passes held out.

    So many fails are ``released`` and passes ``blocked`` on either side. Of three rules that came in round 1, G1 works,
    G2 lives on the base rate, and G3 leaves in round 3.
    """
    drawn = {side: groups(side) for side in ("learn", "holdout")}
    answers, tickets = {}, []
    for side, fails in (("learn", 40), ("holdout", 20)):
        for label, total, wrong in (("fail", fails, released[side]), ("pass", 10, blocked[side])):
            for number, name in enumerate(islice(drawn[side], total)):
                tickets.append(ticket(name, label))
                answers[tickets[-1].ticket_key] = label if number >= wrong else {"fail": "pass", "pass": "fail"}[label]
    run = RunFolder(folder, tickets)
    run.configure("collect", learn=LEARN.model_dump())
    run.configure("reflect", reflect={"trial": LIMITS}, life_cycle=LIFE)
    born = [
        AppliedOperation(op=Operation(op="add", text=text, evidence=["b::fail"]), key=key, trial=SOLID)
        for key, text in (("G1", WORKS), ("G2", RIDES), ("G3", GONE))
    ]
    first = guidance(3, G1=WORKS, G2=RIDES, G3=GONE)
    gone = RemovedRule(text=GONE, round=3, why=LEFT, metadata=rule_meta(4, 12))
    left = guidance(4, G1=WORKS, G2=RIDES).model_copy(update={"removed": {"G3": gone}})
    one, two = {"epoch": 1}, {"epoch": 2}
    run.play(
        answers, **one, after=first, reflections=(life(1, 1), reflection(1, 1, "01", applied=born, rejected=near[:1]))
    )
    run.play(
        answers,
        **one,
        reflections=(life(2, 1, G1=tally(9, 9, 1, 1), G3=tally(2, 4, 8, 6)), reflection(2, 1, "01", rejected=near[1:])),
    )
    third = life(
        3,
        2,
        G1=tally(10, 1, 20, 29, fresh=(8, 0, 20, 29)),
        G2=tally(6, 5, 19, 20, fresh=(0, 0, 19, 20)),
        G3=tally(2, 8, 8, 2),
    )
    run.play(
        answers, **two, after=left, reflections=(third.model_copy(update={"cleaned_up": ["G3"], "left": {"G3": LEFT}}),)
    )
    fourth = life(4, 2, G1=tally(10, 1, 10, 19, fresh=(7, 1, 10, 19)), G2=tally(6, 5, 19, 20, fresh=(0, 0, 19, 20)))
    run.play(answers, **two, reflections=(fourth,))
    return run.finish(rounds_per_epoch=2)


def tally(
    hits: int, misses: int, errors: int, corrects: int, fresh: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> RuleTally:
    seen = dict(zip(("hits", "misses", "errors", "corrects"), fresh, strict=True))
    return RuleTally(hits=hits, misses=misses, errors=errors, corrects=corrects, gives="fail", fresh=Tally(**seen))


def life(round: int, epoch: int, **tallies: RuleTally):
    return reflection(round, epoch, tallies=tallies, verdicts={"fail/fail": 40, "pass/pass": 10})


@pytest.fixture
def weighed(tmp_path) -> RunFolder:
    run = weighed_run(tmp_path / "runs" / "one" / "bbu_line").complete()
    run.configure("gate", gate={"max_frr": 0.5})
    return run


def as_an_older_version_left_it(run: RunFolder) -> None:
    """Take out what runs did not hold before they held tickets out."""
    (run.folder / "config" / "collect.yaml").unlink()
    run.configure("reflect", reflect={"trial": {"alpha": 0.005}}, life_cycle={"drop_threshold": 0.65, "min_miss": 3})
    for path in [run.folder / "metrics.jsonl", *run.rounds.glob("*/reflection.jsonl")]:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for row in rows:
            for name in ("learn", "holdout", "verdicts", "left", "trials"):
                row.pop(name, None)
            row["tallies"] = {
                key: {"hits": seen["hits"], "misses": seen["misses"]} for key, seen in row.get("tallies", {}).items()
            }
            if path.name == "metrics.jsonl":
                row.pop("tallies")
        write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


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


HOSTILE = [
    "<script>window.hacked=1</script>",
    '"><img src=x onerror=window.hacked=1>',
    "'--><svg/onload=window.hacked=1>",
    "</style></title>{{ 7*7 }}{% raw %}&lt;b&gt;",
    "{0}{name}%s",
]


@pytest.fixture
def hostile(tmp_path) -> RunFolder:
    """A run in which every text from data tries to be markup."""
    mark = " ".join(HOSTILE)
    tickets = [
        ticket(f"{mark}{number}", label, (f"标签/{mark},不符合要求×1", mark), reasons=(mark,))
        for number, label in enumerate(("pass", "fail"))
    ]
    answers = {tickets[0].ticket_key: "fail bad", tickets[1].ticket_key: "pass pass"}
    run = learnt_run(tmp_path / "run", f"旧{mark}", f"新{mark}", answers, tickets).complete()
    (run.folder / "evaluation").mkdir()
    bench = Bench(run.folder / "evaluation")
    bench.gate()
    for name in ("rounds/0001/reflection.jsonl", "need_review.json", "evaluation/gate.json", "loop.json"):
        path = run.folder / name
        text = path.read_text(encoding="utf-8")
        for plain in (
            "标签要能读",
            "b::fail",
            "e::pass",
            "fixes_too_few",
            "须见挡风板",
            "依据(G0)",
            '"reasons": [',
            '"folder": "',
            '"oscillations": [',
        ):
            here = json.dumps(mark)
            fresh = {
                '"reasons": [': f'"reasons": [{here}',
                '"folder": "': f'"folder": "{here[1:-1]}',
                '"oscillations": [': f'"oscillations": [{here}',
            }
            text = text.replace(plain, fresh.get(plain, f"{plain}{here[1:-1]}"))
        write_text(path, text)
    run.configure("rollout", engine=engine(mark), fail_first={"enabled": True, "negatives": [[mark]]})
    write_text(run.folder / "config" / "tickets.json", json.dumps({"source": mark, "sha256": mark}))
    return run
