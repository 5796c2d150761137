"""A JSON schema as a grammar in llama.cpp's GBNF, for the part of JSON Schema that this project's schemas use.

Objects have all their properties, in the order of the schema: a model trained on one order keeps it, and no property is
forgotten. At most one blank stands between two parts: a model that indents spends half its tokens on it. Texts hold no
escaped control character and no line end, so none can break a line of a prompt or a record.
GBNF: grammars/README.md of llama.cpp.
"""

import json
from collections.abc import Mapping
from typing import Any

_COMMON = r"""ws ::= " "?
char ::= [^"\\\x00-\x1F\x7F] | "\\" ["\\/]
integer ::= "-"? ("0" | [1-9] [0-9]{0,8})
"""


def gbnf(schema: Mapping[str, Any]) -> str:
    """The grammar of a schema; its first rule is ``root``. ValueError (a programming error) for what it lacks."""
    rules: dict[str, str] = {}
    top = _expression(schema, rules)
    return f"root ::= {top}\n" + "".join(f"{name} ::= {body}\n" for body, name in rules.items()) + _COMMON


def _expression(schema: Mapping[str, Any], rules: dict[str, str]) -> str:
    """A schema as an expression. Whatever is more than a word becomes a rule, the same one for the same body."""
    if "enum" in schema:
        body = " | ".join(_literal(json.dumps(value, ensure_ascii=False)) for value in schema["enum"])
    elif "anyOf" in schema:
        body = " | ".join(_expression(one, rules) for one in schema["anyOf"])
    elif schema.get("type") == "object":
        if list(schema["required"]) != list(schema["properties"]):
            raise ValueError("every property has to be required")
        pairs = (
            f'{_literal(json.dumps(name, ensure_ascii=False))} ws ":" ws {_expression(value, rules)}'
            for name, value in schema["properties"].items()
        )
        body = '"{" ws ' + ' ws "," ws '.join(pairs) + ' ws "}"'
    elif schema.get("type") == "array":
        body = _array(_expression(schema["items"], rules), schema.get("minItems", 0), schema.get("maxItems"))
    elif schema.get("type") == "string":
        most = schema.get("maxLength")
        body = rf'"\"" char{"*" if most is None else f"{{0,{most}}}"} "\""'
    elif schema.get("type") == "integer":
        return "integer"
    else:
        raise ValueError(f"no grammar for {json.dumps(schema, ensure_ascii=False)}")
    return rules.setdefault(body, f"r{len(rules)}")


def _array(item: str, least: int, most: int | None) -> str:
    """A list of ``least`` to ``most`` items (None: any number)."""
    if most is not None and most < max(least, 1):
        return '"[" ws "]"'
    more = f"{{{max(least - 1, 0)},{'' if most is None else most - 1}}}"
    items = f'{item} (ws "," ws {item}){more} ws'
    return f'"[" ws {items} "]"' if least else f'"[" ws ({items})? "]"'


def _literal(text: str) -> str:
    """Text as a GBNF literal."""
    escaped = (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    )
    return f'"{escaped}"'
