"""Checks of labels and speakers: enough rows, balance, the precision of a test score, unknown voices in the test."""

from __future__ import annotations

import math
from collections import Counter

from seqaudio.checking.contents import Contents
from seqaudio.checking.report import Finding, Level, counted
from seqaudio.vocabulary import alike_names

FEW = 20  # training rows of a label: with fewer, a network learns the recordings rather than the word
UNEVEN = 10.0  # ratio of the rows of the most frequent and of the rarest label
WIDE = 5.0  # percentage points: half the interval of an accuracy; wider ones are no use for comparisons
HOURS = 1.0  # of transcribed speech: too little for the recognition of free speech below that
TYPICAL = 0.9  # the accuracy for which the interval is computed


def check_names(contents: Contents) -> Finding:
    """Whether labels differ in case, spaces or Unicode form alone, which makes several classes of one word."""
    groups = alike_names(sorted({label for rows in contents.splits.values() for label in rows.labels}))
    if not groups:
        return Finding("labels", Level.GOOD, "no two labels differ in case or spaces alone")
    verdict = "labels differ in case or spaces alone, so one word is several classes; write them alike"
    return Finding("labels", Level.WARNING, verdict, tuple(" = ".join(map(repr, names)) for names in groups))


def check_balance(contents: Contents) -> Finding:
    """Whether all labels are in all splits, and about equally frequent."""
    counts = {split: Counter(rows.labels) for split, rows in contents.splits.items()}
    train = counts.get("train", Counter())
    labels = sorted({label for count in counts.values() for label in count})
    untrained = [label for label in labels if not train[label]]
    if untrained:
        return Finding(
            "balance",
            Level.FAULT,
            f"{len(untrained):,} of {len(labels):,} labels have no training row, so they cannot be learned",
            tuple(untrained),
        )
    absent = [f"{label} ({split})" for split, count in counts.items() for label in labels if not count[label]]
    if absent:
        verdict = "some labels have no rows in a split, so scores on that split do not cover them"
        return Finding("balance", Level.WARNING, verdict, tuple(absent))
    (most, rows), (least, fewest) = train.most_common(1)[0], min(train.items(), key=lambda pair: (pair[1], pair[0]))
    spread = f"{fewest:,} ({least}) to {rows:,} ({most})" if rows > fewest else f"each with {rows:,}"
    summary = f"{len(labels):,} labels, {spread} training rows"
    if rows > UNEVEN * fewest:
        return Finding(
            "balance",
            Level.WARNING,
            f"{summary}; a model will prefer the frequent ones: report balanced accuracy, or weight the labels",
        )
    return Finding("balance", Level.GOOD, summary)


def check_amount(contents: Contents) -> Finding:
    """Whether there is enough to train on, and to select a model by."""
    missing = [split for split in ("train", "valid") if split not in contents.splits]
    if missing:
        verdict = f"no rows in the split {' or '.join(missing)}; training needs both train and valid"
        return Finding("amount", Level.FAULT, verdict)
    train = contents.splits["train"]
    if not contents.is_labelled:
        hours = float(train.seconds.sum()) / 3600
        summary = f"{hours:,.1f} hours of transcribed speech to train on"
        return Finding("amount", Level.GOOD, summary) if hours >= HOURS else Finding(
            "amount", Level.WARNING, f"{summary}; with less than {HOURS:g} hour, expect overfitting to these sentences"
        )  # fmt: skip
    counts = Counter(train.labels)
    if len(counts) < 2:
        return Finding("amount", Level.FAULT, f"only one label ({next(iter(counts))}), expected at least two")
    few = sorted(label for label, count in counts.items() if count < FEW)
    if few:
        return Finding(
            "amount",
            Level.WARNING,
            f"{len(few):,} of {len(counts):,} labels have fewer than {FEW} training rows; expect overfitting. Record "
            f"more, or prepare with --keep samples and train with changed samples, as by --speed 0.1",
            tuple(f"{label} ({counts[label]})" for label in few),
        )
    return Finding("amount", Level.GOOD, f"at least {min(counts.values()):,} training rows of each label")


def check_precision(contents: Contents) -> Finding:
    """How precise a score on the test split is."""
    if "test" not in contents.splits:
        return Finding("precision", Level.NOTE, "there is no test split, so the final model cannot be evaluated")
    count = len(contents.splits["test"])
    # half the 95 % interval of a proportion, by the normal approximation
    margin = 100 * 1.96 * math.sqrt(TYPICAL * (1 - TYPICAL) / count)
    rows = counted(count, "test row")
    summary = f"an accuracy of {100 * TYPICAL:.0f} % on {rows} is uncertain by {margin:.1f} points (95 % interval)"
    if margin > WIDE:
        return Finding("precision", Level.WARNING, f"{summary}; smaller differences between models may be chance")
    return Finding("precision", Level.GOOD, summary)


def check_speakers(contents: Contents) -> Finding:
    """Whether the speakers of the test and validation splits are not in the training split."""
    rows_of = {split: Counter(filter(None, rows.speakers)) for split, rows in contents.splits.items()}
    named = sum(sum(count.values()) for count in rows_of.values())
    total = sum(map(len, contents.splits.values()))
    if not named:
        verdict = (
            "speakers are unknown: the same voices may be in all splits, and scores may not hold for new voices. Where "
            "folders, file names or a table name them, prepare with --folders, --speaker-pattern or --speaker-column"
        )
        return Finding("speakers", Level.NOTE, verdict)
    everyone = len({name for count in rows_of.values() for name in count})
    unnamed = f"; the speaker of {total - named:,} rows is unknown" if named < total else ""
    trained = rows_of.get("train", Counter()).keys()
    shared = {split: trained & count.keys() for split, count in rows_of.items() if split != "train"}
    if not any(shared.values()):
        level = Level.NOTE if unnamed else Level.GOOD
        return Finding("speakers", level, f"{everyone:,} speakers, none in training and in another split{unnamed}")
    overlap = " and ".join(
        f"{len(names):,} of {len(rows_of[split]):,} speakers of the {split} split"
        for split, names in shared.items()
        if names
    )
    names = tuple(sorted(set().union(*shared.values())))
    if shared.get("test"):
        verdict = f"{overlap} are also in training, so test scores may not hold for new voices{unnamed}"
        return Finding("speakers", Level.WARNING, verdict, names)
    verdict = f"{overlap} are also in training, so model selection may favour known voices{unnamed}"
    return Finding("speakers", Level.NOTE, verdict, names)
