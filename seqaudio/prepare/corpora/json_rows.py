"""Read JSON as a table: an object in each line, as speech toolkits write their manifests, or a list of objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

from seqaudio.errors import SourceError

MOST = 1 << 28  # characters of a list
MOST_LINE = 1 << 20  # characters


def read_json_rows(path: Path, file: TextIO) -> list[dict[str, str]]:
    """A row for each object. All rows have the same names: those of all objects, in the order of their first use.

    Numbers keep the digits with which they are written; null, NaN and a missing name are an empty text.

    Raises SourceError for other files.
    """
    line = file.readline(MOST_LINE)
    while line.isspace():
        line = file.readline(MOST_LINE)
    objects = []
    if line.lstrip()[:1] == "{" and isinstance(first := _parsed(line), dict) and not _list_in(first):
        objects.append(first)
        number = 1
        while line := file.readline(MOST_LINE):
            number += 1
            if line.strip():
                objects.append(_object(path, f"line {number}", _parsed(line)))
    else:
        file.seek(0)
        whole = _parsed(file.read(MOST))
        listed = (_list_in(whole) or [whole]) if isinstance(whole, dict) else whole
        if not isinstance(listed, list):
            raise SourceError(f"{path}: not valid JSON; expected an object in each line, or a list of objects")
        objects = [_object(path, f"object {number}", value) for number, value in enumerate(listed, start=1)]
    names = list(dict.fromkeys(name for row in objects for name in row))
    return [{name.strip(): _text(row.get(name)) for name in names} for row in objects]


def _parsed(text: str) -> Any:
    """The value, or None where the text is not JSON."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        return None


def _list_in(value: dict[str, Any]) -> list[Any] | None:
    """The list of objects that an object wraps, such as {"data": [...]}."""
    lists = [held for held in value.values() if isinstance(held, list) and held and isinstance(held[0], dict)]
    return lists[0] if len(lists) == 1 else None


def _object(path: Path, place: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SourceError(f'{path}, {place}: not an object in JSON, expected one such as {{"path": "a.wav", ...}}')
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
