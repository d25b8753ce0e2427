"""The page of a run hears a played clip in Chromium, from a file and without a server."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_export import SPOTTING, made

from conftest import RATE, Command, assert_refused, spoken
from seqaudio.audio import read_audio
from seqaudio.decoding.spotting import Spotter
from seqaudio.export.checking import examples
from seqaudio.export.js_file import js_source, run_module, run_node
from seqaudio.export.js_page import RESAMPLER, page_source
from seqaudio.rendering.sound import write_wav
from seqaudio.run_folder import RunFolder

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
SECONDS = 60  # for anything that the browser is asked for


class Chromium:
    """A browser without a window, asked through its pipes; messages end with a zero byte."""

    def __init__(self, folder: Path, clip: Path) -> None:
        assert CHROMIUM is not None
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        os.dup2(theirs_in, 103)
        os.dup2(theirs_out, 104)
        for end in (103, 104):
            os.set_inheritable(end, True)
        command = f'exec "$0" "$@" 3<&{103} 4>&{104}'
        options = (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={folder}",
            "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={clip}", "--no-first-run", "--disable-dev-shm-usage",
        )  # fmt: skip
        self.process = subprocess.Popen(
            ["bash", "-c", command, CHROMIUM, *options], pass_fds=(103, 104), stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (103, 104, theirs_in, theirs_out):
            os.close(end)
        self._from, self._to = os.fdopen(ours_in, "rb", 0), os.fdopen(ours_out, "wb", 0)
        self._rest, self._count, self._session = b"", 0, ""

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command of the DevTools protocol."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                part = self._from.read(1 << 16)
                assert part, "the browser has ended"
                self._rest += part
            found, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(found)
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, page: Path) -> None:
        """Show a page in a new tab."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.navigate", url=page.as_uri())
        self.wait('document.readyState === "complete" && !!document.querySelector("#bars i")')

    def value(self, expression: str) -> Any:
        """What an expression gives in the page; promises are waited for."""
        found = self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + SECONDS
        while not self.value(expression):
            assert time.monotonic() < end, (expression, self.value("document.body.innerText"))
            time.sleep(0.1)

    def rows(self) -> list[list[str]]:
        """Time, label and confidence of each hit, the first first."""
        texts: list[list[str]] = self.value(
            'Array.from(document.querySelectorAll("#hits li"), (row) => Array.from(row.children, (o) => o.textContent))'
        )
        return texts[::-1]

    def close(self) -> None:
        """End it, whatever state it is in."""
        with contextlib.suppress(OSError, AssertionError):
            self._session = ""
            self.ask("Browser.close")
        self._to.close()
        self._from.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two words with quiet around them."""
    samples = 1e-3 * np.random.default_rng(0).standard_normal(4 * RATE)
    for place, word in enumerate((1, 2)):
        part = spoken(word, 1, 2)
        samples[(1 + 4 * place) * RATE // 2 :][: len(part)] += part
    file = tmp_path_factory.mktemp("words") / "words.wav"
    write_wav(file, samples, RATE)
    return file


@pytest.fixture(scope="module")
def page(command: Command, spotting_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "kws.html"
    done = command("seqaudio", "export", spotting_run, "--page", file)
    assert (done.returncode, done.stderr) == (0, "")
    return file


@pytest.fixture(scope="module")
def browser(page: Path, words: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    found = Chromium(tmp_path_factory.mktemp("profile"), words)
    try:
        found.open(page)
        yield found
    finally:
        found.close()


@needs_chromium
@pytest.mark.slow
def test_a_clip_that_is_played_to_the_microphone_is_heard(browser: Chromium) -> None:
    browser.value('document.getElementById("listen").click()')
    browser.wait('document.getElementById("hits").children.length >= 2')
    assert browser.value('document.getElementById("listen").getAttribute("aria-pressed")') == "true"
    browser.value('document.getElementById("listen").click()')
    assert {row[1] for row in browser.rows()[:2]} == {"two", "three"}
    assert browser.value('document.getElementById("status").textContent') == "Stopped."


@needs_chromium
@pytest.mark.slow
def test_a_recording_gives_the_hits_of_listen(browser: Chromium, spotting_run: Path, words: Path) -> None:
    handle = browser.ask("Runtime.evaluate", expression='document.getElementById("file")')["result"]["objectId"]
    browser.ask("DOM.setFileInputFiles", files=[str(words)], objectId=handle)
    browser.wait('document.getElementById("status").textContent.includes("heard")')
    spotter = Spotter(RunFolder(spotting_run))
    hits = [*spotter.push(read_audio(words, RATE).samples), *spotter.finish()]
    rows = browser.rows()
    assert [row[1] for row in rows] == [hit.keyword for hit in hits] == ["two", "three"]
    for row, hit in zip(rows, hits, strict=True):
        assert float(row[2]) == pytest.approx(hit.confidence, abs=0.003)
        assert abs(float(row[0].removeprefix("0:")) - hit.at) < 0.5


@needs_chromium
@needs_node
@pytest.mark.slow
def test_chromium_computes_what_node_computes(browser: Chromium) -> None:
    step = made("spotter", SPOTTING, classes=4, layers=1, filters=4)
    module, inputs = js_source(step, step.graph()), next(examples(step))
    url = f"data:text/javascript;base64,{base64.b64encode(module.encode()).decode()}"
    program = f"""import("{url}").then(({{ about, initialState, step }}) => {{
        let state = initialState();
        return {json.dumps(inputs.reshape(len(inputs), -1).tolist())}.map((input) => {{
            const found = step(input, state);
            state = found.state;
            return Array.from(found.output);
        }}).slice(about.warm_up);
    }})"""
    np.testing.assert_array_equal(np.array(browser.value(program), dtype=np.float32), run_module(module, inputs))


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 1200])
def test_nothing_is_wider_than_the_screen(browser: Chromium, width: int) -> None:
    browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=700, deviceScaleFactor=1, mobile=False)
    assert browser.value("document.documentElement.scrollWidth") <= width
    columns = browser.value('getComputedStyle(document.querySelector("main")).gridTemplateColumns').split()
    assert len(columns) == (1 if width == 320 else 2)


@needs_node
@pytest.mark.parametrize(("rate", "target"), [(48000, 16000), (44100, 16000), (8000, 16000), (44100, 8000)])
def test_the_resampler_keeps_tones_in_blocks_of_any_length(rate: int, target: int) -> None:
    program = f"""{RESAMPLER}
        const tone = Float32Array.from({{ length: {rate} }}, (_, i) => Math.sin(2 * Math.PI * 1000 * i / {rate}));
        const runs = [{rate}, 128].map((length) => {{
            const resampler = new Resampler({rate}, {target}), found = [];
            for (let at = 0; at < tone.length; at += length) found.push(...resampler.push(tone.slice(at, at + length)));
            return found;
        }});
        console.log(JSON.stringify(runs));
    """
    one, other = (np.array(found) for found in json.loads(run_node("", program, b"")))
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert target - 200 < len(one) <= target
    expected = np.sin(2 * np.pi * 1000 * np.arange(len(one)) / target)
    np.testing.assert_allclose(one[50:-50], expected[50:-50], atol=0.01)


def test_a_label_cannot_end_the_script() -> None:
    step = made("spotter", SPOTTING, classes=4, layers=1, filters=4)
    label = "</script><!--<SCRIPT>alert(1)//"
    labels = (label, *step.about.labels[1:])
    step.about = replace(step.about, labels=labels, thresholds=dict.fromkeys(labels, 0.5), licence="<b>&</b>")
    text = page_source(step, js_source(step, step.graph()))
    assert (text.lower().count("</script"), text.lower().count("<script"), text.count("<!--")) == (1, 1, 0)
    assert r'"\x3c/script>\x3c!--\x3cSCRIPT>alert(1)//"' in text, "the same string for the program"
    assert "<b>" not in text.partition("<script")[0]
    assert "http" not in text.replace("http-equiv", ""), "nothing is loaded from elsewhere"


def test_a_model_without_sound_has_no_page(
    command: Command, word_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqaudio.export.export_step", lambda run: made("events", vocabulary_size=20))
    done = command("seqaudio", "export", word_run, "--page", tmp_path / "a.html", "--js", tmp_path / "a.js")
    assert_refused(done, "--page is for models that hear")
    assert list(tmp_path.iterdir()) == []
