"""Find the pieces to judge: the MIDI files of a folder, the rows of a store's split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqaudio.errors import MidiError, OptionError, SourceError, StoreError
from seqaudio.evaluation.music.copies import Piece
from seqaudio.evaluation.music.judgement import Corpus
from seqaudio.midi.reading import SUFFIXES, read_many
from seqaudio.prepare.corpora.splits import hash_fraction
from seqaudio.prepare.music.stored_pieces import decoded, store_representation
from seqaudio.progress import progress
from seqaudio.store import Store
from seqaudio.terminal import few

MAX_STEPS = 2_000_000  # tokens or frames that are decoded; of a larger split, those of a sample of its pieces
SHOWN = 2  # files in a remark


def midi_files(given: Sequence[Path]) -> list[Path]:
    """The files as given, with folders replaced by the MIDI files in them, sorted by path.

    Raises OptionError if nothing was given, SourceError for a folder without MIDI files.
    """
    if not given:
        raise OptionError("got no MIDI files; give at least one file or folder")
    files: list[Path] = []
    for path in given:
        if not path.is_dir():
            files.append(path)
            continue
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not found:
            raise SourceError(f"{path}: has no MIDI files; expected names that end in {', '.join(SUFFIXES)}")
        files += found
    return files


def pieces_of_folder(folder: Path) -> Corpus:
    """The pieces of all MIDI files in a folder, by path; a file of format 2 may have several.

    Files that cannot be read are left out with a remark.

    Raises:
        SourceError: not a folder, no MIDI file in it, or none that can be read.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; give a folder of MIDI files")
    files = midi_files([folder])
    pieces: list[Piece] = []
    refused: list[str] = []
    with progress(f"reading {folder}", len(files), "files") as advance:
        for file, found in zip(files, read_many(files, pedal="unread"), strict=True):
            name = str(file.relative_to(folder))
            if isinstance(found, MidiError):
                refused.append(f"{name} ({found.detail})")
            else:
                songs = [
                    (name if len(found) == 1 else f"{name} {number}", song) for number, song in enumerate(found, 1)
                ]
                pieces += [Piece(*song) for song in songs]
            advance()
    if not pieces:
        raise SourceError(f"{folder}: none of {len(files):,} MIDI files can be read: {few(refused, SHOWN)}")
    remarks = (
        (f"{folder}: {len(refused):,} of {len(files):,} files left out: {few(refused, SHOWN)}",) if refused else ()
    )
    return Corpus(str(folder), pieces, remarks)


def pieces_of_split(store: Store, split: str) -> Corpus:
    """The pieces of a split, decoded by the store's own representation; of a large split a sample, with a remark.

    Raises:
        StoreError: an empty split, a store without a representation, or a row that cannot be decoded.
    """
    representation = store_representation(store)
    rows = store[split]
    chosen, steps = [], 0
    for row in sorted(range(len(rows)), key=lambda row: hash_fraction(rows.ids[row])):
        if steps < MAX_STEPS:
            chosen.append(row)
        steps += int(rows.lengths[row])
    pieces = []
    with progress(f"decoding {split}", len(chosen), "pieces") as advance:
        for row in sorted(chosen):
            try:
                pieces.append(Piece(rows.ids[row], decoded(representation, rows.sequence(row))))
            except ValueError as error:
                raise StoreError(f"{store.path}: row {row:,} of {split} cannot be decoded ({error})") from None
            advance()
    name = f"{split} of {store.path}"
    some = f"{name}: a sample of {len(chosen):,} of {len(rows):,} pieces"
    return Corpus(name, pieces, (some,) if len(chosen) < len(rows) else ())
