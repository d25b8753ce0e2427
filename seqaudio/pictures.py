"""What all drawings share: figures without global state, inks that differ in grey too, whole PNG files."""

from __future__ import annotations

import functools
import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from seqaudio.files import write_bytes

DPI = 150
INK = "#1a1a1a"  # text, outlines
GRID = "#b8b8b8"
# from dark to light in even steps, so that a grey print tells them apart: grey values 51, 93, 137, 192, 226
INKS = ("#1f2f7a", "#b23a2e", "#3fae8f", "#e6c34a", "#d9e3f5")
HATCHES = ("", "////", "....", "xxxx", "----")  # for the sixth ink and those after it


def new_figure(width: float, height: float) -> Figure:
    """A white figure of that size in inches, with a canvas of its own (pyplot's state is not touched)."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_png(figure: Figure, path: Path | str) -> None:
    """Write a PNG of 150 dots an inch, whole or not at all; equal figures give equal bytes.

    Raises:
        OSError: the folder is missing or may not be written to.
    """
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    write_bytes(Path(path), content.getvalue())


def add_title(figure: Figure, title: str) -> None:
    """Write a title into the upper left corner, cut to the width of the figure."""
    width, height = figure.get_size_inches()
    fitting = plain(title, int((width - 0.3) / 0.13))  # inches that a letter of this size takes
    figure.text(0.15 / width, 1 - 0.12 / height, fitting, fontsize=13, weight="bold", color=INK, va="top")


def plain(text: str, longest: int = 60) -> str:
    """Text as it stands, on one line: no formula between dollar signs, a box for what the font cannot draw, cut."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
    drawn = "".join(c if _in_font(c) else "\N{WHITE SQUARE}" for c in line)
    return drawn.replace("$", r"\$")


@functools.lru_cache(maxsize=4096)
def _in_font(character: str) -> bool:
    return bool(get_font(findfont("DejaVu Sans")).get_char_index(ord(character)))
