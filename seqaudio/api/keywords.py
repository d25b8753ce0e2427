"""Keyword models: the words of a recording, or of a stream as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from seqaudio.api.arguments import typed
from seqaudio.api.base import Loaded
from seqaudio.api.sound import Sound, blocks_at, blocks_of
from seqaudio.audio.recording import MAX_SECONDS
from seqaudio.units import Hertz, Seconds

if TYPE_CHECKING:
    from seqaudio.decoding.keywords import KeywordRecognizer
    from seqaudio.decoding.recognition import Recognition, StreamRecognizer
    from seqaudio.decoding.spotting import Hit, Spotter


class Keywords(Loaded):
    """A model that knows some words.

    >>> digits = load("digits")
    >>> found = digits.recognize(np.zeros(16000, dtype=np.float32))
    >>> found.label, len(found.hits)
    ('silence', 0)
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """Its words, and `unknown` and `silence` where it has them."""
        return self.run.vocabulary.names

    @property
    def streams(self) -> bool:
        """Whether it hears words in streams, as `listen` and `spotter` need; otherwise it takes whole clips."""
        return bool(self.run.config["model"]["name"] == "spotter")

    @typed
    def recognize(self, sound: Sound, rate: Hertz | None = None, *, max_seconds: Seconds = MAX_SECONDS) -> Recognition:
        """Recognise a recording: its label, the probability, and each word with its times in `hits`.

        Args:
            sound: a file, or samples [N], float of full scale -1..1 or int16.
            rate: of samples, in hertz; by default that of the model. max_seconds: a longer file is refused.
        Raises:
            AudioError: a file that cannot be read. OptionError: samples that are no sound.
        """
        if self.streams:
            recognizer = self._of_streams
            return recognizer.recognize_samples(
                blocks_of(sound, rate, recognizer.spotter.settings.sample_rate, max_seconds)
            )
        clips = self._of_clips
        blocks = blocks_of(sound, rate, clips.settings.sample_rate, max_seconds)
        return clips.recognition(np.concatenate([np.zeros(0, dtype=np.float32), *blocks]))

    @typed
    def listen(
        self,
        blocks: Iterable[np.ndarray],
        rate: Hertz | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> Iterator[Hit]:
        """Each word of a stream, as soon as it is heard; memory does not grow.

        Args:
            blocks: samples [n] of any length each, as `recognize` takes them.
            rate: of the samples, in hertz; by default that of the model.
            thresholds: from which probability on a keyword counts, by keyword, in place of those of the run.
        Raises:
            RunError: a model that was trained on whole clips. OptionError: a threshold for a word that is no keyword.
        """
        spotter = self.spotter(thresholds)
        for block in blocks_at(blocks, rate, spotter.settings.sample_rate):
            yield from spotter.push(block)
        yield from spotter.finish()

    def spotter(self, thresholds: Mapping[str, float] | None = None) -> Spotter:
        """A new stream, to push blocks into: `spotter.push(samples)` gives hits, `spotter.finish()` the last ones."""
        from seqaudio.decoding.spotting import Spotter

        if thresholds:
            return Spotter(self.run, thresholds)
        return self._of_streams.spotter.another()

    @cached_property
    def _of_streams(self) -> StreamRecognizer:
        from seqaudio.decoding.recognition import StreamRecognizer

        return StreamRecognizer(self.run)

    @cached_property
    def _of_clips(self) -> KeywordRecognizer:
        from seqaudio.decoding.keywords import KeywordRecognizer

        return KeywordRecognizer(self.run)
