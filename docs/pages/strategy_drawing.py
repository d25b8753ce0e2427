"""Draw the BPTT strategies in one picture, from a trace of what they execute.

python docs/pages/strategy_drawing.py docs/pictures/bptt.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from strategy_trace import Run, Use, trace

from seqaudio.bptt.strategies import CheckpointedBPTT, FullBPTT, Strategy, TruncatedBPTT
from seqaudio.pictures import GRID, INK, INKS, new_figure, save_figure

T = 16  # steps of the sequence that is drawn
DRAWN: dict[str, Strategy] = {
    "full": FullBPTT(),
    "truncated, advance 4, reach 4": TruncatedBPTT(4),
    "truncated, advance 4, reach 8": TruncatedBPTT(4, 8),
    "checkpointed, 4 segments": CheckpointedBPTT(4),
}
FILLS: dict[Use, tuple[str, str, str]] = {  # ink, hatch, meaning
    "graph and loss": (INKS[0], "", "run, its losses counted"),
    "graph only": (INKS[2], "////", "run again for the gradient only"),
    "state only": (INKS[4], "", "run for its last state only"),
}
WIDTH, ROW = 9.0, 0.34  # inches
ABOVE, BELOW, BETWEEN = 0.3, 0.28, 0.46  # inches: the legend, the axis, a panel's title
LEFT, RIGHT = 1.35, 0.2  # inches


def draw_strategies(path: Path | str) -> None:
    """Write `strategies_figure` as a picture (PNG, PDF or SVG).

    Raises OSError where the folder is missing or may not be written to.
    """
    save_figure(strategies_figure(), path)


def strategies_figure() -> Figure:
    """A panel for each strategy: time to the right, and a row for each contiguous run, in order of execution.

    Arrows go from the newest step whose loss is counted to the oldest step that its gradient reaches.
    """
    traces = {title: trace(strategy, T) for title, strategy in DRAWN.items()}
    heights = [ROW * len(traced.runs) for traced in traces.values()]
    height = ABOVE + sum(heights) + BETWEEN * len(heights) + BELOW
    figure = new_figure(WIDTH, height)
    top = height - ABOVE
    for (title, traced), rows in zip(traces.items(), heights, strict=True):
        top -= BETWEEN / 2 + rows
        axes = figure.add_axes((LEFT / WIDTH, top / height, (WIDTH - LEFT - RIGHT) / WIDTH, rows / height))
        _draw_panel(axes, title, traced.runs)
        top -= BETWEEN / 2
    axes.tick_params(axis="x", labelbottom=True)
    axes.set_xlabel("time (steps)", fontsize=9, color=INK)
    legend = [
        *(Patch(facecolor=ink, hatch=hatch, edgecolor="white", label=what) for ink, hatch, what in FILLS.values()),
        Line2D([], [], color=INKS[1], linewidth=1.4, marker="<", markevery=(0, 2), label="gradient"),
    ]
    figure.legend(handles=legend, loc="upper center", ncols=len(legend), fontsize=8.5, frameon=False, labelcolor=INK)
    return figure


def _draw_panel(axes: Axes, title: str, runs: list[Run]) -> None:
    axes.set_title(title, fontsize=10, color=INK, loc="left", weight="bold", pad=5)
    axes.set_xlim(0, T)
    axes.set_ylim(len(runs), 0)
    axes.set_xticks(range(0, T + 1, 2))
    axes.set_yticks([row + 0.5 for row in range(len(runs))], _labels(runs), fontsize=8)
    axes.tick_params(axis="both", labelcolor=INK, length=0)
    axes.tick_params(axis="x", labelbottom=False, labelsize=8)
    axes.grid(axis="x", color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    for row, run in enumerate(runs):
        for stretch in run.stretches:
            ink, hatch, _ = FILLS[stretch.use]
            for step in range(stretch.start, stretch.end):
                corner = (step + 0.04, row + 0.42)
                axes.add_patch(Rectangle(corner, 0.92, 0.44, facecolor=ink, hatch=hatch, edgecolor="white", lw=0.6))
        if run.reach is not None:
            start, end = run.reach
            after = runs[row + 1] if row + 1 < len(runs) else None
            handed_on = after is not None and after.update == run.update and after.reach is not None
            _arrow(axes, end - 0.1, start - (0.5 if handed_on else -0.05), row + 0.22)


def _arrow(axes: Axes, start: float, end: float, height: float) -> None:
    style = {"arrowstyle": "-|>", "color": INKS[1], "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end, height), (start, height), arrowprops=style, annotation_clip=False)


def _labels(runs: list[Run]) -> list[str]:
    """`update 2`, and `same, run again` for a further run before the same update."""
    labels = []
    for row, run in enumerate(runs):
        again = row > 0 and runs[row - 1].update == run.update
        labels.append("same, run again" if again else f"update {run.update + 1}")
    return labels


if __name__ == "__main__":
    draw_strategies(sys.argv[1])
