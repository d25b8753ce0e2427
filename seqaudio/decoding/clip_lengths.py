"""Lengths of the clips that a keyword run has learned from, which decide whether a recording is one clip."""

from __future__ import annotations

from seqaudio.decoding.segments import ClipSeconds
from seqaudio.errors import StoreError
from seqaudio.run_folder import RunFolder

ORDINARY = ClipSeconds(1.0, 1.0)  # of a run that does not have them, and whose store is gone
SLACK = 1.1  # times the longest clips: a longer recording is cut


def clip_seconds_of(run: RunFolder) -> ClipSeconds:
    """The lengths that the run keeps; for a run of an older version those of its store, or else those of most words."""
    found: ClipSeconds | None = run.input_fact("clip_seconds", ClipSeconds | None)
    if found is not None:
        return found
    from seqaudio.batching.clips import clip_seconds  # which brings torch along
    from seqaudio.store import Store

    try:
        store = Store(run.settings.get("store") or "")
        return ClipSeconds(**clip_seconds(store["train"])) if store.fingerprint == run.config.get("store") else ORDINARY
    except StoreError:
        return ORDINARY
