"""Ask whether statistics of pieces agree with listeners: 4,048 answers on the 500 chorales of JS Fakes.

python docs/pages/listeners.py FAKES [STORE]   writes the table in docs/judging.md anew, in the root of a clone

FAKES is the folder of the corpus, with `annotations.json`, STORE Bach's chorales, as `seqaudio prepare jsb_chorales
--representation chorale` makes them. Every statistic of a piece is correlated with the share of listeners who took it
for Bach: Spearman's rank correlation, each piece weighted by its answers, with an interval from a bootstrap over
pieces. How large a correlation could be at all is told beside, since few answers a piece make shares that are mostly
chance:

    X2           = sum_i n_i (y_i - p)^2 / (p (1 - p))       shares y_i of n_i answers, p of all answers
    reliability  = 1 - (I - 1) / X2                         the part of the spread over I pieces that is not chance
    ceiling      = sqrt(reliability)                         the correlation of a perfect statistic

Source: Peracha (2021), JS Fake Chorales; X2 is the binomial dispersion test, the ceiling that of Spearman (1904).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seqaudio.errors import SourceError
from seqaudio.evaluation.comparison import CONFIDENCE
from seqaudio.evaluation.music.judgement import Corpus, overlap
from seqaudio.evaluation.music.measures import DISTRIBUTIONS, NUMBERS, VOICE_LEADING, Measures, measure
from seqaudio.evaluation.music.pieces import pieces_of_folder, pieces_of_split
from seqaudio.evaluation.tables import table
from seqaudio.files import write_bytes
from seqaudio.json_files import read_json
from seqaudio.store import Store

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "judging.md"
BEGIN, END = "<!-- listeners: begin -->", "<!-- listeners: end -->"
RESAMPLES = 2_000
LEAST_SPREAD = 20  # different values of a statistic; one that hardly varies has no ranks

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """The listeners' answers, [I] each by piece."""

    responses: Floats
    bach: Floats  # that took it for Bach

    @property
    def share(self) -> Floats:
        """[I] of the answers that took the piece for Bach."""
        shares: Floats = self.bach / self.responses
        return shares


@dataclass(frozen=True)
class Correlation:
    """A rank correlation, its interval, and on how many pieces it stands."""

    value: float
    interval: tuple[float, float]
    pieces: int


def read_answers(file: Path, names: Sequence[str]) -> Answers:
    """The answers on the pieces of these names, such as `12.mid`, whatever folder the file gives before them.

    Raises SourceError for a piece without answers.
    """
    data: Mapping[str, Any] = {Path(name).name: about["total"] for name, about in read_json(file).items()}
    missing = [name for name in names if name not in data]
    if missing:
        raise SourceError(f"{file}: has no answers on {missing[0]}; expected those of all {len(names):,} pieces")
    responses, right = (np.array([float(data[name][key]) for name in names]) for key in ("responses", "correct"))
    return Answers(responses, responses - right)  # right was to say that a machine composed it


def rank_correlation(x: Floats, y: Floats, weights: Floats) -> Correlation:
    """Spearman's correlation of x and y [I], weighted, with a 95 % interval from a bootstrap over the I items."""
    ranks = _ranks(x), _ranks(y)
    value = _correlation(*ranks, weights)
    draw = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        rows = draw.integers(len(x), size=len(x))
        drawn.append(_correlation(ranks[0][rows], ranks[1][rows], weights[rows]))
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return Correlation(value, (low, high), len(x))


def largest_by_chance(xs: Sequence[Floats], y: Floats, weights: Floats) -> float:
    """The size that the largest of all correlations exceeds in one case of twenty, where the answers are shuffled."""
    draw, largest = np.random.default_rng(0), []
    ranks, answers = [_ranks(x) for x in xs], _ranks(y)
    for _ in range(RESAMPLES // 4):
        order = draw.permutation(len(y))
        largest.append(max(abs(_correlation(one, answers[order], weights[order])) for one in ranks))
    return float(np.quantile(largest, CONFIDENCE))


def dispersion(answers: Answers) -> tuple[float, float]:
    """X2 and how often answers that do not depend on the piece give as much, by simulation."""
    p = float(answers.bach.sum() / answers.responses.sum())
    draw, found = np.random.default_rng(0), _spread(answers, p)
    counts = answers.responses.astype(np.int64)
    drawn = [Answers(answers.responses, draw.binomial(counts, p).astype(np.float64)) for _ in range(RESAMPLES)]
    more = np.mean([_spread(one, float(one.bach.sum() / one.responses.sum())) >= found for one in drawn])
    return found, float(more)


def _spread(answers: Answers, p: float) -> float:
    return float((answers.responses * (answers.share - p) ** 2).sum() / (p * (1 - p)))


def _ranks(values: Floats) -> Floats:
    """Ranks [I], those of equal values their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    after = np.cumsum(counts)
    ranks: Floats = (after - (counts - 1) / 2)[place]
    return ranks


def _correlation(x: Floats, y: Floats, weights: Floats) -> float:
    share = weights / weights.sum()
    x, y = x - (share * x).sum(), y - (share * y).sum()
    return float((share * x * y).sum() / math.sqrt((share * x * x).sum() * (share * y * y).sum()))


def statistics(pieces: Sequence[Measures], bach: Sequence[Measures]) -> dict[str, Floats]:
    """Each statistic of each piece, [I], NaN where a piece has none; with Bach's also the overlap with his."""
    found = {}
    for name, number in NUMBERS.items():
        found[number.label] = np.array([one.numbers.get(name, (np.nan, 1.0))[0] for one in pieces])
    for name, number in VOICE_LEADING.items():
        pairs = [one.voices.get(name, (np.nan, 1.0)) for one in pieces]
        found[number.label] = np.array([over / under for over, under in pairs])
    for name, kind in DISTRIBUTIONS.items():
        if bach and not kind.of_pieces:
            theirs = np.sum([one.counts[name] for one in bach], axis=0)
            shares = [one.counts[name] / max(one.counts[name].sum(), 1e-9) for one in pieces]
            found[f"overlap with Bach's: {kind.label}"] = np.array([overlap(p, theirs / theirs.sum()) for p in shares])
    return found


def page(fakes: Corpus, answers: Answers, bach: Corpus | None) -> Iterator[str]:
    """The lines between the marks of the page."""
    measured = [measure(piece.notes) for piece in fakes.pieces]
    theirs = [measure(piece.notes) for piece in bach.pieces] if bach is not None else []
    usable = {
        name: values for name, values in statistics(measured, theirs).items()
        if np.isfinite(values).all() and len(np.unique(values)) >= LEAST_SPREAD
    }  # fmt: skip
    correlations = {name: rank_correlation(values, answers.share, answers.responses) for name, values in usable.items()}
    largest = largest_by_chance(list(usable.values()), answers.share, answers.responses)
    found, chance = dispersion(answers)
    reliability = max(0.0, 1 - (len(answers.responses) - 1) / found)
    given = answers.responses
    fooled = 100 * answers.bach.sum() / given.sum()
    yield f"{len(given):,} pieces, {given.sum():,.0f} answers, {given.min():.0f} to {given.max():.0f} a piece;"
    yield f"{fooled:.1f} % took one for Bach. The spread over pieces is X2 = {found:.0f}, on {len(given) - 1} degrees"
    yield f"of freedom; answers that do not depend on the piece spread as much in {100 * chance:.0f} % of simulations."
    yield f"The reliability of a piece's share is {reliability:.2f}, so a perfect statistic would correlate with"
    yield f"{math.sqrt(reliability):.2f}. Of {len(correlations)} statistics without any relation to the answers the"
    yield f"largest correlation exceeds {largest:.2f} in one case of twenty."
    yield ""
    ordered = sorted(correlations.items(), key=lambda pair: -abs(pair[1].value))
    yield from table(
        ("statistic", "rank correlation with being taken for Bach", "95 %"),
        [(name, f"{one.value:+.3f}", f"{one.interval[0]:+.3f} .. {one.interval[1]:+.3f}") for name, one in ordered],
    )


def filled(text: str, lines: Sequence[str]) -> str:
    """The text of the page with other lines between the marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return "".join((before, BEGIN, "\n", *(f"{line}\n" for line in lines), END, after))


def main(arguments: Sequence[str]) -> None:
    """Write the page."""
    if len(arguments) not in (1, 2):
        raise SystemExit("usage: python docs/pages/listeners.py FAKES [STORE]")
    folder = Path(arguments[0])
    fakes = pieces_of_folder(folder)
    answers = read_answers(folder / "annotations.json", [Path(piece.name).name for piece in fakes.pieces])
    bach = None
    if len(arguments) == 2:
        store = Store(arguments[1])
        splits = [pieces_of_split(store, split) for split in store.counts]
        bach = Corpus("Bach", [piece for split in splits for piece in split.pieces])
    text = filled(PAGE.read_text(encoding="utf-8"), list(page(fakes, answers, bach)))
    write_bytes(PAGE, text.encode())


if __name__ == "__main__":
    main(sys.argv[1:])
