"""What lies below a folder: every visible file, and every folder that could not be looked into."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

SHOWN = 8  # suffixes in a line


@dataclass
class Listing:
    """Files, and what could not be looked into, by their paths below the folder; those of folders end with a slash."""

    files: dict[str, Path] = field(default_factory=dict)
    closed: dict[str, OSError] = field(default_factory=dict)  # folders and links, with what the system said


def list_below(folder: Path) -> Listing:
    """All files below a folder, in no order. Hidden files and folders are left out.

    Links to folders are followed, but for those to a folder that they lie in: that would never end.
    """
    listing = Listing()
    waiting: list[tuple[str, Path, frozenset[tuple[int, int]]]] = [("", folder, frozenset())]
    while waiting:
        key, place, above = waiting.pop()
        try:
            status = place.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                continue
            with os.scandir(place) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            listing.closed[key] = error
            continue
        for entry in visible:
            name = key + entry.name
            try:
                if entry.is_dir():
                    waiting.append((f"{name}/", Path(entry.path), above | {identity}))
                else:
                    listing.files[name] = Path(entry.path)  # or a link to nothing, which has the name of a file
            except OSError as error:  # a link in circles, or to where nobody may look
                listing.closed[name] = error
    return listing


def passed_over(keys: Iterable[str]) -> str:
    """Files in words such as `12 files passed over: .txt 10, .md 2`; empty where there are none."""
    suffixes = Counter(PurePosixPath(key).suffix.lower() or "without suffix" for key in keys)
    if not suffixes:
        return ""
    ranked = sorted(suffixes.items(), key=lambda pair: (-pair[1], pair[0]))
    named = [f"{suffix} {count:,}" for suffix, count in ranked[:SHOWN]]
    rest = sum(count for _, count in ranked[SHOWN:])
    total = suffixes.total()
    return f"{total:,} file{'s' if total > 1 else ''} passed over: " + ", ".join(
        [*named, *([f"others {rest:,}"] if rest else [])]
    )
