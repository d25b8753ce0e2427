"""`seqaudio`, `python` and `torchrun` as page_home.py puts them on the path: with small trainings and few recordings.

An option that a page gives and that makes a training long has a small value here; everything else is as it is printed.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHORT = {
    "--epochs": "1",
    "--minutes": "0.05",
    "--hidden-size": "16",
    "--count": "2",
    "--seeds": "0",
    "--random-voices": "4",
}
TRAINED = {"--epochs": "1", "--hidden-size": "16", "--device": "cpu"}
WAKE = {"--random-voices": "4", "--minutes": "0.02", "--preset": "tiny", "--workers": "1"}
FEW = {"--limit": "120"}
NO_LIMIT = ("series", "text_file", "synthetic_keywords", "wake_words")


def shrunk(words: list[str]) -> list[str]:
    """The arguments of a command, with small values where long ones stand, and small ones added."""
    kind, name = kind_of(words)
    words = [SHORT.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    more: dict[str, str] = {}
    if kind == "train":
        more = dict(TRAINED)
        if "--minutes" in words:
            del more["--epochs"]
        if "--parameters" in words:
            del more["--hidden-size"]
        if name == "memory_tasks":
            more = {"--steps": "20", "--check-every": "10", "--hidden-size": "8"}
        elif name != "forecasting":
            more |= {"--limit": "40"}
    elif kind == "wake":
        more = WAKE
    elif kind == "prepare" and name not in NO_LIMIT:
        more = FEW
    elif kind == "prepare" and name == "synthetic_keywords":
        more = {"--voices": "10", "--random-voices": "4"}
    for option, value in more.items():
        if option not in words:
            words += [option, value]
    return ["RECORDING.wav" if word == "--microphone" else word for word in words]


def kind_of(words: list[str]) -> tuple[str, str]:
    """What a command does, and to which corpus or by which recipe."""
    if words[0] in ("prepare", "train"):
        return words[0], words[1]
    if script := re.fullmatch(r"(?:.*/)?data_prep/(\w+)\.py", words[0]):
        return "prepare", script[1]
    if script := re.fullmatch(r"(?:.*/)?recipes/(\w+)/train\.py", words[0]):
        return "train", script[1]
    return words[0], ""


def main() -> None:
    program, *words = sys.argv[1:]
    if program == "torchrun":
        place = words.index("--") + 1
        os.execv(
            sys.executable, [sys.executable, "-m", "torch.distributed.run", *words[: place - 1], *shrunk(words[place:])]
        )
    if program == "seqaudio":
        os.execv(sys.executable, [sys.executable, "-m", "seqaudio.cli.main", *shrunk(words)])
    os.execv(sys.executable, [sys.executable, *(words if words[0].startswith("-") else shrunk(words))])


if __name__ == "__main__":
    main()
