"""Voices to a melody, or other voices of a chorale: what `seqaudio harmonize` and Python share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError, RunError

if TYPE_CHECKING:
    from seqaudio.notes import NoteSequence
    from seqaudio.notes.sequence import KeySignature
    from seqaudio.run_folder import RunFolder
    from seqaudio.sampling_options import SamplingOptions
    from seqaudio.tokens import TokenRepresentation


def harmonised(
    run: RunFolder,
    melody: NoteSequence,
    seeds: Sequence[int],
    options: SamplingOptions,
    hold: str = "soprano",
    key: KeySignature | None = None,
    parallels: bool = False,
    tries: int = 8,
) -> Iterator[tuple[NoteSequence, float]]:
    """A piece for each seed, and its nats an event under the model.

    Args:
        melody: with the voices to keep.
        options: of the sampling. hold: voices that stay, with commas: soprano, alto, tenor, bass.
        key: outside whose scale the new voices have no pitch. parallels: allow parallel fifths and octaves with them.
        tries: for each seed, of which the one that the model finds likeliest is given.

    Raises RunError for a run of another representation, OptionError for voices that cannot be held, or a key of whose
    scale no training piece has a pitch.
    """
    import torch

    from seqaudio.api.composing import batches
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
    held = HeldVoices.of(representation, melody, hold.split(","), tokens, parallels)
    model = run.model()
    if not isinstance(model, EventModel):
        raise RunError(f"{run.path}: its model gives no probability of an event; harmonising needs a model of events")
    sampler = model.sampler()
    for batch in batches(seeds):
        streams = [Stream(torch.Generator().manual_seed(seed), max_events=held.most_tokens) for seed in batch]
        drawn = [sample_many(sampler, held, streams, options) for _ in range(tries)]
        for several in zip(*drawn, strict=True):
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
