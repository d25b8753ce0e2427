"""Keep files of the user: neighbours of OUT, runs inside a store, links, folders that look like a demo."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_build_store import FEATURES, NumberToFrames, bytes_of, make_items

from cases import case_file
from conftest import ROOT
from seqaudio import folders
from seqaudio.errors import FolderError, StoreError
from seqaudio.folders import Kind, swap_folder
from seqaudio.prepare.engine import Item, Row, build_store
from seqaudio.prepare.engine.partial import PREPARATION, PartialStore
from seqaudio.store import Store

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")


def tree(folder: Path) -> dict[str, str]:
    """All below a folder: the bytes of files, where links lead."""
    found = {}
    for path in sorted(folder.rglob("*")):
        leads = str(path.readlink()) if path.is_symlink() else "/"
        found[str(path.relative_to(folder))] = path.read_bytes().hex() if path.is_file() else leads
    return found


def build(out: Path, items: list[Item], **options: bool) -> None:
    build_store(out, items, NumberToFrames(), FEATURES, **options)


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    return make_items(tmp_path / "in", 12)


# --- the scripts of the attack, run as they are ---


def run_case(script: Path, store: Path | None, tmp_path: Path, data: Path, *arguments: Path) -> str:
    """The output of a script of the cases; `BASE/keywords-store` is a copy of the store."""
    base = tmp_path / "base"
    base.mkdir(exist_ok=True)
    if store is not None:
        (base / "keywords-store").mkdir()
        for file in store.iterdir():
            (base / "keywords-store" / file.name).write_bytes(file.read_bytes())
    ours = {"SEQ": f"{sys.executable} -m seqaudio.cli.main", "BASE": str(base), "SEQAUDIO_DATA": str(data)}
    here = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", script, *arguments],
        env=os.environ | ours | here,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


@needs_links
def test_a_folder_of_the_user_beside_out_stays(word_store: Path, tmp_path: Path, data_folder: Path) -> None:
    script = case_file("adversary", "loss-old.sh")
    assert run_case(script, word_store, tmp_path, data_folder).split() == ["rc=0", "st", "st.old"]


@needs_links
def test_a_folder_of_the_user_in_place_of_the_work_is_refused(tmp_path: Path, data_folder: Path) -> None:
    script = case_file("adversary", "loss-partial.sh")
    assert run_case(script, None, tmp_path, data_folder).split() == ["rc=2", "st.partial"]


@needs_links
def test_a_demo_is_told_by_its_options_not_by_a_name(tmp_path: Path, data_folder: Path) -> None:
    script = case_file("adversary", "loss-demo-force.sh")
    assert run_case(script, None, tmp_path, data_folder).split() == ["demo.json", "thesis.txt"]


@needs_links
def test_the_store_that_a_link_leads_to_is_replaced(word_store: Path, tmp_path: Path, data_folder: Path) -> None:
    script = case_file("adversary", "symlinked-out.sh")
    said = run_case(script, word_store, tmp_path, data_folder)
    assert said.startswith("rc=0")
    assert "link -> real/st" in said
    assert "store.json" in said


# --- beside OUT ---


@pytest.mark.parametrize("kind", ["folder", "store", "file"])
def test_nothing_called_out_old_is_touched(kind: str, tmp_path: Path, items: list[Item]) -> None:
    old = tmp_path / "store.old"
    if kind == "store":
        build(old, items[:6])
    elif kind == "folder":
        (old / "deep").mkdir(parents=True)
        (old / "deep" / "thesis.txt").write_text("precious")
    else:
        old.write_text("precious")
    before = tree(tmp_path / "store.old") if old.is_dir() else old.read_text()
    build(tmp_path / "store", items)
    build(tmp_path / "store", items[:9], force=True)
    assert (tree(old) if old.is_dir() else old.read_text()) == before
    assert not (tmp_path / "store.partial").exists()


def foreign(partial: Path, kind: str) -> None:
    if kind == "a file":
        partial.write_text("precious")
    elif kind == "a link":
        (partial.parent / "elsewhere").mkdir()
        (partial.parent / "elsewhere" / "thesis.txt").write_text("precious")
        partial.symlink_to("elsewhere")
    else:
        partial.mkdir()
        if kind == "with our mark":
            folders.put_mark(partial, PREPARATION)
            (partial / "thesis.txt").write_text("precious")
        elif kind == "with a plan of an earlier version":
            (partial / "plan.txt").write_text("0" * 64)
            (partial / "store").mkdir()
            (partial / "store" / "notes.txt").write_text("precious")
        elif kind == "with a plan of the user's":
            (partial / "plan.txt").write_text("buy milk")
        else:
            (partial / "chunk-000000.arrow").mkdir()
            (partial / "chunk-000000.arrow" / "x").write_text("precious")


@needs_links
@pytest.mark.parametrize(
    "kind",
    [
        "a file",
        "a link",
        "with our mark",
        "with a plan of an earlier version",
        "with a plan of the user's",
        "with a folder named as a chunk",
    ],
)
def test_a_folder_in_place_of_the_work_is_refused_untouched(kind: str, tmp_path: Path, items: list[Item]) -> None:
    foreign(tmp_path / "store.partial", kind)
    before = tree(tmp_path)
    with pytest.raises(FolderError, match=r"store\.partial"):
        build(tmp_path / "store", items)
    assert tree(tmp_path) == before


def test_the_work_of_an_earlier_version_goes_on(tmp_path: Path, items: list[Item]) -> None:
    partial = tmp_path / "store.partial"
    (partial / "store").mkdir(parents=True)
    (partial / "plan.txt").write_text("0" * 64)
    (partial / "chunk-000000.arrow.123-456").write_text("half")
    build(tmp_path / "store", items)
    build(tmp_path / "fresh", items)
    assert bytes_of(tmp_path / "store") == bytes_of(tmp_path / "fresh")
    assert not partial.exists()


# --- inside a store ---


@pytest.mark.parametrize("name", ["notes.txt", "run/config.json", "train.arrow/x", "Train.arrow", "store.json.bak"])
@pytest.mark.parametrize("option", ["force", "update"])
def test_a_store_with_files_of_the_user_is_never_replaced(
    name: str, option: str, tmp_path: Path, items: list[Item]
) -> None:
    out = tmp_path / "store"
    build(out, items)
    if name.startswith("train.arrow"):
        (out / "train.arrow").unlink()
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("precious")
    before = tree(tmp_path)
    with pytest.raises(FolderError, match=f"holds {name}, which is no file of a store"):
        build(out, items[:9], **{option: True})
    assert tree(tmp_path) == before


def test_what_the_desktop_puts_into_a_folder_is_in_nobodys_way(tmp_path: Path, items: list[Item]) -> None:
    build(tmp_path / "store", items)
    (tmp_path / "store" / ".DS_Store").write_text("")
    build(tmp_path / "store", items[:9], force=True)
    assert ".DS_Store" not in bytes_of(tmp_path / "store")


@pytest.mark.parametrize("content", ["{}", "[]", '{"kind": "shop"}', '"store"'])
def test_a_json_file_of_another_kind_is_no_store(content: str, tmp_path: Path, items: list[Item]) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "store.json").write_text(content)
    with pytest.raises(StoreError, match="is not a store"):
        build(tmp_path / "shop", items, force=True)


def test_a_store_whose_description_is_torn_can_be_replaced(tmp_path: Path, items: list[Item]) -> None:
    build(tmp_path / "store", items)
    (tmp_path / "store" / "store.json").write_text('{"format": 1, "ki')
    build(tmp_path / "store", items, force=True)
    build(tmp_path / "fresh", items)
    assert bytes_of(tmp_path / "store") == bytes_of(tmp_path / "fresh")


@dataclass(frozen=True)
class NotesMeanwhile:
    """As `NumberToFrames`; meanwhile the user puts notes into the store that is to be replaced."""

    store: Path
    log: Path

    def __call__(self, item: Item) -> list[Row]:
        (self.store / "notes.txt").write_text("precious")
        with self.log.open("a") as file:
            file.write(f"{item.id}\n")
        return NumberToFrames()(item)

    def __repr__(self) -> str:
        return repr(NumberToFrames())


def test_what_is_put_into_a_store_while_it_is_made_again_stays(tmp_path: Path, items: list[Item]) -> None:
    out, log = tmp_path / "store", tmp_path / "log"
    build(out, items[:9])
    process = NotesMeanwhile(out, log)
    with pytest.raises(FolderError, match=r"notes\.txt"):
        build_store(out, items, process, FEATURES, force=True)
    assert (out / "notes.txt").read_text() == "precious"
    worked = log.read_text()
    (out / "notes.txt").rename(tmp_path / "notes.txt")
    build_store(out, items, process, FEATURES, force=True)
    build(tmp_path / "fresh", items)
    assert bytes_of(out) == bytes_of(tmp_path / "fresh")
    assert log.read_text() == worked, "what was finished is not worked on again"


# --- links ---


@needs_links
@pytest.mark.parametrize("options", [{"force": True}, {"update": True}])
def test_a_link_at_out_is_followed(options: dict[str, bool], tmp_path: Path, items: list[Item]) -> None:
    (tmp_path / "disk").mkdir()
    build(tmp_path / "disk" / "st", items[:9])
    (tmp_path / "link").symlink_to("disk/st")
    build(tmp_path / "link", items, **options)
    build(tmp_path / "fresh", items)
    assert bytes_of(tmp_path / "disk" / "st") == bytes_of(tmp_path / "fresh")
    assert (tmp_path / "link").readlink() == Path("disk/st")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "fresh", "in", "link"]
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["st"]


@needs_links
def test_a_link_to_nothing_gets_its_store_and_a_loop_is_refused(tmp_path: Path, items: list[Item]) -> None:
    (tmp_path / "link").symlink_to("new")
    build(tmp_path / "link", items)
    assert (tmp_path / "new" / "store.json").is_file()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises((OSError, StoreError)):
        build(tmp_path / "loop", items)
    assert (tmp_path / "loop").readlink() == Path("loop")


def test_the_root_is_no_place_for_a_store(items: list[Item]) -> None:
    with pytest.raises(FolderError, match="root of a file system"):
        build(Path(os.sep), items)


# --- kills between the two renames ---


def killed_between_renames(out: Path, items: list[Item]) -> None:
    """Leave what a kill leaves: what was at OUT is set aside, what is new is not there yet."""

    def breaks_off(new: Path, place: Path, aside: Path) -> None:
        place.rename(aside)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("seqaudio.prepare.engine.partial.swap_folder", breaks_off)
        build(out, items, force=True)
    assert not out.exists()


def test_what_was_replaced_is_put_back_where_another_preparation_follows(
    tmp_path: Path, items: list[Item], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "store"
    build(out, items[:9])
    before = bytes_of(out)
    killed_between_renames(out, items)
    with pytest.raises(StoreError, match=r"previous store from .*replaced"):
        Store(out)
    with pytest.raises(StoreError, match="give --force"):
        build(out, items[:3])
    assert "put back" in capsys.readouterr().err
    assert bytes_of(out) == before


def test_what_was_replaced_is_not_lost_where_something_else_took_its_place(tmp_path: Path, items: list[Item]) -> None:
    out = tmp_path / "store"
    build(out, items[:9])
    before = bytes_of(out)
    killed_between_renames(out, items)
    build(tmp_path / "another", items[:6])
    (tmp_path / "another").rename(out)
    for chosen in (items, items[:3]):
        with pytest.raises(FolderError, match="replaced is the store that was at"):
            build(out, chosen, force=True)
    assert bytes_of(PartialStore(out).replaced) == before


@pytest.mark.parametrize("force", [False, True])
def test_what_a_kill_leaves_of_a_complete_move_is_cleared_away(tmp_path: Path, items: list[Item], force: bool) -> None:
    build(tmp_path / "whole", items)
    kills = 0
    while kills < 100:
        out = tmp_path / f"store {kills}"
        if force:
            build(out, items[:3])
        if not killed_while_removing(out, items, kills, force):
            break
        assert bytes_of(out) == bytes_of(tmp_path / "whole")
        with pytest.raises(StoreError, match="exists") if is_unplanned(out) else contextlib.nullcontext():
            build(out, items)
        assert bytes_of(out) == bytes_of(tmp_path / "whole")
        assert not PartialStore(out).folder.exists(), kills
        kills += 1
    assert 3 < kills < 100


def is_unplanned(out: Path) -> bool:
    """Whether the command can no longer tell that the store is its own."""
    return not (PartialStore(out).folder / "plan.txt").is_file()


def killed_while_removing(out: Path, items: list[Item], after: int, force: bool) -> bool:
    """Stop a preparation after it has removed `after` files of its finished work; False where it ends before."""
    removed, unlink = 0, Path.unlink

    def breaks_off(path: Path, missing_ok: bool = False) -> None:
        nonlocal removed
        if path.is_relative_to(PartialStore(out).folder) and (out / "store.json").is_file() and path.exists():
            if removed == after:
                raise KeyboardInterrupt
            removed += 1
        unlink(path, missing_ok=missing_ok)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", breaks_off)
        try:
            build(out, items, force=force)
        except KeyboardInterrupt:
            return True
    return False


def test_a_move_that_fails_is_undone(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "file").write_text("before")
    with pytest.raises(FileNotFoundError):
        swap_folder(tmp_path / "missing", tmp_path / "place", tmp_path / "aside")
    assert tree(tmp_path) == {"place": "/", "place/file": b"before".hex()}


def test_removing_leaves_what_comes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "store.partial"
    folders.put_mark(folder, PREPARATION)
    (folder / "plan.txt").write_text("0" * 64)

    def check(folder: Path, kind: Kind) -> None:
        (folder / "thesis.txt").write_text("precious")

    monkeypatch.setattr(folders, "check_contents", check)
    with pytest.raises(OSError, match="not empty"):
        folders.remove(folder, PREPARATION)
    assert (folder / "thesis.txt").read_text() == "precious"


def test_one_module_removes_folders() -> None:
    sources = (ROOT / "seqaudio").rglob("*.py")
    assert [path.name for path in sources if "rmtree" in path.read_text(encoding="utf-8")] == []
