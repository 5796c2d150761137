"""tools.export_gate: what ships, and each reason why an export does not, on answers that are written by hand."""

import json
from pathlib import Path

import pytest

from tests.support.builders import Outcome, call
from tests.support.exporting import STUDENT, write_export
from tests.support.judging import BOXES, GOOD, SUMMARY, Bench
from verdicts.base.jsonl import read_json, write_json, write_text
from verdicts.config.load import load
from verdicts.config.sections import LlamaServerSection
from verdicts.config.tools import section_text
from verdicts.export.asking import export_hash, read_conversion
from verdicts.export.check import Check
from verdicts.export.convert import MMPROJ, MODEL
from verdicts.export.records import Conversion, ExportGate
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.records.evaluation import Named


class Parity:
    """A bench with a base, the miniature student as the taught one, its exported files, and answers of both engines."""

    def __init__(self, folder: Path, **said: list[str]):
        self.folder, self.bench = folder, Bench(folder)
        self.files, self.output = folder / "gguf-f16", folder / "export.json"
        config = load("miniature", "bbu_line")
        write_text(folder / "export_gate.yaml", section_text(config, "export_gate"))
        self.settings: LlamaServerSection = config.llama_server
        write_export(self.files)
        self.convert()
        self.name("after", STUDENT.as_posix(), checkpoint_hash(STUDENT))
        self.serve(**said)

    def convert(self) -> None:
        """What was compared when the files were made."""
        check = Check(STUDENT, self.files, "f16", "f16")
        found = Conversion(
            student=Named(folder=STUDENT.as_posix(), sha256=checkpoint_hash(STUDENT)), llama_cpp="x", quant="f16",
            mmproj_quant="f16", files=check.files, settings_checked=check.settings, photo_tokens=[16, 64], found=[],
        )  # fmt: skip
        write_json(self.files / "conversion.json", found)

    def name(self, side: str, folder: str, sha256: str) -> None:
        path = self.bench.path(side)
        held = json.loads(path.read_text()) | {"student": {"folder": folder, "sha256": sha256}}
        write_text(path, json.dumps(held))

    def serve(self, **said: list[str]) -> None:
        """Answers of llama-server with the files as they are now."""
        self.bench.write("served", **(GOOD | said))
        self.name("served", self.files.as_posix(), export_hash(self.files, self.settings))

    def gate(self) -> Outcome:
        sides = {side: self.bench.path(side) for side in ("before", "after", "served")}
        config = self.folder / "export_gate.yaml"
        return call("export_gate", config=config, export=self.files, student=STUDENT, output=self.output, **sides)

    def found(self) -> ExportGate:
        return read_json(self.output, ExportGate)


@pytest.fixture
def parity(tmp_path):
    return Parity(tmp_path)


def test_an_export_whose_answers_are_the_students_ships(parity):
    out = parity.gate()
    assert out.code == 0, out.err
    found = parity.found()
    assert (found.state, found.reasons, str(found.agreement)) == ("shipped", [], "100.0% [96.9%, 100.0%] (120/120)")
    assert "same verdict: 100.0%" in out.out and "may ship" in out.err


def test_more_than_one_verdict_in_a_hundred_that_differs_refuses(parity):
    parity.serve(**{"pass": ["fail"] + ["pass"] * 39})  # 1 of 120: 99.2 % agree
    assert parity.gate().code == 0
    parity.serve(**{"pass": ["fail"] * 2 + ["pass"] * 38})  # 2 of 120: 98.3 %
    out = parity.gate()
    assert out.code == 1 and parity.found().reasons == [
        "2 of 120 verdicts are others than by transformers: at least 99.0% have to agree"
    ]
    assert "export_gate: 2 of 120 verdicts are others" in out.err and "REFUSED, 1 reason;" in out.err


def test_a_false_release_rate_outside_of_transformers_interval_refuses(parity):
    parity.serve(fail=["pass"] * 4 + ["fail"] * 76)  # 0 of 80 by transformers: [0 %, 4.58 %]; 4 of 80 are 5 %
    assert parity.gate().code == 1
    assert "FRR 5.00% on llama.cpp lies outside of transformers' interval [0.00%, 4.58%]" in parity.found().reasons
    assert any("FRR may be above its limit 5.00%" in reason for reason in parity.found().reasons)


def test_what_the_student_loses_of_its_old_tasks_there_refuses(parity):
    parity.serve(summary=[SUMMARY] * 39 + [""], dense=[BOXES] * 36 + ["[]"] * 4)
    assert parity.gate().code == 1
    reasons = parity.found().reasons
    assert [reason.partition(" lost ")[0] for reason in reasons] == [
        "summary exact match", "summary attribute F1", "dense F1 at IoU 0.5",
    ]  # fmt: skip
    assert "lost 2.50 points, its limit is 1" in reasons[0]  # 1 of 40


def swap(file: str, held: dict) -> None:
    if file == MODEL:
        held["blk.2.attn_q.weight"], held["blk.3.attn_q.weight"] = (
            held["blk.3.attn_q.weight"], held["blk.2.attn_q.weight"],
        )  # fmt: skip


def shuffle(file: str, held: dict) -> None:
    if file == MMPROJ:
        held["mm.2.weight"] = held["mm.2.weight"][::-1].copy()


def other_template(file: str, fields: dict) -> None:
    if file == MODEL:
        fields["tokenizer.chat_template"] = "{{ messages }}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tensors": swap}, "model.gguf: values: blk.2.attn_q.weight is not model.language_model.layers.2"),
        ({"tensors": shuffle}, "mmproj.gguf: values: mm.2.weight is not model.visual.merger.linear_fc2.weight of the"),
        ({"settings": other_template}, "model.gguf: chat_template: it is another than the student's"),
    ],
)
def test_files_that_are_no_longer_those_that_were_compared_are_compared_again(parity, change, reason):
    write_export(parity.files, **change)
    parity.serve()  # even where every answer is the student's
    assert parity.gate().code == 1
    assert parity.found().reasons[0].startswith(reason)


def test_answers_of_other_files_or_settings_are_not_judged(parity):
    write_export(parity.files, tensors=swap)
    out = parity.gate()
    assert out.code == 2 and "it is about other files or settings of llama-server" in out.err
    assert not parity.output.exists()


def test_an_export_of_another_student_is_refused(parity, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for path in STUDENT.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    write_text(other / "chat_template.jinja", "{{ messages }}")
    with pytest.raises(Exception, match="export the student again"):
        read_conversion(parity.files, other)
