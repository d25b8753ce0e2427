"""Text of recordings of any length, from the recogniser of a run.

Sound is cut at pauses (`pauses.py`), and each segment is recognised by itself. A causal model takes the sound of a
segment as it comes, and words go out as soon as they are complete; any other model takes whole segments. The text is
the same whether a recording is read at once or streamed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from seqaudio.decoding.ctc_decoder import Decoded, greedy
from seqaudio.decoding.ctc_search import Hypothesis
from seqaudio.decoding.greedy import PathCollapser, Placed
from seqaudio.decoding.pauses import PauseCutter, Piece
from seqaudio.errors import OptionError, RunError
from seqaudio.features.extraction import extract_frames
from seqaudio.features.settings import FeatureSettings
from seqaudio.features.streaming import StreamingExtractor
from seqaudio.models.recogniser import Recogniser, RecogniserState
from seqaudio.run_folder import RunFolder
from seqaudio.transcripts import SPACE, Spelling, TextSettings, read_lexicon
from seqaudio.units import Seconds

LEAST: Seconds = 15.0  # from which length on a segment is cut at a pause, unless all of the training were shorter
LEAST_CONFIDENCE = 1e-12  # so that it has a logarithm
MOST = 2.0  # times that length: a segment without a pause is cut, for a model that takes whole segments

APART: Seconds = 0.6  # two characters so far apart are not of one word, even where no space was recognised

Decoder = Callable[[np.ndarray], Decoded]  # of the log-probabilities of a segment [J, V]


def spelling_of(run: RunFolder, with_lexicon: bool = False) -> Spelling:
    """How a run of speech recognition writes texts.

    with_lexicon: read the lexicon of a recogniser of phones, which turns texts into phones.
    Raises RunError for a run of another recipe or a damaged one, SourceError where its lexicon cannot be read.
    """
    run.require("speech_recognition", "writing text")
    settings = run.input_fact("text", TextSettings | None)
    if settings is None:
        raise RunError(f"{run.path / 'config.json'}: damaged (it does not say how texts are written)")
    lexicon = None
    if with_lexicon and settings.units == "phones":
        lexicon = read_lexicon(run.setting("lexicon", Path))
    return Spelling(settings, run.vocabulary, lexicon)


def recogniser_of(run: RunFolder) -> Recogniser:
    """The trained model of a run of speech recognition. Raises RunError for another model."""
    model = run.model()
    if not isinstance(model, Recogniser):
        raise RunError(f"{run.path}: holds a {type(model).__name__}, expected a recogniser")
    return model


class Word(NamedTuple):
    """A word, or a phone where these are the units, and when it was heard."""

    text: str
    start: Seconds
    end: Seconds
    confidence: float = 1.0  # geometric mean of the probabilities of its units, each at its likeliest step


class Utterance(NamedTuple):
    """A segment of a recording between two pauses; without words where nothing was understood."""

    words: tuple[Word, ...]
    start: Seconds
    end: Seconds
    hypotheses: tuple[Hypothesis, ...] = ()  # of a beam search, best first

    @property
    def text(self) -> str:
        return SPACE.join(word.text for word in self.words)

    @property
    def confidence(self) -> float:
        """The geometric mean of the confidences of its words; 1 without words."""
        return math.exp(sum(math.log(word.confidence) for word in self.words) / max(len(self.words), 1))


_Found = tuple[Sequence[Word], tuple[Hypothesis, ...]]  # of a segment


class Transcriber:
    """Writes down what is said in recordings.

    Args:
        run: of the recipe speech_recognition.
        streaming: refuse a model that needs whole recordings.
        decode: finds the units of a whole segment, such as a `BeamDecoder`; None is greedy decoding, by which the words
            of a causal model come while a segment goes on.
    Attributes:
        tap: called with the time of the next steps, in seconds, and their log-probabilities [J, V] as they come; None.
    Raises:
        RunError: another run.
        OptionError: a model or features that need whole recordings, with `streaming`.
    """

    def __init__(self, run: RunFolder, streaming: bool = False, decode: Decoder | None = None) -> None:
        self.spelling = spelling_of(run)
        self.model = recogniser_of(run).eval().for_streams()
        self.settings = FeatureSettings.from_dict(run.input_setting("features", dict[str, Any]))
        if self.settings.size != self.model.input_size:
            raise RunError(
                f"{run.path}: its features have {self.settings.size} values a frame, its model reads "
                f"{self.model.input_size}; train it again"
            )
        self.decode = decode
        self.tap: Callable[[Seconds, np.ndarray], None] | None = None
        longest = run.input_fact("longest_seconds", float | None)
        self.least = min(LEAST, longest or LEAST)
        self.step_seconds = self.model.subsampling * self.settings.hop_samples / self.settings.sample_rate
        self.incremental = decode is None and self.model.causal and _streams(self.settings)
        if streaming and not self.model.causal:
            raise OptionError(
                f"{run.path}: its model needs whole recordings; leave out --stream, or train with --no-bidirectional"
            )
        if streaming:
            self.settings.require_streaming("a stream")

    def utterances(
        self, blocks: Iterable[np.ndarray], word: Callable[[Word], None] | None = None
    ) -> Iterator[Utterance]:
        """The utterances of sound that comes as blocks [n] float32 at the rate of the features, each when it ends.

        word: called with each word as soon as it is complete.
        """
        stream = self.stream(word)
        for block in blocks:
            yield from stream.push(block)
        yield from stream.finish()

    def stream(self, word: Callable[[Word], None] | None = None) -> TextStream:
        """A new stream, for callers that have blocks to push. word: called with each word as soon as it is complete."""
        return TextStream(self, word or (lambda word: None))


class TextStream:
    """Sound that is written down as it comes, block by block; made by `Transcriber.stream`."""

    def __init__(self, of: Transcriber, tell: Callable[[Word], None]) -> None:
        self._of, self._tell = of, tell
        most = None if of.incremental else MOST * of.least
        self._cutter = PauseCutter(of.settings.sample_rate, of.least, most)
        self._segment: _Segment | None = None
        self._waiting: list[np.ndarray] = []  # quiet at the beginning of a segment, which may be all of it

    def push(self, samples: np.ndarray) -> Iterator[Utterance]:
        """Take the next samples [n] float32 at the rate of the features; the utterances that end with them."""
        for piece in self._cutter.push(samples):
            yield from self._take(piece)

    def finish(self) -> Iterator[Utterance]:
        """The utterance that waited for the end of the sound."""
        for piece in self._cutter.finish():
            yield from self._take(piece)

    def _take(self, piece: Piece) -> Iterator[Utterance]:
        of = self._of
        if self._segment is None:
            self._segment = _Streamed(of, piece.start) if of.incremental else _Whole(of, piece.start)
        segment = self._segment
        self._waiting.append(piece.samples)
        if piece.sounds:
            segment.push(np.concatenate(self._waiting), self._tell)
            self._waiting = []
        if piece.ends:
            words, hypotheses = segment.finish(self._tell) if piece.sounds else ((), ())
            end = (piece.start + len(piece.samples)) / of.settings.sample_rate
            yield Utterance(tuple(words), segment.start, end, hypotheses)
            self._segment, self._waiting = None, []


def _streams(settings: FeatureSettings) -> bool:
    """Whether features can be computed as sound comes in."""
    try:
        settings.require_streaming("a stream")
    except OptionError:
        return False
    return True


class _Segment(ABC):
    """A segment that is being heard."""

    def __init__(self, of: Transcriber, start: int) -> None:
        self.of = of
        self.start = start / of.settings.sample_rate
        # a search has decided where words end
        apart = APART if of.decode is None else None
        self.words = _WordBuilder(of.spelling, of.step_seconds, self.start, apart)

    @abstractmethod
    def push(self, samples: np.ndarray, tell: Callable[[Word], None]) -> None:
        """Take the next samples [n]."""

    @abstractmethod
    def finish(self, tell: Callable[[Word], None]) -> _Found:
        """All words of the segment, after its last sample, and the hypotheses of a search."""


class _Whole(_Segment):
    """A segment for a model that takes it whole."""

    def __init__(self, of: Transcriber, start: int) -> None:
        super().__init__(of, start)
        self.parts: list[np.ndarray] = []

    def push(self, samples: np.ndarray, tell: Callable[[Word], None]) -> None:
        self.parts.append(samples)

    @torch.inference_mode()
    def finish(self, tell: Callable[[Word], None]) -> _Found:
        samples = np.concatenate(self.parts)
        if not self.of.settings.frames(len(samples)):
            return (), ()
        frames = torch.from_numpy(extract_frames(samples, self.of.settings))
        log_probabilities, _, _ = self.of.model(frames[:, None])
        found = log_probabilities[:, 0].numpy()
        if self.of.tap is not None:
            self.of.tap(self.start, found)
        decoded = (self.of.decode or greedy)(found)
        self.words.take(decoded.units, tell)
        return self.words.finish(tell), decoded.hypotheses


class _Streamed(_Segment):
    """A segment for a causal model with greedy decoding, which takes it as it comes."""

    def __init__(self, of: Transcriber, start: int) -> None:
        super().__init__(of, start)
        self.extractor = StreamingExtractor(of.settings)
        self.frames = torch.zeros(0, of.settings.size)  # of a step that is not complete
        self.state: RecogniserState | None = None
        self.path = PathCollapser()
        self.steps = 0  # of the model, so far

    def push(self, samples: np.ndarray, tell: Callable[[Word], None]) -> None:
        self._hear(self.extractor.push(samples), tell)

    def finish(self, tell: Callable[[Word], None]) -> _Found:
        self._hear(self.extractor.finish(), tell)
        self.words.take(self.path.finish(), tell)
        return self.words.finish(tell), ()

    @torch.inference_mode()
    def _hear(self, frames: torch.Tensor, tell: Callable[[Word], None]) -> None:
        frames = torch.cat([self.frames, frames])
        whole = len(frames) // self.of.model.subsampling * self.of.model.subsampling
        self.frames = frames[whole:]
        if not whole:
            return
        log_probabilities, _, self.state = self.of.model(frames[:whole, None], None, self.state)
        found = log_probabilities[:, 0].numpy()
        if self.of.tap is not None:
            self.of.tap(self.start + self.steps * self.of.step_seconds, found)
        self.steps += len(found)
        self.words.take(self.path.push(found), tell)


class _WordBuilder:
    """Joins units with their steps to words with their times."""

    def __init__(self, spelling: Spelling, step: Seconds, start: Seconds, apart: Seconds | None) -> None:
        self.spelling = spelling
        self.apart = apart  # a gap from which on two characters are not of one word
        self.step = step
        self.start = start
        self.word: list[Placed] = []  # characters of a word that is not complete
        self.words: list[Word] = []

    def take(self, units: Iterable[Placed], tell: Callable[[Word], None]) -> None:
        """Take the next units; tells every word that they complete."""
        of_characters = self.spelling.settings.units == "characters"
        for placed in units:
            gap = (placed.first - self.word[-1].last) * self.step if self.word else 0.0
            if self.apart is not None and gap >= self.apart:
                self._end(tell)
            if of_characters and self.spelling.vocabulary[placed.unit] == SPACE:
                self._end(tell)
                continue
            self.word.append(placed)
            if not of_characters:
                self._end(tell)

    def finish(self, tell: Callable[[Word], None]) -> list[Word]:
        """All words."""
        self._end(tell)
        return self.words

    def _end(self, tell: Callable[[Word], None]) -> None:
        if not self.word:
            return
        text = self.spelling.text(placed.unit for placed in self.word)
        first, last = self.word[0].first, self.word[-1].last
        mean = sum(placed.log_probability for placed in self.word) / len(self.word)
        confidence = max(math.exp(mean), LEAST_CONFIDENCE)
        self.words.append(Word(text, self.start + first * self.step, self.start + last * self.step, confidence))
        self.word = []
        tell(self.words[-1])
