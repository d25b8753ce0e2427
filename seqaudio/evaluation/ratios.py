"""Ratios of a word to what sounds under it: in decibels, or clean."""

from __future__ import annotations

import math

from seqaudio.errors import OptionError
from seqaudio.units import Decibels

CLEAN: Decibels = math.inf
LEAST, MOST = -50.0, 100.0  # decibels


def parsed_ratios(text: str) -> tuple[Decibels, ...]:
    """The ratios of `--snr clean,20,10,5,0` in decibels, each once, CLEAN for `clean`; none for an empty text.

    Raises OptionError for anything else.
    """
    found = []
    for part in (word.strip() for word in text.split(",")) if text.strip() else ():
        try:
            ratio = CLEAN if part == "clean" else float(part)
        except ValueError:
            ratio = math.nan
        if part != "clean" and not LEAST <= ratio <= MOST:
            raise OptionError(f"--snr {part!r}, expected clean or {LEAST:g} to {MOST:g} dB, as in --snr clean,20,10,0")
        found.append(ratio)
    return tuple(dict.fromkeys(found))


def ratio_name(snr: Decibels) -> str:
    """`clean`, or `10 dB`."""
    return "clean" if snr == CLEAN else f"{snr:g} dB"
