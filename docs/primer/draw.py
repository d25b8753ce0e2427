"""Draws the figures of the primer: docs/pictures/primer/{en,tr}/NAME.png from docs/primer/figures/NAME.py.

    python docs/primer/draw.py                    all of them in both languages; `make figures` runs this
    python docs/primer/draw.py gates_of_a_word    one

A script has `WORDS`, a dictionary of its words by language, and `draw(language, out)`, which writes `out / "NAME.png"`.
What a script trains it keeps below build/primer/, so a second time takes seconds; remove that folder to train afresh.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path
from types import ModuleType

from chapters import LANGUAGES, PRIMER, ROOT, PageError
from examples import ONE_THREAD

from seqaudio.errors import SeqAudioError

FIGURES = PRIMER / "figures"
PICTURES = ROOT / "docs" / "pictures" / "primer"
LARGEST = 150_000  # bytes of a PNG


def figure_names() -> list[str]:
    """The figures that have a script."""
    return sorted(path.stem for path in FIGURES.glob("[!_]*.py"))


def figure_script(name: str) -> ModuleType:
    """Import docs/primer/figures/NAME.py. Raises PageError where there is none."""
    if name not in figure_names():
        raise PageError(f"no figure is called {name!r}; there are {', '.join(figure_names())}")
    if str(FIGURES) not in sys.path:
        sys.path.append(str(FIGURES))
    return importlib.import_module(name)


def draw_figure(name: str, language: str, pictures: Path = PICTURES) -> Path:
    """Draw one figure in one language; the file that was written. Raises PageError for one that is too large."""
    folder = pictures / language
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    before = path.stat().st_mtime_ns if path.exists() else 0
    figure_script(name).draw(language, folder)
    if not path.exists() or path.stat().st_mtime_ns == before:
        raise PageError(f"figures/{name}.py has not written {path.name}; its draw(language, out) writes out / NAME.png")
    if path.stat().st_size > LARGEST:
        raise PageError(
            f"{path.name} has {path.stat().st_size:,} bytes, at most {LARGEST:,}; draw it smaller or plainer"
        )
    return path


def main() -> int:
    """0, or 1 where a figure cannot be drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--language", choices=LANGUAGES, action="append", help="only this one")
    options = parser.parse_args()
    os.chdir(ROOT)
    # on more threads these small nets wait longer than they work, and sums come in another order
    os.environ |= ONE_THREAD
    try:
        for name in options.names or figure_names():
            for language in options.language or LANGUAGES:
                start = time.perf_counter()
                path = draw_figure(name, language)
                print(f"{path.relative_to(ROOT)}  {time.perf_counter() - start:.1f} s", flush=True)
    except (PageError, SeqAudioError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
