"""Write new bars into a piece with a model that hears both sides of them: everything outside stays note for note.

Example: seqaudio fill runs/tunes piece.mid --bars 5-8 --out filled.mid --count 4 --wav --png
         seqaudio fill runs/tunes piece.mid --bars 5-8 --hold-voices melody --out new_bass.mid

The model is one that was trained to fill in bars: seqaudio train music_generation --fill 0.5. Bars are counted from 1,
an upbeat included. Drums in the bars stay, and so do the tracks of --hold-voices, which the model hears; new notes go
to the other track whose pitches are nearest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from seqaudio.cli.outputs import Engraved

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Config:
    """The model, the piece, the bars, and the pieces to write."""

    run: tyro.conf.Positional[Path]  # run folder of the recipe music_generation, trained with --fill
    piece: tyro.conf.Positional[Path]  # MIDI file
    bars: str  # to write anew, counted from 1: 5-8, or 5 alone; at most 8
    out: Path  # MIDI file to write; with --count 3: NAME-1.mid, NAME-2.mid, NAME-3.mid
    hold_voices: str | None = None  # tracks that stay in the bars, with commas: names, or numbers from 1
    tries: int = 4  # for each piece, of which the one that the model finds likeliest is written
    count: int = 1  # number of pieces
    seed: int = 1  # of the sampling; equal seeds give equal pieces; with --count each piece has the next seed
    temperature: float = 0.9  # of the sampling: below 1 more predictable, above 1 more varied
    wav: bool = False  # also write NAME.wav
    png: bool = False  # also write NAME.png, a piano roll
    musicxml: bool = False  # also write NAME.musicxml, a score for notation programs
    engraved: Engraved = None  # also write NAME.score.svg or .png, a picture of the score
    force: bool = False  # replace existing files


def main(config: Config) -> None:
    """Fill in the bars, write, print a line for each piece."""
    from seqaudio.api.filling import check_tries, filled, held_tracks, numbers
    from seqaudio.api.provenance import describe_model
    from seqaudio.cli.generate import check_files, command, pieces, write_piece
    from seqaudio.midi import read_midi
    from seqaudio.prepare.music.midi_rows import check_length
    from seqaudio.run_folder import RunFolder

    check_tries(config.tries, config.temperature)
    first, last = numbers(config.bars)
    check_files(config, given=config.piece)
    run, piece = RunFolder(config.run, ("music_generation",)), read_midi(config.piece, pedal="kept")
    check_length(config.piece, piece)
    provenance = f"{describe_model(run)}; {command('fill')}"
    hold = () if config.hold_voices is None else held_tracks(piece, config.hold_voices)
    places = pieces(config)
    filling = filled(run, piece, (first, last), [seed for seed, _ in places], hold, config.tries, config.temperature)
    for (seed, path), (notes, nats) in zip(places, filling, strict=True):
        print(f"{write_piece(config, notes, path, seed, provenance)}, {nats:.3f} nats an event in bars {config.bars}")
