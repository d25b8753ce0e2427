"""A command line from a dataclass of options: `--help` begins with what a first run needs, groups follow in boxes.

The name of an option does not tell its group. Where a group is a nested dataclass, the full name is understood as well:
`--noise` and `--augmentation.noise`.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

from seqaudio.option_bounds import bounds_of, check_bounds
from seqaudio.option_groups import groups_of, is_nested

if TYPE_CHECKING:
    from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

Config = TypeVar("Config")
NARROWEST = 40  # columns of a help text


def parse(
    config: Callable[..., Config],
    arguments: Sequence[str],
    description: str | None = None,
    program: str | None = None,
) -> Config:
    """The options that arguments give. Prints a help text, or what is wrong, and exits as argparse does.

    config: a frozen dataclass.
    Raises OptionError for a number out of its bounds, which the help text names.
    """
    import tyro

    if os.environ.get("NO_COLOR"):  # no-color.org; elsewhere than on a terminal tyro colours nothing anyway
        tyro._experimental_options["ansi_codes"] = False
    fields: Any = config
    nested = [field.name.replace("_", "-") for field in dataclasses.fields(fields) if is_nested(field)]
    with _registry(config), _wide_terminal():
        parsed = tyro.cli(
            config, args=[_short(word, nested) for word in arguments], description=description, prog=program
        )
    if dataclasses.is_dataclass(parsed):
        check_bounds(parsed)
    return parsed


@contextmanager
def _wide_terminal() -> Iterator[None]:
    """Let tyro see at least NARROWEST columns: with fewer than ten its help text has no end."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(max(NARROWEST, shutil.get_terminal_size().columns))
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _short(word: str, nested: Sequence[str]) -> str:
    """`--noise=0.2` for `--augmentation.noise=0.2`."""
    group, _, name = word.partition(".")
    return f"--{name}" if group.removeprefix("--") in nested and group.startswith("--") else word


def _registry(config: Any) -> ConstructorRegistry:
    """The rule by which tyro sees the fields of one dataclass in groups; all others it sees as always."""
    import tyro

    registry = tyro.constructors.ConstructorRegistry()
    boxes: dict[type, StructConstructorSpec] = {}
    inside = False

    @registry.struct_rule
    def rule(info: StructTypeInfo) -> StructConstructorSpec | None:
        nonlocal inside
        if info.type in boxes:
            return boxes[info.type]
        if inside or info.type is not config:
            return None
        inside = True  # tyro's own rule reads types, defaults and comments
        try:
            spec = registry.get_struct_spec(info)
        finally:
            inside = False
        assert isinstance(spec, tyro.constructors.StructConstructorSpec)
        spec = dataclasses.replace(spec, fields=tuple(_with_bounds(config, field) for field in spec.fields))
        return _in_boxes(config, spec, boxes)

    return registry


def _with_bounds(config: type, field: StructFieldSpec) -> StructFieldSpec:
    """The field with its bounds at the end of its help text; a field that is not a number stays as it is."""
    bounds = bounds_of(config, field.name)
    if bounds is None or not _of_numbers(field.type):
        return field
    before = field.helptext
    return dataclasses.replace(field, helptext=lambda: f"{(before() if callable(before) else before) or ''}; {bounds}")


def _of_numbers(kind: object) -> bool:
    """Whether a type is a number, or a union or tuple of them: another command's option may have the same name."""
    return kind in (int, float) or any(map(_of_numbers, get_args(kind)))


def _in_boxes(
    config: Any, spec: StructConstructorSpec, boxes: dict[type, StructConstructorSpec]
) -> StructConstructorSpec:
    """The fields of `config` with those of each group in a field of their own, whose specification goes to `boxes`."""
    import tyro

    fields = {field.name: field for field in spec.fields}
    shown: list[StructFieldSpec] = []
    names = []
    for group in groups_of(config):
        own = tuple(fields.pop(name) for name in group.options)
        if not group.name:
            shown += own
            continue
        kind: Any = type(group.name, (), {})
        boxes[kind] = tyro.constructors.StructConstructorSpec(dict, own)
        names.append(f"{group.name} group")  # an option may have the name of a group
        box: Any = Annotated[kind, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name=group.name)]
        no_default = tyro.constructors.MISSING_NONPROP
        shown.append(tyro.constructors.StructFieldSpec(names[-1], box, no_default, group.description))
    for field in fields.values():  # nested dataclasses
        box = Annotated[field.type, tyro.conf.OmitArgPrefixes]
        shown.append(dataclasses.replace(field, type=box))

    def build(**values: Any) -> Any:
        for name in names:
            values |= values.pop(name)
        return config(**values)

    return tyro.constructors.StructConstructorSpec(build, tuple(shown))
