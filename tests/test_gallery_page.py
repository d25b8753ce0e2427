"""The gallery: commands that can be repeated anywhere, small files, and a program that spells trainings out."""

from __future__ import annotations

import re
import shlex
import sys
from importlib import import_module
from pathlib import Path

from conftest import ROOT
from seqaudio.cli.ideas import Copies
from seqaudio.midi import read_midi
from seqaudio.run_folder import RunFolder

sys.path.insert(0, str(ROOT / "docs" / "pages"))
gallery = import_module("gallery")

PAGE = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
LINES = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def test_every_piece_has_the_commands_that_made_it() -> None:
    assert [line.split()[1] for line in LINES][::3] == ["prepare"] * len(gallery.SECTIONS)
    assert len(LINES) == 3 * len(gallery.SECTIONS)
    assert not re.search(r"(?<![\w.])/\w", "\n".join(LINES)), "a path of one machine"


def test_files_are_there_and_small() -> None:
    names = re.findall(r"\]\((gallery/[^)]+)\)", PAGE)
    folder = ROOT / "docs"
    assert sorted(path.name for path in (folder / "gallery").iterdir()) == sorted(Path(name).name for name in names)
    sizes = {name: (folder / name).stat().st_size for name in names}
    assert all(size <= (300_000 if name.endswith(".wav") else 100_000) for name, size in sizes.items()), sizes
    assert sum(sizes.values()) < 2_000_000


def test_figures_and_the_training_of_a_run(tune_run: Path, tune_folder: Path) -> None:
    run = RunFolder(tune_run)
    words = shlex.split(gallery.training_command(run, "tunes", {}))
    assert words[:7] == ["seqaudio", "train", "music_generation", "--store", "stores/tunes", "--run", "runs/tunes"]
    assert words[words.index("--hidden-size") + 1] == str(run.config["settings"]["hidden_size"])
    assert "--learned-state" not in words, "an option that has its default"
    found = list(gallery.figures(run, read_midi(tune_folder / "tune00.mid"), Copies.of(run)))
    assert len(found) == len(gallery.COLUMNS) - 1
    assert float(found[-2]) > 0
