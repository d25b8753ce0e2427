"""Prepare Bach's four-part chorales, 367 scores; public domain; in the package music21, no download.

    data_prep/bach_chorales.py --out stores/chorales --workers 2
    data_prep/bach_chorales.py --out stores/chorales --representation performance
    data_prep/bach_chorales.py --make-splits Jsb16thSeparated.json --out data_prep/bach_chorales.tsv

    Content    413 scores by J. S. Bach: 410 MusicXML, 3 Humdrum; 368 of them in four parts, as written: repeats are
               not played, an upbeat is preceded by rests that complete its bar
    Source     the package music21, folder corpus/bach; pip install ".[chorales]"
    Licence    the music is in the public domain; the encodings, most by Margaret Greentree, are distributed in
               music21 with the permission of their encoders
    Refused    45 scores with other parts, most of them the same chorales with instruments; 1 copy

Splits, in chorales of train / valid / test: 222 / 71 / 74.

A chorale has the split that it has in the public set "JSB Chorales" (Boulanger-Lewandowski et al., 2012: 229 / 76 / 77
pieces), so that a model trained on one set can be tested on the other. `bach_chorales.tsv` beside this script holds the
splits; --make-splits wrote it, from the notes of both, with the 16th-note grids of that set as its argument.

    1  two pieces are versions of each other where they share half of their windows of four sonorities, whatever the
       key, note values and repeats: 345 of the 382 pieces are found in this way, in 357 of the 368 chorales. Pairs
       share either less than 0.45 or more than 0.6, so any threshold between gives the same result
    2  versions of one chorale are in one split; where the set has them in several, in the strictest: test before
       valid, valid before train. A melody with other harmonies may be in several splits, as it is in that set
    3  the 11 chorales that the set does not have are in the split of those with their melody, again the strictest,
       or their split goes by the hash of their name: 10 % valid, 10 % test
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seqaudio.cli.options import run
from seqaudio.errors import SourceError
from seqaudio.files import write_bytes
from seqaudio.midi.score import music21_corpus, read_score
from seqaudio.notes import NoteSequence
from seqaudio.prepare.corpora.expected import expect_counts
from seqaudio.prepare.corpora.splits import hash_split
from seqaudio.prepare.corpora.tables import read_table
from seqaudio.prepare.engine import Item
from seqaudio.prepare.engine.pool import own_workers
from seqaudio.prepare.music.near_duplicates import STRICTEST, content_hash
from seqaudio.prepare.music.options import (
    NoteStoreOptions,
    RepresentationOptions,
    build_note_store,
    chosen_representation,
)
from seqaudio.prepare.music.piece_remarks import describe_note_store
from seqaudio.prepare.music.published_pieces import read_voices
from seqaudio.prepare.music.score_rows import ScorePreparation
from seqaudio.prepare.music.variants import Windows, clusters, similarity, sounding, windows
from seqaudio.progress import progress
from seqaudio.tokens.chorale import ChoraleRepresentation
from seqaudio.tokens.four_voices import ANDANTE, VOICES

TABLE = Path(__file__).with_name("bach_chorales.tsv")
COLUMNS = ("work", "split", "jsb", "same_as")
SUFFIXES = (".mxl", ".xml", ".krn")
CHUNK = 16  # scores in a chunk, few since each takes a tenth of a second, so that all workers end together
EXPECTED = {"train": 222, "valid": 71, "test": 74}
SETTINGS = {name: {"tempo": ANDANTE} for name in ("chorale", "chorale_grid", "performance", "miditok")}
SONORITIES = 4  # successive sonorities in a window, few since four voices distinguish pieces quickly
MELODY = 8  # successive notes in a window of the soprano alone, more since its steps are often alike
ALIKE = 0.5  # share of common windows above which two pieces are versions of each other


@dataclass(frozen=True)
class Line:
    """The entry of a chorale in four parts in the table."""

    split: str
    jsb: tuple[str, ...] = ()  # versions of it in the public set: split/number, counted from 0
    same_as: str = ""  # an earlier score with the same notes


@dataclass(frozen=True, kw_only=True)
class Config(RepresentationOptions, NoteStoreOptions):
    """Options of the preparation."""

    representation: str = "chorale"  # representation of the notes; docs/representations.md lists them all
    make_splits: Path | None = None  # Jsb16thSeparated.json: write the table of splits to --out instead of a store


def main(config: Config) -> None:
    """Prepare the store and print what it holds, or make the table of splits."""
    scores = list_scores(music21_corpus() / "bach")
    if config.make_splits is not None:
        make_splits(config.make_splits, scores, config.out, config.workers)
        return
    table = read_chorale_table(TABLE)
    representation = chosen_representation(config, SETTINGS)
    store = build_note_store(
        config,
        [Item(name, path, name, table[name].split if name in table else "") for name, path in scores.items()],
        source="Bach chorales in the corpus of music21",
        licence="music in the public domain, encodings distributed with music21",
        representation=representation,
        process=ScorePreparation(representation, {name: line.same_as for name, line in table.items() if line.same_as}),
        chunk=CHUNK,
    )
    print("\n".join(describe_note_store(store)))
    expect_counts(store, EXPECTED, config.limit)


def list_scores(folder: Path) -> dict[str, Path]:
    """The scores of the corpus by name, sorted by name, without its analyses."""
    found = sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES)
    if not found:
        raise SourceError(
            f"{folder}: has no scores, so this music21 was installed without its corpus; install it from PyPI"
        )
    return {path.name: path for path in found}


# --- the table of splits ---


def read_chorale_table(path: Path) -> dict[str, Line]:
    """The table that `write_chorale_table` wrote, by the names of the scores."""
    rows = read_table(path, COLUMNS)
    return {row["work"]: Line(row["split"], tuple(row["jsb"].split()), row["same_as"]) for row in rows}


def write_chorale_table(path: Path, table: Mapping[str, Line]) -> None:
    """Write one line for each chorale; atomically, so that the table is complete or unchanged."""
    rows = [(work, line.split, " ".join(line.jsb), line.same_as) for work, line in table.items()]
    text = "".join("\t".join(row) + "\n" for row in (COLUMNS, *rows))
    write_bytes(path, text.encode())


def make_splits(jsb: Path, scores: Mapping[str, Path], out: Path, workers: int) -> None:
    """Read every score, compare those in four parts with the public set, and write the table."""
    pieces = read_jsb(jsb)
    with (
        progress("reading", len(scores), "scores") as advance,
        own_workers(workers) as pool,
    ):
        works = {}
        for name, notes in zip(scores, pool.map(read_score, scores.values()), strict=True):
            advance(1)
            if len(notes.track_names) == len(VOICES):
                works[name] = ChoraleRepresentation().quantise(notes)
    table = splits_of(works, pieces)
    write_chorale_table(out, table)
    found = {piece for line in table.values() for piece in line.jsb}
    matched = sum(bool(line.jsb) for line in table.values())
    print(f"{out}: {len(table)} chorales, {matched} of them versions of {len(found)} of the {len(pieces)} pieces")


def read_jsb(path: Path) -> dict[str, Windows]:
    """The windows of each piece of the public set, by split/number.

    The file holds {split: [piece]}; a piece is [T, 4], the pitches of the four voices at each sixteenth. Raises
    SourceError for any other content.
    """
    if not path.is_file():
        raise SourceError(f"{path}: no such file; give Jsb16thSeparated.json of the JSB Chorales set")
    splits = read_voices(path)
    return {
        f"{split}/{number}": windows(sounding(piece), SONORITIES)
        for split in STRICTEST
        for number, piece in enumerate(splits[split])
    }


def splits_of(works: Mapping[str, NoteSequence], pieces: Mapping[str, Windows]) -> dict[str, Line]:
    """The entry of each chorale, from its notes in four tracks and the windows of the public set."""
    pitches = {name: sounding(notes) for name, notes in works.items()}
    harmony = {name: windows(voices, SONORITIES) for name, voices in pitches.items()}
    melody = {name: windows(voices[:, :1], MELODY) for name, voices in pitches.items()}
    versions = {
        name: tuple(piece for piece, theirs in pieces.items() if similarity(ours, theirs) >= ALIKE)
        for name, ours in harmony.items()
    }
    public: dict[str, str] = {}
    for cluster in members(harmony):
        known = [piece.split("/")[0] for name in cluster for piece in versions[name]]
        if known:
            public |= dict.fromkeys(cluster, min(known, key=STRICTEST.index))
    own: dict[str, str] = {}
    for cluster in members({name: melody[name] for name in works if name not in public}):
        known = [
            split
            for other, split in public.items()
            for name in cluster
            if similarity(melody[name], melody[other]) >= ALIKE
        ]
        chosen = min(known, key=STRICTEST.index) if known else hash_split(cluster[0], 10.0, 10.0)
        own |= dict.fromkeys(cluster, chosen)
    lines, first = {}, dict[str, str]()
    for name, notes in works.items():
        original = first.setdefault(content_hash(notes), name)
        lines[name] = Line((public | own)[name], versions[name], "" if original == name else original)
    return lines


def members(pieces: Mapping[str, Windows]) -> list[list[str]]:
    """The names of the pieces of each cluster of versions, in their order."""
    grouped: dict[int, list[str]] = {}
    for name, cluster in zip(pieces, clusters(list(pieces.values()), ALIKE), strict=True):
        grouped.setdefault(cluster, []).append(name)
    return list(grouped.values())


if __name__ == "__main__":
    run(Config, main)
