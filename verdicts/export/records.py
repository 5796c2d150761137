"""A student as files for llama.cpp, what was checked of them, and whether they may ship there."""

from typing import Annotated, Literal

from pydantic import Field

from verdicts.base.record import Record
from verdicts.records.corpus import Task
from verdicts.records.evaluation import Difference, Evaluation, Named
from verdicts.stats.rates import Rate

# What can be wrong with an exported file: a tensor that is not there, or is one too many, of another shape or kind, or
# with other values than the student's; a setting, a token, the chat template or a photo's preparation that differs.
Wrong = Literal["missing", "extra", "shape", "kind", "values", "setting", "tokens", "chat_template", "unreadable"]


class ExportFinding(Record):
    """One thing that is wrong: in which file, of which kind, and in words."""

    file: str
    wrong: Wrong
    detail: str


class ExportedFile(Record):
    """One GGUF file, its SHA-256. ``kinds``: tensors by kind; ``error``: the largest relative error of one, by kind."""

    name: str
    bytes: int
    sha256: str
    tensors: int
    kinds: dict[str, int]
    error: dict[str, float]


class Conversion(Record):
    """What a conversion made, and what was checked of it.

    ``photo_tokens``: the fewest and the most tokens of a photo that the student was taught with; the server has to be
    told them. ``found``: what is wrong; empty where all is as the student has it.
    """

    student: Named
    llama_cpp: str
    quant: str
    mmproj_quant: str
    files: list[ExportedFile]
    settings_checked: int
    photo_tokens: Annotated[list[int], Field(min_length=2, max_length=2)]
    found: list[ExportFinding]


class ExportGate(Record):
    """Whether an export may ship: the student by transformers and the same student on llama.cpp, asked the same.

    ``agreement``: tickets with the same verdict of both; ``same_text``: answers with the same text, by task.
    ``changes``: each metric from transformers to llama.cpp; ``retention``: from before training to llama.cpp.
    """

    state: Literal["shipped", "refused"]
    reasons: list[str]
    remarks: list[str]
    conversion: Conversion
    transformers: Evaluation
    served: Evaluation
    agreement: Rate
    same_text: dict[Task, Rate]
    changes: dict[str, Difference]
    retention: dict[str, Difference]
