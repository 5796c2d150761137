"""rollout, predict and summarize in shares, by the real miniatures: the bytes of one that did it all."""

import shutil
from pathlib import Path

import pytest

from miniature.drawing import photos
from tests.support.builders import Outcome, call, drawn_rows, guidance, snapshot
from verdicts.base.jsonl import write_rows, write_text
from verdicts.base.part_file import PartFile
from verdicts.command.shards import Shard
from verdicts.config.load import load
from verdicts.config.tools import section_text
from verdicts.records.guidance import write_guidance

RULES = guidance(1, G1="出现电线散乱则不通过")
SHARES = (1, 2, 3, 7)  # of three to four units: more shares than units too
TICKETS = 7


class Killed(BaseException):
    """A kill in the middle."""


class Work:
    """A folder with what one of the tools reads, and how it is called."""

    def __init__(self, folder: Path, tool: str, result: str):
        self.folder, self.tool, self.result = folder, tool, result
        config = load("miniature", "bbu_line")
        small = {
            "engine": config.engine.model_copy(update={"chunk": 2, "n_threads": 1}),
            "evaluate": config.evaluate.model_copy(update={"batch": 2}),
            "summarize": config.summarize.model_copy(update={"batch": 2}),
        }
        write_text(folder / f"{tool}.yaml", section_text(config.model_copy(update=small), tool))
        write_rows(folder / "tickets.jsonl", drawn_rows("bbu_line", TICKETS))
        write_guidance(folder / "guidance.json", config.mission.name, RULES)

    def __call__(self, into: str, **options: object) -> Outcome:
        given = {"config": self.folder / f"{self.tool}.yaml"} | options
        if self.tool == "summarize":
            given |= {"mission": "bbu_line", "input": self.folder / "photos" / "bbu_line"}
        else:
            tickets = {"rollout": "stage_a", "predict": "tickets"}[self.tool]
            given |= {tickets: self.folder / "tickets.jsonl", "guidance": self.folder / "guidance.json"}
        if self.tool == "rollout":
            return call("rollout", round=1, output_dir=self.folder / into, **given)
        return call(self.tool, output=self.folder / into / self.result, **given)

    def share(self, into: str, number: int, shares: int) -> Path:
        return Shard(number, shares).path(self.folder / into / self.result)


@pytest.fixture(params=["rollout", "predict", "summarize"])
def work(tmp_path, request) -> Work:
    if request.param != "rollout":
        pytest.importorskip("torch", reason="the student needs torch: make setup-student")
    if request.param == "summarize":
        photos.main(mission="bbu_line", seed=5, tickets=2, output=tmp_path / "photos")
    result = {"rollout": "rollout.jsonl", "predict": "predictions.jsonl", "summarize": "stage_a.jsonl"}
    return Work(tmp_path, request.param, result[request.param])


def test_any_number_of_shares_comes_to_the_bytes_of_one_that_did_it_all(work):
    assert work("whole").code == 0
    whole = snapshot(work.folder / "whole")
    for shares in SHARES:
        into = f"in-{shares}"
        for number in range(shares, 0, -1):  # in any order
            done = work(into, shard=f"{number}/{shares}")
            assert done.code == 0, done.err
            assert f"share {number}/{shares}: " in done.err
        assert {path.name for path in (work.folder / into).iterdir()} == {
            work.share(into, number, shares).name for number in range(1, shares + 1)
        }
        merged = work(into, shard="merge")
        assert merged.code == 0, merged.err
        assert snapshot(work.folder / into) == whole


def test_a_killed_share_goes_on_a_whole_one_is_kept_and_what_is_not_all_of_it_is_refused(work, monkeypatch):
    assert work("whole").code == 0
    append, lines = PartFile.append, []

    def dying(self, value):
        if lines:
            raise Killed
        append(self, value)
        lines.append(value)

    monkeypatch.setattr(PartFile, "append", dying)
    with pytest.raises(Killed):
        work("in", shard="1/2")
    monkeypatch.setattr(PartFile, "append", append)
    kept = [path.name for path in (work.folder / "in").iterdir()]
    assert kept == [f".{work.share('in', 1, 2).stem}.part"]  # and no share yet
    assert work("in", shard="merge").err.endswith("; make them first: SHARD=1/N to N/N\n")

    monkeypatch.setattr(PartFile, "append", lambda self, value: lines.append(value) or append(self, value))
    assert work("in", shard="1/2").code == 0
    assert len(lines) == len(work.share("in", 1, 2).read_text(encoding="utf-8").splitlines()) - 1  # none done twice
    assert ": kept " in work("in", shard="1/2").err

    refused = work("in", shard="merge")
    assert (refused.code, refused.err.count("\n")) == (2, refused.err.count("looking") + 1)
    assert refused.err.endswith("missing of its 2 shares: 2; run SHARD=2/2\n")
    assert work("in", shard="2/2").code == 0
    two = work.share("in", 2, 2)
    mine = two.read_text(encoding="utf-8")
    two.write_text(mine.replace('"inputs": "', '"inputs": "f', 1), encoding="utf-8")
    refused = work("in", shard="merge")
    assert refused.code == 2 and f"{two}:1: was made of other inputs" in refused.err
    shutil.copy(work.share("in", 1, 2), two)
    assert f"{two}:1: it is share 1/2, under another's name" in work("in", shard="merge").err
    two.write_text(mine, encoding="utf-8")
    assert work("in", shard="merge").code == 0
    assert snapshot(work.folder / "in") == snapshot(work.folder / "whole")


def test_photos_to_be_judged_have_no_shares(tmp_path):
    pytest.importorskip("torch", reason="the student needs torch: make setup-student")
    predict = Work(tmp_path, "predict", "predictions.jsonl")
    (tmp_path / "photos" / "T-1").mkdir(parents=True)
    refused = call(
        "predict", config=tmp_path / "predict.yaml", tickets=tmp_path / "photos", guidance=tmp_path / "guidance.json",
        output=tmp_path / "out" / predict.result, shard="1/2",
    )  # fmt: skip
    assert refused.code == 2 and "photos are summarised and judged in one go, which has no shares" in refused.err
