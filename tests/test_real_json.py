"""JSON of stores and runs that anybody may have written: one line, at once, whatever it holds."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import soundfile
import torch
from mutated_json import DEEP, copied, mutant

from cases import case_file
from conftest import Command, assert_refused, spoken
from seqaudio.errors import RunError
from seqaudio.json_files import MAX_BYTES, Count, Metrics, Range, checked, parse_json, read_json, read_json_lines
from seqaudio.models import build_model
from seqaudio.run_folder import RunFolder
from seqaudio.tensors import save_tensors


@dataclass(frozen=True)
class Inner:
    rows: Count
    ratio: Annotated[float, Range(0, 1)] = 0.5


@dataclass(frozen=True)
class Outer:
    kind: Literal["a", "b"]
    names: tuple[str, ...]
    parts: dict[str, Inner] = field(default_factory=dict)
    note: str | None = None
    metrics: Metrics = field(default_factory=dict)


def test_json_becomes_its_dataclass() -> None:
    data = {
        "kind": "a",
        "names": ["x"],
        "parts": {"p": {"rows": 3, "ratio": 1}},
        "unknown": [1],
        "metrics": {"m": None},
    }
    found = checked(Outer, data)
    assert found.parts == {"p": Inner(3, 1.0)}
    assert (found.names, found.note) == (("x",), None)
    assert str(found.metrics["m"]) == "nan"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "c"}, "kind is \"c\", expected 'a' or 'b'"),
        ({"names": "x"}, 'names is "x", expected a list'),
        ({"names": ["x", 3]}, "names[1] is 3, expected a text"),
        ({"parts": {"p": {}}}, "parts.p.rows is missing"),
        ({"parts": {"p": {"rows": -1}}}, "parts.p.rows is -1, expected 0 or more"),
        ({"parts": {"p": {"rows": True}}}, "parts.p.rows is true, expected a whole number"),
        ({"parts": {"p": {"rows": 10**30}}}, "parts.p.rows is 1000"),
        ({"parts": {"p": {"rows": 1, "ratio": 2}}}, "parts.p.ratio is 2, expected 0 to 1"),
        ({"parts": []}, "parts is [], expected an object"),
        ({"note": 5}, "note is 5, expected a text"),
        ({"names": ["x" * 1000, 1, 2, None]}, "names[1] is 1"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        checked(Outer, {"kind": "a", "names": []} | change)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "text", ["[" * DEEP, '{"a":' * DEEP, "[" * 65 + "]" * 65, '"\\ud800"', "1e999", "1" * 5000, "{"]
)
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_files_are_read_within_bounds(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(ValueError, match="longer than 64 MiB"):
        read_json(file)
    file.write_text('{"a": NaN}')
    assert read_json(file) == {"a": None}
    file.write_text('{"a": 1}\n{"a": 2\n')
    with pytest.raises(ValueError, match="line 2: "):
        read_json_lines(file)
    if Path("/dev/zero").exists():
        (tmp_path / "endless.json").symlink_to("/dev/zero")
        with pytest.raises(OSError, match="is a device, expected a file"):
            read_json(tmp_path / "endless.json")


def test_brackets_without_end_are_one_line(command: Command, word_store: Path, word_run: Path, tmp_path: Path) -> None:
    case_file("adversary", "deep-json.sh")
    for folder, name in ((word_store, "store.json"), (word_run, "config.json"), (word_run, "results.json")):
        copy = copied(folder, tmp_path / "copy")
        (copy / name).write_text("[" * DEEP)
        assert_refused(command("seqaudio", "info", copy), name, "nested more than 64 deep")


def test_results_that_are_no_json_are_one_line(command: Command, word_run: Path, tmp_path: Path) -> None:
    case_file("adversary", "garbage-results.sh")
    run = copied(word_run, tmp_path / "run")
    (run / "results.json").write_text("{\n")
    for name in ("info", "compare", "evaluate"):
        assert_refused(command("seqaudio", name, run), "results.json: damaged")


def with_argument(run: Path, name: str, value: Any) -> None:
    config = json.loads((run / "config.json").read_text())
    config["model"]["arguments"][name] = value
    (run / "config.json").write_text(json.dumps(config))


def test_senseless_sizes_end_before_anything_is_allocated(
    command: Command, word_run: Path, word_folder: Path, tmp_path: Path
) -> None:
    script = case_file("adversary", "giant-config.sh").read_text()
    pairs = re.findall(r"(\w+)=(-?\d+)", script.partition("for a in")[2].partition(";")[0])
    assert len(pairs) == 6
    file = next(word_folder.rglob("*.wav"))
    for name, value in pairs:
        run = copied(word_run, tmp_path / "run")
        with_argument(run, name, int(value))
        assert_refused(command("seqaudio", "recognize", run, file), "model.safetensors does not fit config.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_size", 10**9), ("hidden_size", 2**20), ("layers", 10**9), ("layers", 1000), ("layers", 0),
        ("classes", 4), ("input_size", 0), ("dropout", float("nan")), ("mean_prior", -1), ("bidirectional", 1),
        ("cell", ["gru"]), ("hidden_size", 24.0), ("learned_state", True), ("unknown", 1),
    ],
)  # fmt: skip
def test_sizes_are_those_of_the_weights(word_run: Path, tmp_path: Path, name: str, value: Any) -> None:
    run = copied(word_run, tmp_path / "run")
    with_argument(run, name, value)
    with pytest.raises(RunError) as caught:
        RunFolder(run).model()
    assert str(run) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_model_that_no_memory_holds_is_refused() -> None:
    with pytest.raises(RunError, match="hidden_size is 1,000,000,000, expected 1 to 1,048,576"):
        build_model("keyword", {"input_size": 13, "classes": 3, "hidden_size": 10**9})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_that_is_not_finite_is_refused(
    command: Command, word_run: Path, word_store: Path, word_folder: Path, tmp_path: Path, value: float
) -> None:
    run = copied(word_run, tmp_path / "run")
    weights = RunFolder(run).weights()
    weights["output.weight"][0, 0] = value
    save_tensors(run / "model.safetensors", weights)
    train = ("train", "keyword_recognition", "--store", word_store, "--run", tmp_path / "new", "--start-from", run)
    for words in (
        ("recognize", run, next(word_folder.rglob("*.wav"))),
        ("evaluate", run),
        ("probe", run, word_store),
        (*train, "--hidden-size", "24", "--layers", "1"),
    ):
        assert_refused(command("seqaudio", *words), "output.weight holds NaN or infinity")


def test_generating_with_a_model_that_is_not_finite_is_refused(
    command: Command, tune_run: Path, tmp_path: Path
) -> None:
    run = copied(tune_run, tmp_path / "run")
    weights = RunFolder(run).weights()
    weights["embedding.weight"][1] = float("nan")
    save_tensors(run / "model.safetensors", weights)
    done = command("seqaudio", "generate", run, "--out", tmp_path / "x.mid")
    assert_refused(done, "embedding.weight holds NaN or infinity")
    assert not (tmp_path / "x.mid").exists()


def test_weights_of_another_type_are_refused(word_run: Path, tmp_path: Path) -> None:
    run = copied(word_run, tmp_path / "run")
    weights = RunFolder(run).weights()
    save_tensors(run / "model.safetensors", {name: value.to(torch.int32) for name, value in weights.items()})
    with pytest.raises(RunError, match=r"stored as I32 .*, expected F32"):
        RunFolder(run).model()
    (run / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(RunError, match="not a readable safetensors file"):
        RunFolder(run).model()


# --- mutants ---

Words = tuple[str | Path, ...]


def store_commands(store: Path, run: Path, place: Path) -> Iterator[Words]:
    yield "info", store
    yield "check", store
    yield "evaluate", run, "--store", store
    yield "probe", run, store, "--sequences", "2", "--steps", "16"
    yield (
        "train", "keyword_recognition", "--store", store, "--run", place / "new", "--epochs", "1", "--hidden-size", "4",
        "--limit", "4",
    )  # fmt: skip


def run_commands(run: Path, store: Path, other: Path, sound: Path, place: Path) -> Iterator[Words]:
    small = ("--hidden-size", "24", "--layers", "1", "--learning-rate", "1e-2", "--device", "cpu")
    train = ("train", "keyword_recognition", "--store", store)
    yield "info", run
    yield "recognize", run, sound
    yield "evaluate", run, "--store", store
    yield "compare", run, other
    yield (*train, "--run", run, "--epochs", "12", *small, "--resume")
    yield (*train, "--run", place / "new", "--epochs", "1", "--limit", "4", *small, "--start-from", run)


def files_of(folder: Path) -> list[Path]:
    names = ("store.json", "config.json", "results.json", "metrics.jsonl")
    return [folder / name for name in names if (folder / name).is_file()] + sorted(folder.glob("resume/*.json"))


def damage(file: Path, draw: random.Random) -> None:
    if file.suffix != ".jsonl":
        file.write_bytes(mutant(file.read_bytes(), draw))
        return
    lines = file.read_bytes().splitlines()
    place = draw.randrange(len(lines))
    lines[place] = mutant(lines[place], draw)
    file.write_bytes(b"\n".join(lines) + b"\n")


def outcome(done: Any) -> str:
    """`done`, `finding` or `refused`; fails for anything else, such as a traceback."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    if done.returncode in (0, 1):
        return "done" if done.returncode == 0 else "finding"
    assert done.returncode == 2, done.stderr[-3000:]
    assert len(errors) == 1, done.stderr[-3000:]
    assert len(errors[0]) < 2000, errors[0][:3000]
    return "refused"


def attack(
    command: Command, base: Path, place: Path, count: int, commands: Callable[[Path], Iterator[Words]], part: int = 0
) -> Counter[str]:
    """Damage a file of a folder and give the folder to one of the commands, `count` times. Returns the outcomes."""
    counts = Counter[str]()
    for number in range(count):
        draw = random.Random(f"{base.name} {part} {number}")
        folder = copied(base, place / "mutant")
        damage(draw.choice(files_of(folder)), draw)
        shutil.rmtree(place / "new", ignore_errors=True)
        counts[outcome(command("seqaudio", *draw.choice(list(commands(folder))), "--quiet"))] += 1
    return counts


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "sound.wav", spoken(0, 0, 0), 8000)
    return tmp_path / "sound.wav"


def attack_stores(command: Command, store: Path, run: Path, place: Path, count: int, part: int = 0) -> Counter[str]:
    return attack(command, store, place, count, lambda folder: store_commands(folder, run, place), part)


def attack_runs(command: Command, run: Path, store: Path, sound: Path, count: int, part: int = 0) -> Counter[str]:
    place = sound.parent
    return attack(command, run, place, count, lambda folder: run_commands(folder, store, run, sound, place), part)


def test_changed_json_never_ends_in_a_traceback(
    command: Command, word_store: Path, word_run: Path, sound: Path
) -> None:
    stores = attack_stores(command, word_store, word_run, sound.parent, 40)
    runs = attack_runs(command, word_run, word_store, sound, 60)
    assert stores["refused"] > stores["done"]
    assert runs["refused"]
    print("stores", dict(stores), "runs", dict(runs))
