"""What a store holds: kind, settings, sizes of the splits, labels, and what became of its inputs.

Example: seqaudio info stores/fsdd
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from seqaudio.ledger import read_ledger, summarise
from seqaudio.store import SPLITS, Store


@dataclass(frozen=True)
class Config:
    """What to look at."""

    store: tyro.conf.Positional[Path]  # folder that a data_prep script made


def main(config: Config) -> None:
    """Print the description of a store."""
    print("\n".join(describe_store(Store(config.store))))


def describe_store(store: Store) -> Iterator[str]:
    """Lines that tell what a store holds."""
    yield f"{store.path}: store of {store.kind}, fingerprint {store.fingerprint[:16]}"
    for name, value in store.settings.items():
        yield f"  {name}: {json.dumps(value)}"
    if store.sources:
        yield f"  sources: {', '.join(store.sources)}" + (f" ({store.licence})" if store.licence else "")
    yield f"  {'split':<6} {'sequences':>10} {'steps':>12} {'minutes':>9} {'shortest':>9} {'median':>7} {'longest':>8}"
    for split in SPLITS:
        if split not in store.counts:
            continue
        count, lengths = store.counts[split], sorted(store[split].lengths.tolist())
        yield (
            f"  {split:<6} {count.rows:>10,} {count.steps:>12,} {count.seconds / 60:>9,.1f} "
            f"{lengths[0]:>9,} {lengths[len(lengths) // 2]:>7,} {lengths[-1]:>8,}"
        )
    if store.vocabulary is not None:
        labelled = any(count.labels for count in store.counts.values())
        yield f"  {'labels' if labelled else 'tokens'}: {len(store.vocabulary):,}"
        for name in store.vocabulary if labelled else ():
            counts = (f"{split} {count.labels.get(name, 0):,}" for split, count in store.counts.items())
            yield f"    {name:<16} {', '.join(counts)}"
    if store.normalisation:
        yield f"  normalisation: mean and deviation of {store.normalisation.frames:,} training frames"
    ledger = store.path / "ledger.tsv"
    if ledger.is_file():
        yield f"  inputs: {summarise(read_ledger(ledger))}"
