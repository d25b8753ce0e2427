"""Spot keywords in a stream: smoothed probabilities, a threshold a keyword, a refractory time.

    spotter = Spotter(RunFolder("runs/hey"))
    for block in microphone:                 # samples [n] of any length, at spotter.settings.sample_rate
        for hit in spotter.push(block):
            print(hit)
    hits = spotter.finish()

All state is bounded in size, so a stream may go on for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np

from seqaudio.errors import OptionError, RunError
from seqaudio.features.settings import FeatureSettings
from seqaudio.files import sha256_of, write_json
from seqaudio.json_files import Range, checked, read_json
from seqaudio.recorded_step import STEP_FILE, RecordedStep
from seqaudio.run_folder import RunFolder
from seqaudio.units import Seconds
from seqaudio.vocabulary import SILENCE, UNKNOWN, Vocabulary

SPOTTING_FILE = "spotting.json"  # of a run
THRESHOLD = 0.5  # smoothed probability of a keyword from which on it counts as heard, where a run has none of its own
SMOOTHING: Seconds = 0.24  # log odds are averaged over this time
SPEECH: Seconds = 0.8  # over which the probability of other speech is averaged
MOST_ODDS = 15.0  # natural logarithm: a frame counts no more than that
REFRACTORY: Seconds = 1.0  # a keyword that was heard is not heard again within this time
FLUSH: Seconds = 0.4  # of quiet behind a recording, since a word is recognised after its end
USUAL: Seconds = 0.5  # length of a word where a run does not keep it

Tap = Callable[[np.ndarray, np.ndarray], None]
Share = Annotated[float, Range(0, 1)]
Length = Annotated[Seconds, Range(0, 60)]


@dataclass(frozen=True)
class Spotting:
    """What a run keeps for spotting: the smoothing, a threshold and a usual length for each keyword."""

    thresholds: dict[str, Share] = field(default_factory=dict)
    seconds: dict[str, Length] = field(default_factory=dict)
    delay: Length = 0.25  # usual time from the end of a word to the peak of its probability
    added: list[str] = field(default_factory=list)  # labels that the training added to those of the store
    clip_thresholds: dict[str, Share] = field(default_factory=dict)  # of validation, where there is no other

    def threshold_of(self, keyword: str) -> float:
        """The threshold that was kept for a keyword, else that of its clips, else THRESHOLD."""
        return self.thresholds.get(keyword, self.clip_thresholds.get(keyword, THRESHOLD))


class Hit(NamedTuple):
    """A keyword that was heard, the estimated time of the word, its peak probability, when it was reported."""

    keyword: str
    start: Seconds
    end: Seconds
    confidence: float
    at: Seconds


class Smoother:
    """A moving average of log odds over the last frames of a stream, as probabilities.

    An average of probabilities is ruled by the frames that are near 1, of which there are many; one of log odds tells a
    word from what is nearly the word. Before the first frame nothing was heard.

    frames: of the average. labels: number of labels, C.
    """

    def __init__(self, frames: int, labels: int) -> None:
        self.frames = max(1, frames)
        self._past = np.full((self.frames - 1, labels), -MOST_ODDS)

    def push(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities [T, C] float64 of the next frames -> their averages [T, C] with the frames before."""
        if not len(probabilities):
            return probabilities
        held = np.clip(probabilities, 1e-12, 1 - 1e-12)
        odds = np.clip(np.log(held) - np.log1p(-held), -MOST_ODDS, MOST_ODDS)
        seen = np.concatenate([self._past, odds])
        self._past = seen[len(seen) - self.frames + 1 :]
        windows = np.lib.stride_tricks.sliding_window_view(seen, self.frames, axis=0)
        averages: np.ndarray = 1.0 / (1.0 + np.exp(-windows.mean(axis=-1)))
        return averages


class Averages:
    """The averages of a stream's probabilities that answer: of log odds over SMOOTHING, of `unknown` over SPEECH.

    A word that begins is `unknown` until it is known, and so is a noise that begins: only what goes on is other speech.
    """

    def __init__(self, frame_shift: Seconds, labels: Vocabulary) -> None:
        self._odds = Smoother(round(SMOOTHING / frame_shift), len(labels))
        self._unknown = labels.index(UNKNOWN) if UNKNOWN in labels else None
        self._frames = max(1, round(SPEECH / frame_shift))
        self._past = np.zeros(self._frames - 1)

    def push(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities [T, C] float64 of the next frames -> their averages [T, C] with the frames before."""
        averages = self._odds.push(probabilities)
        if self._unknown is not None and len(probabilities):
            seen = np.concatenate([self._past, probabilities[:, self._unknown]])
            self._past = seen[len(seen) - self._frames + 1 :]
            windows = np.lib.stride_tricks.sliding_window_view(seen, self._frames)
            averages[:, self._unknown] = windows.mean(axis=-1)
        return averages


class Peaks:
    """Hits of one keyword in the averaged probabilities of a stream: a rise above the threshold, at its peak.

    A hit is reported once the probability has fallen from its peak, or after `hold` frames; then the keyword is deaf
    for the rest of the refractory frames.
    """

    def __init__(self, threshold: float, refractory: int, hold: int) -> None:
        self.threshold = threshold
        self.refractory = refractory
        self.hold = hold
        self._deaf_until = -1  # frame
        self._peak: tuple[float, int] | None = None  # highest probability of the present rise, and its frame
        self._risen = 0  # frame at which the present rise began
        self._next = 0  # number of the next frame

    def push(self, probabilities: np.ndarray) -> list[tuple[int, float, int]]:
        """Probabilities [T] of the next frames -> (peak frame, its probability, frame of the report) of each hit."""
        first, self._next = self._next, self._next + len(probabilities)
        if self._peak is None and not (probabilities >= self.threshold).any():
            return []
        hits = []
        for frame, value in enumerate(probabilities.tolist(), first):
            if frame < self._deaf_until:
                continue
            if value >= self.threshold and (self._peak is None or value > self._peak[0]):
                self._risen = frame if self._peak is None else self._risen
                self._peak = (value, frame)
            if self._peak is not None and (value < self._peak[0] or frame - self._risen >= self.hold):
                hits.append((self._peak[1], self._peak[0], frame))
                self._deaf_until = self._peak[1] + self.refractory
                self._peak = None
        return hits

    def finish(self) -> list[tuple[int, float, int]]:
        """The hit whose peak is the last frame, if there is one."""
        peak, self._peak = self._peak, None
        return [] if peak is None else [(peak[1], peak[0], self._next - 1)]


class LogitSource(Protocol):
    """The source of a spotter: logits of its model after each frame of a stream of samples."""

    def reset(self) -> None:
        """Start a new stream, behind a little quiet."""

    def another(self) -> LogitSource:
        """A new stream of the same model; neither knows of the other."""

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples [n] float32, n >= 0: the logits [T, C] float64 of the frames that they complete."""


def logits_of(run: RunFolder) -> LogitSource:
    """The logits of a spotter run: by NumPy where its step comes as a graph, otherwise by torch.

    Raises RunError where its parts do not fit each other.
    """
    if (step := recorded_step(run)) is not None:
        return step.stream()
    from seqaudio.decoding.torch_logits import TorchLogits

    return TorchLogits.of(run)


def recorded_step(run: RunFolder) -> RecordedStep | None:
    """The step of a run for NumPy; None where there is none, or one of other weights than those of the run.

    Raises RunError where it is damaged, or does not fit the run.
    """
    file, weights = run.path / STEP_FILE, run.path / "model.safetensors"
    if not file.is_file() or not weights.is_file():
        return None
    step = RecordedStep.read(file)
    if step.about.weights != sha256_of(weights):
        return None
    settings = FeatureSettings.from_dict(run.input_setting("features", dict[str, Any]))
    here, there = (step.about.labels, step.about.hop), (run.vocabulary.names, settings.hop_samples)
    if here != there:
        raise RunError(f"{file}: labels and hop {here}, expected {there} as in config.json; install seqaudio again")
    return step


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """The softmax [T, C] of logits [T, C] float64."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return result


class Spotter:
    """The model of a spotter run, as a stream from samples to hits.

    Args:
        run: of the recipe keyword_recognition, trained on streams.
        thresholds: by keyword, in place of those of the run. refractory: as in the module.
    Attributes:
        highest: the highest averaged probability of each label in this stream, or the one that has ended, [C].
        tap: called with the probabilities [T, C] after the next frames and their averages [T, C] as they come; None.
    Raises:
        RunError: a run of another recipe, one that was trained on whole clips, or one whose parts do not fit.
        OptionError: a threshold for a word that is no keyword of the run.
    """

    def __init__(
        self, run: RunFolder, thresholds: Mapping[str, float] | None = None, refractory: Seconds = REFRACTORY
    ) -> None:
        run.require("keyword_recognition", "spotting keywords")
        if run.config["model"]["name"] != "spotter":
            raise RunError(f"{run.path}: was trained on whole clips, spotting needs --examples streams; train it again")
        self.labels = run.vocabulary
        self.settings = FeatureSettings.from_dict(run.input_setting("features", dict[str, Any]))
        self._source = logits_of(run)
        self.about = spotting_of(run)
        self.keywords = keywords_of(self.labels)
        for name in thresholds or {}:
            if name not in self.keywords:
                raise OptionError(f"a threshold for {name!r}, expected one of the keywords {', '.join(self.keywords)}")
        self.thresholds = {name: self.about.threshold_of(name) for name in self.keywords}
        self.thresholds |= dict(thresholds or {})
        self.refractory = refractory
        self.tap: Tap | None = None
        self.reset()

    def reset(self) -> None:
        """Start a new stream."""
        shift = self.settings.frame_shift
        self.highest = np.zeros(len(self.labels))
        self._ended = False
        self._source.reset()
        self._averages = Averages(shift, self.labels)
        refractory, hold = round(self.refractory / shift), round(FLUSH / shift)
        self._peaks = {name: Peaks(self.thresholds[name], refractory, hold) for name in self.keywords}

    def another(self) -> Spotter:
        """A new stream of the same model, which is not loaded again; neither knows of the other."""
        twin = copy(self)
        twin._source = self._source.another()
        twin.reset()
        return twin

    def push(self, samples: np.ndarray) -> list[Hit]:
        """Take the next samples [n] float32, n >= 0; the hits that are complete, in order of time."""
        if self._ended:
            self.reset()
        return self._hits(self.averages(samples))

    def finish(self) -> list[Hit]:
        """The hits that waited for the end, as if quiet followed; the next `push` starts a new stream."""
        quiet = np.zeros(round(FLUSH * self.settings.sample_rate) + self.settings.window_samples, dtype=np.float32)
        hits = self.push(quiet)
        hits += [self._hit(name, *found) for name, peaks in self._peaks.items() for found in peaks.finish()]
        self._ended = True
        return hits

    def averages(self, samples: np.ndarray) -> np.ndarray:
        """The averaged probabilities [T, C] after each frame that the next samples [n] of the stream complete."""
        logits = self._source.push(samples)
        if not len(logits):
            return np.zeros((0, len(self.labels)))
        probabilities = probabilities_of(logits)
        averages = self._averages.push(probabilities)
        self.highest = np.maximum(self.highest, averages.max(axis=0))
        if self.tap is not None:
            self.tap(probabilities, averages)
        return averages

    def _hits(self, averages: np.ndarray) -> list[Hit]:
        hits = [
            self._hit(name, *found)
            for name, peaks in self._peaks.items()
            for found in peaks.push(averages[:, self.labels.index(name)])
        ]
        return sorted(hits, key=lambda hit: hit.at)

    def _hit(self, name: str, peak: int, confidence: float, frame: int) -> Hit:
        """A hit whose averaged probability peaks at a frame: the word ended a little before."""
        shift, length = self.settings.frame_shift, self.settings.frame_length
        end = max(0.0, peak * shift + length - self.about.delay)
        return Hit(name, max(0.0, end - self.about.seconds.get(name, USUAL)), end, confidence, frame * shift + length)


def keywords_of(labels: Vocabulary) -> tuple[str, ...]:
    """The labels besides `unknown` and `silence`."""
    return tuple(name for name in labels if name not in (UNKNOWN, SILENCE))


def spotting_of(run: RunFolder) -> Spotting:
    """The content of the run's `spotting.json`, the defaults without one. Raises RunError for a damaged one."""
    file = run.path / SPOTTING_FILE
    if not file.is_file():
        return Spotting()
    try:
        return checked(Spotting, read_json(file))
    except ValueError as error:
        raise RunError(f"{file}: damaged ({error}); remove it for thresholds of {THRESHOLD:g}") from None


def keep_spotting(run: Path, spotting: Spotting) -> None:
    """Write `spotting.json` of a run."""
    write_json(run / SPOTTING_FILE, asdict(spotting))


def answer_without_keyword(highest: np.ndarray, labels: Vocabulary) -> tuple[str, float]:
    """The label of a recording in which no keyword was heard, and its probability: `unknown` or `silence`.

    highest: the highest averaged probability of each label, [C].
    """
    scores = zip(labels, highest.tolist(), strict=True)
    speech = max((value for name, value in scores if name != SILENCE), default=0.0)
    return (UNKNOWN, speech) if UNKNOWN in labels and speech >= THRESHOLD else (SILENCE, 1.0 - speech)


def clip_probabilities(averages: np.ndarray, labels: Vocabulary) -> np.ndarray:
    """Probabilities [C] of the labels for a whole recording, from the averaged ones [T, C] after each frame.

    A keyword counts by its highest probability; if no keyword was heard, `unknown` by its own; the rest is `silence`:

        P(k) = m_k max(m) / sum(m)     P(unknown) = (1 - max(m)) max_t p_t(unknown)     m_k = max_t p_t(k)

    Labels without both reject classes share what is left in proportion, so the result always sums to 1.
    """
    highest = averages.max(axis=0)
    keywords = np.array([name not in (UNKNOWN, SILENCE) for name in labels])
    found = np.where(keywords, highest, 0.0)
    best = found.max(initial=0.0)
    result: np.ndarray = found * best / max(found.sum(), 1e-12)
    rest = 1.0 - best
    if UNKNOWN in labels:
        result[labels.index(UNKNOWN)] = rest * highest[labels.index(UNKNOWN)]
    if SILENCE in labels:
        result[labels.index(SILENCE)] = rest * (1.0 - (highest[labels.index(UNKNOWN)] if UNKNOWN in labels else 0.0))
    result /= max(result.sum(), 1e-12)
    return result
