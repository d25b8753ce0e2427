"""The C file of a step under the sanitizers of gcc: whatever comes in, nothing dies and nothing leaks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_export import SPOTTING, STEPS, made

from seqaudio.export.c_file import FLAGS, c_source, run_program, to_pcm, torch_answers
from seqaudio.export.checking import examples

SANITIZED = (*FLAGS, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def sanitizers() -> bool:
    """Whether gcc is there with its sanitizers' libraries."""
    if shutil.which("gcc") is None:
        return False
    command = ["gcc", *SANITIZED, "-x", "c", "-", "-o", "/dev/null"]
    done = subprocess.run(command, input=b"int main(void) { return 0; }", capture_output=True, check=False)
    return done.returncode == 0


pytestmark = pytest.mark.skipif(not sanitizers(), reason="there is no gcc with address and undefined sanitizers")


def built(text: str, program: Path, *flags: str) -> Path:
    """A program under the sanitizers."""
    program.with_suffix(".c").write_text(text)
    command = ["gcc", *SANITIZED, *flags, str(program.with_suffix(".c")), "-o", str(program), "-lm"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""
    return program


@pytest.fixture(scope="module", params=["float", "int8"])
def spotter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    step = made("spotter", SPOTTING, classes=4, layers=2, hidden_size=24)
    text = c_source(step, step.graph(), "kws", request.param == "int8").text
    return built(text, tmp_path_factory.mktemp("sanitized") / "kws", "-DSEQAUDIO_MAIN")


def heard(program: Path, content: bytes, *arguments: str) -> tuple[int, str, str]:
    """Exit status, output and messages; a sanitizer that finds something ends with a status of its own and says so."""
    done = subprocess.run([program, *arguments], input=content, capture_output=True, timeout=100, check=False)
    assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr, done.stderr.decode()
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def noise(count: int) -> bytes:
    return to_pcm(0.3 * np.random.default_rng(0).standard_normal(count)).tobytes()


HOP = 160
SOUNDS: dict[str, Callable[[], tuple[bytes, int]]] = {  # and the calls in it
    "nothing": lambda: (b"", 0),
    "one byte": lambda: (b"x", 0),
    "an odd number of bytes": lambda: (noise(10 * HOP)[:-1], 9),
    "half a frame": lambda: (noise(HOP // 2), 0),
    "three and a half": lambda: (noise(7 * HOP // 2), 3),
    "a minute of silence": lambda: (bytes(2 * 8000 * 60), 3000),
    "full scale": lambda: (np.tile(np.array([-32768, 32767], "<i2"), 100 * HOP // 2).tobytes(), 100),
    "one value": lambda: (np.full(100 * HOP, -32768, "<i2").tobytes(), 100),
    "random bytes": lambda: (np.random.default_rng(1).bytes(200 * HOP), 100),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_any_sound_gives_finite_outputs(spotter: Path, name: str) -> None:
    content, calls = SOUNDS[name]()
    status, said, messages = heard(spotter, content, "raw")
    assert (status, messages) == (0, "")
    values = np.array(said.split(), dtype=np.float64)
    assert len(values) == 4 * max(0, calls - 1), "the first call does not count"
    assert np.isfinite(values).all()
    status, said, messages = heard(spotter, content)
    assert (status, messages) == (0, "")
    assert all(len(line.split("\t")) == 3 for line in said.splitlines())


@pytest.mark.parametrize("header", [b"RIFF\x24\0\0\0WAVEfmt ", b"fLaC\0\0\0\x22", b"OggS\0\x02"])
def test_a_file_with_a_header_is_refused(spotter: Path, header: bytes) -> None:
    status, said, messages = heard(spotter, header + noise(10 * HOP))
    assert (status, said) == (2, "")
    assert len(messages.splitlines()) == 1
    assert header[:4].decode() in messages
    assert "raw PCM of 16 bits, little-endian, 8000 Hz, one channel" in messages


@pytest.mark.parametrize("arguments", [("--raw",), ("",), ("raw", "raw"), ("%s%n",)])
def test_unknown_arguments_are_one_line(spotter: Path, arguments: tuple[str, ...]) -> None:
    status, said, messages = heard(spotter, b"", *arguments)
    assert (status, said) == (2, "")
    assert messages == f"usage: {spotter} [raw], and on stdin raw PCM of 16 bits, little-endian, 8000 Hz, one channel\n"


@pytest.mark.parametrize("name", ["events", "forecaster of windows", "recogniser of deltas"])
def test_other_kinds_are_sound_too(name: str, tmp_path: Path) -> None:
    step = made(name.split()[0], STEPS[name][0], **STEPS[name][1])
    program = built(c_source(step, step.graph(), "net").text, tmp_path / "net", "-DSEQAUDIO_MAIN")
    inputs = next(examples(step))
    np.testing.assert_allclose(run_program(program, step, inputs), torch_answers(step, inputs), atol=1e-3)
    if step.about.hop:
        return
    for content in (b"", b" \n", b"nan inf -inf 1e99" if name != "events" else b"-1 20 2147483647 -2147483648"):
        assert heard(program, content)[::2] == (0, "")
    count = step.example.numel()
    status, _, messages = heard(program, b"1 " * count + b"word")
    assert (status, messages.splitlines()) == (
        2, [f"error: number {count + 1} is none; expected {'ids' if name == 'events' else 'numbers'}, {count} a call"]
    )  # fmt: skip


OWN = """
#include "kws_step.c"
#include <stdio.h>
static kws net;
static float input[kws_INPUT], first[kws_OUTPUT], again[kws_OUTPUT];
static void calls(float *output) {
    kws_reset(&net);
    for (int call = 0; call < 10; call++) {
        for (int i = 0; i < kws_INPUT; i++) input[i] = sinf(0.1f * (float) (i * call));
        kws_step(&net, input, output);
    }
}
int main(void) {
    const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f};
    calls(first);
    for (int kind = 0; kind < 6; kind++) {
        for (int call = 0; call < 5; call++) {
            for (int i = 0; i < kws_INPUT; i++) input[i] = i % 7 ? 0.0f : bad[kind];
            kws_step(&net, input, again);
        }
        calls(again);
        if (memcmp(first, again, sizeof first)) return 1;
    }
    return 0;
}
"""


@pytest.mark.parametrize("int8", [False, True])
def test_nan_in_a_step_is_gone_after_a_reset(tmp_path: Path, int8: bool) -> None:
    step = made("spotter", SPOTTING, classes=4, layers=2, hidden_size=24)
    (tmp_path / "kws_step.c").write_text(c_source(step, step.graph(), "kws", int8).text)
    assert heard(built(OWN, tmp_path / "own"), b"") == (0, "", "")
