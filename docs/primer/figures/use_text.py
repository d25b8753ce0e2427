"""The surprise of a character model at each letter of a passage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from _runs import made_by
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from seqaudio.models import EventModel
from seqaudio.pictures import INK, new_figure, plain, save_figure
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store

BEFORE, COLUMNS, LINES = 600, 64, 9  # letters that are read before, and that are shown
MOST = 6.0  # nats that are drawn darkest
WORDS = {
    "en": {"surprise": "surprise (nats)", "mean": "mean {mean:.2f} nats a letter; a line break is shown as ¶"},
    "tr": {
        "surprise": "şaşırtıcılık (nat)",
        "mean": "karakter başına ortalama {mean:.2f} nat; satır sonu ¶ ile gösterilir",
    },
}


def prose_from(text: str) -> int:
    """The first place that is followed by prose, rather than by tables, with enough before it."""
    places = range(BEFORE, len(text) - COLUMNS * LINES)
    return next(place for place in places if not set("|>=*`") & set(text[place : place + COLUMNS * LINES]))


@torch.no_grad()
def draw(language: str, out: Path) -> None:
    """Write use_text.png into a folder."""
    words, folder = WORDS[language], made_by("uses_text")
    store, model = Store(folder / "stores/book"), RunFolder(folder / "runs/book").model().eval()
    assert isinstance(model, EventModel)
    text = store["test"].sequence(0).astype(np.int64)
    start = prose_from("".join(store.names[int(number)] for number in text))
    ids = torch.tensor(text[start - BEFORE : start + COLUMNS * LINES])
    logits, _ = model(ids[:-1, None])
    surprise = -torch.log_softmax(logits[:, 0], dim=1)[torch.arange(len(ids) - 1), ids[1:]].numpy()[BEFORE - 1 :]
    letters = [store.names[int(number)] for number in ids[BEFORE:]]

    figure = new_figure(9.4, 3.3)
    axes = figure.add_axes((0.02, 0.1, 0.88, 0.86))
    shades = np.full(COLUMNS * LINES, np.nan)
    shades[: len(surprise)] = surprise
    axes.imshow(shades.reshape(LINES, COLUMNS), cmap="Oranges", vmin=0, vmax=MOST, aspect="auto")
    for place, letter in enumerate(letters):
        line, column = divmod(place, COLUMNS)
        dark = surprise[place] > 0.75 * MOST
        shown = "¶" if letter == "\n" else plain(letter)
        axes.text(column, line, shown, ha="center", va="center", fontsize=8.5, color="white" if dark else INK,
                  family="DejaVu Sans Mono")  # fmt: skip
    axes.set_axis_off()
    figure.text(0.02, 0.02, words["mean"].format(mean=surprise.mean()), fontsize=9, color=INK)
    bar = figure.add_axes((0.92, 0.12, 0.015, 0.82))
    figure.colorbar(ScalarMappable(Normalize(0, MOST), "Oranges"), cax=bar)
    bar.set_ylabel(words["surprise"], fontsize=8.5, color=INK)
    bar.tick_params(labelsize=8, labelcolor=INK)
    save_figure(figure, out / "use_text.png", language)
