"""The checks for each kind of store, and `check_store`, which runs them."""

from __future__ import annotations

from collections.abc import Callable

from seqaudio.checking.band import check_band
from seqaudio.checking.contents import Contents
from seqaudio.checking.copies import check_duplicates, check_leaks
from seqaudio.checking.labels import check_amount, check_balance, check_names, check_precision, check_speakers
from seqaudio.checking.notes import NOTES
from seqaudio.checking.report import Finding, Report
from seqaudio.checking.sound import check_clipping, check_durations, check_inputs, check_numbers, check_silence
from seqaudio.errors import StoreError
from seqaudio.store import Store

Check = Callable[[Contents], Finding]

SPEECH: tuple[Check, ...] = (
    check_leaks,
    check_duplicates,
    check_amount,
    check_names,
    check_balance,
    check_precision,
    check_speakers,
    check_durations,
    check_numbers,
    check_silence,
    check_clipping,
    check_band,
    check_inputs,
)
OF_LABELS = (check_names, check_balance, check_precision, check_band)  # only for rows with labels
OF_SAMPLES = (check_band,)  # only for rows of samples; preparations of features measure the recordings instead
CHECKS: dict[str, tuple[Check, ...]] = {"audio": SPEECH, "features": SPEECH, "tokens": NOTES, "roll": NOTES}


def check_store(store: Store) -> Report:
    """Check every row of a store. Raises StoreError for a kind that has no checks."""
    if store.kind not in CHECKS:
        raise StoreError(f"{store.path}: a store of {store.kind}, expected a store of {', '.join(CHECKS)}")
    contents = Contents(store)
    left_out = (() if contents.is_labelled else OF_LABELS) + (() if contents.has_samples else OF_SAMPLES)
    return Report(contents, tuple(check(contents) for check in CHECKS[store.kind] if check not in left_out))
