"""The forget gates of a small LSTM while it hears a spoken word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from _gates import draw_gate, gates_of, keeping
from _runs import made_by

from seqaudio.batching import labelled_clips
from seqaudio.models import KeywordModel
from seqaudio.pictures import GRID, INK, INKS, new_figure, save_figure
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store

WORD = "stop"
WORDS = {
    "en": {
        "loudness": "loudness (first MFCC)",
        "forget": "mean forget gate",
        "answer": "share of each answer so far",
        "unknown": "(another word)",
        "silence": "(silence)",
        "gates": "forget gate of each unit: white keeps, black forgets",
        "units": "unit",
        "time": "time in the word “{word}” (ms)",
    },
    "tr": {
        "loudness": "ses yüksekliği (ilk MFCC)",
        "forget": "ortalama unutma kapısı",
        "answer": "o ana kadar her yanıtın payı",
        "unknown": "(başka sözcük)",
        "silence": "(sessizlik)",
        "gates": "her birimin unutma kapısı: beyaz saklar, siyah unutur",
        "units": "birim",
        "time": "“{word}” sözcüğünde zaman (ms)",
    },
}


@torch.no_grad()
def draw(language: str, out: Path) -> None:
    """Write gates_of_a_word.png into a folder."""
    words, folder = WORDS[language], made_by("uses_speech")
    store, model = Store(folder / "stores/words"), RunFolder(folder / "runs/words").model().eval()
    assert isinstance(model, KeywordModel)
    clip = next(row for row, name in enumerate(store["test"].ids) if name.startswith(WORD) and name.endswith("clean"))
    frames = labelled_clips(store, store["test"], store.names)([clip], 0).inputs  # [T, 1, F]
    step = 1000 * store.settings["features"]["frame_shift"]  # ms

    state, answers, heard = model.initial_state(1), [], []
    for frame in frames:
        logits, after = model.step(frame, state)
        answers.append(torch.softmax(logits, dim=1)[0])
        # what the layers see: the frame less the mean of what was heard so far
        heard.append((frame - model.mean) / model.std - after.frame_sum / (after.frames + model.mean_prior))
        state = after
    gates = gates_of(model.layers, torch.stack(heard))
    time = step * (np.arange(len(frames)) + 0.5)

    figure = new_figure(8.2, 6.2)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": [1, 1, 1.7]})
    top.plot(time, frames[:, 0, 0].numpy(), color=INKS[0], label=words["loudness"])
    top.set_yticks([])
    beside = top.twinx()
    beside.plot(time, gates.forget.mean(axis=1), "--", color=INKS[1], label=words["forget"])
    beside.tick_params(labelsize=8, labelcolor=INK)
    lines = [*top.get_lines(), *beside.get_lines()]
    top.legend(
        lines,
        [line.get_label() for line in lines],
        fontsize=7.5,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=2,
        frameon=False,
    )
    styles = ("-", "--", "-", "-.", ":", ":")
    for place, name in enumerate(store.names):
        shown = [float(answer[place]) for answer in answers]
        label = words.get(name, name)
        wide = 2.4 if name == WORD else 1.2
        middle.plot(time, shown, styles[place], color=INKS[place % 4], linewidth=wide, label=label)
    middle.set_ylim(0, 1.02)
    middle.set_title(words["answer"], fontsize=9, color=INK, loc="left", pad=3)
    middle.legend(fontsize=7.5, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    middle.grid(color=GRID, linewidth=0.5)
    middle.tick_params(labelsize=8, labelcolor=INK)
    draw_gate(bottom, gates.forget, keeping(gates.forget), words["gates"], words["units"], step)
    bottom.set_xlabel(words["time"].format(word=WORD), fontsize=9, color=INK)
    figure.tight_layout()
    save_figure(figure, out / "gates_of_a_word.png", language)
