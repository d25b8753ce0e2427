"""Prepare piano-midi.de: 243 classical piano pieces; CC BY-SA 3.0 DE; download by hand.

    data_prep/piano_midi.py --source FOLDER --out stores/piano
    data_prep/piano_midi.py --source FOLDER --out stores/piano --representation miditok:REMI
    data_prep/piano_midi.py --source FOLDER --make-splits Piano_midi.mat --out data_prep/piano_midi.tsv

    Content    243 pieces and movements by 16 composers, entered by hand with the tempo of a performance; the site now
               has more
    Source     B. Krueger, http://www.piano-midi.de, file by file: there is no archive to download
    Licence    CC BY-SA 3.0 DE
    Names      *.mid in FOLDER or folders below, with the file names of the site, such as chpn_op66.mid

Splits, in pieces of train / valid / test: 190 / 19 / 34.

A piece has the split that it has in the published piano rolls (polyphonic.py --set piano_midi), which were sampled from
files of this site: the origin of 99 of the 124 rolls is found, by the sonorities that a roll shares with its file. The
other splits are chosen by the hash of the content, 10 % valid, 10 % test; versions of one piece are in one split.
`piano_midi.tsv` beside this script holds the splits; --make-splits wrote it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from seqaudio.cli.options import run
from seqaudio.midi.reading import read_midi
from seqaudio.prepare.corpora.expected import expect_counts
from seqaudio.prepare.engine import Item
from seqaudio.prepare.music.options import NoteOptions, build_note_store, chosen_representation, midi_items
from seqaudio.prepare.music.piece_identities import identities_of
from seqaudio.prepare.music.piece_remarks import describe_note_store
from seqaudio.prepare.music.published_pieces import read_matrix_rolls
from seqaudio.prepare.music.sampled_rolls import OriginSearch
from seqaudio.prepare.music.split_tables import (
    make_split_table,
    read_split_table,
    with_splits_of_table,
    write_split_table,
)

TABLE = Path(__file__).with_name("piano_midi.tsv")
EXPECTED = {"train": 190, "valid": 19, "test": 34}


@dataclass(frozen=True, kw_only=True)
class Config(NoteOptions):
    """Options of the preparation."""

    make_splits: Path | None = None  # Piano_midi.mat: write the table of splits to --out instead of a store


def main(config: Config) -> None:
    """Prepare the store and print what it holds, or make the table of splits."""
    items = midi_items(config.source, "the folder of the files of piano-midi.de")
    if config.make_splits is not None:
        make_splits(config, items, config.make_splits)
        return
    representation = chosen_representation(config)
    items, splits = with_splits_of_table(items, read_split_table(TABLE))
    store = build_note_store(
        config,
        items,
        source="piano-midi.de",
        licence="CC BY-SA 3.0 DE",
        representation=representation,
        splits=splits,
    )
    print("\n".join(describe_note_store(store)))
    expect_counts(store, EXPECTED, config.limit)


def make_splits(config: Config, items: list[Item], matrices: Path) -> None:
    """Find the file from which each published roll was sampled, and write the table of splits."""
    search = OriginSearch({item.key: read_midi(item.file) for item in items})
    versions = defaultdict[str, list[str]](list)
    for split, rolls in read_matrix_rolls(matrices).items():
        for number, frames in enumerate(rolls):
            origin = search.origin(frames)
            if origin is not None:
                versions[origin].append(f"{split}/{number}")
    table = make_split_table(identities_of(items, config.workers), versions)
    write_split_table(config.out, table)
    print(f"{config.out}: {len(table):,} pieces, {sum(map(len, versions.values())):,} rolls were sampled from them")


if __name__ == "__main__":
    run(Config, main)
