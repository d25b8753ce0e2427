"""The build of a store: equal bytes however it was made, and nothing lost when it is interrupted."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from seqaudio.errors import AudioError, InputFileError, OptionError, SourceError, StoreError
from seqaudio.ledger import Reason, Status, read_ledger
from seqaudio.prepare.engine import Item, Process, Row, build_store
from seqaudio.prepare.engine.plan import CHUNK_BYTES, chunk_size, make_plan
from seqaudio.prepare.engine.statistics import statistics_of, statistics_of_each
from seqaudio.store import SPLITS, Store, StoreDescription


@dataclass(frozen=True)
class NumberToFrames:
    """A file that holds a number n becomes n frames; `bad` is refused; a pause makes an interruption possible."""

    width: int = 3
    pause: float = 0.0

    def __call__(self, item: Item) -> list[Row]:
        time.sleep(self.pause)
        text = item.file.read_text()
        if text == "bad":
            raise AudioError(item.file, Reason.NOT_AUDIO, "says bad")
        return [Row(item.id, frames_of(int(text), self.width), duration=int(text) / 100)]


def frames_of(number: int, width: int = 3) -> np.ndarray:
    return np.random.default_rng(number).normal(size=(number, width)).astype(np.float32)


FEATURES = StoreDescription("features", {"features": {"kind": "numbers"}}, sources=("made up",), normalise=True)


def make_items(folder: Path, count: int = 60) -> list[Item]:
    folder.mkdir(exist_ok=True)
    items = []
    for number in range(count):
        path = folder / f"{number:03d}.txt"
        path.write_text("bad" if number % 20 == 7 else str(number % 13))
        items.append(Item(path.name, path, path.stem, split=SPLITS[number % 3], label=f"label {number % 2}"))
    return items


def bytes_of(store: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(store.iterdir())}


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    items = make_items(tmp_path / "in")
    store = build_store(tmp_path / "store", items, NumberToFrames(), FEATURES)
    kept = [item for number, item in enumerate(items) if number % 20 != 7]
    for split in SPLITS:
        wanted = [item for item in kept if item.split == split]
        assert store[split].ids == [item.id for item in wanted]
        assert store[split].labels == [item.label for item in wanted]
        assert store[split].column("duration") == [int(item.file.read_text()) / 100 for item in wanted]
        for sequence, item in zip(store[split], wanted, strict=True):
            np.testing.assert_array_equal(sequence, frames_of(int(item.file.read_text())))
    assert store.names.names == ("label 0", "label 1")


def test_normalisation_comes_from_training_frames_alone(tmp_path: Path) -> None:
    store = build_store(tmp_path / "store", make_items(tmp_path / "in"), NumberToFrames(), FEATURES)
    frames = np.concatenate(list(store["train"])).astype(np.float64)
    assert store.normalisation is not None
    assert store.normalisation.frames == len(frames)
    np.testing.assert_allclose(store.normalisation.mean, frames.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(store.normalisation.std, frames.std(axis=0), rtol=1e-9)


@pytest.mark.parametrize(("workers", "chunk"), [(2, 64), (1, 7), (3, 3)])
def test_workers_and_chunks_never_change_the_bytes(tmp_path: Path, workers: int, chunk: int) -> None:
    items = make_items(tmp_path / "in")
    build_store(tmp_path / "plain", items, NumberToFrames(), FEATURES)
    build_store(tmp_path / "other", items, NumberToFrames(), FEATURES, workers=workers, chunk=chunk)
    assert bytes_of(tmp_path / "plain") == bytes_of(tmp_path / "other")


@dataclass(frozen=True)
class Together(NumberToFrames):
    """The same, for several items at once; it cannot be called with one."""

    def __call__(self, item: Item) -> list[Row]:
        raise AssertionError(f"called with {item.id} alone")

    def many(self, items: Sequence[Item]) -> Iterator[list[Row] | InputFileError]:
        for item in items:
            try:
                yield NumberToFrames()(item)
            except InputFileError as error:
                yield error


def test_a_process_for_many_items_gives_the_same_store(tmp_path: Path) -> None:
    items = make_items(tmp_path / "in")
    one = build_store(tmp_path / "one", items, NumberToFrames(), FEATURES)
    many = build_store(tmp_path / "many", items, Together(), FEATURES)
    assert one.fingerprint == many.fingerprint
    assert read_ledger(one.path / "ledger.tsv") == read_ledger(many.path / "ledger.tsv")


@pytest.mark.parametrize("process", [NumberToFrames(), Together()])
def test_any_executor_serves_and_changes_no_byte(tmp_path: Path, process: Process) -> None:
    items = make_items(tmp_path / "in")
    build_store(tmp_path / "plain", items, process, FEATURES)
    with ThreadPoolExecutor(3) as executor:
        build_store(tmp_path / "other", items, process, FEATURES, chunk=4, executor=executor)
    assert bytes_of(tmp_path / "plain") == bytes_of(tmp_path / "other")


class Backwards(Executor):
    """An executor that does what it was given last first."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[int], Callable[[], int]]] = []

    def submit(self, fn: Callable[..., int], /, *args: object, **kwargs: object) -> Future[int]:
        future = Future[int]()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        if len(self.waiting) == 15:
            for waiting, work in reversed(self.waiting):
                waiting.set_result(work())
        return future


def test_the_order_in_which_chunks_are_done_changes_no_byte(tmp_path: Path) -> None:
    items = make_items(tmp_path / "in")
    build_store(tmp_path / "plain", items, NumberToFrames(), FEATURES)
    build_store(tmp_path / "other", items, NumberToFrames(), FEATURES, chunk=4, executor=Backwards())
    assert bytes_of(tmp_path / "plain") == bytes_of(tmp_path / "other")


def test_a_worker_that_dies_is_told_and_its_work_can_go_on(tmp_path: Path) -> None:
    items = make_items(tmp_path / "in")
    build_store(tmp_path / "plain", items, NumberToFrames(), FEATURES)
    (tmp_path / "in" / "044.txt").write_text("die")
    with pytest.raises(StoreError, match=r"a worker process died .* run the command again"):
        build_store(tmp_path / "store", items, DiesOnce(), FEATURES, workers=2, chunk=4)
    assert len(list((tmp_path / "store.partial").glob("chunk-*.json"))) >= 8
    (tmp_path / "in" / "044.txt").write_text(str(44 % 13))
    store = build_store(tmp_path / "store", items, DiesOnce(), FEATURES)
    assert store.fingerprint == Store(tmp_path / "plain").fingerprint


@dataclass(frozen=True)
class DiesOnce(NumberToFrames):
    """Ends its process on a file that says so."""

    def __call__(self, item: Item) -> list[Row]:
        if item.file.read_text() == "die":
            time.sleep(0.5)  # the other worker is to finish something
            os._exit(3)
        return super().__call__(item)


def test_large_splits_are_cut_into_shards_that_read_like_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = make_items(tmp_path / "in")
    whole = build_store(tmp_path / "whole", items, NumberToFrames(), FEATURES)
    monkeypatch.setattr("seqaudio.prepare.engine.merge.BATCH_BYTES", 200)
    monkeypatch.setattr("seqaudio.prepare.engine.merge.SHARD_BYTES", 500)
    cut = build_store(tmp_path / "cut", items, NumberToFrames(), FEATURES)
    other = build_store(tmp_path / "other", items, NumberToFrames(), FEATURES, chunk=3)
    assert bytes_of(cut.path) == bytes_of(other.path)
    assert {"train-00000.arrow", "train-00001.arrow", "valid-00000.arrow"} <= set(cut.files)
    assert "train.arrow" not in cut.files
    assert cut.normalisation == whole.normalisation
    assert cut.counts == whole.counts
    for split in SPLITS:
        assert cut[split].ids == whole[split].ids
        assert [cut[split].fields(row) for row in range(len(cut[split]))] == [
            whole[split].fields(row) for row in range(len(whole[split]))
        ]
        for one, other_one in zip(whole[split], cut[split], strict=True):
            np.testing.assert_array_equal(one, other_one)


def test_a_row_larger_than_a_record_batch_is_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqaudio.prepare.engine.merge.BATCH_BYTES", 10)
    monkeypatch.setattr("seqaudio.prepare.engine.rows.HELD_BYTES", 10)
    items = make_items(tmp_path / "in", 12)
    store = build_store(tmp_path / "store", items, NumberToFrames(), FEATURES)
    wanted = [frames_of(n % 13) for n in range(0, 12, 3)]
    for sequence, frames in zip(store["train"], wanted, strict=True):
        np.testing.assert_array_equal(sequence, frames)


def test_many_record_batches_read_like_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = make_items(tmp_path / "in")
    whole = build_store(tmp_path / "whole", items, NumberToFrames(), FEATURES)
    monkeypatch.setattr("seqaudio.prepare.engine.merge.BATCH_ROWS", 4)
    cut = build_store(tmp_path / "cut", items, NumberToFrames(), FEATURES)
    for split in SPLITS:
        for one, other in zip(whole[split], cut[split], strict=True):
            np.testing.assert_array_equal(one, other)
        assert cut[split].ids == whole[split].ids


def test_the_first_rows_of_a_split_are_its_head(tmp_path: Path) -> None:
    train = build_store(tmp_path / "store", make_items(tmp_path / "in"), NumberToFrames(), FEATURES)["train"]
    head = train.head(4)
    assert (len(head), head.ids, head.labels) == (4, train.ids[:4], train.labels[:4])
    assert [len(sequence) for sequence in head] == train.lengths[:4].tolist()
    assert len(train.head(10_000)) == len(train.head(None)) == len(train)


def test_the_ledger_names_every_input_once(tmp_path: Path) -> None:
    items = make_items(tmp_path / "in")
    items.append(Item("gone.txt", tmp_path / "in" / "gone.txt", "gone", split="train"))
    build_store(tmp_path / "store", items, NumberToFrames(), FEATURES)
    entries = read_ledger(tmp_path / "store" / "ledger.tsv")
    assert [entry.path for entry in entries] == [item.key for item in items]
    refused = {entry.path: (entry.reason, entry.detail) for entry in entries if entry.status is not Status.KEPT}
    assert refused == {
        "007.txt": (Reason.NOT_AUDIO, "says bad"),
        "027.txt": (Reason.NOT_AUDIO, "says bad"),
        "047.txt": (Reason.NOT_AUDIO, "says bad"),
        "gone.txt": (Reason.MISSING, "no such file"),
    }


def test_an_existing_store_is_kept_without_force(tmp_path: Path) -> None:
    items = make_items(tmp_path / "in")
    build_store(tmp_path / "store", items, NumberToFrames(), FEATURES)
    before = bytes_of(tmp_path / "store")
    with pytest.raises(StoreError, match="--force"):
        build_store(tmp_path / "store", items[:5], NumberToFrames(), FEATURES)
    assert bytes_of(tmp_path / "store") == before
    build_store(tmp_path / "store", items[:5], NumberToFrames(), FEATURES, force=True)
    assert len(Store(tmp_path / "store")["train"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "store"]


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("x")
    with pytest.raises(StoreError, match="not a store"):
        build_store(tmp_path / "precious", make_items(tmp_path / "in"), NumberToFrames(), FEATURES, force=True)
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "x"


def test_keeping_nothing_fails_with_the_reasons_and_leaves_nothing(tmp_path: Path) -> None:
    items = [item for item in make_items(tmp_path / "in") if item.file.read_text() == "bad"]
    with pytest.raises(StoreError, match=r"none of the 3 inputs could be kept: .*3 not_audio.*007.txt.*says bad"):
        build_store(tmp_path / "store", items, NumberToFrames(), FEATURES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_no_input_and_senseless_options_are_refused(tmp_path: Path) -> None:
    items = make_items(tmp_path / "in", 4)
    with pytest.raises(SourceError, match="no input"):
        build_store(tmp_path / "store", [], NumberToFrames(), FEATURES)
    with pytest.raises(OptionError, match="--workers 0"):
        build_store(tmp_path / "store", items, NumberToFrames(), FEATURES, workers=0)


def test_inputs_of_one_id_are_refused_before_the_work_begins(tmp_path: Path) -> None:
    items = make_items(tmp_path / "in", 4)
    again = replace(items[0], key="copy.txt")
    with pytest.raises(SourceError, match=r"000\.txt and copy\.txt have the same id '000', .*; leave one of them out"):
        build_store(tmp_path / "store", [*items, again], refuse_to_work, FEATURES)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def refuse_to_work(item: Item) -> list[Row]:
    raise AssertionError(f"called with {item.id}")


def test_rows_to_which_the_process_gives_one_id_are_refused(tmp_path: Path) -> None:
    def same(item: Item) -> list[Row]:
        return [Row("same", frames_of(3), 0.03)]

    with pytest.raises(StoreError, match="two rows share the id 'same'"):
        build_store(tmp_path / "store", make_items(tmp_path / "in", 4), same, FEATURES)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_statistics_that_are_no_numbers_are_refused_with_the_row(tmp_path: Path, value: float) -> None:
    @dataclass(frozen=True)
    class Damaged(NumberToFrames):
        def __call__(self, item: Item) -> list[Row]:
            (row,) = super().__call__(item)
            if item.id in ("009", "012"):
                row.sequence[1] = value
            return [row]

    items = make_items(tmp_path / "in", 20)
    with pytest.raises(StoreError, match=r"the row '009' holds NaN.*correct or remove its input"):
        build_store(tmp_path / "store", items, Damaged(), FEATURES, chunk=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_damaged_store_is_told_apart_from_a_missing_one(tmp_path: Path) -> None:
    store = build_store(tmp_path / "store", make_items(tmp_path / "in"), NumberToFrames(), FEATURES)
    with pytest.raises(StoreError, match="no such folder"):
        Store(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="not a store"):
        Store(tmp_path / "in")
    (store.path / "train.arrow").write_bytes(b"ARROW1 is not what follows")
    with pytest.raises(StoreError, match="not a readable Arrow file"):
        Store(store.path)["train"]
    (store.path / "store.json").write_text('{"format": 1}')
    with pytest.raises(StoreError, match="damaged"):
        Store(store.path)


def test_stores_open_in_other_tools(tmp_path: Path) -> None:
    import pyarrow.feather

    store = build_store(tmp_path / "store", make_items(tmp_path / "in"), NumberToFrames(), FEATURES)
    table = pyarrow.feather.read_table(store.path / "train.arrow")
    assert table.column("length").to_pylist() == store["train"].lengths.tolist()
    assert "time" not in (store.path / "store.json").read_text()
    assert str(tmp_path) not in (store.path / "store.json").read_text()


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_build_store import FEATURES, NumberToFrames, known_items
from seqaudio.prepare.engine import build_store
if __name__ == "__main__":
    folder = Path({folder!r})
    items = known_items(folder / "in")
    build_store(folder / "store", items, NumberToFrames(pause={pause}), FEATURES, workers={workers}, chunk=4)
"""


def known_items(folder: Path) -> list[Item]:
    """The items of `make_items` without writing their files again."""
    paths = sorted(folder.iterdir())
    return [
        Item(path.name, path, path.stem, split=SPLITS[number % 3], label=f"label {number % 2}")
        for number, path in enumerate(paths)
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_preparation_goes_on_and_ends_in_equal_bytes(tmp_path: Path, workers: int) -> None:
    items = make_items(tmp_path / "in")
    build_store(tmp_path / "whole", items, NumberToFrames(pause=0.03), FEATURES, chunk=4)
    text = SCRIPT.format(tests=str(Path(__file__).parent), folder=str(tmp_path), pause=0.03, workers=workers)
    script = tmp_path / "script.py"
    script.write_text(text)
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    partial = tmp_path / "store.partial"
    deadline = time.monotonic() + 60
    while len(list(partial.glob("chunk-*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "store").exists()
    finished = {path.name: path.stat().st_mtime_ns for path in partial.glob("chunk-*.json")}
    assert 3 <= len(finished) < 15
    kept = dict(finished)
    again = subprocess.Popen([sys.executable, str(script)])
    while not (tmp_path / "store").exists() and again.poll() is None:
        seen = {path.name: path.stat().st_mtime_ns for path in partial.glob("chunk-*.json")}
        kept = {name: stamp for name, stamp in kept.items() if seen.get(name, stamp) == stamp}
        time.sleep(0.005)
    assert again.wait(60) == 0
    assert kept == finished, "finished chunks were made again"
    assert bytes_of(tmp_path / "store") == bytes_of(tmp_path / "whole")


@pytest.mark.parametrize("suffix", [".arrow", ".ledger.tsv", ".inputs.tsv", ".json"])
def test_a_chunk_that_a_power_cut_tore_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    items = make_items(tmp_path / "in")
    build_store(tmp_path / "whole", items, NumberToFrames(), FEATURES, chunk=4)

    def breaks_off(*arguments: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("seqaudio.prepare.engine.build.Merge.close", breaks_off)
        build_store(tmp_path / "store", items, NumberToFrames(), FEATURES, chunk=4)
    torn = tmp_path / "store.partial" / f"chunk-000002{suffix}"
    torn.write_bytes(torn.read_bytes()[:-7])
    build_store(tmp_path / "store", items, NumberToFrames(), FEATURES, chunk=4)
    assert bytes_of(tmp_path / "store") == bytes_of(tmp_path / "whole")


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    make_items(tmp_path / "in")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), folder=str(tmp_path), pause=0.2, workers=2))
    process = subprocess.Popen([sys.executable, str(script)])
    deadline = time.monotonic() + 60
    while not list((tmp_path / "store.partial").glob("chunk-*.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(workers) >= 2
    process.kill()
    process.wait()
    while any(is_running(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(worker) for worker in workers)


def is_running(process: int) -> bool:
    """False for a process that ended, also where nobody has asked for its status yet."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("moment", ["before", "between", "after"])
@pytest.mark.parametrize("force", [False, True])
def test_a_move_that_was_interrupted_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, force: bool
) -> None:
    items = make_items(tmp_path / "in")
    build_store(tmp_path / "whole", items, NumberToFrames(), FEATURES)
    if force:
        build_store(tmp_path / "store", items[:9], NumberToFrames(), FEATURES)

    def breaks_off(new: Path, place: Path, aside: Path) -> None:
        if moment != "before" and place.exists():
            place.replace(aside)
        if moment == "after":
            new.replace(place)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("seqaudio.prepare.engine.partial.swap_folder", breaks_off)
        build_store(tmp_path / "store", items, NumberToFrames(), FEATURES, force=force)
    store = build_store(tmp_path / "store", items, NumberToFrames(), FEATURES, force=force)
    assert bytes_of(store.path) == bytes_of(tmp_path / "whole")
    assert not (tmp_path / "store.partial").exists()


def test_another_plan_starts_from_nothing(tmp_path: Path) -> None:
    items = make_items(tmp_path / "in")
    partial = tmp_path / "store.partial"
    partial.mkdir()
    (partial / "plan.txt").write_text("0" * 64)
    (partial / "chunk-000000.json").write_text("{}")
    store = build_store(tmp_path / "store", items, NumberToFrames(), FEATURES)
    build_store(tmp_path / "fresh", items, NumberToFrames(), FEATURES)
    assert bytes_of(store.path) == bytes_of(tmp_path / "fresh")


@dataclass(frozen=True)
class Spoken:
    """An input that no file holds, with a remark and a condition."""

    def __call__(self, item: Item) -> list[Row]:
        return [Row(item.id, frames_of(5), 0.05, condition="noisy" if item.id == "b" else "", remark="made up")]


def test_inputs_need_no_file(tmp_path: Path) -> None:
    items = [Item(name, None, name, split="train", condition="clean") for name in ("a", "b")]
    store = build_store(tmp_path / "store", items, Spoken(), FEATURES)
    assert store["train"].column("condition") == ["clean", "noisy"]
    entries = read_ledger(tmp_path / "store" / "ledger.tsv")
    assert [(entry.detail, entry.sha256) for entry in entries] == [("made up", "")] * 2
    with pytest.raises(ValueError, match="not a file"):
        _ = items[0].file


@pytest.mark.parametrize("shape", [(5, 30, 13), (3, 1, 4), (4, 50, 1), (1, 7, 3)])
def test_statistics_of_a_row_do_not_depend_on_the_rows_beside_it(shape: tuple[int, int, int]) -> None:
    frames = (1000 * np.random.default_rng(1).normal(size=shape)).astype(np.float32)
    for row, statistics in zip(frames, statistics_of_each(frames), strict=True):
        alone = statistics_of(row)
        assert alone.frames == statistics.frames == shape[1]
        np.testing.assert_array_equal(alone.sums, statistics.sums)
        np.testing.assert_allclose(alone.sums, [row.sum(0, np.float64), (row.astype(np.float64) ** 2).sum(0)])


@pytest.mark.parametrize("width", [8, 88, 12])
def test_rolls_come_out_as_they_went_in(tmp_path: Path, width: int) -> None:
    draw = np.random.default_rng(width)
    rolls = [draw.integers(0, 2, size=(length, width)).astype(np.uint8) for length in (3, 0, 2000, 1, 77)]
    items = [Item(str(number), None, str(number), split="train") for number in range(len(rolls))]

    def roll(item: Item) -> list[Row]:
        return [Row(item.id, rolls[int(item.id)], 1.0)]

    store = build_store(tmp_path / "store", items, roll, StoreDescription("roll", {}))
    for number, sequence in enumerate(store["train"]):
        assert sequence.dtype == np.uint8
        np.testing.assert_array_equal(sequence, rolls[number])
    other = build_store(tmp_path / "other", items, roll, StoreDescription("roll", {}), chunk=2)
    assert bytes_of(store.path) == bytes_of(other.path)


def test_a_roll_of_more_than_ones_is_refused(tmp_path: Path) -> None:
    def loud(item: Item) -> list[Row]:
        return [Row(item.id, np.full((3, 88), 64, dtype=np.uint8), 1.0)]

    with pytest.raises(ValueError, match="a roll with the value 64, expected zeros and ones"):
        build_store(tmp_path / "store", [Item("a", None, "a", "train")], loud, StoreDescription("roll", {}))


def test_a_sequence_of_another_width_is_refused(tmp_path: Path) -> None:
    def growing(item: Item) -> list[Row]:
        return [Row(item.id, frames_of(3, width=int(item.id)), 1.0)]

    items = [Item(str(width), None, str(width), "train") for width in (3, 4)]
    with pytest.raises(ValueError, match=r"a sequence of shape \[3, 4\], expected \[T, 3\]"):
        build_store(tmp_path / "store", items, growing, FEATURES)


def test_few_inputs_are_cut_into_enough_chunks_for_all_workers() -> None:
    assert [chunk_size(inputs) for inputs in (1, 100, 400, 2048, 20_000)] == [16, 16, 50, 256, 256]


def test_a_chunk_of_large_files_ends_sooner(tmp_path: Path) -> None:
    items = make_items(tmp_path / "in", 6)
    for item, size in zip(items, (0, CHUNK_BYTES, 5, CHUNK_BYTES - 5, 1, 1), strict=True):
        with item.file.open("wb") as file:
            file.truncate(size)  # takes no room on the disk
    assert make_plan(items, "process", 256).ends == [2, 4, 6]
    assert make_plan(items, "process", 1).ends == [1, 2, 3, 4, 5, 6]


def test_what_goes_wrong_while_merging_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = make_items(tmp_path / "in")

    def full_disk(*_: object) -> Iterator[tuple[str, object]]:
        raise OSError(errno.ENOSPC, "no space left on the device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space left"):
        patch.setattr("seqaudio.prepare.engine.merge.read_rows", full_disk)
        build_store(tmp_path / "store", items, NumberToFrames(), FEATURES, chunk=4)
    build_store(tmp_path / "store", items, NumberToFrames(), FEATURES, chunk=4)
    build_store(tmp_path / "whole", items, NumberToFrames(), FEATURES)
    assert bytes_of(tmp_path / "store") == bytes_of(tmp_path / "whole")


def test_the_items_of_a_split_are_the_same_whatever_the_features(tmp_path: Path) -> None:
    items = make_items(tmp_path)
    narrow, wide = (build_store(tmp_path / f"store{width}", items, NumberToFrames(width), FEATURES) for width in (3, 4))
    fewer = build_store(tmp_path / "fewer", items[:-10], NumberToFrames(), FEATURES)
    assert narrow.fingerprint != wide.fingerprint
    assert narrow.items("test") == wide.items("test")
    assert len({narrow.items("test"), narrow.items("valid"), fewer.items("test")}) == 3
