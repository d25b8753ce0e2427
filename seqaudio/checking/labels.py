"""How many rows each label has, and whether a result on them would mean anything."""

from __future__ import annotations

import math
from collections import Counter

from seqaudio.checking.contents import Contents
from seqaudio.checking.report import Finding, Level

FEW = 20  # training rows of a label: with fewer a net learns the recordings rather than the word
UNEVEN = 10.0  # times as many rows of the most frequent label as of the rarest
WIDE = 5.0  # percentage points: half the interval of an accuracy that is too wide to compare with
HOURS = 1.0  # of transcribed speech: with less, recognition of free speech does not get far
TYPICAL = 0.9  # the accuracy at which the interval is told


def check_balance(contents: Contents) -> Finding:
    """Whether all labels are in all splits, and about equally often."""
    counts = {split: Counter(rows.labels) for split, rows in contents.splits.items()}
    train = counts.get("train", Counter())
    labels = sorted({label for count in counts.values() for label in count})
    unheard = [label for label in labels if not train[label]]
    if unheard:
        return Finding(
            "balance",
            Level.FAULT,
            f"{len(unheard):,} of {len(labels):,} labels have no training row, so they cannot be learned",
            tuple(unheard),
        )
    absent = [f"{label} ({split})" for split, count in counts.items() for label in labels if not count[label]]
    if absent:
        verdict = f"{len(absent):,} labels are missing from a split, where nothing will be known of them"
        return Finding("balance", Level.WARNING, verdict, tuple(absent))
    (most, rows), (least, fewest) = train.most_common(1)[0], min(train.items(), key=lambda pair: (pair[1], pair[0]))
    spread = f"{fewest:,} ({least}) to {rows:,} ({most})" if rows > fewest else f"each with {rows:,}"
    told = f"{len(labels):,} labels, {spread} training rows"
    if rows > UNEVEN * fewest:
        return Finding(
            "balance",
            Level.WARNING,
            f"{told}; the frequent ones will be preferred: look at balanced accuracy, or weigh the labels",
        )
    return Finding("balance", Level.GOOD, told)


def check_amount(contents: Contents) -> Finding:
    """Whether there is enough to train on, and to choose by."""
    missing = [split for split in ("train", "valid") if split not in contents.splits]
    if missing:
        verdict = f"no row is in the split {' or '.join(missing)}; a training needs both"
        return Finding("amount", Level.FAULT, verdict)
    train = contents.splits["train"]
    if not contents.is_labelled:
        hours = float(train.seconds.sum()) / 3600
        told = f"{hours:,.1f} hours of transcribed speech to train on"
        return Finding("amount", Level.GOOD, told) if hours >= HOURS else Finding(
            "amount", Level.WARNING, f"{told}; with less than {HOURS:g}, expect a recogniser of these few sentences"
        )  # fmt: skip
    counts = Counter(train.labels)
    if len(counts) < 2:
        return Finding("amount", Level.FAULT, f"one label ({next(iter(counts))}), so there is nothing to tell apart")
    few = sorted(label for label, count in counts.items() if count < FEW)
    if few:
        return Finding(
            "amount",
            Level.WARNING,
            f"{len(few):,} of {len(counts):,} labels have fewer than {FEW} training rows; expect the recordings to be "
            f"learned by heart. Record more, or augment",
            tuple(f"{label} ({counts[label]})" for label in few),
        )
    return Finding("amount", Level.GOOD, f"at least {min(counts.values()):,} training rows of each label")


def check_precision(contents: Contents) -> Finding:
    """How exactly a score on the test split can be told."""
    if "test" not in contents.splits:
        return Finding("precision", Level.NOTE, "there is no test split: nothing tells how good the final model is")
    count = len(contents.splits["test"])
    # half of a 95 % interval of a share, by the normal approximation
    margin = 100 * 1.96 * math.sqrt(TYPICAL * (1 - TYPICAL) / count)
    told = f"{count:,} test rows tell an accuracy of {100 * TYPICAL:.0f} % to within {margin:.1f} points (95 %)"
    if margin > WIDE:
        return Finding("precision", Level.WARNING, f"{told}; smaller differences between models are chance")
    return Finding("precision", Level.GOOD, told)


def check_speakers(contents: Contents) -> Finding:
    """Whether the speakers of the test and validation splits are strangers to the training."""
    rows_of = {split: Counter(filter(None, rows.speakers)) for split, rows in contents.splits.items()}
    named = sum(sum(count.values()) for count in rows_of.values())
    total = sum(map(len, contents.splits.values()))
    if not named:
        verdict = "no speaker is known, so the same voices may be in all splits; a score may not hold for others"
        return Finding("speakers", Level.NOTE, verdict)
    everyone = len({name for count in rows_of.values() for name in count})
    unnamed = f"; of {total - named:,} rows the speaker is not known" if named < total else ""
    trained = rows_of.get("train", Counter()).keys()
    shared = {split: trained & count.keys() for split, count in rows_of.items() if split != "train"}
    if not any(shared.values()):
        level = Level.NOTE if unnamed else Level.GOOD
        return Finding("speakers", level, f"{everyone:,} speakers, none of training is in another split{unnamed}")
    told = " and ".join(
        f"{len(names):,} of {len(rows_of[split]):,} speakers of the {split} split"
        for split, names in shared.items()
        if names
    )
    names = tuple(sorted(set().union(*shared.values())))
    if shared.get("test"):
        verdict = f"{told} are in training too, so the test does not tell how strangers fare{unnamed}"
        return Finding("speakers", Level.WARNING, verdict, names)
    verdict = f"{told} are in training too, so what is chosen by it may suit known voices{unnamed}"
    return Finding("speakers", Level.NOTE, verdict, names)
