"""Options that all preparations of speech share, and the function that builds a store from them.

A script inherits its Config from one of the classes here, lists its items, and calls `build_speech_store`.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqaudio.audio.recording import MAX_SECONDS
from seqaudio.errors import OptionError
from seqaudio.features import feature_settings
from seqaudio.prepare.corpora.folder import ArchiveOption, DownloadOption, SourceOption
from seqaudio.prepare.corpora.splits import hash_sample
from seqaudio.prepare.engine import build_store
from seqaudio.prepare.engine.dask import dask_executor
from seqaudio.prepare.engine.items import Item, Process
from seqaudio.prepare.speech.bands import differing_bands
from seqaudio.prepare.speech.recordings import ExtractFeatures, Keep, speech_description
from seqaudio.store import Store
from seqaudio.units import Seconds


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """Options of the store, shared by every preparation of speech."""

    out: Path  # new folder for the store
    features: str = "default"  # feature preset: default (13 MFCC), keywords, log_mel ...; docs/features.md has them all
    sample_rate: int = 16000  # hertz; recordings of another rate are resampled
    workers: int = 1  # number of processes
    dask: str | None = None  # address of a Dask cluster to use instead of these processes: tcp://HOST:PORT
    limit: int | None = None  # take only N recordings, chosen by a hash of their names, for a trial
    update: bool = False  # redo only what changed since the store at --out was made
    force: bool = False  # replace an existing store at --out


@dataclass(frozen=True, kw_only=True)
class RecordingOptions(StoreOptions):
    """Options of every store of recordings."""

    keep: Keep = "features"  # or samples: training then makes the features, and can augment the waveforms
    max_seconds: Seconds = MAX_SECONDS  # longer recordings are refused, as each is held in memory whole


@dataclass(frozen=True, kw_only=True)
class SpeechOptions(RecordingOptions, SourceOption):
    """Options of every corpus of recordings."""


@dataclass(frozen=True, kw_only=True)
class ArchiveOptions(ArchiveOption, SpeechOptions):
    """Options of a corpus that comes as an archive."""


@dataclass(frozen=True, kw_only=True)
class DownloadOptions(DownloadOption, ArchiveOptions):
    """Options of a corpus that anyone may download."""


def chosen_executor(options: StoreOptions) -> AbstractContextManager[Executor | None]:
    """An executor on the Dask cluster that the options name; None without --dask: `build_store` uses processes then."""
    return nullcontext() if options.dask is None else dask_executor(options.dask)


def build_speech_store(
    options: RecordingOptions,
    items: Sequence[Item],
    *,
    source: str,
    licence: str,
    names: str = "",
    example: str = "",
    always: Sequence[Item] = (),
    about: Mapping[str, Any] | None = None,
    wrap: Callable[[ExtractFeatures], Process] | None = None,
) -> Store:
    """Prepare a store from recordings as the options say.

    Labels, texts and speakers are stored in Unicode normal form C, whatever form the corpus uses. Times of words are
    stored where any item has them. A warning says where labels differ in their band (`differing_bands`).

    Args:
        items: recordings with their splits, in the order of the store.
        source, licence: name and licence of the corpus, for `store.json`.
        names, example: a regular expression for file names without suffix, and a name that matches.
        always: items appended to the others, which --limit does not touch.
        about: more settings for `store.json`: choices of the script that decide what is in the store.
        wrap: makes the Process from the extraction of features, where some items are not simply one recording.
    Raises:
        OptionError: an unknown preset, a sample rate that it does not allow, limit or workers below 1, no seconds.
        SourceError: no items.
        StoreError: --out exists; no input could be kept.
    """
    settings = feature_settings(options.features, options.sample_rate)
    if not options.max_seconds > 0:
        raise OptionError(f"--max-seconds {options.max_seconds}, expected more than 0, such as {MAX_SECONDS:g}")
    extract = ExtractFeatures(
        settings, names=names, example=example, max_seconds=options.max_seconds, keep=options.keep
    )
    sources = (source,) if source else ()
    timed = {"word_times": True} if any(item.word_start is not None for item in items) else {}
    with chosen_executor(options) as executor:
        store = build_store(
            options.out,
            [_composed(item) for item in (*hash_sample(items, options.limit), *always)],
            extract if wrap is None else wrap(extract),
            speech_description(
                settings, options.keep, sources=sources, licence=licence, others={**(about or {}), **timed}
            ),
            workers=options.workers,
            force=options.force,
            update=options.update,
            executor=executor,
        )
    if line := differing_bands(items, settings, options.max_seconds):
        print(f"warning: {line}", file=sys.stderr)
    return store


def _composed(item: Item) -> Item:
    label, text, speaker = (unicodedata.normalize("NFC", field) for field in (item.label, item.text, item.speaker))
    return replace(item, label=label, text=text, speaker=speaker)
