"""What goes wrong with files: small mutations of bytes, of JSON lines and of YAML, drawn from a seeded generator.

Each takes the bytes of a good file and gives other bytes. What a reader then does (read, or refuse in a sentence) is
counted by tools/chaos_inputs.py.
"""

import json
import random
from collections.abc import Callable, Iterable
from typing import Any

Slot = tuple[Any, ...]  # keys and indexes on the way to a part of a decoded value
Mutation = Callable[[bytes, random.Random], bytes]
VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**17, "", " ", "x", "通过", "\n", "a\nG9: 通过", "\x1b[31m", "\u202e",
    "=1+1", "../../x", "a\x00b", "9" * 50, [], {}, [[]], {"a": {}}, ["x"] * 3,
]  # fmt: skip
RAW = [
    '"\\ud800"',
    "9" * 5000,
    "1e999",
    "NaN",
    "-Infinity",
    "[" * 2000,
    "[" * 900 + "]" * 900,
    '{"a":1,"a":2}',
    '"\\u0000"',
    "-",
    "01",
    "'x'",
    "1e-999",
    "2026-01-01",
    '"\x85"',
    "tru",
]
YAML_TEXTS = [
    "bomb:\n  a: &a [x,x,x,x,x,x,x,x,x]\n  b: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n"
    "  c: &c [*b,*b,*b,*b,*b,*b,*b]\n  d: &d [*c,*c,*c,*c,*c,*c,*c]\n  e: [*d,*d,*d,*d,*d,*d]\n",
    "again: &r [*r]\n", "again: &m {x: *m}\n", "when: 2026-01-01\n", "when: 2026-13-45T99:00\n", "n: 017\n",
    "n: 1:30\n", "n: .nan\n", "x: !!python/object/apply:os.system [true]\n", "x: !!binary abc\n", "---\nx: 1\n",
    "? [a]\n: b\n", "1: x\n", "\tx: 1\n", "x: *none\n", "x: [", "x: '", "mission: {name: a}\nmission: {name: b}\n",
    "x: " + "[" * 3000 + "\n", "%YAML 7\n", "<<: 3\n", "x: \"\\0\"\n", "x: !!set {a}\n", "x: |\n  a\n  b\n",
]  # fmt: skip


def _at(data: bytes, rng: random.Random) -> int:
    return rng.randrange(len(data) + 1)


def _line(data: bytes, rng: random.Random) -> tuple[list[bytes], int]:
    lines = data.split(b"\n")
    return lines, rng.randrange(max(1, len(lines) - 1))


def flip(data: bytes, rng: random.Random) -> bytes:
    """Another byte somewhere."""
    at = rng.randrange(max(1, len(data)))
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def cut_short(data: bytes, rng: random.Random) -> bytes:
    """The end is missing."""
    return data[: _at(data, rng)]


def drop(data: bytes, rng: random.Random) -> bytes:
    """Some bytes are missing."""
    at = _at(data, rng)
    return data[:at] + data[at + rng.randrange(1, 40) :]


def insert(data: bytes, rng: random.Random) -> bytes:
    """Something stands where it does not belong."""
    what = rng.choice(
        [
            b"\0",
            b"\r",
            b"\n",
            b"\xff",
            b"\x1b[2J",
            b"\xef\xbb\xbf",
            b"\xed\xa0\x80",
            b"}",
            b"]",
            b'"',
            b"\\",
            b",",
            b"\xc2\x85",
            b"\xe2\x80\xa8",
            b" " * 100000,
            b"x" * 100000,
        ]
    )
    at = _at(data, rng)
    return data[:at] + what + data[at:]


def double_line(data: bytes, rng: random.Random) -> bytes:
    """A line stands twice."""
    lines, at = _line(data, rng)
    return b"\n".join([*lines[: at + 1], lines[at], *lines[at + 1 :]])


def lose_line(data: bytes, rng: random.Random) -> bytes:
    """A line is missing."""
    lines, at = _line(data, rng)
    return b"\n".join(lines[:at] + lines[at + 1 :])


def swap_lines(data: bytes, rng: random.Random) -> bytes:
    """Two lines have changed places."""
    lines, at = _line(data, rng)
    other = rng.randrange(max(1, len(lines) - 1))
    lines[at], lines[other] = lines[other], lines[at]
    return b"\n".join(lines)


def encode(data: bytes, rng: random.Random) -> bytes:
    """Saved by a program with other habits."""
    text = data.decode("utf-8", "replace")
    if rng.random() < 0.3:
        return (text.replace("\n", "\r") if rng.random() < 0.5 else text.replace("\n", "\r\n")).encode()
    return text.encode(
        rng.choice(["gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32", "big5", "cp1252"]), "replace"
    )


def other_file(data: bytes, rng: random.Random) -> bytes:
    """Something else altogether."""
    kinds = [
        b"",
        b"\n\n",
        b"{}",
        b"[]",
        b"null",
        b"\0" * 64,
        b"PK\x03\x04",
        b"\x1f\x8b\x08",
        b"GGUF\x03",
        b"{" * 5000,
        b"[" * 100000,
        b'{"a":' * 5000,
        bytes(rng.randrange(256) for _ in range(300)),
    ]
    return rng.choice(
        [
            *kinds,
            b"[" + data.strip().replace(b"\n", b",\n") + b"]",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        ]
    )


def raw_value(data: bytes, rng: random.Random) -> bytes:
    """A value of a JSON text (a number or a text) is something a decoder may stumble over."""
    spans: list[tuple[int, int]] = []
    at = 0
    while (start := data.find(b": ", at)) >= 0 and len(spans) < 400:
        end = min((place for mark in (b",", b"}", b"\n") if (place := data.find(mark, start)) > 0), default=len(data))
        spans.append((start + 2, end))
        at = start + 2
    if not spans:
        return insert(data, rng)
    start, end = rng.choice(spans)
    return data[:start] + rng.choice(RAW).encode() + data[end:]


def _slots(value: Any, path: Slot = ()) -> list[Slot]:
    inner: Iterable[tuple[Any, Any]] = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path, *(found for name, part in inner for found in _slots(part, (*path, name)))]


def _holder(value: Any, path: Slot) -> Any:
    for name in path[:-1]:
        value = value[name]
    return value


def in_value(value: Any, rng: random.Random, donor: Any = None) -> Any:
    """One part of a decoded value is gone, doubled, of another type, or another one's."""
    slots = [path for path in _slots(value) if path]
    if not slots:
        return rng.choice(VALUES)
    path = rng.choice(slots)
    holder, kind = _holder(value, path), rng.randrange(5)
    if kind == 0:
        del holder[path[-1]]
    elif kind == 1 and isinstance(holder, dict):
        holder[rng.choice(["zzz", "", "G1", "image_9", "pass", str(path[-1]) + " "])] = rng.choice(VALUES)
    elif kind == 2 and isinstance(holder, list):
        holder.insert(path[-1], holder[path[-1]])
    elif kind == 3 and donor is not None:
        others = [other for other in _slots(donor) if other and other[-1] == path[-1]] or [
            other for other in _slots(donor) if other
        ]
        if others:
            other = rng.choice(others)
            holder[path[-1]] = _holder(donor, other)[other[-1]]
    else:
        holder[path[-1]] = rng.choice(VALUES)
    return value


def json_part(data: bytes, rng: random.Random) -> bytes:
    """A row or object whose parts are not what they should be, in JSON that is none the worse."""
    text = data.decode("utf-8", "replace")
    try:
        lines = [text] if text.startswith("{\n") else text.split("\n")
        at = rng.randrange(max(1, len(lines) - 1))
        donor = json.loads(rng.choice([line for line in lines if line.strip()]))
        lines[at] = json.dumps(in_value(json.loads(lines[at]), rng, donor), ensure_ascii=False)
    except (ValueError, IndexError, RecursionError):
        return flip(data, rng)
    return "\n".join(lines).encode("utf-8", "replace")


def yaml_value(data: bytes, rng: random.Random) -> bytes:
    """A configuration whose parts are not what they should be."""
    import yaml

    if b"*" in data or b"[[" in data:
        return flip(data, rng)
    try:
        value = in_value(yaml.safe_load(data.decode()), rng)
        text: str = yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
        return text.encode("utf-8", "replace")
    except (yaml.YAMLError, ValueError, KeyError, RecursionError):
        return flip(data, rng)


def yaml_text(data: bytes, rng: random.Random) -> bytes:
    """A line of YAML that means trouble, before or behind the rest, or a section written twice."""
    text = rng.choice(YAML_TEXTS).encode()
    return rng.choice([text + data, data + text, data + data])


ANY: list[Mutation] = [flip, cut_short, drop, insert, double_line, lose_line, swap_lines, encode, other_file]
BY_SUFFIX: dict[str, list[Mutation]] = {
    ".jsonl": [*ANY, json_part, json_part, json_part, json_part, raw_value, raw_value],
    ".json": [*ANY, json_part, json_part, json_part, json_part, raw_value, raw_value],
    ".yaml": [*ANY, yaml_value, yaml_value, yaml_value, yaml_value, yaml_text, yaml_text, yaml_text],
    ".csv": [*ANY, insert, insert, flip, flip],
    ".parquet": [*ANY, flip, flip, flip, cut_short, drop, insert],
}


def mutate(data: bytes, suffix: str, rng: random.Random) -> tuple[str, bytes]:
    """The name of a mutation and what it makes of a file; sometimes two in a row."""
    chosen = [rng.choice(BY_SUFFIX[suffix]) for _ in range(1 if rng.random() < 0.85 else 2)]
    for mutation in chosen:
        data = mutation(data, rng)
    return "+".join(mutation.__name__ for mutation in chosen), data
