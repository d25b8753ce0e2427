"""Draw notes as a piano roll, in rows of bars like the systems of a score, with percussion below and lines above."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from pretty_midi import note_number_to_drum_name

from seqaudio.errors import OptionError
from seqaudio.midi.writing import instrument_name
from seqaudio.notes.bars import Bar, bars
from seqaudio.notes.sequence import NoteSequence
from seqaudio.pictures import GRID, HATCHES, INK, INKS, add_title, new_figure, plain, save_figure

MAX_QUARTERS = 20_000  # hours of music; nothing could be seen in a picture of more
MAX_ROWS = 20  # the rows of a longer piece get longer, and are drawn smaller
ROW_QUARTERS = 32  # length of a row, where that does not give more than MAX_ROWS
WIDTH = 11.0  # inches of the longest row
QUARTER_WIDTH = WIDTH / ROW_QUARTERS  # inches
MIN_WIDTH = 4.5  # inches of the rows of a short piece
MARGIN_LEFT, MARGIN_LEFT_DRUMS, MARGIN_RIGHT = 0.75, 1.45, 0.2  # inches
TITLE_HEIGHT, LEGEND_LINE, ROW_GAP, FOOT = 0.4, 0.24, 0.5, 0.5  # inches
SEMITONE, MIN_ROLL, MAX_ROLL = 0.085, 1.3, 3.2  # inches
DRUM_LINE, PANEL_GAP = 0.17, 0.08  # inches
LINES_HEIGHT = 0.9  # inches
BEAT_WIDTH = 0.07  # inches; beats closer than that get no lines
LABEL_HEIGHT = 0.15  # inches from one pitch label to the next
TIME_WIDTH, TIME_SIGNATURE_WIDTH = 0.5, 0.42  # inches that `12:34` and `12/16` take above a row
BAR_LABEL_WIDTH = 0.32  # inches that a bar number takes
NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
BLACK_KEYS = (1, 3, 6, 8, 10)

_Key = tuple[int, int, bool]  # track, program, drum


@dataclass(frozen=True)
class Lines:
    """Numbers of moments in a piece, drawn above its notes as upright lines, such as surprise in nats."""

    ticks: npt.NDArray[np.int64]  # [E]
    values: npt.NDArray[np.float64]  # [E], 0 or more
    label: str  # of the axis


@dataclass(frozen=True)
class _Part:
    """The notes of one track and program, drawn in one colour."""

    name: str
    notes: NoteSequence
    ink: str
    hatch: str
    height: float  # semitones: the first parts are thinnest and drawn on top, so that unisons can be seen

    @property
    def handle(self) -> Patch:
        return Patch(facecolor=self.ink, edgecolor=INK, hatch=self.hatch, linewidth=0.6, label=self.name)


@dataclass(frozen=True)
class _Row:
    """Successive bars."""

    bars: Sequence[Bar]
    first: int  # number of the first bar, counted from 1
    before: str  # time signature at the end of the previous row, such as 4/4

    @property
    def start(self) -> float:
        return float(self.bars[0].start)

    @property
    def end(self) -> float:
        return float(self.bars[-1].end)


def draw_piano_roll(notes: NoteSequence, path: Path | str, title: str = "", lines: Lines | None = None) -> None:
    """Write `piano_roll` as a picture (PNG, PDF or SVG). Equal notes give equal bytes.

    Raises:
        OptionError: no notes, or more than 20,000 quarters.
        OSError: the folder is missing or may not be written to.
    """
    save_figure(piano_roll(notes, title, lines), path)


def piano_roll(notes: NoteSequence, title: str = "", lines: Lines | None = None) -> Figure:
    """A figure with time in bars from left to right and from row to row, pitch upwards.

    Strong lines are bars, numbered from 1, weak lines beats, both by the time signatures (4/4 without one); the time
    above a row is in minutes and seconds. Grey bands are the black keys; C4 is middle C, pitch 60. Each part has its
    colour, lighter from part to part, and from the sixth on a hatch. Where parts share a pitch, earlier ones are drawn
    narrower and on top. Percussion has lines of its own below, named as in General MIDI. `lines` stand above the notes
    of each row, all on one scale.

    Raises OptionError for no notes, or more than 20,000 quarters.
    """
    if not len(notes):
        raise OptionError("the piece has no notes, so there is nothing to draw")
    quarters = int(notes.end_tick.max()) / notes.ticks_per_quarter
    if quarters > MAX_QUARTERS:
        raise OptionError(f"the piece has {quarters:,.0f} quarters, expected at most {MAX_QUARTERS:,}; cut it first")
    return _Picture(notes, title, lines).figure


class _Picture:
    """The layout and drawing of one piece. All positions are in inches until they go into an axes."""

    def __init__(self, notes: NoteSequence, title: str, lines: Lines | None) -> None:
        self.notes = notes
        self.lines = lines
        self.parts = _parts(notes)
        self.rows = _rows(notes)
        pitches = notes.pitch[~notes.is_drum]
        self.low, self.high = _pitch_range(pitches) if len(pitches) else (0, -1)
        self.drums: list[int] = np.unique(notes.pitch[notes.is_drum]).tolist()
        self.roll_height = float(np.clip((self.high - self.low) * SEMITONE, MIN_ROLL, MAX_ROLL))
        self.roll_height *= bool(len(pitches))
        self.drum_height = DRUM_LINE * (len(self.drums) + 0.6) if self.drums else 0.0
        self.left = MARGIN_LEFT_DRUMS if self.drums else MARGIN_LEFT
        longest = max(row.end - row.start for row in self.rows)
        width = max(MIN_WIDTH, longest / notes.ticks_per_quarter * QUARTER_WIDTH)
        self.tick_width = (min(WIDTH, width) if len(self.rows) == 1 else WIDTH) / longest
        self.width = self.left + longest * self.tick_width + MARGIN_RIGHT
        self.columns = max(1, int((self.width - 0.4) / (0.6 + 0.085 * max(len(part.name) for part in self.parts))))
        self.head = TITLE_HEIGHT * bool(title) + LEGEND_LINE * -(-len(self.parts) // self.columns) + 0.15
        both = PANEL_GAP if self.roll_height and self.drum_height else 0.0
        self.lines_height = LINES_HEIGHT + PANEL_GAP if lines is not None else 0.0
        self.row_height = self.lines_height + self.roll_height + both + self.drum_height
        self.height = self.head + 0.2 + len(self.rows) * (ROW_GAP + self.row_height) - ROW_GAP + FOOT
        self.figure = new_figure(self.width, self.height)
        self._draw_head(title)
        for number, row in enumerate(self.rows):
            self._draw_row(row, self.head + 0.2 + number * (ROW_GAP + self.row_height))

    def _draw_head(self, title: str) -> None:
        add_title(self.figure, title)
        self.figure.legend(
            handles=[part.handle for part in self.parts],
            loc="upper left",
            bbox_to_anchor=(0.15 / self.width, 1 - (TITLE_HEIGHT * bool(title) + 0.05) / self.height),
            ncols=self.columns,
            fontsize=9,
            frameon=False,
            borderaxespad=0,
            borderpad=0,
            handlelength=1.6,
            columnspacing=1.4,
        )

    def _draw_row(self, row: _Row, top: float) -> None:
        """`top`: inches from the upper edge of the figure."""
        width = (row.end - row.start) * self.tick_width
        panels: list[Axes] = []
        if self.lines is not None:
            panels.append(self._axes(top, width, LINES_HEIGHT))
            self._draw_lines(panels[-1], row, self.lines)
        if self.roll_height:
            panels.append(self._axes(top + self.lines_height, width, self.roll_height))
            self._draw_roll(panels[-1], row)
        if self.drum_height:
            panels.append(self._axes(top + self.row_height - self.drum_height, width, self.drum_height))
            self._draw_drums(panels[-1], row)
        for panel in panels:
            self._draw_time(panel, row, labelled=panel is panels[-1])
        self._draw_above(panels[0], row)
        if row is self.rows[-1]:
            panels[-1].set_xlabel("bar", fontsize=9, color=INK, labelpad=1)

    def _draw_above(self, axes: Axes, row: _Row) -> None:
        """Write the time at which a row begins, and new time signatures, moved right where they would overlap."""
        clock = round(float(self.notes.seconds(int(row.start))))
        self._write_above(axes, row.start, f"{clock // 60}:{clock % 60:02d}")
        free = row.start + TIME_WIDTH / self.tick_width
        current = row.before
        for bar in row.bars if self.notes.time_signatures else ():
            name = bar.time_signature.name
            tick = max(float(bar.start), free)
            if name != current and (row.end - tick) * self.tick_width >= TIME_SIGNATURE_WIDTH:
                self._write_above(axes, tick, name)
                free = tick + TIME_SIGNATURE_WIDTH / self.tick_width
            current = name

    def _write_above(self, axes: Axes, tick: float, text: str) -> None:
        transform = axes.get_xaxis_transform()
        axes.annotate(
            text, (tick, 1.0), (0, 3), xycoords=transform, textcoords="offset points", fontsize=8, color="#444444"
        )

    def _axes(self, top: float, width: float, height: float) -> Axes:
        place = (self.left, self.height - top - height, width, height)
        left, bottom = place[0] / self.width, place[1] / self.height
        return self.figure.add_axes((left, bottom, width / self.width, height / self.height))

    def _draw_lines(self, axes: Axes, row: _Row, lines: Lines) -> None:
        here = (lines.ticks >= row.start) & (lines.ticks < row.end)
        axes.vlines(lines.ticks[here], 0, lines.values[here], colors=INKS[1], linewidths=1.4, zorder=6, clip_on=False)
        axes.set_ylim(0, 1.08 * max(float(lines.values.max(initial=0.0)), 1e-9))
        axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        axes.set_ylabel(lines.label, fontsize=8, color=INK, labelpad=3)

    def _draw_roll(self, axes: Axes, row: _Row) -> None:
        pitches = np.arange(self.low, self.high + 1)
        black = pitches[np.isin(pitches % 12, BLACK_KEYS)]
        edges = (np.full(len(black), row.start), np.full(len(black), row.end))
        axes.add_collection(
            PolyCollection(list(_boxes(*edges, black, 1.0)), facecolor="#f0f0f0", zorder=0), autolim=False
        )
        axes.hlines(pitches[pitches % 12 == 0] - 0.5, row.start, row.end, colors=GRID, linewidths=0.6, zorder=0.5)
        for place, part in enumerate(self.parts):
            inch = 1 / self.tick_width
            # a gap between repeated notes; notes without length stay visible
            ends = np.maximum(part.notes.end_tick - 0.012 * inch, part.notes.start_tick + 0.02 * inch)
            which = ~part.notes.is_drum & (part.notes.start_tick < row.end) & (ends > row.start)
            shown = part.notes.select(which)
            if not len(shown):
                continue
            start, end = np.maximum(shown.start_tick, row.start), np.minimum(ends[which], row.end)
            boxes = list(_boxes(start, end, shown.pitch, part.height))
            axes.add_collection(
                PolyCollection(
                    boxes, facecolor=part.ink, edgecolor=INK, hatch=part.hatch, linewidth=0.5, zorder=4 - place / 1000
                ),
                autolim=False,
            )
        axes.set_ylim(self.low - 0.5, self.high + 0.5)
        ticks = _labelled_pitches(self.low, self.high, self.roll_height)
        axes.set_yticks(ticks, [f"{NAMES[pitch % 12]}{pitch // 12 - 1}" for pitch in ticks])

    def _draw_drums(self, axes: Axes, row: _Row) -> None:
        lines = {pitch: line for line, pitch in enumerate(self.drums)}
        for part in self.parts:
            shown = part.notes.select(
                part.notes.is_drum & (part.notes.start_tick >= row.start) & (part.notes.start_tick < row.end)
            )
            places = [lines[pitch] for pitch in shown.pitch.tolist()]
            axes.scatter(
                shown.start_tick, places, s=14, marker="D", color=part.ink, edgecolors=INK, linewidths=0.5, zorder=4,
                clip_on=False,
            )  # fmt: skip
        axes.hlines(range(len(self.drums)), row.start, row.end, colors=GRID, linewidths=0.5, zorder=0.5)
        axes.set_ylim(-0.8, len(self.drums) - 0.2)
        names = [note_number_to_drum_name(pitch) or f"key {pitch}" for pitch in self.drums]
        axes.set_yticks(range(len(self.drums)), names)

    def _draw_time(self, axes: Axes, row: _Row, labelled: bool) -> None:
        axes.set_xlim(row.start, row.end)
        step = _label_step(row, self.tick_width)
        numbers = range(row.first, row.first + len(row.bars))
        marked = [bar for bar, number in zip(row.bars, numbers, strict=True) if (number - 1) % step == 0]
        if step == 1 and min(float(bar.beat) for bar in row.bars) * self.tick_width >= BEAT_WIDTH:
            beats = [float(beat) for bar in row.bars for beat in bar.beats]
            axes.add_collection(_verticals(beats, "#d4d4d4", 0.5, 1.0), autolim=False)
        axes.add_collection(_verticals([float(bar.start) for bar in marked], "#7a7a7a", 0.9, 2.0), autolim=False)
        labels = [str(number) for number in numbers if (number - 1) % step == 0] if labelled else []
        axes.set_xticks([float(bar.start) for bar in marked] if labelled else [], labels)
        axes.tick_params(axis="y", length=0, pad=3, labelsize=8, labelcolor=INK)
        axes.tick_params(axis="x", length=0, pad=5, labelsize=8, labelcolor=INK)
        for spine in axes.spines.values():
            spine.set(color="#7a7a7a", linewidth=0.9)


def _parts(notes: NoteSequence) -> list[_Part]:
    """The parts in the order of their tracks. Nameless ones get the name of their instrument, equal names a number."""
    rows = zip(notes.track.tolist(), notes.program.tolist(), notes.is_drum.tolist(), strict=True)
    keys: list[_Key] = sorted(set(rows))
    names: list[str] = []
    parts = []
    for place, (track, program, drum) in enumerate(keys):
        name = plain(notes.track_names[track], 28) or instrument_name(program, drum)
        names.append(name)
        which = (notes.track == track) & (notes.program == program) & (notes.is_drum == drum)
        parts.append(
            _Part(
                name=name if names.count(name) == 1 else f"{name} ({names.count(name)})",
                notes=notes.select(which),
                ink=INKS[place % len(INKS)],
                hatch=HATCHES[place // len(INKS) % len(HATCHES)],
                height=0.9 - 0.1 * max(0, min(len(keys), 4) - 1 - place),
            )
        )
    return parts


def _rows(notes: NoteSequence) -> list[_Row]:
    """The bars of a piece in rows of about equal length: at most 32 quarters, or more where that gives over 20 rows."""
    found = list(bars(notes))
    total = float(found[-1].end)
    longest = max(ROW_QUARTERS * notes.ticks_per_quarter, total / MAX_ROWS)
    rows = _filled(found, longest)
    even = total / len(rows)
    # the shortest rows that do not add another one
    lengths = (even + (longest - even) * share for share in np.linspace(0.0, 1.0, 9))
    return next(shorter for length in lengths if len(shorter := _filled(found, length)) <= len(rows))


def _filled(found: Sequence[Bar], longest: float) -> list[_Row]:
    """Bars in rows of at most `longest` ticks; a longer bar gets a row of its own."""
    borders = [0]
    for number, bar in enumerate(found):
        if number > borders[-1] and bar.end - found[borders[-1]].start > longest:
            borders.append(number)
    ends = [*borders[1:], len(found)]
    return [
        _Row(found[first:end], first + 1, found[first - 1].time_signature.name if first else "")
        for first, end in zip(borders, ends, strict=True)
    ]


def _pitch_range(pitches: npt.NDArray[np.int16]) -> tuple[int, int]:
    """The lowest and the highest pitch shown, at least an octave apart."""
    low, high = int(pitches.min()) - 1, int(pitches.max()) + 1
    lacking = max(0, 12 - (high - low))
    low, high = low - lacking // 2, high + lacking - lacking // 2
    shift = max(0, 0 - low) - max(0, high - 127)
    return max(0, low + shift), min(127, high + shift)


def _labelled_pitches(low: int, high: int, height: float) -> list[int]:
    """The pitches to label: all white keys, or C, E and G, or C and G, or C alone, as many as fit."""
    semitone = height / (high - low + 1)
    for classes, gap in (((0, 2, 4, 5, 7, 9, 11), 1), ((0, 4, 7), 3), ((0, 7), 5)):
        if gap * semitone >= LABEL_HEIGHT:
            return [pitch for pitch in range(low, high + 1) if pitch % 12 in classes]
    return [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]


def _label_step(row: _Row, tick_width: float) -> int:
    """The smallest distance in bars, of 1, 2, 5, 10, 20 ..., at which bar numbers fit."""
    bar_width = (row.end - row.start) * tick_width / len(row.bars)
    return next(step for step in _steps() if step * bar_width >= BAR_LABEL_WIDTH)


def _steps() -> Iterator[int]:
    decade = 1
    while True:
        yield from (decade, 2 * decade, 5 * decade)
        decade *= 10


def _boxes(
    start: npt.NDArray[Any], end: npt.NDArray[Any], pitch: npt.NDArray[Any], height: float
) -> npt.NDArray[np.float64]:
    """Corners [N, 4, 2] of the rectangles that show notes."""
    low, high = pitch - height / 2, pitch + height / 2
    corners = [(start, low), (end, low), (end, high), (start, high)]
    return np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)


def _verticals(places: Sequence[float], color: str, width: float, order: float) -> LineCollection:
    return LineCollection([[(x, -10.0), (x, 200.0)] for x in places], colors=color, linewidths=width, zorder=order)
