"""Shared parts of all drawings: figures without global state, inks that differ in grey too, text, files."""

from __future__ import annotations

import functools
import io
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import Formatter

from seqaudio.errors import OptionError
from seqaudio.files import write_bytes
from seqaudio.numerals import localised

DPI = 150
# formats by suffix, each with the metadata that is left out so that equal figures give equal bytes
FORMATS: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    ".svg": {"Creator": None, "Date": None},
}
INK = "#1a1a1a"  # text, outlines
GRID = "#b8b8b8"
# from dark to light in even steps, so that they differ in a grey print too: grey values 51, 93, 137, 192, 226
INKS = ("#1f2f7a", "#b23a2e", "#3fae8f", "#e6c34a", "#d9e3f5")
FONT = "DejaVu Sans"  # comes with matplotlib
# fonts for Chinese, Japanese and Korean; those that are installed are used
WIDE_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans JP",
    "Noto Sans SC",
    "Noto Sans KR",
    "Source Han Sans",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Hiragino Sans",
    "PingFang SC",
    "Apple SD Gothic Neo",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Arial Unicode MS",
)
HATCHES = ("", "////", "....", "xxxx", "----")  # where there are more bars than inks
LINE_STYLES = ("-", "--", ":", "-.")
SPLIT_STYLES = {"train": (INKS[0], ""), "valid": (INKS[2], HATCHES[1]), "test": (INKS[3], HATCHES[2])}  # ink, hatch


def new_figure(width: float, height: float) -> Figure:
    """A white figure, width and height in inches, with a canvas of its own (pyplot's state does not change)."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


class LocalisedFormatter(Formatter):
    """Tick labels as another formatter writes them, with the numbers of a language."""

    def __init__(self, formatter: Formatter, language: str) -> None:
        self.formatter, self.language = formatter, language

    def __call__(self, x: float, pos: int | None = None) -> str:
        return localised(self.formatter(x, pos), self.language)

    def format_ticks(self, values: list[float]) -> list[str]:
        return [localised(text, self.language) for text in self.formatter.format_ticks(values)]

    def get_offset(self) -> str:
        return localised(self.formatter.get_offset(), self.language)

    def set_locs(self, locs: list[float]) -> None:
        self.formatter.set_locs(locs)


def save_figure(figure: Figure, path: Path | str, language: str = "en") -> None:
    """Write a figure atomically, as a PNG of 150 dots an inch, a PDF or an SVG by the suffix of the path.

    Equal figures give equal bytes. language: of the numbers, those of the axes too.
    Raises:
        OptionError: another suffix, or a language that `localised` does not know.
        OSError: the folder is missing or not writable.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise OptionError(f"{path}: expected a name that ends in {', '.join(FORMATS)}")
    write_bytes(Path(path), figure_bytes(figure, suffix, language))


def figure_bytes(figure: Figure, suffix: str, language: str = "en") -> bytes:
    """The file that `save_figure` writes; suffix: one of FORMATS."""
    if language != "en":
        _localise(figure, language)
    if families := installed_wide_fonts():
        for text in figure.findobj(Text):
            text.set_fontfamily([*text.get_fontfamily(), *families])
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "seqaudio"}):  # otherwise names inside an SVG are random
        figure.savefig(content, format=suffix[1:], metadata=FORMATS[suffix])
    return content.getvalue()


def _localise(figure: Figure, language: str) -> None:
    for text in figure.findobj(Text):
        text.set_text(localised(text.get_text(), language))
    for axis in figure.findobj(Axis):
        if isinstance(axis.get_major_formatter(), LocalisedFormatter):
            continue  # shared with an axis before
        axis.set_major_formatter(LocalisedFormatter(axis.get_major_formatter(), language))


def add_title(figure: Figure, title: str) -> None:
    """Write a title into the upper left corner, cut to the width of the figure."""
    width, height = figure.get_size_inches()
    fitting = plain(title, int((width - 0.3) / 0.13))  # a letter of this size is about 0.13 inches wide
    figure.text(0.15 / width, 1 - 0.12 / height, fitting, fontsize=13, weight="bold", color=INK, va="top")


def plain(text: str, longest: int = 60) -> str:
    """Text on one line without mathtext, cut at the end to `longest` letters.

    A dollar sign is drawn as such, and a character that no installed font has is drawn as its code point: <7B1B>.
    """
    drawn = _drawn(text)
    line = "".join(drawn)
    if display_width(line) > longest:
        line = "".join(_fitting(drawn, longest - 1)).rstrip() + "…"
    return line.replace("$", r"\$")


def plain_names(names: Sequence[str], longest: int) -> list[str]:
    """Each name as `plain` makes it, but cut in the middle; names that became equal are told apart by a number."""
    cut = [_cut_in_the_middle(name, longest) for name in names]
    counts, seen = Counter(cut), Counter[str]()
    for place, name in enumerate(cut):
        if counts[name] > 1:
            seen[name] += 1
            number = f" {seen[name]}"
            cut[place] = _cut_in_the_middle(names[place], longest - len(number)) + number
    return [name.replace("$", r"\$") for name in cut]


def display_width(text: str) -> int:
    """The width of a text in letters; a Chinese, Japanese or Korean character counts twice."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


@functools.cache
def installed_wide_fonts() -> tuple[str, ...]:
    """The installed fonts among WIDE_FONTS."""
    installed = {font.name for font in fontManager.ttflist}
    return tuple(name for name in WIDE_FONTS if name in installed)


def _drawn(text: str) -> list[str]:
    """The text on one line, letter by letter, with code points in place of characters that no font has."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return [c if _in_font(c) else f"<{ord(c):04X}>" for c in line]


def _fitting(drawn: Sequence[str], width: int) -> list[str]:
    """The longest beginning of the letters that fits into a width."""
    taken: list[str] = []
    for letter in drawn:
        width -= display_width(letter)
        if width < 0:
            break
        taken.append(letter)
    return taken


def _cut_in_the_middle(text: str, longest: int) -> str:
    drawn = _drawn(text)
    if display_width("".join(drawn)) <= longest:
        return "".join(drawn)
    tail = _fitting(drawn[::-1], (longest - 1) // 2)[::-1]
    head = _fitting(drawn, longest - 1 - display_width("".join(tail)))
    return "".join(head).rstrip() + "…" + "".join(tail).lstrip()


@functools.lru_cache(maxsize=4096)
def _in_font(character: str) -> bool:
    fonts = (get_font(findfont(FontProperties(family=[name]))) for name in (FONT, *installed_wide_fonts()))
    return any(font.get_char_index(ord(character)) for font in fonts)
