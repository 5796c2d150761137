"""What every record and every section of the configuration is made of: strict models, and text on one line."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Record(BaseModel):
    """A frozen record in which an unknown field is an error and types are not coerced."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )


def one_line(text: str) -> str:
    """The text itself. Raises ValueError where it is blank, or holds what any reader takes for a line end.

    In a prompt, text with a line end would begin a line of its own.
    """
    if not text.strip():
        raise ValueError("is blank; write it, or take it out")
    if text.splitlines() != [text]:
        raise ValueError("holds a line end; write it on one line")
    return text


# Which templates a model was asked with: 12 hex digits (stage_b/prompts.py). "" in a row of an older version, which has
# no such field: it is left out as it was.
PromptName = Annotated[str, Field(pattern="^([0-9a-f]{12})?$", exclude_if=lambda name: not name)]
Line = Annotated[str, AfterValidator(one_line)]
