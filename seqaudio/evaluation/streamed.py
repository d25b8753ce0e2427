"""Hear clips whole, frame by frame, and one after the other for an hour without a reset, and compare the answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqaudio.batching import Batch, Clips, PaddedBatches
from seqaudio.decoding.spotting import Averages, clip_probabilities
from seqaudio.decoding.torch_logits import state_after_quiet
from seqaudio.evaluation.keywords import CLIPS, answers, quiet_frames, with_quiet
from seqaudio.evaluation.metrics import MAX_STEPS
from seqaudio.features.extraction import extract_frames
from seqaudio.features.settings import FeatureSettings
from seqaudio.models import Model, SpotterModel
from seqaudio.state import State
from seqaudio.units import Seconds
from seqaudio.vocabulary import Vocabulary

HOUR: Seconds = 3600.0
PAUSE: Seconds = 1.0  # of digital silence behind each clip of the hour
LEAST_PASSES = 2  # over all clips, so that the first and the last can be compared


class Way(NamedTuple):
    """How well clips are recognised when they are heard in one way."""

    accuracy: float
    clips: int
    seconds: float  # of sound without a reset
    difference: float  # largest difference of a logit from that of the whole clip
    drift: float = 0.0  # largest difference of a logit between the first and the last time that a clip was heard


@torch.no_grad()
def heard_in_three_ways(
    model: Model,
    clips: Clips,
    labels: Vocabulary,
    settings: FeatureSettings,
    added: Collection[str] = (),
    seconds: Seconds = HOUR,
) -> dict[str, Way]:
    """The ways `whole`, `streamed` (a frame at a time from the beginning of each clip) and `hour`.

    In the hour, or the given time, the clips follow each other in a drawn order with pauses, as often as the time
    needs, and the state is carried; the accuracy is that of the last time that each clip was heard. The drift is taken
    over the second half of the clips, for which the beginning of the stream was long ago.
    Raises OptionError for a model that needs whole clips.
    """
    heard = _Heard(model.eval(), clips, labels, settings, added)
    whole, apart = heard.alone()
    shift, longest = settings.frame_shift, int(clips.lengths.max())
    ways = {
        "whole": Way(heard.accuracy(whole), len(whole), longest * shift, 0.0),
        "streamed": Way(heard.accuracy(apart), len(apart), longest * shift, _largest(whole, apart)),
    }
    total = float((clips.lengths + round(PAUSE / shift)).sum()) * shift
    passes = max(LEAST_PASSES, int(np.ceil(seconds / total)))
    order = np.random.default_rng(0).permutation(len(clips.lengths))
    state: State = model.initial_state(1)
    first: dict[int, _Answer] = {}
    last: dict[int, _Answer] = {}
    for number in range(passes):
        last, state = heard.in_a_row(order, state)
        first = last if number == 0 else first
    late = order[len(order) // 2 :].tolist()
    drift = max(float(np.abs(first[row].logits - last[row].logits).max()) for row in late)
    ways["hour"] = Way(heard.accuracy(last), len(last), passes * total, _largest(whole, last), drift)
    return ways


class _Answer(NamedTuple):
    """The logits [T, C] that count for a clip, and its probabilities [C]."""

    logits: np.ndarray
    probabilities: np.ndarray


class _Heard:
    def __init__(
        self, model: Model, clips: Clips, labels: Vocabulary, settings: FeatureSettings, added: Collection[str]
    ) -> None:
        self.model, self.clips, self.labels, self.settings, self.added = model, clips, labels, settings, added
        self.spotter = isinstance(model, SpotterModel)

    def accuracy(self, heard: Mapping[int, _Answer]) -> float:
        probabilities = np.stack([heard[row].probabilities for row in range(len(heard))])
        guesses = answers(probabilities, self.clips, self.labels, self.added).argmax(axis=1)
        return float((guesses == self.clips.labels).mean())

    def alone(self) -> tuple[dict[int, _Answer], dict[int, _Answer]]:
        """The answers to each clip from an initial state: whole, and a frame at a time."""
        whole, apart = {}, {}
        batches = PaddedBatches(self.clips, CLIPS, max_steps=MAX_STEPS)
        for rows, batch in zip(batches.rows(0), batches.epoch(0), strict=True):
            inputs, lengths = with_quiet(batch, self.settings) if self.spotter else (batch.inputs, batch.lengths)
            state, steps = self._begun(batch.rows), []
            logits, _ = self.model(inputs, lengths, state)
            for frame in inputs:
                step, state = self.model.step(frame, state)
                steps.append(step)
            streamed = torch.stack(steps)
            for column, row in enumerate(rows):
                end = int(lengths[column])
                start = 0 if self.spotter else end - 1  # of a whole clip the last logits count
                whole[row] = self._answer(logits[:end, column] if self.spotter else logits[None, column])
                apart[row] = self._answer(streamed[start:end, column])
        return whole, apart

    def in_a_row(self, order: np.ndarray, state: State) -> tuple[dict[int, _Answer], State]:
        """The answers to all clips in an order, with pauses, from a state; and the state after them."""
        pause = round(PAUSE / self.settings.frame_shift)
        silent = extract_frames(np.zeros(2 * self.settings.sample_rate, dtype=np.float32), self.settings)[:1]
        quiet = torch.from_numpy(silent).expand(pause, -1)[:, None]
        average, heard = Averages(self.settings.frame_shift, self.labels), {}
        for row in order.tolist():
            batch: Batch = self.clips([row], 0)
            if self.spotter:
                sound = torch.cat([batch.inputs, quiet])
                logits, state = self.model(sound, state=state)
                averages = average.push(logits[:, 0].double().softmax(dim=-1).numpy())
                end = int(batch.lengths) + quiet_frames(self.settings)
                heard[row] = self._answer(logits[:end, 0], averages[:end])
            else:
                logits, state = self.model(batch.inputs, batch.lengths, state)
                heard[row] = self._answer(logits)
                _, state = self.model(quiet, torch.tensor([pause]), state)
        return heard, state

    def _begun(self, rows: int) -> State:
        """The state in which a clip heard alone begins."""
        if isinstance(self.model, SpotterModel):
            return state_after_quiet(self.model, self.settings, rows)
        return self.model.initial_state(rows)

    def _answer(self, logits: Tensor, averages: np.ndarray | None = None) -> _Answer:
        """The answer of logits [T, C]; averages [T, C]: of the probabilities of a stream that goes on."""
        probabilities = logits.double().softmax(dim=-1).numpy()
        if not self.spotter:
            return _Answer(logits.numpy(), probabilities[-1])
        if averages is None:
            averages = Averages(self.settings.frame_shift, self.labels).push(probabilities)
        return _Answer(logits.numpy(), clip_probabilities(averages, self.labels))


def _largest(one: Mapping[int, _Answer], other: Mapping[int, _Answer]) -> float:
    return max(float(np.abs(one[row].logits - other[row].logits).max()) for row in one)


def table(ways: Mapping[str, Way]) -> list[str]:
    """Lines about the ways in which clips were heard."""
    hour = ways["hour"]
    names = {
        "whole": "whole clips",
        "streamed": "frame by frame",
        "hour": f"{hour.seconds / 3600:.1f} h without reset",
    }
    width = max(map(len, names.values()))
    lines = [f"  {'heard as':<{width}}  accuracy  largest difference of a logit from whole clips"]
    for way, name in names.items():
        lines.append(f"  {name:<{width}}  {100 * ways[way].accuracy:>6.2f} %  {ways[way].difference:.2g}")
    lines.append(f"  the same clip at the beginning and at the end of the stream: logits differ by {hour.drift:.2g}")
    return lines
