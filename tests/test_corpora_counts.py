"""Every shared corpus of speech, prepared whole: nothing of it is lost, and nothing counted twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from made_up_speech import prepare, refused, script
from seqaudio.audio import read_audio

# the script of each corpus, what it is given beside the folder, and the rate of the recordings, so that none is changed
SCRIPTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "fsdd": ("fsdd", "", {"sample_rate": 8000}),
    "speech_commands": ("speech_commands", "", {"sample_rate": 16000, "version": "0.01", "classes": "all"}),
    "an4": ("an4", "", {"sample_rate": 16000}),
    "waves_yesno": ("yesno", "", {"sample_rate": 8000}),
    "wake_words": (
        "audio_folder",
        "index.tsv",
        {"sample_rate": 16000, "path_column": "file", "label_column": "word"},
    ),
}


def table_of(data: Path) -> dict[str, tuple[int, float]]:
    """Items and minutes of each folder of speech, as the corpora's own table tells them."""
    text = (data / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `speech/(\w+)` \| [^|]+ \| ([\d,]+)[^|]* \| [^|/]+ / ([\d.]+)", text, re.MULTILINE)
    return {folder: (int(items.replace(",", "")), float(minutes)) for folder, items, minutes in rows}


LONG = {"speech_commands", "an4"}  # 100 minutes of sound


@pytest.mark.data
@pytest.mark.parametrize(
    "folder", [pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in SCRIPTS]
)
def test_a_corpus_has_the_items_and_minutes_of_its_table(data_folder: Path, tmp_path: Path, folder: str) -> None:
    name, table, options = SCRIPTS[folder]
    store = prepare(script(name), data_folder / "speech" / folder / table, tmp_path / "out", **options)
    assert refused(store) == {}
    items, minutes = table_of(data_folder)[folder]
    assert sum(count.rows for count in store.counts.values()) == items
    assert sum(count.seconds for count in store.counts.values()) / 60 == pytest.approx(minutes, abs=0.05)


@pytest.mark.data
def test_the_noise_of_speech_commands_is_whole(data_folder: Path) -> None:
    folder = data_folder / "speech" / "speech_commands"
    backgrounds = script("speech_commands").list_backgrounds(folder)
    assert len(backgrounds) == 6
    assert sum(read_audio(item.file).seconds for item in backgrounds) / 60 == pytest.approx(6.7, abs=0.05)
