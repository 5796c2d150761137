"""One training row of such teams: a photo with what is in it, or a conversation without photo.

    {"images": ["a.jpg"], "objects": [{"desc": "…", "poly": [x, y, …]}, …], "width": 1024, "height": 768,
     "summary": "…", "metadata": {…}}
    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}

``objects`` or ``summary`` may be missing, and both sizes. Coordinates are pixels of the photo as people see it.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import ValidationError

from verdicts.config.sections import ImportSection
from verdicts.corpus.rows import GeneralChatRow
from verdicts.facts.dense import DenseObject
from verdicts.facts.prefix import Prefix
from verdicts.facts.words import IRRELEVANT
from verdicts.importing.domains import named_domain, shown_domain
from verdicts.importing.findings import Mended, Unusable, excerpt, said_in
from verdicts.importing.geometry import POINT_COUNTS, PixelPlace, in_thousandths, place_key, read_place
from verdicts.importing.texts import Generation, generation_of_desc, generation_of_summary, read_desc, read_summary_text
from verdicts.photos.intake import Unfit

ROW_FIELDS = {"images", "objects", "width", "height", "summary", "metadata", "messages"}
OBJECT_FIELDS = {"desc", "bbox_2d", "poly", "line", *POINT_COUNTS}
_EDGE = 2  # pixels by which the box round a whole photo may miss its edges
Look = Callable[[str], tuple[int, int]]  # width and height of a photo as people see it; raises Unfit


@dataclass(frozen=True)
class Example:
    """A photo of a row with what is right to say of it.

    ``photo``: its path from the working directory, ``named``: as the row has it. ``objects`` stand in their order;
    where the row has none, or no ``summary``, they are empty. An ``irrelevant`` photo has neither.
    """

    photo: str
    named: str
    group: str
    domain: str = ""
    objects: tuple[DenseObject, ...] = ()
    summary: str = ""
    irrelevant: bool = False
    words: Literal["v1", "v2", "both"] | None = None
    reordered: bool = False


@dataclass(frozen=True)
class Reader:
    """Reads rows. ``mission_domain``: of those that say none; ``ignored``: how often each field was passed by."""

    settings: ImportSection
    mission_domain: str
    look: Look
    ignored: dict[str, int] = field(default_factory=dict)

    def read(self, value: Any, folder: str, mended: Mended) -> Example | GeneralChatRow:
        """A row's example or conversation; raises Unusable. ``folder``: what its photo's path is relative to."""
        if not isinstance(value, dict):
            raise Unusable("not_an_object", "", f"a {type(value).__name__}: {excerpt(value)}")
        row = self._known(value, ROW_FIELDS, "")
        if said_in(row, "messages") is not None:
            return _conversation(row)
        photo, named = _photo(row, folder)
        size = self._size(row, photo, mended)
        things = said_in(row, "objects")
        said = row.get("summary")
        prefix, summary = (None, "") if said is None else read_summary_text(said, "summary", mended)
        seen = Example(photo, named, self._group(named))
        if things is not None and not isinstance(things, list):
            raise Unusable("bad_field", "objects", f"no list ({excerpt(things)})")
        if summary == IRRELEVANT:
            self._nothing_else(things or [], size)
            return self._in_domain(replace(seen, irrelevant=True), row.get("metadata"), prefix)
        if things is None and not summary:
            raise Unusable("nothing_to_learn", "", "neither objects nor a summary")
        objects, reordered = self._objects(things or [], size, mended)
        words = {generation_of_desc(thing.desc) for thing in objects} | (
            {generation_of_summary(summary)} if summary else set()
        )
        seen = replace(seen, objects=objects, summary=summary, words=_one(words), reordered=reordered)
        return self._in_domain(seen, row.get("metadata"), prefix)

    def _known(self, value: Mapping[str, Any], known: set[str], field: str) -> dict[str, Any]:
        """A mapping without the fields that are passed by; raises Unusable for one that is neither."""
        row = {}
        for name, said in value.items():
            if name in known:
                row[name] = said
            elif name in self.settings.ignore:
                self.ignored[name] = self.ignored.get(name, 0) + 1
            else:
                place = f"{field}.{name}" if field else name
                raise Unusable("unknown_field", place, "correct it, or name it in import.ignore to pass it by")
        return row

    def _size(self, row: Mapping[str, Any], photo: str, mended: Mended) -> tuple[int, int]:
        """Width and height of the photo, which must be those that the row says, where it says them."""
        try:
            size = self.look(photo)
        except Unfit as unfit:
            if unfit.reason == "missing":
                raise Unusable("photo_not_there", "images.0", photo) from None
            raise Unusable("photo_unfit", "images.0", f"{photo}: {unfit.reason} {unfit.detail}".rstrip()) from None
        for name, side in zip(("width", "height"), size, strict=True):
            said = row.get(name)
            if said is None:
                mended.note("size_from_photo", name, str(side))
            elif not isinstance(said, int) or isinstance(said, bool):
                raise Unusable("bad_field", name, f"no whole number ({excerpt(said)})")
            elif said != side:
                raise Unusable("photo_size", name, f"{said}, yet the photo is {size[0]} x {size[1]} as people see it")
        return size

    def _group(self, named: str) -> str:
        """The group that a photo's name states, or else the nearest folder's; "" where none does."""
        for part in reversed(named.split("/")):
            if found := re.search(self.settings.group, part):
                return found.group()
        return ""

    def _in_domain(self, seen: Example, metadata: Any, prefix: Prefix | None) -> Example:
        """The example with its domain: by the configuration, or what the row says or shows, or else the mission's."""
        if metadata is not None and not isinstance(metadata, dict):
            raise Unusable("bad_field", "metadata", f"no object ({excerpt(metadata)})")
        told = named_domain(metadata or {}, prefix) or shown_domain((o.desc for o in seen.objects), seen.summary)
        return replace(seen, domain=self.settings.domain or told or self.mission_domain)

    def _objects(
        self, things: list[Any], size: tuple[int, int], mended: Mended
    ) -> tuple[tuple[DenseObject, ...], bool]:
        """The objects in their order, and whether that is another than the row's."""
        found: list[tuple[str, PixelPlace, str]] = []
        for at, thing in enumerate(things):
            field = f"objects.{at}"
            if not isinstance(thing, dict):
                raise Unusable("bad_field", field, f"no object ({excerpt(thing)})")
            thing = self._known(thing, OBJECT_FIELDS, field)
            desc = read_desc(thing.get("desc"), f"{field}.desc", mended)
            if desc == IRRELEVANT:
                raise Unusable("irrelevant_with_objects", f"{field}.desc", "of a photo whose summary is another")
            found.append((desc, read_place(thing, size, self.settings.edge_px, field, mended), field))
        ordered = sorted(found, key=lambda one: place_key(one[1], self.settings.order))
        return tuple(in_thousandths(desc, place, size, field) for desc, place, field in ordered), ordered != found

    def _nothing_else(self, things: list[Any], size: tuple[int, int]) -> None:
        """Raise Unusable where an irrelevant photo has an object beside the box round the whole."""
        for at, thing in enumerate(things):
            field = f"objects.{at}"
            if not isinstance(thing, dict):
                raise Unusable("bad_field", field, f"no object ({excerpt(thing)})")
            place = read_place(self._known(thing, OBJECT_FIELDS, field), size, self.settings.edge_px, field, Mended())
            xs, ys = zip(*place.points, strict=True)
            whole = max(min(xs), min(ys), size[0] - max(xs), size[1] - max(ys)) <= _EDGE
            if at or not whole:
                raise Unusable("irrelevant_with_objects", field, f"a {place.kind} in a photo of nothing")


def _one(words: set[Generation]) -> Literal["v1", "v2", "both"]:
    return words.pop() if len(words) == 1 else "both"


def _photo(row: Mapping[str, Any], folder: str) -> tuple[str, str]:
    """The path of a row's one photo from the working directory, and as the row names it."""
    images = said_in(row, "images")
    if images is None:
        raise Unusable("missing_field", "images", "a row is about one photo")
    if not isinstance(images, list) or not all(isinstance(image, str) and image.strip() for image in images):
        raise Unusable("bad_field", "images", f"no list of paths ({excerpt(images)})")
    if len(images) > 1:
        raise Unusable("several_photos", "images", f"{len(images)}; a row is about one")
    return os.path.normpath(os.path.join(folder, images[0])), os.path.normpath(images[0])


def _conversation(row: Mapping[str, Any]) -> GeneralChatRow:
    if beside := sorted(name for name in row if name != "messages" and said_in(row, name) is not None):
        raise Unusable("messages_and_photo", "messages", f"beside {', '.join(beside)}; give such rows to fuse")
    try:
        return GeneralChatRow.model_validate({"messages": row["messages"]})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        said = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
        raise Unusable("bad_chat", place, said) from None
