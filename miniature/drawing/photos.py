"""Cabinet photos drawn by code, with a truth of boxes and segments, in the folders that ``summarize`` reads.

    python -m miniature.drawing.photos --mission bbu_line --seed 1 --tickets 40 --output data/photos

Writes ``<output>/<mission>/审核通过|审核不通过/<group_id>/<n>.jpg``; ``<output>/<mission>.truth.jsonl``: a first row
with the world's hidden rules, then a row a photo with its group, label, summary and objects (boxes 0-1000, as Qwen3-VL
writes them); and what the student is asked of each photo with the right answer, ``<output>/<mission>.summary.jsonl``
and ``.dense.jsonl``, sources of fuse. Deterministic in its arguments.
"""

from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    import numpy as np

    from miniature.drawing.pen import Extent, Pen
    from miniature.drawing.scenes import Band, Photo, Thing

FOLDER_OF = {"pass": "审核通过", "fail": "审核不通过"}
_JPEG_QUALITY = 92


class VisibleObject(NamedTuple):
    """An object of the truth: its box (x1, y1, x2, y2 in 0-1000 of width and height) and its segment."""

    bbox_2d: tuple[int, int, int, int]
    label: str


class Drawn(NamedTuple):
    """A thing as it is seen, in pixels: the upright box around it, its four corners, its path where it is a cable."""

    thing: "Thing"
    box: tuple[float, float, float, float]
    corners: tuple[tuple[float, float], ...]
    path: tuple[tuple[float, float], ...]


def paint_photo(photo: "Photo", seed: int | str) -> tuple["np.ndarray", list[VisibleObject]]:
    """Draw a photo: pixels (192, 256, 3) uint8 and its objects in reading order. Deterministic in both arguments."""
    from miniature.drawing.pen import HEIGHT, WIDTH

    pixels, drawn = paint_things(photo, seed)
    size = (WIDTH, HEIGHT, WIDTH, HEIGHT)
    return pixels, [
        VisibleObject(tuple(round(1000 * v / s) for v, s in zip(one.box, size, strict=True)), one.thing.segment)
        for one in drawn
    ]


def paint_things(photo: "Photo", seed: int | str) -> tuple["np.ndarray", list[Drawn]]:
    """Draw a photo as ``paint_photo`` does, and say where its things lie in pixels, in reading order."""
    from miniature.drawing.pen import HEIGHT, WIDTH, Pen
    from miniature.drawing.scenes import BAND_HEIGHT, IRRELEVANT

    rng = Random(f"photo:{seed}")
    tone = rng.randint(34, 92)
    pen = Pen(rng, (tone + rng.randint(-8, 8), tone + rng.randint(-8, 8), tone + rng.randint(-8, 12)))
    if photo.things == [IRRELEVANT]:
        _irrelevant(pen)
        frame = (0.0, 0.0, float(WIDTH), float(HEIGHT))
        return lit(pen, rng), [Drawn(IRRELEVANT, frame, ((0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)), ())]
    _cabinet(pen)
    spare = HEIGHT - 8 - sum(BAND_HEIGHT[band.kind] for band in photo.bands)
    cuts = sorted(rng.uniform(0, spare) for _ in photo.bands)
    seen: list[Drawn] = []
    top = 4.0
    for index, band in enumerate(photo.bands):
        y = top + cuts[index]
        seen += _band(pen, band, y)
        top += BAND_HEIGHT[band.kind]
    _clutter(pen)
    return lit(pen, rng), seen


def _seen(pen: "Pen", thing: "Thing", extent: "Extent") -> Drawn:
    """A thing that was just drawn."""
    return Drawn(thing, pen.box(extent), pen.corners(extent), tuple(pen.traced()))


def _cabinet(pen: "Pen") -> None:
    """Posts left and right, now and then a shelf edge."""
    from miniature.drawing.pen import HEIGHT, WIDTH

    tone = pen.rng.randint(120, 190)
    for x in (-12, WIDTH - 32):
        pen.rect(x, -20, x + 44, HEIGHT + 20, pen.shade((tone, tone, tone + 6)), (70, 70, 74))
    for _ in range(pen.rng.randint(0, 3)):
        y = pen.rng.uniform(0, HEIGHT)
        pen.line(((32, y), (WIDTH - 32, y)), pen.shade((105, 105, 110)), pen.rng.uniform(1, 3))


def _clutter(pen: "Pen") -> None:
    """What hides little things: a stray cord across the photo, a finger at a corner."""
    from miniature.drawing.pen import HEIGHT, WIDTH

    if pen.rng.random() < 0.3:
        x = pen.rng.uniform(0, WIDTH)
        pen.line(
            ((x, -10), (x + pen.rng.uniform(-30, 30), HEIGHT / 2), (x + pen.rng.uniform(-40, 40), HEIGHT + 10)),
            pen.shade((50, 46, 44), 30),
            pen.rng.uniform(1, 2.4),
        )
    if pen.rng.random() < 0.2:
        pen.disc(
            pen.rng.choice((-6, WIDTH + 6)),
            pen.rng.choice((-6, HEIGHT + 6)),
            pen.rng.uniform(10, 22),
            pen.shade((205, 150, 120), 30),
        )


def _irrelevant(pen: "Pen") -> None:
    """A photo that has nothing to do with it: sky, ground, buildings, a vehicle."""
    from miniature.drawing.pen import HEIGHT, WIDTH

    rng, horizon = pen.rng, pen.rng.uniform(60, 130)
    pen.rect(-20, -20, WIDTH + 20, horizon, pen.shade((150, 190, 230), 40))
    pen.rect(-20, horizon, WIDTH + 20, HEIGHT + 20, pen.shade((110, 120, 80), 40))
    for _ in range(rng.randint(1, 5)):
        x, w, h = rng.uniform(0, WIDTH), rng.uniform(20, 60), rng.uniform(20, 90)
        pen.rect(x, horizon - h, x + w, horizon + rng.uniform(0, 20), pen.shade((150, 130, 120), 60))
    for _ in range(rng.randint(0, 6)):
        pen.disc(
            rng.uniform(0, WIDTH), horizon + rng.uniform(-10, 40), rng.uniform(8, 26), pen.shade((60, 120, 50), 40)
        )


def _band(pen: "Pen", band: "Band", y: float) -> list[Drawn]:
    """Draw a band whose upper edge is at ``y``; its things in reading order."""
    drawn: list[Drawn] = []
    if band.kind == "device":
        slots, drawn = _device(pen, band, y)
    elif band.kind == "bar":
        from miniature.drawing.pen import COPPER

        pen.rect(34, y + 5, 222, y + 21, pen.shade(COPPER), (90, 54, 24))
        slots = {"bar_screw": [(x, y + 13) for x in (56, 104, 152, 200)]}
    elif band.kind == "odf":
        pen.rect(38, y + 2, 218, y + 36, pen.shade((92, 96, 104)), (40, 42, 46))
        slots = {"odf_plug": [(x, y + 20) for x in (62, 106, 150, 194)]}
    elif band.kind == "cables":
        places = [(x, y + 20) for x in (66, 128, 190)]
        slots = {"fibre": places, "wires": places}
    else:
        slots = {"label": [(x, y + 13) for x in (58, 105, 152, 199)]}
    return drawn + _fill_slots(pen, band, slots)


def _fill_slots(pen: "Pen", band: "Band", slots: dict[str, list[tuple[float, float]]]) -> list[Drawn]:
    """Give each thing a free place of its kind and draw the things in the order of the places."""
    from miniature.drawing.pen import PAINTERS

    order = {place: index for index, place in enumerate(dict.fromkeys(p for places in slots.values() for p in places))}
    free = dict.fromkeys(order)
    placed = []
    for thing in band.things:
        if thing.painter in PAINTERS:
            place = pen.rng.choice([p for p in slots[thing.painter] if p in free])
            del free[place]
            placed.append((order[place], place, thing))
    jitter = 2.0
    out = []
    for _, (x, y), thing in sorted(placed, key=lambda row: row[0]):
        extent = PAINTERS[thing.painter](
            pen, x + pen.rng.uniform(-jitter, jitter), y + pen.rng.uniform(-jitter, jitter) / 2, thing.look
        )
        out.append(_seen(pen, thing, extent))
    return out


def _device(pen: "Pen", band: "Band", y: float) -> tuple[dict, list]:
    """Draw the device, its ears and the slot below; returns the places left for screws and plugs, and what is drawn."""
    from miniature.drawing.pen import brand_mark, slats

    device = next((thing for thing in band.things if thing.painter == "device"), None)
    shield = next((thing for thing in band.things if thing.painter == "shield"), None)
    part = device is not None and device.look[1] == "只显示部分"
    left = pen.rng.random() < 0.5  # which end of a cut device is seen
    x1, x2 = ((112, 330) if left else (-80, 146)) if part else (38, 218)
    ears = [x1 + 12, x2 - 12] if not part else [x1 + 12] if left else [x2 - 12]
    drawn = []
    if device:
        pen.rect(x1, y + 1, x2, y + 45, pen.shade((74, 80, 92)), (14, 14, 18))
        _slot(pen, device, x1, y + 47, x2)
        brand_mark(pen, x1 + 44 if not part or left else x2 - 44, y + 11, device.look[0])
        drawn.append(_seen(pen, device, (x1, y + 1, x2, y + 45)))
    if shield:
        slats(pen, x1, y + 47, x2, y + 68, shield.look[0])
        drawn.append(_seen(pen, shield, (x1, y + 47, x2, y + 68)))
    mounts = [(x, y + dy) for dy in (12, 34) for x in ears]
    if device or any(thing.painter == "mount_screw" for thing in band.things):
        for x in ears:
            pen.rect(x - 12, y + 1, x + 12, y + 45, pen.shade((168, 172, 180)), (60, 60, 64))
    ports = [(p, y + 33) for p in ((88, 114, 140, 166) if not part else (164, 190, 216) if left else (30, 56, 82))]
    if not device and any(thing.painter == "plug" for thing in band.things):
        pen.rect(72, y + 18, 184, y + 46, pen.shade((60, 64, 74)), (14, 14, 18))
    west, east = (17, y + 34), (239, y + 34)
    posts = [west, east] if not part else [west] if left else [east]
    places = {"mount_screw": mounts, "plug": ports, "post_screw": posts}
    rows = [west, *mounts[: len(ears)], *ports, *mounts[len(ears) :], east]
    return {"": rows} | places, drawn


def _slot(pen: "Pen", device: "Thing", x1: float, y: float, x2: float) -> None:
    """The space below a device: filled by another unit, empty, or hidden by glare."""
    from miniature.drawing.scenes import NOT_NEEDED
    from miniature.world.vocabulary import BIT

    if device.bits & NOT_NEEDED:
        pen.rect(x1, y, x2, y + 21, pen.shade((140, 146, 150)), (50, 50, 54))
        for k in range(1, 4):
            pen.line(((x1 + 6, y + 5 * k), (x2 - 6, y + 5 * k)), (86, 90, 96), 1.6)
    elif device.bits & BIT["备注无法判断空间"] or not device.look[1]:
        for k in range(8):
            x = x1 + (x2 - x1) * (k + 0.5) / 8
            pen.disc(x, y + 10 + pen.rng.uniform(-3, 3), pen.rng.uniform(9, 14), pen.shade((250, 248, 236), 5))
    else:
        pen.rect(x1, y, x2, y + 21, (6, 6, 8), (50, 50, 54))


def lit(pen: "Pen", rng: Random) -> "np.ndarray":
    """Light, tint, blur and noise over the drawing."""
    import numpy as np
    from PIL import ImageFilter

    image = pen.finished()
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.7)))
    pixels = np.asarray(image, np.float32)
    height, width, _ = pixels.shape
    fall = np.linspace(rng.uniform(0.75, 1.1), rng.uniform(0.75, 1.1), width, dtype=np.float32)[None, :, None]
    down = np.linspace(rng.uniform(0.85, 1.1), rng.uniform(0.85, 1.1), height, dtype=np.float32)[:, None, None]
    tint = np.array([rng.uniform(0.92, 1.06) for _ in range(3)], np.float32)
    grain = np.random.default_rng(rng.randrange(2**32)).standard_normal((height, width, 1), np.float32)
    return np.clip(pixels * fall * down * tint + grain * rng.uniform(1, 9), 0, 255).astype(np.uint8)


def _conversation(task: str, image: str, group_id: str, answer: str) -> dict:
    """A row of a fuse source: a photo, what is asked of it, and the right answer."""
    from miniature.world.prompts import prompts_of

    return {
        "images": [image],
        "messages": [*prompts_of().photo_messages(task), {"role": "assistant", "content": answer}],
        "group_id": group_id,
    }


def main(
    mission: Annotated[str, typer.Option(help="Mission slug (BBU missions).")] = "bbu_line",
    seed: Annotated[int, typer.Option(help="The world, and its hidden rules.")] = 1,
    tickets: Annotated[int, typer.Option(help="How many tickets.")] = 40,
    tickets_seed: Annotated[int, typer.Option(help="Other tickets of the same world; 0 takes the world's seed.")] = 0,
    flip: Annotated[float, typer.Option(help="Share of tickets put into the wrong folder.")] = 0.0,
    output: Annotated[Path, typer.Option(help="Folder for the mission's folder and its truth file.")] = Path(
        "data/photos"
    ),
) -> None:
    """Draw the photos of a world's tickets and write their truth beside them."""
    from PIL import Image

    from miniature.world.photo_worlds import draw_photo_tickets, drawable_world
    from miniature.world.tickets import MISSIONS
    from verdicts.base.errors import mistake
    from verdicts.base.jsonl import write_rows
    from verdicts.command.cli import say
    from verdicts.student.photo_scores import render_dense

    able = [slug for slug, place in MISSIONS.items() if place.is_bbu]
    if mission not in able:
        raise mistake(
            f"no photos can be drawn for this mission ({mission})",
            f"choose one of {', '.join(able)}",
            field="--mission",
        )
    if tickets < 1 or not 0 <= flip < 0.5:
        raise mistake(
            f"out of range ({tickets}, {flip})",
            "give at least 1 ticket and a share below 0.5",
            field="--tickets, --flip",
        )
    world = drawable_world(seed, mission)
    asked: dict[str, list[dict]] = {}
    truth: list[dict] = [{"mission": mission, "seed": seed, "hidden_rules": [rule.text() for rule in world.hidden]}]
    for row in draw_photo_tickets(world, tickets, tickets_seed or seed, flip):
        folder = output / mission / FOLDER_OF[row.label] / row.group_id
        folder.mkdir(parents=True, exist_ok=True)
        for index, photo in enumerate(row.ticket.photos, start=1):
            pixels, seen = paint_photo(photo, f"{mission}:{row.group_id}:{index}")
            path = folder / f"{index}.jpg"
            Image.fromarray(pixels).save(path, quality=_JPEG_QUALITY)
            image = str(path.relative_to(output))
            truth.append({"image": image, "group_id": row.group_id, "label": row.label, "clean_label": row.clean,
                          "summary": photo.summary, "objects": [thing._asdict() for thing in seen]})  # fmt: skip
            for task, answer in (("summary", photo.summary), ("dense", render_dense(seen))):
                asked.setdefault(task, []).append(_conversation(task, image, row.group_id, answer))
    for task, rows in asked.items():
        write_rows(output / f"{mission}.{task}.jsonl", rows)
    write_rows(output / f"{mission}.truth.jsonl", truth)  # last: where it is, all is
    say(f"photos: {len(truth) - 1} photos of {tickets} tickets of {mission} in {output / mission}")


if __name__ == "__main__":
    run(main, writes="output")
