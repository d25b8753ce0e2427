"""Helpers for tests of the speech preparations: scripts as modules, made-up recordings, archives, a server."""

from __future__ import annotations

import importlib.util
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import numpy as np
import soundfile

from conftest import ROOT, Command, spoken
from seqaudio.ledger import LedgerEntry, Status, read_ledger
from seqaudio.store import Store

RATE = 8000  # hertz, of the made-up recordings


def script(name: str) -> ModuleType:
    """A data_prep script as a module."""
    spec = importlib.util.spec_from_file_location(f"data_prep_{name}", ROOT / "data_prep" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def prepare(module: ModuleType, source: Path, out: Path, **options: object) -> Store:
    """Run a script's main as its command line would, at the rate of the made-up recordings."""
    module.main(module.Config(source=source, out=out, **{"sample_rate": RATE, **options}))
    return Store(out)


def prepared(command: Command, source: Path, out: Path) -> tuple[Store, str]:
    """The store that `data_prep/audio_folder.py` makes at the rate of these recordings, and all that it prints."""
    done = command("data_prep/audio_folder.py", "--source", source, "--out", out, "--sample-rate", str(RATE))
    assert done.returncode == 0, done.stderr
    return Store(out), done.stdout + done.stderr


def write_word(path: Path, word: int = 0, speaker: int = 0, take: int = 0) -> Path:
    """A made-up word in a file; its suffix tells the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.round(32767 * spoken(word, speaker, take)).astype(np.int16)  # so that FLAC and WAV hold the same
    kinds = {".mp3": ("MP3", "MPEG_LAYER_III"), ".sph": ("NIST", "PCM_16")}
    kind, subtype = kinds.get(path.suffix, (path.suffix[1:], "PCM_16"))
    with path.open("wb") as file:
        soundfile.write(file, samples, RATE, format=kind, subtype=subtype)
    return path


def refused(store: Store) -> dict[str, LedgerEntry]:
    """The ledger's lines of what was refused, by the keys of the items."""
    entries = read_ledger(store.path / "ledger.tsv")
    return {entry.path: entry for entry in entries if entry.status is Status.REFUSED}


def rows(store: Store) -> dict[str, int]:
    """Rows of each split."""
    return {split: count.rows for split, count in store.counts.items()}


def pack(archive: Path, folder: Path, top: str = "") -> Path:
    """A ZIP or a TAR, as the name says, of all files below a folder; in a folder `top` of the archive."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    files = [(path, f"{top}/{path.relative_to(folder).as_posix()}".lstrip("/")) for path in sorted(folder.rglob("*"))]
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            for path, name in files:
                zipped.write(path, name)
        return archive
    with tarfile.open(archive, "w:gz" if archive.suffix == ".gz" else "w") as tarred:
        for path, name in files:
            tarred.add(path, name, recursive=False)
    return archive


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a server on this machine that offers the files of a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()
