"""The forget gates of a small LSTM while it reads a tune that it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from _gates import draw_gate, gates_of, keeping
from _runs import made_by
from matplotlib.patches import Rectangle

from seqaudio.models import EventModel
from seqaudio.pictures import GRID, INK, INKS, new_figure, save_figure
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.tokens.voice import HOLD, NOTE, REST, VOCABULARY_END
from seqaudio.vocabulary import BOS

STEPS = 96  # sixteenths that are drawn
PIECE = 3  # of the test split
BEAT, BAR = 4, 16
WORDS = {
    "en": {
        "pitch": "pitch",
        "notes": "the tune",
        "forget": "mean forget gate",
        "surprise": "surprise (nats)",
        "gates": "forget gate of each unit: white keeps, black forgets",
        "units": "unit",
        "time": "time (sixteenths)",
    },
    "tr": {
        "pitch": "perde",
        "notes": "ezgi",
        "forget": "ortalama unutma kapısı",
        "surprise": "şaşırtıcılık (nat)",
        "gates": "her birimin unutma kapısı: beyaz saklar, siyah unutur",
        "units": "birim",
        "time": "zaman (onaltılık)",
    },
}


@torch.no_grad()
def draw(language: str, out: Path) -> None:
    """Write gates_of_a_melody.png into a folder."""
    words, folder = WORDS[language], made_by("uses_music")
    store, model = Store(folder / "stores/melodies"), RunFolder(folder / "runs/melodies").model().eval()
    assert isinstance(model, EventModel)
    tokens = store["test"].sequence(PIECE)[:STEPS].astype(np.int64)
    inputs = torch.tensor([BOS, *tokens])[:, None]  # token t is read at step t + 1
    logits, _ = model(inputs[:-1])
    surprise = -torch.log_softmax(logits[:, 0], dim=1)[torch.arange(STEPS), torch.tensor(tokens)].numpy()
    gates = gates_of(model.layers, model.embedding(inputs[1:]))
    forget = gates.forget

    figure = new_figure(8.2, 6.6)
    tune, line, maps = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": [1, 1, 1.9]})
    for start, end, pitch in sounding(tokens):
        tune.add_patch(Rectangle((start + 0.08, pitch - 0.4), end - start - 0.16, 0.8, facecolor=INKS[0]))
    pitches = [pitch for _, _, pitch in sounding(tokens)]
    tune.set_ylim(min(pitches) - 1.5, max(pitches) + 1.5)
    tune.set_ylabel(words["pitch"], fontsize=8.5, color=INK)
    tune.set_title(words["notes"], fontsize=9, color=INK, loc="left", pad=3)
    middles = np.arange(STEPS) + 0.5
    line.plot(middles, forget.mean(axis=1), color=INKS[1], label=words["forget"])
    line.set_ylabel(words["forget"], fontsize=8.5, color=INK)
    beside = line.twinx()
    beside.bar(middles, surprise, color=INKS[3], width=0.7, alpha=0.8)
    beside.set_ylabel(words["surprise"], fontsize=8.5, color=INK)
    line.set_zorder(beside.get_zorder() + 1)
    line.patch.set_visible(False)
    draw_gate(maps, forget, keeping(forget), words["gates"], words["units"])
    maps.set_xlabel(words["time"], fontsize=9, color=INK)
    maps.set_xticks(range(0, STEPS + 1, BAR))
    for axes in (tune, line, beside):
        axes.tick_params(labelsize=8, labelcolor=INK)
    for axes in (tune, line):
        axes.grid(axis="x", color=GRID, linewidth=0.6)
    figure.tight_layout()
    save_figure(figure, out / "gates_of_a_melody.png", language)


def sounding(tokens: np.ndarray) -> list[tuple[int, int, int]]:
    """Notes as (first step, step behind the last, pitch)."""
    notes: list[tuple[int, int, int]] = []
    for step, token in enumerate(tokens.tolist()):
        if token == HOLD and notes:
            notes[-1] = (notes[-1][0], step + 1, notes[-1][2])
        elif NOTE <= token < VOCABULARY_END:
            notes.append((step, step + 1, token - NOTE))
        else:
            assert token == REST
    return notes
