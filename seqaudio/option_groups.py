"""Options as frozen dataclasses: the group of each, those that a help text begins with, and their plain names.

A dataclass of options may say which group its fields belong to (`GROUP`) and which ones a first run needs (`FIRST`).
A field that is made by another dataclass (its `default_factory`) is a group of its own: `augmentation.noise`. The plain
name, `noise`, is an option too, and the one that a run's settings keep.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Fields = Mapping[str, "dataclasses.Field[Any]"]  # options by name


@dataclasses.dataclass(frozen=True)
class Group:
    """Options that stand together in a help text."""

    name: str  # empty for those that come first
    description: str
    options: tuple[str, ...]


def is_nested(field: dataclasses.Field[Any]) -> bool:
    """Whether a field holds a group of options."""
    return dataclasses.is_dataclass(field.default_factory)


def flat_fields(config: type) -> Fields:
    """Every option by its plain name, those of nested groups too, without what follows from others (`init=False`).

    Raises ValueError where two have one plain name.
    """
    pairs = list(_flat(config))
    names = [name for name, _ in pairs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{config.__name__} has two options called {', '.join(sorted(twice))}; rename one of each")
    return dict(pairs)


def _flat(config: type) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    for field in dataclasses.fields(config):
        if is_nested(field):
            yield from _flat(field.default_factory)  # type: ignore[arg-type]  # a dataclass
        elif field.init:
            yield field.name, field


def flat_values(config: Any) -> dict[str, Any]:
    """The value of every option by its plain name, as JSON has it."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if is_nested(field):
            found |= flat_values(value)
        elif field.init:
            found[field.name] = _as_json(value)
    return found


def flat_defaults(config: type) -> dict[str, Any]:
    """The default of every option that has one, by its plain name, as JSON has it."""
    fields = flat_fields(config).values()
    return {field.name: _as_json(field.default) for field in fields if field.default is not dataclasses.MISSING}


def _as_json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_as_json(part) for part in value] if isinstance(value, tuple) else value


def groups_of(config: type) -> list[Group]:
    """The options in groups: those of `FIRST` and those without a group, then the groups as classes are inherited.

    An option belongs to the class that declares it first, whatever default a class below gives it; those of the most
    general class come first. Nested groups are left out.
    """
    fields = {field.name: field for field in dataclasses.fields(config) if field.init and not is_nested(field)}
    first = [name for name in getattr(config, "FIRST", ()) if name in fields]
    owners = {name: _owner(config, name) for name in fields}
    found = {"": Group("", "", tuple(first))}
    for kind in config.__mro__:
        own = tuple(name for name, owner in owners.items() if owner is kind and name not in first)
        name = vars(kind).get("GROUP", "")
        if own:
            before = found[name].options if name in found else ()
            description = (inspect.getdoc(kind) or "").partition("\n")[0]  # of the most general class
            found[name] = Group(name, description, own + before)
    return list(found.values())


def _owner(config: type, name: str) -> type:
    return next(kind for kind in reversed(config.__mro__) if name in inspect.get_annotations(kind))
