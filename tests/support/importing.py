"""A folder of such teams' training rows with their photos, and what an import makes of them."""

import json
from pathlib import Path

from PIL import Image

from tests.support.builders import Outcome, call
from verdicts.base.jsonl import read_json, read_rows
from verdicts.corpus.rows import ImageRow
from verdicts.records.imports import ImportReport, RefusedImport, RepairedImport

WIDE, HIGH = 200, 100
BOX = {"desc": "BBU设备/华为,显示完整", "bbox_2d": [10, 10, 100, 60]}
OUTLINE = {"desc": "挡风板/华为", "poly": [50, 50, 100, 50, 100, 80, 50, 80]}
LINE = {"desc": "电线/捆扎整齐", "line": [10, 20, 60, 40, 150, 90]}
FRAME = {"desc": "无关图片", "bbox_2d": [0, 0, WIDE, HIGH]}
SUMMARY = "BBU设备/华为,显示完整×1，电线/捆扎整齐×1"


def talk(number: int = 1) -> dict:
    """A row of general chat."""
    texts = {"user": f"{number}加一？", "assistant": str(number + 1)}
    return {"messages": [{"role": role, "content": text} for role, text in texts.items()]}


class Desk:
    """Rows and photos of 200 x 100 in ``in/``; what an import makes of them in ``data/real/``."""

    def __init__(self, folder: Path):
        self.folder, self.out = folder, folder / "data" / "real"
        (folder / "in").mkdir()

    def photo(self, name: str | int, size: tuple[int, int] = (WIDE, HIGH), **save: object) -> str:
        """The name of a photo that is there; a number names one of a group of its own."""
        name = f"QC-AB-20250101-{name:05d}_1.jpg" if isinstance(name, int) else name
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, "grey").save(path, **save)
        return name

    def row(self, photo: str | int, **fields: object) -> dict:
        """A sound row about a photo that is there; None takes a field out."""
        row = {
            "images": [self.photo(photo)],
            "width": WIDE,
            "height": HIGH,
            "objects": [BOX, OUTLINE, LINE],
            "summary": SUMMARY,
        }
        return {name: said for name, said in (row | fields).items() if said is not None}

    def write(self, *rows: dict | str, name: str = "rows.jsonl") -> None:
        """Write a file of rows; text stands as it is."""
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        (self.folder / "in" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run(
        self,
        data: str = "in",
        mission: str = "bbu_line",
        name: str = "real",
        prompts: dict | None = None,
        **knobs: object,
    ) -> Outcome:
        """Run tools.import_data with prompts and ``import:`` knobs laid over the configuration.

        Nothing is held out by default.
        """
        overlay = self.folder / "knobs.yaml"
        knobs = {"held_out": {"share": 0.0}} | knobs
        told = {"import": knobs} | ({"prompts": prompts} if prompts else {})
        overlay.write_text(json.dumps(told), encoding="utf-8")
        path = str(self.folder / data) if data else ""
        return call("import_data", data=path, name=name, output_dir=self.out, mission=mission, overlay=overlay)

    def rows(self, name: str, model: type = ImageRow) -> list:
        """The rows of a written file."""
        return read_rows(self.out / f"{name}.jsonl", model, allow_empty=True)

    def answers(self, name: str) -> list[str]:
        """The answers in a written file."""
        return [row.messages[-1].content for row in self.rows(name)]

    def report(self) -> ImportReport:
        """The account, checked."""
        return read_json(self.out / "import.json", ImportReport)

    def refused(self) -> list[tuple[int, str, str]]:
        """Line, reason and field of each refused row."""
        return [(row.line, row.reason, row.field) for row in self.rows("refused", RefusedImport)]

    def repaired(self) -> list[tuple[int, str, str]]:
        """Line, repair and field of each repair."""
        rows = self.rows("repaired", RepairedImport)
        return [(row.line, one.repair, one.field) for row in rows for one in row.repairs]
