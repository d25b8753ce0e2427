"""Harmonise a melody in four voices with a model of chorales: the given voices stay note for note.

Example: seqaudio harmonize runs/chorales melody.mid --out harmonised.mid --count 4 --wav --png
         seqaudio harmonize runs/chorales chorale.mid --hold soprano,bass --out inner_voices.mid

The melody may be the one track of a file, or the voice of that name among several. Tempo and time signatures are those
of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from seqaudio.cli.outputs import check_output, written
from seqaudio.errors import OptionError, RunError

if TYPE_CHECKING:
    from seqaudio.notes import NoteSequence
    from seqaudio.run_folder import RunFolder


@dataclass(frozen=True)
class Config:
    """The model, the melody, and the pieces to write."""

    run: tyro.conf.Positional[Path]  # run folder of the recipe music_generation, trained on the representation chorale
    melody: tyro.conf.Positional[Path]  # MIDI file with the voices to keep
    out: Path  # MIDI file to write; with --count 3: NAME-1.mid, NAME-2.mid, NAME-3.mid
    hold: str = "soprano"  # voices that stay as they are, with commas: soprano, alto, tenor, bass
    tries: int = 4  # for each piece, of which the one that the model finds likeliest is written
    count: int = 1  # number of pieces
    seed: int = 1  # of the sampling; equal seeds give equal pieces; with --count each piece has the next seed
    temperature: float = 0.8  # of the sampling: below 1 more predictable, above 1 more varied
    wav: bool = False  # also write NAME.wav
    png: bool = False  # also write NAME.png, a piano roll
    force: bool = False  # replace existing files


def main(config: Config) -> None:
    """Harmonise, write, print a line for each piece."""
    from seqaudio.cli.generate import check_files, pieces, write_piece
    from seqaudio.midi import read_midi
    from seqaudio.run_folder import RunFolder

    if not config.temperature > 0:
        raise OptionError(f"--temperature {config.temperature}, expected a number above 0, such as 0.8")
    check_files(config)
    run, melody = RunFolder(config.run), read_midi(config.melody)
    for (seed, path), (notes, nats) in zip(pieces(config), harmonised(run, melody, config), strict=True):
        write_piece(notes, path, run, config, seed)
        print(f"{path}: {len(notes)} notes, {notes.duration:.1f} s, seed {seed}, {nats:.3f} nats a free note")


def harmonised(run: RunFolder, melody: NoteSequence, config: Config) -> Iterator[tuple[NoteSequence, float]]:
    """Each piece, and its mean negative log-likelihood of a token that was drawn, in nats.

    Raises RunError for a run of another representation, OptionError for voices that cannot be held.
    """
    import torch

    from seqaudio.cli.generate import representation_of
    from seqaudio.decoding.sampling import sample_scored
    from seqaudio.notes.keys import with_key
    from seqaudio.tokens.chorale import ChoraleRepresentation
    from seqaudio.tokens.held_voices import HeldVoices

    representation = representation_of(run)
    if not isinstance(representation, ChoraleRepresentation):
        raise RunError(
            f"{run.path}: trained on {representation.spelt}; harmonising needs four voices, a run that was trained on "
            f"a store of the representation chorale"
        )
    held = HeldVoices.of(representation, melody, config.hold.split(","))
    model = run.model()
    for number in range(config.count):
        generator = torch.Generator().manual_seed(config.seed + number)
        best = min(
            (
                sample_scored(
                    model, held, generator=generator, temperature=config.temperature, max_events=held.most_tokens
                )
                for _ in range(config.tries)
            ),
            key=lambda one: one.nats,
        )
        yield with_key(played_as(representation.decode(best.ids), representation.aligned(melody))), best.nats
