"""Given tickets of tools that keep no copy of them: held-out ones, and those that are measured on."""

import json
from pathlib import Path

from tests.support.builders import ticket
from verdicts.base.jsonl import write_text
from verdicts.config.load import load
from verdicts.intake.given import given_tickets


def test_tools_without_a_run_take_tickets_as_a_run_does_and_say_so(tmp_path: Path, capsys):
    rows = [ticket(f"g{number}").model_dump() for number in range(20)]
    rows[3] |= {"label": "审核不通过", "note": "x"}
    path = tmp_path / "t.jsonl"
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows) + "{\n")
    tickets = given_tickets(path, load("miniature", "bbu_line"))
    assert tickets == [ticket(f"g{number}", "fail" if number == 3 else "pass") for number in range(20)]
    assert capsys.readouterr().err.splitlines() == [
        f"{path}: REFUSED 1 of 21 rows (4.8%) that can be no ticket: not_json 1; see tickets.refused.jsonl",
        "tickets: 1 repairs (label 1), see tickets.repaired.jsonl; fields kept aside in tickets.aside.jsonl (note 1)",
        "tickets: this tool keeps no lists; a run of these tickets does",
    ]
