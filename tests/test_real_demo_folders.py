"""Folders of demos and of archives in work: what of the user's lies in them stays."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_real_folders import tree

from conftest import Command, assert_refused
from seqaudio.cli import demo
from seqaudio.errors import FolderError, OptionError
from seqaudio.folders import MARK
from seqaudio.prepare.corpora.folder import PublishedArchive, fill_folder
from seqaudio.prepare.corpora.splits import check_limit


def make_demo(out: Path) -> demo.Config:
    config = demo.Config(out=out)
    demo.open_folder(config)
    for name in (
        "keywords-store/store.json",
        "chorales-store.partial/plan.txt",
        f"chorales-store.partial/{MARK}",
        "keywords-run/config.json",
        "keywords-run/resume/epoch-00001-batch-0000000.json",
        "keywords-run/tensorboard/events.out.tfevents.1.host.1.0",
        "keywords-run/figures/curves.png",
        "README.txt",
        "chorale.wav",
    ):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("x")
    return config


@pytest.mark.parametrize(
    "name", ["another.mid", "runs/mine/config.json", "keywords-run/notes.txt", "keywords-store/thesis.txt"]
)
def test_a_demo_is_not_begun_anew_over_files_of_the_user(name: str, tmp_path: Path) -> None:
    config = make_demo(tmp_path / "demo")
    (tmp_path / "demo" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "demo" / name).write_text("precious")
    before = tree(tmp_path)
    with pytest.raises(FolderError, match=f"holds {name}"):
        demo.main(replace(config, force=True))
    assert tree(tmp_path) == before


def test_a_demo_alone_is_begun_anew(tmp_path: Path) -> None:
    config = make_demo(tmp_path / "demo")
    demo.open_folder(replace(config, seed=2, force=True))
    assert tree(tmp_path).keys() == {"demo", "demo/demo.json"}
    assert json.loads((tmp_path / "demo" / "demo.json").read_text())["seed"] == 2


@pytest.mark.parametrize("content", ["{}", "null", "[1]", "{", '{"words": []}'])
def test_a_file_that_is_called_as_the_mark_is_none(content: str, tmp_path: Path, command: Command) -> None:
    (tmp_path / "demo.json").write_text(content)
    (tmp_path / "thesis.txt").write_text("precious")
    assert_refused(command("seqaudio", "demo", "--out", tmp_path, "--force"), "is not a demo")
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def archive_of(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("corpus/wavs/a.txt", "x")
    return path


@pytest.mark.parametrize("mark", [None, "mine"])
def test_a_folder_in_place_of_the_unpacked_is_refused(mark: str | None, tmp_path: Path) -> None:
    archive, source = archive_of(tmp_path / "a.zip"), tmp_path / "source"
    partial = source / "unpacking.partial"
    partial.mkdir(parents=True)
    (partial / "thesis.txt").write_text("precious")
    if mark:
        (partial / MARK).write_text(mark)
    with pytest.raises(FolderError, match=r"unpacking\.partial"):
        fill_folder(source, "wavs", PublishedArchive("http://localhost/a.zip"), archive=archive)
    assert (partial / "thesis.txt").read_text() == "precious"


def test_what_an_unpacking_left_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, source = archive_of(tmp_path / "a.zip"), tmp_path / "source"
    rename: Callable[[Path, Path], Path] = Path.rename

    def killed(path: Path, target: Path) -> Path:
        raise SystemExit

    published = PublishedArchive("http://localhost/a.zip")
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Path, "rename", killed)
        patch.setattr("seqaudio.prepare.corpora.folder.remove", lambda folder, kind: None)
        fill_folder(source, "wavs", published, archive=archive)
    assert Path.rename is rename
    assert (source / "unpacking.partial").is_dir()
    fill_folder(source, "wavs", published, archive=archive)
    assert tree(source).keys() == {"wavs", "wavs/a.txt"}


def test_a_limit_of_texts_is_at_least_one(tmp_path: Path, command: Command) -> None:
    text = tmp_path / "a.txt"
    text.write_text("enough letters, " * 40)
    for limit in ("0", "-1"):
        done = command("data_prep/text_file.py", "--source", text, "--out", tmp_path / "out", "--limit", limit)
        assert_refused(done, f"--limit {limit}", "expected 1 to")
    with pytest.raises(OptionError, match="at least 1"):
        check_limit(0)
