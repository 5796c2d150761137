"""Which tickets a run takes: each filter by hand-made tickets, with the reason it gives."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from tests.support.builders import ticket
from verdicts.base.errors import UserError
from verdicts.config.load import load
from verdicts.config.sections import FiltersSection
from verdicts.intake.filters import Excluded, Filters, Sieve, is_filtering, useful_photos
from verdicts.intake.photo_files import PhotoFiles
from verdicts.records.filtered import DroppedTicket, MarkedTicket
from verdicts.records.tickets import StageA

SCREW, WIRE, NOTHING = "螺丝、光纤插头/机柜处接地螺丝,符合要求×1", "电线/捆扎整齐×1", "无关图片×1"


def section(**knobs: object) -> FiltersSection:
    """The shipped filters, with knobs of their own changed."""
    shipped = load("miniature", "bbu_line").filters.model_dump()
    for name, value in knobs.items():
        shipped[name] = shipped[name] | value if isinstance(value, dict) else value
    return FiltersSection.model_validate(shipped)


def with_reasons(one: StageA, *reasons: str) -> StageA:
    return one.model_copy(update={"fail_reasons": list(reasons)})


def run(
    tickets: list[StageA], photos: Path | None = None, **knobs: object
) -> tuple[list[str], dict[str, str], Filters]:
    """The keys that stay, the reasons of those that leave, and the filters when they are done."""
    filters = Filters(section(**knobs), PhotoFiles(photos))
    for one in tickets:
        filters.see(one)
    said = [filters.judge(one) for one in tickets]
    left = {row.ticket_key: row.reason for row in said if isinstance(row, DroppedTicket)}
    assert filters.kept.total() + filters.dropped.total() == len(tickets)
    return [one.ticket_key for one in tickets if one.ticket_key not in left], left, filters


def test_the_shipped_filters_are_off_and_leave_all_tickets():
    tickets = [ticket("a"), ticket("a", "fail"), ticket("b", summaries=(NOTHING,)), ticket("c", summaries=(NOTHING,))]
    assert not is_filtering(section())
    assert Sieve(section(), None, "photos").digest == ""
    assert run(tickets)[:2] == (["a::pass", "a::fail", "b::pass", "c::pass"], {})


def test_tickets_named_in_the_list_or_the_file_leave_and_the_place_is_said(tmp_path):
    file = tmp_path / "noise.txt"
    file.write_text("# retakes\n\nb::fail   # said on the phone\n  no 7#x::pass\nb::fail\n", encoding="utf-8")
    tickets = [ticket("a"), ticket("b"), ticket("b", "fail"), ticket("no 7#x"), ticket("c")]
    kept, left, filters = run(tickets, exclude=["a::pass", "gone::fail"], exclude_file=str(file))
    assert kept == ["b::pass", "c::pass"]
    assert left == {
        "a::pass": "named in filters.exclude",
        "b::fail": f"named in {file}:3",
        "no 7#x::pass": f"named in {file}:4",
    }
    assert filters.notes() == ["1 of the excluded keys name no ticket here (gone::fail first)"]


def test_a_key_of_the_file_that_names_no_ticket_is_counted_and_said(tmp_path):
    file = tmp_path / "noise.txt"
    file.write_text("a::pass\nx::pass\ny::fail\nx::pass\n", encoding="utf-8")
    excluded = Excluded([], str(file))
    assert excluded.where("a::pass") == f"{file}:1"
    assert excluded.unknown() == (2, "x::pass")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "noise.txt: no such file; correct filters.exclude_file"),
        ("a::pass\nQC-1\n", "noise.txt:2: 'QC-1' is no ticket_key; write group_id::pass or group_id::fail"),
        ("::pass\n", "noise.txt:1: '::pass' is no ticket_key; write group_id::pass or group_id::fail"),
        ("a::PASS\n", "noise.txt:1: 'a::PASS' is no ticket_key; write group_id::pass or group_id::fail"),
    ],
)
def test_a_file_that_cannot_be_meant_is_one_sentence(tmp_path, text, message):
    file = tmp_path / "noise.txt"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="noise") as error:
        Excluded([], str(file))
    assert str(error.value) == f"{tmp_path}/{message}"


def test_a_ticket_leaves_where_each_of_its_reasons_holds_a_pattern():
    tickets = [
        with_reasons(ticket("retake", "fail"), "补拍地排端", "标签统一"),
        with_reasons(ticket("half", "fail"), "补拍地排端", "露铜"),
        ticket("silent", "fail"),
        with_reasons(ticket("other", "fail"), "复接"),
    ]
    kept, left, _ = run(tickets, exclude_reasons=["补拍", "标签(统一|一致)"])
    assert kept == ["half::fail", "silent::fail", "other::fail"]
    assert left == {"retake::fail": "each reason holds a pattern (补拍, 标签(统一|一致))"}


def test_useful_photos_are_those_that_are_not_irrelevant():
    assert useful_photos(ticket("a", summaries=(SCREW, NOTHING, " 无关图片", WIRE))) == 2


def test_a_ticket_with_too_few_useful_photos_leaves_by_its_label():
    tickets = [
        ticket("one", summaries=(SCREW,)),
        ticket("one", "fail", (SCREW,)),
        ticket("two", summaries=(SCREW, WIRE)),
        ticket("blank", summaries=(SCREW, NOTHING)),
        ticket("blank", "fail", (NOTHING,)),
    ]
    least = {"pass": 2, "fail": 1}
    kept, left, _ = run(tickets, min_useful_photos=least)
    assert kept == ["one::fail", "two::pass"]
    assert left == {
        "one::pass": "1 of 1 photos useful, a pass needs 2",
        "blank::pass": "1 of 2 photos useful, a pass needs 2",
        "blank::fail": "0 of 1 photos useful, a fail needs 1",
    }
    kept, left, _ = run(tickets, min_useful_photos=least | {"beside_irrelevant": True})
    assert list(left) == ["blank::pass", "blank::fail"]


def test_a_pass_with_few_photos_leaves_where_its_group_failed_with_more():
    three = (SCREW, WIRE, SCREW)
    tickets = [
        ticket("sold", summaries=(SCREW, WIRE)), ticket("sold", "fail", three),
        ticket("plain", summaries=(SCREW,)), ticket("plain", "fail", (SCREW, WIRE, NOTHING)),
        ticket("full", summaries=three), ticket("full", "fail", three),
        ticket("alone", summaries=(SCREW,)),
    ]  # fmt: skip
    kept, left, filters = run(tickets, suspicious={"drop": True})
    assert list(left) == ["sold::pass"]
    assert left["sold::pass"] == "passed with 2 useful photos, its group failed with 3 or more"
    assert len(kept) == 6 and filters.dropped == {"suspicious": 1}


def test_the_first_of_equal_summaries_stays_and_stands_for_its_label_alone():
    same = (SCREW, WIRE)
    tickets = [
        ticket("first", summaries=same),
        ticket("second", summaries=(WIRE, SCREW)),  # the order of photos says nothing
        ticket("fails", "fail", same),
        ticket("fails too", "fail", same),
        ticket("more", summaries=(*same, WIRE)),
    ]
    filters = Filters(section(duplicates={"by": "summaries"}), PhotoFiles(None))
    for one in tickets:
        filters.see(one)
    said = [filters.judge(one) for one in tickets]
    assert [(type(row).__name__, row.like) if row else None for row in said] == [
        None,
        ("DroppedTicket", "first::pass"),
        ("MarkedTicket", "first::pass"),
        ("DroppedTicket", "fails::fail"),
        None,
    ]
    assert said[1].reason == "the same summaries as first::pass, which stands before it"
    assert isinstance(said[2], MarkedTicket)
    assert said[2].reason == "the same summaries as first::pass, which has the other label; both stay"
    assert (filters.kept, filters.marked, filters.dropped) == ({"pass": 2, "fail": 1}, 1, {"duplicates": 2})


def test_a_ticket_that_left_stands_for_no_other():
    tickets = [ticket("a"), ticket("b"), ticket("c")]
    kept, left, _ = run(tickets, exclude=["a::pass"], duplicates={"by": "summaries"})
    assert kept == ["b::pass"]
    assert left["c::pass"] == "the same summaries as b::pass, which stands before it"


def draw(path: Path, seed: int, *, quality: int = 90, size: int = 256) -> None:
    """A photo of blocks in an order of its own; the same seed in another quality or size looks the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (256, 256), "white")
    pen = ImageDraw.Draw(picture)
    for at in range(16):
        x, y, grey = 64 * (at % 4), 64 * (at // 4), (seed * 7919 * (at + 3) ** 3) % 256
        pen.rectangle((x, y, x + 63, y + 63), fill=(grey, grey, grey))
    picture.resize((size, size)).save(path, quality=quality)


@pytest.fixture
def photos(tmp_path) -> tuple[Path, list[StageA]]:
    """Tickets whose photos are: a's; the same files; the same pictures saved anew; others; one is missing."""
    folder = tmp_path / "photos"
    tickets = [ticket(name, summaries=(f"{name}的螺丝×1", WIRE)) for name in ("a", "same", "near", "other", "gone")]
    for number, seed in ((1, 5), (2, 11)):
        draw(folder / "a" / f"a_{number}.jpeg", seed)
        draw(folder / "near" / f"near_{number}.jpeg", seed, quality=60, size=200)
        draw(folder / "other" / f"other_{number}.jpeg", seed + 1)
        (folder / "same").mkdir(exist_ok=True)
        (folder / "same" / f"same_{3 - number}.jpeg").write_bytes((folder / "a" / f"a_{number}.jpeg").read_bytes())
    draw(folder / "gone" / "gone_1.jpeg", 5)
    return folder, tickets


def test_equal_photo_files_are_duplicates_whatever_their_names_and_summaries(photos):
    folder, tickets = photos
    kept, left, filters = run(tickets, folder, duplicates={"by": "photos"})
    assert left == {"same::pass": "the same photos as a::pass, which stands before it"}
    assert kept == ["a::pass", "near::pass", "other::pass", "gone::pass"]
    assert filters.notes()[0].startswith("1 tickets were not compared by their photos: ")


def test_near_photos_are_duplicates_within_the_distance(photos):
    folder, tickets = photos
    _, left, filters = run(tickets, folder, duplicates={"by": "near_photos"})
    assert list(left) == ["same::pass", "near::pass"]
    assert left["near::pass"] == "photos that differ in 4 of 64 bits at most as a::pass, which stands before it"
    assert filters.notes()[0].startswith("1 tickets were not compared by their photos: ")


def test_where_no_photo_is_there_nothing_is_compared_and_it_is_said_once(tmp_path):
    tickets = [ticket("a"), ticket("b"), ticket("c")]
    for by in ("photos", "near_photos"):
        kept, left, filters = run(tickets, None, duplicates={"by": by})
        assert (len(kept), left) == (3, {})
        assert [note.split(":")[0] for note in filters.notes()] == ["3 tickets were not compared by their photos"]


def test_near_tickets_are_found_as_by_comparing_all_with_all():
    """Random hashes with planted neighbours: the bands find what a comparison of all pairs finds."""
    import numpy as np

    from verdicts.intake.same import NearTickets

    class Planted:
        def __init__(self, hashes):
            self.hashes = hashes

        def perceptual(self, ticket, name):
            return self.hashes[name]

    draws = np.random.default_rng(3)
    seeds = draws.integers(0, 2**63, 30, dtype=np.uint64)
    tickets, hashes = [], {}
    for number in range(300):
        tickets.append(ticket(f"t{number}", "fail" if number % 3 == 0 else "pass", (SCREW,) * (1 + number % 2)))
        for name in tickets[-1].images:
            flips = draws.choice(64, size=int(draws.integers(0, 5)), replace=False)
            hashes[name] = int(seeds[draws.integers(30)]) ^ sum(1 << int(bit) for bit in flips)
    finder, distance = NearTickets(Planted(hashes), 4), 4
    for one in tickets:
        finder.see(one)
    stays: list[StageA] = []
    for number, one in enumerate(tickets):
        twin = finder.first_like(number, one)
        expected = [
            next(
                (other.ticket_key for other in stays if other.label == label and near(one, other, hashes, distance)),
                None,
            )
            for label in (one.label, {"pass": "fail", "fail": "pass"}[one.label])
        ]
        assert list(twin) == expected
        if twin.same_label is None:
            stays.append(one)
    assert 30 < len(stays) < 250


def near(one: StageA, other: StageA, hashes: dict[str, int], distance: int) -> bool:
    """The definition, pair by pair."""
    pairs = [[(hashes[a] ^ hashes[b]).bit_count() <= distance for b in other.images] for a in one.images]
    covered = all(any(row) for row in pairs) and all(any(column) for column in zip(*pairs, strict=True))
    return len(one.images) == len(other.images) and covered


def test_what_filters_go_by_is_in_the_digest(tmp_path):
    file = tmp_path / "noise.txt"
    file.write_text("a::pass\n", encoding="utf-8")
    listed = section(exclude_file=str(file))
    before = Sieve(listed).digest
    file.write_text("b::pass\n", encoding="utf-8")
    assert before != Sieve(listed).digest != ""
    by_photos = section(duplicates={"by": "photos"})
    assert Sieve(by_photos, None, "one").digest != Sieve(by_photos, None, "two").digest
    by_summaries = section(duplicates={"by": "summaries"})
    assert Sieve(by_summaries, None, "one").digest == Sieve(by_summaries, None, "two").digest
