"""Draw which terms of the gradient each strategy keeps, by the step of the loss and that of the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap

from seqaudio.pictures import INK, INKS, new_figure, save_figure

STEPS = 16
WORDS = {
    "en": {
        "full": "full",
        "short": "truncated, advance 4",
        "long": "truncated, advance 4, reach 8",
        "loss": "step t of the loss",
        "weights": "step s of the weights",
    },
    "tr": {
        "full": "tam",
        "short": "kesilmiş, ilerleme 4",
        "long": "kesilmiş, ilerleme 4, erişim 8",
        "loss": "kaybın t adımı",
        "weights": "ağırlıkların s adımı",
    },
}


def kept(advance: int, reach: int) -> np.ndarray:
    """[t, s] whether the term of the loss of step t and the weights at step s is in an update."""
    t, s = np.arange(1, STEPS + 1)[:, None], np.arange(1, STEPS + 1)
    end = -(-t // advance) * advance  # of the window whose newest steps hold t
    return (s <= t) & (end - reach < s)


def draw(language: str, out: Path) -> None:
    """Write truncated_terms.png into a folder."""
    words = WORDS[language]
    figure = new_figure(9.2, 3.5)
    panels = figure.subplots(1, 3, sharey=True)
    shown = {"full": kept(STEPS, STEPS), "short": kept(4, 4), "long": kept(4, 8)}
    for axes, (name, terms) in zip(panels, shown.items(), strict=True):
        axes.pcolormesh(
            np.arange(STEPS + 1) + 0.5, np.arange(STEPS + 1) + 0.5, terms.astype(float),
            cmap=ListedColormap(["white", INKS[0]]), edgecolors=INKS[4], linewidth=0.4, vmin=0, vmax=1,
        )  # fmt: skip
        axes.set_title(f"{words[name]}: {terms.sum()}", fontsize=9.5, color=INK, loc="left")
        axes.set_xlabel(words["weights"], fontsize=9, color=INK)
        axes.set_xticks(range(4, STEPS + 1, 4))
        axes.set_yticks(range(4, STEPS + 1, 4))
        axes.set_aspect("equal")
        axes.tick_params(labelsize=8, labelcolor=INK)
    panels[0].set_ylabel(words["loss"], fontsize=9, color=INK)
    figure.tight_layout()
    save_figure(figure, out / "truncated_terms.png", language)
