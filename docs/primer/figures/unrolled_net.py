"""The same recurrent net twice: folded, with an arrow from the state to itself, and unrolled into copies."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch

from seqaudio.pictures import INK, INKS, new_figure, save_figure

COPIES = 4
WORDS = {
    "en": {"folded": "folded", "unrolled": "unrolled in time", "time": "time", "gradient": "gradient"},
    "tr": {"folded": "katlanmış", "unrolled": "zamana açılmış", "time": "zaman", "gradient": "gradyan"},
}


def draw(language: str, out: Path) -> None:
    """Write unrolled_net.png into a folder."""
    words = WORDS[language]
    figure = new_figure(9.2, 3.6)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 9.2)
    axes.set_ylim(0, 3.6)
    axes.set_axis_off()
    _column(axes, 1.1, "$x_t$", "$h_t$", "$y_t$", "$L_t$")
    loop = FancyArrowPatch(
        (0.88, 1.78),
        (0.88, 1.42),
        connectionstyle="arc3,rad=1.9",
        arrowstyle="-|>",
        mutation_scale=12,
        color=INK,
        lw=1.4,
    )
    axes.add_patch(loop)
    axes.text(0.12, 1.6, "$W_h$", fontsize=11, color=INK, va="center")
    axes.text(1.1, 3.35, words["folded"], fontsize=10, color=INK, ha="center", weight="bold")
    places = [3.2 + 1.6 * copy for copy in range(COPIES)]
    for copy, place in enumerate(places, 1):
        _column(axes, place, f"$x_{copy}$", f"$h_{copy}$", f"$y_{copy}$", f"$L_{copy}$")
        _arrow(axes, (place - 1.34, 1.66), (place - 0.26, 1.66), INK)
        axes.text(place - 0.8, 1.78, "$W_h$", fontsize=10, color=INK, ha="center")
        if copy > 1:
            _arrow(axes, (place - 0.26, 1.5), (place - 1.34, 1.5), INKS[1], "--")
    axes.text(places[0] - 1.4, 1.6, "$h_0$", fontsize=12, color=INK, ha="right", va="center")
    middle = (places[0] + places[-1]) / 2
    axes.text(middle, 3.35, words["unrolled"], fontsize=10, color=INK, ha="center", weight="bold")
    axes.text(middle, 1.2, words["gradient"], fontsize=9, color=INKS[1], ha="center")
    _arrow(axes, (places[-1] - 1.2, 0.12), (places[-1] + 0.4, 0.12), INK)
    axes.text(places[-1] - 1.3, 0.12, words["time"], fontsize=9, color=INK, ha="right", va="center")
    save_figure(figure, out / "unrolled_net.png", language)


def _column(axes: Axes, x: float, below: str, state: str, output: str, loss: str) -> None:
    """Input, state, output and loss of a step, one above the other."""
    axes.text(x, 0.45, below, fontsize=12, color=INK, ha="center", va="center")
    _arrow(axes, (x, 0.62), (x, 1.34), INK)
    axes.text(x + 0.08, 0.92, "$W_x$", fontsize=10, color=INK)
    axes.add_patch(Circle((x, 1.6), 0.25, facecolor=INKS[4], edgecolor=INK, lw=1.3))
    axes.text(x, 1.59, state, fontsize=11.5, color=INK, ha="center", va="center")
    _arrow(axes, (x, 1.86), (x, 2.3), INK)
    axes.text(x, 2.48, output, fontsize=12, color=INK, ha="center", va="center")
    axes.text(x, 2.95, loss, fontsize=12, color=INKS[1], ha="center", va="center")
    axes.plot([x, x], [2.62, 2.8], color=INK, lw=1.0)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], ink: str, line: str = "-") -> None:
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=11, color=ink, lw=1.3, ls=line, shrinkA=0, shrinkB=0
        )
    )
