"""Check the files that commands write before any work begins, so that nothing is computed in vain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol

from seqaudio.errors import OptionError

Engraved = Literal["svg", "png"] | None  # the picture of a score
KINDS = ("wav", "png", "musicxml")  # options, and suffixes, of what may be written beside a MIDI file
PICTURES = (".png", ".pdf", ".svg")  # suffixes of figures, as pictures.py writes them


class Beside(Protocol):
    """The options of a command that writes files beside a MIDI file."""

    @property
    def wav(self) -> bool: ...
    @property
    def png(self) -> bool: ...
    @property
    def musicxml(self) -> bool: ...
    @property
    def engraved(self) -> Engraved: ...


def check_output(option: str, path: Path, suffixes: str | tuple[str, ...], force: bool) -> None:
    """Raise OptionError if `path`, given by `option`, has another suffix, exists already, or has no folder."""
    suffix = suffixes if isinstance(suffixes, str) else suffixes[0]
    if path.suffix.lower() not in ((suffixes,) if isinstance(suffixes, str) else suffixes):
        known = suffix if isinstance(suffixes, str) else f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise OptionError(
            f"{option} {path}: expected a name that ends in {known}, such as {path.stem or 'out'}{suffix}"
        )
    if path.is_dir():
        raise OptionError(f"{option} {path} is a folder; give a file in it, such as {path / 'out'}{suffix}")
    if path.exists() and not force:
        raise OptionError(f"{path} exists; give --force to replace it, or choose another {option}")
    if not path.resolve().parent.is_dir():
        raise OptionError(f"{path.parent}: no such folder; make it first, or choose another {option}")


def folder_files(out: Path, stem: str, suffixes: Sequence[str], force: bool) -> list[Path]:
    """The files of one name in a folder `--out`, which may be missing, one for each suffix.

    Raises OptionError where the folder is a file, or where a file is a folder or exists and `force` is False.
    """
    if out.exists() and not out.is_dir():
        raise OptionError(f"--out {out} is a file; give a folder")
    files = [out / f"{stem}{suffix}" for suffix in suffixes]
    for file in files:
        if file.is_dir():
            raise OptionError(f"{file} is a folder; choose another --out")
        if file.exists() and not force:
            raise OptionError(f"{file} exists; give --force to replace it, or choose another --out")
    return files


def further(config: Beside) -> list[str]:
    """The suffixes of the files that are asked for beside a MIDI file."""
    kinds = [f".{kind}" for kind in KINDS if getattr(config, kind)]
    return [*kinds, f".score.{config.engraved}"] if config.engraved else kinds


def without_names(config: Any, arguments: Sequence[str]) -> list[str]:
    """The arguments without the names of files beside a MIDI file: `--out tune.mid --wav tune.wav` is `... --wav`.

    config: the dataclass of the options; those of commands other than `Beside` stay as they are.
    Raises OptionError for another name: files beside a MIDI file have its name.
    """
    known = fields(config) if is_dataclass(config) else ()
    switches = {f"--{field.name}" for field in known if field.name in KINDS and field.type == "bool"}
    rest: list[str] = []
    for word in arguments:
        option = rest[-1] if rest else ""
        if option in switches and word.lower().endswith(f".{option[2:]}"):
            named = [after for before, after in pairwise(arguments) if before == "--out"]
            named += [other.removeprefix("--out=") for other in arguments if other.startswith("--out=")]
            if not any(_without_suffix(word) == _without_suffix(out) for out in named):
                raise OptionError(f"{option} {word}: files beside --out have its name; leave {word} out")
            continue
        rest.append(word)
    return rest


def _without_suffix(path: str) -> Path:
    """A path without the suffix of its name, which may be empty."""
    return Path(path).parent / Path(path).stem


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Turn an error of the operating system while writing `path` into an OptionError."""
    try:
        yield
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror or type(error).__name__}; choose another path") from None
