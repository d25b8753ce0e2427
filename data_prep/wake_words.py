"""Prepare recorded wake words, 600 clips a set; Apache-2.0, public domain or CC BY-SA 4.0; no download.

    data_prep/wake_words.py --source wake_benchmark --out stores/wake
    data_prep/wake_words.py --source wake_benchmark --out stores/computer --words computer --keep samples
    data_prep/wake_words.py --source wake_precise --out stores/hey --words "hey computer"
    data_prep/wake_words.py --source wuw2 --out stores/sentences --part in_sentence --sample-rate 8000
    data_prep/wake_words.py --source wuw2 --out stores/cut --cut-words --sample-rate 8000
    data_prep/wake_words.py --source MY_FOLDER --set wuw2 --out stores/mine

    wake_benchmark   computer, jarvis, view glass: 200 clips of each, 30 minutes, 16 kHz, 50 speakers or more, not named
                     https://github.com/Picovoice/wake-word-benchmark; Apache-2.0
    wake_precise     computer 57, hey computer 58, hey chatterbox 56, in English and Spanish, and 138 spoken things that
                     are no wake word, labelled `unknown`; 12 minutes, 16 kHz, speakers not named
                     https://github.com/MycroftAI/Precise-Community-Data; public domain, by a file of each contributor
    wuw2             operator, think engine, onword, wildfire, voyager: each alone and inside a free sentence, 600
                     recordings of 43 speakers, 41 minutes, telephone, 8 kHz, with the time of the word
                     https://github.com/wake-up-word/wuw-corpus-ii; CC BY-SA 4.0
    wake_words       a smaller part of wake_benchmark with six words, 294 clips, and its own test split; Apache-2.0

A set is a folder with recordings and `index.tsv`, which has the columns `file` and `word`, and where they are known
`kind`, `speaker`, `split`, `text`, `seconds`, `word_start`, `word_end`, `word_in_text` and `times_plausible`. For
recordings in folders named after their words `audio_folder` is enough.

Splits are given by the table, or drawn: by speaker in wuw2; where speakers are not named by a hash of the file name,
so that a voice may be in several splits, and scores may not hold for new voices.

The store has the times of words, in seconds from the start of each row, in columns `word_start` and `word_end`
(`Split.word_times`). In wuw2 only recordings whose text has the word, at plausible times, are used: 579 of 600. `alone`
or `in_sentence` is the condition, which evaluation reports separately. --cut-words cuts each word out, with 0.1 s on
both sides. With --words all other words are `unknown`; --no-others leaves them and the spoken things out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from seqaudio.cli.options import run
from seqaudio.errors import OptionError, SourceError
from seqaudio.ledger import encode_field
from seqaudio.prepare.corpora.columns import number
from seqaudio.prepare.corpora.drawn_splits import fill_splits
from seqaudio.prepare.corpora.expected import expect_counts
from seqaudio.prepare.corpora.layout import split_names
from seqaudio.prepare.corpora.splits import check_percentages, hash_sample
from seqaudio.prepare.corpora.tables import listed_file, read_table
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.options import SpeechOptions, build_speech_store
from seqaudio.registry import did_you_mean
from seqaudio.store import describe_store
from seqaudio.units import Seconds
from seqaudio.vocabulary import UNKNOWN

SetName = Literal["wake_benchmark", "wake_precise", "wuw2", "wake_words"]
Part = Literal["alone", "in_sentence", "both"]

INDEX = "index.tsv"
SPOKEN = {"heycomputer": "hey computer", "heychatterbox": "hey chatterbox"}  # names of folders that are two words
NO_WAKE_WORD = "not_wake_word"  # a kind
AROUND: Seconds = 0.1  # kept on both sides of a word that is cut out


class Facts(NamedTuple):
    """Facts about a set."""

    title: str
    licence: str
    expected: Mapping[str, int]  # rows of each split with the default options


SETS: Mapping[SetName, Facts] = {
    "wake_benchmark": Facts("Picovoice wake word benchmark", "Apache-2.0", {"train": 420, "valid": 60, "test": 120}),
    "wake_precise": Facts("Mycroft Precise community data", "public domain", {"train": 216, "valid": 31, "test": 62}),
    "wuw2": Facts("WUW Corpus II", "CC BY-SA 4.0", {"train": 401, "valid": 59, "test": 119}),
    "wake_words": Facts("Picovoice wake word benchmark, a part", "Apache-2.0", {"train": 185, "valid": 21, "test": 88}),
}


@dataclass(frozen=True, kw_only=True)
class Config(SpeechOptions):
    """Options of the preparation."""

    set: SetName | None = None  # which one the source folder holds; by default the one that its name says
    words: tuple[str, ...] = ()  # the wake words; by default all of the set
    others: bool = True  # label other words, and spoken things that are no wake word, `unknown`; or leave them out
    part: Part = "both"  # wuw2: words said alone, words inside a sentence, or both
    cut_words: bool = False  # wuw2: cut each word out of its recording, with 0.1 s on both sides
    valid_percent: float = 10.0  # of the speakers, or of the clips
    test_percent: float = 20.0  # of the speakers, or of the clips


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    check_percentages(config.valid_percent, config.test_percent)
    name = set_of(config.source, config.set)
    facts = SETS[name]
    rows = read_table(listed_index(config.source), ["file", "word"])
    check_options(config, name, rows)
    items, left_out = list_items(config.source, rows, part=config.part, cut=config.cut_words)
    items = keep_words(items, config.words, config.others)
    # sampled before it is split, so that a trial has all splits too
    filled = fill_splits(hash_sample(items, config.limit), config.valid_percent, config.test_percent)
    print("\n".join([*([left_out] if left_out else []), filled.how]), flush=True)
    store = build_speech_store(config, filled.items, source=facts.title, licence=facts.licence)
    print("\n".join(describe_store(store)))
    defaults = Config(source=config.source, out=config.out)
    chosen = ("words", "others", "part", "valid_percent", "test_percent")
    if all(getattr(config, option) == getattr(defaults, option) for option in chosen):
        expect_counts(store, facts.expected, config.limit)


def set_of(source: Path, given: SetName | None) -> SetName:
    """The set that an option names, or else the name of the folder."""
    if given is not None:
        return given
    for name in SETS:
        if name == source.resolve().name:
            return name
    raise OptionError(f"--source {source}: its name is that of no set; give --set, one of {', '.join(SETS)}")


def listed_index(source: Path) -> Path:
    """The table of a set. Raises SourceError where there is none."""
    if not source.is_dir():
        raise SourceError(f"{source}: no such folder; give the folder of the set, with {INDEX}")
    if not (source / INDEX).is_file():
        raise SourceError(
            f"{source}: has no {INDEX}, expected a table with the columns file and word; for a folder for each word "
            f"use seqaudio prepare audio_folder"
        )
    return source / INDEX


def check_options(config: Config, name: SetName, rows: Sequence[Mapping[str, str]]) -> None:
    """Raise OptionError for options that need columns or parts which the table does not have."""
    if config.part != "both" and not any(row.get("kind") == config.part for row in rows):
        raise OptionError(f"--part {config.part} is for wuw2: {name} has no such part; leave it out")
    if config.cut_words and "word_start" not in rows[0]:
        raise OptionError(f"--cut-words is for wuw2: {name} does not have the times of words; leave it out")


def list_items(
    source: Path, rows: Sequence[Mapping[str, str]], *, part: Part = "both", cut: bool = False
) -> tuple[list[Item], str]:
    """The recordings with their labels, in order of the table, and a line about those left out.

    cut: make each item the stretch of its recording in which the word sounds.
    """
    items = []
    uncertain = 0
    splits = split_names({row.get("split", "") for row in rows})
    for line, row in enumerate(rows, start=2):
        kind = row.get("kind", "")
        if part != "both" and kind != part:
            continue
        if "0" in (row.get("word_in_text"), row.get("times_plausible")):
            uncertain += 1
            continue
        name, where = row["file"], f"{source / INDEX}, line {line}"
        start, end = word_times(where, row)
        split = row.get("split", "")
        if split and split not in splits:
            raise SourceError(f"{where}: unknown split {split!r}, expected train, valid, test or nothing")
        first: Seconds = 0.0
        last: Seconds | None = None
        if cut and start is not None and end is not None:
            seconds = number(row.get("seconds", "")) or end + AROUND
            first, last = round(max(0.0, start - AROUND), 6), round(min(seconds, end + AROUND), 6)
            start, end = round(start - first, 6), round(end - first, 6)
        items.append(
            Item(
                name,
                listed_file(source, name),
                encode_field(name),
                splits.get(split, ""),
                UNKNOWN if kind == NO_WAKE_WORD else SPOKEN.get(row["word"], row["word"].replace("_", " ")),
                text=row.get("text", ""),
                speaker=row.get("speaker", ""),
                condition=kind if kind in ("alone", "in_sentence") else "",
                start=first,
                end=last,
                word_start=start,
                word_end=end,
            )
        )
    left_out = f"{uncertain:,} recordings left out, since the word is not in them, or its times are not plausible"
    return items, left_out if uncertain else ""


def word_times(where: str, row: Mapping[str, str]) -> tuple[Seconds | None, Seconds | None]:
    """Start and end of the word in a row of the table; None for both where it has none.

    where: table and line, for messages. Raises SourceError for an end that is not after the start.
    """
    if not (row.get("word_start") or row.get("word_end")):
        return None, None
    start, end = number(row.get("word_start", "")), number(row.get("word_end", ""))
    if start is None or end is None or not 0 <= start < end:
        found = f"{row.get('word_start')!r} to {row.get('word_end')!r}"
        raise SourceError(f"{where}: the word from {found}, expected seconds such as 0.572 to 1.164")
    return start, end


def keep_words(items: Sequence[Item], words: Sequence[str], others: bool) -> list[Item]:
    """The items with the words as labels; other items are `unknown`, or left out.

    Raises OptionError for a word without recordings.
    """
    known = sorted({item.label for item in items} - {UNKNOWN})
    for word in words:
        if word not in known:
            raise OptionError(f"the word {word!r} has no recordings; {did_you_mean(word, known)}")
    wanted = words or known
    labelled = [item if item.label in wanted else replace(item, label=UNKNOWN) for item in items]
    return [item for item in labelled if others or item.label != UNKNOWN]


if __name__ == "__main__":
    run(Config, main)
