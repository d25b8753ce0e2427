"""Mutants of JSON files: seeded changes that a careless edit, a torn write or a hostile sender would make."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# each takes the place of a value
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 2, 0.5, -0.0, 1e308, -1e308, 10**9, 10**12, 10**30, -(10**18), 2**31, 2**53, 2**63,
    float("nan"), float("inf"), float("-inf"), "", "x", "0", "../../etc/passwd", "/dev/zero", "\ud800", "\x1b[31m",
    "\x00", "x" * 100_000, [], {}, [[]], [None], [{}], {"": ""}, {"a": {"b": {"c": [1, 2, 3]}}}, [1, 2, 3], ["a", "a"],
    "lstm", "gru+zoneout=9", "tanh",
)  # fmt: skip
DEEP = 100_000  # brackets


def copied(folder: Path, place: Path) -> Path:
    """A copy of a folder to damage, in place of an earlier one."""
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(folder, place))


def mutants(content: bytes, seed: int, count: int) -> Iterator[bytes]:
    """`count` mutants of a file of JSON."""
    for number in range(count):
        yield mutant(content, random.Random(f"{seed} {number}"))


def mutant(content: bytes, draw: random.Random) -> bytes:
    """One mutant: of its values in most cases, otherwise of its bytes."""
    kind = draw.randrange(10)
    if kind == 0:
        return damaged_bytes(content, draw)
    data = json.loads(content)
    places = list(places_of(data))
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        holder, key = draw.choice(places)
        change(holder, key, draw)
    text = json.dumps(data)
    return text.encode("utf-8", "surrogatepass")


def change(holder: Any, key: Any, draw: random.Random) -> None:
    """Change the value of a key of an object or a list, or the key."""
    if key not in range(len(holder)) if isinstance(holder, list) else key not in holder:
        return  # deleted by an earlier change
    value = holder[key]
    kind = draw.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[draw.choice(("", "x", key + "_", key.upper()))] = holder.pop(key)
    elif kind == 2 and isinstance(value, int | float) and not isinstance(value, bool):
        holder[key] = draw.choice((value + 1, -value, value * 1000, value * 10**7, value / 3, str(value)))
    elif kind == 3 and isinstance(value, str):
        holder[key] = draw.choice((value + "x", value.upper(), value[: len(value) // 2], [value], value * 300))
    elif kind == 3 and isinstance(value, list):
        holder[key] = draw.choice((value[:-1], value + value, value[::-1], [value], dict(enumerate(map(str, value)))))
    else:
        holder[key] = copy.deepcopy(draw.choice(VALUES))


def places_of(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every value in lists and objects, as its holder and its key."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in list(pairs):
        yield data, key
        yield from places_of(value)


def damaged_bytes(content: bytes, draw: random.Random) -> bytes:
    """Cut off, not UTF-8, nested too deeply, doubled, empty, or with some bytes changed."""
    kind = draw.randrange(8)
    if kind == 0:
        return content[: draw.randrange(len(content))]
    if kind == 1:
        place = draw.randrange(len(content))
        return content[:place] + b"\xff\xfe" + content[place:]
    if kind == 2:
        return draw.choice((b"[", b'{"a":')) * DEEP
    if kind == 3:
        return content + content
    if kind == 4:
        return draw.choice((b"", b"null", b"[]", b"{}", b"1", b'"x"', b"\xef\xbb\xbf" + content, b"\x00" * 64))
    changed = bytearray(content)
    for _ in range(draw.randrange(1, 9)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)
