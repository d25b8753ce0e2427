"""`seqaudio`, `python` and `torchrun` as page_home.py puts them on the path: small trainings, few recordings.

Importing torch takes longer than most of what they do. So `serve PLACE` is a server that has imported it: a program
gives it arguments, folder and streams, and ends as the server's child does.

An option that a page gives and that makes a training long has a small value here; everything else is as it is printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import runpy
import socket
import sys
import traceback
from pathlib import Path

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


def call() -> None:
    """Run the program by the server, where there is one, otherwise as a process of its own."""
    program, *words = sys.argv[1:]
    if program == "torchrun":
        place = words.index("--") + 1
        words = ["-m", "torch.distributed.run", *words[:place], *shrunk(words[place:])]
    elif not words[0].startswith("-"):
        words = shrunk(words)
    server = os.environ.get("PAGE_SERVER")
    if server and not words[0].startswith("-") and "--devices" not in words:  # these repeat their own command
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(server)
            socket.send_fds(line, [json.dumps([program, words, str(Path.cwd())]).encode()], [0, 1, 2])
            sys.exit(int(line.recv(16) or b"1"))
    start = ["-m", "seqaudio.cli.main"] if program == "seqaudio" else []
    os.execv(sys.executable, [sys.executable, *start, *words])


def serve(place: str) -> None:
    """Fork a child for each program that is asked for; everything is imported already."""
    from fork_server import import_all

    with socket.socket(socket.AF_UNIX) as door:
        import_all()
        door.bind(place)
        door.listen()
        while True:
            line, _ = door.accept()
            if not os.fork():
                _run(line)
            line.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _run(line: socket.socket) -> None:
    status = 1
    try:
        text, streams, _, _ = socket.recv_fds(line, 1 << 20, 3)
        program, words, folder = json.loads(text)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, encoding="utf-8", errors="surrogateescape") for number, mode in enumerate("rww")
        )
        os.chdir(folder)
        status = _status(program, words)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        line.sendall(str(status).encode())
        os._exit(status)


def _status(program: str, words: list[str]) -> int:
    try:
        if program == "seqaudio":
            from seqaudio.cli.main import entry

            sys.argv = ["seqaudio", *words]
            entry()
        else:
            sys.argv = words
            sys.path.insert(0, str(Path(words[0]).resolve().parent))
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:  # noqa: BLE001  # as the interpreter does
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    call()
