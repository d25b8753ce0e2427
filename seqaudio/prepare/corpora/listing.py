"""List all visible files below a folder, and the folders that cannot be read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

SHOWN = 8  # suffixes named in `skipped_files`


@dataclass
class Listing:
    """Files and unreadable entries, by their paths below the folder; paths of folders end with a slash."""

    files: dict[str, Path] = field(default_factory=dict)
    unreadable: dict[str, OSError] = field(default_factory=dict)  # folders and links, with the system's error


def list_below(folder: Path) -> Listing:
    """All files below a folder, in no particular order. Hidden files and folders are left out.

    Links to folders are followed, except those to a folder that contains them, which would never end.
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
            listing.unreadable[key] = error
            continue
        for entry in visible:
            name = key + entry.name
            try:
                if entry.is_dir():
                    waiting.append((f"{name}/", Path(entry.path), above | {identity}))
                else:
                    listing.files[name] = Path(entry.path)  # a broken link, too, counts as a file
            except OSError as error:  # a link to itself, or into an unreadable folder
                listing.unreadable[name] = error
    return listing


def skipped_files(keys: Iterable[str]) -> str:
    """A line such as `12 files skipped: .txt 10, .md 2`; empty where there are none."""
    suffixes = Counter(PurePosixPath(key).suffix.lower() or "without suffix" for key in keys)
    if not suffixes:
        return ""
    ranked = sorted(suffixes.items(), key=lambda pair: (-pair[1], pair[0]))
    named = [f"{suffix} {count:,}" for suffix, count in ranked[:SHOWN]]
    rest = sum(count for _, count in ranked[SHOWN:])
    total = suffixes.total()
    return f"{total:,} file{'s' if total > 1 else ''} skipped: " + ", ".join(
        [*named, *([f"others {rest:,}"] if rest else [])]
    )
