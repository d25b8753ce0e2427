"""Report too little memory in one line, whichever library fails, with the size that was asked for."""

from __future__ import annotations

import re

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
MARKS = (
    "not enough memory",  # torch on the CPU
    "out of memory",  # torch on a GPU
    "bad_alloc",  # C++
    "can't allocate memory",  # torch on the CPU, of older versions
    "cannot allocate memory",  # the operating system, as quoted by libraries
    "can't start new thread",  # no room for its stack
)
# "you tried to allocate 5529600000 bytes", "Tried to allocate 2.00 GiB", "malloc of size 64 failed"
SIZE = re.compile(r"(?:allocate|size|allocating) (\d[\d.,]*) ?(bytes|[KMGTPE]i?B)?", re.IGNORECASE)


def out_of_memory(error: BaseException) -> str:
    """The message for an error that means too little memory; empty for any other."""
    text = str(error)
    if not isinstance(error, MemoryError) and not any(mark in text.lower() for mark in MARKS):
        return ""
    found = SIZE.search(text)
    size = f" for {_readable(found[1], found[2])}" if found else ""
    return (
        f"not enough memory{size}; try smaller batches or models (--batch-size, --batch-frames, --hidden-size), "
        f"fewer --workers, or shorter inputs"
    )


def _readable(number: str, unit: str | None) -> str:
    """A size as libraries print it: bytes are scaled, other units stay."""
    if unit not in (None, "bytes"):
        return f"{number} {unit}"
    size, scale = float(number.replace(",", "")), 0
    while size >= 1024 and scale < len(UNITS) - 1:
        size, scale = size / 1024, scale + 1
    return f"{size:.4g} {UNITS[scale]}"
