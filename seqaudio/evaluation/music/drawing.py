"""The picture of a judgement: each distribution of the judged pieces over that of the music beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from seqaudio.evaluation.music.judgement import Compared, Corpus, Judgement
from seqaudio.evaluation.music.measures import DISTRIBUTIONS
from seqaudio.pictures import GRID, INK, INKS, add_title, new_figure, plain_names, save_figure

COLUMNS = 4
PANEL_WIDTH, PANEL_HEIGHT, AXES_HEIGHT = 3.05, 1.95, 1.3  # inches of a panel with its labels; of its axes alone
HEAD, FOOT, LEFT, RIGHT = 1.0, 0.2, 0.55, 0.2  # inches
WHOLE = ("pitch_class", "degree")  # drawn with all their bins, others from the first to the last that is used
INTERVALS = ("<-12", "-7", "0", "7", ">12")  # semitones that are labelled
LETTER = 0.075  # inches of a letter below an axis
TITLE = "Judged beside held-out music"
NOTE = "numbers: overlap of the two; * lower than nearly all overlaps among the held-out pieces themselves"


def draw_judgement(judgement: Judgement, path: Path | str) -> None:
    """Write `judgement_figure` as a picture (PNG, PDF or SVG). Raises OptionError, OSError as `save_figure`."""
    save_figure(judgement_figure(judgement), path)


def judgement_figure(judgement: Judgement) -> Figure:
    """A panel for each distribution: held-out music as a grey area, the judged pieces as a line, with the overlap."""
    names = [name for name, one in judgement.distributions.items() if one.judged.any() or one.beside.any()]
    rows = -(-len(names) // COLUMNS)
    width, height = PANEL_WIDTH * COLUMNS + 0.1, HEAD + PANEL_HEIGHT * rows + FOOT
    figure = new_figure(width, height)
    add_title(figure, TITLE)
    figure.legend(
        handles=[
            Line2D([], [], color=INKS[1], linewidth=1.8, label=_legend("judged", judgement.judged)),
            Patch(facecolor=GRID, edgecolor="none", label=_legend("beside", judgement.beside)),
        ],
        loc="upper left", bbox_to_anchor=(0.15 / width, 1 - 0.4 / height), fontsize=9, frameon=False, ncols=2,
        borderaxespad=0, borderpad=0, columnspacing=1.4,
    )  # fmt: skip
    figure.text(0.15 / width, 0.1 / height, NOTE, fontsize=8, color=INK, va="bottom")
    for place, name in enumerate(names):
        row, column = divmod(place, COLUMNS)
        left, bottom = LEFT + column * PANEL_WIDTH, height - HEAD - row * PANEL_HEIGHT - AXES_HEIGHT
        size = (_axes_width() / width, AXES_HEIGHT / height)
        axes = figure.add_axes((left / width, bottom / height, *size))
        _draw(axes, name, judgement.distributions[name])
    return figure


def _axes_width() -> float:
    return PANEL_WIDTH - LEFT - RIGHT


def _legend(what: str, corpus: Corpus) -> str:
    count = len(corpus.pieces)
    return plain_names([f"{what}: {corpus.name} ({count:,} piece{'s' * (count != 1)})"], 74)[0]


def _draw(axes: Axes, name: str, one: Compared) -> None:
    kind = DISTRIBUTIONS[name]
    used = np.flatnonzero(one.judged + one.beside)
    first, last = (0, len(kind.bins) - 1) if name in WHOLE else (int(used[0]), int(used[-1]))
    judged, beside = (100 * side[first : last + 1] for side in (one.judged, one.beside))
    edges = np.arange(first, last + 2) - 0.5
    axes.stairs(beside, edges, fill=True, color=GRID, zorder=2)
    axes.stairs(judged, edges, color=INKS[1], linewidth=1.8, zorder=3, clip_on=False)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.08 * max(judged.max(), beside.max()))
    labels = _labels(name, first, last)
    longest = max(map(len, labels.values()), default=1)
    places = sorted(labels)
    every = max(1, int(np.ceil(LETTER * (1 + longest) * len(places) / _axes_width() * _density(places, first, last))))
    axes.set_xticks(places[::every], [labels[place] for place in places[::every]])
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    axes.tick_params(axis="both", length=2, labelsize=8, labelcolor=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    told = "" if one.overlap is None else f"{one.overlap:.2f}{' *' if one.differs else ''}"
    axes.set_title(kind.label, fontsize=9, color=INK, loc="left", pad=5)
    axes.set_title(told, fontsize=9, color=INK, loc="right", pad=5, weight="bold")


def _density(places: list[int], first: int, last: int) -> float:
    """How much closer the labelled bins are to each other than if they were spread over the whole axis; at least 1."""
    spread = (places[-1] - places[0] + 1) / (last - first + 1) if places else 1.0
    return max(1.0, 1 / spread) if spread else 1.0


def _labels(name: str, first: int, last: int) -> dict[int, str]:
    """The bins that may be labelled, by their places: octaves, fifths of intervals, lengths of notes, else all."""
    bins = DISTRIBUTIONS[name].bins
    if name == "pitch":
        return {place: f"C{place // 12 - 1}" for place in range(first, last + 1) if place % 12 == 0}
    if name == "interval":
        return {place: bins[place] for place in range(first, last + 1) if bins[place] in INTERVALS}
    if name == "length":
        powers = {f"{2.0**power:.3g}": f"1/{2**-power}" if power < 0 else f"{2**power}" for power in range(-4, 4)}
        return {place: powers[bins[place]] for place in range(first, last + 1) if bins[place] in powers}
    return {place: bins[place] for place in range(first, last + 1)}
