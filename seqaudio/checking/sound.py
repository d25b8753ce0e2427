"""Values that are no numbers; nothing to hear, or cut off at full scale; unusual lengths; inputs that were left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seqaudio.audio.recording import CLIPPED, SILENT
from seqaudio.checking.contents import Contents
from seqaudio.checking.report import Finding, Level
from seqaudio.ledger import Status, summarise
from seqaudio.vocabulary import SILENCE

UNUSUAL = 10.0  # times the median length, or a tenth of it
MANY_CLIPPED = 0.05  # share of recordings
MANY_REFUSED = 0.01  # share of inputs


def check_numbers(contents: Contents) -> Finding:
    """Whether all values are finite, and the statistics that a model scales them by."""
    odd = tuple(rows.ids[number] for _, number, rows in contents.rows() if not rows.finite[number])
    if odd:
        verdict = f"{len(odd):,} rows hold NaN or infinite values, and a training on them ends in NaN; prepare it again"
        return Finding("numbers", Level.FAULT, verdict, odd)
    statistics = contents.store.normalisation
    if statistics is not None and not np.isfinite([statistics.mean, statistics.std]).all():
        verdict = "mean or deviation in store.json is not finite, so every scaled value is NaN; prepare it again"
        return Finding("numbers", Level.FAULT, verdict)
    return Finding("numbers", Level.GOOD, "every value is finite")


def check_silence(contents: Contents) -> Finding:
    """Whether recordings are silent that are not labelled so."""
    unknown, names, total = _faulty(contents, SILENT, lambda label: label != SILENCE)
    if unknown:
        return Finding("silent", Level.NOTE, unknown)
    if not names:
        return Finding("silent", Level.GOOD, "every recording has something to hear")
    verdict = f"{len(names):,} of {total:,} recordings have nothing to hear, and teach nothing but their label"
    return Finding("silent", Level.WARNING, verdict, names)


def check_clipping(contents: Contents) -> Finding:
    """Whether recordings were made too loud."""
    unknown, names, total = _faulty(contents, CLIPPED, lambda label: True)
    if unknown:
        return Finding("clipped", Level.NOTE, unknown)
    if not names:
        return Finding("clipped", Level.GOOD, "no recording is cut off at full scale")
    many = len(names) > MANY_CLIPPED * total
    verdict = f"{len(names):,} of {total:,} recordings are cut off at full scale" + ("; record softer" if many else "")
    return Finding("clipped", Level.WARNING if many else Level.NOTE, verdict, names)


def check_durations(contents: Contents) -> Finding:
    """Whether lengths are alike."""
    empty = [rows.ids[number] for _, number, rows in contents.rows() if not rows.steps[number]]
    if empty:
        return Finding("durations", Level.FAULT, f"{len(empty):,} rows have no step at all", tuple(empty))
    seconds = np.concatenate([rows.seconds for rows in contents.splits.values()])
    median = float(np.median(seconds))
    told = f"{seconds.min():.2f} to {seconds.max():.2f} s, median {median:.2f} s"
    odd = [
        f"{rows.ids[number]} ({rows.seconds[number]:.2f} s)"
        for _, number, rows in contents.rows()
        if not median / UNUSUAL <= rows.seconds[number] <= median * UNUSUAL
    ]
    if odd:
        verdict = (
            f"{told}; {len(odd):,} are more than {UNUSUAL:g} times longer or shorter than that: are they cut right?"
        )
        return Finding("durations", Level.WARNING, verdict, tuple(odd))
    return Finding("durations", Level.GOOD, told)


def check_inputs(contents: Contents) -> Finding:
    """How many inputs the preparation could not use."""
    entries = contents.ledger
    if not entries:
        return Finding("inputs", Level.NOTE, "there is no ledger.tsv, so nothing tells what was left out")
    refused = tuple(entry.path for entry in entries if entry.status is Status.REFUSED)
    if not refused:
        return Finding("inputs", Level.GOOD, f"{len(entries):,} inputs, none refused")
    level = Level.WARNING if len(refused) > MANY_REFUSED * len(entries) else Level.NOTE
    return Finding("inputs", level, f"{summarise(entries)}; ledger.tsv has the reasons", refused)


def _faulty(contents: Contents, fault: str, counts: Callable[[str], bool]) -> tuple[str, tuple[str, ...], int]:
    """Why it cannot be told, if so; the names of recordings with that fault; the number of all.

    In a store of samples they are looked at; of one of features the preparation noted in the ledger what it heard.
    """
    if contents.has_samples:
        names = tuple(
            rows.ids[number]
            for _, number, rows in contents.rows()
            if rows.faults[number].startswith(fault) and counts(rows.labels[number])
        )
        return "", names, sum(map(len, contents.splits.values()))
    if not contents.looked_for_faults:
        return "not known: an earlier version made this store, and did not listen; prepare it again with --force", (), 0
    # what became several rows was cut on purpose, such as background noise into stretches of silence
    single = [entry for entry in contents.ledger if entry.status is Status.KEPT and entry.rows == 1]
    heard = (entry.path for entry in single if any(part.startswith(fault) for part in entry.detail.split("; ")))
    return "", tuple(heard), len(single)
