"""docs/adding_a_recipe.md and docs/python.md keep their word: the script trains, and every block runs."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from conftest import ROOT, SMALL, Command

RECIPE, PYTHON = ((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8") for page in ("adding_a_recipe", "python"))


def test_the_commands_of_the_recipe_page_do_what_it_says(command: Command, word_folder: Path, tmp_path: Path) -> None:
    splits = ("train", "train", "train", "train", "valid", "test")
    lines = [
        f"{path},{path.parent.name},{path.stem[:2]},{splits[int(path.stem[-1])]}"
        for path in sorted(word_folder.rglob("*.wav"))
    ]
    (tmp_path / "table.csv").write_text("\n".join(["path,label,speaker,split", *lines]))
    (code,) = re.findall(r"```python\n(.*?)```", RECIPE, re.DOTALL)
    (tmp_path / "speakers.py").write_text(code, encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)```", RECIPE, re.DOTALL)
    (_, *prepare), (_, *train), (_, *info) = map(shlex.split, block.splitlines())
    done = command("seqaudio", *prepare, "--sample-rate", "8000", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = command(tmp_path / "speakers.py", *train[1:], *SMALL[2:], folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(re.findall(r"accuracy ([\d.]+) %", done.stdout)[0]) > 60
    assert "the most frequent speaker" in done.stdout
    told = command("seqaudio", *info, folder=tmp_path)
    assert "run of speakers" in told.stdout


def test_the_blocks_of_the_python_page_run(
    command: Command, word_run: Path, spotting_run: Path, word_folder: Path, tune_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    shutil.copytree(word_run, tmp_path / "runs" / "words")
    shutil.copytree(spotting_run, tmp_path / "runs" / "stream")
    shutil.copy(word_folder / "two" / "s1_2.wav", tmp_path / "RECORDING.wav")
    done = command("seqaudio", "prepare", "midi_folder", "--source", tune_folder, "--out", tmp_path / "tunes")
    assert done.returncode == 0, done.stderr
    options = ("--store", tmp_path / "tunes", "--run", tmp_path / "runs" / "tunes", "--epochs", "1", *SMALL)
    assert command("seqaudio", "train", "music_generation", *options).returncode == 0
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PYTHON, re.DOTALL):
        exec(compile(block, "python.md", "exec"), names)
    printed = capsys.readouterr().out
    assert re.search(r"^two 0\.\d+$", printed, re.MULTILINE)
    assert re.search(r"^0\.\d\d to 0\.\d\d s: two [01]\.\d+$", printed, re.MULTILINE)
    assert re.search(r"^two [01]\.\d+ True \['two'\]$", printed, re.MULTILINE)
    assert "keyword_recognition" in printed
    assert (tmp_path / "tune.mid").stat().st_size > 50


@pytest.mark.parametrize("page", [RECIPE, PYTHON], ids=["adding_a_recipe", "python"])
def test_links_of_the_pages_lead_somewhere(page: str) -> None:
    for place in re.findall(r"\]\(([^)#]+)\)", page):
        assert (ROOT / "docs" / place).exists(), place
