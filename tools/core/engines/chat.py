"""A model's chat template as text around two places: the system message and the user message.

The template is rendered once with placeholders, so that template text and data are tokenised apart: control tokens
come from the template only.
"""

import json
from typing import Any, NamedTuple

from tools.core.errors import mistake

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
    if not template:
        raise mistake("the model carries no chat template", "use an instruction-tuned model, or add tokenizer.chat_template to the file", path=source)
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}]
    text = _render(template, source, messages=messages, bos_token=bos, eos_token=eos, add_generation_prompt=True, enable_thinking=thinking)
    head, found, rest = text.partition(_SYSTEM)
    middle, found_too, tail = rest.partition(_USER)
    if not (found and found_too) or _SYSTEM in rest or _USER in tail:
        raise mistake("its chat template does not show a system and a user message once each, in this order", "use another model", path=source)
    return Pieces(head, middle, tail)


def _render(template: str, source: str, **values: Any) -> str:
    import jinja2
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    # trim_blocks, lstrip_blocks, loop controls and tojson as transformers renders chat templates (its utils/chat_template_utils.py).
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    environment.globals["raise_exception"] = refuse
    try:
        return environment.from_string(template).render(**values)
    except jinja2.TemplateError as error:
        raise mistake(f"its chat template cannot be rendered ({error})", "use a model whose template takes a system and a user message", path=source) from None
