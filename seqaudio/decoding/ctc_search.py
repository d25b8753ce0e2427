"""Prefix beam search over the outputs of a CTC recogniser, alone or with a language model and a lexicon.

    score(y) = ln p(y | x) + alpha ln p(y) + beta |y|        acoustic, language model, words

p(y | x) sums up all alignments of y that the beam has kept: those of a prefix that end in a blank and those that end in
its last unit, as in Graves (2012). The language model acts on every prefix as soon as it grows (shallow fusion), so
that it also decides what stays in the beam (Hannun et al. 2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqaudio.decoding.ctc_models import Floats, Ints, Lexicon, PrefixModel, Units

TREE = 4096  # nodes of the tree of prefixes at first


@dataclass(frozen=True)
class Hypothesis:
    """A text that may have been spoken.

    Attributes:
        units: ids, without blanks. text: its words, with one space between them.
        score: acoustic + alpha * lm + beta * words.
        acoustic, lm: ln p of the units given the sound, and by the language model with the end of the text, 0 without.
        words: their number.
    """

    units: tuple[int, ...]
    text: str
    score: float
    acoustic: float
    lm: float
    words: int


class BeamSearch:
    """A search that takes frames as they come; all at once or block by block, the result is the same.

    Args:
        units: of the recogniser.
        beam: most prefixes, at least 1.
        threshold: greatest distance in nats from the best prefix, beyond which others are dropped; inf: none.
        least: ln p of a unit, below which no prefix goes on with it in that frame; -inf: none.
        lm, alpha: language model and its weight. beta: what each word adds to the score, in nats.
        lexicon: permits its words alone; the best prefix that ends with a whole word always stays in the beam.
    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(
        self,
        units: Units,
        *,
        beam: int = 50,
        threshold: float = 25.0,
        least: float = -math.inf,
        lm: PrefixModel | None = None,
        alpha: float = 1.0,
        beta: float = 0.0,
        lexicon: Lexicon | None = None,
    ) -> None:
        from seqaudio.decoding import ctc_kernels

        if beam < 1 or not (threshold >= 0 and alpha >= 0) or math.isnan(least) or not math.isfinite(alpha + beta):
            raise ValueError(
                f"beam {beam}, threshold {threshold}, least {least}, alpha {alpha}, beta {beta}: expected at least 1, "
                f"at least 0, any number, at least 0, and any number"
            )
        self.units, self.lm, self.alpha, self.beta, self.lexicon = units, lm, alpha, beta, lexicon
        self._kernels = ctc_kernels
        self._limits = (beam, float(threshold), float(least))
        self._room = ctc_kernels.room(beam, len(units))
        self._beams = [ctc_kernels.empty_beam(beam) for _ in range(2)]
        self._sources, self._units = (np.empty(beam, dtype=np.int32) for _ in range(2))
        self._may_end = np.zeros((0, len(units)), dtype=np.bool_)
        self._starts_word = np.ones(len(units))  # a unit other than the space, where a word may begin
        if units.space is not None:
            self._starts_word[units.space] = 0.0
        self.reset()

    def reset(self) -> None:
        """Start a new utterance."""
        self._tree = self._kernels.Tree(*(np.full(TREE, -1, dtype=np.int32) for _ in range(5)))
        self._tree.place[0], self._used, self._count = 0, 1, 1
        beam = self._beams[0]
        beam.node[0], beam.blank[0], beam.last[0] = 0, 0.0, -math.inf
        self._lm_scores, self._words, self._outside = np.zeros(1), np.zeros(1), np.ones(1, dtype=np.bool_)
        for model in self._models():
            model.start()
        self._weigh()

    def _models(self) -> list[PrefixModel]:
        return [model for model in (self.lm, self.lexicon) if model is not None]

    def __call__(self, log_probabilities: npt.ArrayLike, count: int = 1) -> list[Hypothesis]:
        """The hypotheses of a whole utterance; see `push` and `hypotheses`."""
        self.reset()
        self.push(log_probabilities)
        return self.hypotheses(count)

    def push(self, log_probabilities: npt.ArrayLike) -> None:
        """Take the next frames, [T, V] natural logarithms of probabilities, T >= 0.

        Raises ValueError for another shape, and for numbers that are no logarithms of probabilities.
        """
        frames = np.ascontiguousarray(log_probabilities, dtype=np.float64)
        if frames.ndim != 2 or frames.shape[1] != len(self.units):
            raise ValueError(f"got log-probabilities {list(frames.shape)}, expected [T, {len(self.units)}]")
        if not (frames <= 1e-3).all():
            raise ValueError("got NaN or numbers above 0, expected logarithms of probabilities; apply log_softmax")
        for frame in frames:
            self._advance(frame)

    def _advance(self, frame: Floats) -> None:
        self._make_room()
        before, after = self._beams
        n = self._count
        self._count, self._used = self._kernels.advance(
            frame, before, n, self._fused, self._gains, self._may_end, self._limits, self._tree, self._used, self._room,
            after, self._sources, self._units,
        )  # fmt: skip
        self._beams.reverse()
        units = self._units[: self._count].astype(np.int64)
        if self._count == n and not units.any():
            return  # the same prefixes: the candidates keep their order
        self._follow(self._sources[: self._count].astype(np.int64), units)

    def _follow(self, sources: Ints, units: Ints) -> None:
        """Bring what is known of the prefixes to those that are in the beam now."""
        longer = np.flatnonzero(units)
        new = units[longer]
        begun = self._outside[sources[longer]] * self._starts_word[new]
        self._words = self._words[sources]
        self._words[longer] += begun
        self._outside = self._outside[sources]
        self._outside[longer] = True if self.units.space is None else new == self.units.space
        if self.lm is not None:
            added = self.lm.scores[sources[longer], new]
            self._lm_scores = self._lm_scores[sources]
            self._lm_scores[longer] += added
        for model in self._models():
            model.advance(sources, units)
        self._weigh()

    def _weigh(self) -> None:
        """Weigh language model and word bonus: the score of each prefix [n] and of each further unit [n, V]."""
        self._gains = self.beta * self._outside[:, None] * self._starts_word
        self._fused = self.beta * self._words
        if self.lm is not None:
            # 0 times -inf is NaN
            ruled_out = np.full_like(self._gains, -math.inf)
            self._gains += np.multiply(self.alpha, self.lm.scores, out=ruled_out, where=self.lm.scores > -math.inf)
            self._fused += self.alpha * self._lm_scores
        if self.lexicon is not None:
            self._gains += self.lexicon.scores
            self._may_end = self.lexicon.may_end

    def _make_room(self) -> None:
        """Room in the tree for the prefixes of one more frame; what no prefix descends from is removed first."""
        size = len(self._tree.parent)
        if self._used + self._limits[0] <= size:
            return
        number = np.empty(self._used, dtype=np.int32)
        self._used = self._kernels.compact(self._tree, self._used, self._beams[0], self._count, number)
        if self._used + self._limits[0] > size // 2:
            more = np.full(size + self._limits[0], -1, dtype=np.int32)
            self._tree = self._kernels.Tree(*(np.concatenate([part, more]) for part in self._tree))

    def hypotheses(self, count: int = 1) -> list[Hypothesis]:
        """The best hypotheses if the utterance ends here, best first, at most `count`, each with another text.

        More frames may be pushed afterwards. Of those with one text, which differ in spaces, the best is given.
        """
        beam, n = self._beams[0], self._count
        acoustic = np.array([self._kernels.log_sum(beam.blank[i], beam.last[i]) for i in range(n)])
        lm = self._lm_scores + self.lm.ends() if self.lm is not None else self._lm_scores[:1].repeat(n)
        scores = acoustic + self.alpha * lm + self.beta * self._words
        if self.lexicon is not None:
            scores = scores + self.lexicon.ends()
        found: dict[str, Hypothesis] = {}
        for place in np.argsort(-scores, kind="stable"):
            if len(found) == count or scores[place] == -math.inf:
                break
            units = self._prefix(int(beam.node[place]))
            text = " ".join(self.units.words(units))
            numbers = {"score": float(scores[place]), "acoustic": float(acoustic[place]), "lm": float(lm[place])}
            found.setdefault(text, Hypothesis(units, text, **numbers, words=int(self._words[place])))
        return list(found.values())

    def _prefix(self, node: int) -> tuple[int, ...]:
        units = []
        while self._tree.parent[node] >= 0:
            units.append(int(self._tree.unit[node]))
            node = int(self._tree.parent[node])
        return tuple(reversed(units))
