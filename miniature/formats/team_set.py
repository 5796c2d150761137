"""Writes a synthetic set in the formats of such teams: training rows, photos and tickets, with a key of what is broken.

    python -m miniature.formats.team_set --count 500 --output data/team

In ``<output>``: ``images/``; ``train/{bbu,rru}/{v1,v2}.jsonl`` (a photo a row, all shapes, pixels), ``train/bbu/
{irrelevant,chat}.jsonl``; ``tickets/bbu_line.jsonl`` and, to judge on, ``tickets/bbu_line.held_out.jsonl``; and
``key.jsonl``: a row a broken row with its file, line, kind and what must become of it. A tenth of the photos are
irrelevant, a quarter of the rest show radio units, and a twentieth have twice the size. Deterministic in its arguments.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated

import typer

from miniature.formats.losses import PLANTED
from miniature.formats.rows import (
    BROKEN,
    TWICE,
    Broken,
    Generation,
    Row,
    chat_row,
    fits,
    irrelevant_row,
    line_of,
    photo_row,
)
from miniature.formats.tickets import BROKEN_TICKETS, EARLIER, resubmitted, ticket_row
from verdicts.base.errors import mistake
from verdicts.base.jsonl import write_text
from verdicts.command.cli import run, say

if TYPE_CHECKING:
    import numpy as np

    from miniature.formats.shapes import Shape

Planted = list[tuple[str, Row | str]]
MISSION = "bbu_line"
SITES = ("bbu/v1", "rru/v1", "bbu/v2", "rru/v2")
IRRELEVANT_FILE, CHAT_FILE = "bbu/irrelevant", "bbu/chat"
_IRRELEVANT_SHARE, _RRU_SHARE, _LARGE_SHARE, _CHAT_SHARE = 0.1, 0.25, 0.05, 0.1
_RESUBMITTED_SHARE = 0.03
_PHOTOS_A_GROUP = 3
_DOMAIN: dict[str, Row] = {"bbu": {}, "rru": {"metadata": {"_fusion_domain": "rru"}}}  # a row without is the mission's
_JPEG_QUALITY = 92


class _Album:
    """Draws photos one after another and names them by ticket, as such teams do."""

    def __init__(self, output: Path, seed: int):
        self.output, self.rng, self.drawn = output, Random(f"team:{seed}"), 0
        self.seed = seed
        (output / "images").mkdir(parents=True, exist_ok=True)

    def name(self) -> str:
        """The next photo's path from a folder of training rows."""
        self.drawn += 1
        group, number = divmod(self.drawn - 1, _PHOTOS_A_GROUP)
        return f"../../images/QC-TEMP-{20240101 + self.seed % 28}-{group:07}_{number + 1}.jpg"

    def bbu(self) -> tuple["np.ndarray", list["Shape"]]:
        """A cabinet with something on it."""
        from miniature.drawing.photos import paint_things
        from miniature.formats.shapes import shapes_of
        from miniature.student.data import photo_sample

        while (sample := photo_sample(self.rng)).photo.things[0].painter == "view":
            pass
        pixels, drawn = paint_things(*sample)
        return pixels, shapes_of(drawn, self.rng)

    def rru(self) -> tuple["np.ndarray", list["Shape"]]:
        """A radio unit on its pole."""
        from miniature.formats.rru import paint_rru

        return paint_rru(f"{self.seed}:{self.rng.getrandbits(60)}")

    def irrelevant(self) -> "np.ndarray":
        """Anything else."""
        from miniature.drawing.photos import paint_photo
        from miniature.drawing.scenes import IRRELEVANT, Band, Photo

        return paint_photo(Photo((Band("view", (IRRELEVANT,)),)), f"team:{self.rng.getrandbits(60)}")[0]

    def save(self, name: str, pixels: "np.ndarray", times: int = 1) -> tuple[int, int]:
        """Write the photo, ``times`` as large; its width and height."""
        from PIL import Image

        image = Image.fromarray(pixels)
        image = image.resize((image.width * times, image.height * times))
        image.save(self.output / "train" / "bbu" / name, quality=_JPEG_QUALITY)
        return image.width, image.height


def _sound_photo(album: _Album, domain: str, generation: Generation) -> Row:
    """A sound row with its photo."""
    name, (pixels, shapes) = album.name(), getattr(album, domain)()
    times = 2 if album.rng.random() < _LARGE_SHARE else 1
    size = album.save(name, pixels, times)
    return photo_row(name, [shape.scaled(times) for shape in shapes], generation, size, album.rng) | _DOMAIN[domain]


def _irrelevant_photo(album: _Album) -> Row:
    """A row of an irrelevant photo."""
    name = album.name()
    return irrelevant_row(name, album.save(name, album.irrelevant()))


def _broken_row(album: _Album, file: str, kind: str) -> Row | str:
    """A row of this file that is broken in this way, with what lies at its photo's path."""
    broken, (domain, _, generation) = BROKEN[kind], file.partition("/")
    if broken.home == "chat":
        return broken.change(chat_row(album.rng))
    if broken.home == "irrelevant":
        return broken.change(_irrelevant_photo(album))
    name, (pixels, shapes) = album.name(), getattr(album, domain)()
    while not fits(kind, shapes):
        pixels, shapes = getattr(album, domain)()
    size = album.save(name, pixels)
    path = album.output / "train" / "bbu" / name
    if broken.photo == "missing":
        path.unlink()
    elif broken.photo == "garbage":
        path.write_bytes(b"no photo at all\n" * 40)
    row = photo_row(name, shapes, "v1" if generation == "v1" else "v2", size, album.rng)
    return broken.change(row | _DOMAIN[domain])


def _home_of(kind: str, turn: int) -> str:
    """The file that a broken row goes to; kinds that can stand in several take turns."""
    home = BROKEN[kind].home
    if home == "v2":
        return SITES[2 + turn % 2]
    return SITES[turn % len(SITES)] if home == "site" else f"bbu/{home}"


class _Writer:
    """Writes files of lines, broken ones among sound ones at drawn places, and keeps the key."""

    def __init__(self, output: Path, rng: Random):
        self.output, self.rng, self.key = output, rng, []

    def write(self, file: str, sound: list[Row], broken: Planted, kinds: Mapping[str, Broken]) -> None:
        """One file; ``broken`` are pairs of a kind and its row."""
        rows: Planted = [("", row) for row in sound]
        for pair in broken:
            last = len(rows) if file.startswith("train/") else 0
            rows.insert(last if pair[0] in (TWICE, *EARLIER) else self.rng.randrange(len(rows) + 1), pair)
        (self.output / file).parent.mkdir(parents=True, exist_ok=True)
        write_text(self.output / file, "".join(f"{line_of(row)}\n" for _, row in rows))
        self.key += [
            {"file": file, "line": line, "kind": kind, "expected": kinds[kind].expected}
            for line, (kind, _) in enumerate(rows, start=1)
            if kind
        ]


def _write_training(album: _Album, writer: _Writer, count: int, broken: int, plant: str) -> int:
    """Write all training files of ``count`` photos, ``broken`` rows of each kind among them; returns how many rows."""
    bad: dict[str, Planted] = {file: [] for file in (*SITES, IRRELEVANT_FILE, CHAT_FILE)}
    for turn in range(broken):
        for at, kind in enumerate(BROKEN):
            file = _home_of(kind, at + turn)
            if kind != TWICE:
                bad[file].append((kind, _broken_row(album, file, kind)))
    left = count - album.drawn
    no_sites = round(_IRRELEVANT_SHARE * left)
    radio = round(_RRU_SHARE * (left - no_sites))
    rows: dict[str, list[Row]] = {}
    for file in SITES:
        photos = radio if file.startswith("rru") else left - no_sites - radio
        domain, _, generation = file.partition("/")
        part = photos // 2 if generation == "v1" else photos - photos // 2
        rows[file] = [_sound_photo(album, domain, "v1" if generation == "v1" else "v2") for _ in range(part)]
        bad[file] += [(TWICE, row) for row in rows[file][: broken if file == SITES[0] else 0]]
    rows[IRRELEVANT_FILE] = [_irrelevant_photo(album) for _ in range(no_sites)]
    rows[CHAT_FILE] = [chat_row(album.rng) for _ in range(round(_CHAT_SHARE * count))]
    for file, sound in rows.items():
        whole = [PLANTED[plant](row) for row in sound] if file in SITES else sound
        writer.write(f"train/{file}.jsonl", whole, bad[file], BROKEN)
    return sum(map(len, rows.values())) + sum(map(len, bad.values()))


def _write_tickets(writer: _Writer, tickets: int, held_out: int, broken: int, seed: int) -> int:
    """Write the tickets of a world, and others of the same world to judge on; how many rows of both."""
    from miniature.world.photo_worlds import draw_photo_tickets, drawable_world

    world, written = drawable_world(1, MISSION), 0
    for file, count, turns, tickets_seed in (("", tickets, broken, 1), (".held_out", held_out, 0, 2)):
        drawn = draw_photo_tickets(world, count + turns * len(BROKEN_TICKETS), 2 * seed + tickets_seed)
        rows = [ticket_row(MISSION, row.group_id, row.label, row.ticket, writer.rng) for row in drawn]
        sound = rows[:count]
        again = resubmitted(sound, round(_RESUBMITTED_SHARE * count), writer.rng) if turns else []
        bad = list(zip(list(BROKEN_TICKETS) * turns, rows[count:], strict=True))
        changed: Planted = [(kind, BROKEN_TICKETS[kind].change(row)) for kind, row in bad]
        before = zip(list(EARLIER) * turns, sound, strict=False)
        changed += [(kind, EARLIER[kind].change(row)) for kind, row in before]
        writer.write(f"tickets/{MISSION}{file}.jsonl", sound + again, changed, BROKEN_TICKETS | EARLIER)
        written += len(sound) + len(again) + len(changed)
    return written


def main(
    count: Annotated[int, typer.Option(help="Photos of the training rows, broken rows among them.")] = 500,
    broken: Annotated[int, typer.Option(help="Broken rows of each kind; 0 for none.")] = 2,
    tickets: Annotated[int, typer.Option(help="Tickets to learn from, without resubmitted and broken ones.")] = 320,
    held_out: Annotated[int, typer.Option(help="Tickets to judge on.")] = 160,
    plant: Annotated[str, typer.Option(help="Fault of all sound rows: polygons, lines or counts.")] = "",
    seed: Annotated[int, typer.Option(help="Another seed, another set.")] = 1,
    output: Annotated[Path, typer.Option(help="Folder for the set.")] = Path("data/team"),
) -> None:
    """Write a synthetic set in the formats of such teams."""
    if count < broken * len(BROKEN) + 10 or min(broken, tickets, held_out) < 0:
        least = broken * len(BROKEN) + 10
        raise mistake(f"too few ({count})", f"give at least {least}: broken rows are photos too", field="--count")
    if plant not in PLANTED:
        raise mistake(f"no such fault ({plant})", "name polygons, lines or counts", field="--plant")
    album = _Album(output, seed)
    writer = _Writer(output, Random(f"team:key:{seed}"))
    (output / "train" / "bbu").mkdir(parents=True, exist_ok=True)
    rows = _write_training(album, writer, count, broken, plant)
    written = _write_tickets(writer, tickets, held_out, broken, seed)
    write_text(output / "key.jsonl", "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in writer.key))
    said = f"{count} photos in {rows} training rows, {written} tickets, {len(writer.key)} rows broken on purpose"
    say(f"team_set: {said}; {output}")


if __name__ == "__main__":
    run(main, writes="output")
