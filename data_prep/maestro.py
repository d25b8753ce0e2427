"""Prepare MAESTRO: 1,276 piano performances, 199 hours; CC BY-NC-SA 4.0; --download, 58 MB.

    data_prep/maestro.py --source FOLDER --out stores/maestro --workers 4
    data_prep/maestro.py --source NEW_FOLDER --out stores/maestro --download
    data_prep/maestro.py --source FOLDER --out stores/maestro --representation miditok:REMI

    Content    1,276 performances of classical piano pieces at a competition, 199 hours, with velocities and pedal
    Source     https://magenta.tensorflow.org/datasets/maestro, version 3.0.0, the archive of MIDI alone (58 MB)
    Licence    CC BY-NC-SA 4.0: not for commercial use, nor are models trained on it
    Cite       C. Hawthorne et al., "Enabling factorized piano music modeling and generation with the MAESTRO dataset"
               (2019)
    Names      maestro-v3.0.0.csv, with the columns `midi_filename` and `split`, and the files that it lists

Splits as published, in performances of train / valid / test: 962 / 137 / 177. No piece is in two of them.

Times are those of the performance, so the steps of `performance` are hundredths of a second here. The pedal is applied:
a note ends when its damper falls.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seqaudio.cli.options import run
from seqaudio.errors import SourceError
from seqaudio.prepare.corpora.expected import expect_counts
from seqaudio.prepare.corpora.folder import PublishedArchive, fill_folder
from seqaudio.prepare.corpora.tables import listed_file, read_table
from seqaudio.prepare.engine import Item
from seqaudio.prepare.music.midi_rows import MidiPreparation
from seqaudio.prepare.music.options import NoteDownloadOptions, build_note_store, chosen_representation
from seqaudio.prepare.music.piece_remarks import describe_note_store

TABLE = "maestro-v3.0.0.csv"
PUBLISHED = PublishedArchive(
    "https://storage.googleapis.com/magentadata/datasets/maestro/v3.0.0/maestro-v3.0.0-midi.zip",
    sha256="70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c",
    size=58_416_533,
)
SPLITS = {"train": "train", "validation": "valid", "test": "test"}
SETTINGS = {"performance": {"clock": "second"}}
EXPECTED = {"train": 962, "valid": 137, "test": 177}


@dataclass(frozen=True, kw_only=True)
class Config(NoteDownloadOptions):
    """Options of the preparation."""


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    fill_folder(config.source, TABLE, PUBLISHED, archive=config.archive, fetch=config.download)
    representation = chosen_representation(config, SETTINGS)
    store = build_note_store(
        config,
        list_items(config.source),
        source="MAESTRO 3.0.0",
        licence="CC BY-NC-SA 4.0",
        representation=representation,
        process=MidiPreparation(representation, pedal="applied"),
    )
    print("\n".join(describe_note_store(store)))
    expect_counts(store, EXPECTED, config.limit)


def list_items(source: Path) -> list[Item]:
    """Every performance of the table with its split, in the order of file names."""
    rows = read_table(source / TABLE, ["midi_filename", "split"])
    items = []
    for row in sorted(rows, key=lambda row: row["midi_filename"]):
        name, split = row["midi_filename"], SPLITS.get(row["split"])
        if split is None:
            raise SourceError(f"{TABLE}: {name} has the split {row['split']!r}, expected one of {', '.join(SPLITS)}")
        items.append(Item(name, listed_file(source, name), name, split))
    return items


if __name__ == "__main__":
    run(Config, main)
