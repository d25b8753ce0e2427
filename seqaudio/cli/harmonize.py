"""Harmonise a melody in four voices with a model of chorales: the given voices stay note for note.

Example: seqaudio harmonize runs/chorales melody.mid --out harmonised.mid --count 4 --wav --png
         seqaudio harmonize runs/chorales chorale.mid --hold soprano,bass --out inner_voices.mid

The melody may be the one track of a file, or the voice of that name among several. Tempo and time signatures are those
of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import tyro

from seqaudio.cli.outputs import Engraved
from seqaudio.errors import OptionError, RunError
from seqaudio.sampling_options import SamplingOptions

if TYPE_CHECKING:
    from seqaudio.decoding.kept_wishes import KeptWish
    from seqaudio.notes import NoteSequence
    from seqaudio.notes.sequence import KeySignature
    from seqaudio.run_folder import RunFolder
    from seqaudio.tokens import TokenRepresentation


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
    for (seed, path), (notes, nats) in zip(pieces(config), harmonised(run, melody, config, key), strict=True):
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


def harmonised(
    run: RunFolder, melody: NoteSequence, config: Config, key: KeySignature | None = None
) -> Iterator[tuple[NoteSequence, float]]:
    """Each piece, and its nats an event under the model.

    Raises RunError for a run of another representation, OptionError for voices that cannot be held, or a key of whose
    scale no training piece has a pitch.
    """
    import torch

    from seqaudio.api.composing import batches
    from seqaudio.cli.generate import pieces
    from seqaudio.decoding.continuation import played_as
    from seqaudio.decoding.sampling import Stream, sample_many
    from seqaudio.decoding.trained_music import repertoire_of, representation_of
    from seqaudio.evaluation.music.surprise import token_nats
    from seqaudio.models.events import EventModel
    from seqaudio.notes.keys import with_key
    from seqaudio.tokens.chorale import ChoraleRepresentation
    from seqaudio.tokens.held_voices import HeldVoices
    from seqaudio.tokens.repertoire import bounds_of

    run.require("music_generation", "harmonising")
    representation = representation_of(run)
    if not isinstance(representation, ChoraleRepresentation):
        raise RunError(
            f"{run.path}: trained on {representation.spelt}; harmonising needs four voices, a run that was trained on "
            f"a store of --representation chorale"
        )
    bounds = bounds_of(representation, repertoire_of(run))
    tokens = bounds.tokens if key is None else in_key(representation, bounds.tokens, key)
    held = HeldVoices.of(representation, melody, config.hold.split(","), tokens, config.parallels)
    model = run.model()
    if not isinstance(model, EventModel):
        raise RunError(f"{run.path}: its model gives no probability of an event; harmonising needs a model of events")
    sampler = model.sampler()
    for seeds in batches([seed for seed, _ in pieces(config)]):
        streams = [Stream(torch.Generator().manual_seed(seed), max_events=held.most_tokens) for seed in seeds]
        tries = [sample_many(sampler, held, streams, config.options) for _ in range(config.tries)]
        for several in zip(*tries, strict=True):
            nats, ids = min((float(token_nats(model, np.array(ids)).mean()), ids) for ids in several)
            made = played_as(representation.decode(ids), representation.aligned(melody))
            yield with_key(made if key is None else replace(made, key_signatures=(key,))), nats


def in_key(
    representation: TokenRepresentation, tokens: npt.NDArray[np.bool_], key: KeySignature
) -> npt.NDArray[np.bool_]:
    """Tokens [V] without the pitches outside a key. Raises OptionError where none is left."""
    from seqaudio.notes.keys import key_name, scale_of

    pitches = representation.token_pitches
    within = tokens & ((pitches < 0) | np.isin(pitches % 12, scale_of(key)))
    if not within[pitches >= 0].any():
        raise OptionError(f"--key {key_name(key)}: no training piece has a pitch of it; give another key")
    return within
