"""Checks of recordings: NaN, silence, clipping, unusual durations, refused inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seqaudio.audio.recording import CLIPPED, SILENT
from seqaudio.checking.contents import Contents
from seqaudio.checking.report import Finding, Level, counted
from seqaudio.ledger import Status, summarise
from seqaudio.vocabulary import SILENCE

UNUSUAL = 10.0  # ratio to the median duration, or of the median to the duration
MANY_CLIPPED = 0.05  # share of recordings
MANY_REFUSED = 0.01  # share of inputs


def check_numbers(contents: Contents) -> Finding:
    """Whether all values are finite, and the statistics by which they are normalised."""
    invalid = tuple(rows.ids[number] for _, number, rows in contents.rows() if not rows.finite[number])
    if invalid:
        rows = counted(len(invalid), "row has", "rows have")
        verdict = f"{rows} NaN or infinite values, which make the loss NaN; prepare the store again"
        return Finding("numbers", Level.FAULT, verdict, invalid)
    statistics = contents.store.normalisation
    if statistics is not None and not np.isfinite([statistics.mean, statistics.std]).all():
        verdict = "mean or deviation in store.json is not finite, which makes every input NaN; prepare the store again"
        return Finding("numbers", Level.FAULT, verdict)
    return Finding("numbers", Level.GOOD, "all values are finite")


def check_silence(contents: Contents) -> Finding:
    """Whether recordings are silent, other than those labelled as silence."""
    unknown, names, total = _faulty(contents, SILENT, lambda label: label != SILENCE)
    if unknown:
        return Finding("silent", Level.NOTE, unknown)
    if not names:
        return Finding("silent", Level.GOOD, "no recording is silent, unless labelled as silence")
    verdict = f"{len(names):,} of {total:,} recordings are silent, so only their labels can be learned"
    return Finding("silent", Level.WARNING, verdict, names)


def check_clipping(contents: Contents) -> Finding:
    """Whether recordings are clipped."""
    unknown, names, total = _faulty(contents, CLIPPED, lambda label: True)
    if unknown:
        return Finding("clipped", Level.NOTE, unknown)
    if not names:
        return Finding("clipped", Level.GOOD, "no recording is clipped")
    many = len(names) > MANY_CLIPPED * total
    verdict = f"{len(names):,} of {total:,} recordings are clipped" + ("; record at a lower level" if many else "")
    return Finding("clipped", Level.WARNING if many else Level.NOTE, verdict, names)


def check_durations(contents: Contents) -> Finding:
    """Whether rows are empty, or much longer or shorter than most."""
    empty = [rows.ids[number] for _, number, rows in contents.rows() if not rows.steps[number]]
    if empty:
        return Finding("durations", Level.FAULT, f"{counted(len(empty), 'row is', 'rows are')} empty", tuple(empty))
    seconds = np.concatenate([rows.seconds for rows in contents.splits.values()])
    median = float(np.median(seconds))
    summary = f"{seconds.min():.2f} to {seconds.max():.2f} s, median {median:.2f} s"
    unusual = [
        f"{rows.ids[number]} ({rows.seconds[number]:.2f} s)"
        for _, number, rows in contents.rows()
        if not median / UNUSUAL <= rows.seconds[number] <= median * UNUSUAL
    ]
    if unusual:
        verdict = (
            f"{summary}; {len(unusual):,} are more than {UNUSUAL:g} times longer or shorter than the median; check "
            f"whether they are cut correctly"
        )
        return Finding("durations", Level.WARNING, verdict, tuple(unusual))
    return Finding("durations", Level.GOOD, summary)


def check_inputs(contents: Contents) -> Finding:
    """How many inputs the preparation could not use."""
    entries = contents.ledger
    if not entries:
        return Finding("inputs", Level.NOTE, "there is no ledger.tsv, so it is unknown which inputs were left out")
    refused = tuple(entry.path for entry in entries if entry.status is Status.REFUSED)
    if not refused:
        return Finding("inputs", Level.GOOD, f"{len(entries):,} inputs, none refused")
    level = Level.WARNING if len(refused) > MANY_REFUSED * len(entries) else Level.NOTE
    return Finding("inputs", level, f"{summarise(entries)}; ledger.tsv has the reasons", refused)


def _faulty(contents: Contents, fault: str, counts: Callable[[str], bool]) -> tuple[str, tuple[str, ...], int]:
    """(why the fault is unknown, or ""; names of the recordings with the fault; number of all recordings).

    In a store of samples these are examined; for a store of features the preparation listed faults in the ledger.
    """
    if contents.has_samples:
        names = tuple(
            rows.ids[number]
            for _, number, rows in contents.rows()
            if rows.faults[number].startswith(fault) and counts(rows.labels[number])
        )
        return "", names, sum(map(len, contents.splits.values()))
    if not contents.records_faults:
        return "unknown: this store was made by an older version; prepare it again with --force", (), 0
    # an input of several rows was cut on purpose, such as background noise into clips of silence
    single = [entry for entry in contents.ledger if entry.status is Status.KEPT and entry.rows == 1]
    faulty = (entry.path for entry in single if any(part.startswith(fault) for part in entry.detail.split("; ")))
    return "", tuple(faulty), len(single)
