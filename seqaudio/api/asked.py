"""Options of new music or text, which the command and Python share, and their checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqaudio.errors import OptionError, RunError
from seqaudio.sampling_options import SamplingOptions

MUSIC, ROLLS, TEXT = "music_generation", "polyphonic_music", "language_modelling"
# options for music only
OF_MUSIC = (
    "primer", "primer_events", "without_primer", "bars", "tempo", "metre", "program", "instruments", "form", "key",
    "density", "max_copied", "wild", "wav", "png", "musicxml", "engraved", "live", "port",
)  # fmt: skip
# options of tokens only, which piano rolls do not have
OF_TOKENS = (
    "primer_events", "max_events", "metre", "program", "instruments", "form", "key", "density", "max_copied", "wild",
    "top_k", "top_p", "min_p", "int8", "live", "port",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Asked(SamplingOptions):
    """Options of a new piece or text."""

    max_events: int | None = None  # most tokens, characters or words; by default 1,000, or none if bars are planned
    bars: int | None = None  # of music: length, primer included; by default as in training, of piano rolls at most 16
    tempo: float | None = None  # of music: quarters a minute; by default that of the primer, or of the training pieces
    metre: str | None = None  # of music: time signature such as 6/8; by default likewise
    program: int | None = None  # of music: General MIDI instrument, counted from 0; by default likewise
    instruments: str | None = None  # of music: the only ones sampled, such as piano,bass,drums or alto sax or 73
    form: str | None = None  # of music: groups of bars such as AABA, or free; by default bars return as in training
    key: str | None = None  # of music: such as "D minor", outside whose scale no pitch is sampled
    density: Literal["low", "medium", "high"] | None = None  # of music: notes a quarter, a wish
    wild: bool = False  # of music: also notes longer, and pitches and tokens others, than the training pieces have
    prompt: str | None = None  # beginning of the text
    primer: Path | None = None  # of music: MIDI file to continue, in its tempo, time signature and instrument
    primer_events: int | None = None  # of music: continue only the first N tokens of the primer
    without_primer: bool = False  # of music: write only what is new, from the bar line where the primer ended
    int8: bool = False  # keep weights in 8 bits: faster for one piece, and nearly the same probabilities

    def check(self, run: Path | str, recipe: str) -> None:
        """Raise RunError or OptionError for a run or options that cannot work, before torch and the model are loaded.

        run: as the user named it. recipe: that made it.
        """
        if recipe not in (MUSIC, ROLLS, TEXT):
            raise RunError(f"{run}: a run of {recipe!r}, generating needs one of {MUSIC!r}, {ROLLS!r} or {TEXT!r}")
        check_sampling(self)
        for name in ("max_events", "count", "primer_events", "bars"):
            value = getattr(self, name, None)
            if value is not None and value < 1:
                raise OptionError(f"{spelt(name)} {value}, expected at least 1")
        if self.without_primer and self.primer is None:
            raise OptionError("--without-primer leaves out the notes of a primer; give one by --primer")
        if self.program is not None and self.instruments is not None:
            raise OptionError("--program and --instruments exclude each other; give one of them")
        other = "music" if recipe == TEXT else "text"
        for name in OF_MUSIC if recipe == TEXT else ("prompt",):
            if self.is_given(name):
                raise OptionError(f"{spelt(name)} is for {other}, {run} is a run of {recipe!r}; leave it out")
        for name in OF_TOKENS if recipe == ROLLS else ():
            if self.is_given(name):
                raise OptionError(f"{spelt(name)} is for tokens, {run} is a model of piano rolls; leave it out")
        if self.primer_events is not None and self.primer is None:
            raise OptionError("--primer-events shortens a primer; give one by --primer")

    def is_given(self, name: str) -> bool:
        """Whether an option, which a subclass may have, is given; 0 is a value, not the absence of one."""
        value: Any = getattr(self, name, None)
        return value is not None and value is not False


def check_sampling(options: SamplingOptions) -> None:
    """Raise OptionError for options of the sampling out of their range."""
    if wrong := options.out_of_range():
        name, _, rest = wrong.partition(" ")
        raise OptionError(f"{spelt(name)} {rest}")


def spelt(name: str) -> str:
    """An option as it stands on a command line."""
    return f"--{name.replace('_', '-')}"


@contextmanager
def names_of_python() -> Iterator[None]:
    """Name options in errors as Python does: `max_events` for `--max-events`."""
    try:
        yield
    except OptionError as error:
        named = re.sub(r"(?<![\w-])--([a-z][a-z-]*)", lambda found: found[1].replace("-", "_"), str(error))
        raise OptionError(named) from None
