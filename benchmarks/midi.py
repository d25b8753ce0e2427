"""Time MIDI files to a store against a pretty_midi loop that makes the same tokens, and REMI against MidiTok.

    python benchmarks/midi.py [--json] [--source FOLDER] [--every N] [--rounds N] [--no-miditok]

    midi_vs_pretty_midi    pretty_midi's time / ours, the smallest of the three below; 20: we are 20 times as fast
    melody_, performance_, roll_vs_pretty_midi
    remi_vs_miditok        our time / MidiTok's for its REMI tokens: below 1 we are faster

Ours is `build_store` in one process with all that `MidiPreparation` does: untrusted files through the guarded parser,
checks, tokens, split by content, ledger, checksums, a synced store. The search for versions of a piece, which
`midi_folder` does without `--versions hashed`, is not timed. Theirs reads each file with pretty_midi, or with symusic
and MidiTok, makes the tokens in a loop and writes them to one file, without any checks. Start-up is not counted: both
sides process some files first. They take turns: the loop stops several times, and ours prepares all files each time.
The tokens are compared before a number is printed; a few files differ, where pretty_midi ends overlapping notes
differently.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from _interleaved import report
from _pretty_midi_tokens import MAKERS, read

from seqaudio import progress
from seqaudio.prepare.engine import Item, build_store
from seqaudio.prepare.music.midi_rows import MidiPreparation
from seqaudio.prepare.music.options import note_description
from seqaudio.store import Store
from seqaudio.tokens import build_representation

STOPS = 6  # of the loop in a round, at which ours prepares all files
MIN_EQUAL = 0.95  # share of files with equal tokens; the others have overlaps, or tempos that pretty_midi rounds
MIDITOK_EVERY = 8  # files: MidiTok takes milliseconds for each

Tokens = dict[str, np.ndarray]  # by file


def main(options: argparse.Namespace) -> None:
    """Compare, measure and print."""
    progress.quiet = True
    source = options.source or Path(os.environ.get("SEQAUDIO_DATA", "data")) / "music"
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".mid", ".midi"))[:: options.every]
    if not paths:
        raise SystemExit(f"{source}: no MIDI files in this folder; give --source FOLDER")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ratios, absolute = beside_pretty_midi(paths, folder, options.rounds)
        if options.miditok:
            remi, more = beside_miditok(paths[::MIDITOK_EVERY], folder, options.rounds)
            ratios["remi_vs_miditok"] = remi
            absolute |= more
    report(f"{len(paths):,} MIDI files", ratios, absolute)


def beside_pretty_midi(paths: list[Path], folder: Path, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Ratios, and milliseconds for all files."""
    prepare_all("performance", paths[:32], folder)
    for path in paths[:8]:
        read(path)
    loop: dict[str, list[float]] = {name: [] for name in MAKERS}
    ours: dict[str, list[list[float]]] = {name: [] for name in MAKERS}
    for _ in range(rounds):
        seconds = dict.fromkeys(MAKERS, 0.0)
        found: dict[str, Tokens] = {name: {} for name in MAKERS}
        mine: dict[str, list[float]] = {name: [] for name in MAKERS}
        for stop in range(STOPS):
            pretty_midi_loop(paths[stop::STOPS], folder, seconds, found)
            name = list(MAKERS)[stop % len(MAKERS)]
            mine[name].append(prepare_all(name, paths, folder)[0])
        for name in MAKERS:
            loop[name].append(seconds[name])
            ours[name].append(mine[name])
            compare(name, found[name], prepare_all(name, paths, folder)[1])
    ratios = {
        f"{name}_vs_pretty_midi": statistics.median(
            theirs / statistics.mean(mine) for theirs, mine in zip(loop[name], ours[name], strict=True)
        )
        for name in MAKERS
    }
    absolute = {f"{name}_ours": 1000 * statistics.median(map(statistics.mean, ours[name])) for name in MAKERS}
    absolute |= {f"{name}_pretty_midi": 1000 * statistics.median(loop[name]) for name in MAKERS}
    return {"midi_vs_pretty_midi": min(ratios.values())} | ratios, absolute


def pretty_midi_loop(paths: list[Path], folder: Path, seconds: dict[str, float], found: dict[str, Tokens]) -> None:
    """Read each file once, make each kind of tokens, and add to `seconds` the time that each kind takes by itself."""
    for path in paths:
        begin = time.perf_counter()
        midi = read(path)
        reading = time.perf_counter() - begin
        for name, make in MAKERS.items():
            begin = time.perf_counter()
            if midi is not None:
                found[name][str(path)] = np.asarray(make(midi), dtype=np.uint8 if name == "roll" else np.int16)
            seconds[name] += reading + time.perf_counter() - begin
    for name in MAKERS:
        begin = time.perf_counter()
        with (folder / name).open("wb") as file:
            for path in paths:
                if str(path) in found[name]:
                    file.write(found[name][str(path)].tobytes())
        seconds[name] += time.perf_counter() - begin


def prepare_all(name: str, paths: list[Path], folder: Path) -> tuple[float, Store]:
    """Seconds of our preparation, and its store."""
    representation = build_representation(name)
    items = [Item(str(path), path, str(path)) for path in paths]
    description = note_description(representation, "benchmark")
    begin = time.perf_counter()
    store = build_store(folder / "store", items, MidiPreparation(representation), description, force=True)
    return time.perf_counter() - begin, store


def sequences(store: Store) -> Iterator[tuple[str, np.ndarray]]:
    """The id and the sequence of each row."""
    for split in store.counts:
        yield from zip(store[split].ids, store[split], strict=True)


def compare(name: str, theirs: Tokens, store: Store) -> None:
    """Exit unless nearly all files have equal tokens."""
    compared = [np.array_equal(ids, theirs[key]) for key, ids in sequences(store) if key in theirs]
    if not compared or sum(compared) < MIN_EQUAL * len(compared):
        raise SystemExit(
            f"{name}: {sum(compared)} of {len(compared)} files have equal tokens, expected {MIN_EQUAL:.0%} or more; "
            f"times are not compared"
        )


def beside_miditok(paths: list[Path], folder: Path, rounds: int) -> tuple[float, dict[str, float]]:
    """Our time / MidiTok's for REMI, and milliseconds for these files."""
    import symusic

    library = build_representation("miditok:REMI").library.library
    seconds: dict[str, list[float]] = {"remi_ours": [], "remi_miditok": []}
    # some files crash symusic outside the guarded parser; those of the store are safe
    rows = sequences(prepare_all("miditok:REMI", paths, folder)[1])
    kept = [Path(key) for key, _ in rows if "#" not in key and is_read(symusic.Score, key)]
    for _ in range(2 * rounds):
        seconds["remi_ours"].append(prepare_all("miditok:REMI", kept, folder)[0])
        begin = time.perf_counter()
        with (folder / "remi").open("wb") as file:
            for path in kept:
                written = library.encode(symusic.Score(str(path)))
                for track in written if isinstance(written, list) else [written]:
                    file.write(np.array(track.ids, dtype=np.int16).tobytes())
        seconds["remi_miditok"].append(time.perf_counter() - begin)
    ratio = statistics.median(a / b for a, b in zip(seconds["remi_ours"], seconds["remi_miditok"], strict=True))
    return ratio, {name: 1000 * statistics.median(values) for name, values in seconds.items()}


def is_read(score: Callable[[str], object], path: str) -> bool:
    """Whether symusic reads a file; ours also reads some unusual ones that it refuses."""
    try:
        score(path)
    except RuntimeError:
        return False
    return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time MIDI to a store against pretty_midi and MidiTok")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--source", type=Path, help="folder of MIDI files (default $SEQAUDIO_DATA/music)")
    parser.add_argument("--every", type=int, default=1, help="take every Nth file, for a trial")
    parser.add_argument("--rounds", type=int, default=2, help="number of measurements (default 2)")
    parser.add_argument("--no-miditok", dest="miditok", action="store_false", help="leave out REMI")
    main(parser.parse_args())
