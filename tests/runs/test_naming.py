"""What a run is made of: what is named now, what the run remembers, and which of the two counts."""

import pytest

from verdicts.base.digests import sha256_of
from verdicts.base.errors import UserError
from verdicts.records.tickets import TicketsSource
from verdicts.runs.naming import DRAWN, SUMMARIES, Choice, NamedPath, section_differences

HELD = "was made with"  # begins what a refusal says


@pytest.fixture
def made(tmp_path, monkeypatch) -> Choice:
    """A run that has tickets, so that its names bind."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "one" / "bbu_line"
    run.mkdir(parents=True)
    (run / "stage_a.jsonl").write_text("")
    return Choice(run, remake=False)


def outcome(choose) -> object:
    """What was chosen, or the refusal as text."""
    try:
        return choose()
    except UserError as error:
        return str(error)


def source(choice: Choice, path, synthetic: bool = False) -> TicketsSource:
    """What a run remembers of a file of tickets."""
    return TicketsSource(source=str(path), sha256=sha256_of(path) if path.exists() else "0" * 64, synthetic=synthetic)


@pytest.mark.parametrize(
    ("named", "was", "chosen"),
    [(None, None, None), ("a", None, "a"), (None, "a", "a"), ("a", "a", "a"), ("", "a", "a"), ("b", "a", HELD)],
)
def test_a_word_is_the_named_one_else_the_remembered_one(made, named, was, chosen):
    found = outcome(lambda: made.word("MODELS", named, was))
    assert chosen in found if chosen == HELD else found == chosen


def test_another_word_is_taken_where_it_overwrites_nothing_or_is_asked_for(made):
    new = Choice(made.run_dir.with_name("bbu_cable"), remake=False)
    assert new.word("MODELS", "b", "a") == Choice(made.run_dir, remake=True).word("MODELS", "b", "a") == "b"


@pytest.mark.parametrize(
    ("variable", "named", "was", "chosen"),
    [
        ("CONFIG", None, None, None),
        ("CONFIG", "a.yaml", "a.yaml", "a.yaml"),
        ("CONFIG", None, "a.yaml", "a.yaml"),
        ("CONFIG", "same.yaml", "a.yaml", "same.yaml"),  # at another place with the same content
        ("CONFIG", "b.yaml", "a.yaml", "was made with CONFIG=a.yaml, not with CONFIG=b.yaml"),
        ("CONFIG", "b.yaml", None, "was made with no CONFIG, not with CONFIG=b.yaml"),
        ("CONFIG", "", "a.yaml", "was made with CONFIG=a.yaml, not with CONFIG=;"),
        ("PHOTOS", "b.yaml", None, "b.yaml"),  # it had no need of photos so far
        ("CONFIG", "gone.yaml", "a.yaml", "gone.yaml: no such file"),
        ("CONFIG", None, "gone.yaml", "gone.yaml: CONFIG=gone.yaml, which"),
    ],
)
def test_a_file_goes_by_place_or_content(made, tmp_path, variable, named, was, chosen):
    for name, text in (("a", "1"), ("same", "1"), ("b", "2")):
        (tmp_path / f"{name}.yaml").write_text(text)
    before = was and (NamedPath(path=was, digest="gone") if was == "gone.yaml" else NamedPath.of(was))
    found = outcome(lambda: made.file(variable, named, before))
    if isinstance(found, NamedPath):
        found = found.path
    assert found == chosen or (chosen and chosen in found)


def test_an_edited_config_at_its_place_is_the_same_name(made, tmp_path):
    (tmp_path / "a.yaml").write_text("1")
    before = NamedPath.of("a.yaml")
    (tmp_path / "a.yaml").write_text("2")
    assert made.file("CONFIG", "a.yaml", before).digest != before.digest


def test_tickets_named_now_come_first_and_others_than_before_are_refused(made, tmp_path):
    for name, text in (("a", "1"), ("same", "1"), ("b", "2")):
        (tmp_path / f"{name}.jsonl").write_text(text)
    was = source(made, tmp_path / "a.jsonl")
    assert made.tickets("b.jsonl", None, may_draw=False) == ("b.jsonl", False)
    assert made.tickets("same.jsonl", was, may_draw=False) == ("same.jsonl", False)
    assert made.tickets(None, was, may_draw=False) == (str(tmp_path / "a.jsonl"), False)
    assert HELD in outcome(lambda: made.tickets("b.jsonl", was, may_draw=False))
    assert "no such file; check the path" in outcome(lambda: made.tickets("gone.jsonl", was, may_draw=False))
    assert "is a folder; give a file" in outcome(lambda: made.tickets(str(tmp_path), was, may_draw=False))


def test_tickets_that_are_gone_may_still_be_named_at_their_place(made, tmp_path):
    """The run has its own copy of them."""
    was = source(made, tmp_path / "gone.jsonl", synthetic=True)
    assert made.tickets("gone.jsonl", was, may_draw=False) == ("gone.jsonl", True)


def test_without_a_name_tickets_are_the_summaries_then_the_missions_data_then_drawn(made, tmp_path):
    assert "no tickets for MISSION=bbu_line; name them" in outcome(lambda: made.tickets(None, None, may_draw=False))
    assert made.tickets(None, None, may_draw=True) == (str(made.run_dir / DRAWN), True)
    (tmp_path / "data" / "bbu_line").mkdir(parents=True)
    (tmp_path / "data" / "bbu_line" / "stage_a.jsonl").write_text("")
    assert made.tickets(None, None, may_draw=True) == ("data/bbu_line/stage_a.jsonl", False)
    (made.run_dir / "summaries").mkdir()
    (made.run_dir / SUMMARIES).write_text("")
    assert made.tickets(None, None, may_draw=True) == (str(made.run_dir / SUMMARIES), False)


def test_photos_go_through_summarize_alone(made, tmp_path):
    was = source(made, tmp_path / "a.jsonl")
    refused = outcome(lambda: made.photos_or_tickets({"summarize"}, "photos", was, dry_run=True))
    assert "was made with STAGE_A=" in refused and "not with STAGE_A=the summaries of PHOTOS=photos" in refused
    refused = outcome(lambda: made.photos_or_tickets({"distill"}, "photos", None, dry_run=True))
    assert "run make summarize PHOTOS=… first, then make distill" in refused
    of_photos = TicketsSource(source=str(made.run_dir / SUMMARIES), sha256="0" * 64, synthetic=False)
    assert made.photos_or_tickets({"summarize"}, "photos", of_photos, dry_run=True) == of_photos
    assert made.photos_or_tickets({"show"}, "photos", was, dry_run=True) == was


@pytest.mark.parametrize(("dry_run", "kept"), [(True, True), (False, False)])
def test_a_remade_run_forgets_its_tickets_but_in_a_dry_run(made, tmp_path, dry_run, kept):
    note = made.run_dir / "config" / "tickets.json"
    note.parent.mkdir()
    note.write_text("{}")
    remade = Choice(made.run_dir, remake=True)
    was = source(made, tmp_path / "a.jsonl")
    assert remade.photos_or_tickets({"summarize"}, None, was, dry_run=dry_run) is None
    assert note.exists() is kept


def test_a_difference_of_sections_names_each_knob_old_and_new():
    was = {"engine": {"slots": 16, "gone": 1}}
    assert section_differences(was, "engine: {slots: 32, new: 2}") == (
        "engine.slots 16 -> 32, engine.new absent -> 2, engine.gone 1 -> absent"
    )
    assert section_differences(was, "engine: {gone: 1, slots: 16}") == ""
