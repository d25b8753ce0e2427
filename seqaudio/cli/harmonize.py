"""Harmonise a melody in four voices with a model of chorales: the given voices stay note for note.

Example: seqaudio harmonize runs/chorales melody.mid --out harmonised.mid --count 4 --wav --png
         seqaudio harmonize runs/chorales chorale.mid --hold soprano,bass --out inner_voices.mid

The melody may be the one track of a file, or the voice of that name among several. Tempo and time signatures are those
of the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tyro

from seqaudio.cli.outputs import Engraved
from seqaudio.sampling_options import SamplingOptions

if TYPE_CHECKING:
    from seqaudio.decoding.kept_wishes import KeptWish
    from seqaudio.notes import NoteSequence
    from seqaudio.notes.sequence import KeySignature


@dataclass(frozen=True)
class Config(SamplingOptions):
    """The model, the melody, and the pieces to write."""

    run: tyro.conf.Positional[Path]  # run folder of the recipe music_generation, trained on the representation chorale
    melody: tyro.conf.Positional[Path]  # MIDI file with the voices to keep
    out: Path  # MIDI file to write; with --count 3: NAME-1.mid, NAME-2.mid, NAME-3.mid
    hold: str = "soprano"  # voices that stay as they are, with commas: soprano, alto, tenor, bass
    key: str | None = None  # such as "D minor", outside whose scale the new voices have no pitch
    parallels: bool = False  # allow parallel fifths and octaves with the new voices
    tries: int = 8  # for each piece, of which the one that the model finds likeliest is written
    count: int = 1  # number of pieces
    seed: int = 1  # of the sampling; equal seeds give equal pieces; with --count each piece has the next seed
    temperature: float = field(default=0.5, kw_only=True)  # of the sampling: below 1 more predictable, above 1 freer
    wav: bool = False  # also write NAME.wav
    png: bool = False  # also write NAME.png, a piano roll
    musicxml: bool = False  # also write NAME.musicxml, a score for notation programs
    engraved: Engraved = None  # also write NAME.score.svg or .png, a picture of the score
    force: bool = False  # replace existing files


def main(config: Config) -> None:
    """Harmonise, write, print a line for each piece."""
    from seqaudio.api.asked import check_sampling
    from seqaudio.api.composing import key_of
    from seqaudio.api.harmonizing import harmonised
    from seqaudio.api.provenance import describe_model
    from seqaudio.cli.generate import check_files, command, pieces, write_piece
    from seqaudio.decoding.kept_wishes import described
    from seqaudio.midi import read_midi
    from seqaudio.run_folder import RunFolder

    check_sampling(config)
    check_files(config, given=config.melody)
    key = key_of(config.key)
    run, melody = RunFolder(config.run, ("music_generation",)), read_midi(config.melody)
    provenance = f"{describe_model(run)}; {command('harmonize')}"
    places = pieces(config)
    made = harmonised(
        run, melody, [seed for seed, _ in places], config.options, config.hold, key, config.parallels, config.tries
    )
    for (seed, path), (notes, nats) in zip(places, made, strict=True):
        print(f"{write_piece(config, notes, path, seed, provenance)}, {nats:.3f} nats an event")
        if key is not None:
            print(f"  {described([kept_key(notes, config.hold, key)])}")


def kept_key(notes: NoteSequence, hold: str, key: KeySignature) -> KeptWish:
    """How many notes of the voices that are not held are in the key that was asked for."""
    from seqaudio.decoding.kept_wishes import KeptWish
    from seqaudio.notes.keys import key_name, scale_of

    held = {name.strip().lower() for name in hold.split(",")}
    new = [track for track, name in enumerate(notes.track_names) if name.lower() not in held]
    pitches = notes.pitch[np.isin(notes.track, new)]
    share = float(np.isin(pitches % 12, scale_of(key)).mean()) if len(pitches) else 1.0
    return KeptWish("key", key_name(key), share, f"{len(pitches):,} new notes", True)
