"""Build a store: every input goes once through a `Process`, on any number of workers, safe to interrupt.

Inputs are cut into chunks. A worker turns one chunk into an Arrow file and the lines of its inputs, in `OUT.partial/`
(`partial.py`, `chunks.py`); a second run of the same command reuses finished chunks. Meanwhile finished chunks are
merged, in order, into the splits (`merge.py`), and at the end the folder is moved to OUT. Neither the number of
workers, nor the order in which they finish, nor the size of a chunk changes a byte of the store.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from seqaudio.errors import OptionError, SourceError, StoreError
from seqaudio.files import sync
from seqaudio.folders import check_contents, real_path
from seqaudio.interruption import Interrupted, number_of
from seqaudio.ledger import Status, decode_line, summarise
from seqaudio.locks import locked
from seqaudio.prepare.engine.chunks import Chunk, prepare_chunk
from seqaudio.prepare.engine.items import Item, Process, SplitChoice
from seqaudio.prepare.engine.merge import Merge
from seqaudio.prepare.engine.partial import LEDGER_LINES, PartialStore, chunk_file, read_identities
from seqaudio.prepare.engine.plan import Plan, chunk_size, make_plan, process_fingerprint
from seqaudio.prepare.engine.pool import completed
from seqaudio.prepare.engine.previous_store import previous_inputs
from seqaudio.progress import progress, say
from seqaudio.store import FOLDER, Store, StoreDescription, is_store


def build_store(
    out: Path,
    items: Sequence[Item],
    process: Process,
    description: StoreDescription,
    *,
    workers: int = 1,
    force: bool = False,
    update: bool = False,
    chunk: int | None = None,
    executor: Executor | None = None,
    splits: SplitChoice | None = None,
) -> Store:
    """Prepare a store at `out` from `items`, in their order.

    Args:
        process: turns an Item into rows. An item for which it raises InputFileError is refused, and in the ledger.
        workers: number of processes; 1 works in this process.
        force: replace an existing store.
        update: replace an existing store, but reuse the rows of unchanged inputs: the same item, the same bytes of its
            file, the same process. The result equals a fresh preparation, byte for byte.
        chunk: inputs in a chunk, at most, by default as many as `chunk_size` says; a chunk of large files has fewer.
        splits: chooses the splits of all items once their rows exist, from the identities that rows have; None:
            items and rows have their splits. An update then reads all inputs again, since any of them may change a
            split.
        executor: runs the work instead of local processes, such as that of a Dask cluster (`prepare/engine/dask.py`).

    Raises:
        OptionError: workers below 1.
        SourceError: no items; two of them share an id.
        StoreError: `out` exists and neither `force` nor `update` is given, or it is not a store; no input could be
            kept; two rows share an id that the process chose; a worker died.
        FolderError: the store at `out`, or OUT.partial, holds files that no preparation made.
        InUseError: another process prepares into `out`.
        Interrupted: Ctrl-C or SIGTERM.
    """
    if workers < 1:
        raise OptionError(f"--workers {workers}, expected at least 1")
    items = list(items)
    if not items:
        raise SourceError("nothing to prepare: no input was found")
    _check_ids(items)
    out = real_path(out)  # absolute, since workers may run in another folder; a link is followed
    fingerprint = process_fingerprint(process, description)
    plan = make_plan(items, fingerprint, chunk or chunk_size(len(items)), late=splits is not None)
    with locked(out.with_name(f"{out.name}.lock"), "store", out):
        partial = PartialStore(out)
        partial.check()
        if partial.was_moving(plan.fingerprint):
            return Store(out)
        check_output(out, force or update)
        if partial.is_moving:
            _tell_of_old(out)
        chunks = _chunks(items, plan, out if update and out.exists() and splits is None else None, fingerprint)
        work = functools.partial(
            prepare_chunk, partial.folder, process=process, description=description, late=splits is not None
        )
        try:
            _build(partial, plan, chunks, work, description, splits, workers, executor)
        except KeyboardInterrupt as stop:
            kept = "what is finished is kept; give the same command again to go on"
            raise Interrupted(kept, number_of(stop)) from None
    return Store(out)


def _build(
    partial: PartialStore,
    plan: Plan,
    chunks: Sequence[Chunk],
    work: Callable[[Chunk], int],
    description: StoreDescription,
    splits: SplitChoice | None,
    workers: int,
    executor: Executor | None,
) -> None:
    """Prepare the chunks that are not finished, merge all of them, and move the store to its place."""
    done = partial.open(plan.fingerprint)
    ready = sum(len(chunks[index].items) for index in done)
    waiting = (chunk for chunk in chunks if chunk.index not in done)
    partial.finished.mkdir()
    with Merge(partial.folder, partial.finished, description) as merge:
        with progress("preparing", sum(len(chunk.items) for chunk in chunks), "inputs", ready) as advance:
            for index in itertools.chain(sorted(done), completed(work, waiting, workers, executor)):
                if splits is None:
                    merge.add(index)
                if index not in done:
                    advance(len(chunks[index].items))
        if splits is not None:
            for chunk_done, chosen in zip(chunks, _chosen(splits, chunks, partial.folder), strict=True):
                merge.add(chunk_done.index, chosen)
        try:
            if not merge.close():
                raise StoreError(_nothing_kept(partial.folder, len(chunks)))
        except StoreError:
            partial.remove()
            raise
    for file in (*sorted(partial.finished.iterdir()), partial.finished):
        sync(file)
    partial.move()


def check_output(out: Path, force: bool) -> None:
    """Raise StoreError where `out` exists, unless it is a store and `force` is given.

    Raises FolderError where the store holds files that no store has, such as a run: they would be lost with it.
    """
    if not (out.exists() or out.is_symlink()):
        return
    if not is_store(out):
        raise StoreError(f"{out} exists and is not a store; choose another --out")
    if not force:
        raise StoreError(f"{out} exists; give --force to replace it, --update to redo what changed, or another --out")
    check_contents(real_path(out), FOLDER)


def _tell_of_old(out: Path) -> None:
    """Name the store at OUT.old, which an earlier version left if it was killed while it replaced OUT."""
    old = out.with_name(f"{out.name}.old")
    if not out.exists() and is_store(old):
        say(f"note: {old} is a store and stays; it may have been at {out} when a preparation was killed")


def _check_ids(items: Sequence[Item]) -> None:
    """Raise SourceError where two inputs share an id: found now, before work is done that could not be merged."""
    keys: dict[str, str] = {}
    for item in items:
        if item.id in keys:
            raise SourceError(
                f"{keys[item.id]} and {item.key} have the same id {item.id!r}, expected unique ids; leave one of them "
                f"out"
            )
        keys[item.id] = item.key


def _chunks(items: Sequence[Item], plan: Plan, store: Path | None, process: str) -> list[Chunk]:
    previous = [None] * len(items) if store is None else previous_inputs(store, items, process)
    return [
        Chunk(index, items[start:end], previous[start:end], store)
        for index, (start, end) in enumerate(itertools.pairwise([0, *plan.ends]))
    ]


def _chosen(splits: SplitChoice, chunks: Sequence[Chunk], folder: Path) -> list[Sequence[str]]:
    """The splits of each chunk's items, chosen from all items together."""
    given = [item.split for chunk in chunks for item in chunk.items]
    identities = [identity for chunk in chunks for identity in read_identities(folder, chunk.index)]
    every = iter(splits(given, identities))
    return [list(itertools.islice(every, len(chunk.items))) for chunk in chunks]


def _nothing_kept(folder: Path, chunks: int) -> str:
    lines = (chunk_file(folder, index, LEDGER_LINES).read_text(encoding="utf-8") for index in range(chunks))
    entries = [decode_line(line) for text in lines for line in text.splitlines()]
    message = f"none of the {len(entries):,} inputs could be kept: {summarise(entries)}"
    for entry in entries:
        if entry.status is not Status.KEPT:
            return f"{message}; the first: {entry.path}: {entry.reason}: {entry.detail}"
    return f"{message}, but they gave no rows"
