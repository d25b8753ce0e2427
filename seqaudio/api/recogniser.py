"""Speech recognisers: the text of a recording, or of a stream as it comes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqaudio.api.arguments import typed
from seqaudio.api.asked import names_of_python
from seqaudio.api.base import Loaded
from seqaudio.api.sound import Sound, blocks_of, samples_of
from seqaudio.decoding.beam_options import BeamOptions
from seqaudio.option_bounds import check_bounds
from seqaudio.units import Hertz, Seconds

if TYPE_CHECKING:
    from seqaudio.decoding.transcription import TextStream, Transcriber, Utterance, Word

MAX_SECONDS: Seconds = 36_000.0  # of a file, as `seqaudio transcribe` has it


@dataclass(frozen=True)
class Transcript:
    """The text of a recording.

    Attributes:
        utterances: the segments between pauses, those without words left out.
        seconds: length of the recording, up to the end of its last segment.
    """

    utterances: tuple[Utterance, ...]
    seconds: Seconds

    @property
    def text(self) -> str:
        """All words."""
        return " ".join(utterance.text for utterance in self.utterances)

    @property
    def words(self) -> tuple[Word, ...]:
        """Each word with `text`, `start` and `end` in seconds, and `confidence`."""
        return tuple(word for utterance in self.utterances for word in utterance.words)

    @property
    def confidence(self) -> float:
        """The geometric mean of the confidences of its words; 1 without words."""
        return math.exp(sum(math.log(word.confidence) for word in self.words) / max(len(self.words), 1))


class Live:
    """A stream that is written down as it comes.

    live = model.stream()
    for block in microphone:
        for word in live.push(block):
            print(word.text)
    live.finish()
    """

    def __init__(self, stream: Callable[[Callable[[Word], None]], TextStream]) -> None:
        self._words: list[Word] = []
        self._stream = stream(self._words.append)

    def push(self, samples: np.ndarray) -> list[Word]:
        """Take the next samples [n] at the rate of the model; the words that are complete now."""
        self._words.clear()
        for _ in self._stream.push(samples_of(samples)):
            pass
        return list(self._words)

    def finish(self) -> list[Word]:
        """The words that waited for what follows."""
        self._words.clear()
        for _ in self._stream.finish():
            pass
        return list(self._words)


class Recogniser(Loaded):
    """A model that writes down what is said."""

    @property
    def sample_rate(self) -> int:
        """Of the sound that `stream` takes, in hertz."""
        return self._greedy.settings.sample_rate

    @typed
    def transcribe(
        self,
        sound: Sound,
        rate: Hertz | None = None,
        *,
        beam: int = 0,
        lm: str | Path | None = None,
        lexicon: str | Path | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        nbest: int = 1,
        max_seconds: Seconds = MAX_SECONDS,
    ) -> Transcript:
        """The text of a recording of any length, with the times of its words.

        Args:
            sound: a file, or samples [N], float of full scale -1..1 or int16.
            rate: of samples, in hertz; by default that of the model. max_seconds: a longer file is refused.
            beam, lm, lexicon, alpha, beta, nbest: as in `seqaudio transcribe`, a beam search with a language model.
        Raises:
            AudioError: a file that cannot be read. OptionError: samples that are no sound, options that do not fit.
        """
        with names_of_python():
            transcriber = self._transcriber(beam, lm, lexicon, alpha, beta, nbest)
            blocks = blocks_of(sound, rate, self.sample_rate, max_seconds)
            found = list(transcriber.utterances(blocks))
        return Transcript(tuple(each for each in found if each.words), found[-1].end if found else 0.0)

    def stream(self) -> Live:
        """A new stream. Raises OptionError for a model that needs whole recordings."""
        from seqaudio.decoding.transcription import Transcriber

        with names_of_python():
            return Live(Transcriber(self.run, streaming=True).stream)

    @cached_property
    def _greedy(self) -> Transcriber:
        from seqaudio.decoding.transcription import Transcriber

        return Transcriber(self.run)

    def _transcriber(self, beam: int, lm: Any, lexicon: Any, alpha: Any, beta: Any, nbest: int) -> Transcriber:
        paths = {"lm": None if lm is None else Path(lm), "lexicon": None if lexicon is None else Path(lexicon)}
        search = BeamOptions(beam=beam, alpha=alpha, beta=beta, **paths)
        check_bounds(search)
        search.check()
        if not beam:
            return self._greedy
        from seqaudio.decoding.ctc_decoder import beam_decoder
        from seqaudio.decoding.transcription import Transcriber, spelling_of

        return Transcriber(self.run, decode=beam_decoder(self.run, spelling_of(self.run), search, nbest))
