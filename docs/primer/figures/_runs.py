"""Outputs of a page's commands, cached below build/primer/: figures show the very runs that a reader gets."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from chapters import PRIMER, ROOT, PageError, read_page
from commands import program

from seqaudio.files import write_json
from seqaudio.progress import say

CACHE = ROOT / "build" / "primer"
DONE = "done.json"  # the commands that were run in a folder, in their order


def made_by(page: str) -> Path:
    """The folder in which all commands of docs/primer/en/PAGE.md were run; those of an unchanged page run once.

    Raises PageError where a command fails.
    """
    commands = read_page(PRIMER / "en" / f"{page}.md").commands
    folder = CACHE / page
    done: list[str] = json.loads((folder / DONE).read_text(encoding="utf-8")) if (folder / DONE).is_file() else []
    if done != commands[: len(done)] or (folder.exists() and not done):
        shutil.rmtree(folder)
        done = []
    folder.mkdir(parents=True, exist_ok=True)
    for command in commands[len(done) :]:
        say(f"{page}: {command}")
        if subprocess.run(program(command), cwd=folder, check=False).returncode:
            shutil.rmtree(folder)
            raise PageError(f"{page}.md: {command} failed")
        done.append(command)
        write_json(folder / DONE, done)
    return folder
