"""What the summaries of a run were asked with: summaries/stage_a.asked.json."""

from verdicts.base.record import PromptName, Record


class SummariesAsked(Record):
    """How summarize asked the student of photos.

    ``prompt`` names it, ``messages`` are its role and text; ``student`` and ``sha256`` the checkpoint that answered.
    """

    prompt: PromptName
    messages: list[dict[str, str]]
    student: str
    sha256: str
    max_new_tokens: int
    photos: int
    tickets: int
