"""Chorales become a store; each keeps the split that it has in the public set, told by its notes."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from conftest import ROOT, Command, assert_refused
from seqaudio.errors import SourceError
from seqaudio.ledger import Reason, Status, read_ledger
from seqaudio.midi.score import music21_corpus, read_score
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.prepare.corpora.splits import hash_split
from seqaudio.prepare.music.variants import sounding, windows
from seqaudio.store import Store
from seqaudio.tokens import PerformanceRepresentation
from seqaudio.tokens.chorale import VOICES, ChoraleRepresentation

SCRIPT = "data_prep/bach_chorales.py"
STRICTEST = ["test", "valid", "train"]

needs_music21 = pytest.mark.skipif(
    importlib.util.find_spec("music21") is None, reason='needs music21: pip install ".[chorales]"'
)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("data_prep_bach_chorales", ROOT / SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def chorale(seed: int, melody: int | None = None) -> NoteSequence:
    """A made-up chorale of 48 quarters; those of one `melody` share the soprano."""
    draw, tune = np.random.default_rng(seed), np.random.default_rng(seed if melody is None else 1000 + melody)
    quarters = np.arange(48)
    lines = [60 + tune.integers(0, 12, size=48), *(low + draw.integers(0, 10, size=48) for low in (55, 48, 40))]
    return NoteSequence.from_columns(
        np.tile(4 * quarters, 4),
        np.tile(4 * quarters + 4, 4),
        np.concatenate(lines),
        track=np.repeat(range(4), 48),
        ticks_per_quarter=4,
        time_signatures=[TimeSignature(0, 4, 4)],
        track_names=VOICES,
    )


def altered(notes: NoteSequence, semitones: int = 0, quarter: int = 24) -> NoteSequence:
    """Another key, and another bass note in one quarter."""
    here = (notes.start_tick == 4 * quarter) & (notes.track == 3)
    return notes.with_columns(pitch=notes.pitch + np.where(here, 1, 0).astype(np.int16) + np.int16(semitones))


def pieces(script: ModuleType, **known: NoteSequence) -> dict[str, frozenset[bytes]]:
    """The public set, `train_3` standing for train/3."""
    return {name.replace("_", "/"): windows(sounding(notes), script.SONORITIES) for name, notes in known.items()}


# --- splits ---


def test_a_chorale_keeps_the_split_of_its_version_in_any_key(script: ModuleType) -> None:
    works = {"one": chorale(1), "two": altered(chorale(2), semitones=-4), "three": chorale(3)}
    public = pieces(script, train_0=chorale(9), test_5=chorale(1), valid_7=chorale(2), train_8=altered(chorale(3), 2))
    assert script.splits_of(works, public) == {
        "one": script.Line("test", ("test/5",)),
        "two": script.Line("valid", ("valid/7",)),
        "three": script.Line("train", ("train/8",)),
    }


@pytest.mark.parametrize(
    ("found", "split"), [(["train", "valid"], "valid"), (["valid", "test"], "test"), (["test", "train"], "test")]
)
def test_of_versions_in_several_splits_the_strictest_wins(script: ModuleType, found: list[str], split: str) -> None:
    public = pieces(script, **{f"{name}_0": altered(chorale(1), place) for place, name in enumerate(found)})
    line = script.splits_of({"one": chorale(1)}, public)["one"]
    assert line.split == split
    assert set(line.jsb) == {f"{name}/0" for name in found}


def test_versions_of_one_chorale_stay_together(script: ModuleType) -> None:
    # the bass of a third of the quarters is another in each: only the middle one is a version of the public piece
    first, middle = chorale(1), chorale(1)
    for quarter in range(0, 9, 3):
        middle = altered(middle, quarter=quarter)
    last = middle
    for quarter in range(30, 48, 3):
        last = altered(last, quarter=quarter)
    lines = script.splits_of({"first": first, "last": last, "middle": middle}, pieces(script, valid_0=first))
    assert lines["middle"].jsb == ("valid/0",)
    assert lines["last"].jsb == ()
    assert {line.split for line in lines.values()} == {"valid"}


def test_a_chorale_of_its_own_goes_with_its_melody(script: ModuleType) -> None:
    works = {"known": chorale(1, melody=1), "other": chorale(2, melody=2), "harmonised anew": chorale(3, melody=1)}
    lines = script.splits_of(works, pieces(script, test_0=works["known"], train_0=works["other"]))
    assert lines["harmonised anew"] == script.Line("test")


def test_a_chorale_that_nothing_is_known_of_goes_by_its_name(script: ModuleType) -> None:
    works = {f"work{seed}": chorale(seed) for seed in range(40)}
    lines = script.splits_of(works, pieces(script, train_0=chorale(100)))
    assert {name: line.split for name, line in lines.items()} == {name: hash_split(name, 10.0, 10.0) for name in works}
    assert {line.split for line in lines.values()} == {"train", "valid", "test"}
    # and another harmony of its melody with it, whatever its own name
    held_out = next(name for name, line in lines.items() if line.split == "test")
    seed = int(held_out.removeprefix("work"))
    pair = {held_out: chorale(1, melody=seed), "a second": chorale(2, melody=seed)}
    assert {line.split for line in script.splits_of(pair, {}).values()} == {"test"}


def test_the_same_notes_again_are_a_copy_of_the_first(script: ModuleType) -> None:
    works = {"one": chorale(1), "again": altered(chorale(1), 3, quarter=99), "nearly": altered(chorale(1))}
    lines = script.splits_of(works, {})
    assert {name: line.same_as for name, line in lines.items()} == {"one": "", "again": "one", "nearly": ""}


def test_the_public_set_is_read_from_its_grids(script: ModuleType, tmp_path: Path) -> None:
    notes = chorale(4)
    file = tmp_path / "grids.json"
    grid = sounding(notes).tolist()
    file.write_text(json.dumps({"train": [sounding(chorale(5)).tolist()], "valid": [], "test": [grid, grid]}))
    found = script.read_jsb(file)
    assert list(found) == ["test/0", "test/1", "train/0"]
    assert found["test/1"] == pieces(script, test_1=notes)["test/1"]
    with pytest.raises(SourceError, match=r"gone.json: no such file; give Jsb16thSeparated.json"):
        script.read_jsb(tmp_path / "gone.json")
    invalid = "not valid JSON"
    for text, words in (("# a page", invalid), ('{"train": []}', "it is another set"), ("[" * 9999, invalid)):
        file.write_text(text)
        with pytest.raises(SourceError, match=words):
            script.read_jsb(file)


# --- the table ---


def test_the_table_is_read_as_it_was_written(script: ModuleType, tmp_path: Path) -> None:
    table = {"a.mxl": script.Line("test", ("test/1", "train/2")), "b.krn": script.Line("train", (), "a.mxl")}
    script.write_chorale_table(tmp_path / "table.tsv", table)
    assert script.read_chorale_table(tmp_path / "table.tsv") == table


def test_the_table_of_splits_is_whole_and_strict(script: ModuleType) -> None:
    table = script.read_chorale_table(script.TABLE)
    assert len(table) == 368
    assert list(table) == sorted(table)
    assert sum(bool(line.jsb) for line in table.values()) == 357
    for line in table.values():
        found = [piece.split("/")[0] for piece in line.jsb]
        assert all(STRICTEST.index(line.split) <= STRICTEST.index(split) for split in found)
        assert not line.same_as or table[line.same_as].split == line.split
    kept = Counter(line.split for line in table.values() if not line.same_as)
    assert kept == script.EXPECTED


def test_no_piece_of_the_public_set_has_versions_in_two_splits_here(script: ModuleType) -> None:
    splits: dict[str, set[str]] = {}
    for line in script.read_chorale_table(script.TABLE).values():
        for piece in line.jsb:
            splits.setdefault(piece, set()).add(line.split)
    assert len(splits) == 345
    assert {len(found) for found in splits.values()} == {1}


# --- the scores ---


@pytest.fixture(scope="module")
def store(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Sixteen scores of the corpus."""
    out = tmp_path_factory.mktemp("stores") / "chorales"
    done = command(SCRIPT, "--out", out, "--limit", "16", "--workers", "2")
    assert done.returncode == 0, done.stderr
    return Store(out)


@needs_music21
def test_rows_of_the_store_are_the_scores_in_the_splits_of_the_table(script: ModuleType, store: Store) -> None:
    table = script.read_chorale_table(script.TABLE)
    chorale = ChoraleRepresentation()
    assert store.names.names == chorale.tokens
    assert store.settings["representation"] == {"name": "chorale", **chorale.settings()}
    rows = {
        name: (split, ids) for split in store.counts for name, ids in zip(store[split].ids, store[split], strict=True)
    }
    assert len(rows) > 8
    for name in sorted(rows)[:4]:
        split, ids = rows[name]
        notes = read_score(music21_corpus() / "bach" / name)
        assert chorale.decode(ids) == chorale.quantise(notes)
        assert split == table[name].split


@needs_music21
def test_every_score_is_in_the_ledger_with_its_reason(script: ModuleType, store: Store) -> None:
    table = script.read_chorale_table(script.TABLE)
    entries = read_ledger(store.path / "ledger.tsv")
    assert len(entries) == 16
    for entry in entries:
        kept = entry.path in table and not table[entry.path].same_as
        assert (entry.status is Status.KEPT) == kept
        if not kept:
            assert entry.reason is Reason.OTHER_PARTS
            assert "parts (" in entry.detail


@needs_music21
def test_chorales_are_prepared_as_performances_too(command: Command, tmp_path: Path) -> None:
    done = command(SCRIPT, "--out", tmp_path / "out", "--limit", "3", "--representation", "performance")
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "out")
    performance = PerformanceRepresentation(tempo=750_000)
    assert store.settings["representation"] == {"name": "performance", **performance.settings()}
    for split in store.counts:
        for name, ids in zip(store[split].ids, store[split], strict=True):
            notes = read_score(music21_corpus() / "bach" / name)
            assert performance.decode(ids) == performance.quantise(notes)


@needs_music21
def test_the_corpus_has_the_scores_of_the_table_and_others(script: ModuleType) -> None:
    scores = script.list_scores(music21_corpus() / "bach")
    assert set(script.read_chorale_table(script.TABLE)) < set(scores)
    assert list(scores) == sorted(scores)
    assert not any("analyses" in str(path).lower() for path in scores.values())


def test_a_folder_without_scores_is_refused(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no scores"):
        script.list_scores(tmp_path)


@needs_music21
def test_a_missing_public_set_is_refused_in_one_line(command: Command, tmp_path: Path) -> None:
    done = command(SCRIPT, "--make-splits", tmp_path / "gone.json", "--out", tmp_path / "table.tsv")
    assert_refused(done, "gone.json: no such file")
    assert not (tmp_path / "table.tsv").exists()


@needs_music21
@pytest.mark.data
def test_no_held_out_piece_of_the_public_set_is_in_our_train(script: ModuleType, data_folder: Path) -> None:
    """Every twelfth chorale, compared by its notes with all pieces of the public set."""
    public = script.read_jsb(data_folder / "music" / "jsb_chorales_json" / "Jsb16thSeparated.json")
    assert Counter(name.split("/")[0] for name in public) == {"train": 229, "valid": 76, "test": 77}
    table = script.read_chorale_table(script.TABLE)
    overlaps: Counter[tuple[str, str]] = Counter()
    for name in list(table)[::12]:
        ours = windows(sounding(read_score(music21_corpus() / "bach" / name)), script.SONORITIES)
        for piece, theirs in public.items():
            if len(ours & theirs) > 0.5 * min(len(ours), len(theirs)):
                overlaps[table[name].split, piece.split("/")[0]] += 1
    assert sum(overlaps.values()) > 25
    assert all(STRICTEST.index(ours) <= STRICTEST.index(theirs) for ours, theirs in overlaps), overlaps


@needs_music21
@pytest.mark.slow
@pytest.mark.data
def test_the_table_is_what_the_notes_say(
    script: ModuleType, data_folder: Path, command: Command, tmp_path: Path
) -> None:
    public = data_folder / "music" / "jsb_chorales_json" / "Jsb16thSeparated.json"
    done = command(SCRIPT, "--make-splits", public, "--out", tmp_path / "table.tsv", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "table.tsv").read_bytes() == script.TABLE.read_bytes()
