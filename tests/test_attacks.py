"""Thousands of attacks by a seed: damaged stores, runs, archives, option values, commands at once, kills.

Each command may end well, or in one line with status 2: never a traceback, a signal, no end, or a loss. The long tests
print how often they saw which end; the short one is there so that the harness itself works.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from mutated_json import copied, mutant
from test_common_voice import write_table

from conftest import SMALL
from made_up_speech import pack, write_word
from seqaudio.store import Store

if sys.platform == "win32":
    pytest.skip("fork is Unix only", allow_module_level=True)

from fork_server import ForkServer, Outcome

Words = tuple[str | Path, ...]
TRAIN = ("--epochs", "1", *SMALL)
KEYWORDS = ("train", "keyword_recognition")
MUSIC = ("train", "music_generation")


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


class Tally:
    """Outcomes of many attacks: how many ended how, and each fault."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self.faults: list[str] = []

    def add(self, outcome: Outcome, what: str) -> None:
        done = "interrupted in order" if outcome.interrupted else {0: "fine", 2: "one line"}.get(outcome.returncode)
        self.ends[outcome.fault or str(done)] += 1
        if outcome.fault:
            self.faults.append(f"{what}: {outcome}")

    def lost(self, what: str) -> None:
        self.ends["lost"] += 1
        self.faults.append(what)

    def report(self, name: str) -> None:
        total = sum(self.ends.values())
        print(f"{name}: {total} commands: " + ", ".join(f"{count} {end}" for end, count in self.ends.most_common()))
        assert not self.faults, f"{len(self.faults)} of {total}\n" + "\n".join(self.faults[:25])


# stores


def damage_arrow(server: ForkServer, store: Path, train: Words, place: Path, count: int, seed: int) -> Tally:
    """Flip one bit, half of them where Arrow keeps its metadata, and look at the store in three ways."""
    draw, tally = np.random.default_rng(seed), Tally()
    files = sorted(store.glob("*.arrow"))
    for number in range(count):
        damaged = copied(store, place / "store")
        name = files[int(draw.integers(len(files)))].name
        content = bytearray((store / name).read_bytes())
        edge = min(2048, len(content))  # schema at the start, record batches and footer at the end
        where = int(draw.integers(len(content)))
        if number % 2:
            where = int(draw.integers(edge)) if number % 4 == 1 else len(content) - 1 - int(draw.integers(edge))
        content[where] ^= 1 << int(draw.integers(8))
        (damaged / name).write_bytes(content)
        what = f"{name}, byte {where}"
        verified = server.run("info", damaged, "--verify", folder=place)
        tally.add(verified, what)
        if verified.returncode == 0:
            tally.lost(f"{what}: --verify finds nothing")
        if number % 2:
            tally.add(server.run("check", damaged, folder=place), what)
        else:
            shutil.rmtree(place / "run", ignore_errors=True)
            tally.add(server.run(*train, "--store", damaged, "--run", place / "run", *TRAIN, folder=place), what)
    return tally


def damage_store_json(server: ForkServer, store: Path, train: Words, place: Path, count: int, seed: int) -> Tally:
    """Mutate `store.json` and give the store to a command that reads it."""
    tally, whole = Tally(), (store / "store.json").read_bytes()
    for number in range(count):
        damaged = copied(store, place / "store")
        (damaged / "store.json").write_bytes(mutant(whole, random.Random(f"{seed} {number}")))
        shutil.rmtree(place / "run", ignore_errors=True)
        commands: tuple[Words, ...] = (
            ("info", damaged),
            ("check", damaged),
            (*train, "--store", damaged, "--run", place / "run", *TRAIN),
        )
        tally.add(server.run(*commands[number % 3], folder=place), f"store.json, mutant {seed} {number}")
    return tally


# runs


def damage_runs(server: ForkServer, run: Path, uses: Callable[[Path], list[Words]], place: Path, count: int) -> Tally:
    """Mutate a JSON of a run, or flip a bit of its tensors, and give the run to a command that uses it."""
    draw, tally = np.random.default_rng(count), Tally()
    for command in uses(copied(run, place / "run")):
        outcome = server.run(*command, folder=place)
        assert outcome.returncode == 0, outcome
    files = [file for file in sorted(run.rglob("*")) if file.suffix in (".json", ".jsonl", ".safetensors", ".tsv")]
    jsons = [file for file in files if file.suffix == ".json"]
    for number in range(count):
        damaged = copied(run, place / "run")
        file = jsons[number // 4 % len(jsons)] if number % 4 else files[int(draw.integers(len(files)))]
        if file.suffix == ".json":
            content, what = mutant(file.read_bytes(), random.Random(f"{count} {number}")), f"mutant {count} {number}"
        else:
            bits = bytearray(file.read_bytes())
            where = int(draw.integers(min(len(bits), 4096 if number % 8 else len(bits)))) if bits else 0
            if bits:
                bits[where] ^= 1 << int(draw.integers(8))
            content, what = bytes(bits), f"byte {where}"
        (damaged / file.relative_to(run)).write_bytes(content)
        commands = uses(damaged)
        command = commands[int(draw.integers(len(commands)))]
        tally.add(server.run(*command, folder=place), f"{file.relative_to(run)}: {what}")
    return tally


# archives


def archives(place: Path) -> list[tuple[str, bytes]]:
    """A TAR, a compressed TAR and a ZIP of six recordings in the layout of Common Voice, which has no checksum."""
    folder = place / "packed"
    for number, table in enumerate(("train.tsv", "dev.tsv", "test.tsv")):
        names = [f"{number}_{take}.wav" for take in range(2)]
        for take, name in enumerate(names):
            write_word(folder / "clips" / name, number, take)
        write_table(
            folder / table, [{"client_id": f"voice{number}", "path": name, "sentence": "yes"} for name in names]
        )
    suffixes = (".tar", ".tar.gz", ".zip")
    return [(suffix, pack(place / f"whole{suffix}", folder, "corpus/en").read_bytes()) for suffix in suffixes]


def damage_archives(server: ForkServer, place: Path, count: int) -> Tally:
    """Change a few bytes, most of them in headers, or cut the archive, and prepare from it; first from whole ones."""
    draw, tally = np.random.default_rng(4), Tally()
    whole = archives(place)
    for number in range(-len(whole), count):
        suffix, content = whole[number % len(whole)]
        bits = bytearray(content)
        if number >= 0:
            change_archive(bits, suffix, draw)
        archive = place / f"damaged{suffix}"
        archive.write_bytes(bits)
        for folder in ("source", "out"):
            shutil.rmtree(place / folder, ignore_errors=True)
        words = ("prepare", "common_voice", "--source", place / "source", "--archive", archive, "--out", place / "out")
        outcome = server.run(*words, folder=place, memory=4 << 30)
        if number >= 0:
            tally.add(outcome, f"archive {number}")
        else:
            assert outcome.returncode == 0, outcome
    return tally


def change_archive(bits: bytearray, suffix: str, draw: np.random.Generator) -> None:
    for _ in range(int(draw.integers(1, 4))):
        if suffix == ".tar":
            where = 512 * int(draw.integers(len(bits) // 512)) + int(draw.integers(512))
        else:
            where = int(draw.integers(80)) if draw.random() < 0.3 else len(bits) - 1 - int(draw.integers(600))
        bits[min(where, len(bits) - 1)] = int(draw.integers(256))
    if draw.random() < 0.1:
        del bits[int(draw.integers(len(bits))) :]


# options

VALUES = ("-1", "0", "nan", "inf", "-inf", "1e400", str(10**9), str(10**30), str(-(10**30)), "", "x", "1.5", "\x1b[31m")


def option_attacks(commands: dict[str, Words], count: int) -> Iterator[Words]:
    """Commands with one option set to a value that a seed draws; each option of each command is as likely."""
    draw = np.random.default_rng(5)
    options = [(name, option) for name in commands for option in value_options(name)]
    for number in draw.permutation(max(count, len(options)))[:count]:
        name, option = options[number % len(options)]
        yield *commands[name], f"{option}={VALUES[int(draw.integers(len(VALUES)))]}"


def value_options(name: str) -> list[str]:
    """The options of a command that take a value, as its completion lists them."""
    from seqaudio.cli.completion import SHARED, options
    from seqaudio.cli.scripts import load, preparations, recipes

    first, _, rest = name.partition(" ")
    if first == "prepare":
        module = load(preparations()[rest])
    elif first == "train":
        module = load(recipes("train.py")[rest])
    else:
        module = import_module(f"seqaudio.cli.{first}")
    flags = {name for name, values in options(module).items() if values is None}
    return [name for name in options(module) if name not in flags and name not in SHARED]


# what the short and the long tests share


def keyword_uses(store: Path, clip: Path) -> Callable[[Path], list[Words]]:
    def uses(run: Path) -> list[Words]:
        return [
            ("info", run),
            ("evaluate", run, "--store", store),
            ("recognize", run, clip),
            ("compare", run),
            ("probe", run, store, "--sequences", "2"),
            (*KEYWORDS, "--store", store, "--run", run, "--resume", "--epochs", "12", *SMALL),
        ]

    return uses


def music_uses(store: Path, place: Path) -> Callable[[Path], list[Words]]:
    def uses(run: Path) -> list[Words]:
        return [
            ("info", run),
            ("evaluate", run, "--store", store),
            ("generate", run, "--out", place / "new.mid", "--force", "--max-events", "40"),
            ("judge", run, "--beside", store, "--count", "2", "--max-events", "40"),
            ("score", run, place / "new.mid"),
            ("compare", run),
        ]

    return uses


def test_a_few_attacks_of_each_kind_end_in_order(
    server: ForkServer, word_store: Path, word_run: Path, word_folder: Path, tmp_path: Path
) -> None:
    clip = word_folder / "one" / "s0_0.wav"
    damage_arrow(server, word_store, KEYWORDS, tmp_path, 4, seed=9).report("bits of stores")
    damage_store_json(server, word_store, KEYWORDS, tmp_path, 9, seed=9).report("store.json")
    damage_runs(server, word_run, keyword_uses(word_store, clip), tmp_path, 12).report("runs")
    damage_archives(server, tmp_path, 12).report("archives")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_hundred_damaged_places_of_stores_are_told(
    server: ForkServer, word_store: Path, tune_store: Path, tmp_path: Path
) -> None:
    damage_arrow(server, word_store, KEYWORDS, tmp_path, 100, seed=0).report("bits of stores of features")
    damage_arrow(server, tune_store, MUSIC, tmp_path, 100, seed=1).report("bits of stores of tokens")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_three_hundred_mutants_of_store_json_are_told(
    server: ForkServer, word_store: Path, tune_store: Path, tmp_path: Path
) -> None:
    damage_store_json(server, word_store, KEYWORDS, tmp_path, 150, seed=2).report("store.json of features")
    damage_store_json(server, tune_store, MUSIC, tmp_path, 150, seed=3).report("store.json of tokens")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_hundred_mutants_of_runs_of_keywords_are_told(
    server: ForkServer, word_store: Path, word_run: Path, word_folder: Path, tmp_path: Path
) -> None:
    uses = keyword_uses(word_store, word_folder / "one" / "s0_0.wav")
    damage_runs(server, word_run, uses, tmp_path, 500).report("runs of keywords")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_hundred_mutants_of_runs_of_music_are_told(
    server: ForkServer, tune_store: Path, tune_run: Path, tmp_path: Path
) -> None:
    damage_runs(server, tune_run, music_uses(tune_store, tmp_path), tmp_path, 500).report("runs of music")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_hundred_damaged_archives_are_told(server: ForkServer, tmp_path: Path) -> None:
    damage_archives(server, tmp_path, 500).report("archives")


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_four_hundred_values_of_options_are_taken_or_told(
    server: ForkServer,
    word_folder: Path,
    tune_folder: Path,
    word_store: Path,
    word_run: Path,
    tune_store: Path,
    tune_run: Path,
    tmp_path: Path,
) -> None:
    clip, tune = word_folder / "one" / "s0_0.wav", tune_folder / "tune00.mid"
    out, run = tmp_path / "out", tmp_path / "run"
    commands: dict[str, Words] = {
        "prepare audio_folder": ("--source", word_folder, "--out", out),
        "prepare midi_folder": ("--source", tune_folder, "--out", out),
        "train keyword_recognition": ("--store", word_store, "--run", run, *TRAIN),
        "train music_generation": ("--store", tune_store, "--run", run, *TRAIN),
        "train memory_tasks": ("--run", run, "--steps", "4", "--check-every", "2", "--length", "10"),
        "recognize": (word_run, clip),
        "generate": (tune_run, "--out", tmp_path / "new.mid", "--force"),
        "render": (tune, "--wav", tmp_path / "new.wav"),
        "show": (clip, "--png", tmp_path / "new.png"),
        "probe": (word_run, word_store),
        "check": (word_store,),
        "compare": (word_run,),
        "judge": (tune_run, "--beside", tune_store, "--count", "2", "--max-events", "40"),
        "score": (tune_run, tune),
        "harmonize": (tune_run, tune, "--out", tmp_path / "new.mid", "--force"),
    }
    commands = {name: (*name.split(), *own) for name, own in commands.items()}

    def outcome(command: Words) -> Outcome:
        for made in (out, run):
            shutil.rmtree(made, ignore_errors=True)
        for made in tmp_path.glob("new.*"):
            made.unlink()
        return server.run(*command, folder=tmp_path, seconds=20, memory=10 << 30)

    for command in commands.values():
        assert outcome(command).returncode in (0, 1), "no attack, and no warning of `check` either"
    tally = Tally()
    for command in option_attacks(commands, 400):
        tally.add(outcome(command), str(command[-1]))
        if not (word_store / "store.json").is_file() or not (word_run / "config.json").is_file():
            tally.lost(f"{command}: removed what it read")
    tally.report("values of options")


# at once, and killed


def contents(folder: Path, *names: str) -> dict[str, bytes]:
    """The bytes of a folder's files, or of the named ones."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and (not names or file.name in names)]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_of_twenty_pairs_of_commands_at_once_each_ends_in_order_and_what_they_leave_is_whole(
    server: ForkServer, word_folder: Path, word_store: Path, tmp_path: Path
) -> None:
    tally, draw, second = Tally(), np.random.default_rng(6), 0
    long = ("--epochs", "30", *SMALL)
    for number in range(20):
        kind, place = number % 5, tmp_path / str(number)
        place.mkdir()
        store, run = place / "store", place / "run"
        prepare = ("prepare", "audio_folder", "--source", word_folder, "--out", store, "--sample-rate", "8000")
        train = (*KEYWORDS, "--store", word_store, "--run", run, *long)
        sweep = ("sweep", "memory_tasks", "--seeds", "2", "--out", place / "sweep", "--")
        tiny = ("--steps", "40", "--check-every", "20", "--length", "10", "--hidden-size", "4")
        if kind == 1:
            assert server.run(*prepare, folder=place).returncode == 0
        if kind == 3:
            server.together([train], folder=place, kill=(2.0 + draw.random(), signal.SIGINT))
        pair: list[Words] = {
            0: [prepare, (*prepare, "--features", "log_mel")],
            1: [(*prepare, "--force", "--features", "log_mel"), (*prepare, "--update")],
            2: [train, train],
            3: [(*train, "--resume"), (*train, "--resume")],
            4: [(*sweep, *tiny), (*sweep, *tiny)],
        }[kind]
        for outcome in server.together(pair, folder=place, seconds=200, delays=(0.0, float(draw.uniform(0, 0.6)))):
            tally.add(outcome, f"pair {number}")
            second += outcome.returncode == 2
        if kind < 2 and server.run("info", store, "--verify", folder=place).returncode:
            tally.lost(f"pair {number}: the store is damaged")
        if kind in (2, 3):
            epochs = [json.loads(line)["epoch"] for line in (run / "metrics.jsonl").read_text().splitlines()]
            if epochs != sorted(set(epochs)):
                tally.lost(f"pair {number}: epochs {epochs}")
    print(f"pairs: {second} of 20 second commands were refused")
    tally.report("pairs")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_after_forty_kills_the_same_command_goes_on_and_ends_in_equal_bytes(
    server: ForkServer, word_folder: Path, word_store: Path, tmp_path: Path
) -> None:
    tally, draw = Tally(), np.random.default_rng(7)
    words: dict[str, Words] = {
        "store": ("prepare", "audio_folder", "--source", word_folder, "--sample-rate", "8000", "--out"),
        "run": (*KEYWORDS, "--store", word_store, "--epochs", "30", "--checkpoint-seconds", "0.3", *SMALL, "--run"),
    }
    for kind, command in words.items():
        assert server.run(*command, tmp_path / f"whole-{kind}", folder=tmp_path, seconds=200).returncode == 0
    for number in range(40):
        kind = ("store", "run")[number % 2]
        place, whole = tmp_path / f"{kind} {number}", tmp_path / f"whole-{kind}"
        how = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[number % 3]
        after = float(draw.uniform(0.05, 1.0 if kind == "store" else 4.0))
        server.together([(*words[kind], place)], folder=tmp_path, kill=(after, how), seconds=200)
        again = server.run(*words[kind], place, folder=tmp_path, seconds=200)
        if kind == "run" and again.returncode == 2:
            if "--resume" not in again.stderr:
                tally.lost(f"kill {number}: {again.stderr}")
            again = server.run(*words[kind], place, "--resume", folder=tmp_path, seconds=200)
        tally.add(again, f"kill {number}, {how.name} after {after:.2f} s")
        if again.returncode == 2 and "exists" not in again.stderr:  # killed in its last instant it had finished
            tally.lost(f"kill {number}: {again.stderr}")
        names = () if kind == "store" else ("model.safetensors",)
        if contents(place, *names) != contents(whole, *names):
            tally.lost(f"kill {number}, {how.name} after {after:.2f} s: other bytes")
        if kind == "store":
            Store(place)
        left = [path.name for path in tmp_path.iterdir() if path.suffix in (".partial", ".old", ".lock")]
        if left:
            tally.lost(f"kill {number}: {left} is left over")
    tally.report("kills")
