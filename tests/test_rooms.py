"""The rooms of the code are those of docs/architecture.md, and none imports another in a circle."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conftest import ROOT

sys.path.append(str(ROOT / "docs" / "pages"))

import rooms
import walks


def test_the_page_draws_the_arrows_of_the_code() -> None:
    text = rooms.PAGE.read_text(encoding="utf-8")
    assert rooms.filled(text) == text, "run python docs/pages/rooms.py"


def test_every_room_has_its_line_in_the_page() -> None:
    text = rooms.PAGE.read_text(encoding="utf-8")
    table = text[text.index("## Rooms") : text.index(rooms.BEGIN)]
    names = (f"`{room}/`" if rooms.is_folder(room) else f"`{room}.py`" for room in rooms.room_graph())
    assert [name for name in names if name not in table and name != "`seqaudio.py`"] == []


def test_no_room_imports_another_in_a_circle() -> None:
    assert rooms.cycle(rooms.room_graph()) == []


def test_no_module_imports_another_in_a_circle() -> None:
    assert rooms.cycle(rooms.module_graph()) == []


def package(folder: Path, sources: dict[str, str]) -> Path:
    for name, source in sources.items():
        file = folder / "seqaudio" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    return folder


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    late = "def f():\n    from seqaudio.models import thing\n    return thing\n"
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from seqaudio.models.base import Model\n"
    sources = {
        "store": "",
        "models/__init__": "thing = 1",
        "models/base": "import seqaudio.store",
        "models/late": "from seqaudio import store",
        "cells/lstm": late,
        "cells/typed": typed,
    }
    root = package(tmp_path, sources)
    graph = rooms.room_graph(root)
    assert graph["cells"] == {"models"}
    assert graph["models"] == {"store"}
    assert rooms.module_graph(root)["seqaudio.cells.typed"] == frozenset()


@pytest.mark.parametrize(
    ("arrows", "expected"),
    [
        ({"a": "b", "b": "c", "c": ""}, []),
        ({"a": "b", "b": "c", "c": "b"}, ["b", "c", "b"]),
        ({"a": "bc", "b": "d", "c": "d", "d": "a"}, ["a", "b", "d", "a"]),
    ],
)
def test_a_circle_is_told_by_its_rooms(arrows: dict[str, str], expected: list[str]) -> None:
    assert rooms.cycle({room: frozenset(targets) for room, targets in arrows.items()}) == expected


def test_an_arrow_that_others_stand_for_is_left_out_of_the_picture() -> None:
    graph = {"a": frozenset("bc"), "b": frozenset("c"), "c": frozenset()}
    assert rooms.direct(graph) == {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset()}
    assert rooms.levels(graph) == {"a": 2, "b": 1, "c": 0}


# --- walks ---


@pytest.fixture(scope="module")
def both() -> dict[str, walks.Walk]:
    return {"wav": walks.wav_walk(), "midi": walks.midi_walk()}


def test_the_page_has_the_walks_of_today(both: dict[str, walks.Walk]) -> None:
    text = walks.PAGE.read_text(encoding="utf-8")
    for walk in both.values():
        for stop in walk.stops:
            assert f"`{stop.function}`" in text, "run python docs/pages/walks.py"
            assert stop.does in text.replace("\\|", "|"), "run python docs/pages/walks.py"


@pytest.mark.parametrize("kind", ["wav", "midi"])
def test_a_file_is_in_the_store_within_45_functions_of_23_files(both: dict[str, walks.Walk], kind: str) -> None:
    walk = both[kind]
    assert 10 < len(walk.stops) <= 45
    assert walk.files <= 23
    assert all(stop.does for stop in walk.stops)


def test_a_recording_is_read_once_and_passes_the_steps_in_their_order(both: dict[str, walks.Walk]) -> None:
    names = [stop.function for stop in both["wav"].stops]
    way = ["read_audio", "ExtractFeatures.rows", "sound_faults", "extract_batch", "RowWriter.add", "read_rows"]
    assert [name for name in names if name in way] == way
