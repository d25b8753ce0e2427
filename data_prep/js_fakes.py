"""Prepare JS Fakes: 500 chorales composed by a network; CC BY 4.0; --download.

    data_prep/js_fakes.py --source FOLDER --out stores/fakes --workers 2
    data_prep/js_fakes.py --source NEW_FOLDER --out stores/fakes --download

    Content    500 chorales in four parts in the style of Bach, composed by a neural network and chosen by ear
    Source     https://github.com/omarperacha/js-fakes
    Licence    CC BY 4.0
    Cite       O. Peracha, "JS Fake Chorales: a synthetic dataset of polyphonic music with human annotation" (2021)
    Names      midi/{number}.mid

Splits by content, 10 % valid and 10 % test, in chorales of train / valid / test: 399 / 53 / 48. Chorales that share
phrases are in one split. The network was trained on Bach's chorales: do not test a model that was trained on these on
the sets of bach_chorales.py, jsb_chorales.py or polyphonic.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from seqaudio.cli.options import run
from seqaudio.prepare.corpora.archives import Limits
from seqaudio.prepare.corpora.expected import expect_counts
from seqaudio.prepare.corpora.folder import PublishedArchive, fill_folder
from seqaudio.prepare.music.near_duplicates import SplitsByContent
from seqaudio.prepare.music.options import NoteDownloadOptions, build_note_store, chosen_representation, midi_items
from seqaudio.prepare.music.piece_remarks import describe_note_store
from seqaudio.tokens.four_voices import ANDANTE

COMMIT = "68b476d5b265e579d87c74a68f2160f26007fa56"
PUBLISHED = PublishedArchive(
    f"https://github.com/omarperacha/js-fakes/archive/{COMMIT}.zip",
    # the longest chorale has 5 thousand bytes; GitHub repacks such archives, so they have no fixed checksum
    limits=Limits(files=10_000, file_bytes=10_000_000, total_bytes=500_000_000),
)
SETTINGS = {name: {"tempo": ANDANTE} for name in ("chorale", "chorale_grid")}
EXPECTED = {"train": 399, "valid": 53, "test": 48}


@dataclass(frozen=True, kw_only=True)
class Config(NoteDownloadOptions):
    """Options of the preparation."""

    representation: str = "chorale"  # representation of the notes; docs/representations.md lists them all


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    fill_folder(config.source, "midi", PUBLISHED, archive=config.archive, fetch=config.download)
    folder = config.source / "midi" if (config.source / "midi").is_dir() else config.source
    items = midi_items(folder, "the folder of the corpus, or add --download")
    representation = chosen_representation(config, SETTINGS)
    store = build_note_store(
        config,
        items,
        source="JS Fakes",
        licence="CC BY 4.0",
        representation=representation,
        splits=SplitsByContent(),
    )
    print("\n".join(describe_note_store(store)))
    expect_counts(store, EXPECTED, config.limit)


if __name__ == "__main__":
    run(Config, main)
