"""Words of files, names and options: on closed, narrow and full streams, and out of every bound."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from cases import case_file
from conftest import ROOT, SMALL, Command, assert_refused
from seqaudio.cli import options as command_line
from seqaudio.cli.main import COMMANDS, main
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.errors import OptionError
from seqaudio.files import write_bytes, write_json
from seqaudio.option_bounds import SEEDS, bounds_of, check_bounds
from seqaudio.option_groups import is_nested
from seqaudio.terminal import complain, shown_streams, visible

linux = pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8, /dev/full and such are of Linux")

# --- control characters ---


def test_control_characters_are_written_as_python_writes_them() -> None:
    assert visible("a\x1b[31m\x9b\u202e\u2066\n\tb\x7f") == "a\\x1b[31m\\x9b\\u202e\\u2066\\n\\tb\\x7f"
    assert visible("caf\udce9 \ud800") == "caf\\xe9 \\ud800"
    assert visible("güneş 日本 \u200fא") == "güneş 日本 \u200fא"


def test_whatever_is_printed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_streams():
        print("a\x1b]0;name\x07\tb\nc\r\udcff")
        print("d\x1b[2J", file=sys.stderr)
    assert capsys.readouterr() == ("a\\x1b]0;name\\x07\tb\nc\\r\\xff\n", "d\\x1b[2J\n")


def test_names_and_texts_of_midi_files_do_not_reach_the_terminal(command: Command, tmp_path: Path) -> None:
    case_file("adversary", "escapes.sh")
    for file in (case_file("adversary", "esc.mid"), case_file("midi", "name_utf16_and_newline.mid")):
        done = command("seqaudio", "info", file)
        assert done.returncode == 0, done.stderr
        assert all(letter.isprintable() or letter == "\n" for letter in done.stdout)
        assert "\\x1b[31m" in done.stdout
        assert all(line.startswith((" ", str(file))) for line in done.stdout.splitlines())
    assert_refused(command("seqaudio", "info", tmp_path / "no\033[31m\nthing"), "no\\x1b[31m")


def test_labels_do_not_reach_the_terminal(command: Command, word_folder: Path, tmp_path: Path) -> None:
    for number, label in enumerate(("a\x1b[2Jb", "c\u202ed", "e\nf")):
        (tmp_path / "in" / label).mkdir(parents=True)
        for file in sorted((word_folder / "one").iterdir())[6 * number : 6 * number + 6]:
            (tmp_path / "in" / label / file.name).write_bytes(file.read_bytes())
    prepare = ("prepare", "audio_folder", "--source", tmp_path / "in", "--out", tmp_path / "out")
    for arguments in ((*prepare, "--sample-rate", "8000"), ("info", tmp_path / "out"), ("check", tmp_path / "out")):
        done = command("seqaudio", *arguments)
        assert done.returncode in (0, 1), done.stderr
        assert all(letter.isprintable() or letter == "\n" for letter in done.stdout + done.stderr)
    assert json.loads(command("seqaudio", "check", tmp_path / "out", "--json").stdout)["store"] == "out"


# --- closed, narrow and full streams ---


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = f"{sys.executable} -m seqaudio.cli.main"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", line.replace("SEQ", program)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@linux
def test_the_work_is_done_where_a_stream_is_closed(tmp_path: Path, word_folder: Path, word_store: Path) -> None:
    case_file("adversary", "closed-streams.sh")
    done = shell(f"SEQ prepare audio_folder --source {word_folder} --out a --sample-rate 8000 2>&-", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "labels: 3" in done.stdout
    done = shell(f"SEQ info {word_store} >&-; echo $? >&2; SEQ info {tmp_path}/nothing 2>&-; echo $?", tmp_path)
    assert done.stderr == "0\n"
    assert done.stdout.startswith("error: "), "said where it can be"
    assert done.stdout.endswith("\n2\n")


@linux
def test_a_full_disk_behind_stdout_is_one_line(tmp_path: Path, word_store: Path) -> None:
    done = shell(f"SEQ info {word_store} > /dev/full", tmp_path)
    assert_refused(done, "standard output", "No space left")


class Full(io.StringIO):
    """A stream that cannot be written to."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_work_goes_on_without_a_stderr_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    done = []

    def action() -> None:
        complain("a line")
        done.append(True)

    assert command_line.exit_status(action) == 0
    assert done == [True]


def said(monkeypatch: pytest.MonkeyPatch, encoding: str, *arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `seqaudio` on a console of an encoding."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in range(2)]
    words = list(map(str, arguments))
    with monkeypatch.context() as patched:
        patched.setattr(sys, "argv", ["seqaudio", *words])
        patched.setattr(sys, "stdout", streams[0])
        patched.setattr(sys, "stderr", streams[1])
        with pytest.raises(SystemExit) as stop:
            main(words)
    out, err = (stream.buffer.getvalue().decode(encoding) for stream in streams)  # type: ignore[attr-defined]
    assert isinstance(stop.value.code, int)
    return stop.value.code, out, err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_letters_that_a_console_lacks_are_replaced(
    encoding: str, monkeypatch: pytest.MonkeyPatch, command: Command, word_folder: Path, tmp_path: Path
) -> None:
    case_file("audio", "make_big.py")
    for label, word in (("bir", "one"), ("güneş", "two"), ("sığır", "three")):
        (tmp_path / "in" / label).mkdir(parents=True)
        for file in (word_folder / word).iterdir():
            (tmp_path / "in" / label / file.name).write_bytes(file.read_bytes())
    store, run = tmp_path / "store", tmp_path / "run"
    arguments = ("prepare", "audio_folder", "--source", tmp_path / "in", "--out", store, "--sample-rate", 8000)
    status, out, err = said(monkeypatch, encoding, *map(str, arguments), "--valid-percent", "20")
    assert (status, "s\\u0131\\u011f\\u0131r" in out) == (0, True), err
    for arguments in (("info", store), ("check", store)):
        status, out, err = said(monkeypatch, encoding, *arguments)
        assert status in (0, 1), err
        assert "Traceback" not in out + err
    if encoding == "cp1252":
        done = command(
            "seqaudio", "train", "keyword_recognition", "--store", store, "--run", run, "--epochs", "1", *SMALL
        )
        assert done.returncode == 0, done.stderr
        for name in sorted((tmp_path / "in").iterdir()):
            status, out, err = said(monkeypatch, encoding, "recognize", run, name)
            assert status == 0, err


# --- bytes that are no UTF-8 ---


@linux
def test_names_that_are_no_utf8_are_taken_or_refused_in_one_line(
    command: Command, word_folder: Path, word_store: Path, word_run: Path, tmp_path: Path
) -> None:
    case_file("adversary", "odd-bytes.sh")
    odd = os.fsdecode(b"x\xff")
    recording = tmp_path / f"{odd}.flac"
    recording.write_bytes(next(word_folder.rglob("*.wav")).read_bytes())
    done = command("seqaudio", "recognize", word_run, recording)
    assert (done.returncode, "x\\xff.flac" in done.stdout) == (0, True), done.stderr
    source = ("--source", word_folder, "--sample-rate", "8000")
    for out, name in ((tmp_path / "st", odd), (tmp_path / f"st{odd}", "plain")):
        done = command("seqaudio", "prepare", "audio_folder", *source, "--out", out, "--name", name)
        assert done.returncode == 0, done.stderr
        assert command("seqaudio", "info", out).returncode == 0
    assert "sources: x\\xff" in command("seqaudio", "info", tmp_path / "st").stdout
    run = tmp_path / f"r{odd}"
    train = ("seqaudio", "train", "keyword_recognition", "--store", tmp_path / f"st{odd}", "--epochs", "1", *SMALL)
    assert_refused(command(*train, "--run", run), "--run", "\\xff")
    assert not run.exists()
    done = command(*train, "--run", tmp_path / "run")
    assert done.returncode == 0, done.stderr


@linux
@pytest.mark.parametrize("preparation", ["series", "text_file"])
def test_names_of_single_files_may_be_of_any_bytes(preparation: str, command: Command, tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"x\xff.txt")
    rows = ["time,a", *(f"{hour},{hour % 7}" for hour in range(200))]
    file.write_text("\n".join(rows) if preparation == "series" else "some text, quite long\n" * 400, encoding="utf-8")
    source = file if preparation == "series" else tmp_path
    done = command("seqaudio", "prepare", preparation, "--source", source, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr


def test_json_keeps_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"path": "caf\udce9 ş"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"path": "caf\udce9 ş"}


# --- a full disk ---


def test_a_full_disk_is_told_with_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    status, _, err = 0, "", io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    status = command_line.exit_status(lambda: write_bytes(tmp_path / "results.json", b""))
    assert status == 2
    assert "results.json: No space left on device" in err.getvalue()


LIMITED = """
import resource, sys
from seqaudio.cli.main import main
import seqaudio.prepare.engine, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
main(sys.argv[1:])
"""


@linux
def test_a_preparation_that_the_disk_cannot_hold_names_the_place(tmp_path: Path, word_folder: Path) -> None:
    arguments = ("prepare", "audio_folder", "--source", word_folder, "--out", tmp_path / "out", "--sample-rate", "8000")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert_refused(done, str(tmp_path / "out"), "File too large")


# --- options ---


def numbers() -> list[tuple[str, type, str]]:
    """Every option of a number: the command, the class and the name."""
    commands = {f"prepare {name}": load(path) for name, path in preparations().items()}
    for script in ("train.py", "evaluate.py"):
        commands |= {f"{script} {name}": load(path) for name, path in recipes(script).items()}
    commands |= {command: import_module(f"seqaudio.cli.{command}") for command in COMMANDS}
    commands |= {str(path): load(path) for path in (ROOT / "recipes").glob("*/*study.py")}
    return [entry for name, module in commands.items() for entry in of_class(name, module.Config)]


def of_class(command: str, config: Any) -> list[tuple[str, type, str]]:
    hints, found = get_type_hints(config), []
    for field in dataclasses.fields(config):
        if is_nested(field):
            found += of_class(command, field.default_factory)
        elif field.init and re.search(r"\b(int|float)\b", str(hints[field.name])):
            found.append((command, config, field.name))
    return found


def test_every_number_has_bounds() -> None:
    found = numbers()
    assert len(found) > 150
    missing = {(command, name) for command, config, name in found if bounds_of(config, name) is None}
    assert missing == set(), "put them into seqaudio/option_bounds.py"


def with_value(config: Any, name: str, value: object) -> Any:
    """The options with their defaults, and with this value."""
    made = object.__new__(config)
    for field in dataclasses.fields(config):
        default = field.default_factory() if is_nested(field) else field.default  # type: ignore[misc]
        object.__setattr__(made, field.name, None if default is dataclasses.MISSING else default)
    object.__setattr__(made, name, value)
    return made


def test_defaults_and_ends_are_within_and_what_lies_beyond_is_refused() -> None:
    for _, config, name in numbers():
        bounds = bounds_of(config, name)
        assert bounds is not None
        default = config.__dataclass_fields__[name].default
        if default is not dataclasses.MISSING:
            check_bounds(with_value(config, name, default))
        for value in (float("nan"), float("inf"), float("-inf"), 10**30, -(10**30), bounds.least - 1, bounds.most + 1):
            if value == bounds.most:  # a float that has no next
                continue
            with pytest.raises(OptionError, match=f"--{name.replace('_', '-')} .*expected "):
                check_bounds(with_value(config, name, value))
        assert bounds.holds(bounds.least) is not bounds.above
        assert bounds.holds(bounds.most) is not bounds.below


OF_KEYWORDS = (
    "--layers 0", "--dropout -1", "--weight-decay -1", "--weight-decay nan", "--limit 0", "--limit -1",
    "--hidden-size -1", "--threads 1000000000000000000000000000000", "--learning-rate inf", "--learning-rate 0",
    "--epochs -1", "--clip-norm nan", f"--seed {SEEDS + 1}", "--noisy 2", "--augmentation.speed 1",
)  # fmt: skip
OF_MUSIC = ("--batch-size 0", "--batch-size -1", "--dropout nan", "--layers 0", "--embedding-size 0")


def test_options_out_of_bounds_are_one_line(
    command: Command, word_store: Path, tune_store: Path, tune_run: Path, word_folder: Path, tmp_path: Path
) -> None:
    case_file("adversary", "options.sh")
    kept = tmp_path / "r"
    for recipe, store, options in (
        ("keyword_recognition", word_store, OF_KEYWORDS),
        ("music_generation", tune_store, OF_MUSIC),
    ):
        for option in options:
            done = command(
                "seqaudio", "train", recipe, "--store", store, "--run", kept, "--epochs", "1", *option.split()
            )
            name = option.split()[0]
            assert_refused(done, f"--{name.rpartition('.')[2].removeprefix('--')}", "expected")
            assert not kept.exists()
    generate = ("generate", tune_run, "--out", tmp_path / "x.mid", "--count", 10**9)
    assert_refused(command("seqaudio", *map(str, generate)), "--count 1000000000, expected 1 to 10,000")
    assert_refused(command("seqaudio", "probe", tune_run, tune_store, "--sequences", str(10**30)), "--sequences")
    prepare = ("seqaudio", "prepare", "audio_folder", "--source", word_folder, "--out")
    assert_refused(command(*prepare, tmp_path / "o", "--workers", str(2**31)), "--workers 2147483648, expected 1 to")
    assert_refused(command(*prepare, "/"), "--out / is the root of all folders")
    assert_refused(command(*prepare, "", folder=tmp_path), "exists")
    assert_refused(command("seqaudio", "sweep", "memory_tasks", "--out", "/"), "--out /")


def test_help_of_an_option_that_is_no_number_has_no_bounds(command: Command) -> None:
    told = " ".join(command("seqaudio", "train", "speech_recognition", "--help").stdout.replace("│", " ").split())
    assert "of the net; phones need --lexicon (default: characters)" in told
    assert "frames of a step of the net; a text needs at least as many steps as characters; 1 to 100 (default" in told


def test_help_names_the_bounds(command: Command) -> None:
    told = " ".join(command("seqaudio", "generate", "--help").stdout.replace("│", " ").split())
    assert "number of pieces; 1 to 10,000 (default: 1)" in told


def test_values_of_a_saved_config_are_checked_as_well(command: Command, word_run: Path, tmp_path: Path) -> None:
    for name, value, words in (("layers", 0, "--layers 0"), ("dropout", -1, "--dropout"), ("start_from", "a\0b", "0")):
        config = json.loads((word_run / "config.json").read_text(encoding="utf-8"))
        config["settings"][name] = value
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        again = ("--config", tmp_path / "config.json", "--run", tmp_path / "r", "--store", word_run)
        assert_refused(command("seqaudio", "train", "keyword_recognition", *again), words)
