"""The guard of child processes: they may die, hang or talk nonsense, and the next request is answered all the same."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqaudio.errors import InputFileError, SeqAudioError
from seqaudio.guarded.parent import ChildCrashedError, ChildTimeoutError, Guard

FAKE_CHILD = """
    import json, os, struct, sys, time
    served = 0
    def answer(reply):
        text = json.dumps(reply).encode()
        sys.stdout.buffer.write(struct.pack("<IQ", len(text), 0) + text)
        sys.stdout.buffer.flush()
    answer({"ready": True})
    while head := sys.stdin.buffer.read(8):
        data = sys.stdin.buffer.read(*struct.unpack("<Q", head))
        if data == b"die" or (data == b"die later" and served):
            os._exit(3)
        if data == b"hang":
            time.sleep(600)
        if data == b"nonsense":
            sys.stdout.buffer.write(struct.pack("<IQ", 4, 0) + b"%&/(")
            sys.stdout.buffer.flush()
        served += 1
        answer({"served": served, "length": len(data)})
    open(__file__ + ".ended", "w").close()
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A child that dies, hangs or talks nonsense when told to."""
    path = tmp_path / "fake_child.py"
    path.write_text(textwrap.dedent(FAKE_CHILD))
    return path


@pytest.fixture
def guard(script: Path) -> Iterator[Guard]:
    fake = Guard(script, 100, "the fake", "json")
    yield fake
    fake.close()


def test_a_child_that_dies_is_blamed_and_replaced(guard: Guard) -> None:
    assert guard.ask(b"good", 20)[0]["served"] == 1
    with pytest.raises(ChildCrashedError, match="died with status 3"):
        guard.ask(b"die", 20)
    assert guard.ask(b"good", 20)[0] == {"served": 1, "length": 4}


def test_a_child_that_hangs_is_ended_at_the_deadline(guard: Guard) -> None:
    begin = time.monotonic()
    with pytest.raises(ChildTimeoutError, match=r"no reply within 0\.2 s"):
        guard.ask(b"hang", 0.2)
    assert time.monotonic() - begin < 15
    assert guard.ask(b"good", 20)[0]["served"] == 1


def test_a_child_that_talks_nonsense_is_replaced(guard: Guard) -> None:
    with pytest.raises(ChildCrashedError, match="an invalid reply"):
        guard.ask(b"nonsense", 20)
    assert guard.ask(b"good", 20)[0]["served"] == 1


def test_a_request_is_not_blamed_for_what_an_earlier_one_damaged(guard: Guard) -> None:
    guard.ask(b"good", 20)
    assert guard.ask(b"die later", 20)[0]["served"] == 1


def test_a_large_request_passes_the_pipe_whole(guard: Guard) -> None:
    assert guard.ask(bytes(3_000_000), 20)[0]["length"] == 3_000_000


def test_a_child_that_does_not_start_is_no_fault_of_the_input(tmp_path: Path) -> None:
    with pytest.raises(SeqAudioError, match="the fake does not start") as caught:
        Guard(tmp_path / "nowhere.py", 100, "the fake", "json").ask(b"good", 5)
    assert not isinstance(caught.value, InputFileError)


def test_the_child_ends_when_its_parent_is_gone(script: Path) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from seqaudio.guarded.parent import Guard
        Guard(Path(sys.argv[1]), 100, "the fake", "json").ask(b"good", 20)
        os._exit(0)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(script)], timeout=120, check=False)
    assert done.returncode == 0
    ended = script.with_name(script.name + ".ended")
    patience = time.monotonic() + 20
    while not ended.exists():
        assert time.monotonic() < patience, "the child lives on"
        time.sleep(0.05)
