"""The process that parses untrusted MIDI: bytes come in on stdin, columns go out on stdout, until stdin ends.

The parser's C++ aborts the process on some damaged files, so it lives here, alone, within a limit of memory.
Run by path with that limit in megabytes as its argument; it imports nothing of seqaudio.

    request   length uint64, bytes of a file
    reply     length uint32 of the JSON, length uint64 of the columns, JSON, columns

The JSON is {"error": text}, or resolution, tracks, tempos and signatures. The columns are those of all notes, track
after track: start int32 [N], duration int32 [N], pitch int8 [N], velocity int8 [N].
"""

from __future__ import annotations

import json
import os
import struct
import sys
from typing import Any, BinaryIO

import numpy as np  # noqa: F401  # symusic makes its columns of it: loaded before memory is limited
import symusic

REQUEST = struct.Struct("<Q")
REPLY = struct.Struct("<IQ")


def main(megabytes: int) -> None:
    requests = sys.stdin.buffer
    replies = os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    # what the C++ prints must not mix with the replies
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    forbid_crash_reports()
    limit_memory(megabytes)
    answer(replies, {"ready": True})
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        (length,) = REQUEST.unpack(head)
        data = requests.read(length)  # where memory does not suffice, the process ends: half a request is no good
        try:
            reply, columns = parse(data)
        except (RuntimeError, ValueError, MemoryError) as error:
            reply, columns = {"error": str(error) or type(error).__name__}, b""
        answer(replies, reply, columns)


def parse(data: bytes) -> tuple[dict[str, Any], bytes]:
    """What the module's docstring says of a reply. Tracks without notes are left out."""
    score: Any = symusic.Score.from_midi(data)
    tracks = [track for track in score.tracks if len(track.notes)]
    notes = [track.notes.numpy() for track in tracks]
    names = ("time", "duration", "pitch", "velocity")
    reply = {
        "ticks_per_quarter": score.ticks_per_quarter,
        "tracks": [(track.name, track.program, track.is_drum, len(track.notes)) for track in tracks],
        "tempos": [(tempo.time, tempo.mspq) for tempo in score.tempos],
        "time_signatures": [(s.time, s.numerator, s.denominator) for s in score.time_signatures],
        "key_signatures": [(s.time, s.key, s.tonality) for s in score.key_signatures],
    }
    return reply, b"".join(columns[name].tobytes() for name in names for columns in notes)


def answer(replies: BinaryIO, reply: dict[str, Any], columns: bytes = b"") -> None:
    text = json.dumps(reply).encode()
    replies.write(REPLY.pack(len(text), len(columns)) + text + columns)
    replies.flush()


def forbid_crash_reports() -> None:
    """No dialogue and no core file when the parser dies."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.kernel32.SetErrorMode(0x0001 | 0x0002)  # fail critical errors, no fault box
    else:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_memory(megabytes: int) -> None:
    """Limit the address space to what the imports took and `megabytes` more; Linux alone enforces such a limit."""
    if sys.platform == "linux":
        import resource

        with open("/proc/self/statm") as file:  # noqa: PTH123  # pathlib is not loaded here
            pages = int(file.read().split()[0])
        limit = pages * resource.getpagesize() + megabytes * 2**20
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    main(int(sys.argv[1]))
