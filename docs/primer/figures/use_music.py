"""A tune that the net composed, and how likely it held each pitch when it chose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from _runs import made_by
from gates_of_a_melody import BAR, sounding
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from seqaudio.midi.reading import read_midi
from seqaudio.models import EventModel
from seqaudio.pictures import INK, INKS, new_figure, save_figure
from seqaudio.run_folder import RunFolder
from seqaudio.tokens.melody import MelodyRepresentation
from seqaudio.tokens.voice import NOTE
from seqaudio.vocabulary import BOS

STEPS = 128
WORDS = {
    "en": {
        "pitch": "pitch",
        "time": "time (sixteenths)",
        "share": "how likely each pitch was at the next step",
        "tune": "the tune",
    },
    "tr": {
        "pitch": "perde",
        "time": "zaman (onaltılık)",
        "share": "sonraki adımda her perdenin olasılığı",
        "tune": "ezgi",
    },
}


@torch.no_grad()
def draw(language: str, out: Path) -> None:
    """Write use_music.png into a folder."""
    words, folder = WORDS[language], made_by("uses_music")
    model = RunFolder(folder / "runs/melodies").model().eval()
    assert isinstance(model, EventModel)
    tokens = MelodyRepresentation().encode(read_midi(folder / "tune.mid"))[:STEPS]
    logits, _ = model(torch.tensor([BOS, *tokens[:-1]])[:, None])
    shares = torch.softmax(logits[:, 0], dim=1).numpy()[:, NOTE:].T  # [pitch, step]
    notes = sounding(tokens)
    low, high = min(pitch for *_, pitch in notes) - 4, max(pitch for *_, pitch in notes) + 4

    figure = new_figure(9.2, 3.4)
    axes = figure.subplots()
    image = axes.imshow(
        np.clip(shares[low : high + 1], 1e-3, 1), cmap="Greys", norm=LogNorm(1e-3, 1), aspect="auto", origin="lower",
        extent=(0, len(tokens), low - 0.5, high + 0.5), interpolation="nearest",
    )  # fmt: skip
    for place, (start, end, pitch) in enumerate(notes):
        axes.add_patch(
            Rectangle(
                (start, pitch - 0.5),
                end - start,
                1,
                fill=False,
                ec=INKS[1],
                lw=1.6,
                label=words["tune"] if not place else None,
            )
        )
    axes.set_xticks(range(0, len(tokens) + 1, BAR))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(words["time"], fontsize=9, color=INK)
    axes.set_ylabel(words["pitch"], fontsize=9, color=INK)
    axes.tick_params(labelsize=8, labelcolor=INK)
    axes.legend(fontsize=8, loc="upper right")
    bar = figure.colorbar(image, ax=axes, pad=0.015)
    bar.set_label(words["share"], fontsize=7.5, color=INK)
    bar.ax.tick_params(labelsize=8, labelcolor=INK)
    figure.tight_layout()
    save_figure(figure, out / "use_music.png", language)
