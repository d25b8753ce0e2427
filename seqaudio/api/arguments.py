"""Arguments of the methods of loaded models: values of another type or out of bounds are one line, not a traceback.

Their annotations say what they take; `typed` reads those that are made of numbers, texts, paths, choices and None.
"""

from __future__ import annotations

import functools
import inspect
import os
import types
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from seqaudio.errors import OptionError
from seqaudio.json_files import shortened
from seqaudio.option_bounds import BOUNDS

P = ParamSpec("P")
T = TypeVar("T")

WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a text", Path: "a path"}
NUMBERS = {int: int | np.integer, float: int | float | np.integer | np.floating}


def typed(function: Callable[P, T]) -> Callable[P, T]:
    """Check the arguments of a function before it is called. It then raises OptionError for one that does not fit."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*values: P.args, **named: P.kwargs) -> T:
        given = signature.bind(*values, **named)
        for name, kind in _kinds(function).items():
            if name in given.arguments:
                given.arguments[name] = fit(kind, given.arguments[name], name)
        return function(*given.args, **given.kwargs)

    return checked


@functools.cache
def _kinds(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations that `fit` knows, by parameter."""
    found = {}
    for name, text in function.__annotations__.items():
        with suppress(NameError):  # a name that is imported for type checkers alone
            one = get_type_hints(types.SimpleNamespace(__annotations__={name: text}), vars(inspect.getmodule(function)))
            if name != "return" and _is_known(one[name]):
                found[name] = one[name]
    return found


def _is_known(kind: Any) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType, Sequence):
        return all(_is_known(part) for part in parts)
    return origin is Literal or kind is type(None) or kind in WORDS


def fit(kind: Any, value: Any, name: str) -> Any:
    """A value as the type of its annotation: numbers of NumPy become those of Python, and sequences lists.

    kind: int, float, bool, str, Path, Literal, None, sequences and unions of these. name: of the argument, for bounds.
    Raises OptionError for any other value, and for a number out of the bounds of the option of this name.
    """
    union = get_origin(kind) in (Union, types.UnionType)
    choices = get_args(kind) if union else (kind,)
    for choice in choices:
        if get_origin(choice) is Sequence and isinstance(value, list | tuple | range | np.ndarray):
            return [fit(get_args(choice)[0], part, name) for part in value]
        if _fits(choice, value):
            _check_bounds(value, name)
            return choice(value) if choice in WORDS else value
    words = " or ".join(_words(choice) for choice in choices if choice is not type(None))
    raise OptionError(f"{name} {shortened(repr(value))}, expected {words}")


def _fits(kind: Any, value: Any) -> bool:
    if kind is type(None):
        return value is None
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if kind is Path:
        return isinstance(value, os.PathLike) and isinstance(os.fspath(value), str)
    if kind is bool:
        return isinstance(value, bool | np.bool_)
    if kind not in WORDS:
        return False
    return not isinstance(value, bool) and isinstance(value, NUMBERS.get(kind, kind))


def _check_bounds(value: Any, name: str) -> None:
    bounds = BOUNDS.get(name)
    if bounds is not None and _fits(float, value) and not bounds.holds(value):
        raise OptionError(f"{name} {value}, expected {bounds}")


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if get_origin(kind) is Sequence:
        return f"a list of which each is {_words(get_args(kind)[0])}"
    return WORDS[kind]
