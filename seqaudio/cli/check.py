"""Whether a store of speech or music is fit to train on: leaks and copies, and whether it is enough.

Of speech also balance, speakers, durations, silent and clipped recordings; of music keys, metres, tempi, instruments.

Example: seqaudio check stores/fsdd --png fsdd.png
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from seqaudio.cli.outputs import check_output, written


@dataclass(frozen=True)
class Config:
    """What to check. The exit status is 1 where the store is not fit to train on."""

    store: tyro.conf.Positional[Path]  # made by a preparation of speech or music
    png: Path | None = None  # picture to write
    json: bool = False  # print JSON, with every example, instead of words
    force: bool = False  # replace a picture that is there


def main(config: Config) -> None:
    """Look at every row, print the findings, draw the picture."""
    if config.png is not None:
        check_output("--png", config.png, ".png", config.force)

    from seqaudio.checking import Level, check_store, draw_report
    from seqaudio.store import Store

    report = check_store(Store(config.store))
    print(json.dumps(report.to_dict(), ensure_ascii=False) if config.json else report)
    if config.png is not None:
        with written(config.png):
            draw_report(report, config.png)
    if report.level is Level.FAULT:
        sys.exit(1)
