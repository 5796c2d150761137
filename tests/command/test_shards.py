"""Shares of a piece of work: who does what, by which variables, and what a merge refuses."""

import pytest

from verdicts.base.errors import UserError
from verdicts.command.shards import MergedShards, Shard, ShardFile, shard_named, standing

ARRAY = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "7", "SLURM_ARRAY_TASK_MIN": "1",
         "SLURM_ARRAY_TASK_MAX": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}  # fmt: skip
SRUN = {"SLURM_PROCID": "1", "SLURM_NTASKS": "7"}
FROM_0 = ARRAY | {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "6"}
INDEXED = {"JOB_COMPLETION_INDEX": "1"}
SKYPILOT = {"SKYPILOT_NODE_RANK": "1", "SKYPILOT_NUM_NODES": "7"}


@pytest.mark.parametrize("shares", [1, 2, 3, 7, 20])
def test_the_shares_do_every_unit_once(shares):
    done = [unit for number in range(1, shares + 1) for unit in Shard(number, shares).units(13)]
    assert sorted(done) == list(range(13))
    items = "abcdefghijk"  # units of two items, the last of one
    parts = [Shard(number, shares).of_units(items, 2) for number in range(1, shares + 1)]
    assert sorted("".join("".join(part) for part in parts)) == sorted(items)
    assert Shard(1, 3).of_units(items, 2) == list("abgh") and Shard(3, 3).of_units(items, 2) == list("efk")


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("2/7", {}),
        ("2/7", SRUN | {"SLURM_PROCID": "5"}),  # what is said counts, not what is there
        ("slurm", ARRAY),
        ("slurm/7", ARRAY | {"SLURM_ARRAY_TASK_COUNT": "1", "SLURM_ARRAY_TASK_MIN": "2", "SLURM_ARRAY_TASK_MAX": "2"}),
        ("slurm", SRUN),
        ("kubernetes/7", INDEXED),
        ("skypilot", SKYPILOT),
        ("auto", ARRAY),
        ("auto", SRUN),
        ("auto/7", INDEXED),
        ("auto", SKYPILOT),
    ],
)
def test_a_share_is_said_or_read_from_the_scheduler_that_is_named(text, variables):
    assert shard_named(text, variables) == Shard(2, 7)


@pytest.mark.parametrize("text", ["", "merge"])
def test_a_variable_that_is_merely_there_takes_no_share(text):
    assert shard_named(text, ARRAY | SRUN | INDEXED | SKYPILOT) is None


@pytest.mark.parametrize(
    ("text", "variables", "message"),
    [
        ("0/7", {}, "0 is no share of 7 (0/7); they are counted from 1 to N"),
        ("8/7", {}, "8 is no share of 7 (8/7)"),
        ("2", {}, "is no share (2); write i/N"),
        ("slurm", {}, "SLURM_PROCID is not set (slurm)"),
        ("slurm", FROM_0, "the array's ids are 0 to 6, 7 of"),
        ("slurm", ARRAY | {"SLURM_ARRAY_TASK_COUNT": "1"}, "not 1 to 1 (slurm); submit --array=1-N, or name the"),
        ("slurm", ARRAY | {"SLURM_NTASKS": "2"}, "an array's task has several tasks of srun"),
        ("slurm/7", SRUN, "names a count, and SLURM_NTASKS has one (slurm/7); write slurm"),
        ("kubernetes", INDEXED, "JOB_COMPLETION_INDEX has no count beside it (kubernetes); name it: kubernetes/N"),
        ("skypilot", {"SKYPILOT_NODE_RANK": "-1"}, "SKYPILOT_NODE_RANK is '-1' (skypilot)"),
        ("auto", {}, "no scheduler's variable is set (auto)"),
        ("auto", SRUN | SKYPILOT, "variables of skypilot and of slurm are set (auto)"),
    ],
)  # fmt: skip
def test_what_is_no_share_is_named(text, variables, message):
    with pytest.raises(UserError) as found:
        shard_named(text, variables)
    assert message in str(found.value) and str(found.value).startswith("--shard: ")


@pytest.fixture
def result(tmp_path):
    return tmp_path / "answers.jsonl"


def write(result, shares: int, total: int = 5, inputs: str = "a", made_with: str = "cpu") -> None:
    """All shares of five units: the unit's number, as a list."""
    for number in range(1, shares + 1):
        part = ShardFile(result, Shard(number, shares), inputs, made_with, list[int])
        part.load()
        for unit in Shard(number, shares).units(total):
            part.append([unit])
        part.finish()


def merged(result, inputs: str = "a") -> list[list[int]]:
    merge = MergedShards(result, inputs, list[int])
    merge.check(5, lambda unit, value: value == [unit])
    return list(merge.units(5))


@pytest.mark.parametrize("shares", [1, 2, 3, 7])
def test_a_merge_has_the_units_in_their_order_however_many_shares_there_are(result, shares):
    write(result, shares)
    assert merged(result) == [[0], [1], [2], [3], [4]]
    assert standing(result, Shard(1, shares), "a") == Shard(1, shares).path(result)
    assert standing(result, Shard(1, shares), "b") is None
    MergedShards(result, "a", list[int]).remove()
    assert list(result.parent.iterdir()) == []


def test_a_merge_refuses_in_one_sentence_what_is_not_all_of_one_work(result):
    def refused(inputs: str = "a") -> str:
        with pytest.raises(UserError) as found:
            merged(result, inputs)
        return str(found.value).removeprefix(f"{result.parent}/")

    assert refused() == "answers.jsonl: --shard: no share of it is there; make them first: SHARD=1/N to N/N"
    write(result, 3)
    foreign = "answers.shard-1-of-3.jsonl:1: was made of other inputs (tickets, model, prompts, settings or version)"
    assert refused("b").startswith(foreign) and refused("b").endswith("; run SHARD=1/3 again")
    two = Shard(2, 3).path(result)
    whole = two.read_bytes()
    two.unlink()
    assert refused() == "answers.jsonl: --shard: missing of its 3 shares: 2; run SHARD=2/3"
    two.write_bytes(Shard(3, 3).path(result).read_bytes())
    again = "answers.shard-2-of-3.jsonl:1: it is share 3/3, under another's name; delete it and run SHARD=2/3"
    assert refused() == again
    two.write_bytes(whole[:-1])  # torn
    assert refused().startswith("answers.shard-2-of-3.jsonl:3: is damaged, or no unit of this share; delete it")
    two.write_bytes(whole + b"[4]\n")  # a unit twice
    assert refused().startswith("answers.shard-2-of-3.jsonl:4: is damaged, or no unit of this share")
    two.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    assert refused() == "answers.shard-2-of-3.jsonl: ends after 1 of 2 units; delete it and run SHARD=2/3"
    two.write_bytes(b"[]\n")
    assert refused().startswith("answers.shard-2-of-3.jsonl:1: its first line is not a share's")
    two.write_bytes(whole.replace(b"cpu", b"gpu"))
    assert "was made with gpu, another with cpu: answers round otherwise; make all shares with the same" in refused()
    write(result, 2)
    assert refused() == "answers.jsonl: --shard: shares of 2 and of 3 lie beside it; delete those of one"
