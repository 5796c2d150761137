"""An engine that speaks by a script, and a place to play rounds with it."""

from pathlib import Path

import yaml

from tests.support.builders import MISSION, Outcome, call, guidance, ticket
from tests.support.fake_engine import FakeEngine
from verdicts import engines
from verdicts.base.jsonl import read_rows, write_rows, write_text
from verdicts.config.load import CONFIGS, load, read_yaml
from verdicts.config.tools import section_text
from verdicts.records.guidance import write_guidance
from verdicts.records.tickets import StageA
from verdicts.stage_b.protocol import render

PASS, FAIL = render("pass", "机柜处接地螺丝符合要求(G0)"), render("fail", "电线散乱(G0)")
TICKETS = [ticket("a"), ticket("b", "fail", ("电线/散乱×1",)), ticket("c", "fail"), ticket("d"), ticket("e")]


class Killed(BaseException):
    """A kill in the middle of a rollout."""


def by_content(system: str, user: str) -> str:
    return FAIL if "散乱" in user else PASS


class Speaker(FakeEngine):
    """Answers by what it reads, so that the order of tickets does not matter; dies after ``alive`` tickets."""

    def __init__(self, says=by_content, alive: int = 1000):
        super().__init__()
        self.says, self.alive = says, alive

    def rollout(self, system, users, decodes):
        for user, candidates in zip(users, decodes, strict=True):
            if not self.alive:
                raise Killed
            self.alive -= 1
            self.answers.extend(self.says(system, user) for _ in candidates)
            yield from super().rollout(system, [user], [candidates])


class Bench:
    """A folder with all that rollout reads."""

    def __init__(self, folder: Path, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        self.write()

    def write(self, tickets: list[StageA] = TICKETS, window: int = 128, chunk: int = 2, **rules: str) -> "Bench":
        config = load("miniature", "bbu_line", configs=CONFIGS)
        window_section, engine = (
            config.window.model_copy(update={"tickets": window}),
            config.engine.model_copy(update={"chunk": chunk}),
        )
        write_text(
            self.folder / "rollout.yaml",
            section_text(config.model_copy(update={"window": window_section, "engine": engine}), "rollout"),
        )
        write_rows(self.folder / "stage_a.jsonl", tickets)
        write_guidance(self.folder / "guidance.json", MISSION, guidance(len(rules), **rules))
        return self

    def decide(self, decision: str = "threshold", threshold: float | None = None) -> "Bench":
        """By what verdicts are chosen from now on."""
        section = self.folder / "rollout.yaml"
        told = read_yaml(section)
        told["rollout"] |= {"decision": decision, "threshold": threshold}
        write_text(section, yaml.safe_dump(told, allow_unicode=True, sort_keys=False))
        return self

    def rollout(
        self, engine: FakeEngine | None = None, round: int = 1, into: str = "rounds/0001", **options: object
    ) -> Outcome:
        if engine:
            self.monkeypatch.setattr(engines, "open_engine", lambda config: engine)
        return call(
            "rollout",
            config=self.folder / "rollout.yaml",
            stage_a=self.folder / "stage_a.jsonl",
            guidance=self.folder / "guidance.json",
            round=round,
            output_dir=self.folder / into,
            **options,
        )

    def rows(self, name: str, model, into: str = "rounds/0001") -> list:
        return read_rows(self.folder / into / name, model, allow_empty=True)
