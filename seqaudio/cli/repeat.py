"""`--config RUN/config.json`: repeat an earlier run of a recipe with its options; other options given override them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqaudio.errors import OptionError, RunError
from seqaudio.json_files import checked, read_json
from seqaudio.option_groups import flat_fields

OPTION = "--config"


@dataclass(frozen=True)
class Settings:
    """The options in a run's `config.json`."""

    settings: dict[str, bool | int | float | str | list[str] | None]


def with_options_of_run(config: Any, arguments: Sequence[str]) -> list[str]:
    """The arguments, preceded by those of the run that `--config` names; unchanged without `--config`.

    config: the dataclass of the options; where it has no field `config`, there is no such option.
    Raises RunError where the file is not the config.json of a run of this recipe, OptionError where no file is named.
    """
    if not dataclasses.is_dataclass(config) or "config" not in (names := flat_fields(config)):  # type: ignore[arg-type]
        return list(arguments)
    file = _file(arguments)
    if file is None:
        return list(arguments)
    try:
        settings = checked(Settings, read_json(file)).settings
        unknown = sorted(settings.keys() - names.keys())
    except OSError as error:
        raise RunError(f"{OPTION} {file}: not the config.json of a run ({type(error).__name__})") from None
    except ValueError as error:
        raise RunError(f"{OPTION} {file}: not the config.json of a run ({error})") from None
    if unknown:
        raise RunError(
            f"{OPTION} {file}: a run of another recipe, whose options {', '.join(unknown)} are unknown here; "
            f"name a run of this recipe"
        )
    words = [word for name, value in settings.items() for word in _words(name, value)]
    return [*words, *arguments]


def _file(arguments: Sequence[str]) -> Path | None:
    for place, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name == OPTION:
            value = value if equals else "".join(arguments[place + 1 : place + 2])
            if not value:
                raise OptionError(f"{OPTION} names no file; write {OPTION} RUN/config.json")
            return Path(value)
    return None


def _words(name: str, value: Any) -> list[str]:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    if isinstance(value, list):
        return [f"--{option}", *value] if value else []
    return [f"--{option}={value}"]
