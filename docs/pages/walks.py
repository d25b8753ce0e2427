"""Follow one WAV and one MIDI file into a store, function by function, for docs/architecture.md.

python docs/pages/walks.py        prepares both, writes the walks anew, in the root of a clone

A stop is a function that is handed what the file has become by then (its item, bytes, samples, frames, notes, rows or
record batches), or that returns it, from the moment a worker takes up the chunk of the file. Helpers whose names begin
with an underscore belong to the function that calls them. What sees numbers alone, such as a table of filters, is no
stop.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import soundfile
import torch
from representations_page import eight_bars

from seqaudio.audio import Recording
from seqaudio.cli.scripts import load, preparations
from seqaudio.files import write_bytes
from seqaudio.midi import write_midi
from seqaudio.notes import NoteSequence
from seqaudio.prepare.engine import Item, Row

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- walks: begin -->", "<!-- walks: end -->"  # what stands between them is written by `filled`
FIRST = "prepare_chunk"  # before it, lists of items are made and cut into chunks
THINGS = (Item, Row, NoteSequence, Recording, pa.RecordBatch)
PROPERTIES = {
    thing.fget.__code__
    for kind in THINGS
    for _, thing in inspect.getmembers(kind)
    if isinstance(thing, property) and inspect.isfunction(thing.fget)
}
SMALL = 200  # values or bytes; what has fewer is no file's content


class Stop(NamedTuple):
    """A function on the way."""

    file: str  # below the root
    function: str
    does: str  # the first line of its docstring


class Walk(NamedTuple):
    """The stops of a preparation, in the order in which they are reached, and how many helpers do their work."""

    stops: list[Stop]
    helpers: int

    @property
    def files(self) -> int:
        """In how many files the stops are."""
        return len({stop.file for stop in self.stops})


def follow(prepare: Callable[[], None]) -> Walk:
    """The walk of a preparation."""
    found: dict[CodeType, None] = {}
    begun = False

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal begun
        code = frame.f_code
        begun = begun or code.co_name == FIRST
        if not begun or code in found or event not in ("call", "return") or not _is_ours(code):
            return
        count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4)  # with *arguments
        given = [frame.f_locals.get(name) for name in code.co_varnames[:count]]
        if any(map(_is_content, given)) if event == "call" else _is_content(argument):
            found[code] = None

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        prepare()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    stops = [code for code in found if not _is_helper(code)]
    return Walk([_stop(code) for code in stops], len(found) - len(stops))


def _is_ours(code: CodeType) -> bool:
    """Whether it is a function of the package: no comprehension, and nothing that dataclasses or properties make."""
    names = code.co_qualname.split(".")
    return (
        code.co_filename.startswith(str(ROOT / "seqaudio"))
        and not any(name.startswith("<") for name in names)
        and not (len(names) > 1 and names[-1].startswith("__"))
        and code not in PROPERTIES
    )


def _is_helper(code: CodeType) -> bool:
    return any(name.startswith(("_", "<")) for name in code.co_qualname.split("."))


def _is_content(value: Any, depth: int = 0) -> bool:
    if isinstance(value, np.ndarray | bytes | memoryview):
        return len(value.reshape(-1) if isinstance(value, np.ndarray) else value) > SMALL
    if isinstance(value, torch.Tensor):
        return value.numel() > SMALL
    if isinstance(value, list | tuple) and depth < 2:
        return any(_is_content(part, depth + 1) for part in value[:4])
    return isinstance(value, THINGS)


def _stop(code: CodeType) -> Stop:
    """The stop of a code object. Its docstring may be that of the class above."""
    path = Path(code.co_filename).relative_to(ROOT)
    thing: Any = importlib.import_module(".".join(path.with_suffix("").parts))
    for name in code.co_qualname.split("."):
        thing = getattr(thing, name)
    return Stop(path.as_posix(), code.co_qualname, (inspect.getdoc(thing) or "").split("\n")[0])


def wav_walk() -> Walk:
    """The way of one second of a tone, in a folder that is its label."""

    def write(folder: Path) -> None:
        (folder / "tone").mkdir()
        soundfile.write(folder / "tone" / "a.wav", 0.5 * np.sin(0.1 * np.arange(16_000)), 16_000)

    return _walk("audio_folder", write)


def midi_walk() -> Walk:
    """The way of eight bars of a canon."""
    return _walk("midi_folder", lambda folder: write_midi(eight_bars(), folder / "a.mid"))


def _walk(script: str, write: Callable[[Path], None]) -> Walk:
    module = load(preparations()[script])
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name) / "source"
        folder.mkdir()
        write(folder)
        config = module.Config(source=folder, out=Path(name) / "store", force=True)
        with contextlib.redirect_stderr(io.StringIO()):
            module.main(config)  # what is made once a process, such as tables, is there afterwards
            return follow(lambda: module.main(config))


def block() -> str:
    """Both walks in Markdown."""
    parts = []
    for title, walk in (("One WAV file", wav_walk()), ("One MIDI file", midi_walk())):
        count = f"{len(walk.stops)} functions in {walk.files} files, and {walk.helpers} helpers in the same files"
        parts += [f"**{title}**: {count}.", "", "| file | function | what it does |", "|---|---|---|"]
        before = ""
        for stop in walk.stops:
            file = "" if stop.file == before else f"`{stop.file.removeprefix('seqaudio/')}`"
            parts.append(f"| {file} | `{stop.function}` | {stop.does.replace('|', chr(92) + '|')} |")
            before = stop.file
        parts.append("")
    return "\n".join(parts)


def filled(text: str) -> str:
    """The page with the walks as the code has them now."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{block()}{END}{after}"


if __name__ == "__main__":
    write_bytes(PAGE, filled(PAGE.read_text(encoding="utf-8")).encode("utf-8"))
