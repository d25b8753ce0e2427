"""Check that a program printed what a page says: words to the letter, numbers to the last digit that is shown.

Sums of floating point numbers come in another order on another machine, so the last digit may differ by one, or a
number by 2 %. Runs of blanks count as one: a number that is a letter longer moves its column. Turkish pages print
numbers in Turkish, 1.234,5; they are read as such.
"""

from __future__ import annotations

import re

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)
ENGLISH_OF_TURKISH = str.maketrans(".,", ",.")  # Turkish has a comma where English has a point
RELATIVE = 0.02


def difference(expected: str, printed: str, language: str = "en") -> str:
    """The first line in which they differ, in words; empty where they agree. language: of the numbers."""
    swapped = ENGLISH_OF_TURKISH if language == "tr" else {}
    wanted, got = expected.rstrip().splitlines(), printed.rstrip().splitlines()
    for number, (left, right) in enumerate(zip(wanted, got, strict=False), 1):
        if not lines_agree(left.translate(swapped), right.translate(swapped)):
            return f"line {number} is {right!r}, the page says {left!r}"
    if len(wanted) != len(got):
        return f"{len(got)} lines, the page says {len(wanted)}"
    return ""


def lines_agree(expected: str, printed: str) -> bool:
    """Whether two lines have equal words and near numbers."""
    if _words(expected) != _words(printed):
        return False
    numbers = zip(NUMBER.findall(expected), NUMBER.findall(printed), strict=True)
    return all(near(left, right) for left, right in numbers)


def near(expected: str, printed: str) -> bool:
    """Whether two numbers, as they are written, differ by one in the last digit or by 2 % at most."""
    apart = abs(_value(expected) - _value(printed))
    allowed = max(last_digit(expected), RELATIVE * abs(_value(expected)))
    return apart <= allowed * (1 + 1e-9)


def last_digit(number: str) -> float:
    """The value of one unit in the last written digit: 0.01 of `3.14`, 10.0 of `2.5e2`."""
    mantissa, _, exponent = number.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _words(line: str) -> list[str]:
    return " ".join(NUMBER.sub(" \0 ", line).split()).split(" ")
