"""JSON and lines of text of stores and runs: read within bounds, checked against dataclasses, with one-line errors.

    header = checked(Header, read_json(path))     # ValueError: "counts.train.rows is -1, expected 0 or more"

A file may come from anybody. So its size and depth are checked before it is used, its strings can be printed, and its
numbers are finite: NaN and infinity, which are not JSON although Python writes them, are read as None.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from seqaudio.files import open_plain

T = TypeVar("T")

MAX_BYTES = 1 << 26  # 64 MiB: a vocabulary of a million names takes a third
MAX_DEPTH = 64  # of nested lists and objects; our own files have six levels
MAX_SHOWN = 40  # characters of a value in a message


@dataclass(frozen=True)
class Range:
    """The least and greatest value of a number: `Annotated[int, Range(0, 9)]`."""

    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.least:,.10g} or more" if self.most >= MOST else f"{self.least:,.10g} to {self.most:,.10g}"


MOST = 2**53  # greater integers are not exact in other readers of JSON
Count = Annotated[int, Range(0, MOST)]
Size = Annotated[int, Range(1, MOST)]
NULL = object()
Number = Annotated[float, NULL]  # NaN where the file has null, which is written for NaN and infinity
Metrics = dict[str, Number]


@dataclass(frozen=True)
class Format:
    """The number that a file of JSON begins with; a file of another format may have other fields."""

    format: int


# --- reading ---


def read_text(path: Path, most: int = MAX_BYTES) -> str:
    """The text of a file in UTF-8. Raises OSError, or ValueError for a longer file or one that is not UTF-8."""
    with open_plain(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"longer than {most >> 20:,} MiB, which is the most that is read")
    return content.decode("utf-8")


def read_json(path: Path) -> Any:
    """The content of a file of JSON. Raises OSError, or ValueError with the reason in one line."""
    return parse_json(read_text(path))


def read_json_lines(path: Path) -> list[Any]:
    """The content of a file with JSON in each line. Raises OSError, or ValueError that names the line."""
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            found.append(parse_json(line))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return found


def parse_json(text: str) -> Any:
    """The value of a text. Raises ValueError for what is not JSON, is nested too deeply, or cannot be printed."""
    try:
        value = json.loads(text, parse_constant=lambda name: None)
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from None
    _check_plain(value)
    return value


def _check_plain(value: Any) -> None:
    """Raise ValueError for deep nesting, strings that UTF-8 cannot encode and numbers beyond float64; no recursion."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for part in level:
            if isinstance(part, str):
                # UnicodeEncodeError, a ValueError, for half a surrogate pair that is no byte of a path
                part.encode("utf-8", "surrogateescape")
            elif isinstance(part, float) and not math.isfinite(part):
                raise ValueError("a number beyond the range of float64")
            elif isinstance(part, dict):
                below += [*part.keys(), *part.values()]
            elif isinstance(part, list):
                below += part
        if not below:
            return
        level = below
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


# --- checking ---


def checked(kind: Callable[..., T], data: Any, where: str = "") -> T:
    """A dataclass or NamedTuple from JSON, fields by name; other keys are ignored.

    Raises ValueError for a missing key and for a value that does not fit its field's type; the message says where.
    """
    return cast(T, fitted(kind, data, where))


def fitted(kind: Any, value: Any, where: str = "") -> Any:
    """A value of JSON as the type `kind`: where it says so, lists become tuples, and objects dataclasses.

    kind: Any, None, bool, int, float, str, Path, Literal, Annotated with Range; list, tuple, dict and unions of such;
    dataclasses and NamedTuples. An integer is within +-2^53, and a float is finite.
    Raises ValueError for any other value.
    """
    if kind is Any:
        return value
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        if NULL in parts and value is None:
            return math.nan
        found = fitted(parts[0], value, where)
        for range_ in parts[1:]:
            if isinstance(range_, Range) and not range_.least <= found <= range_.most:
                raise _unfit(where, value, str(range_))
        return found
    if origin in (Union, types.UnionType):
        return _fitted_to_one_of(parts, value, where)
    if origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in parts):
            raise _unfit(where, value, " or ".join(map(repr, parts)))
        return value
    if origin in (list, tuple, Sequence):
        if not isinstance(value, list):
            raise _unfit(where, value, "a list")
        found = [fitted(parts[0], part, f"{where}[{place}]") for place, part in enumerate(value)]
        return tuple(found) if origin is tuple else found
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            raise _unfit(where, value, "an object")
        return {key: fitted(parts[1], part, _below(where, key)) for key, part in value.items()}
    if dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"):
        return _fitted_fields(kind, value, where)
    return _fitted_scalar(kind, value, where)


def _fitted_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind in (None, type(None)):
        fits, what = value is None, "null"
    elif kind is bool:
        fits, what = isinstance(value, bool), "true or false"
    elif kind is int:
        fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST
        what = "a whole number"
    elif kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e308
        what = "a finite number"
    elif kind in (str, Path):
        fits, what = isinstance(value, str), "a text"
    elif kind is dict:
        fits, what = isinstance(value, dict), "an object"
    else:
        raise TypeError(f"{kind!r} is no type of a field of JSON")
    if not fits:
        raise _unfit(where, value, what)
    return kind(value) if kind in (Path, float) else value


def _fitted_to_one_of(kinds: Sequence[Any], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    errors = []
    for kind in kinds:
        if kind is not type(None):
            try:
                return fitted(kind, value, where)
            except ValueError as error:
                errors.append(error)
    raise errors[0]


def _fitted_fields(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _unfit(where, value, "an object")
    found = {}
    for name, (hint, required) in _fields(kind).items():
        if name in value:
            found[name] = fitted(hint, value[name], _below(where, name))
        elif required:
            raise ValueError(f"{_below(where, name)} is missing")
    return kind(**found)


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """The type of each field, and whether it has no default."""
    hints = get_type_hints(kind, include_extras=True)
    if not dataclasses.is_dataclass(kind):
        return {name: (hints[name], name not in kind._field_defaults) for name in kind._fields}
    missing = dataclasses.MISSING
    return {
        field.name: (hints[field.name], field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(kind)
        if field.init
    }


def _below(where: str, name: str) -> str:
    return f"{where}.{shortened(name)}" if where else shortened(name)


def _unfit(where: str, value: Any, what: str) -> ValueError:
    try:
        shown = json.dumps(value)
    except RecursionError:  # only for values that were not read here
        shown = type(value).__name__
    return ValueError(f"{where or 'the content'} is {shortened(shown)}, expected {what}")


def shortened(text: str) -> str:
    """A text of at most MAX_SHOWN characters."""
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
