"""`--update`: only what changed is worked on, and the store is that of preparing anew, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_build_store import bytes_of

from conftest import RATE, spoken
from seqaudio.errors import AudioError, StoreError
from seqaudio.features import FeatureSettings
from seqaudio.ledger import Reason, read_ledger
from seqaudio.prepare.engine import Item, Row, build_store
from seqaudio.prepare.speech.recordings import ExtractFeatures, Keep, speech_description
from seqaudio.store import SPLITS, Store, StoreDescription

FEATURES = StoreDescription("features", {"features": {"kind": "numbers"}}, normalise=True)


@dataclass(frozen=True)
class Logged:
    """A file with numbers becomes a row for each, in splits that follow one another; what it works on is logged."""

    log: Path
    factor: int = 1

    def __call__(self, item: Item) -> list[Row]:
        with self.log.open("a") as file:
            file.write(item.id + "\n")
        text = item.file.read_text()
        if text == "bad":
            raise AudioError(item.file, Reason.NOT_AUDIO, "says bad")
        return [
            Row(
                f"{item.id}/{place}",
                self.factor * np.random.default_rng(int(number)).normal(size=(int(number), 3)).astype(np.float32),
                duration=int(number) / 100,
                split="" if item.split else SPLITS[place % 3],
                remark="odd" if int(number) % 2 else "",
            )
            for place, number in enumerate(text.split())
        ]

    def __repr__(self) -> str:
        return f"Logged({self.factor})"  # where the log is decides nothing


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    folder = tmp_path / "in"
    folder.mkdir()
    made = []
    for number in range(40):
        path = folder / f"{number:02d}.txt"
        path.write_text("bad" if number % 10 == 7 else " ".join(str(2 + (number + k) % 9) for k in range(number % 4)))
        split = "" if number % 5 == 0 else SPLITS[number % 3]
        made.append(Item(path.name, path, path.stem, split, label=f"label {number % 2}"))
    return made


def worked_on(tmp_path: Path, items: list[Item], **options: object) -> list[str]:
    """Update the store at `store`, check it against one made anew, and tell what was worked on."""
    log, other = tmp_path / "log", tmp_path / "other log"
    log.write_text("")
    process = replace(options.pop("process", Logged(log)), log=log)
    build_store(tmp_path / "store", items, process, FEATURES, update=True, **options)
    build_store(tmp_path / "anew", items, replace(process, log=other), FEATURES, force=True)
    assert bytes_of(tmp_path / "store") == bytes_of(tmp_path / "anew")
    return log.read_text().split()


def test_nothing_is_worked_on_again_where_nothing_changed(tmp_path: Path, items: list[Item]) -> None:
    assert len(worked_on(tmp_path, items)) == 40
    assert worked_on(tmp_path, items) == []
    for item in items:
        item.file.touch()  # a newer time alone is no change
    assert worked_on(tmp_path, items) == []


def change_content(items: list[Item]) -> list[Item]:
    items[3].file.write_text("4 4 4")
    items[20].file.write_text("5 6 7 8")
    return items


def spoil(items: list[Item]) -> list[Item]:
    items[3].file.write_text("bad")
    return items


def mend(items: list[Item]) -> list[Item]:
    items[7].file.write_text("6")
    return items


def correct_a_label(items: list[Item]) -> list[Item]:
    return [replace(item, label="label 9") if item.id == "12" else item for item in items]


def take_away(items: list[Item]) -> list[Item]:
    return items[:5] + items[9:]


def add(items: list[Item]) -> list[Item]:
    path = items[0].file.with_name("new.txt")
    path.write_text("7 7")
    return [items[0], Item("new.txt", path, "new", "train", "label 1"), *items[1:]]


def remove_the_file(items: list[Item]) -> list[Item]:
    items[3].file.unlink()
    return items


def reverse(items: list[Item]) -> list[Item]:
    return items[::-1]


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (change_content, ["03", "20"]),
        (spoil, ["03"]),
        (mend, ["07"]),
        (correct_a_label, ["12"]),
        (take_away, []),
        (add, ["new"]),
        (remove_the_file, []),
        (reverse, []),
    ],
)
@pytest.mark.parametrize("chunk", [None, 6])
def test_what_changed_is_worked_on_and_nothing_else(
    tmp_path: Path, items: list[Item], change: Callable[[list[Item]], list[Item]], again: list[str], chunk: int | None
) -> None:
    worked_on(tmp_path, items)
    assert worked_on(tmp_path, change(items), chunk=chunk) == again


def test_a_moved_corpus_is_known_again(tmp_path: Path, items: list[Item]) -> None:
    worked_on(tmp_path, items)
    (tmp_path / "in").rename(tmp_path / "moved")
    moved = [replace(item, path=tmp_path / "moved" / item.file.name) for item in items]
    assert worked_on(tmp_path, moved) == []


def test_another_process_works_on_everything(tmp_path: Path, items: list[Item]) -> None:
    worked_on(tmp_path, items)
    assert len(worked_on(tmp_path, items, process=Logged(tmp_path, factor=2))) == 40


def test_an_interrupted_update_goes_on(tmp_path: Path, items: list[Item]) -> None:
    worked_on(tmp_path, items)
    log = tmp_path / "log"
    log.write_text("")
    items[35].file.write_text("no number")
    items[3].file.write_text("4 4 4")
    with pytest.raises(ValueError, match="no"):  # a process that breaks off stands for one that is killed
        build_store(tmp_path / "store", items, Logged(log), FEATURES, update=True, chunk=8)
    assert (tmp_path / "store").is_dir()
    assert log.read_text().split() == ["03", "35"]
    items[35].file.write_text("bad")
    # another content is another plan, so finished chunks are made again, from the store again
    assert worked_on(tmp_path, items, chunk=8) == ["03", "35"]


def test_a_store_without_a_list_of_inputs_is_made_anew(tmp_path: Path, items: list[Item]) -> None:
    worked_on(tmp_path, items)
    (tmp_path / "store" / "inputs.tsv").unlink()
    assert len(worked_on(tmp_path, items)) == 40


def test_lists_that_disagree_are_refused(tmp_path: Path, items: list[Item]) -> None:
    worked_on(tmp_path, items)
    ledger = tmp_path / "store" / "ledger.tsv"
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(StoreError, match=r"inputs\.tsv has 40 inputs and ledger\.tsv 39"):
        build_store(tmp_path / "store", items, Logged(tmp_path / "log"), FEATURES, update=True)


@pytest.mark.parametrize(
    ("count", "message"),
    [
        ("x", r"inputs\.tsv, line 3: .*, expected a fingerprint and 3 counts; prepare it again with --force"),
        ("-1", r"inputs\.tsv, line 3: "),
        ("1\t1", r"inputs\.tsv, line 3: "),
        ("5", r"inputs\.tsv: counts 24 rows in train, the store has 19; prepare it again with --force"),
    ],
)
def test_counts_that_cannot_be_are_refused(tmp_path: Path, items: list[Item], count: str, message: str) -> None:
    worked_on(tmp_path, items)
    file = tmp_path / "store" / "inputs.tsv"
    lines = file.read_text().splitlines()
    lines[2] = "\t".join([lines[2].split("\t")[0], count, *lines[2].split("\t")[2:]])
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(StoreError, match=message):
        build_store(tmp_path / "store", items, Logged(tmp_path / "log"), FEATURES, update=True)


def test_a_damaged_ledger_is_refused(tmp_path: Path, items: list[Item]) -> None:
    worked_on(tmp_path, items)
    (tmp_path / "store" / "ledger.tsv").write_bytes(b"\xff")
    with pytest.raises(StoreError, match=r"ledger\.tsv: damaged .*; prepare the store again"):
        build_store(tmp_path / "store", items, Logged(tmp_path / "log"), FEATURES, update=True)


def test_a_folder_that_is_no_store_is_not_updated(tmp_path: Path, items: list[Item]) -> None:
    with pytest.raises(StoreError, match="not a store"):
        build_store(tmp_path / "in", items, Logged(tmp_path / "log"), FEATURES, update=True)


@pytest.mark.parametrize("keep", ["features", "samples"])
def test_recordings_are_updated_with_their_statistics(tmp_path: Path, keep: Keep) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(12):
        soundfile.write(folder / f"{number}.wav", spoken(0, 0, number), RATE)
    settings = FeatureSettings(sample_rate=RATE)
    process, description = ExtractFeatures(settings, keep=keep), speech_description(settings, keep)

    def prepare(name: str, **options: bool) -> Store:
        paths = sorted(folder.iterdir())
        listed = [Item(path.name, path, path.name, SPLITS[n % 2], "yes") for n, path in enumerate(paths)]
        return build_store(tmp_path / name, listed, process, description, **options)

    before = prepare("store")
    soundfile.write(folder / "2.wav", spoken(1, 1, 1), RATE)
    (folder / "5.wav").write_text("no sound")
    after = prepare("store", update=True)
    assert bytes_of(after.path) == bytes_of(prepare("anew").path)
    assert after.normalisation != before.normalisation
    assert [entry.reason for entry in read_ledger(after.path / "ledger.tsv")].count(Reason.NOT_AUDIO) == 1
