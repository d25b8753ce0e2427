"""Write new bars into a piece with a model that hears both sides of them: everything outside stays note for note.

Example: seqaudio fill runs/tunes piece.mid --bars 5-8 --out filled.mid --count 4 --wav --png
         seqaudio fill runs/tunes piece.mid --bars 5-8 --hold-voices melody --out new_bass.mid

The model is one that was trained to fill in bars: seqaudio train music_generation --fill 0.5. Bars are counted from 1,
an upbeat included. Drums in the bars stay, and so do the tracks of --hold-voices, which the model hears; new notes go
to the other track whose pitches are nearest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tyro

from seqaudio.cli.outputs import Engraved
from seqaudio.errors import OptionError
from seqaudio.terminal import visible

if TYPE_CHECKING:
    from seqaudio.notes import NoteSequence
    from seqaudio.run_folder import RunFolder


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
    from seqaudio.cli.generate import check_files, command, describe_model, pieces, write_piece
    from seqaudio.midi import read_midi
    from seqaudio.prepare.music.midi_rows import check_length
    from seqaudio.run_folder import RunFolder

    if not config.temperature > 0:
        raise OptionError(f"--temperature {config.temperature}, expected a number above 0, such as 0.9")
    if config.tries < 1:
        raise OptionError(f"--tries {config.tries}, expected at least 1")
    first, last = numbers(config.bars)
    check_files(config, given=config.piece)
    run, piece = RunFolder(config.run), read_midi(config.piece, pedal="kept")
    check_length(config.piece, piece)
    provenance = f"{describe_model(run)}; {command('fill')}"
    for (seed, path), (notes, nats) in zip(pieces(config), filled(run, piece, first, last, config), strict=True):
        print(f"{write_piece(config, notes, path, seed, provenance)}, {nats:.3f} nats an event in bars {config.bars}")


def numbers(bars: str) -> tuple[int, int]:
    """The first and the last bar of a text such as 5-8 or 5. Raises OptionError for any other text."""
    found = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", bars.strip())
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last:
        raise OptionError(f"--bars {bars!r}, expected bars counted from 1, such as 5-8 or 5")
    return first, last


def held_tracks(piece: NoteSequence, text: str) -> list[int]:
    """The tracks of names, or numbers from 1, with commas. Raises OptionError for one that the piece does not have."""
    from seqaudio.decoding.filling import pitched_tracks

    tracks = pitched_tracks(piece)
    names = [piece.track_names[track].strip().lower() for track in tracks]
    listed = ", ".join(f"{number} {name or 'without a name'}" for number, name in enumerate(names, start=1))
    if len(tracks) < 2:
        raise OptionError(f"--hold-voices {text}: all notes of the piece are in one track, so none can be held alone")
    found = []
    for name in (one.strip().lower() for one in text.split(",")):
        places = [place for place, own in enumerate(names) if own == name]
        if not places and name in {str(number) for number in range(1, len(tracks) + 1)}:
            places = [int(name) - 1]
        if len(places) != 1:
            what = "several tracks are" if places else "no track is"
            raise OptionError(f"--hold-voices: {what} called {visible(name)!r}; the piece has {visible(listed)}")
        found.append(tracks[places[0]])
    return found


def filled(
    run: RunFolder, piece: NoteSequence, first: int, last: int, config: Config
) -> Iterator[tuple[NoteSequence, float]]:
    """Each piece, and the nats an event of its new bars under the model, their end included.

    Raises RunError for a run that was not trained to fill in bars, OptionError for bars that cannot be filled in.
    """
    import torch

    from seqaudio.cli.generate import batches, pieces, repertoire_of, representation_of
    from seqaudio.decoding.filling import Stretch, require_marks
    from seqaudio.decoding.sampling import Stream, sample_many
    from seqaudio.errors import RunError
    from seqaudio.evaluation.music.surprise import token_nats
    from seqaudio.models.events import EventModel
    from seqaudio.sampling_options import SamplingOptions
    from seqaudio.tokens import BarsRepresentation
    from seqaudio.tokens.repertoire import bounds_of

    require_marks(run)
    representation, model = representation_of(run), run.model()
    if not isinstance(representation, BarsRepresentation) or not isinstance(model, EventModel):
        raise RunError(f"{run.path}: its model cannot fill in bars, which needs a model of events of bars")
    hold = () if config.hold_voices is None else held_tracks(piece, config.hold_voices)
    stretch = Stretch.of(representation, piece, first, last, bounds_of(representation, repertoire_of(run)), hold)
    context = stretch.context
    sampler, options = model.sampler(), SamplingOptions(temperature=config.temperature)
    for seeds in batches([seed for seed, _ in pieces(config)]):
        streams = [Stream(torch.Generator().manual_seed(seed), primer=context, max_events=None) for seed in seeds]
        tries = [sample_many(sampler, stretch, streams, options) for _ in range(config.tries)]
        for several in zip(*tries, strict=True):
            nats, ids = min((float(token_nats(model, np.array(ids))[len(context) :].mean()), ids) for ids in several)
            yield stretch.filled(ids[len(context) :]), nats
