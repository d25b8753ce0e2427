"""MIDI files, damaged in ways that a seed decides, beside good ones.

    python tests/mutated_midi.py FOLDER COUNT OUT [SOURCE]     prepares COUNT damaged files and a twentieth as many good

Good files are made by code, or taken from the folder SOURCE. Prints one line of JSON: the reasons, whether the good
files arrived, the seconds that each file cost at most, by how many mebibytes the files raised the peak of this
process's memory, and the peaks of its children.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mutated_audio import children, peak
from seqaudio.errors import InputFileError
from seqaudio.prepare.engine import Item, Row
from seqaudio.prepare.music.midi_rows import MidiPreparation

LARGEST = 100_000  # bytes of a good file


def made_files() -> list[bytes]:
    """Pieces with all that a file can hold: tempos, metres, keys, pedals, drums, running status, odd clocks."""
    from seqaudio.midi.writing import midi_bytes
    from seqaudio.notes import KeySignature, NoteSequence, TimeSignature

    piece = NoteSequence.from_columns(
        [0, 480, 960, 1440, 0, 960, 0],
        [480, 960, 1440, 1920, 960, 1920, 120],
        [60, 62, 64, 65, 40, 43, 36],
        track=[0, 0, 0, 0, 1, 1, 2],
        is_drum=[False] * 6 + [True],
        track_names=("lead", "bass", "kit"),
        tempos=[(0, 400_000), (960, 600_000)],
        time_signatures=[TimeSignature(0, 3, 4)],
        key_signatures=[KeySignature(0, -3, minor=True)],
        pedals=[(0, 0, 900)],
    )
    draw = np.random.default_rng(0)
    start = np.sort(draw.integers(0, 9600, size=400))
    crowd = NoteSequence.from_columns(
        start, start + 60, draw.integers(30, 90, size=400), draw.integers(1, 128, size=400)
    )
    plain = midi_bytes(piece, comments=["made by code"])
    running = bytes.fromhex(
        "4d546864 00000006 0000 0001 01e0 4d54726b 00000018 00903c50 833c00 00f00343f7f7 833e50 833e00"
    )
    return [
        plain,
        midi_bytes(crowd),
        b"RIFF" + (len(plain) + 12).to_bytes(4, "little") + b"RMIDdata" + len(plain).to_bytes(4, "little") + plain,
        plain[:8] + b"\0\2" + plain[10:],  # format 2
        plain[:12] + b"\xe7\x28" + plain[14:],  # an SMPTE clock
        bytes.fromhex("4d546864 00000006 0000 0001 01e0 4d54726b") + len(running).to_bytes(4, "big") + running,
    ]


def good_files(source: Path | None) -> list[bytes]:
    """Those made by code, and all of a folder that are not too large and can be prepared."""
    if source is None:
        return made_files()
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
    return made_files() + [path.read_bytes() for path in paths if path.stat().st_size <= LARGEST]


def mutate(files: Sequence[bytes], seed: int) -> bytes:
    """The damaged bytes of one of the files."""
    draw = np.random.default_rng(seed)
    content = bytearray(files[int(draw.integers(len(files)))])
    # half of the files keep their length: they get past the headers
    kinds = 3 if seed % 2 else 7
    for _ in range(int(draw.integers(1, 5))):
        if not content:
            break
        # headers and the first events decide most: a third of the damage goes there
        reach = min(len(content), 64) if draw.random() < 1 / 3 else len(content)
        place = int(draw.integers(reach))
        match int(draw.integers(kinds)):
            case 0:
                content[place] ^= 1 << int(draw.integers(8))
            case 1:
                content[place] = int(draw.choice([0, 0x2F, 0x51, 0x7F, 0x80, 0x90, 0xF0, 0xF7, 0xFF]))
            case 2:
                content[place] = int(draw.integers(128))
            case 3:
                del content[place : place + int(draw.integers(1, 5))]
            case 4:
                content[place:place] = draw.bytes(int(draw.integers(1, 9)))
            case 5:
                content[place:place] = content[place : place + int(draw.integers(1, 2000))]
            case _:
                content[place : place + 4] = [b"\xff\xff\xff\x7f", bytes(4), b"\x7f\xff\xff\xff"][seed % 3]
    return bytes(content)


def write_files(folder: Path, count: int, source: Path | None) -> set[str]:
    """COUNT damaged files named bad-..., and good ones between them; the names of the good ones."""
    folder.mkdir(parents=True)
    files = good_files(source)
    good = set()
    for number in range(count):
        (folder / f"{number:05d}-bad.mid").write_bytes(mutate(files, number))
        if number % 20 == 0:
            name = f"{number:05d}-good.mid"
            (folder / name).write_bytes(made_files()[number // 20 % 2])
            good.add(name)
    return good


class Timed:
    """A preparation that notes how long each file was waited for."""

    def __init__(self, process: MidiPreparation) -> None:
        self.process = process
        self.seconds: list[float] = []

    def __repr__(self) -> str:
        return repr(self.process)

    def __call__(self, item: Item) -> list[Row]:
        return self.process(item)

    def many(self, items: Sequence[Item]) -> Iterator[list[Row] | InputFileError]:
        begin = time.perf_counter()
        for outcome in self.process.many(items):
            self.seconds.append(time.perf_counter() - begin)
            yield outcome
            begin = time.perf_counter()


def main(folder: Path, count: int, out: Path, source: Path | None) -> None:
    """Prepare and print."""
    from seqaudio import progress
    from seqaudio.ledger import Status, read_ledger
    from seqaudio.midi import read_midi
    from seqaudio.prepare.engine import build_store
    from seqaudio.store import StoreDescription
    from seqaudio.tokens import build_representation

    good = write_files(folder, count, source)
    progress.quiet = True
    read_midi(made_files()[0])  # starting the parser is not the files'
    items = [Item(path.name, path, path.name) for path in sorted(folder.iterdir())]
    before = peak(Path("/proc/self/status"))
    times: list[float] = []
    kept: set[str] = set()
    for name in ("performance", "melody"):
        representation = build_representation(name)
        process = Timed(MidiPreparation(representation))
        description = StoreDescription(kind="tokens", settings={}, vocabulary=representation.vocabulary)
        build_store(out / name, items, process, description)
        entries = read_ledger(out / name / "ledger.tsv")
        now_kept = {entry.path for entry in entries if entry.status is Status.KEPT}
        kept = now_kept if not times else kept & now_kept
        times += process.seconds
    report = {
        "entries": len(entries),
        "kept": len(kept),
        "good": len(good),
        "lost": sorted(good - kept),
        "reasons": Counter(entry.reason for entry in entries if entry.status is not Status.KEPT),
        "unexplained": [entry.path for entry in entries if entry.status is not Status.KEPT and not entry.detail],
        "died": [f"{e.path}: {e.detail}" for e in entries if e.reason in ("parser_crashed", "parser_timeout")][:20],
        "longest_seconds": max(times),
        "mean_milliseconds": 1000 * sum(times) / len(times),
        "megabytes": peak(Path("/proc/self/status")) - before,
        "megabytes_of_children": [peak(Path(f"/proc/{child}/status")) for child in children()],
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]) if len(sys.argv) > 4 else None)
