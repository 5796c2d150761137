"""Sources and configurations of a mix, written by hand, for tests of fuse and what follows it."""

import json
import struct
import zlib
from pathlib import Path

import yaml

from tests.support.builders import Outcome, call
from verdicts.base.jsonl import read_json, write_rows
from verdicts.corpus.mix import Manifest
from verdicts.corpus.rows import FusedRow, read_fused

ROOT = Path(__file__).resolve().parents[2]
ANSWER = {"pass": "Verdict: 通过\nReason: 符合要求(G0)", "fail": "Verdict: 不通过\nReason: 缺少机柜处接地螺丝(G0)"}


def png() -> bytes:
    """A grey photo of 32 x 32."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 32, 32, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress((b"\0" + b"\x80" * 32) * 32))
        + chunk(b"IEND", b"")
    )


def chat_row(number: int, label: str) -> dict:
    """A row of distill.train.jsonl."""
    texts = {
        "system": "你是审核员。\nG0: 须见机柜处接地螺丝",
        "user": f"image_1: 螺丝{number}",
        "assistant": ANSWER[label],
    }
    messages = [{"role": role, "content": text} for role, text in texts.items()]
    return {
        "group_id": f"g{number}",
        "mission": "BBU接地线检查",
        "label": label,
        "messages": messages,
        "weight": 1.0,
        "flags": "",
    }


def photo_row(number: int, answer: str) -> dict:
    """A row of a dense or summary source."""
    messages = [{"role": "user", "content": "<image>请描述"}, {"role": "assistant", "content": answer}]
    return {"images": [f"photos/{number}.png"], "messages": messages}


def source(name: str, dataset: str, **fields: object) -> dict:
    """A source of the config, taken at ratio 1 with no validation rows, but for ``fields``; None takes a key out."""
    template = "chatml" if dataset == "chat" else dataset
    base = {
        "name": name,
        "dataset": dataset,
        "template": template,
        "paths": [f"in/{name}.jsonl"],
        "val": {"share": 0},
        "ratio": 1.0,
        "weight": 1.0,
    }
    base |= {"fail_oversample": 1.0} if dataset == "chat" else {}
    return {key: value for key, value in (base | fields).items() if value is not None}


class Bench:
    """Three sources: 40 chat rows (10 failed), 60 dense ones (12 characters each), 30 summaries (4 each)."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "in" / "photos").mkdir(parents=True)
        for number in range(60):
            (folder / "in" / "photos" / f"{number}.png").write_bytes(png())
        write_rows(
            folder / "in" / "chat.jsonl",
            [chat_row(number, "fail" if number % 4 == 0 else "pass") for number in range(40)],
        )
        write_rows(folder / "in" / "dense.jsonl", [photo_row(number, "机柜/螺丝×123456") for number in range(60)])
        write_rows(folder / "in" / "summary.jsonl", [photo_row(number, "螺丝×1") for number in range(30)])
        self.configure()

    def configure(self, *sources: dict, seed: int = 17, image_paths: str = "relative", **mix: object) -> Path:
        """Write mix.yaml: the three sources by rows, unless said otherwise."""
        self.config = self.folder / "mix.yaml"
        chosen = list(sources) or [source("chat", "chat"), source("dense", "dense"), source("summary", "summary")]
        value = {
            "seed": seed,
            "image_paths": image_paths,
            "mix": {"by": "rows", "anchor": chosen[0]["name"], "tokenizer": ""} | mix,
            "sources": chosen,
        }
        self.config.write_text(yaml.safe_dump(value, allow_unicode=True, sort_keys=False), encoding="utf-8")
        return self.config

    def fuse(self, output_dir: str = "out") -> Outcome:
        """Run tools.fuse."""
        return call("fuse", config=self.config.name, output_dir=output_dir)

    def rows(self, part: str = "train", output_dir: str = "out") -> list[FusedRow]:
        """The fused rows as sft reads them."""
        return list(read_fused(self.folder / output_dir / f"mix.{part}.jsonl"))

    def lines(self, name: str) -> list[dict]:
        """The rows of a source file."""
        return [
            json.loads(line) for line in (self.folder / "in" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        ]

    def manifest(self) -> Manifest:
        """The manifest, checked."""
        return read_json(self.folder / "out" / "mix.manifest.json", Manifest)
