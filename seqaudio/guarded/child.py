"""Answer requests in the child process of a `Guard`: requests from stdin, replies to stdout, under limits.

    request   length uint64, bytes
    reply     length uint32 of the JSON, length uint64 of the bytes after it, JSON, bytes

The child's own output is discarded, it writes no core file, and its memory is limited.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

REQUEST = struct.Struct("<Q")
REPLY = struct.Struct("<IQ")


def serve(work: Callable[[bytes], tuple[dict[str, Any], bytes]], megabytes: int) -> None:
    """Answer each request with the JSON and bytes that `work` returns for it, until stdin ends."""
    requests = sys.stdin.buffer
    replies = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    # output of native code must not mix with the replies
    os.dup2(null, 1)
    os.dup2(null, 2)
    forbid_crash_reports()
    limit_memory(megabytes)
    _answer(replies, {"ready": True}, b"")
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        (length,) = REQUEST.unpack(head)
        # MemoryError ends the process, since half a request cannot be answered
        _answer(replies, *work(requests.read(length)))


def _answer(replies: BinaryIO, reply: dict[str, Any], content: bytes) -> None:
    text = json.dumps(reply).encode()
    replies.write(REPLY.pack(len(text), len(content)) + text)
    replies.write(content)
    replies.flush()


def forbid_crash_reports() -> None:
    """Prevent error dialogues and core files when the process dies."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.kernel32.SetErrorMode(0x0001 | 0x0002)  # fail critical errors, no fault box
    else:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_memory(megabytes: int) -> None:
    """Limit the address space to its present size plus `megabytes`; only Linux enforces such a limit."""
    if sys.platform == "linux":
        import resource

        with open("/proc/self/statm") as file:  # noqa: PTH123  # without importing pathlib
            pages = int(file.read().split()[0])
        limit = pages * resource.getpagesize() + megabytes * 2**20
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
