"""New bars in a piece, from a model that hears both sides of them: what `seqaudio fill` and Python share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from seqaudio.errors import OptionError
from seqaudio.terminal import visible

if TYPE_CHECKING:
    from seqaudio.notes import NoteSequence
    from seqaudio.run_folder import RunFolder


def check_tries(tries: int, temperature: float) -> None:
    """Raise OptionError for less than one try, or a temperature out of its range."""
    if not temperature > 0:
        raise OptionError(f"--temperature {temperature}, expected a number above 0, such as 0.9")
    if tries < 1:
        raise OptionError(f"--tries {tries}, expected at least 1")


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
    run: RunFolder,
    piece: NoteSequence,
    bars: tuple[int, int],
    seeds: Sequence[int],
    hold: Sequence[int] = (),
    tries: int = 4,
    temperature: float = 0.9,
) -> Iterator[tuple[NoteSequence, float]]:
    """The piece with new bars for each seed, and the nats an event of these under the model, their end included.

    bars: the first and the last, counted from 1. hold: tracks whose notes stay in the bars.
    tries: for each seed, of which the one that the model finds likeliest is given.
    Raises RunError for a run that was not trained to fill in bars, OptionError for bars that cannot be filled in.
    """
    import torch

    from seqaudio.api.composing import batches
    from seqaudio.decoding.filling import Stretch, require_marks
    from seqaudio.decoding.sampling import Stream, sample_many
    from seqaudio.decoding.trained_music import repertoire_of, representation_of
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
    stretch = Stretch.of(representation, piece, *bars, bounds_of(representation, repertoire_of(run)), hold)
    context = stretch.context
    sampler, options = model.sampler(), SamplingOptions(temperature=temperature)
    for batch in batches(seeds):
        streams = [Stream(torch.Generator().manual_seed(seed), primer=context, max_events=None) for seed in batch]
        drawn = [sample_many(sampler, stretch, streams, options) for _ in range(tries)]
        for several in zip(*drawn, strict=True):
            nats, ids = min((float(token_nats(model, np.array(ids))[len(context) :].mean()), ids) for ids in several)
            yield stretch.filled(ids[len(context) :]), nats
