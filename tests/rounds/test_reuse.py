"""rollout.reuse_gb: a ticket is not asked twice with one prompt and seed, in later rounds, other runs, after a kill."""

import os
import shutil
import sqlite3

import pytest
import yaml

from miniature.world.dataset import draw_tickets, sample_world, stage_a_rows
from tests.support.builders import Outcome, snapshot, ticket
from tests.support.playing import TICKETS, Bench, Killed, Speaker
from verdicts.base.jsonl import write_text
from verdicts.base.part_file import PartFile
from verdicts.engines import Completion
from verdicts.engines.reuse import AnswerStore
from verdicts.records.rollout import Trajectory
from verdicts.records.tickets import StageA

GIGABYTE = 10**9


class Store(Bench):
    """A bench whose rollouts keep their answers; ``weights``: the model file, where it is not the miniature's."""

    weights = ""

    def write(self, *tickets, reuse_gb: float = 1.0, **rules) -> "Store":
        super().write(*tickets, **rules)
        self.tell(engine={"model": self.weights} if self.weights else {})
        return self.tell(rollout={"reuse_gb": reuse_gb, "reuse_folder": str(self.folder / "kept")})

    def tell(self, **sections: dict) -> "Store":
        told = yaml.safe_load((self.folder / "rollout.yaml").read_text(encoding="utf-8"))
        for name, knobs in sections.items():
            told[name] |= knobs
        write_text(self.folder / "rollout.yaml", yaml.safe_dump(told, allow_unicode=True))
        return self


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Store:
    return Store(tmp_path, monkeypatch)


def asked(outcome: Outcome, engine: Speaker) -> tuple[str, int]:
    """What the summary line says of reuse, and how many tickets the engine was asked."""
    assert outcome.code == 0, outcome.err
    said = [part for part in outcome.last_line.split("; ") if part.startswith("reused ")]
    return said[0] if said else "", len({(user, system) for system, user, _ in engine.rollouts})


def test_a_later_round_under_the_same_guidance_asks_nothing_again(bench):
    tickets = [ticket(str(n), summaries=(f"螺丝/符合要求×{n + 1}",)) for n in range(5)]
    bench.write(tickets)
    first, second = Speaker(), Speaker(alive=0)
    assert asked(bench.rollout(first), first) == ("reused 0 of 5", 5)
    assert asked(bench.rollout(second, round=2, into="rounds/0002"), second) == ("reused 5 of 5", 0)
    rows, again = (bench.rows("trajectories.jsonl", Trajectory, f"rounds/000{n}") for n in (1, 2))
    by_key = {(row.ticket_key, row.candidate_index): row for row in rows}
    assert all(by_key[row.ticket_key, row.candidate_index].response_text == row.response_text for row in again)
    assert {row.round for row in again} == {2}


def edit_summary(bench: Store) -> None:
    bench.write([*TICKETS[:-1], ticket("e", summaries=("螺丝/符合要求×9",))])


def touch_weights(bench: Store) -> None:
    model = bench.folder / "teacher.gguf"
    os.utime(model, ns=(0, model.stat().st_mtime_ns + 10**9))


EDITS = {  # what is changed, and how many of five tickets are then asked
    "nothing": (lambda bench: None, 0),
    "the guard, which only reads answers": (lambda bench: bench.tell(fail_first={"enabled": False}), 0),
    "a label": (lambda bench: bench.write([TICKETS[0].model_copy(update={"label": "fail"}), *TICKETS[1:]]), 0),
    "a summary": (edit_summary, 1),
    "a group, and so its seeds": (lambda bench: bench.write([*TICKETS[:-1], ticket("other")]), 1),
    "a rule": (lambda bench: bench.write(G1="出现散乱则不通过"), 5),
    "the seed": (lambda bench: bench.tell(rollout={"seed": 18}), 5),
    "the length of answers": (lambda bench: bench.tell(rollout={"max_new_tokens": 95}), 5),
    "a temperature": (lambda bench: bench.tell(rollout={"grid": [{"temperature": 0.31, "top_p": 0.9}]}), 5),
    "a knob of the engine": (lambda bench: bench.tell(engine={"slots": 5}), 5),
    "the time of the weights": (touch_weights, 5),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_what_settles_an_answer_asks_anew_and_of_nothing_else(bench, name):
    edit, wanted = EDITS[name]
    bench.weights = str(bench.folder / "teacher.gguf")
    write_text(bench.folder / "teacher.gguf", "weights")
    bench.write().rollout(Speaker())
    edit(bench)
    engine = Speaker()
    bench.rollout(engine)
    assert len(engine.rollouts) == wanted * (1 if name == "a temperature" else 4)


def test_other_code_or_another_build_asks_anew(bench, monkeypatch):
    bench.write().rollout(Speaker())
    for name in ("verdicts.base.made.code_digest", "verdicts.engines.reuse.identity"):
        with monkeypatch.context() as patch:
            patch.setattr(name, lambda *_: "another")
            engine = Speaker()
            assert asked(bench.rollout(engine, into=name), engine)[0] == "reused 0 of 5"


def test_a_prompt_and_seed_that_come_twice_in_a_window_are_asked_once(bench):
    twice = [ticket("a"), ticket("a", "fail")]
    engine = Speaker()
    assert asked(bench.write(twice).rollout(engine), engine) == ("reused 1 of 2", 1)
    assert len(bench.rows("trajectories.jsonl", Trajectory)) == 8


def test_without_the_knob_nothing_is_kept_or_said(bench):
    engine = Speaker()
    assert asked(bench.write(reuse_gb=0).rollout(engine), engine)[0] == ""
    assert not (bench.folder / "kept").exists()


def test_an_engine_that_does_not_say_which_weights_answer_is_refused_before_it_is_opened(bench, monkeypatch):
    bench.write()
    told = yaml.safe_load((bench.folder / "rollout.yaml").read_text(encoding="utf-8"))
    told["engine"] = {
        "kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "api_key_env": "", "chunk": 2,
        "thinking": {"enabled": False, "max_new_tokens": 1}, "timeout_s": 1.0, "retries": 0, "concurrency": 1,
    }  # fmt: skip
    write_text(bench.folder / "rollout.yaml", yaml.safe_dump(told, allow_unicode=True))
    outcome = bench.rollout()
    assert outcome.code == 2
    assert "rollout.reuse_gb: an engine of kind openai does not say exactly which weights" in outcome.err


def test_a_rollout_that_is_killed_goes_on_with_the_bytes_it_would_have_had_with_the_real_engine(bench, monkeypatch):
    tickets = [StageA.model_validate(row) for row in rows_of_the_miniature(14)]
    bench.write(tickets[:4], chunk=3).rollout(into="before")  # of other tickets, in other batches
    kept = bench.folder / "kept"
    shutil.copytree(kept, bench.folder / "kept.before")
    bench.write(tickets, chunk=3)
    assert "reused 4 of 14" in bench.rollout(into="whole").last_line
    for chunks in (1, 2, 3):
        shutil.rmtree(kept)
        shutil.copytree(bench.folder / "kept.before", kept)
        append, left = PartFile.append, iter([True] * (chunks - 1))

        def dying(part, value, append=append, left=left):
            append(part, value)
            if not next(left, False):
                raise Killed

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(PartFile, "append", dying)
            bench.rollout(into=f"killed{chunks}")
        assert bench.rollout(into=f"killed{chunks}").code == 0
        assert snapshot(bench.folder / f"killed{chunks}") == snapshot(bench.folder / "whole")


def test_a_damaged_file_is_begun_anew_and_said(bench):
    bench.write().rollout(Speaker())
    for name in ("answers.sqlite", "answers.sqlite-journal"):
        (bench.folder / "kept" / name).write_bytes(b"no database" * 1000)
    engine = Speaker()
    outcome = bench.rollout(engine, into="rounds/0002")
    assert (
        "reused 0 of 5; " in outcome.last_line and "answers.sqlite was damaged and is begun anew" in outcome.last_line
    )
    again = Speaker(alive=0)
    assert asked(bench.rollout(again, into="rounds/0003"), again) == ("reused 5 of 5", 0)


def test_a_folder_that_cannot_be_written_costs_the_answers_and_not_the_rollout(bench):
    (bench.folder / "kept").write_text("a file")
    engine = Speaker()
    outcome = bench.write().rollout(engine)
    assert outcome.code == 0 and "new answers not kept: the disk refused (" in outcome.last_line


def answers(number: int) -> dict[bytes, list[Completion]]:
    return {b"%032d" % number: [Completion(f"{number} " + os.urandom(600).hex(), {"pass": -0.1, "fail": None}, "stop")]}


def test_the_longest_unused_answers_go_where_the_limit_is_reached(tmp_path):
    for number in range(40):
        store = AnswerStore(tmp_path, 40_000)
        store.get([b"%032d" % 0])  # used by every one
        store.put(answers(number))
        store.close()
    store = AnswerStore(tmp_path, 40_000)
    there = [number for number in range(40) if store.get([b"%032d" % number])]
    assert there[0] == 0 and there[-1] == 39 and 5 < len(there) < 40
    assert there[1:] == list(range(there[1], 40))
    assert (tmp_path / "answers.sqlite").stat().st_size <= 44_000


def test_answers_of_this_process_are_not_thrown_out_for_each_other(tmp_path):
    store = AnswerStore(tmp_path, 40_000)
    for number in range(100):
        store.put(answers(number))
    assert store.not_kept > 0 and store.evicted == 0 and store.get([b"%032d" % 0])
    assert "new answers not kept: raise rollout.reuse_gb" in store.said()


def test_an_answer_that_is_not_what_was_kept_is_asked_anew(tmp_path):
    store = AnswerStore(tmp_path, GIGABYTE)
    store.put(answers(1))
    with sqlite3.connect(tmp_path / "answers.sqlite") as file:
        ((packed,),) = file.execute("SELECT packed FROM answers")
        file.execute("UPDATE answers SET packed = ?", (packed[:50] + b"x" + packed[51:],))
    assert store.get([b"%032d" % 1]) == {}


def test_what_comes_back_is_what_was_kept_to_the_last_digit(tmp_path):
    store, logprob = AnswerStore(tmp_path, GIGABYTE), {"pass": -0.1 - 2**-50, "fail": -1e-300}
    some = [
        Completion("Verdict: 通过\nReason: \u2028齐", logprob, "length", "x"),
        Completion("", {"pass": None}, "stop"),
    ]
    store.put({b"k": some})
    assert store.get([b"k"]) == {b"k": some}


def rows_of_the_miniature(count: int) -> list[dict]:
    world = sample_world(2, "bbu_line")
    return stage_a_rows(world, draw_tickets(world, count, 2))
