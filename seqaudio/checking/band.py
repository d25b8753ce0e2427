"""Check of bands: whether labels can be told apart by the frequency above which their recordings are empty."""

from __future__ import annotations

from collections import defaultdict

from seqaudio.audio import band_limit, tell_bands
from seqaudio.audio.recording import from_int16
from seqaudio.checking.contents import Contents
from seqaudio.checking.report import Finding, Level
from seqaudio.errors import OptionError
from seqaudio.features.settings import FeatureSettings
from seqaudio.prepare.corpora.splits import hash_fraction

OF_LABEL = 60  # rows that are measured of each label


def check_band(contents: Contents) -> Finding:
    """Whether the recordings of some labels are cut at a lower frequency than those of others."""
    settings = contents.store.settings.get("features", {})
    try:
        features = FeatureSettings.from_dict(settings)
    except OptionError as error:
        return Finding("band", Level.NOTE, f"unknown, as the feature settings in store.json are damaged: {error}")
    places = defaultdict[str, list[tuple[float, str, int]]](list)
    for split, number, rows in contents.rows():
        places[rows.labels[number]].append((hash_fraction(rows.ids[number]), split, number))
    limits = {
        label: [
            band_limit(from_int16(contents.store[split].sequence(number)), features.sample_rate)
            for _, split, number in sorted(found)[:OF_LABEL]
        ]
        for label, found in places.items()
    }
    if line := tell_bands(limits, features.top):
        return Finding("band", Level.WARNING, line)
    return Finding("band", Level.GOOD, "no label is cut at a lower frequency than the others")
