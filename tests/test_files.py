"""Whole files or none: what is written is on the disk before it takes the place of what was there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seqaudio.files import sync, write_bytes


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record calls of fsync and rename with the names of their files."""
    seen: list[str] = []
    replace = Path.replace

    def moved(path: Path, target: Path) -> Path:
        seen.append(f"move {path.name} to {target.name}")
        return replace(path, target)

    def synced(path: Path) -> None:
        seen.append(f"sync {path.name}")

    monkeypatch.setattr(Path, "replace", moved)
    monkeypatch.setattr("seqaudio.files.sync", synced)
    return seen


def test_a_file_is_synced_before_it_takes_its_place_and_its_folder_after(tmp_path: Path, events: list[str]) -> None:
    place = tmp_path / "folder" / "a.json"
    place.parent.mkdir()
    place.write_bytes(b"before")
    write_bytes(place, b"after")
    assert place.read_bytes() == b"after"
    assert events == ["sync a.json.partial", "move a.json.partial to a.json", "sync folder"]
    assert [path.name for path in place.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_syncing_asks_the_system_for_that_very_file(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / kind
    path.mkdir() if kind == "folder" else path.write_bytes(b"x")
    asked: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: asked.append(os.fstat(descriptor).st_ino))
    sync(path)
    assert asked == [path.stat().st_ino]
