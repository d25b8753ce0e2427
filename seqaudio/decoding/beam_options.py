"""Options of a prefix beam search that commands share, readable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from seqaudio.errors import OptionError

ALPHA, BETA = 0.5, 0.0  # weights of a search that nothing was tuned for


@dataclass(frozen=True, kw_only=True)
class BeamOptions:
    """How a text is found in the outputs of a recogniser."""

    GROUP: ClassVar[str] = "search"

    beam: int = 0  # prefixes of a beam search, such as 50; 0: the likeliest unit of each step
    lm: Path | None = None  # language model beside it: an ARPA file (seqaudio ngram), or a run of language_modelling
    lexicon: Path | None = None  # the only words to write: the first of each line of a file
    alpha: float | None = None  # weight of the language model; by default as --tune of evaluate chose, else 0.5
    beta: float | None = None  # nats for each word; by default as --tune of evaluate chose, else 0

    def check(self) -> None:
        """Raise OptionError for options of a beam search without one."""
        for name in ("lm", "lexicon", "alpha", "beta"):
            if getattr(self, name) is not None and not self.beam:
                raise OptionError(f"--{name} is for a beam search; give --beam too, such as --beam 50")
        if self.alpha is not None and self.lm is None:
            raise OptionError(f"--alpha {self.alpha:g} is the weight of a language model; give --lm too")
