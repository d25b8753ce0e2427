"""Whether a voice is in two splits."""

from __future__ import annotations

from collections import Counter

from seqaudio.checking.contents import Contents
from seqaudio.checking.finding import Finding, Level


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
