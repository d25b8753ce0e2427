"""Compare the band limits of labels before a store is made: a sample of each label's recordings is measured."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence

from seqaudio.audio import band_limit, tell_bands
from seqaudio.errors import AudioError
from seqaudio.features.settings import FeatureSettings
from seqaudio.prepare.corpora.splits import hash_sample
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.segments import read_item
from seqaudio.units import Seconds

OF_LABEL = 12  # recordings that are measured of each label
OF_ALL = 600  # recordings that are measured in all: about a second
MIN_OF_LABEL = 4


def differing_bands(items: Sequence[Item], settings: FeatureSettings, max_seconds: Seconds) -> str:
    """A line that says which labels are cut below the others, as `tell_bands` does; empty where none is.

    Recordings are measured at the settings' rate, up to the upper edge of the filters. Those that cannot be read are
    left out: the ledger names them.
    """
    labelled = sorted((item for item in items if item.label and item.path is not None), key=lambda item: item.label)
    of_label = {label: list(group) for label, group in itertools.groupby(labelled, key=lambda item: item.label)}
    if len(of_label) < 2:
        return ""
    most = max(MIN_OF_LABEL, min(OF_LABEL, OF_ALL // len(of_label)))
    limits = defaultdict[str, list[float]](list)
    for label, group in of_label.items():
        for item in hash_sample(group, most):
            try:
                samples = read_item(item, settings.sample_rate, max_seconds).samples
            except AudioError:
                continue
            limits[label].append(band_limit(samples, settings.sample_rate))
    return tell_bands(limits, settings.top)
