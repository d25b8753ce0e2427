"""Check whether a store of speech or music is fit to train on: leaks, copies, and whether there is enough.

For speech also balance, speakers, durations, silent and clipped recordings; for music keys, time signatures, tempos,
instruments.

Example: seqaudio check stores/fsdd --png fsdd.png
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from seqaudio.cli.outputs import PICTURES, check_output, written
from seqaudio.files import json_text
from seqaudio.progress import say


@dataclass(frozen=True)
class Config:
    """The store to check. The exit status is 1 if it is not fit to train on."""

    store: tyro.conf.Positional[Path]  # store of speech or music
    png: Path | None = None  # picture to write
    verify: bool = False  # first compare every file with the hash that the store keeps of it
    json: bool = False  # print JSON, with all examples, instead of text
    force: bool = False  # replace an existing picture


def main(config: Config) -> None:
    """Check every row, print the findings, draw the picture."""
    if config.png is not None:
        check_output("--png", config.png, PICTURES, config.force)

    from seqaudio.checking import Level, check_store, draw_report
    from seqaudio.store import Store

    store = Store(config.store)
    if config.verify:
        say(store.verify())
    report = check_store(store)
    print(json_text(report.to_dict()) if config.json else report)
    if config.png is not None:
        with written(config.png):
            draw_report(report, config.png)
    if report.level is Level.FAULT:
        sys.exit(1)
