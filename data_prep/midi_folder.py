"""MIDI files of one's own to a store of tokens.

    data_prep/midi_folder.py --source FOLDER --out stores/mine
    data_prep/midi_folder.py --source FOLDER --out stores/mine --representation melody
    data_prep/midi_folder.py --source FOLDER --out stores/mine --clock second

Every *.mid and *.midi below FOLDER, in the order of their paths. Split by the content of the piece: copies and
transpositions of one piece fall into one split. A file of format 2 gives one row for each of its songs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqaudio.cli.info import describe_store
from seqaudio.cli.options import run
from seqaudio.errors import OptionError, SourceError
from seqaudio.ledger import encode_field
from seqaudio.notes import Representation, build_representation
from seqaudio.notes.preparation import MidiPreparation
from seqaudio.prepare import Item, build_store
from seqaudio.store import StoreDescription

SUFFIXES = (".mid", ".midi")


@dataclass(frozen=True)
class Config:
    """Options of the preparation."""

    source: Path  # folder of MIDI files
    out: Path  # new folder for the store
    representation: Literal["performance", "melody"] = "performance"  # polyphonic events, or one voice on a grid
    clock: Literal["beat", "second"] | None = None  # performance: steps are parts of a quarter (beat), or of a second
    steps_per_quarter: int | None = None  # performance by the beat: 12; melody: 4, that is sixteenths
    track: Literal["highest", "first"] | None = None  # melody: the track with the highest mean pitch, or the first
    valid_percent: float = 10.0  # of the pieces
    test_percent: float = 10.0  # of the pieces
    longest_minutes: float = 240.0  # longer pieces are refused
    name: str = ""  # of the corpus, for the store's description
    licence: str = ""  # of the corpus, for the store's description
    workers: int = 1  # processes
    limit: int | None = None  # take only the first N files, for a trial
    force: bool = False  # replace a store that is there


def main(config: Config) -> None:
    """Prepare the store and say what it holds."""
    representation = representation_of(config)
    store = build_store(
        config.out,
        list_folder(config.source),
        MidiPreparation(representation, config.valid_percent, config.test_percent, config.longest_minutes),
        StoreDescription(
            kind="tokens",
            settings={"representation": {"name": representation.name, **representation.settings()}},
            vocabulary=representation.tokens,
            sources=(config.name,) if config.name else (),
            licence=config.licence,
        ),
        workers=config.workers,
        force=config.force,
        limit=config.limit,
    )
    print("\n".join(describe_store(store)))


def representation_of(config: Config) -> Representation:
    """The representation with those settings that were given."""
    if config.clock == "second" and config.steps_per_quarter is not None:
        raise OptionError("--steps-per-quarter and --clock second exclude each other; leave one of them out")
    options: dict[str, Any] = {
        "clock": config.clock,
        "steps_per_quarter": config.steps_per_quarter,
        "track": config.track,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return build_representation(config.representation, given)


def list_folder(source: Path) -> list[Item]:
    """Every MIDI file below `source`, hidden ones left out, in the order of their paths."""
    if not source.is_dir():
        raise SourceError(f"{source}: no such folder; give a folder of MIDI files")
    paths = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if is_midi(source, path)}
    if not paths:
        raise SourceError(f"{source}: has no MIDI files; expected *.mid or *.midi in it or in folders below")
    return [Item(key, paths[key], encode_field(key)) for key in sorted(paths)]


def is_midi(source: Path, path: Path) -> bool:
    """True for a file with the name of a MIDI file, not hidden nor in a hidden folder."""
    hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
    return path.suffix.lower() in SUFFIXES and not hidden and not path.is_dir()


if __name__ == "__main__":
    run(Config, main)
