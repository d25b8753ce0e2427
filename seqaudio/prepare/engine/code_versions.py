"""Versions of the code that makes the content of stores, so that no update or resumed build mixes two of them.

The numbers are beside the code: recordings (`audio.reading.VERSION`), kinds of features (`features.settings.VERSIONS`),
MIDI (`midi.reading.VERSION`), facts about pieces (`piece_facts.VERSION`), a representation (its attribute `version`). A
number is raised whenever its code gives other bytes for any input; `tests/test_code_versions.py` fails where that was
forgotten.
"""

from __future__ import annotations

from typing import Any

from seqaudio.audio import reading as recordings
from seqaudio.features.settings import VERSIONS
from seqaudio.midi import reading as midi
from seqaudio.prepare.music import piece_facts
from seqaudio.store import StoreDescription
from seqaudio.tokens.representation import REPRESENTATIONS


def code_versions(description: StoreDescription) -> dict[str, int]:
    """The versions of the code that makes a store, by name, without those that are 1.

    So while the code has not changed, fingerprints equal those of stores made before there were versions.
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
        versions["facts"] = piece_facts.VERSION if description.of_training else 1
        versions[f"representation {name}"] = REPRESENTATIONS[name].version if name in REPRESENTATIONS else 1
    return {name: version for name, version in versions.items() if version != 1}
