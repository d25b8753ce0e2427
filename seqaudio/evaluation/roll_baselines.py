"""Baselines over piano rolls: what a model must beat to have learnt more than each note by itself."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

WEIGHTS = 10.0 ** np.arange(-2, 4)  # of the prior in frames, from which validation chooses


class Marginal:
    """Independent notes at their training rate: p_k = (c_k + w p) / (n + w), p the mean rate of all notes.

    c_k frames of n have note k. `tune` chooses the weight w of the prior.
    """

    def fit(self, rolls: Iterable[np.ndarray]) -> Marginal:
        """Count the notes of rolls [T, N]. Raises ValueError where there is no frame."""
        frames = np.concatenate(list(rolls))
        if not len(frames):
            raise ValueError("got rolls without frames, expected at least one frame")
        self.count, self.frames = frames.sum(axis=0, dtype=np.float64), len(frames)
        self.weight = 1.0
        return self

    def tune(self, rolls: list[np.ndarray]) -> Marginal:
        """Choose the weight w that maximises the likelihood of the rolls."""
        self.weight = _best_weight(self, rolls)
        return self

    def rates(self) -> Values:
        """Probability of each note, [N], above 0 and below 1."""
        some = (self.count.sum() + 0.5) / (self.frames * len(self.count) + 1)
        rates: Values = (self.count + self.weight * some) / (self.frames + self.weight)
        return rates

    def nats(self, roll: np.ndarray) -> Values:
        """-log p of each frame of a roll [T, N], [T]."""
        return _nats(roll, self.rates())


class NoteMarkov(Marginal):
    """Each note given itself a frame before: p_k(1 | b) = (c_k(b, 1) + w p_k) / (c_k(b, .) + w), p_k its rate.

    c_k(b, a) counts frames in which note k is a (1: it sounds) after one in which it is b. The first frame of a roll
    has the rates. `tune` chooses the weight w, for both.
    """

    def fit(self, rolls: Iterable[np.ndarray]) -> NoteMarkov:
        held = [roll.astype(np.int64) for roll in rolls]
        super().fit(held)
        width = len(self.count)
        pairs = np.zeros((2, 2, width))  # [before, after, N]
        for roll in held:
            before, after = roll[:-1], roll[1:]
            pairs[1, 1] += (before & after).sum(axis=0)
            pairs[1, 0] += (before & ~after & 1).sum(axis=0)
            pairs[0, 1] += (~before & after & 1).sum(axis=0)
            pairs[0, 0] += (~before & ~after & 1).sum(axis=0)
        self.pairs = pairs
        return self

    def nats(self, roll: np.ndarray) -> Values:
        rates = self.rates()
        given = (self.pairs[:, 1] + self.weight * rates) / (self.pairs.sum(axis=1) + self.weight)  # [2, N]
        before = roll[:-1].astype(bool)
        probability = np.concatenate([rates[None][: len(roll)], np.where(before, given[1], given[0])])
        return _nats(roll, probability)


def note_rates(rolls: Iterable[np.ndarray]) -> Values:
    """The rate of each note in rolls [T, N], smoothed, [N]: above 0 and below 1."""
    return Marginal().fit(rolls).rates()


def roll_baselines(
    train: Iterable[np.ndarray], valid: Iterable[np.ndarray], split: Iterable[np.ndarray]
) -> dict[str, dict[str, float]]:
    """Metrics of both baselines on the rolls of a split, fitted on `train`, tuned on `valid`; names as of RollModel."""
    training, tuning, held = list(train), list(valid), list(split)
    models = {"marginal": Marginal(), "note Markov": NoteMarkov()}
    return {name: _metrics(model.fit(training).tune(tuning), held) for name, model in models.items()}


def _metrics(model: Marginal, rolls: list[np.ndarray]) -> dict[str, float]:
    nats = [model.nats(roll) for roll in rolls]
    total, count = sum(float(values.sum()) for values in nats), sum(map(len, nats))
    later, begun = sum(float(values[1:].sum()) for values in nats), sum(len(values) > 0 for values in nats)
    notes = sum(int(roll.sum(dtype=np.int64)) for roll in rolls)
    sums = {
        "nats_per_frame": (total, count),
        "nats_per_later_frame": (later, count - begun),
        "nats_per_note": (total, notes),
    }
    return {name: value / number for name, (value, number) in sums.items() if number} | {"count": count}


def _best_weight(model: Marginal, rolls: list[np.ndarray]) -> float:
    losses = []
    for weight in WEIGHTS.tolist():
        model.weight = weight
        losses.append(sum(float(model.nats(roll).sum()) for roll in rolls))
    return float(WEIGHTS[int(np.argmin(losses))])


def _nats(roll: np.ndarray, probability: Values) -> Values:
    nats: Values = -np.log(np.where(roll.astype(bool), probability, 1 - probability)).sum(axis=1)
    return nats
