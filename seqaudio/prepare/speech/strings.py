"""Strings of recordings: several of one speaker, one after the other with gaps of random length, as one row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seqaudio.augmentation.acoustics import amplify, noise, unclipped
from seqaudio.augmentation.draws import keyed_generator
from seqaudio.prepare.engine import Item, Row
from seqaudio.prepare.speech.recordings import ExtractFeatures
from seqaudio.units import Decibels, Seconds

LENGTHS = (1, 7)  # recordings of a string
GAP: tuple[Seconds, Seconds] = (0.02, 0.6)  # between two, and before the first and behind the last
NOISE: tuple[Decibels, Decibels] = (-70.0, -50.0)  # dBFS of white noise over the whole string, gaps included


@dataclass(frozen=True)
class Strings:
    """Items of strings, and the recordings of each by the key of its item."""

    items: tuple[Item, ...]
    parts: Mapping[str, tuple[Item, ...]]

    @classmethod
    def of(cls, recordings: Sequence[Item], count: int, seed: int) -> Strings:
        """Draw strings of each speaker in each split; the text of one is the labels of its recordings.

        count: of each training speaker, who takes all recordings in turn in a new order each time. In other splits each
            recording is in one string.
        """
        of_speaker: dict[tuple[str, str], list[Item]] = defaultdict(list)
        for item in recordings:
            of_speaker[item.split, item.speaker].append(item)
        items, parts = [], {}
        for (split, speaker), held in of_speaker.items():
            draw = keyed_generator((seed, 0, f"{split} {speaker}"))
            waiting: list[Item] = []
            number = 0
            while number < count if split == "train" else waiting or not number:
                length = int(draw.integers(LENGTHS[0], LENGTHS[1] + 1))
                if not number or (split == "train" and len(waiting) < length):
                    waiting += [held[place] for place in draw.permutation(len(held)).tolist()]
                chosen, waiting = waiting[:length], waiting[length:]
                key = f"{speaker}/{split}/{seed}-{number:05}"
                text = " ".join(item.label for item in chosen)
                items.append(Item(key, None, key, split, text=text, speaker=speaker))
                parts[key] = tuple(chosen)
                number += 1
        return cls(tuple(items), parts)


@dataclass(frozen=True)
class JoinRecordings:
    """A `Process` for `build_store`: the recordings of a string become one row.

    The gaps and the level of the noise depend on the item's key alone. Raises AudioError, when called, for a recording
    that cannot be used.
    """

    extract: ExtractFeatures
    parts: Mapping[str, tuple[Item, ...]]

    def __call__(self, item: Item) -> list[Row]:
        draw = keyed_generator((0, 0, item.key))
        rate = self.extract.settings.sample_rate
        recordings = [self.extract.recording(part) for part in self.parts[item.key]]
        pieces = [self._gap(draw)]
        for recording in recordings:
            pieces += [recording.samples, self._gap(draw)]
        samples = np.concatenate(pieces)
        hiss = amplify(noise("white", len(samples), rate, draw), draw.uniform(*NOISE))
        remarks = "; ".join(sorted({recording.remark for recording in recordings if recording.remark}))
        return self.extract.rows([item], unclipped(samples + hiss)[None], [remarks])

    def _gap(self, draw: np.random.Generator) -> np.ndarray:
        return np.zeros(round(draw.uniform(*GAP) * self.extract.settings.sample_rate), dtype=np.float32)
