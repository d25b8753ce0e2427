"""Draw the pieces of a store of music as four histograms: pitch, length, velocity, density."""

from __future__ import annotations

from math import ceil
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from seqaudio.checking.contents import Contents
from seqaudio.checking.music import music_of
from seqaudio.notes.sequence import NoteSequence
from seqaudio.pictures import GRID, INK, SPLIT_STYLES

SIDE, GAP = 0.06, 0.055  # shares of the figure's width: the margins, and between two panels
DENSITY_BINS = 24
FAR = 4.0  # times the median density: higher values are drawn there
PITCHES = 3  # in a bin
OCTAVES = range(0, 128, 12)  # all pitches C
LENGTHS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)  # ticks of the axis
LENGTH_EDGES: npt.NDArray[np.float64] = np.exp2(
    np.arange(-4.75, 4.0, 0.5)
)  # two bins an octave, common note lengths in the middle of bins

Values = npt.NDArray[np.float64]


class _Panel(NamedTuple):
    """A histogram: its values by split, the edges of its bins, and its label."""

    values: dict[str, Values]
    edges: np.ndarray
    label: str


def draw_music(figure: Figure, contents: Contents, bottom: float, top: float) -> None:
    """Draw four panels side by side, between two heights of the figure in 0..1; splits are stacked.

    Pitch, length and velocity count notes, density counts pieces. Lengths are in quarters, or in seconds where the
    representation keeps seconds. The last axes have the labels for a legend.
    """
    panels = _panels(contents)
    width = (1 - 2 * SIDE - GAP * (len(panels) - 1)) / len(panels)
    for number, (name, panel) in enumerate(panels.items()):
        axes = figure.add_axes((SIDE + number * (width + GAP), bottom, width, top - bottom))
        _draw_histogram(axes, panel)
        if name == "length":
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_locator(FixedLocator(LENGTHS[::2]))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xticklabels([_fraction(length) for length in LENGTHS[::2]])
        if name == "pitch":
            low, high = axes.get_xlim()
            octaves = OCTAVES if high - low < 7 * 12 else OCTAVES[::2]
            named = [pitch for pitch in octaves if low <= pitch <= high]
            axes.set_xticks(named, [f"C{pitch // 12 - 1}" for pitch in named])
        if name == "density":
            most = float(panel.edges[-1])
            beyond = "+" if any((values == most).any() for values in panel.values.values()) else ""
            axes.set_xticks([0, most / 2, most], ["0", f"{most / 2:g}", f"{most:g}{beyond}"])


def _panels(contents: Contents) -> dict[str, _Panel]:
    music = music_of(contents)
    songs: dict[str, list[NoteSequence]] = {split: [] for split in contents.splits}
    for piece, notes in music.decoded:
        if notes.duration:
            songs[piece.split].append(notes)
    in_seconds = music.representation.timing == "second"
    lengths = {split: _joined([_lengths(song, in_seconds) for song in found]) for split, found in songs.items()}
    pitches = {split: _joined([song.pitch for song in found]) for split, found in songs.items()}
    velocities = {split: _joined([song.velocity for song in found]) for split, found in songs.items()}
    densities = {
        split: np.array([len(song) / song.duration for song in found if song.duration])
        for split, found in songs.items()
    }
    low, high = (PITCHES * round(edge / PITCHES) for edge in _span(pitches))
    everything = _joined([*densities.values()])
    far = FAR * float(np.median(everything)) if len(everything) else 0.0
    most = 2 * max(1, ceil(min(_span(densities)[1], far) / 2))  # even, so that half of it is whole
    return {
        "pitch": _Panel(pitches, np.arange(low - PITCHES, high + 2 * PITCHES, PITCHES) - 0.5, "notes by pitch"),
        "length": _Panel(
            {split: np.clip(values, LENGTH_EDGES[0], LENGTH_EDGES[-1]) for split, values in lengths.items()},
            LENGTH_EDGES,
            f"notes by length ({'seconds' if in_seconds else 'quarters'})",
        ),
        "velocity": _Panel(velocities, np.arange(0.0, 129.0, 8.0), "notes by velocity"),
        "density": _Panel(
            {split: np.minimum(values, most) for split, values in densities.items()},
            np.linspace(0, most, DENSITY_BINS + 1),
            "pieces by notes per second",
        ),
    }


def _draw_histogram(axes: Axes, panel: _Panel) -> None:
    below = np.zeros(len(panel.edges) - 1)
    for split, values in panel.values.items():
        colour, hatch = SPLIT_STYLES[split]
        heights = np.histogram(values, panel.edges)[0].astype(np.float64)
        bars: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": INK, "linewidth": 0.3, "label": split}
        axes.bar(panel.edges[:-1], heights, np.diff(panel.edges), bottom=below, align="edge", **bars)
        below += heights
    axes.set_xlim(panel.edges[0], panel.edges[-1])
    axes.set_xlabel(panel.label, fontsize=9, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")
    axes.tick_params(axis="both", labelsize=8, labelcolor=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _lengths(song: NoteSequence, in_seconds: bool) -> Values:
    return song.end - song.start if in_seconds else (song.end_tick - song.start_tick) / song.ticks_per_quarter


def _joined(parts: list[npt.NDArray[Any]]) -> Values:
    return np.concatenate([np.zeros(0), *parts])


def _span(values: dict[str, Values]) -> tuple[float, float]:
    """The smallest and the largest of all values; 0 and 1 without values."""
    everything = np.concatenate([np.zeros(0), *values.values()])
    return (float(everything.min()), float(everything.max())) if len(everything) else (0.0, 1.0)


def _fraction(length: float) -> str:
    return f"{length:g}" if length >= 1 else f"1/{1 / length:g}"
