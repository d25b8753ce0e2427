"""Options that all preparations of music share, and the function that builds a store from them.

A script inherits its Config from one of the classes here, lists its items, and calls `build_note_store`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from seqaudio.errors import OptionError, SourceError
from seqaudio.ledger import encode_field
from seqaudio.midi.reading import SUFFIXES
from seqaudio.prepare.corpora.file_kinds import refuse_other_kind
from seqaudio.prepare.corpora.folder import ArchiveOption, DownloadOption, SourceOption
from seqaudio.prepare.corpora.listing import list_below, skipped_files
from seqaudio.prepare.corpora.splits import hash_sample
from seqaudio.prepare.engine import build_store
from seqaudio.prepare.engine.items import Item, Process
from seqaudio.prepare.music.midi_rows import MidiPreparation
from seqaudio.prepare.music.near_duplicates import SplitsByContent
from seqaudio.prepare.music.piece_facts import repertoire_of
from seqaudio.store import Store, StoreDescription
from seqaudio.tokens.representation import REPRESENTATIONS, Representation, build_representation

# settings of representations that suit a corpus, by the representation's name
Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class NoteStoreOptions:
    """Options of the store, shared by every preparation of music."""

    out: Path  # new folder for the store
    workers: int = 1  # number of processes
    limit: int | None = None  # take only N pieces, chosen by a hash of their names, for a trial
    update: bool = False  # redo only what changed since the store at --out was made
    force: bool = False  # replace an existing store at --out


@dataclass(frozen=True, kw_only=True)
class RollOptions(NoteStoreOptions, SourceOption):
    """Options of a corpus of piano rolls, which have only one representation."""


@dataclass(frozen=True, kw_only=True)
class RepresentationOptions:
    """The representation of the notes."""

    representation: str = "performance"  # representation of the notes; docs/representations.md lists them all
    steps_per_quarter: int | None = None  # of the representation's grid; by default its own


@dataclass(frozen=True, kw_only=True)
class NoteOptions(RepresentationOptions, RollOptions):
    """Options of every corpus of music that can have any representation."""


@dataclass(frozen=True, kw_only=True)
class NoteArchiveOptions(ArchiveOption, NoteOptions):
    """Options of a corpus that comes as an archive."""


@dataclass(frozen=True, kw_only=True)
class NoteDownloadOptions(DownloadOption, NoteArchiveOptions):
    """Options of a corpus that anyone may download."""


def chosen_representation(options: RepresentationOptions, settings: Settings | None = None) -> Representation:
    """The representation that the options name, with the settings that suit the corpus.

    Raises:
        OptionError: an unknown name; --steps-per-quarter for a representation without such a grid.
    """
    name = options.representation.partition(":")[0]
    chosen = dict((settings or {}).get(name, {}))
    if options.steps_per_quarter is not None:
        if "steps_per_quarter" not in {field.name for field in fields(REPRESENTATIONS[name])}:
            raise OptionError(f"--steps-per-quarter {options.steps_per_quarter}: {name} has no such grid; leave it out")
        chosen.pop("clock", None)  # a grid of beats implies the clock of beats
        chosen["steps_per_quarter"] = options.steps_per_quarter
    return build_representation(options.representation, chosen)


def note_description(representation: Representation, source: str = "", licence: str = "") -> StoreDescription:
    """The description of a store of notes, for `store.json`."""
    return StoreDescription(
        kind=representation.kind,
        settings={"representation": {"name": representation.name, **representation.settings()}},
        vocabulary=representation.vocabulary,
        sources=(source,) if source else (),
        licence=licence,
        of_training=repertoire_of if representation.kind == "tokens" else None,
    )


def build_note_store(
    options: NoteStoreOptions,
    items: Sequence[Item],
    *,
    source: str,
    licence: str,
    representation: Representation,
    process: Process | None = None,
    splits: SplitsByContent | None = None,
    chunk: int | None = None,
) -> Store:
    """Prepare a store from pieces of music as the options say.

    Args:
        items: pieces with their splits, in the order of the store.
        source, licence: name and licence of the corpus, for `store.json`.
        representation: of the notes.
        process: turns an item into rows; None reads it as a MIDI file.
        splits: chooses splits once all pieces are read, versions of a piece together; None: items and rows have them.
        chunk: pieces that a worker takes at once, at most.
    Raises:
        OptionError: limit or workers below 1.
        SourceError: no items.
        StoreError: --out exists; no input could be kept.
    """
    return build_store(
        options.out,
        hash_sample(items, options.limit),
        process or MidiPreparation(representation, identify=splits is not None),
        note_description(representation, source, licence),
        workers=options.workers,
        force=options.force,
        update=options.update,
        chunk=chunk,
        splits=splits,
    )


def midi_items(folder: Path, hint: str) -> list[Item]:
    """Every MIDI file below a folder, sorted by path. Hidden files are left out, links to folders are followed.

    Raises:
        SourceError: no such folder, or no MIDI files in it; `hint` says what to give.
    """
    return listed_midi(folder, hint)[0]


def listed_midi(folder: Path, hint: str) -> tuple[list[Item], str]:
    """The items of `midi_items`, and a line about files that are not MIDI; empty where there are none."""
    if folder.is_file():
        refuse_other_kind(folder, "a folder of MIDI files")
        raise SourceError(f"{folder}: a file, expected a folder; give {hint}")
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; give {hint}")
    listing = list_below(folder)
    found = {key: path for key, path in listing.files.items() if path.suffix.lower() in SUFFIXES}
    others = skipped_files(listing.files.keys() - found.keys())
    if not found:
        named = ", ".join(f"*{suffix}" for suffix in SUFFIXES)
        raise SourceError(f"{folder}: has no MIDI files ({named}){others and f', {others}'}; give {hint}")
    # an unreadable folder is an item too, so that the ledger names it
    found |= {key: folder / key for key in listing.unreadable}
    return [Item(key, found[key], encode_field(key)) for key in sorted(found)], others
