"""Beam search over what a recogniser made of a split: its texts, and weights chosen on validation."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from seqaudio.batching.transcribed import Transcribed
from seqaudio.decoding.ctc_decoder import Beam, Tuned, Weights
from seqaudio.evaluation.edits import error_rate
from seqaudio.evaluation.recognition import Heard
from seqaudio.progress import progress
from seqaudio.transcripts import Spelling

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # tried first
BETAS = (-1.0, 0.0, 1.0, 2.0, 4.0)
FINER = (0.5, 0.25)  # of the distance between two values, around the best so far


@dataclass(frozen=True)
class Tuning:
    """The weights that make the fewest errors, and the error rate of each pair that was tried."""

    weights: Weights
    wer: float
    tried: dict[Weights, float]


def beam_texts(heard: Heard, spelling: Spelling, beam: Beam, weights: Weights) -> tuple[str, ...]:
    """The text of each recording by a beam search; empty where the search rules out every text."""
    search = beam.search(weights)
    found = (search(matrix) for matrix in heard.log_probabilities)
    return tuple(spelling.text(best[0].units) if best else "" for best in found)


def tune(recordings: Transcribed, heard: Heard, beam: Beam) -> Tuning:
    """Choose the weights by the word errors of recordings: on a grid, then closer around the best.

    Of equal ones, that with fewer character errors, then that with the smaller weights. Without a language model its
    weight is 0. Where the units are phones, these are the words.
    """
    references = recordings.references()
    letters = [list(" ".join(words)) for words in references]
    errors: dict[Weights, tuple[float, float]] = {}
    alphas = ALPHAS if beam.lm is not None else (0.0,)
    coarse = [Weights(*pair) for pair in itertools.product(alphas, BETAS)]
    with progress("tuning", len(coarse) + len(FINER) * (2 + 6 * (len(alphas) > 1)), "pairs of weights") as advance:
        for share in (None, *FINER):
            pairs = coarse if share is None else _around(_best(errors), share, beam.lm is not None)
            for weights in pairs:
                if weights in errors:
                    continue
                texts = beam_texts(heard, recordings.spelling, beam, weights)
                words = error_rate(references, [text.split() for text in texts])
                errors[weights] = (words, error_rate(letters, [list(text) for text in texts]))
                advance()
    best = _best(errors)
    return Tuning(best, errors[best][0], {weights: words for weights, (words, _) in errors.items()})


def tuned_as(tuning: Tuning, beam: Beam, recordings: int) -> Tuned:
    """The entry of a tuning in `decoding.json`."""
    return Tuned(beam.lm_hash, beam.lexicon_hash, beam.width, *tuning.weights, tuning.wer, recordings)


def with_beam(metrics: Mapping[str, float]) -> str:
    """The error rates of a beam search beside those of greedy decoding, in words."""
    of = {"wer": "word", "cer": "character", "per": "phone"}
    return ", ".join(
        f"{noun} errors {100 * metrics[f'beam_{name}']:.2f} % (greedy {100 * metrics[name]:.2f} %)"
        for name, noun in of.items()
        if name in metrics
    )


def _best(errors: dict[Weights, tuple[float, float]]) -> Weights:
    return min(errors, key=lambda weights: (*errors[weights], weights.alpha, abs(weights.beta)))


def _around(best: Weights, share: float, with_lm: bool) -> list[Weights]:
    """Pairs beside a pair, a share of the coarse grid's distance away."""
    alphas = {best.alpha, *(max(0.0, best.alpha + sign * share * 0.5) for sign in (-1, 1))} if with_lm else {0.0}
    betas = {best.beta + sign * share for sign in (-1, 0, 1)}
    return [Weights(alpha, beta) for alpha in sorted(alphas) for beta in sorted(betas)]
