"""Data-parallel training: each process has some rows of every batch, and gradients are summed over processes.

    seqaudio train NAME --devices 2 ...                                       starts the second process
    torchrun --nproc-per-node 2 recipes/NAME/train.py --devices 2 ...         torchrun has started both

Every process reads the same batches and takes rows r, r + n, r + 2n of them, so all have the same number of windows, of
the same length. A process without rows adds zero. The loss is a sum with a count; gradients and counts are summed over
processes, then divided once by the count, which equals one process whatever the lengths of the rows.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed

from seqaudio import progress
from seqaudio.batching import Batch, Source
from seqaudio.bptt.launching import already_started, join
from seqaudio.bptt.position import Sums
from seqaudio.errors import OptionError, RunError

FAILED = 2  # exit status of the other processes where the first one failed, whose error is the message


class Processes:
    """The processes of a training. This class itself is the usual case: one process.

    rank: 0 for the first, which alone writes files. count: the number of processes. device: of this process.
    """

    rank = 0
    count = 1

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)

    @property
    def first(self) -> bool:
        return self.rank == 0

    def rows_of(self, source: Source) -> Source:
        """A source of the same batches with this process's rows alone."""
        return source

    def agree(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag, true where it is true in any process."""
        return flags

    def share(self, value: Any) -> Any:
        """The value of the first process, sent as JSON."""
        return value

    def add(self, parameters: Sequence[Tensor], sums: Sums) -> None:
        """Replace the gradients of the parameters, and the sums, by those over all processes."""

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of all processes: the first's under their names, those of process r with a prefix `rank.r.`."""
        return dict(tensors)

    def own(self, gathered: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `gather`: the tensors of this process."""
        return dict(gathered)

    def on_first(self, action: Callable[[], object]) -> None:
        """Run an action in the first process while the others wait; where it raises, they exit silently."""
        action()


class SeveralProcesses(Processes):
    """Processes that `launch` has started, joined by torch.distributed."""

    def __init__(self, device: torch.device, rank: int, count: int) -> None:
        super().__init__(device)
        self.rank = rank
        self.count = count

    def rows_of(self, source: Source) -> Source:
        return RowsOf(source, self.rank, self.count)

    def agree(self, *flags: bool) -> tuple[bool, ...]:
        any_process = torch.tensor(flags, dtype=torch.int32, device=self.device)
        with together():
            distributed.all_reduce(any_process, distributed.ReduceOp.MAX)
        return tuple(bool(flag) for flag in any_process.tolist())

    def share(self, value: Any) -> Any:
        text = torch.tensor(list(json.dumps(value).encode()) if self.first else [], dtype=torch.uint8)
        size = torch.tensor([len(text)], device=self.device)
        with together():
            distributed.broadcast(size, 0)
        content = text.to(self.device) if self.first else torch.empty(int(size), dtype=torch.uint8, device=self.device)
        with together():
            distributed.broadcast(content, 0)
        return json.loads(bytes(content.tolist()))

    def add(self, parameters: Sequence[Tensor], sums: Sums) -> None:
        """All-reduce everything as one flat tensor.

        Counts have the dtype of the gradients: up to 2^24 an update they are exact in float32. A parameter that has no
        gradient in any process stays without one.
        """
        like = parameters[0]
        numbers = [sums.total, float(sums.count), sums.rate, *(float(value.grad is not None) for value in parameters)]
        gradients = [torch.zeros_like(value) if value.grad is None else value.grad for value in parameters]
        flat = torch.cat([like.new_tensor(numbers), *(gradient.reshape(-1) for gradient in gradients)])
        with together():
            distributed.all_reduce(flat)
        heads, *parts = torch.split(flat, [len(numbers), *(gradient.numel() for gradient in gradients)])
        sums.total, count, rate, *present = heads.tolist()
        sums.count, sums.rate = round(count), rate / self.count
        for parameter, part, has_gradient in zip(parameters, parts, present, strict=True):
            parameter.grad = part.view_as(parameter) if has_gradient else None

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        gathered: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            here = tensor.detach().to(self.device).contiguous()
            parts = [torch.empty_like(here) for _ in range(self.count)]
            with together():
                distributed.all_gather(parts, here)
            gathered[name] = parts[0]
            gathered |= {f"rank.{rank}.{name}": part for rank, part in enumerate(parts) if rank}
        return gathered

    def own(self, gathered: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.first:
            return {name: value for name, value in gathered.items() if not name.startswith("rank.")}
        prefix = f"rank.{self.rank}."
        return {name.removeprefix(prefix): value for name, value in gathered.items() if name.startswith(prefix)}

    def on_first(self, action: Callable[[], object]) -> None:
        done = False
        try:
            if self.first:
                action()
                done = True
        finally:
            done = self.share(done)
        if not done:
            sys.exit(FAILED)


@contextmanager
def together() -> Iterator[None]:
    """Raise RunError for the error of a shared operation after another process has ended."""
    try:
        yield
    except RuntimeError as error:  # torch's own message names sockets and its source files
        raise RunError(
            f"another process of this training has ended ({str(error).splitlines()[0][:80]}); "
            f"continue from the last checkpoint with --resume"
        ) from error


class RowsOf:
    """The rows r, r + n, r + 2n of every batch of a source.

    Raises OptionError, at the first batch, where the number of lanes is not a multiple of the number of processes.
    """

    def __init__(self, source: Source, rank: int, count: int) -> None:
        self.source = source
        self.rank = rank
        self.count = count
        self.continues = source.continues

    def __len__(self) -> int:
        return len(self.source)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for batch in self.source.epoch(epoch, start):
            if self.continues and batch.rows % self.count:
                raise OptionError(
                    f"got {batch.rows} lanes for {self.count} processes, expected a multiple of {self.count}; "
                    f"try --batch-size {self.count * -(-batch.rows // self.count)}"
                )
            yield take_rows(batch, slice(self.rank, None, self.count))


def take_rows(batch: Batch, rows: slice) -> Batch:
    """Some rows of a batch, with the padding of the whole batch."""
    first = {"lengths", "target_lengths"}  # [B], as labels are; all other tensors are [T, B, ...]
    taken = {
        field.name: value[rows] if field.name in first or value.dim() == 1 else value[:, rows]
        for field in dataclasses.fields(batch)
        if isinstance(value := getattr(batch, field.name), Tensor)
    }
    return dataclasses.replace(batch, **taken, ids=batch.ids[rows])


def launch(devices: int, device: str, threads: int | None = None) -> Processes:
    """The processes of a training; starts them where `devices` is more than 1 and torchrun has not.

    devices: processes on each machine, a GPU each where there are GPUs. device: as `resolve_device` takes it.
    threads: of torch on the CPU, in each process; None keeps the current number.
    Raises OptionError where there are fewer devices, where torchrun started another number, or for less than 1 thread.
    """
    if threads is not None:
        if threads < 1:
            raise OptionError(f"--threads {threads}, expected at least 1")
        torch.set_num_threads(threads)
    started = already_started()
    if devices < 1 or (started is not None and started != devices):
        expected = "at least 1" if started is None else f"{started}, the number that torchrun started"
        raise OptionError(f"--devices {devices}, expected {expected}")
    chosen = resolve_device(device)
    if devices == 1 and (started is None or int(os.environ.get("WORLD_SIZE", "1")) == 1):
        return Processes(chosen)
    if chosen.type == "cuda" and torch.cuda.device_count() < devices:
        raise OptionError(f"--devices {devices}, but torch sees {torch.cuda.device_count()} GPUs; try --device cpu")
    own = join(chosen.type, devices)
    rank = distributed.get_rank()
    progress.quiet = progress.quiet or rank > 0
    return SeveralProcesses(own, rank, distributed.get_world_size())


def resolve_device(name: str) -> torch.device:
    """The device of a name: `auto` is CUDA where torch sees a GPU, otherwise the CPU; other names are torch's.

    Raises OptionError for a device that is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise OptionError(f"--device {name}: not usable here ({first}); try --device auto") from None
    return device
