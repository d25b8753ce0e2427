"""Versions of the code whose bytes a store holds, so that an update or a resumed build never mixes two of them.

Each has a number beside it: recordings (`audio.reading.VERSION`), a kind of features (`features.settings.VERSIONS`),
MIDI (`midi.reading.VERSION`), a representation (its attribute `version`). It is raised whenever the code gives other
bytes for any input; `tests/test_code_versions.py` fails where it was forgotten.
"""

from __future__ import annotations

from typing import Any

from seqaudio.audio import reading as recordings
from seqaudio.features.settings import VERSIONS
from seqaudio.midi import reading as midi
from seqaudio.store import StoreDescription
from seqaudio.tokens.representation import REPRESENTATIONS


def code_versions(description: StoreDescription) -> dict[str, int]:
    """The versions of the code that makes a store, by name, without those that are 1.

    So stores made before there were versions, and those of code that never changed, have equal fingerprints.
    """
    versions: dict[str, int] = {}
    features: dict[str, Any] | None = description.settings.get("features")
    if features is not None:
        versions["audio"] = recordings.VERSION
        versions[f"features {features.get('kind')}"] = VERSIONS.get(str(features.get("kind")), 1)
    representation: dict[str, Any] | None = description.settings.get("representation")
    if representation is not None:
        name = str(representation.get("name"))
        versions["midi"] = midi.VERSION
        versions[f"representation {name}"] = REPRESENTATIONS[name].version if name in REPRESENTATIONS else 1
    return {name: version for name, version in versions.items() if version != 1}
