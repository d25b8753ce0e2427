"""The cache of compiled kernels where a write was interrupted, the disk is full, or it may not be written."""

from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cases import case_file, with_command
from seqaudio import jit

KERNEL = """
from seqaudio.jit import compiled

@compiled
def twice(x: float) -> float:
    return 2 * x
"""


@pytest.fixture
def hits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Import a module with a kernel anew, call it, and tell how often it came from the cache in `cache`."""
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    file = tmp_path / "kernel_of_a_test.py"
    file.write_text(KERNEL, encoding="utf-8")

    def call() -> int:
        jit._say_once.cache_clear()
        spec = importlib.util.spec_from_file_location("kernel_of_a_test", file)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        assert module.twice(3.0) == 6.0
        return sum(module.twice.stats.cache_hits.values())

    return call


@pytest.mark.parametrize(("suffix", "bytes_left"), [("nbi", 20), ("nbi", 0), ("nbc", 100)])
def test_a_damaged_cache_is_compiled_again(
    tmp_path: Path, hits: Callable[[], int], capsys: pytest.CaptureFixture[str], suffix: str, bytes_left: int
) -> None:
    assert (hits(), hits()) == (0, 1)
    torn = list((tmp_path / "cache").rglob(f"*.{suffix}"))
    assert torn
    for file in torn:
        os.truncate(file, bytes_left)
    assert hits() == 0
    assert "damaged" in capsys.readouterr().err
    assert hits() == 1
    assert capsys.readouterr().err == ""


def test_where_the_cache_cannot_be_another_place_is_taken(tmp_path: Path, hits: Callable[[], int]) -> None:
    (tmp_path / "cache").touch()
    assert (hits(), hits()) == (0, 1)


class FullDisk:
    """A cache of numba on a full disk."""

    cache_path = "kernels"

    def load_overload(self, signature: object, context: object) -> None:
        return None

    def save_overload(self, signature: object, kernel: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_on_a_full_disk_kernels_are_compiled_in_memory(capsys: pytest.CaptureFixture[str]) -> None:
    jit._say_once.cache_clear()
    cache = jit.KernelCache(FullDisk())
    assert cache.load_overload("signature", None) is None
    cache.save_overload("signature", None)
    cache.save_overload("signature", None)
    told = capsys.readouterr().err
    assert told.count("No space left") == 1
    assert "kernels" in told


@pytest.mark.slow
def test_the_case_of_a_torn_cache(tmp_path: Path) -> None:
    script = case_file("audio", "torn_kernel_cache.sh")
    environment = with_command(tmp_path / "bin")
    done = subprocess.run(
        ["bash", str(script), str(tmp_path)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.stdout.rstrip().endswith("rc 0"), done.stderr
