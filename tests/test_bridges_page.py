"""docs/bridges.md and docs/installing.md keep their word: every block runs, every extra and option is there."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest
import torch

from conftest import ROOT
from seqaudio.store import Store

BRIDGES, INSTALLING = ((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8") for page in ("bridges", "installing"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_blocks_of_the_page_run_and_give_stores_of_the_words(
    word_folder: Path, tune_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for package in ("datasets", "librosa", "music21"):
        pytest.importorskip(package)
    shutil.copytree(word_folder, tmp_path / "WORDS")
    shutil.copy(tune_folder / "tune00.mid", tmp_path / "tune.mid")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", BRIDGES, re.DOTALL):
        assert len(block.splitlines()) <= 10
        exec(compile(block, "bridges.md", "exec"), names)
    assert "torch.Size([4, 1, 40, 49])" in capsys.readouterr().out
    assert isinstance(names["back"], torch.nn.LSTM)
    words, clips, frames = (Store(f"stores/{name}") for name in ("words", "clips", "librosa"))
    for store in (words, clips, frames):
        assert sum(count.rows for count in store.counts.values()) == len(list(word_folder.rglob("*.wav")))
        assert set(store["train"].labels) == {"one", "two", "three"}
    assert words["train"].ids[0].startswith("one/s")


@pytest.mark.parametrize("page", [BRIDGES, INSTALLING], ids=["bridges", "installing"])
def test_links_of_the_pages_lead_somewhere(page: str) -> None:
    for place in re.findall(r"\]\(([^)#]+)\)", page):
        assert (ROOT / "docs" / place).exists(), place


def test_extras_of_the_installing_page_are_those_of_the_project() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    named = {extra for found in re.findall(r"\[([a-z0-9,]+)\]", INSTALLING) for extra in found.split(",")}
    named |= set(re.findall(r"--extra (\w+)", INSTALLING))
    assert named >= {"demo", "cpu"}
    assert named <= extras.keys()


def test_uv_takes_torch_from_another_index_only_where_it_is_asked_to() -> None:
    uv = PROJECT["tool"]["uv"]
    (index,) = uv["index"]
    assert index["explicit"]
    (source,) = uv["sources"]["torch"]
    assert (source["index"], source["extra"]) == (index["name"], "cpu")
    assert PROJECT["project"]["optional-dependencies"]["cpu"] == [
        line for line in PROJECT["project"]["dependencies"] if line.startswith("torch>")
    ]
