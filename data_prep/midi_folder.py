"""Prepare your own MIDI files.

    data_prep/midi_folder.py --source FOLDER --out stores/mine
    data_prep/midi_folder.py --source FOLDER --out stores/mine --representation melody
    data_prep/midi_folder.py --source FOLDER --out stores/played --representation performance --clock second
    data_prep/midi_folder.py --source FOLDER --out stores/mine --representation miditok:REMI --workers 4

Every *.mid, *.midi, *.kar, *.rmi and *.smf below FOLDER, sorted by path; other files are counted. Splits go by the
content of the pieces: versions of one piece (copies, transpositions, arrangements, slightly edited ones) fall into one
split, so --update reads all files again, unless with --versions hashed. If pieces are so few that a split would be
empty, it gets a piece of another. A file of format 2 gives one row for each of its songs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from seqaudio.cli.options import run
from seqaudio.errors import OptionError
from seqaudio.midi.reading import Pedal
from seqaudio.prepare.corpora.splits import check_percentages, hash_sample
from seqaudio.prepare.music.midi_rows import MidiPreparation
from seqaudio.prepare.music.near_duplicates import SplitsByContent
from seqaudio.prepare.music.options import NoteOptions, build_note_store, chosen_representation, listed_midi
from seqaudio.prepare.music.piece_remarks import describe_note_store
from seqaudio.tokens import Representation


@dataclass(frozen=True, kw_only=True)
class Config(NoteOptions):
    """Options of the preparation."""

    representation: str = "bars"  # representation of the notes; docs/representations.md lists them all
    clock: Literal["beat", "second"] | None = None  # performance: steps are fractions of a quarter (beat), or a second
    track: Literal["highest", "first"] | None = None  # melody: the track with the highest mean pitch, or the first
    programs: bool = False  # miditok: also write instruments and drums
    pedal: Pedal = "kept"  # kept: notes end where keys are released; applied: the sustain pedal holds them
    versions: Literal["together", "hashed"] = "together"  # hashed: only copies and transpositions stay together; faster
    valid_percent: float = 10.0  # of the pieces
    test_percent: float = 10.0  # of the pieces
    longest_minutes: float = 240.0  # longer pieces are refused
    name: str = ""  # of the corpus, for the store's description
    licence: str = ""  # of the corpus, for the store's description


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    representation = representation_of(config)
    percentages = (config.valid_percent, config.test_percent)
    check_percentages(*percentages)
    splits = SplitsByContent(*percentages) if config.versions == "together" else None
    process = MidiPreparation(
        representation, *percentages, config.longest_minutes, config.pedal, identify=splits is not None
    )
    items, others = listed_midi(config.source, "a folder of MIDI files")
    store = build_note_store(
        config,
        hash_sample(items, config.limit),
        source=config.name,
        licence=config.licence,
        representation=representation,
        process=process,
        splits=splits,
    )
    print("\n".join([*describe_note_store(store), *([others] if others else [])]))
    wanted = {"train": 100.0, "valid": config.valid_percent, "test": config.test_percent}
    if empty := [split for split, percent in wanted.items() if percent and split not in store.counts]:
        remedy = "give more pieces" if splits is not None else "leave out --versions hashed, which splits by chance"
        print(f"no pieces in {' and '.join(empty)}, as there are too few; {remedy}")


def representation_of(config: Config) -> Representation:
    """The representation with the given settings."""
    if config.clock == "second" and config.steps_per_quarter is not None:
        raise OptionError("--steps-per-quarter and --clock second exclude each other; leave one out")
    if config.clock is not None and config.representation != "performance":
        raise OptionError(
            f"{config.representation} has no setting 'clock'; leave out --clock {config.clock}, "
            f"or give --representation performance"
        )
    options: dict[str, Any] = {"clock": config.clock, "track": config.track, "programs": config.programs or None}
    given = {name: value for name, value in options.items() if value is not None}
    return chosen_representation(config, {config.representation.partition(":")[0]: given})


if __name__ == "__main__":
    run(Config, main)
