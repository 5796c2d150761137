"""Rows of training JSONL in the formats of such teams, and rows that are broken in every way that was thought of.

A sound row is ``{images, objects, summary, width, height}`` with pixels, now and then with ``metadata`` and with the
numbers of points; a chat row is ``{messages}`` alone. Each kind of broken row says what an importer has to do with it.
"""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Literal, NamedTuple

from miniature.formats.shapes import Shape
from miniature.formats.words import IRRELEVANT, summary_v1, summary_v2, v2_of

Generation = Literal["v1", "v2"]
Expected = Literal["refused", "repaired"]
Row = dict[str, Any]


def photo_row(image: str, shapes: Sequence[Shape], generation: Generation, size: tuple[int, int], rng: Random) -> Row:
    """A photo with its objects, in no order, and its summary."""
    objects = [_object(shape, generation, rng) for shape in rng.sample(shapes, len(shapes))]
    words = [shape.v1 for shape in shapes]
    summary = summary_v1(words) if generation == "v1" else summary_v2(words)
    row: Row = {"images": [image], "objects": objects, "summary": summary, "width": size[0], "height": size[1]}
    if rng.random() < 0.3:
        row["metadata"] = {"_fusion_source": "drawn", "_fusion_mode": "dense"}
    return row


def _object(shape: Shape, generation: Generation, rng: Random) -> Row:
    out: Row = {"desc": shape.v1 if generation == "v1" else v2_of(shape.v1), shape.kind: list(shape.pixels)}
    if shape.kind != "bbox_2d" and rng.random() < 0.2:
        out[f"{shape.kind}_points"] = len(shape.pixels) // 2
    return out


def irrelevant_row(image: str, size: tuple[int, int]) -> Row:
    """A photo that shows nothing of the site: a dummy box of the whole frame, and one word."""
    frame = {"desc": IRRELEVANT, "bbox_2d": [0, 0, *size]}
    return {"images": [image], "objects": [frame], "summary": IRRELEVANT, "width": size[0], "height": size[1]}


def chat_row(rng: Random) -> Row:
    """General chat without a photo."""
    a, b = rng.randrange(2, 60), rng.randrange(2, 60)
    question, answer = rng.choice((
        (f"{a}加{b}等于多少？", f"{a + b}"),
        (f"{a}和{b}哪个大？", "一样大" if a == b else f"{max(a, b)}"),
        (f"把{a}个螺丝平均放进1个盒子，每盒几个？", f"{a}个"),
        (f"第{a}号机柜和第{b}号机柜是同一个机柜吗？", "是" if a == b else "不是"),
    ))  # fmt: skip
    system = [{"role": "system", "content": "你是一个乐于助人的助手。"}] if rng.random() < 0.5 else []
    return {"messages": [*system, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


class Broken(NamedTuple):
    """A kind of broken row: what must become of it, and how a sound row becomes one.

    ``photo``: what lies at the row's path, a sound photo, none, or bytes that are none.
    """

    expected: Expected
    change: Callable[[Row], Row | str]
    photo: Literal["sound", "missing", "garbage"] = "sound"


def _with(**changes: Any) -> Callable[[Row], Row]:
    return lambda row: row | changes


def _without(*names: str) -> Callable[[Row], Row]:
    return lambda row: {name: value for name, value in row.items() if name not in names}


def _first(change: Callable[[Row], Row], kind: str = "") -> Callable[[Row], Row]:
    """Change the first object (of a kind of geometry, where one is named)."""

    def changed(row: Row) -> Row:
        at = next(index for index, one in enumerate(row["objects"]) if not kind or kind in one)
        objects = [change(dict(one)) if index == at else one for index, one in enumerate(row["objects"])]
        return row | {"objects": objects}

    return changed


def _geometry(change: Callable[[list], Any], kind: str) -> Callable[[Row], Row]:
    """Change the geometry of the first object that has this kind."""

    def changed(one: Row) -> Row:
        return {name: value for name, value in one.items() if name != f"{kind}_points"} | {kind: change(one[kind])}

    return _first(changed, kind)


def _cut_off(row: Row) -> str:
    text = json.dumps(row, ensure_ascii=False)
    return text[: len(text) * 2 // 3]


def _second_box(one: Row) -> Row:
    return one | {"poly": [4, 4, 30, 4, 30, 30, 4, 30], "bbox_2d": [4, 4, 30, 30]}


def _no_geometry(one: Row) -> Row:
    return {"desc": one["desc"]}


# A row of each kind is planted into the set; the key says where. A row whose photo kinds need a line or an outline is
# made of a photo that has one.
BROKEN: dict[str, Broken] = {
    "cut_off": Broken("refused", _cut_off),
    "a_list": Broken("refused", lambda row: json.dumps([row], ensure_ascii=False)),
    "no_photo_named": Broken("refused", _with(images=[])),
    "two_photos": Broken("refused", lambda row: row | {"images": row["images"] * 2}),
    "photo_missing": Broken("refused", dict, "missing"),
    "photo_is_none": Broken("refused", dict, "garbage"),
    "no_objects": Broken("refused", lambda row: _without("summary")(row) | {"objects": []}),
    "objects_no_list": Broken("refused", _with(objects={"desc": "BBU设备"})),
    "two_geometries": Broken("refused", _first(_second_box)),
    "no_geometry": Broken("refused", _first(_no_geometry)),
    "odd_outline": Broken("refused", _geometry(lambda flat: flat[:-1], "poly")),
    "two_point_outline": Broken("refused", _geometry(lambda flat: flat[:4], "poly")),
    "one_point_path": Broken("refused", _geometry(lambda flat: flat[:2], "line")),
    "box_of_three": Broken("refused", _geometry(lambda flat: flat[:3], "bbox_2d")),
    "box_inside_out": Broken("refused", _geometry(lambda flat: [flat[2], flat[3], flat[0], flat[1]], "bbox_2d")),
    "number_as_text": Broken("refused", _geometry(lambda flat: [str(flat[0]), *flat[1:]], "bbox_2d")),
    "number_is_nan": Broken("refused", _geometry(lambda flat: [float("nan"), *flat[1:]], "bbox_2d")),
    "far_outside": Broken("refused", _geometry(lambda flat: [flat[0], flat[1], 9000, 9000], "bbox_2d")),
    "no_words": Broken("refused", _first(lambda one: one | {"desc": ""})),
    "words_no_text": Broken("refused", _first(lambda one: one | {"desc": 7})),
    "no_size": Broken("refused", _without("width", "height")),
    "other_size": Broken("refused", lambda row: row | {"width": row["height"], "height": row["width"]}),
    "blanks_in_words": Broken("repaired", _first(lambda one: one | {"desc": one["desc"].replace(",", " , ") + " "})),
    "closed_outline": Broken("repaired", _geometry(lambda flat: [*flat, *flat[:2]], "poly")),
    "just_outside": Broken("repaired", _geometry(lambda flat: [-2, *flat[1:]], "bbox_2d")),
    "summary_no_text": Broken("repaired", lambda row: row | {"summary": json.loads(row["summary"])}),
}
# Kinds that only a v2 row can have.
V2_ONLY = {"summary_no_text"}


def fits(kind: str, shapes: Sequence[Shape]) -> bool:
    """Whether a photo with these objects can show this kind of damage."""
    has = {shape.kind for shape in shapes}
    needs: dict[str, set[str]] = {
        "odd_outline": {"poly"}, "two_point_outline": {"poly"}, "closed_outline": {"poly"}, "one_point_path": {"line"},
        "box_of_three": {"bbox_2d"}, "box_inside_out": {"bbox_2d"}, "number_as_text": {"bbox_2d"},
        "number_is_nan": {"bbox_2d"}, "far_outside": {"bbox_2d"}, "just_outside": {"bbox_2d"},
    }  # fmt: skip
    return needs.get(kind, set()) <= has


def line_of(row: Row | str) -> str:
    """A row as a line of JSONL, a damaged one as it is."""
    return row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)
