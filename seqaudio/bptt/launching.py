"""Start the processes of a training: each runs the command of the first; torch.distributed joins them.

Torch's elastic launcher (torchrun) replaces the process that the user started, and gives each process a session of its
own, which Ctrl-C does not reach. Here the process that the user started is the first of the training.
"""

from __future__ import annotations

import atexit
import gc
import os
import subprocess
import sys
import time
from collections.abc import Sequence

import torch
import torch.distributed.nn.functional  # before a group exists: its default arguments would hold it, see `_leave`
from torch import distributed
from torch._C._distributed_c10d import TCPStore  # where torch's type information has it

from seqaudio.errors import OptionError, RunError

HERE = "127.0.0.1"
PORT = "SEQAUDIO_RENDEZVOUS_PORT"  # environment of processes that `join` has started: where the first one listens
LEAVING = 30.0  # seconds for which the first process waits for the others when it ends


def already_started() -> int | None:
    """The number of processes on this machine that torchrun, or `join` in the first, has started; None for neither."""
    started = "TORCHELASTIC_RUN_ID" in os.environ or PORT in os.environ
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if started else None


def join(kind: str, count: int) -> torch.device:
    """Join the processes of a training, `count` on this machine, and start them where nobody has. Returns the device.

    kind: `cpu` or `cuda`; each process gets a device of its own.
    Raises OptionError in an interactive session, RunError where a process ends before it has joined.
    """
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device(kind, local_rank) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(device)
    if distributed.is_initialized():  # by an earlier training of this process
        return device
    backend = "nccl" if kind == "cuda" else "gloo"
    if already_started() is None:
        store, rank = _start(count), 0
    elif PORT in os.environ:
        store, rank = TCPStore(HERE, int(os.environ[PORT]), is_master=False), local_rank
        store.set(f"arrived.{rank}", "")
    else:
        distributed.init_process_group(backend)  # torchrun has said how, in the environment
        atexit.register(_leave)
        return device
    distributed.init_process_group(backend, store=store, rank=rank, world_size=count)
    atexit.register(_leave)
    return device


def _leave() -> None:
    """End the group and its threads, one of which may still have to free a tensor.

    A thread that does so after the end of the interpreter aborts the process. The threads end with the last reference
    to the group, and cycles may hold some.
    """
    gc.collect()
    distributed.destroy_process_group()


def _start(count: int) -> TCPStore:
    """Start processes 1 .. count - 1 and wait for each; returns where they and the first one meet."""
    command = own_command()
    store = TCPStore(HERE, 0, is_master=True, wait_for_workers=False)  # port 0: a free one
    world = {PORT: str(store.port), "LOCAL_WORLD_SIZE": str(count), "WORLD_SIZE": str(count)}
    others = [
        subprocess.Popen(command, env=os.environ | world | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(1, count)
    ]
    atexit.register(_end, others)
    for rank, other in enumerate(others, start=1):
        while not store.check([f"arrived.{rank}"]):
            if other.poll() is not None:
                raise RunError(
                    f"process {rank + 1} of {count} ended with exit status {other.returncode} before the training "
                    f"began; its own message is above"
                )
            time.sleep(0.02)
    return store


def own_command() -> list[str]:
    """The command of this process with the options of its interpreter, such as -P.

    Raises OptionError in an interactive session, which has no command to repeat.
    """
    if hasattr(sys, "ps1") or "ipykernel" in sys.modules:
        raise OptionError("several processes repeat a command, and an interactive session has none; run a script")
    return [sys.executable, *sys.orig_argv[1:]]


def _end(others: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait for the other processes; those that do not end by themselves are killed."""
    last = time.monotonic() + LEAVING
    for other in others:
        try:
            other.wait(max(0.0, last - time.monotonic()))
        except subprocess.TimeoutExpired:
            other.kill()
            other.wait()
