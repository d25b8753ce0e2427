"""`OUT.partial/`: the finished part of a preparation, from which one that was killed resumes."""

from __future__ import annotations

import json
import os
import re
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path

from seqaudio.errors import FolderError
from seqaudio.files import naming, sha256_of, sync, write_bytes
from seqaudio.folders import MARK, Kind, check_contents, is_marked, put_mark, remove, swap_folder
from seqaudio.progress import say
from seqaudio.store import FOLDER

LEDGER_LINES, INPUT_LINES, IDENTITIES = ".ledger.tsv", ".inputs.tsv", ".identities.txt"  # files of a chunk
PREPARATION = Kind(
    "a preparation",
    re.compile(rf"(plan\.txt|moving\.txt)(\.partial)?|chunk-\d{{6,}}\.[^/]+|(store|replaced)/{FOLDER.files.pattern}"),
)
CRC_BLOCK = 1 << 18  # bytes, few enough to be still in the cache when they are summed


class PartialStore:
    """The folder beside OUT in which a preparation works.

        made-by-seqaudio.txt the mark (`folders.py`)
        plan.txt             fingerprint of all that decides the chunks; where it differs, the folder is emptied
        chunk-000000.arrow   rows of a chunk, split after split; missing where it has none
        chunk-000000.ledger.tsv, .inputs.tsv     lines of its inputs, without column names
        chunk-000000.identities.txt              an identity for each input, where splits are chosen at the end
        chunk-000000.json    its journal, written last: the names of these files and their CRC-32
        store/               the finished store, until it is moved to OUT
        moving.txt           SHA-256 of store/store.json, written before the move
        replaced/            the store that was at OUT, while the new one moves there; removed last

    A chunk counts as finished only if its files match the checksums of its journal. So no file here is synced: a chunk
    that a power cut damaged is made again.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.with_name(out.name + ".partial")

    @property
    def finished(self) -> Path:
        """The folder in which the store is assembled."""
        return self.folder / "store"

    def is_of(self, plan: str) -> bool:
        """Whether a previous run worked here on the same plan."""
        file = self.folder / "plan.txt"
        return file.is_file() and file.read_text(encoding="ascii") == plan

    @property
    def replaced(self) -> Path:
        """The place, during the move, of the store that was at OUT."""
        return self.folder / "replaced"

    def check(self) -> None:
        """Raise FolderError where a folder of this name exists that no preparation made, or that has other files."""
        if not (self.folder.exists() or self.folder.is_symlink()):
            return
        if not self.folder.is_dir():
            raise FolderError(f"{self.folder} is a file, expected a folder; move it elsewhere, or choose another --out")
        check_contents(self.folder, PREPARATION)
        if not (is_marked(self.folder, PREPARATION) or self._is_of_version_1() or not any(self.folder.iterdir())):
            raise FolderError(
                f"{self.folder} was not made by a preparation, expected one or nothing; move it elsewhere, or choose "
                f"another --out"
            )

    def _is_of_version_1(self) -> bool:
        """Whether an earlier version made the folder: these put no mark into it."""
        file = self.folder / "plan.txt"
        return file.is_file() and re.fullmatch(rb"[0-9a-f]{64}", file.read_bytes()) is not None

    def open(self, plan: str) -> set[int]:
        """Make the folder for a plan. Returns the numbers of the chunks that an interrupted run had finished."""
        if self.folder.exists() and not self.is_of(plan):
            self.remove()
        put_mark(self.folder, PREPARATION)
        write_bytes(self.folder / "plan.txt", plan.encode("ascii"))
        (self.folder / "moving.txt").unlink(missing_ok=True)
        if self.finished.exists():
            remove(self.finished, FOLDER)
        return {index for journal in self.folder.glob("chunk-*.json") if (index := _intact(journal)) is not None}

    def move(self) -> None:
        """Move the finished store to OUT. `was_moving` of the next run completes a move that was interrupted.

        Raises FolderError where the store at OUT now holds files of another kind.
        """
        digest = sha256_of(self.finished / "store.json")
        write_bytes(self.folder / "moving.txt", digest.encode("ascii"))
        self._swap()
        self.remove()

    @property
    def is_moving(self) -> bool:
        """Whether a move to OUT was begun and not finished."""
        return (self.folder / "moving.txt").is_file()

    def was_moving(self, plan: str) -> bool:
        """Complete the move of a store where a run of this plan was interrupted in it; False where none was.

        Where a run of another plan was killed between its two renames, the store that was at OUT is put back.
        """
        if not self.is_moving:
            if self.folder.is_dir() and not any(path.is_file() for path in self.folder.rglob("*") if path.name != MARK):
                self.remove()  # killed in the last instant
            return False
        wanted = (self.folder / "moving.txt").read_text(encoding="ascii")
        here = _digest_of_store(self.out)
        if self.replaced.is_dir() and self.out.exists() and here != wanted:
            raise FolderError(
                f"{self.replaced} is the store that was at {self.out} when a preparation was killed; move it elsewhere"
            )
        if self.is_of(plan) and _digest_of_store(self.finished) == wanted:
            self._swap()
        elif self.replaced.is_dir() and not self.out.exists():
            self.replaced.rename(self.out)
            sync(self.out.parent)
            say(f"note: a preparation was killed while it replaced {self.out}; the previous store was put back")
            return False
        elif here != wanted:
            return False
        same = self.is_of(plan)
        self.remove()  # the move was complete
        return same

    def _swap(self) -> None:
        if self.out.exists():
            check_contents(self.out, FOLDER)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        swap_folder(self.finished, self.out, self.replaced)

    def remove(self) -> None:
        """Remove the folder, plan.txt first, so that a half-removed folder matches no plan, and moving.txt last."""
        (self.folder / "plan.txt").unlink(missing_ok=True)
        remove(self.folder, PREPARATION, last="moving.txt")


def _digest_of_store(folder: Path) -> str:
    file = folder / "store.json"
    return sha256_of(file) if file.is_file() else ""


def _intact(journal: Path) -> int | None:
    """The number of a journal's chunk; None where a file does not match its checksum."""
    try:
        known: dict[str, int] = json.loads(journal.read_text(encoding="ascii"))
        intact = all(_crc32_of(journal.with_name(name)) == checksum for name, checksum in known.items())
    except (OSError, ValueError):
        return None  # torn by a power cut
    return int(journal.stem.removeprefix("chunk-")) if intact else None


def _crc32_of(path: Path) -> int:
    """CRC-32 of a file's bytes: enough to detect torn files, at a third of the cost of SHA-256."""
    checksum = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(CRC_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


def chunk_file(folder: Path, index: int, suffix: str) -> Path:
    """A file of a chunk."""
    return folder / f"chunk-{index:06d}{suffix}"


def write_journal(folder: Path, index: int, files: Sequence[Path]) -> None:
    """Mark a chunk as finished, with the CRC-32 of its files."""
    content = json.dumps({file.name: _crc32_of(file) for file in files})
    put(chunk_file(folder, index, ".json"), content.encode("ascii"))


def put(path: Path, content: bytes) -> None:
    """Write a file under `own_name`, then rename it."""
    own = own_name(path)
    with naming(path):
        own.write_bytes(content)
        own.replace(path)


def own_name(path: Path) -> Path:
    """A temporary name beside `path` that no other worker writes to.

    A worker of a killed run may still be writing the same chunk. Its bytes are the same, but a reader must not see half
    of them.
    """
    return path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")


def read_identities(folder: Path, index: int) -> list[bytes]:
    """The identities of a chunk's items, in order; empty for an item without rows."""
    lines = chunk_file(folder, index, IDENTITIES).read_text(encoding="ascii").splitlines()
    return [bytes.fromhex(line) for line in lines]
