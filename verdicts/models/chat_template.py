"""A model's chat template as text around two places: the system message and the user message.

The template is rendered once with placeholders, so that template text and data are tokenised apart: control tokens
come from the template only.
"""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from verdicts.base.errors import mistake

_SYSTEM, _USER = "SYSTEM-9f1c4e7a", "USER-9f1c4e7a"


class Pieces(NamedTuple):
    """Template text before the system message, between it and the user message, and after that up to the answer."""

    head: str
    middle: str
    tail: str


def pieces(template: str | None, *, bos: str, eos: str, thinking: bool, source: str) -> Pieces:
    """Render ``template`` (Jinja, as in GGUF and tokenizer files) around placeholders and cut it there.

    ``source`` names the model in errors. Raises UserError where the template is missing, faulty, or has no room for a
    system message followed by a user message.
    """
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}]
    return Pieces(
        *text_around(
            template,
            messages,
            (_SYSTEM, _USER),
            source=source,
            bos_token=bos,
            eos_token=eos,
            add_generation_prompt=True,
            enable_thinking=thinking,
        )
    )


def text_around(
    template: str | None, messages: Sequence[Mapping[str, Any]], marks: Sequence[str], *, source: str, **values: Any
) -> list[str]:
    """Render ``template`` on messages whose texts are ``marks`` and return the text before, between and behind these.

    Raises UserError where the template is missing, faulty, or does not show each mark once, in their order.
    """
    if not template:
        raise mistake(
            "the model carries no chat template",
            "use an instruction-tuned model, or add tokenizer.chat_template to the file",
            path=source,
        )
    text = _render(template, source, messages=messages, **values)
    around, whole = [], True
    for mark in marks:
        before, found, text = text.partition(mark)
        whole = whole and bool(found)
        around.append(before)
    around.append(text)
    if not whole or any(mark in part for mark in marks for part in around):
        roles = ", ".join(str(message["role"]) for message in messages)
        raise mistake(
            f"its chat template does not show the messages ({roles}) once each, in this order",
            "use another model",
            path=source,
        )
    return around


class PlainText:
    """Tokenises data with a transformers tokenizer so that no text in it becomes a control token.

    A control token is an added token that is special or written ``<…>``. Other added tokens are ordinary words (the
    miniature student has some for JSON) and stay whole.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        control = [
            token.content
            for token in tokenizer.added_tokens_decoder.values()
            if token.special or token.content.startswith("<")
        ]
        self._control = re.compile(f"(?={'|'.join(map(re.escape, control))})" if control else "(?!)")

    def ids(self, text: str) -> list[int]:
        """Ids of ``text``, with a cut behind the first character of whatever is written like a control token."""
        cuts = [found.start() + 1 for found in self._control.finditer(text)]
        edges = [0, *cuts, len(text)]
        return [i for start, end in pairwise(edges) for i in self.template_ids(text[start:end])]

    def template_ids(self, text: str) -> list[int]:
        """Ids of text that comes from a chat template: control tokens are control tokens."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def _render(template: str, source: str, **values: Any) -> str:
    import jinja2
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    # trim_blocks, lstrip_blocks, loop controls and tojson as transformers renders chat templates
    # (its utils/chat_template_utils.py)
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    environment.globals["raise_exception"] = refuse
    try:
        return environment.from_string(template).render(**values)
    except jinja2.TemplateError as error:
        raise mistake(
            f"its chat template cannot be rendered ({error})",
            "use a model whose template takes a system and a user message",
            path=source,
        ) from None
