"""The page of `seqaudio serve` in headless Chromium: a recording is heard, a piece composed, played and downloaded."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import RATE, spoken

pytest.importorskip("fastapi", reason='the extra is not installed: pip install ".[web]"')
pytest.importorskip("uvicorn", reason='the extra is not installed: pip install ".[web]"')
pytest.importorskip("websockets", reason='the extra is not installed: pip install ".[web]"')

from chromium import Page, chromium, until
from serving import MEGABYTES, SECONDS, Place, holding

import seqaudio
from seqaudio.api.music import Music
from seqaudio.notes.keys import key_named, scale_of
from seqaudio.run_folder import RunFolder
from seqaudio.web.pieces import Musician
from seqaudio.web.recordings import listener_of
from seqaudio.web.server import PAGE, Served

# name, outline and accessible name of what has the focus; the button for files is a label, which shows it
FOCUSED = """(() => {
  const e = document.activeElement;
  const seen = e.id === 'file' ? document.querySelector('label[for=file]') : e;
  const name = e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent || e.innerText || '';
  return [e.id || e.name || e.tagName, getComputedStyle(seen).outlineStyle, name.trim()];
})()"""
NARROW, WIDE = 360, 1100  # CSS pixels


@pytest.fixture(scope="module")
def place(spotting_run: Path, tune_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    temporary = tmp_path_factory.mktemp("temporary")
    served = Served(
        {"spotter": listener_of(RunFolder(spotting_run))},
        {"tunes": Musician(Music(RunFolder(tune_run)))},
        SECONDS,
        MEGABYTES,
        "127.0.0.1",
    )
    before, tempfile.tempdir = tempfile.tempdir, str(temporary)
    try:
        with Place(served, temporary) as place:
            yield place
    finally:
        tempfile.tempdir = before


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`two` after a second of quiet, `one` after another, and a second more."""
    quiet = 1e-3 * np.random.default_rng(0).standard_normal((3, RATE)).astype(np.float32)
    file = tmp_path_factory.mktemp("recording") / "words.wav"
    soundfile.write(file, np.concatenate([quiet[0], spoken(1, 1, 2), quiet[1], spoken(0, 1, 2), quiet[2]]), RATE)
    return file


def opened(page: Page, place: Place, width: int = WIDE) -> None:
    page.screen(width, 900)
    page.open(f"http://127.0.0.1:{place.port}/")
    page.wait("document.querySelector('#ear').options.length > 0")


def hear(page: Page, file: Path) -> None:
    page.give("#file", file)
    page.wait(f"document.querySelector('#heard-title').textContent === {json.dumps(file.name)}")


def inks(page: Page, selector: str) -> int:
    """How many colours a canvas has."""
    return int(
        page.run(
            f"(() => {{ const c = document.querySelector({json.dumps(selector)}); const d = c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data; return new Set(new Uint32Array(d.buffer)).size })()"
        )
    )


def test_a_recording_is_heard_and_a_piece_composed_played_and_downloaded(
    place: Place, recording: Path, tune_run: Path, tmp_path: Path
) -> None:
    with chromium(tmp_path) as page:
        opened(page, place)
        hear(page, recording)
        assert re.fullmatch(r"two [\d.]+–[\d.]+ s one [\d.]+–[\d.]+ s", page.text("#answer"))
        rows = page.run("[...document.querySelectorAll('#hits-table tbody tr')].map(row => row.cells[0].textContent)")
        assert rows == ["two", "one"]
        page.run("document.querySelector('#gates-details').open = true")
        for number in range(page.run("document.querySelectorAll('#heard canvas').length")):
            page.run(f"document.querySelectorAll('#heard canvas')[{number}].id = 'canvas{number}'")
            until(lambda number=number: inks(page, f"#canvas{number}") > 3, "a canvas stays empty")
        page.run("cursor.value = 1.4; cursor.dispatchEvent(new Event('input'))")
        assert "1.40 s · two " in page.text("#readout")

        (tmp_path / "notes.txt").write_text("no sound at all")
        with holding(place):
            page.give("#file", tmp_path / "notes.txt")
            page.wait("document.querySelector('#ear-status').textContent === 'waiting: 1 before you'")
        page.wait("!document.querySelector('#ear-error').hidden")
        assert page.text("#ear-error").startswith("not audio: begins with")
        assert page.text("#heard-title") == "words.wav", "what was heard before stays"

        keys = page.run("[...document.querySelector('#wishes').key.options].map(option => option.value)")
        assert len({scale_of(key_named(key)) for key in keys[1:]}) == 24
        assert len(set(keys)) == 25

        page.click("#tab-compose")
        page.run("wishes.seed.value = 5; wishes.bars.value = 6")
        page.downloads(tmp_path / "downloads")
        page.click("#write")
        page.wait("document.querySelector('#wav').href && !document.querySelector('#write').disabled")
        assert page.text("#piece-title") == "Piece, seed 5"
        assert inks(page, "#roll") > 3
        page.run("document.querySelector('#player').play()")
        page.wait("document.querySelector('#player').currentTime > 0.1")
        assert page.run("new DOMMatrix(getComputedStyle(document.querySelector('#needle')).transform).e") > 46
        for kind in ("midi", "wav", "musicxml"):
            page.click(f"#{kind}")
        files = [tmp_path / "downloads" / f"tunes-seed5.{suffix}" for suffix in ("mid", "wav", "musicxml")]
        until(lambda: all(file.is_file() for file in files), "a download does not come")
        assert files[0].read_bytes() == seqaudio.load(tune_run).generate(seed=5, bars=6).bytes(".mid")
        assert abs(soundfile.info(files[1]).duration - page.run("document.querySelector('#player').duration")) < 0.01
        assert files[2].read_bytes().startswith(b"<?xml")
        assert [fault for fault in page.faults if "415" not in fault] == []
    assert place.left_on_disk() == []


@pytest.mark.slow
def test_everything_is_reached_by_keyboard_and_seen_where_it_is(place: Place, recording: Path, tmp_path: Path) -> None:
    with chromium(tmp_path) as page:
        opened(page, place)
        hear(page, recording)
        reached = walked(page, 16)
        assert reached[:6] == ["tab-listen", "ear", "record", "live", "file", "recording"]
        assert {"cursor", "SUMMARY"} <= set(reached)
        page.run("document.querySelector('#cursor').focus()")
        before = page.text("#readout")
        page.press("ArrowRight")
        page.wait(f"document.querySelector('#readout').innerText !== {json.dumps(before)}")

        page.run("document.querySelector('#tab-listen').focus()")
        page.press("ArrowRight")
        assert page.run("document.activeElement.id") == "tab-compose"
        assert not page.run("document.querySelector('#compose').hidden")
        reached = walked(page, 14)
        fields = {"hand", "bars", "seed", "temperature", "tempo", "key", "form", "primer", "write", "another"}
        assert fields <= set(reached)
        page.run("document.querySelector('#write').focus()")
        page.press("Enter")
        page.wait("document.querySelector('#wav').href && !document.querySelector('#write').disabled")
        assert page.run("document.activeElement.id") == "write", "the focus stays where it was"
        page.run("document.querySelector('#roll-scroller').focus()")
        page.press("ArrowRight")
        first = page.text("#note")
        page.press("ArrowRight")
        assert first != page.text("#note")
        assert ", bar 1, " in first


def walked(page: Page, steps: int) -> list[str]:
    """The names of what Tab reaches, each of which has a name for readers of the screen and a visible focus.

    Players of sound show the focus on their own controls.
    """
    found = []
    page.run("document.activeElement.blur()")
    for _ in range(steps):
        page.press("Tab")
        told = page.run(FOCUSED)
        if told[0] == "BODY":
            break
        found.append(told[0])
        assert told[1] != "none" or told[0] in ("recording", "player"), f"{told[0]} has no visible focus"
        assert told[2], f"{told[0]} has no name"
    return found


@pytest.mark.slow
def test_a_microphone_is_heard_live_and_recorded(place: Place, recording: Path, tmp_path: Path) -> None:
    flags = [
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}",
    ]  # fmt: skip
    with chromium(tmp_path, flags) as page:
        opened(page, place)
        page.click("#live")
        page.wait("document.querySelectorAll('#live-words li').length >= 2")
        words = page.run("[...document.querySelectorAll('#live-words li')].map(line => line.textContent.split(',')[0])")
        assert set(words) == {"one", "two"}
        assert inks(page, "#live-plot") > 3
        page.click("#live")
        page.click("#record")
        page.wait("/ [5-9][.]/.test(document.querySelector('#ear-status').textContent)")
        page.click("#record")
        page.wait("!document.querySelector('#heard').hidden")
        assert "two" in page.text("#answer")
        page.wait("document.querySelector('#recording').duration > 4")
        assert page.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_nothing_is_wider_than_the_window(
    place: Place, recording: Path, tmp_path: Path, width: int, dark: bool
) -> None:
    with chromium(tmp_path) as page:
        opened(page, place, width)
        page.screen(width, 900, dark)
        hear(page, recording)
        assert page.run("document.documentElement.scrollWidth") <= width
        page.picture(tmp_path / "heard.png")
        page.click("#tab-compose")
        page.click("#write")
        page.wait("document.querySelector('#wav').href && !document.querySelector('#write').disabled")
        assert page.run("document.documentElement.scrollWidth") <= width
        page.picture(tmp_path / "piece.png")


def test_texts_and_lines_stand_out_in_both_themes() -> None:
    text = (PAGE / "page.css").read_text()
    light, dark = (
        dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", part)) for part in text.split("prefers-color-scheme: dark")[:2]
    )
    light.pop("--h0")
    for colours in (light, {**light, **dark}):
        for ground in ("--ground", "--card"):
            for ink in ("--ink", "--soft", "--accent", "--wrong"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
            for ink in ("--s0", "--s1", "--s2", "--s3", "--s4", "--s5", "--focus"):
                assert contrast(colours[ink], colours[ground]) >= 3, (ink, ground)
        assert contrast(colours["--on-accent"], colours["--accent"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2 of two colours such as #0b6462."""

    def luminance(colour: str) -> float:
        parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
