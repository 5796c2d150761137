"""Tickets in the form of such teams: extra fields, both generations of summaries, resubmissions, slips of every kind.

A sound row is ``{group_id, mission, label, images, per_image}`` with bare file names; fails may carry the reasons that
people gave. Each kind of slip says what the reader at the door has to do with it.
"""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from miniature.formats.rows import Broken, Row
from miniature.formats.words import IRRELEVANT, PREFIX, summary_v2
from miniature.world.missions import MISSIONS

if TYPE_CHECKING:
    from miniature.drawing.scenes import Photo, PhotoTicket

REASONS = ("地排端请补拍", "两端标签不一致", "请拍全设备端", "线径不一致", "接地排处未拍清")
_V2_SHARE, _REASON_SHARE, _PREFIX_SHARE = 0.1, 0.6, 0.5
_RUNAWAY = 17953
_HEAD = PREFIX.format(domain="BBU", task="SUMMARY")
_THEIR_FIELDS = {"label_source": "human", "label_timestamp": "2025-06-01T08:00:00"}


def ticket_row(slug: str, group_id: str, label: str, ticket: "PhotoTicket", rng: Random) -> Row:
    """One sound ticket; a tenth of them speak v2, half of those with the line that heads a v2 answer."""
    v2, headed = rng.random() < _V2_SHARE, rng.random() < _PREFIX_SHARE
    texts = [_v2_summary(photo, headed) if v2 else photo.summary for photo in ticket.photos]
    row: Row = {
        "group_id": group_id,
        "mission": MISSIONS[slug].name,
        "label": label,
        "images": [f"{group_id}_{number}.jpg" for number in range(1, len(texts) + 1)],
        "per_image": {f"image_{number}": text for number, text in enumerate(texts, start=1)},
    }
    if label == "fail" and rng.random() < _REASON_SHARE:
        said = sorted(rng.sample(REASONS, rng.choice((1, 1, 2))))
        row |= {"gt_fail_reason_text": " | ".join(said), "gt_fail_reason_texts": said}
    return row


def _v2_summary(photo: "Photo", headed: bool) -> str:
    words = [thing.segment for thing in photo.things]
    if words == [IRRELEVANT]:
        return IRRELEVANT
    return (f"{_HEAD}\n" if headed else "") + summary_v2(words)


def _label(words: dict[str, str]) -> Callable[[Row], Row]:
    return lambda row: row | {"label": words[row["label"]]}


def _keys(name: str) -> Callable[[Row], Row]:
    return lambda row: (
        row
        | {"per_image": {name.format(number): text for number, text in enumerate(row["per_image"].values(), start=1)}}
    )


def _first_summary(change: Callable[[str], Any]) -> Callable[[Row], Row]:
    def changed(row: Row) -> Row:
        key, text = next(iter(row["per_image"].items()))
        return row | {"per_image": row["per_image"] | {key: change(text)}}

    return changed


def _without(*names: str) -> Callable[[Row], Row]:
    return lambda row: {name: value for name, value in row.items() if name not in names}


def _cut_off(row: Row) -> str:
    text = json.dumps(row, ensure_ascii=False)
    return text[: len(text) // 2]


BROKEN_TICKETS: dict[str, Broken] = {
    "label_in_capitals": Broken("repaired", _label({"pass": "PASS", "fail": "FAIL"})),
    "label_in_chinese": Broken("repaired", _label({"pass": "通过", "fail": "不通过"})),
    "label_as_number": Broken("repaired", _label({"pass": "1", "fail": "2"})),
    "keys_in_chinese": Broken("repaired", _keys("图片_{}")),
    "fields_of_theirs": Broken("repaired", lambda row: row | _THEIR_FIELDS),
    "runaway_count": Broken("repaired", _first_summary(lambda text: f"螺丝、光纤插头/BBU安装螺丝,符合要求×{_RUNAWAY}")),
    "headed_summary": Broken("repaired", _first_summary(lambda text: f"{_HEAD}\n{text}")),
    "summary_in_json_text": Broken("repaired", _first_summary(lambda text: json.dumps(text, ensure_ascii=False))),
    "cut_off": Broken("refused", _cut_off),
    "no_group": Broken("refused", _without("group_id")),
    "unknown_label": Broken("refused", lambda row: row | {"label": "待定"}),
    "unknown_mission": Broken("refused", lambda row: row | {"mission": "空调外机巡检"}),
    "no_photo_said": Broken("refused", lambda row: row | {"images": [], "per_image": {}}),
    "empty_summary": Broken("refused", _first_summary(lambda text: " ")),
    "fewer_summaries": Broken("refused", lambda row: row | {"images": [*row["images"], f"{row['group_id']}_x.jpg"]}),
}  # fmt: skip


# Rows before a sound one of the same group and label: its copy, and what was handed in before it.
EARLIER: dict[str, Broken] = {
    "stands_twice": Broken("repaired", dict),
    "handed_in_anew": Broken("repaired", _first_summary(lambda text: f"{text}，标签/无法识别×1")),
}


def resubmitted(rows: Sequence[Row], count: int, rng: Random) -> list[Row]:
    """Second submissions of ``count`` failed tickets: the same group, passed this time."""
    failed = [row for row in rows if row["label"] == "fail"]
    return [
        _without("gt_fail_reason_text", "gt_fail_reason_texts")(row) | {"label": "pass"}
        for row in rng.sample(failed, min(count, len(failed)))
    ]
