"""Draw the share that each answer gets, for each true class of the spoken words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from _runs import made_by

from seqaudio.batching import labelled_clips
from seqaudio.models import KeywordModel
from seqaudio.pictures import INK, new_figure, save_figure
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store

WORDS = {
    "en": {
        "true": "what was said",
        "answer": "mean share of each answer",
        "unknown": "(other)",
        "silence": "(silence)",
    },
    "tr": {"true": "söylenen", "answer": "her yanıtın ortalama payı", "unknown": "(başka)", "silence": "(sessizlik)"},
}


@torch.no_grad()
def draw(language: str, out: Path) -> None:
    """Write use_speech.png into a folder."""
    words, folder = WORDS[language], made_by("uses_speech")
    store, model = Store(folder / "stores/words"), RunFolder(folder / "runs/words").model().eval()
    assert isinstance(model, KeywordModel)
    names = list(store.names)
    batch = labelled_clips(store, store["test"], store.names)(list(range(len(store["test"]))), 0)
    assert batch.targets is not None
    logits, _ = model(batch.inputs, batch.lengths)
    shares = torch.softmax(logits, dim=1).numpy()
    means = np.stack([shares[batch.targets.numpy() == label].mean(axis=0) for label in range(len(names))])

    figure = new_figure(5.6, 4.4)
    axes = figure.subplots()
    axes.imshow(means, cmap="gray_r", vmin=0, vmax=1.0)
    for true, row in enumerate(means):
        for answer, share in enumerate(row):
            axes.text(answer, true, f"{100 * share:.0f}", ha="center", va="center", fontsize=9,
                      color="white" if share > 0.5 else INK)  # fmt: skip
    shown = [words.get(name, name) for name in names]
    axes.set_xticks(range(len(names)), shown, fontsize=9, color=INK)
    axes.set_yticks(range(len(names)), shown, fontsize=9, color=INK)
    axes.set_xlabel(words["answer"] + " (%)", fontsize=9.5, color=INK)
    axes.set_ylabel(words["true"], fontsize=9.5, color=INK)
    figure.tight_layout()
    save_figure(figure, out / "use_speech.png", language)
