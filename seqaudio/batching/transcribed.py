"""Recordings with their texts, as batches for a recogniser; and which of them can be aligned."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from seqaudio.arrow_files import Split
from seqaudio.batching.batch import Batch
from seqaudio.batching.clips import Clips, clips_of
from seqaudio.batching.padded import Augmenter
from seqaudio.errors import OptionError, StoreError, VocabularyError
from seqaudio.store import Store
from seqaudio.terminal import few
from seqaudio.transcripts import NAMED, Case, Spelling, TextSettings, Units, read_lexicon

MOSTLY = 0.5  # where more of the texts have unknown units, they are taken to be in another case or spelling
UNKNOWN = -1  # the id of a unit that the recogniser does not have


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """The units of the texts, and how these are normalised."""

    GROUP: ClassVar[str] = "text"

    units: Units = "characters"  # of the net; phones need --lexicon
    case: Case = "keep"  # of the texts: as they are, or all of one case
    punctuation: bool = True  # keep it; --no-punctuation drops all but apostrophes within words
    lexicon: Path | None = None  # of phones: lines of a word and its phones, as CMUdict has them
    skip_infeasible: bool = False  # leave out recordings without a text, or too short for theirs

    def spelling(self, store: Store) -> Spelling:
        """The units of all training texts.

        Raises OptionError for phones without a lexicon and the other way round, SourceError for one that cannot be
        read or lacks a word, VocabularyError where no recording has a text.
        """
        if (self.units == "phones") != (self.lexicon is not None):
            raise OptionError("--units phones and --lexicon FILE belong together; give both, or none")
        lexicon = read_lexicon(self.lexicon) if self.lexicon else None
        settings = TextSettings(self.units, self.case, self.punctuation)
        return Spelling.of_texts(store["train"].column("text"), settings, lexicon)


@dataclass(frozen=True)
class Transcribed:
    """Rows of a split with the ids of their texts, as batches with targets [U, B]."""

    clips: Clips  # of all rows of the split
    spelling: Spelling
    rows: np.ndarray  # [N] int64 rows of the split, in order
    targets: tuple[np.ndarray, ...]  # N texts, [U] int64 each; UNKNOWN for a unit that is not in the vocabulary
    texts: tuple[str, ...]  # N normalised texts

    @cached_property
    def lengths(self) -> np.ndarray:
        """Frames of each recording before augmentation, [N] int64."""
        lengths: np.ndarray = self.clips.lengths[self.rows]
        return lengths

    @property
    def ids(self) -> list[str]:
        return [self.clips.split.ids[row] for row in self.rows.tolist()]

    def __call__(self, rows: Sequence[int], epoch: int) -> Batch:
        batch = self.clips(self.rows[list(rows)].tolist(), epoch)
        lengths = np.array([len(self.targets[row]) for row in rows], dtype=np.int64)
        targets = np.zeros((int(lengths.max(initial=0)), len(rows)), dtype=np.int64)
        for column, row in enumerate(rows):
            targets[: lengths[column], column] = self.targets[row]
        return replace(batch, targets=torch.from_numpy(targets), target_lengths=torch.from_numpy(lengths))

    def of(self, kept: np.ndarray) -> Transcribed:
        """Some of the recordings, chosen by [N] bool."""
        places = np.flatnonzero(kept)
        return replace(
            self,
            rows=self.rows[places],
            targets=tuple(self.targets[place] for place in places),
            texts=tuple(self.texts[place] for place in places),
        )

    def references(self) -> list[list[str]]:
        """The words of each text, which errors are counted in; phones where these are the units."""
        if self.spelling.settings.units == "phones":
            return [self.spelling.units(text) for text in self.texts]
        return [text.split() for text in self.texts]

    def unknown_share(self) -> float:
        """The share of the units of all texts that the recogniser does not have."""
        ids = np.concatenate([np.zeros(0, dtype=np.int64), *self.targets])
        return float((ids == UNKNOWN).mean()) if len(ids) else 0.0

    def unknown_units(self) -> str:
        """A line about the units that the recogniser does not have; empty where it has all."""
        places = [place for place, ids in enumerate(self.targets) if UNKNOWN in ids]
        if not places:
            return ""
        wrong = self.spelling.unknown(unit for place in places for unit in self.spelling.units(self.texts[place]))
        return (
            f"{few(map(repr, wrong), NAMED)} in {len(places):,} of {len(self.texts):,} texts, such as that of "
            f"{self.ids[places[0]]}, not among the {len(self.spelling.vocabulary) - 1:,} "
            f"{self.spelling.settings.units} of the recogniser"
        )

    def needed(self) -> np.ndarray:
        """Steps that each text needs at least, [N] int64: one a unit, and a blank between equal units."""
        return np.array([len(ids) + int((ids[1:] == ids[:-1]).sum()) for ids in self.targets], dtype=np.int64)


def transcribed(
    store: Store,
    split: Split,
    spelling: Spelling,
    waveform_augment: Augmenter | None = None,
    feature_augment: Augmenter | None = None,
) -> Transcribed:
    """The rows of a split of a store with the ids of their texts.

    A unit that the recogniser does not have has the id UNKNOWN: such a recording counts in error rates only.

    Raises:
        StoreError: the store holds neither features nor samples.
        OptionError: a waveform augmentation for a store that does not keep samples.
        VocabularyError: most texts have characters or phones that the recogniser lacks, as where it writes them in
            another case; with the first recording that has one.
    """
    store.require(("features", "audio"), "speech recognition")
    clips = clips_of(store, split, np.zeros(len(split), dtype=np.int64), waveform_augment, feature_augment)
    texts = tuple(spelling.settings.normalised(text) for text in split.column("text"))
    ids = {unit: place for place, unit in enumerate(spelling.vocabulary) if place}  # without the blank
    targets = tuple(
        np.array([ids.get(unit, UNKNOWN) for unit in units], dtype=np.int64) for units in spelling.units_of(texts)
    )
    found = Transcribed(clips, spelling, np.arange(len(split)), targets, texts)
    if spelling.settings.units != "words" and sum(UNKNOWN in row for row in targets) > MOSTLY * len(targets):
        raise VocabularyError(
            f"{store.path}: {found.unknown_units()}; give --case or --no-punctuation to the training, or leave these "
            f"recordings out"
        )
    return found


def alignable(found: Transcribed, subsampling: int, skip: bool, what: str) -> Transcribed:
    """The recordings with a text that fits into their steps; others are an error, or left out with `skip`.

    A note names units that the recogniser does not have.

    Args:
        subsampling: frames of a step of the recogniser. what: the split, for messages.
    Raises StoreError that names the first recording without a text, or too short for it, and how many there are;
        also where `skip` would leave none.
    """
    if unknown := found.unknown_units():
        print(f"note: {what}: {unknown}, so they count as errors", file=sys.stderr)
    empty = np.array([not len(ids) for ids in found.targets], dtype=bool)
    available, needed = found.lengths // subsampling, found.needed()
    short = (needed > available) & ~empty
    wrong = empty | short
    if not wrong.any():
        return found
    place = int(np.flatnonzero(wrong)[0])
    seconds = found.clips.split.column("duration")[int(found.rows[place])]
    name = found.ids[place]
    reason = (
        f"{name} has no text"
        if empty[place]
        else f"{name} ({seconds:.2f} s, {found.lengths[place]:,} frames) has {available[place]:,} steps for a text of "
        f"{len(found.targets[place]):,} {found.spelling.settings.units} that needs {needed[place]:,}"
    )
    others = f"{int(wrong.sum()):,} of {len(wrong):,} recordings of {what} cannot be aligned" if wrong.sum() > 1 else ""
    if not skip:
        remedy = "leave them out by --skip-infeasible" + ("" if empty.all() else ", or take a smaller --subsampling")
        raise StoreError(f"{what}: {reason}{f'; {others}' if others else ''}; {remedy}")
    if wrong.all():
        raise StoreError(f"{what}: {reason}; no recording is left to learn from")
    return found.of(~wrong)
