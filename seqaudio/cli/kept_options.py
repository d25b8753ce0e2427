"""Keep the options of a command that makes several folders in parts, so that only the same ones go on with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqaudio.errors import OptionError
from seqaudio.files import write_json
from seqaudio.json_files import read_json
from seqaudio.terminal import few

SHOWN = 4  # options that differ and are named


def keep_options(mark: Path, config: Any, free: Collection[str]) -> None:
    """Write the options of a command, a dataclass, into the file `mark`; without the `free` ones, which may differ."""
    mark.parent.mkdir(parents=True, exist_ok=True)
    write_json(mark, _kept(config, free))


def is_begun(mark: Path, config: Any, free: Collection[str], folders: Iterable[Path], command: str) -> bool:
    """Whether an earlier call with the same options has begun.

    Args:
        folders: those that the command makes.
    Raises:
        OptionError: it had other options, or one of the folders is of anything else.
    """
    if not mark.exists():
        for folder in folders:
            if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
                raise OptionError(f"{folder} exists and was not made by {command}; choose another --out")
        return False
    try:
        found = read_json(mark)
    except ValueError as error:
        raise OptionError(f"{mark}: {error}; choose another --out") from None
    kept = _kept(config, free)
    known = found if isinstance(found, dict) else {}
    if others := [f"--{name.replace('_', '-')}" for name in kept if name not in known or known[name] != kept[name]]:
        raise OptionError(
            f"{mark.parent} was made with other values of {few(others, SHOWN)}; give those values, or choose another "
            f"--out"
        )
    return True


def _kept(config: Any, free: Collection[str]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in asdict(config).items() if name not in free}


def _plain(value: Any) -> Any:
    """A value as JSON gives it back."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
