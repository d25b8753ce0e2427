"""The commands of the pages, as a shell in an installed clone would run them, without a shell.

    python docs/primer/commands.py docs/primer/en/uses_series.md --folder scratch

A command begins with `seqaudio` or with a script of the project; what it makes arises below the folder.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

from chapters import ROOT, Page, PageError, read_page


def program(line: str) -> list[str]:
    """The argument list of a command line. Raises PageError unless it begins with `seqaudio` or a script of ours."""
    first, *rest = shlex.split(line)
    if first == "seqaudio":
        return [sys.executable, "-m", "seqaudio.cli.main", *rest]
    if first.endswith(".py") and (ROOT / first).is_file():
        return [sys.executable, str(ROOT / first), *rest]
    raise PageError(f"{line!r}: begins with {first!r}, expected seqaudio or a script of the project")


def run_commands(page: Page, folder: Path, timeout: float = 1200) -> list[tuple[str, float]]:
    """Run the commands of a page in order; the seconds that each took.

    Raises:
        PageError: a command failed; with what it wrote to stderr.
    """
    taken = []
    for line in page.commands:
        start = time.perf_counter()
        done = subprocess.run(program(line), cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode:
            raise PageError(f"{page.path.name}: {line}\nstatus {done.returncode}\n{done.stderr}")
        taken.append((line, time.perf_counter() - start))
    return taken


def main() -> int:
    """0, or 1 where a command fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        for path in options.pages:
            for line, seconds in run_commands(read_page(path.resolve()), options.folder):
                print(f"{seconds:7.1f} s  {line}", flush=True)
    except PageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
