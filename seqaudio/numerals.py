"""Numbers as a language writes them: 1,234.5 and 9% in English, 1.234,5 and %9 in Turkish."""

from __future__ import annotations

import re

from seqaudio.errors import OptionError

# not within a name or behind an equals sign: conv1.5, radius=0.9 are code; nor within 1.2.3
NUMBER = re.compile(r"(?<![\w.,=])(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(?![\d]|\.\d)([eE][-+]?\d+)?(%)?")


def localised(text: str, language: str) -> str:
    """The text with its numbers, written as Python formats them, as a language writes them: "en" or "tr".

    Raises OptionError for another language.
    """
    if language == "en":
        return text
    if language != "tr":
        raise OptionError(f"language {language!r}, expected en or tr")
    return NUMBER.sub(_turkish, text)


def turkish_print(*values: object) -> None:
    """Print values on a line, the numbers of texts and plain numbers in Turkish; all else, as a tensor, as it is."""
    print(*(localised(str(value), "tr") if isinstance(value, str | int | float) else value for value in values))


def _turkish(match: re.Match[str]) -> str:
    whole, fraction, exponent, percent = (part or "" for part in match.groups())
    return percent + whole.replace(",", ".") + fraction.replace(".", ",") + exponent
