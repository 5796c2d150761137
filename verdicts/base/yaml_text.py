"""Decoding YAML without surprises, within a second whatever the file holds.

YAML 1.1 as PyYAML reads it turns ``2026-01-01`` into a date, ``017`` into 15 and ``1:30`` into 90, keeps the last of
two equal keys in silence, and unfolds a few hundred bytes of aliases to gigabytes. A configuration wants none of it:
such values are refused with their line, as are tags, keys that are not text, non-finite numbers and deep nesting.
"""

import math
import re
from pathlib import Path
from typing import Any

import yaml

from verdicts.base.errors import UserError, mistake
from verdicts.base.plain import plain
from verdicts.base.text_files import read_text

MAX_CHARS, MAX_YAML_DEPTH, MAX_PARTS = 1_000_000, 30, 50_000  # parts: scalars, lists and mappings, aliases unfolded
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one where PyYAML has it: five times as fast
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map", "merge")}
_DATE, _BOOL, _INT, _FLOAT, _STR, _MERGE = (
    f"tag:yaml.org,2002:{name}" for name in ("timestamp", "bool", "int", "float", "str", "merge")
)
_PLAIN_INT = re.compile(r"[-+]?(0|[1-9][0-9_]{0,17})|0x[0-9a-fA-F]{1,15}")
_PLAIN_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_BOOLS = {"yes", "no", "true", "false", "on", "off"}


def read_value(path: Path) -> Any:
    """The value of a YAML file; raises UserError with path and line for everything that is not plain configuration."""
    text = read_text(path)
    node = yaml_nodes(text, path)
    if node is None:
        return None
    _Check(path).measure(node, ())
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise _wrong(path, error) from None
    finally:
        loader.dispose()


def yaml_nodes(text: str, path: Path) -> yaml.Node | None:
    """The nodes of a YAML text; raises UserError for what is no YAML, too long or too deep."""
    if len(text) > MAX_CHARS:
        raise mistake(f"{len(text):,} characters are no configuration", f"keep it below {MAX_CHARS:,}", path=path)
    if odd := _CONTROL.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        raise mistake(f"holds a control character ({plain(odd.group())})", "take it out", path=path, line=line)
    try:
        depth = 0
        # Events come first, for they cost no stack: the C composer dies of deep nesting.
        for at, event in enumerate(yaml.parse(text, Loader=_Loader)):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_YAML_DEPTH:
                raise mistake(
                    f"nested deeper than {MAX_YAML_DEPTH}", "correct the brackets", path=path, line=_line(event)
                )
            if at > 2 * MAX_PARTS:
                what = f"more than {MAX_PARTS:,} parts are no configuration"
                raise mistake(what, "shorten it", path=path, line=_line(event))
        return yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise _wrong(path, error) from None


def _line(part: yaml.Event | yaml.Node) -> int | None:
    return part.start_mark.line + 1 if part.start_mark else None


def _wrong(path: Path, error: yaml.YAMLError) -> UserError:
    """PyYAML's error as one sentence."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = [part for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part]
    what = ", ".join(said) or str(error).split("\n")[0]
    return mistake(f"not valid YAML ({what})", "correct it", path=path, line=mark.line + 1 if mark else None)


class _Check:
    """One walk over a file's nodes, each seen once: aliases lead to the same node."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sizes: dict[int, tuple[int, int]] = {}  # of each node seen, aliases unfolded: parts, depth
        self.within: set[int] = set()

    def measure(self, node: yaml.Node, loc: tuple[str, ...]) -> tuple[int, int]:
        """Parts and depth of what a node unfolds to. Raises UserError for what no configuration holds."""
        if id(node) in self.within:
            raise self._refuse(node, loc, "refers to itself", "write the value out")
        if id(node) not in self.sizes:
            self.within.add(id(node))
            sizes = self._inside(node, loc)
            self.sizes[id(node)] = (
                1 + sum(parts for parts, _ in sizes),
                1 + max((depth for _, depth in sizes), default=0),
            )
            self.within.remove(id(node))
        parts, depth = self.sizes[id(node)]
        if parts > MAX_PARTS or depth > MAX_YAML_DEPTH:
            raise self._refuse(
                node,
                loc,
                f"its aliases unfold to more than {MAX_PARTS:,} parts or {MAX_YAML_DEPTH} levels",
                "write the value out",
            )
        return parts, depth

    def _inside(self, node: yaml.Node, loc: tuple[str, ...]) -> list[tuple[int, int]]:
        """The sizes of a node's parts."""
        if node.tag not in _TAGS and node.tag != _DATE:
            raise self._refuse(
                node, loc, f"has the tag {node.tag.replace('tag:yaml.org,2002:', '!!')}", "remove the tag"
            )
        if isinstance(node, yaml.ScalarNode):
            self._scalar(node, loc)
            return []
        if isinstance(node, yaml.SequenceNode):
            return [self.measure(item, (*loc, str(at))) for at, item in enumerate(node.value)]
        lines: dict[str, int] = {}
        sizes = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in (_STR, _MERGE):
                shown = key.value[:40] if isinstance(key, yaml.ScalarNode) else "a list or mapping"
                raise self._refuse(key, loc, f"a key that is not text ({shown})", "quote it")
            if key.value in lines:
                raise self._refuse(
                    key, (*loc, key.value), f"stands on line {lines[key.value]} already", "keep one of the two"
                )
            lines[key.value] = key.start_mark.line + 1
            sizes.append(self.measure(value, (*loc, key.value)))
        return sizes

    def _scalar(self, node: yaml.ScalarNode, loc: tuple[str, ...]) -> None:
        """Refuse a value that YAML 1.1 takes for something other than it looks like."""
        value, number = node.value[:40], "write the number in plain digits, or quote it as text"
        if node.tag == _DATE:
            raise self._refuse(node, loc, f"{value} is a date to YAML", "quote it")
        if node.tag == _BOOL and node.value.lower() not in _BOOLS:
            raise self._refuse(node, loc, f"{value} is neither true nor false", "write one of both")
        if node.tag == _INT and not _PLAIN_INT.fullmatch(node.value):
            raise self._refuse(node, loc, f"{value} is no plain integer of at most 18 digits", number)
        if node.tag == _FLOAT and not (_PLAIN_FLOAT.fullmatch(node.value) and math.isfinite(float(node.value))):
            raise self._refuse(node, loc, f"{value} is no plain finite number", number)
        if odd := _CONTROL.search(node.value):
            raise self._refuse(node, loc, f"holds a control character ({plain(odd.group())})", "take it out")

    def _refuse(self, node: yaml.Node, loc: tuple[str, ...], what: str, todo: str) -> UserError:
        return mistake(what, todo, path=self.path, line=_line(node), field=".".join(loc) or None)
