"""MIDI through the guarded parser: no file can end or hang this process, and each is blamed for itself alone.

Files go to the child several at a time. Where it fails on them, each of them is parsed alone; where it fails on one
again, in a fresh child, that one is refused.
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
# parts of a file's deadline; the guard tries everything twice, and its child starts anew in between
_TOGETHER, _ALONE, _LARGE = 0.15, 0.2, 0.35
MAX_TOGETHER = 2**18  # bytes of files that are parsed together; a larger one alone


@dataclass(frozen=True)
class ReadingLimits:
    """What one untrusted file may take."""

    deadline: float = 2.0  # seconds in the parser, all tries together
    memory: int = 400  # megabytes in the parser, beside what its libraries take; enforced on Linux
    largest_file: int = 5  # megabytes: that many are parsed within this time and memory

    def __post_init__(self) -> None:
        if min(self.deadline, self.memory, self.largest_file) <= 0:
            raise ValueError(f"{self}: every limit must be above 0")


LIMITS = ReadingLimits()


class Parsed(NamedTuple):
    """What the parser says of some files, and the columns of their notes; both as in `parser_child.py`."""

    files: list[dict[str, Any]]
    columns: bytes


def parse(files: Sequence[bytes], limits: ReadingLimits = LIMITS, pedals: bool = True) -> list[Parsed]:
    """The parts of the replies, in the order of the files: one, or one a file where something went wrong.

    `pedals` says whether they are wanted: some files take twice the time for them.

    Raises:
        SeqAudioError: the parser does not start at all.
    """
    share = _TOGETHER if len(files) > 1 else _ALONE if len(files[0]) <= MAX_TOGETHER else _LARGE
    try:
        return [_ask(files, share * limits.deadline, limits, pedals)]
    except (ChildCrashedError, ChildTimeoutError) as error:
        if len(files) > 1:
            return [part for file in files for part in parse([file], limits, pedals)]
        reason = Reason.PARSER_CRASHED if isinstance(error, ChildCrashedError) else Reason.PARSER_TIMEOUT
        return [Parsed([{"reason": reason, "detail": str(error)}], b"")]


def the_parser(megabytes: int) -> Guard:
    """The guard of this process for a limit of memory."""
    return the_guard(PARSER, megabytes, "the MIDI parser", "numpy, symusic")


def _ask(files: Sequence[bytes], deadline: float, limits: ReadingLimits, pedals: bool) -> Parsed:
    head = struct.pack(f"<II{len(files)}I", len(files), pedals, *map(len, files))
    reply, columns = the_parser(limits.memory).ask(b"".join((head, *files)), deadline)
    return Parsed(reply["files"], columns)
