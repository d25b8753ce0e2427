"""Parse MIDI files in the guarded child process: no file can crash or hang this process, or make another file fail.

Files go to the child several at a time. If it fails, each of them is parsed alone; a file on which a fresh child fails
again is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from seqaudio.guarded.parent import ChildCrashedError, ChildTimeoutError, Guard, the_guard
from seqaudio.ledger import Reason

PARSER = Path(__file__).with_name("parser_child.py")
# shares of a file's deadline; the guard tries everything twice, with a new child in between
_TOGETHER, _ALONE, _LARGE = 0.15, 0.2, 0.35
MAX_TOGETHER = 2**18  # bytes of the files that are parsed together; a larger file is parsed alone


@dataclass(frozen=True)
class ReadingLimits:
    """The time and memory that one untrusted file may take."""

    deadline: float = 2.0  # seconds in the parser, all tries together
    memory: int = 400  # megabytes in the parser, in addition to its libraries; enforced on Linux
    largest_file: int = 5  # megabytes of a file, which can be parsed within this time and memory

    def __post_init__(self) -> None:
        if min(self.deadline, self.memory, self.largest_file) <= 0:
            raise ValueError(f"{self}: every limit must be above 0")


LIMITS = ReadingLimits()


class Parsed(NamedTuple):
    """The parser's reply for some files, and the columns of their notes; both as described in `parser_child.py`."""

    files: list[dict[str, Any]]
    columns: bytes


def parse(
    files: Sequence[bytes], limits: ReadingLimits = LIMITS, pedals: bool = True, controls: bool = False
) -> list[Parsed]:
    """The replies, in the order of the files: one for all, or one for each file if parsing them together failed.

    `pedals`, `controls`: whether to read them, which doubles the time for some files.

    Raises:
        SeqAudioError: the parser cannot be started.
    """
    share = _TOGETHER if len(files) > 1 else _ALONE if len(files[0]) <= MAX_TOGETHER else _LARGE
    try:
        return [_ask(files, share * limits.deadline, limits, pedals + 2 * controls)]
    except (ChildCrashedError, ChildTimeoutError) as error:
        if len(files) > 1:
            return [part for file in files for part in parse([file], limits, pedals, controls)]
        reason = Reason.PARSER_CRASHED if isinstance(error, ChildCrashedError) else Reason.PARSER_TIMEOUT
        return [Parsed([{"reason": reason, "detail": str(error)}], b"")]


def the_parser(megabytes: int) -> Guard:
    """The guard of this process for a memory limit."""
    return the_guard(PARSER, megabytes, "the MIDI parser", "numpy, symusic")


def _ask(files: Sequence[bytes], deadline: float, limits: ReadingLimits, wanted: int) -> Parsed:
    head = struct.pack(f"<II{len(files)}I", len(files), wanted, *map(len, files))
    reply, columns = the_parser(limits.memory).ask(b"".join((head, *files)), deadline)
    return Parsed(reply["files"], columns)
