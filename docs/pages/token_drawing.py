"""Draw one piece in several representations: the tokens or frames of each, over time.

`python docs/pages/representations_page.py` draws docs/pictures/representations.png with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from token_times import token_times

from seqaudio.errors import OptionError
from seqaudio.notes.bars import bars
from seqaudio.notes.sequence import NoteSequence
from seqaudio.pictures import GRID, HATCHES, INK, INKS, add_title, new_figure, save_figure
from seqaudio.tokens.representation import Representation, TokenRepresentation
from seqaudio.tokens.roll import LOWEST, RollRepresentation

WIDTH, LEFT, RIGHT = 11.0, 0.55, 1.55  # inches of the figure, and of its margins
HEAD, GAP, FOOT = 0.5, 0.42, 0.45  # inches
# the colour number of each kind of token: kinds of the same function share a colour
KINDS = {
    **dict.fromkeys(("note", "on", "Pitch"), 0),
    **dict.fromkeys(("hold", "off", "Duration", "length"), 2),
    **dict.fromkeys(("step", "shift", "Position", "TimeShift"), 1),
    **dict.fromkeys(("velocity", "Velocity"), 3),
    "rest": 4,
    "chord": 6,
    **dict.fromkeys(("bar", "Bar"), 9),
    **dict.fromkeys(("metre", "TimeSig"), 14),
}
LEGEND_LINE = 0.135  # inches
CELL = 0.075  # inches, height of a token
CELL_QUARTERS = 0.24  # quarters, largest width of a token
ROLL, MIN_PANEL = 1.5, 0.3  # inches, heights of a panel of notes or frames, and of the smallest panel of tokens


def draw_representations(
    notes: NoteSequence, representations: Sequence[Representation], path: Path | str, title: str = ""
) -> None:
    """Write `representations_figure` as a picture (PNG, PDF or SVG); errors as there, and OSError."""
    save_figure(representations_figure(notes, representations, title), path)


def representations_figure(notes: NoteSequence, representations: Sequence[Representation], title: str = "") -> Figure:
    """The notes, and below them a panel for each representation, over the same bars.

    A token is a box at its time; tokens of the same time are stacked in the order of the stream, the first at the
    bottom. The colour shows its kind. A roll is drawn as its frames.

    Raises OptionError for no notes, and for a representation that `token_times` does not support.
    """
    if not len(notes):
        raise OptionError("the piece has no notes, so there is nothing to draw")
    panels = [_TokenPanel(notes, it) if isinstance(it, TokenRepresentation) else _RollPanel(notes, it)
              for it in representations]  # fmt: skip
    heights = [ROLL, *(panel.height for panel in panels)]
    height = HEAD + sum(heights) + GAP * len(panels) + FOOT
    figure = new_figure(WIDTH, height)
    add_title(figure, title)
    top = HEAD
    ends = [float(bar.end) / notes.ticks_per_quarter for bar in bars(notes)]
    for number, panel_height in enumerate(heights):
        bottom = 1 - (top + panel_height) / height
        axes = figure.add_axes((LEFT / WIDTH, bottom, (WIDTH - LEFT - RIGHT) / WIDTH, panel_height / height))
        axes.set_xlim(0, ends[-1] + CELL_QUARTERS)  # the tokens that end the last notes lie after the last bar
        if number:
            panels[number - 1].draw(axes)
        else:
            _draw_notes(axes, notes)
        last = number == len(panels)
        axes.vlines(
            [0.0, *ends], 0, 1, transform=axes.get_xaxis_transform(), colors="#7a7a7a", linewidths=0.8, zorder=1
        )
        axes.set_xticks([0.0, *ends[:-1]], [str(number) for number in range(1, len(ends) + 1)] if last else [])
        axes.tick_params(length=0, labelsize=8, labelcolor=INK)
        for spine in axes.spines.values():
            spine.set_visible(False)
        top += panel_height + GAP
    axes.set_xlabel("bar", fontsize=9, color=INK)
    return figure


def _draw_notes(axes: Axes, notes: NoteSequence) -> None:
    quarters = notes.ticks_per_quarter
    handles = []
    for track, name in enumerate(notes.track_names):
        which = notes.track == track
        ends = notes.end_tick[which] / quarters - 0.08  # a gap between repeated notes
        _boxes(axes, notes.start_tick[which] / quarters, ends, notes.pitch[which] - 0.5, 1.0, track)
        handles.append(_handle(name, track))
    axes.set_ylim(int(notes.pitch.min()) - 1.5, int(notes.pitch.max()) + 1.5)
    octaves = [pitch for pitch in range(0, 128, 12) if notes.pitch.min() <= pitch <= notes.pitch.max()]
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.hlines(octaves, *axes.get_xlim(), colors=GRID, linewidths=0.5, zorder=0.5)
    _name(axes, "the notes", f"{len(notes)} notes")
    _legend(axes, handles)


class _TokenPanel:
    def __init__(self, notes: NoteSequence, representation: TokenRepresentation) -> None:
        ids = representation.encode(notes)
        self.title = _title(representation)
        self.count = f"{len(ids)} tokens"
        self.times = token_times(representation, ids)
        self.kinds = [representation.tokens[token].partition("_")[0] for token in ids.tolist()]
        # times do not decrease along a stream, so tokens of the same time follow each other
        self.level = np.arange(len(ids)) - np.searchsorted(self.times, self.times)
        self.highest = int(self.level.max(initial=0)) + 1
        self.numbers = {kind: KINDS[kind] for kind in sorted(set(self.kinds), key=KINDS.__getitem__)}
        self.height = max(MIN_PANEL, CELL * self.highest, LEGEND_LINE * len(self.numbers) - GAP / 2)
        distinct = np.unique(self.times)
        self.width = float(np.diff(distinct).min(initial=1.0)) * 0.9

    def draw(self, axes: Axes) -> None:
        kinds = np.array(self.kinds)
        width = min(self.width, CELL_QUARTERS)
        for kind, number in self.numbers.items():
            which = kinds == kind
            _boxes(axes, self.times[which], self.times[which] + width, self.level[which], 0.86, number)
        axes.set_ylim(0, self.height / CELL)
        axes.set_yticks([])
        _name(axes, self.title, self.count)
        _legend(axes, [_handle(kind, number) for kind, number in self.numbers.items()])


class _RollPanel:
    def __init__(self, notes: NoteSequence, representation: Representation) -> None:
        if not isinstance(representation, RollRepresentation):
            raise OptionError(f"{representation.name} is neither tokens nor a roll, so it cannot be drawn")
        self.frames = representation.encode(notes)
        self.per_quarter = representation.steps_per_quarter * representation.frames_per_step
        self.title = _title(representation)
        self.count = f"{len(self.frames)} frames"
        self.height = ROLL

    def draw(self, axes: Axes) -> None:
        place, key = np.nonzero(self.frames)
        start = place / self.per_quarter
        _boxes(axes, start, start + 1 / self.per_quarter, key + LOWEST - 0.5, 1.0, 0, outline=False)
        axes.set_ylim(key.min() + LOWEST - 1.5, key.max() + LOWEST + 1.5)
        octaves = [pitch for pitch in range(0, 128, 12) if key.min() <= pitch - LOWEST <= key.max()]
        axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
        axes.hlines(octaves, *axes.get_xlim(), colors=GRID, linewidths=0.5, zorder=0.5)
        _name(axes, self.title, self.count)
        _legend(axes, [_handle("1: the key sounds", 0)])


def _boxes(
    axes: Axes, start: np.ndarray, end: np.ndarray, low: np.ndarray, height: float, number: int, outline: bool = True
) -> None:
    """Draw rectangles in the colour of a number."""
    corners = [(start, low), (end, low), (end, low + height), (start, low + height)]
    boxes = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)
    ink, hatch = INKS[number % len(INKS)], HATCHES[number // len(INKS) % len(HATCHES)]
    axes.add_collection(
        PolyCollection(
            list(boxes), facecolor=ink, edgecolor=INK, hatch=hatch, linewidth=0.35 if outline else 0.0, zorder=3
        ),
        autolim=False,
    )


def _handle(name: str, number: int) -> Patch:
    hatch = HATCHES[number // len(INKS) % len(HATCHES)]
    return Patch(facecolor=INKS[number % len(INKS)], edgecolor=INK, hatch=hatch, linewidth=0.5, label=name)


def _legend(axes: Axes, handles: list[Patch]) -> None:
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.06), fontsize=7.5, frameon=False,
        handlelength=1.2, handleheight=0.8, labelspacing=0.25, borderpad=0.2,
    )  # fmt: skip


def _title(representation: Representation) -> str:
    settings = representation.settings()
    return f"{representation.name}:{settings['tokeniser']}" if "tokeniser" in settings else representation.name


def _name(axes: Axes, name: str, count: str) -> None:
    axes.text(0, 1.0, f"{name}  ", transform=axes.transAxes, fontsize=9, weight="bold", color=INK, va="bottom")
    axes.text(1, 1.0, count, transform=axes.transAxes, fontsize=8, color=INK, va="bottom", ha="right")
