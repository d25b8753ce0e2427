"""Writes a book that every Python carries: its own language reference, as `help()` shows it, 0.6 MB of English.

    docs/primer/python_reference.py --out BOOK.txt

Source: the module pydoc_data.topics of the standard library; licence: PSF-2.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics

from seqaudio.cli.options import run
from seqaudio.files import write_bytes


@dataclass(frozen=True)
class Config:
    """Options of the text."""

    out: Path  # text file to write


def main(config: Config) -> None:
    """Write all topics in the order of their names."""
    text = "\n".join(topics[name].strip() + "\n" for name in sorted(topics))
    write_bytes(config.out, text.encode("utf-8"))
    print(f"{config.out}: {len(topics)} topics, {len(text):,} characters")


if __name__ == "__main__":
    run(Config, main)
