"""Runs the python blocks of pages in a child process and compares what they print with the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chapters import PRIMER, Page, PageError
from printed import difference

SEED = 20  # of the global generators when a page begins; pages set their own
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Outcome:
    """The result of running a page."""

    page: Page
    printed: list[str]  # by each block that was run
    seconds: list[float]  # the same blocks
    error: str | None  # traceback of the last of them

    @property
    def place(self) -> str:
        """File and line of the last block that was run."""
        examples = self.page.examples
        line = examples[len(self.printed) - 1].code.line if self.printed else 1
        return f"{self.page.path.parent.name}/{self.page.path.name}:{line}"


def run_pages(pages: Sequence[Page], seed: int = SEED, timeout: float = 600) -> list[Outcome]:
    """Run all python blocks of the pages, each page in a namespace and a folder of its own, on one thread.

    Raises:
        PageError: the child died, as a block that ends the process makes it do, or took longer than `timeout` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="primer-") as scratch:
        tasks = []
        for number, page in enumerate(pages):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            blocks = [example.code.body for example in page.examples]
            tasks.append({"name": f"{number} {page.path.name}", "folder": str(folder), "blocks": blocks})
        lines = _child(json.dumps({"seed": seed, "pages": tasks}), timeout)
    outcomes = []
    for task, page in zip(tasks, pages, strict=True):
        own = [line for line in lines if line["page"] == task["name"]]
        error = own[-1]["error"] if own else None
        outcomes.append(Outcome(page, [line["printed"] for line in own], [line["seconds"] for line in own], error))
    return outcomes


def _child(task: str, timeout: float) -> list[dict[str, Any]]:
    command = [sys.executable, str(PRIMER / "blocks_child.py")]
    try:
        done = subprocess.run(
            command,
            input=task,
            env=os.environ | ONE_THREAD,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PageError(
            f"the blocks took longer than {timeout:g} s; give heavy work to a figure or a command"
        ) from None
    if done.returncode:
        raise PageError(f"the blocks ended their process with status {done.returncode}\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def faults(outcome: Outcome) -> list[str]:
    """In how far a page does not keep its word, one line each (with the traceback where a block failed)."""
    if outcome.error is not None:
        return [f"{outcome.place}: {outcome.error}"]
    found, page = [], outcome.page
    language = page.path.parent.name
    name = f"{language}/{page.path.name}"
    for example, printed in zip(page.examples, outcome.printed, strict=True):
        expected = example.printed.body if example.printed else ""
        if example.printed is None and printed.strip():
            found.append(f"{name}:{example.code.line}: prints {printed.splitlines()[0]!r}, the page shows nothing")
        elif words := difference(expected, printed, language):
            found.append(f"{name}:{example.code.line}: {words}")
    return found
