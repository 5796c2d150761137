"""What an import leaves beside its rows: what it refused, what it repaired, and the account of both."""

from typing import Literal

from verdicts.base.record import Record

RefusalOfRow = Literal[
    "not_json", "not_an_object", "unknown_field", "missing_field", "bad_field",
    "several_photos", "photo_not_there", "photo_unfit", "photo_size",
    "no_geometry", "two_geometries", "odd_length", "too_few_points", "points_mismatch", "out_of_bounds", "no_area",
    "corners_swapped", "crossing", "too_small", "empty_desc", "blank_summary", "broken_summary", "media_word",
    "nothing_to_learn", "irrelevant_with_objects", "messages_and_photo", "bad_chat", "duplicate",
]  # fmt: skip
RepairOfRow = Literal[
    "size_from_photo", "desc_blanks", "desc_control", "pairs_flattened", "moved_to_edge", "closing_point",
    "vertices_resorted", "clockwise", "start_vertex", "line_reversed", "summary_lines", "summary_object",
    "prefix_removed", "irrelevant_count",
]  # fmt: skip


class RefusedImport(Record):
    """A row that was not imported."""

    file: str
    line: int
    reason: RefusalOfRow
    field: str
    detail: str


class RowRepair(Record):
    """What was changed in a row to bring it into its form."""

    repair: RepairOfRow
    field: str
    detail: str


class RepairedImport(Record):
    """A row that was imported with repairs."""

    file: str
    line: int
    repairs: list[RowRepair]


class Lengths(Record):
    """Characters of answers: of half of them at most, of 95 and of 99 in a hundred, and of the longest."""

    median: int
    p95: int
    p99: int
    longest: int


class ImportReport(Record):
    """The account of an import.

    ``rows_in`` is the sum of ``dense_and_summary``, ``dense_only``, ``summary_only``, ``irrelevant``, ``chat`` and
    ``refused``. ``prompts``: domain and task -> the prompt that its rows are asked with, as records name it.
    """

    name: str
    files: dict[str, int]
    rows_in: int
    dense_and_summary: int
    dense_only: int
    summary_only: int
    irrelevant: int
    chat: int
    refused: int
    refused_by_reason: dict[RefusalOfRow, int]
    repaired: int
    repairs: dict[RepairOfRow, int]
    objects: dict[Literal["bbox_2d", "poly", "line"], int]
    words: dict[Literal["v1", "v2", "both"], int]
    domains: dict[str, int]
    prompts: dict[str, str]
    reordered: int
    ignored_fields: dict[str, int]
    groups: int
    groups_held_out: int
    written: dict[str, int]
    lengths: dict[Literal["dense", "summary", "chat"], Lengths]
