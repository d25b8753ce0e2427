"""A Dask cluster as the workers of a preparation: a local one here, reached through its address."""

from __future__ import annotations

import builtins
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from test_build_store import FEATURES, bytes_of, make_items

from conftest import RATE, Command, assert_refused, spoken
from seqaudio.errors import OptionError, StoreError
from seqaudio.features import FeatureSettings
from seqaudio.prepare.engine import Item, Row, build_store
from seqaudio.prepare.engine.dask import dask_executor
from seqaudio.prepare.speech.recordings import ExtractFeatures, speech_description

distributed = pytest.importorskip("distributed", reason='the extra is not installed: pip install ".[dask]"')


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers with two threads each, in this process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=False, dashboard_address=":0", protocol="tcp://"
    ) as cluster:
        yield cluster


def test_a_cluster_makes_the_same_bytes(cluster: Any, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(24):
        soundfile.write(folder / f"{number}.wav", spoken(number % 3, 0, number), RATE)
    (folder / "7.wav").write_text("no sound")
    settings = FeatureSettings(sample_rate=RATE)
    items = [Item(path.name, path, path.name, "train", label="yes") for path in sorted(folder.iterdir())]
    process, description = ExtractFeatures(settings), speech_description(settings)
    build_store(tmp_path / "plain", items, process, description)
    with dask_executor(cluster.scheduler_address) as executor:
        build_store(tmp_path / "dask", items, process, description, chunk=3, executor=executor)
    assert bytes_of(tmp_path / "plain") == bytes_of(tmp_path / "dask")


def test_what_a_worker_finds_wrong_arrives(cluster: Any, tmp_path: Path) -> None:
    items = make_items(tmp_path / "in")
    with (
        pytest.raises(StoreError, match=r"none of the 3 inputs could be kept.*says bad"),
        dask_executor(cluster.scheduler_address) as executor,
    ):
        bad = [item for item in items if item.file.read_text() == "bad"]
        build_store(tmp_path / "store", bad, refuse, FEATURES, executor=executor)


def refuse(item: Item) -> list[Row]:
    from seqaudio.errors import AudioError
    from seqaudio.ledger import Reason

    raise AudioError(item.file, Reason.NOT_AUDIO, "says bad")


def test_a_script_takes_the_address(cluster: Any, word_folder: Path, tmp_path: Path, command: Command) -> None:
    arguments = ("data_prep/audio_folder.py", "--source", word_folder, "--sample-rate", str(RATE))
    done = command(*arguments, "--out", tmp_path / "dask", "--dask", cluster.scheduler_address)
    assert done.returncode == 0, done.stderr
    assert command(*arguments, "--out", tmp_path / "plain").returncode == 0
    assert bytes_of(tmp_path / "plain") == bytes_of(tmp_path / "dask")


def test_an_address_where_nothing_answers_is_told_in_one_line(
    word_folder: Path, tmp_path: Path, command: Command
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    arguments = ("data_prep/audio_folder.py", "--source", word_folder, "--out", tmp_path / "out", "--dask", address)
    assert_refused(command(*arguments), address, "no Dask scheduler answers", "dask scheduler")


@pytest.mark.parametrize(
    "address", ["nonsense", "tcp://", "tcp://host", "tcp://host:port", "http://127.0.0.1:8786", "here://:::", ""]
)
def test_words_that_are_no_address_are_refused(address: str) -> None:
    with pytest.raises(OptionError, match=r"not an address .*; expected tcp://HOST:PORT"), dask_executor(address):
        raise AssertionError("there is no such cluster")


@pytest.mark.parametrize("address", ["nonsense", "tcp://"])
def test_words_that_are_no_address_are_all_that_is_told(
    address: str, word_folder: Path, tmp_path: Path, process: Command
) -> None:
    """Nothing follows the line, at the end of the process neither."""
    arguments = ("data_prep/audio_folder.py", "--source", word_folder, "--out", tmp_path / "out", "--dask", address)
    assert_refused(process(*arguments), f"--dask {address}: not an address", "tcp://HOST:PORT")


def test_an_encrypted_address_without_its_settings_is_refused() -> None:
    with pytest.raises(OptionError, match=r"no Dask scheduler answers there \(TypeError\)"), dask_executor("tls://a:1"):
        raise AssertionError("there is no such cluster")


def test_a_cluster_without_workers_is_refused() -> None:
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0", protocol="tcp://") as empty,
        pytest.raises(OptionError, match="the scheduler has no workers; start one: dask worker tcp://"),
        dask_executor(empty.scheduler_address),
    ):
        raise AssertionError("nobody would do the work")


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.startswith("distributed"):
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    for name in [name for name in sys.modules if name.split(".")[0] == "distributed"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OptionError, match=r'pip install "\.\[dask\]"'), dask_executor("tcp://127.0.0.1:1"):
        raise AssertionError("there is no such cluster")
