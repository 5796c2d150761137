"""Chat rows, a section file and a run of sft, for tests of teaching."""

from pathlib import Path

import yaml

from verdicts.config.load import load
from verdicts.config.tools import section_text

SETTINGS = {
    "top_layers": 2,
    "rank": 4,
    "learning_rate": 0.01,
    "epochs": 5.0,
    "batch_rows": 2,
    "accumulate": 2,
    "save_steps": 2,
    "log_steps": 2,
    "max_tokens": 400,
    "keep": [],
}


def turn(user: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]


def chat(user: str, answer: str, weight: float = 1.0) -> dict:
    messages = [{"role": "system", "content": "你是复核员。"}, *turn(user, answer)]
    return {"messages": messages, "images": [], "task": "chat", "source": "chat", "weight": weight, "group_id": "g"}


def seen(photo: Path, answer: str, weight: float = 1.0) -> dict:
    return {
        "messages": turn("<image>写出事实。", answer),
        "images": [str(photo)],
        "task": "summary",
        "source": "summary",
        "weight": weight,
        "group_id": "p",
    }


def config(path: Path, student: Path, **changes: object) -> Path:
    """A section file for this student."""
    section = yaml.safe_load(section_text(load("miniature", "bbu_line"), "sft"))
    section["student"] |= {"model": str(student), "n_threads": 1}
    section["sft"] |= SETTINGS | changes
    path.write_text(yaml.safe_dump(section), encoding="utf-8")
    return path


def files(folder: Path) -> dict[str, bytes]:
    """What training leaves; not the note of what it was made from, which names the folders of the test."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name != ".made"
    }


def refused(outcome, words: str) -> None:
    assert outcome.code == 2
    assert words in outcome.err and len(outcome.err.strip().splitlines()) == 1, outcome.err
