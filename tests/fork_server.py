"""Commands in processes of their own that start in milliseconds: a server that has imported everything forks for each.

Unlike `in_process.py`, what kills a command (a signal, a lack of memory, no end) is seen and hurts nothing else. Run as
a program this file is the server: a line of JSON in for each command, a line of JSON out. Unix only.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAUSE = 0.005  # seconds between looks at a child that runs
GRACE = 10.0  # seconds that a command which was interrupted has to save


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    arguments: tuple[str, ...]
    returncode: int  # negative: the signal that ended it
    stdout: str
    stderr: str
    interrupted: bool  # it ran past its time, and got the signal of Ctrl-C
    hung: bool  # it did not end after that either, and was killed

    @property
    def fault(self) -> str | None:
        """Why this is not how a command may end, or None: status 0, or 2 and one line, without a traceback."""
        if self.hung:
            return "does not end"
        if self.returncode < 0:
            return f"ended by signal {-self.returncode}"
        if "Traceback (most recent call last)" in self.stderr:
            return "traceback"
        if self.interrupted:
            return None if self.returncode in (0, 130) else f"status {self.returncode} after Ctrl-C"
        if self.returncode not in (0, 2):
            return f"status {self.returncode}"
        errors = [line for line in self.stderr.splitlines() if line.startswith(("error: ", "╭─"))]  # ours, the parser's
        if self.returncode == 2 and len(errors) != 1:
            return f"{len(errors)} lines of errors"
        return None

    def __str__(self) -> str:
        return f"seqaudio {' '.join(self.arguments)[:300]}: {self.fault}\n    {self.stderr.strip()[-700:]}"


class ForkServer:
    """A server and the pipe to it. Commands run one after the other; `start` lets them run beside each other."""

    def __init__(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def run(self, *arguments: str | Path, folder: Path, seconds: float = 60, memory: int = 8 << 30) -> Outcome:
        """The outcome of `seqaudio ARGUMENTS` in `folder`, with at most `memory` bytes of address space."""
        return self.together([arguments], folder=folder, seconds=seconds, memory=memory)[0]

    def together(
        self,
        commands: list[tuple[str | Path, ...]],
        *,
        folder: Path,
        seconds: float = 60,
        memory: int = 8 << 30,
        delays: tuple[float, ...] = (),
        kill: tuple[float, int] | None = None,
    ) -> list[Outcome]:
        """Outcomes of commands that run at once, the Nth started `delays[N]` seconds after the first.

        `kill`: seconds after which all get a signal, and its number.
        """
        request = {
            "commands": [list(map(str, command)) for command in commands],
            "folder": str(folder), "seconds": seconds, "memory": memory, "delays": list(delays), "kill": kill,
        }  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        replies = json.loads(self._process.stdout.readline())
        return [Outcome(tuple(map(str, command)), **reply) for command, reply in zip(commands, replies, strict=True)]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


class _Child:
    """A forked process that runs one command."""

    def __init__(self, arguments: list[str], folder: str, memory: int) -> None:
        self.streams = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  # closed with the reply
        self.status: int | None = None
        self.interrupted = self.hung = False
        self.pid = os.fork()
        if not self.pid:
            status = 1
            try:
                status = self._command(arguments, folder, memory)
            finally:
                os._exit(status)

    def _command(self, arguments: list[str], folder: str, memory: int) -> int:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, stream in enumerate(self.streams, start=1):
            os.dup2(stream.fileno(), number)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape")
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace")
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        sys.argv = ["seqaudio", *arguments]
        from seqaudio.cli.main import entry

        try:
            entry()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        except BaseException:  # noqa: BLE001  # as the interpreter does
            traceback.print_exc()
            status = 1
        else:
            status = 0
        sys.stdout.flush()
        sys.stderr.flush()
        return status

    def ended(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                self.signal(signal.SIGKILL)  # workers that it left behind
        return self.status is not None

    def signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # none is left of its group

    def reply(self) -> dict[str, Any]:
        texts = []
        for stream in self.streams:
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "backslashreplace"))
            stream.close()
        return {
            "returncode": self.status, "stdout": texts[0], "stderr": texts[1],
            "interrupted": self.interrupted, "hung": self.hung,
        }  # fmt: skip


def _serve(request: dict[str, Any]) -> list[dict[str, Any]]:
    started = time.monotonic()
    waiting = list(zip(request["commands"], request["delays"] or [0.0] * len(request["commands"]), strict=True))
    children: list[_Child] = []
    kill = request["kill"]
    while waiting or sum(not child.ended() for child in children):
        now = time.monotonic() - started
        while waiting and waiting[0][1] <= now:
            children.append(_Child(waiting.pop(0)[0], request["folder"], request["memory"]))
        if kill and now >= kill[0]:
            for child in children:
                child.signal(kill[1])
            kill = None
        for child in children:
            if child.status is None and now > request["seconds"]:
                if not child.interrupted:
                    os.kill(child.pid, signal.SIGINT)
                    child.interrupted = True
                elif now > request["seconds"] + GRACE:
                    child.hung = True
                    child.signal(signal.SIGKILL)
        time.sleep(PAUSE)
    return [child.reply() for child in children]


def import_all() -> None:
    """Import what commands import, without starting a thread, which a fork would lose."""
    from importlib import import_module

    from seqaudio.cli.main import COMMANDS
    from seqaudio.cli.scripts import load, preparations, recipes

    for name in COMMANDS:
        import_module(f"seqaudio.cli.{name}")
    for path in (*preparations().values(), *recipes("train.py").values(), *recipes("evaluate.py").values()):
        load(path)


if __name__ == "__main__":
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what imports print is no reply
    import_all()
    for line in sys.stdin:
        out.write(json.dumps(_serve(json.loads(line))) + "\n")
        out.flush()
