"""A picture of what a recogniser hears when: features of some recordings, and below the probability of each unit."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqaudio.batching.transcribed import Transcribed
from seqaudio.decoding.greedy import BLANK_ID, best_path, collapse
from seqaudio.evaluation.recognition import Heard
from seqaudio.features.settings import FeatureSettings
from seqaudio.pictures import GRID, INK, INKS, LINE_STYLES, add_title, new_figure, plain

SHOWN = 3  # recordings
LONGEST = 6.0  # seconds that are drawn of each
COLOURS = "magma"
WIDTH, LEFT, RIGHT = 9.0, 0.68, 0.15  # inches
TOP, BLOCK = 0.4, 3.15  # inches: of the title, and of each recording


def alignment_figure(recordings: Transcribed, heard: Heard, settings: FeatureSettings, subsampling: int) -> Figure:
    """Features and posteriors of three recordings, spread evenly over the set, in one row each.

    Every unit of the greedy path stands over its peak; a blank has a grey line.
    """
    rows = np.unique(np.linspace(0, len(heard.texts) - 1, min(SHOWN, len(heard.texts))).round().astype(int)).tolist()
    height = TOP + BLOCK * len(rows)
    figure = new_figure(WIDTH, height)
    add_title(figure, f"the likeliest unit of every {1000 * subsampling * settings.frame_shift:.0f} ms")

    def below(top: float, tall: float) -> tuple[float, float, float, float]:
        """A part of the figure over its whole width, in inches from the top."""
        return LEFT / WIDTH, 1 - (top + tall) / height, (WIDTH - LEFT - RIGHT) / WIDTH, tall / height

    for place, row in enumerate(rows):
        top = TOP + BLOCK * place
        upper = figure.add_axes(below(top + 0.4, 1.3))
        lower = figure.add_axes(below(top + 1.78, 0.95), sharex=upper)
        _draw_frames(upper, recordings.clips.frames(int(recordings.rows[row])), settings)
        said, found = plain(recordings.texts[row], 70), plain(heard.texts[row], 70)
        upper.set_title(f"said: {said}\nheard: {found}", fontsize=9, color=INK, loc="left")
        _draw_units(lower, heard.log_probabilities[row], recordings, subsampling * settings.frame_shift)
    lower.set_xlabel("time (seconds)", fontsize=9, color=INK)
    return figure


def _draw_frames(axes: Axes, frames: np.ndarray, settings: FeatureSettings) -> None:
    shown = frames[: round(LONGEST / settings.frame_shift), : settings.static_size]
    low, high = np.percentile(shown, (1, 99))
    axes.imshow(
        shown.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=COLOURS,
        vmin=low,
        vmax=max(high, low + 1e-6),
        extent=(0.0, len(shown) * settings.frame_shift, -0.5, shown.shape[1] - 0.5),
    )
    axes.set_ylabel("feature", fontsize=9, color=INK)
    axes.tick_params(axis="both", labelsize=8, labelcolor=INK)
    axes.tick_params(axis="x", labelbottom=False)


def _draw_units(axes: Axes, log_probabilities: np.ndarray, recordings: Transcribed, seconds: float) -> None:
    """Lines of the units of the greedy path and of the blank over time, `seconds` a step."""
    probabilities = np.exp(log_probabilities[: round(LONGEST / seconds)])
    times = (np.arange(len(probabilities)) + 0.5) * seconds
    axes.plot(times, probabilities[:, BLANK_ID], color=GRID, linewidth=1.0)
    path = collapse(best_path(probabilities)) if len(probabilities) else []
    names = recordings.spelling.vocabulary
    for number, unit in enumerate(dict.fromkeys(placed.unit for placed in path)):
        style = LINE_STYLES[number // len(INKS[:3]) % len(LINE_STYLES)]
        axes.plot(times, probabilities[:, unit], style, color=INKS[number % 3], linewidth=1.0)
    for placed in path:
        peak = placed.first + int(probabilities[placed.first : placed.last, placed.unit].argmax())
        name = names[placed.unit].replace(" ", "\u2423")
        axes.text(times[peak], 1.04, plain(name, 12), ha="center", va="bottom", fontsize=7, color=INK)
    axes.set_ylim(0.0, 1.2)
    axes.set_yticks([0.0, 0.5, 1.0])
    axes.set_ylabel("probability", fontsize=9, color=INK)
    axes.grid(color=GRID, linewidth=0.5, alpha=0.6)
    axes.tick_params(axis="both", labelsize=8, labelcolor=INK)
