"""Groups and plain names of options, which are the fields of frozen dataclasses.

A dataclass of options may name the group of its fields (`GROUP`) and the options of a first run (`FIRST`), which
`--help` shows first. A field whose `default_factory` is another dataclass is a group of its own: `augmentation.noise`.
Its plain name, `noise`, is an option too, and the key in a run's settings.
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
    """Options that `--help` shows together."""

    name: str  # empty for the first group
    description: str
    options: tuple[str, ...]


def is_nested(field: dataclasses.Field[Any]) -> bool:
    """Whether a field holds a group of options."""
    return dataclasses.is_dataclass(field.default_factory)


def flat_fields(config: type) -> Fields:
    """Every option by its plain name, with those of nested groups. Fields with `init=False` are not options.

    Raises ValueError where two options have the same plain name.
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
    """The value of every option by its plain name, as JSON."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if is_nested(field):
            found |= flat_values(value)
        elif field.init:
            found[field.name] = _as_json(value)
    return found


def flat_defaults(config: type) -> dict[str, Any]:
    """The default of every option that has one, by its plain name, as JSON."""
    fields = flat_fields(config).values()
    return {field.name: _as_json(field.default) for field in fields if field.default is not dataclasses.MISSING}


def _as_json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_as_json(part) for part in value] if isinstance(value, tuple) else value


def groups_of(config: type) -> list[Group]:
    """The options in groups, without nested ones: `FIRST` and options without a group, then groups in MRO order.

    An option belongs to the most general class that declares it, even if a subclass changes its default. Within a group
    the options of the most general class come first.
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
            description = (inspect.getdoc(kind) or "").partition("\n")[0]  # the most general class is the last
            found[name] = Group(name, description, own + before)
    return list(found.values())


def _owner(config: type, name: str) -> type:
    return next(kind for kind in reversed(config.__mro__) if name in inspect.get_annotations(kind))
