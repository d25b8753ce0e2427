"""A prefix beam search as a user asks for it: language model and lexicon from files, weights that validation chose."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from seqaudio.decoding.beam_options import ALPHA, BETA, BeamOptions
from seqaudio.decoding.ctc_alignment import align
from seqaudio.decoding.ctc_models import BLANK, NAMED, Lexicon, PrefixModel, Units, open_language_model
from seqaudio.decoding.ctc_search import BeamSearch, Hypothesis
from seqaudio.decoding.greedy import Placed, best_path, collapse, with_probabilities
from seqaudio.errors import RunError, SourceError
from seqaudio.files import read_plain, sha256_of, write_json
from seqaudio.json_files import Count, Range, checked, read_json
from seqaudio.run_folder import RunFolder
from seqaudio.terminal import few
from seqaudio.trained import folder_or_model
from seqaudio.transcripts import Spelling

DECODING_FILE = "decoding.json"  # of a run

FAR_ALPHA, FAR_BETA = 10.0, 20.0  # larger weights outweigh the sound, so a note is printed

Weight = Annotated[float, Range(0, 1000)]
Bonus = Annotated[float, Range(-1000, 1000)]


class Decoded(NamedTuple):
    """The units of a segment with their steps; of a beam search also its hypotheses, best first."""

    units: Sequence[Placed]
    hypotheses: tuple[Hypothesis, ...] = ()


def greedy(log_probabilities: np.ndarray) -> Decoded:
    """The units of the best path."""
    return Decoded(with_probabilities(log_probabilities, collapse(best_path(log_probabilities))))


@dataclass(frozen=True)
class BeamDecoder:
    """The text of a whole segment by a search, its times by forced alignment; `count` hypotheses at most."""

    search: BeamSearch
    count: int = 1

    def __call__(self, log_probabilities: np.ndarray) -> Decoded:
        """Decode log-probabilities [J, V]."""
        found = self.search(log_probabilities, self.count)
        if not found:
            return Decoded(())
        units = found[0].units
        on_path = align(log_probabilities, units)
        spans = zip(units, on_path.start.tolist(), on_path.end.tolist(), strict=True)
        return Decoded(with_probabilities(log_probabilities, [Placed(*span) for span in spans]), tuple(found))


@dataclass(frozen=True)
class Tuned:
    """Weights that validation chose for a language model and a lexicon, empty without, by the hashes of their files."""

    lm: str
    lexicon: str
    beam: Count
    alpha: Weight
    beta: Bonus
    wer: Weight  # of validation with them
    recordings: Count


@dataclass(frozen=True)
class _Content:
    """The content of DECODING_FILE, the latest last."""

    tuned: list[Tuned]


class Weights(NamedTuple):
    alpha: float
    beta: float


@dataclass(frozen=True)
class Beam:
    """A beam search without its weights: units, width, language model and lexicon, with their content hashes or ''."""

    units: Units
    width: int
    lm: PrefixModel | None
    lexicon: Lexicon | None
    lm_hash: str
    lexicon_hash: str

    @classmethod
    def opened(cls, spelling: Spelling, options: BeamOptions) -> Beam:
        """Read the files that the options name.

        Raises:
            ArpaError, RunError, SourceError: a file or run that is missing, damaged or of another kind.
            VocabularyError: a model or a lexicon of other units than the recogniser's.
        """
        units = Units(tuple(spelling.vocabulary))
        lm, lexicon = options.lm, options.lexicon
        lm = None if lm is None else folder_or_model(lm)
        if lm is not None and not lm.exists():
            raise SourceError(f"{lm}: no such file; seqaudio ngram STORE --like RUN --out {lm} writes a model")
        words = None if lexicon is None else Lexicon(read_words(lexicon, spelling, units), units)
        model = None if lm is None else open_language_model(lm, units)
        weights = lm / "model.safetensors" if lm is not None and lm.is_dir() else lm
        hashes = ("" if file is None else sha256_of(file) for file in (weights, lexicon))
        return cls(units, options.beam, model, words, *hashes)

    def search(self, weights: Weights) -> BeamSearch:
        """A search with these weights."""
        return BeamSearch(
            self.units, beam=self.width, lm=self.lm, alpha=weights.alpha, beta=weights.beta, lexicon=self.lexicon
        )

    def about(self) -> dict[str, Any]:
        """Width and hashes of the files, as results keep them."""
        return {"beam": self.width, "lm": self.lm_hash, "lexicon": self.lexicon_hash}

    def weights(self, run: RunFolder, options: BeamOptions) -> Weights:
        """The weights that the options give, otherwise those tuned for these files, otherwise the usual ones.

        Raises RunError for a run whose DECODING_FILE is damaged.
        """
        fitting = [tuned for tuned in read_tuned(run) if (tuned.lm, tuned.lexicon) == (self.lm_hash, self.lexicon_hash)]
        chosen = Weights(fitting[-1].alpha, fitting[-1].beta) if fitting else Weights(ALPHA, BETA)
        alpha = chosen.alpha if options.alpha is None else options.alpha
        beta = chosen.beta if options.beta is None else options.beta
        if alpha > FAR_ALPHA or abs(beta) > FAR_BETA:
            print(
                f"note: alpha {alpha:g} and beta {beta:g} outweigh the sound, so texts may be empty or made up; "
                f"usual are 0 to 3 and -1 to 4",
                file=sys.stderr,
            )
        if self.lm is not None and not fitting and options.alpha is None:
            files = "this language model" + (" with this lexicon" if self.lexicon is not None else "")
            given = f"--lm {options.lm}" + (f" --lexicon {options.lexicon}" if self.lexicon is not None else "")
            print(
                f"note: alpha {alpha:g} and beta {beta:g}, as nothing was tuned for {files}; "
                f"seqaudio evaluate {run.path} --tune --beam {self.width} {given} chooses them on validation",
                file=sys.stderr,
            )
        return Weights(alpha, beta)


def beam_decoder(run: RunFolder, spelling: Spelling, options: BeamOptions, count: int = 1) -> BeamDecoder:
    """The decoder that options describe, for a run of speech recognition. Raises as `Beam.opened`."""
    beam = Beam.opened(spelling, options)
    return BeamDecoder(beam.search(beam.weights(run, options)), count)


def read_tuned(run: RunFolder) -> list[Tuned]:
    """The weights that a run keeps. Raises RunError for a damaged file."""
    file = run.path / DECODING_FILE
    if not file.is_file():
        return []
    try:
        return checked(_Content, read_json(file)).tuned
    except ValueError as error:
        raise RunError(f"{file}: damaged ({error}); remove it and tune again by seqaudio evaluate --tune") from None


def keep_tuned(run: RunFolder, tuned: Tuned) -> None:
    """Write weights into a run, in place of those for the same files."""
    others = [other for other in read_tuned(run) if (other.lm, other.lexicon) != (tuned.lm, tuned.lexicon)]
    write_json(run.path / DECODING_FILE, {"tuned": [asdict(each) for each in (*others, tuned)]})


def read_words(path: Path, spelling: Spelling, units: Units) -> list[str]:
    """The words of a lexicon, normalised as the recogniser writes them; a note names those that it cannot write.

    A line begins with a word; what follows, such as phones, is not used. Lines that begin with ;;; are comments.
    Raises SourceError for a file that cannot be read or is without a word that the recogniser can write.
    """
    try:
        text = read_plain(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: not a readable list of words in UTF-8 ({error})") from None
    lines = (line.split() for line in text.splitlines())
    words = dict.fromkeys(spelling.settings.normalised(line[0]) for line in lines if line and line[0] != ";;;")
    if not words:
        raise SourceError(f"{path}: has no words; give a word a line, as the recogniser writes them")
    left_out = [word for word in words if units.spell(word) is None]
    written = [word for word in words if units.spell(word) is not None]
    if not written:
        shown = few(map(repr, units.names[BLANK + 1 :]), NAMED)
        raise SourceError(
            f"{path}: none of its {len(words):,} words can be written with the units of the recogniser, {shown}; "
            f"give a word a line as it writes them"
        )
    if left_out:
        print(
            f"note: {path}: {len(left_out):,} of {len(words):,} words left out, as the recogniser cannot write them, "
            f"such as {left_out[0]!r}",
            file=sys.stderr,
        )
    return written
