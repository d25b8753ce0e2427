"""`--use`: a user's own file is run when it is asked for, never otherwise, and its run remembers which one it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from made_up import token_store
from seqaudio import extensions
from seqaudio.cells import CELLS, INITIALISATIONS, WRAPPERS
from seqaudio.cli.main import COMMANDS, main
from seqaudio.cli.options import take_shared
from seqaudio.errors import OptionError, RunError
from seqaudio.models import MODELS, build_model
from seqaudio.registry import Registry
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store

CELL = '''
from pathlib import Path

from seqaudio.cells import CELLS, GRUCell

Path(__file__).with_suffix(".ran").touch()


@CELLS.register("own")
class OwnCell(GRUCell):
    """A cell of somebody's."""
'''
ARGUMENTS = {"vocabulary_size": 10, "embedding_size": 3, "cell": "own", "hidden_size": 4}

REGISTRIES: tuple[Registry, ...] = (CELLS, WRAPPERS, INITIALISATIONS, MODELS)


@pytest.fixture(autouse=True)
def forget() -> Iterator[Callable[[], None]]:
    """After each test, and where a test asks for it, the process is as if it had run no file."""
    before = [dict(registry._entries) for registry in REGISTRIES]

    def restore() -> None:
        for registry, entries in zip(REGISTRIES, before, strict=True):
            registry._entries = dict(entries)
        extensions._used.clear()

    yield restore
    restore()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own_cells.py"
    path.write_text(CELL)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return token_store(tmp_path_factory.mktemp("store"), count=20)


def make_run(path: Path, store: Store, resume: bool = False) -> RunFolder:
    model = {"name": "events", "arguments": ARGUMENTS}
    return RunFolder.create(path, recipe="music_generation", settings={}, model=model, store=store, resume=resume)


@pytest.fixture
def run(file: Path, store: Store, tmp_path: Path, forget: Callable[[], None]) -> RunFolder:
    """A run whose cell is in the file, in a process that has not run the file."""
    extensions.use(file)
    folder = make_run(tmp_path / "run", store)
    torch.manual_seed(1)
    folder.save_weights(build_model("events", ARGUMENTS))
    forget()
    file.with_suffix(".ran").unlink()
    return RunFolder(folder.path)


def call(*arguments: str | Path) -> int:
    """The exit status of `seqaudio ARGUMENTS`, in this process."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


def short_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


# ---- running a file


def test_what_a_file_registers_is_found_by_name(file: Path) -> None:
    extension = extensions.use(file)
    assert CELLS["own"](3, 5).output_size == 5
    assert extension == ("own_cells.py", hashlib.sha256(file.read_bytes()).hexdigest())
    assert extensions.used() == (extension,)


def test_a_file_given_twice_runs_once(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.py"
    copy.write_bytes(file.read_bytes())
    assert extensions.use(file).sha256 == extensions.use(copy).sha256
    assert not copy.with_suffix(".ran").exists()
    assert len(extensions.used()) == 1


def test_nothing_is_written_beside_the_file(file: Path, tmp_path: Path) -> None:
    extensions.use(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own_cells.py", "own_cells.ran"]


def test_a_file_runs_by_its_own_future_and_with_dataclasses(tmp_path: Path) -> None:
    file = tmp_path / "plain.py"
    file.write_text(
        "from dataclasses import dataclass\n\n\n@dataclass\nclass Plain:\n    x: int = 1\n\n\n"
        "assert Plain.__annotations__ == {'x': int}\n"
    )
    extensions.use(file)


def test_what_lies_beside_a_file_is_not_imported(file: Path, tmp_path: Path) -> None:
    (tmp_path / "uses_other.py").write_text("import own_cells\n")
    with pytest.raises(OptionError, match=r"uses_other\.py: line 1: ModuleNotFoundError: .*own_cells"):
        extensions.use(tmp_path / "uses_other.py")
    assert "own" not in CELLS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(:\n", "SyntaxError: "),
        ("\n\n1 / 0\n", "line 3: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)\n", "line 2: SystemExit: 3"),
        ("raise ValueError('two\\nlines')", "line 1: ValueError: two lines"),
        ("\0", "null bytes"),
        (CELL.replace('"own"', '"gru"'), "ValueError: cell 'gru' is already registered"),
    ],
)
def test_a_file_that_raises_is_one_line_and_exit_status_2(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    assert call("info", "--cells", "--use", file) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: --use {file}: ")
    assert printed.err.count("\n") == 1
    assert words in printed.err
    assert extensions.used() == ()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--use", "{tmp}/none.py"), "none.py: "),
        (("--use", "{tmp}"), "name a Python file"),
        (("--use",), "names no file"),
    ],
)
def test_a_file_that_is_not_there_is_one_line_and_exit_status_2(
    given: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("info", "--cells", *(word.format(tmp=tmp_path) for word in given)) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: --use ")
    assert printed.count("\n") == 1
    assert words in printed


# ---- the option


@pytest.mark.parametrize(
    "arguments", ["--use {file} info --cells", "info --use={file} --cells", "info --quiet --cells --use {file}"]
)
def test_the_option_may_stand_anywhere(arguments: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*arguments.format(file=file).split()) == 0
    assert "  own " in capsys.readouterr().out


def test_the_option_may_be_repeated(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.py"
    other.write_text(CELL.replace('"own"', '"another"'))
    assert call("info", "--cells", "--use", file, "--use", other) == 0
    printed = capsys.readouterr().out
    assert "  own " in printed
    assert "  another " in printed


def test_shared_options_are_taken_out_and_can_be_put_back() -> None:
    shared, own = take_shared(["a", "--use", "x.py", "--debug", "-b", "--use=y.py"])
    assert own == ["a", "-b"]
    assert (shared.use, shared.quiet, shared.debug) == ([Path("x.py"), Path("y.py")], False, True)
    assert take_shared([*own, *shared.words()]) == (shared, own)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_of_every_command_tells_of_the_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(name, "--help") == 0
    assert "--use FILE" in capsys.readouterr().out


# ---- what a run keeps


def test_a_run_keeps_name_and_hash_but_no_folder(run: RunFolder, file: Path) -> None:
    text = (run.path / "config.json").read_text()
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert json.loads(text)["use"] == [{"file": "own_cells.py", "sha256": sha256}]
    assert str(file.parent) not in text


def test_a_run_without_own_files_says_so(store: Store, tmp_path: Path) -> None:
    assert make_run(tmp_path / "run", store).config["use"] == []


def test_a_run_from_before_files_could_be_used_still_loads(run: RunFolder) -> None:
    config = json.loads((run.path / "config.json").read_text())
    del config["use"]
    config["model"]["arguments"]["cell"] = "gru"  # the same weights
    (run.path / "config.json").write_text(json.dumps(config))
    assert RunFolder(run.path).model().parameter_count() > 0


@pytest.mark.parametrize("use", ["x", [{"file": "x.py"}], [1]])
def test_a_damaged_list_of_files_is_named(use: object, run: RunFolder) -> None:
    config = json.loads((run.path / "config.json").read_text()) | {"use": use}
    (run.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match=r"config\.json: damaged"):
        RunFolder(run.path)


def test_loading_a_run_never_runs_its_file(run: RunFolder, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    monkeypatch.syspath_prepend(str(file.parent))
    with pytest.raises(RunError) as refused:
        run.model()
    assert not file.with_suffix(".ran").exists()
    assert f"own_cells.py (sha256 {short_hash(file)})" in str(refused.value)
    assert "give --use own_cells.py" in str(refused.value)
    assert "no cell is called 'own'" in str(refused.value)


def test_with_its_file_a_run_loads_without_a_word(
    run: RunFolder, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = file.rename(file.with_name("renamed.py"))
    extensions.use(renamed)
    torch.manual_seed(1)
    expected = build_model("events", ARGUMENTS).state_dict()
    assert all(map(torch.equal, run.model().state_dict().values(), expected.values()))
    assert capsys.readouterr().err == ""


def test_other_content_is_warned_of_with_both_hashes(
    run: RunFolder, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = short_hash(file)
    file.write_text(CELL + "\n# edited\n")
    extensions.use(file)
    assert run.model().parameter_count() > 0
    printed = capsys.readouterr().err
    assert printed.startswith("warning: ")
    assert printed.count("\n") == 1
    assert before in printed
    assert short_hash(file) in printed


def test_a_cell_that_no_file_of_the_run_defines_is_missed_as_always(run: RunFolder, file: Path) -> None:
    config = json.loads((run.path / "config.json").read_text())
    config["model"]["arguments"]["cell"] = "owm"
    (run.path / "config.json").write_text(json.dumps(config))
    extensions.use(file)
    with pytest.raises(OptionError, match="did you mean own"):
        RunFolder(run.path).model()


def test_a_training_is_resumed_with_the_very_file_alone(
    run: RunFolder, file: Path, store: Store, forget: Callable[[], None]
) -> None:
    before = short_hash(file)
    extensions.use(file)
    make_run(run.path, store, resume=True)
    forget()
    with pytest.raises(RunError, match=rf"made with --use own_cells\.py \(sha256 {before}\), now it is none"):
        make_run(run.path, store, resume=True)
    file.write_text(CELL + "\n# edited\n")
    extensions.use(file)
    with pytest.raises(RunError, match=rf"{before}\), now it is own_cells\.py \(sha256 {short_hash(file)}\)"):
        make_run(run.path, store, resume=True)


def test_info_tells_of_the_file_and_needs_none(run: RunFolder, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("info", run.path) == 0
    assert f"made with --use: own_cells.py (sha256 {short_hash(file)})" in capsys.readouterr().out
    assert not file.with_suffix(".ran").exists()


def test_evaluate_takes_the_file_before_the_run_too(
    run: RunFolder, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It gets as far as the results, which this run has none of."""
    assert call("evaluate", "--use", file, run.path) == 2
    assert file.with_suffix(".ran").exists()
    assert "results.json" in capsys.readouterr().err
