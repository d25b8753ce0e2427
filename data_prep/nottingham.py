"""Prepare the Nottingham tunes: 1,034 folk tunes with chords; GPL-3.0; --download.

    data_prep/nottingham.py --source FOLDER --out stores/nottingham
    data_prep/nottingham.py --source FOLDER --out stores/tunes --representation melody
    data_prep/nottingham.py --source NEW_FOLDER --out stores/nottingham --download
    data_prep/nottingham.py --source FOLDER --make-splits Nottingham.mat --out data_prep/nottingham.tsv

    Content    1,034 British and American folk tunes, each a melody (first track) with chords (second track)
    Source     E. Foxley's Nottingham Music Database, from https://github.com/jukedeck/nottingham-dataset
    Licence    GPL-3.0
    Names      MIDI/{book}{number}.mid, such as jigs110.mid

Splits, in tunes of train / valid / test: 675 / 183 / 176.

A tune has the split that it has in the published piano rolls (polyphonic.py --set nottingham), where 962 of them are
found by their melody. Versions of one tune are in one split, the strictest of theirs: test before valid, valid before
train. The other splits are chosen by the hash of the content, 10 % valid, 10 % test. `nottingham.tsv` beside this
script holds the splits; --make-splits wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seqaudio.cli.options import run
from seqaudio.errors import SourceError
from seqaudio.prepare.corpora.archives import Limits
from seqaudio.prepare.corpora.expected import expect_counts
from seqaudio.prepare.corpora.folder import PublishedArchive, fill_folder
from seqaudio.prepare.engine import Item
from seqaudio.prepare.music.near_duplicates import PieceIdentity, clusters
from seqaudio.prepare.music.options import NoteDownloadOptions, build_note_store, chosen_representation, midi_items
from seqaudio.prepare.music.piece_identities import identities_of
from seqaudio.prepare.music.piece_remarks import describe_note_store
from seqaudio.prepare.music.published_pieces import read_matrix_rolls
from seqaudio.prepare.music.split_tables import (
    make_split_table,
    read_split_table,
    table_name,
    with_splits_of_table,
    write_split_table,
)

TABLE = Path(__file__).with_name("nottingham.tsv")
COMMIT = "0992bb6cd864f6d4b90d6663e08c0ef53ffaa08f"
PUBLISHED = PublishedArchive(
    f"https://github.com/jukedeck/nottingham-dataset/archive/{COMMIT}.zip",
    # the longest tune has 20 thousand bytes; GitHub repacks such archives, so they have no fixed checksum
    limits=Limits(files=20_000, file_bytes=10_000_000, total_bytes=500_000_000),
)
EXPECTED = {"train": 675, "valid": 183, "test": 176}
HINT = "the folder of the corpus, or add --download"


@dataclass(frozen=True, kw_only=True)
class Config(NoteDownloadOptions):
    """Options of the preparation."""

    make_splits: Path | None = None  # Nottingham.mat: write the table of splits to --out instead of a store


def main(config: Config) -> None:
    """Prepare the store and print what it holds, or make the table of splits."""
    fill_folder(config.source, "MIDI", PUBLISHED, archive=config.archive, fetch=config.download, check=check_folder)
    items = midi_items(config.source, HINT)
    if config.make_splits is not None:
        make_splits(config, items, config.make_splits)
        return
    representation = chosen_representation(config)
    items, splits = with_splits_of_table(items, read_split_table(TABLE))
    store = build_note_store(
        config,
        items,
        source="Nottingham Music Database",
        licence="GPL-3.0",
        representation=representation,
        splits=splits,
    )
    print("\n".join(describe_note_store(store)))
    expect_counts(store, EXPECTED, config.limit)


def check_folder(folder: Path) -> None:
    """Raise SourceError where an unpacked folder lacks tunes."""
    names = {path.name.lower() for path in (folder / "MIDI").iterdir()}
    missing = sorted(read_split_table(TABLE).keys() - names)
    if missing:
        raise SourceError(
            f"the archive lacks {len(missing):,} tunes, such as {missing[0]}; give the archive of the corpus"
        )


def make_splits(config: Config, items: list[Item], matrices: Path) -> None:
    """Compare all tunes with the published rolls by their melody, and write the table of splits."""
    tunes = identities_of(items, config.workers)
    rolls = {
        f"{split}/{number}": PieceIdentity.of_roll(frames)
        for split, pieces in read_matrix_rolls(matrices).items()
        for number, frames in enumerate(pieces)
    }
    versions: dict[str, list[str]] = {}
    for cluster in clusters(rolls | tunes):
        found = [name for name in cluster if name in rolls]
        versions.update({name: found for name in cluster if name in tunes})
    table = make_split_table(tunes, versions)
    write_split_table(config.out, table)
    matched = {name for found in versions.values() for name in found}
    with_version = sum(bool(table[table_name(item.key)].rolls) for item in items)
    print(f"{config.out}: {len(table):,} tunes, {with_version:,} of them versions of {len(matched):,} rolls")


if __name__ == "__main__":
    run(Config, main)
