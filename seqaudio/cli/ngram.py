"""Count the n-grams of a text and write a language model as an ARPA file: Kneser-Ney, over characters or words.

Example: seqaudio ngram transcripts.txt --words --out words.arpa
         seqaudio ngram stores/an4 --out characters.arpa
         seqaudio ngram stores/an4 --like runs/an4 --words --out words.arpa

An utterance is a line of a text; in a store, the text of a recording, or a line of its texts. From a store of words its
words are counted, with <unk> among them. Held-out lines choose the discounts and the order: those of the store's valid
split or of --valid, otherwise every tenth line, which is counted too in the end. With --like the lines are written as
the recogniser of a run writes them, so that the model fits beside it: `seqaudio transcribe RUN FILE --beam 50 --lm
words.arpa`.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from seqaudio.cli.outputs import check_output, written
from seqaudio.errors import OptionError, SourceError
from seqaudio.files import json_text
from seqaudio.terminal import few
from seqaudio.text_units import UnitSettings, WordUnit

if TYPE_CHECKING:
    from seqaudio.ngrams.lines import Line
    from seqaudio.store import Store
    from seqaudio.transcripts import Spelling

SUFFIX = ".arpa"
NAMED = 10  # characters, in a message


@dataclass(frozen=True)
class Config:
    """The text, and the model to make of it."""

    source: tyro.conf.Positional[Path]  # text in UTF-8, or store of text or of recordings with texts
    out: Path  # .arpa file to write
    words: bool = False  # over words instead of characters
    like: Path | None = None  # run of speech_recognition: its units in place of characters, its way of writing texts
    order: int | None = None  # longest n-gram, 1 to 8; by default that which predicts the held-out lines best
    valid: Path | None = None  # text whose lines are held out, in place of every tenth line of a text
    json: bool = False  # print one JSON object instead of a line
    force: bool = False  # replace an existing file


def main(config: Config) -> None:
    """Count, choose, write the file, print how well the model predicts the held-out lines."""
    check_output("--out", config.out, SUFFIX, config.force)
    spelling = None if config.like is None else _spelling(config.like)

    from seqaudio.ngrams.arpa import write_arpa
    from seqaudio.ngrams.back_off import RESERVED
    from seqaudio.ngrams.lines import fit_lines

    if holds_words(config.source):
        if spelling is not None:
            raise OptionError(f"--like {config.like}: {config.source} has <unk> for rare words; give its text instead")
        config = replace(config, words=True)
    train, valid, held_out = read_lines(config, spelling)
    if spelling is not None:
        _note_foreign(config.source, [*train, *valid], spelling)
    fitted = fit_lines(train, valid, config.order, count_valid=held_out)
    with written(config.out):
        write_arpa(fitted.model, config.out)
    unit = "word" if config.words else "character" if spelling is None else spelling.noun
    counts = fitted.model.counts()
    distinct = counts[0] - len(RESERVED)
    if config.json:
        found = {"out": str(config.out), "unit": unit, "order": fitted.model.order, "ngrams": counts}
        measured = {"nats": fitted.nats, "perplexity": math.exp(fitted.nats), "events": fitted.events}
        print(json_text(found | measured | {"unknown": fitted.unknown}))
        return
    print(
        f"{config.out}: order {fitted.model.order} over {unit}s, {sum(counts):,} n-grams of {distinct:,} {unit}s; "
        f"{fitted.nats:.3f} nats a {unit} on {len(valid):,} held-out lines, perplexity {math.exp(fitted.nats):.2f} "
        f"({fitted.unknown:,} of {fitted.events:,} unknown)"
    )


def _spelling(run: Path) -> Spelling:
    """How a run of speech recognition writes texts. Raises RunError for another run."""
    from seqaudio.decoding.transcription import spelling_of
    from seqaudio.run_folder import RunFolder

    return spelling_of(RunFolder(run), with_lexicon=True)


def _note_foreign(source: Path, lines: list[Line], spelling: Spelling) -> None:
    """Name the characters of a text that a recogniser of characters cannot write."""
    if spelling.settings.units != "characters":
        return
    if foreign := spelling.unknown({character for line in lines for token in line for character in token}):
        print(
            f"note: {source}: {few(map(repr, foreign), NAMED)} not among the characters that the recogniser writes; "
            "give a text in its case and alphabet",
            file=sys.stderr,
        )


def read_lines(config: Config, spelling: Spelling | None = None) -> tuple[list[Line], list[Line], bool]:
    """The lines to count, those that are held out, and whether these are of the same text.

    Raises SourceError for a source without lines, OptionError for a store together with `--valid`.
    """
    from seqaudio.ngrams.lines import cut_lines, held_out
    from seqaudio.prepare.text import read_text
    from seqaudio.store import Store

    def cut(text: str) -> list[Line]:
        if spelling is None:
            return cut_lines(text, config.words)
        lines = (spelling.settings.normalised(line) for line in text.splitlines())
        return [line.split() if config.words else spelling.units(line) for line in lines if line]

    if config.source.is_dir():
        if config.valid is not None:
            raise OptionError("--valid is for a text; a store has a valid split")
        store = Store(config.source)
        train, valid = (cut(text_of(store, split)) for split in ("train", "valid"))
        for split, lines in (("train", train), ("valid", valid)):
            if not lines:
                raise SourceError(f"{config.source}: has no texts in the {split} split; prepare it with more of them")
        return train, valid, False
    lines = cut(read_text(config.source))
    if config.valid is None:
        return *held_out(lines), True
    return lines, cut(read_text(config.valid)), False


def holds_words(source: Path) -> bool:
    """Whether a source is a store of text that was cut into words."""
    from seqaudio.store import Store

    if not source.is_dir():
        return False
    store = Store(source)
    return store.kind == "text" and isinstance(store.setting("text", UnitSettings).built, WordUnit)


def text_of(store: Store, split: str) -> str:
    """The texts of a split, a line each, words separated by spaces. Raises StoreError for a store without texts."""
    store.require(("text", "features", "audio"), "an n-gram model of its texts")
    if store.kind == "text":
        names, settings = store.names.names, store.setting("text", UnitSettings)
        unit = replace(settings, tokenised=True).built  # so that words can be told apart again
        return "\n".join(unit.join(names[token] for token in row.tolist()) for row in store[split])
    return "\n".join(" ".join((text or "").split()) for text in store[split].column("text"))
