"""One step of an LSTM, gate by gate, between the step before and the step behind."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from seqaudio.pictures import GRID, INK, INKS, new_figure, save_figure

WIDTH, HEIGHT = 9.8, 4.5  # inches, and the units of all places
BUS, NETS, MEETING, ROAD = (
    1.4,
    2.0,
    2.75,
    3.4,
)  # heights: input and state, the four nets, input gate x candidate, memory
FORGET, INPUT, CANDIDATE, OUTPUT, SHOWN = 2.75, 4.0, 5.25, 6.5, 7.5  # places of what stands side by side
LEFT, RIGHT = 1.65, 8.15  # sides of the cell
WORDS = {
    "en": {
        "before": "step\nbefore",
        "behind": "next\nstep",
        "memory": "memory",
        "gradient": "gradient along the memory: only times $f_t$",
        "state": "state",
        "forget": "forget gate\nhow much to keep",
        "input": "input gate\nhow much to write",
        "candidate": "candidate\nwhat to write",
        "output": "output gate\nhow much to show",
        "legend": r"$\sigma$: between 0, shut, and 1, open      $\times$, $+$: unit by unit",
    },
    "tr": {
        "before": "önceki\nadım",
        "behind": "sonraki\nadım",
        "memory": "bellek",
        "gradient": "bellek boyunca gradyan: yalnızca $f_t$ ile çarpılır",
        "state": "durum",
        "forget": "unutma kapısı\nne kadarı kalacak",
        "input": "girdi kapısı\nne kadarı yazılacak",
        "candidate": "aday\nne yazılacak",
        "output": "çıktı kapısı\nne kadarı gösterilecek",
        "legend": r"$\sigma$: 0 (kapalı) ile 1 (açık) arasında      $\times$, $+$: birim birim",
    },
}


def draw(language: str, out: Path) -> None:
    """Write lstm_cell.png into a folder."""
    words = WORDS[language]
    figure = new_figure(WIDTH, HEIGHT)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(0, HEIGHT)
    axes.set_axis_off()
    _box(axes, LEFT, 0.62, RIGHT - LEFT, 3.6, "white", INK)
    for left, name in ((-0.3, "before"), (WIDTH - 0.85, "behind")):
        _box(axes, left, 0.62, 1.15, 3.6, "white", GRID)
        axes.text(0.4 if left < 0 else WIDTH - 0.4, 2.4, words[name], fontsize=8.5, color=INK, ha="center", va="center")

    # the memory: past the forget gate, the addition, and out
    _way(axes, [(0.85, ROAD), (WIDTH - 0.85, ROAD)], INKS[0], width=2.6)
    axes.text(1.25, ROAD + 0.1, "$c_{t-1}$", fontsize=12, color=INK, ha="center", va="bottom")
    axes.text(8.55, ROAD + 0.1, "$c_t$", fontsize=12, color=INK, ha="center", va="bottom")
    axes.text(1.25, ROAD - 0.1, words["memory"], fontsize=8.5, color=INK, ha="center", va="top")
    _way(axes, [(SHOWN + 0.1, ROAD + 0.38), (LEFT + 0.4, ROAD + 0.38)], INKS[1], line="--")
    axes.text((SHOWN + LEFT) / 2, ROAD + 0.45, words["gradient"], fontsize=8.5, color=INKS[1], ha="center", va="bottom")

    # input and state go to all four nets
    axes.plot([0.85, OUTPUT], [BUS, BUS], color=INK, lw=1.3)
    axes.text(1.25, BUS + 0.08, "$h_{t-1}$", fontsize=12, color=INK, ha="center", va="bottom")
    axes.text(1.25, BUS - 0.1, words["state"], fontsize=8.5, color=INK, ha="center", va="top")
    axes.plot([LEFT + 0.25, LEFT + 0.25], [0.45, BUS], color=INK, lw=1.3)
    axes.text(LEFT + 0.25, 0.3, "$x_t$", fontsize=12, color=INK, ha="center", va="center")
    nets = {"forget": FORGET, "input": INPUT, "candidate": CANDIDATE, "output": OUTPUT}
    for name, x in nets.items():
        gate = name != "candidate"
        _way(axes, [(x, BUS), (x, NETS - 0.19)])
        _box(axes, x - 0.3, NETS - 0.17, 0.6, 0.34, INKS[4] if gate else "white", INK)
        axes.text(
            x, NETS, r"$\sigma$" if gate else "tanh", fontsize=12 if gate else 9, color=INK, ha="center", va="center"
        )
        axes.text(x, BUS - 0.12, words[name], fontsize=8, color=INK, ha="center", va="top", linespacing=1.35)

    # keep, write
    _way(axes, [(FORGET, NETS + 0.17), (FORGET, ROAD - 0.17)])
    _sign(axes, FORGET, ROAD, r"$\times$")
    axes.text(FORGET + 0.1, MEETING, "$f_t$", fontsize=11, color=INK, va="center")
    middle = (INPUT + CANDIDATE) / 2
    _way(axes, [(INPUT, NETS + 0.17), (INPUT, MEETING), (middle - 0.17, MEETING)])
    _way(axes, [(CANDIDATE, NETS + 0.17), (CANDIDATE, MEETING), (middle + 0.17, MEETING)])
    axes.text(INPUT - 0.1, NETS + 0.45, "$i_t$", fontsize=11, color=INK, ha="right", va="center")
    axes.text(CANDIDATE + 0.1, NETS + 0.45, "$g_t$", fontsize=11, color=INK, va="center")
    _sign(axes, middle, MEETING, r"$\times$")
    _way(axes, [(middle, MEETING + 0.15), (middle, ROAD - 0.17)])
    _sign(axes, middle, ROAD, "$+$")

    # show
    _way(axes, [(SHOWN, ROAD), (SHOWN, MEETING + 0.19)])
    _box(axes, SHOWN - 0.3, MEETING - 0.17, 0.6, 0.34, "white", INK)
    axes.text(SHOWN, MEETING, "tanh", fontsize=9, color=INK, ha="center", va="center")
    _way(axes, [(SHOWN, MEETING - 0.17), (SHOWN, NETS + 0.17)])
    _way(axes, [(OUTPUT + 0.3, NETS), (SHOWN - 0.17, NETS)])
    axes.text(OUTPUT + 0.48, NETS + 0.08, "$o_t$", fontsize=11, color=INK, ha="center", va="bottom")
    _sign(axes, SHOWN, NETS, r"$\times$")
    _way(axes, [(SHOWN, NETS - 0.15), (SHOWN, BUS), (WIDTH - 0.85, BUS)])
    axes.text(8.55, BUS + 0.08, "$h_t$", fontsize=12, color=INK, ha="center", va="bottom")
    axes.text(WIDTH / 2 + 0.4, 0.3, words["legend"], fontsize=8.5, color=INK, ha="center", va="center")
    save_figure(figure, out / "lstm_cell.png")


def _box(axes: Axes, x: float, y: float, width: float, height: float, face: str, edge: str) -> None:
    style = f"round,pad=0,rounding_size={min(0.16, height / 3)}"
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=face, edgecolor=edge, lw=1.3))


def _sign(axes: Axes, x: float, y: float, sign: str) -> None:
    """An operation on two vectors, unit by unit."""
    axes.add_patch(Circle((x, y), 0.15, facecolor="white", edgecolor=INK, lw=1.3, zorder=3))
    axes.text(x, y, sign, fontsize=11, color=INK, ha="center", va="center", zorder=4)


def _way(axes: Axes, places: list[tuple[float, float]], ink: str = INK, line: str = "-", width: float = 1.3) -> None:
    """A line through the places with an arrow at its end."""
    *_, before, end = places
    axes.plot(*zip(*places[:-1], strict=True), color=ink, lw=width, ls=line)
    head = 9 + 2 * width
    axes.add_patch(
        FancyArrowPatch(
            before, end, arrowstyle="-|>", mutation_scale=head, color=ink, lw=width, ls=line, shrinkA=0, shrinkB=0
        )
    )
