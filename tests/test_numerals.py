"""Numbers of texts and figures, written as a language writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from legibility import words
from seqaudio.errors import OptionError
from seqaudio.numerals import localised, turkish_print
from seqaudio.pictures import new_figure, save_figure


@pytest.mark.parametrize(
    ("english", "turkish"),
    [
        ("32,065 weights", "32.065 weights"),
        ("1,234,567.25", "1.234.567,25"),
        ("error 0.25, then -1.5 (+0.75).", "error 0,25, then -1,5 (+0,75)."),
        ("9% and 14.6%", "%9 and %14,6"),
        ("9.5e-07 or 1e-6", "9,5e-07 or 1e-6"),
        ("0.2'nin", "0,2'nin"),
        ("200 of 1000", "200 of 1000"),
    ],
)
def test_numbers_are_written_in_turkish(english: str, turkish: str) -> None:
    assert localised(english, "tr") == turkish
    assert localised(english, "en") == english


@pytest.mark.parametrize("text", ["radius=0.9", "torch 2.1.0", "conv1.5", "[50, 2, 3]", "x_0.5", "no number."])
def test_what_is_code_or_a_list_stays(text: str) -> None:
    assert localised(text, "tr") == text


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(OptionError, match="language 'xx', expected en or tr"):
        localised("1.5", "xx")


def test_texts_and_numbers_are_printed_in_turkish_and_other_values_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    turkish_print("hata 0.5", 1.25, True, None, [0.5])
    assert capsys.readouterr().out == "hata 0,5 1,25 True None [0.5]\n"


def figure_of_two_panels() -> Figure:
    figure = new_figure(5, 4)
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.plot([0, 0.5, 1], [0, 10_000, 20_000])
    upper.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    lower.plot([0, 1], [0.1, 0.3])
    lower.text(0.2, 0.2, "mean 0.2")
    return figure


def test_a_figure_is_saved_with_the_numbers_of_its_language(tmp_path: Path) -> None:
    seen = {}
    for language in ("en", "tr"):
        figure = figure_of_two_panels()
        save_figure(figure, tmp_path / f"{language}.png", language)
        seen[language] = set(words(figure))
    assert {"20,000", "0.4", "mean 0.2"} <= seen["en"]
    assert {"20.000", "0,4", "mean 0,2"} <= seen["tr"]
    assert not any("0.4" in text for text in seen["tr"])
