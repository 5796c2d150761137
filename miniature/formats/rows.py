"""Rows of training JSONL in the formats of such teams, and rows that are broken in every way that was thought of.

A sound row is ``{images, objects, summary, width, height}`` with pixels, now and then with ``metadata`` and with the
numbers of points; a chat row is ``{messages}`` alone. Each kind of broken row says what an importer has to do with it.
"""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Literal, NamedTuple

from miniature.formats.shapes import Shape
from miniature.formats.words import IRRELEVANT, PREFIX, summary_v1, summary_v2, v2_of

Generation = Literal["v1", "v2"]
Expected = Literal["refused", "repaired"]
Row = dict[str, Any]
_HEAD = PREFIX.format(domain="BBU", task="SUMMARY")


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

    ``photo``: what lies at the row's path, a sound photo, none, or bytes that are none. ``home``: which rows can be
    broken so: of a photo of the site, of the second generation alone, of an irrelevant photo, or chats.
    """

    expected: Expected
    change: Callable[[Row], Row | str]
    photo: Literal["sound", "missing", "garbage"] = "sound"
    home: Literal["site", "v2", "irrelevant", "chat"] = "site"


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


def _pairs(flat: list) -> list[list]:
    return [flat[at : at + 2] for at in range(0, len(flat), 2)]


def _flat(pairs: list[list]) -> list:
    return [value for pair in pairs for value in pair]


def _turned(flat: list) -> list:
    """An outline that runs the other way round, from the same corner."""
    first, *others = _pairs(flat)
    return _flat([first, *others[::-1]])


TWICE = "stands_twice"  # a copy of a sound row, behind it

# A row of each kind is planted into the set; the key says where. A row whose damage needs a box, an outline or a path
# is made of a photo that has one.
BROKEN: dict[str, Broken] = {
    "cut_off": Broken("refused", _cut_off),
    "a_list": Broken("refused", lambda row: json.dumps([row], ensure_ascii=False)),
    "no_photo_named": Broken("refused", _with(images=[])),
    "two_photos": Broken("refused", lambda row: row | {"images": [*row["images"], "../../images/other.jpg"]}),
    "photo_missing": Broken("refused", dict, "missing"),
    "photo_is_none": Broken("refused", dict, "garbage"),
    "no_objects_no_summary": Broken("refused", _without("objects", "summary")),
    "objects_no_list": Broken("refused", _with(objects={"desc": "BBU设备"})),
    "field_unknown": Broken("refused", _with(lable="BBU")),
    "two_geometries": Broken("refused", _first(_second_box)),
    "no_geometry": Broken("refused", _first(_no_geometry)),
    "odd_outline": Broken("refused", _geometry(lambda flat: flat[:-1], "poly")),
    "two_point_outline": Broken("refused", _geometry(lambda flat: flat[:4], "poly")),
    "flat_outline": Broken("refused", _geometry(lambda flat: [2, 2, 12, 2, 22, 2], "poly")),
    "other_number_of_points": Broken("refused", _first(lambda one: one | {"poly_points": 9}, "poly")),
    "one_point_path": Broken("refused", _geometry(lambda flat: flat[:2], "line")),
    "box_of_three": Broken("refused", _geometry(lambda flat: flat[:3], "bbox_2d")),
    "box_inside_out": Broken("refused", _geometry(lambda flat: [flat[2], flat[3], flat[0], flat[1]], "bbox_2d")),
    "box_without_area": Broken("refused", _geometry(lambda flat: [flat[0], flat[1], flat[0], flat[3]], "bbox_2d")),
    "number_as_text": Broken("refused", _geometry(lambda flat: [str(flat[0]), *flat[1:]], "bbox_2d")),
    "number_is_nan": Broken("refused", _geometry(lambda flat: [float("nan"), *flat[1:]], "bbox_2d")),
    "far_outside": Broken("refused", _geometry(lambda flat: [flat[0], flat[1], 9000, 9000], "bbox_2d")),
    "no_words": Broken("refused", _first(lambda one: one | {"desc": ""})),
    "words_no_text": Broken("refused", _first(lambda one: one | {"desc": 7})),
    "words_name_a_photo": Broken("refused", _first(lambda one: one | {"desc": "标签/<image>"})),
    "other_size": Broken("refused", lambda row: row | {"width": row["height"], "height": row["width"]}),
    "blank_summary": Broken("refused", _with(summary=" ")),
    "summary_cut_off": Broken("refused", lambda row: row | {"summary": row["summary"][:-3]}, home="v2"),
    "objects_of_nothing": Broken("refused", _first(lambda one: one | {"bbox_2d": [9, 9, 60, 60]}), home="irrelevant"),
    "chat_without_answer": Broken("refused", lambda row: {"messages": row["messages"][:-1]}, home="chat"),
    "chat_with_a_photo": Broken("refused", lambda row: row | {"images": ["../../images/other.jpg"]}, home="chat"),
    TWICE: Broken("refused", dict),
    "no_size": Broken("repaired", _without("width", "height")),
    "blanks_in_words": Broken("repaired", _first(lambda one: one | {"desc": one["desc"].replace(",", " , ") + " "})),
    "control_in_words": Broken("repaired", _first(lambda one: one | {"desc": one["desc"] + "\u0007"})),
    "closed_outline": Broken("repaired", _geometry(lambda flat: [*flat, *flat[:2]], "poly")),
    "outline_turned_round": Broken("repaired", _geometry(_turned, "poly")),
    "outline_starts_elsewhere": Broken("repaired", _geometry(lambda flat: flat[4:] + flat[:4], "poly")),
    "path_reversed": Broken("repaired", _geometry(lambda flat: _flat(_pairs(flat)[::-1]), "line")),
    "points_in_pairs": Broken("repaired", _geometry(_pairs, "line")),
    "just_outside": Broken("repaired", _geometry(lambda flat: [-2, *flat[1:]], "bbox_2d")),
    "summary_no_text": Broken("repaired", lambda row: row | {"summary": json.loads(row["summary"])}, home="v2"),
    "summary_headed": Broken("repaired", lambda row: row | {"summary": f"{_HEAD}\n{row['summary']}"}, home="v2"),
    "irrelevant_counted": Broken("repaired", _with(summary=f"{IRRELEVANT}×1"), home="irrelevant"),
}  # fmt: skip


def fits(kind: str, shapes: Sequence[Shape]) -> bool:
    """Whether a photo with these objects can show this kind of damage."""
    words = {
        "poly": {"odd_outline", "two_point_outline", "flat_outline", "other_number_of_points", "closed_outline",
                 "outline_turned_round", "outline_starts_elsewhere"},
        "line": {"one_point_path", "path_reversed", "points_in_pairs"},
        "bbox_2d": {"box_of_three", "box_inside_out", "box_without_area", "number_as_text", "number_is_nan",
                    "far_outside", "just_outside"},
    }  # fmt: skip
    return {shape for shape, kinds in words.items() if kind in kinds} <= {shape.kind for shape in shapes}


def line_of(row: Row | str) -> str:
    """A row as a line of JSONL, a damaged one as it is."""
    return row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)
