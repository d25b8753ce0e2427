"""Extensions: a user's own Python files that register cells, wrappers, initialisations or models, by `--use FILE`.

A file runs only where `--use` names it: a run keeps the names and hashes of the files that it was made with, and
loading the run never executes them.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from seqaudio.errors import OptionError
from seqaudio.files import read_plain

OPTION = "--use"


class Extension(NamedTuple):
    """A file of Python code, identified by its content."""

    file: str  # its name, without the folder
    sha256: str  # of its bytes, in hexadecimal

    def __str__(self) -> str:
        return f"{self.file} (sha256 {self.sha256[:12]})"


_used: dict[str, Extension] = {}  # by sha256, in the order of execution


def used() -> tuple[Extension, ...]:
    """The files that this process has executed."""
    return tuple(_used.values())


def use(path: Path | str) -> Extension:
    """Execute a file, so that options can name what it registers; a second call changes nothing.

    The hash is that of the very bytes that are executed. The file can import installed packages, but not files beside
    it, which the hash would not cover.

    Raises OptionError where there is no such file, or with the type and text of an error that the file raised.
    """
    path = Path(path)
    try:
        source = read_plain(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OptionError(f"{OPTION} {path}: {reason}; name a Python file that registers cells") from None
    extension = Extension(path.name, hashlib.sha256(source).hexdigest())
    if extension.sha256 in _used:
        return extension
    module = ModuleType(_module_name(extension.sha256))
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up while they are made
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:  # any error of the user's code becomes one line
        del sys.modules[module.__name__]
        raise OptionError(f"{OPTION} {path}: {_place(error, path)}{type(error).__name__}: {error}") from error
    _used[extension.sha256] = extension
    return extension


def as_options() -> list[str]:
    """The words that make another command execute the same files: --use and the path of each."""
    modules = (sys.modules[_module_name(extension.sha256)] for extension in used())
    return [word for module in modules for word in (OPTION, str(module.__file__))]


def take_option(arguments: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Split `--use FILE` and `--use=FILE` off a command line: the other arguments, and the files.

    Raises OptionError where the last `--use` names no file.
    """
    rest: list[str] = []
    files: list[Path] = []
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name != OPTION:
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value:
            raise OptionError(f"{OPTION} names no file; write {OPTION} my_cells.py")
        files.append(Path(value))
    return rest, files


def missing(wanted: Iterable[Extension]) -> list[Extension]:
    """The wanted files that this process has not executed with the same content."""
    return [extension for extension in wanted if extension.sha256 not in _used]


def listed(extensions: Iterable[Extension]) -> str:
    """Files and hashes as a list for messages."""
    return ", ".join(map(str, extensions)) or "none"


def _module_name(sha256: str) -> str:
    return f"seqaudio_extension_{sha256[:12]}"


def _place(error: BaseException, path: Path) -> str:
    """`line 3: ` where the error arose in the file itself; the message of a SyntaxError has the line already."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"line {lines[-1]}: " if lines else ""
