"""Thousands of damaged files, as a preparation meets them: every one is read or refused, and the good ones arrive."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from conftest import ROOT
from seqaudio.audio import read_audio
from seqaudio.audio.guard import CHILD
from seqaudio.errors import AudioError
from seqaudio.guarded.parent import Guard
from seqaudio.ledger import Reason

MEBIBYTES = 500  # that no file may make a process take
pytest.importorskip("av", reason='damaged media need the extra: pip install ".[media]"')


def prepared(tmp_path: Path, count: int, timeout: float) -> dict[str, Any]:
    """What the preparation of so many damaged files reports; nothing but that may be printed."""
    script = ROOT / "tests" / "mutated_audio.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "in"), str(count), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["entries"] == count + report["good"]
    return report


def assert_well(report: dict[str, Any]) -> None:
    assert report["lost"] == []
    assert report["not_finite"] == []
    assert report["died"] == []
    assert report["megabytes"] < MEBIBYTES
    assert report["megabytes_of_children"]
    assert max(report["megabytes_of_children"]) < MEBIBYTES
    assert {"damaged", "truncated", "not_audio"} <= report["reasons"].keys()


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
def test_hundreds_of_damaged_files_harm_nothing(tmp_path: Path) -> None:
    assert_well(prepared(tmp_path, 340, timeout=120))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
def test_five_thousand_damaged_files_harm_nothing(tmp_path: Path) -> None:
    assert_well(prepared(tmp_path, 5000, timeout=1200))


def test_a_file_that_ends_the_decoder_is_refused_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.mp3", np.zeros(4000, dtype=np.float32), 16000)
    (tmp_path / "deadly.mp3").write_bytes(b"ID3 and what kills")
    child = tmp_path / "child.py"
    child.write_text(FRAGILE.format(folder=str(CHILD.parents[2])))
    guard = Guard(child, 3072, "the decoder", "numpy")
    monkeypatch.setattr("seqaudio.audio.guard.the_guard", lambda *arguments: guard)
    with pytest.raises(AudioError) as caught:
        read_audio(tmp_path / "deadly.mp3")
    assert caught.value.reason is Reason.PARSER_CRASHED
    assert read_audio(tmp_path / "a.mp3").sample_rate == 16000
    monkeypatch.setattr("seqaudio.audio.guard.SECONDS", 0.3)
    (tmp_path / "endless.mp3").write_bytes(b"ID3 and what never ends")
    with pytest.raises(AudioError) as caught:
        read_audio(tmp_path / "endless.mp3")
    assert caught.value.reason is Reason.PARSER_TIMEOUT
    monkeypatch.setattr("seqaudio.audio.guard.SECONDS", 30.0)
    assert read_audio(tmp_path / "a.mp3").sample_rate == 16000
    guard.close()


FRAGILE = """
import json, os, sys, time
sys.path.insert(0, {folder!r})
from seqaudio.audio.decoder_child import work
from seqaudio.guarded.child import serve

def fragile(request):
    name = os.path.basename(bytes.fromhex(json.loads(request)["path"]))
    if name == b"deadly.mp3":
        os.abort()
    if name == b"endless.mp3":
        time.sleep(60)
    return work(request)

serve(fragile, 3072)
"""
