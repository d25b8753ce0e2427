"""Logs of each epoch: a line in metrics.jsonl, a line on the terminal, and, where it is installed, TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from seqaudio.bptt.position import Position
from seqaudio.bptt.settings import TensorBoard
from seqaudio.errors import how_to_install
from seqaudio.files import json_text, naming
from seqaudio.probing import Report
from seqaudio.progress import say
from seqaudio.run_folder import RunFolder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Log(Protocol):
    """`log(line, report)` writes an epoch's line to all places, and the probe's report if it ran."""

    def __call__(self, line: dict[str, Any], report: Report | None) -> None: ...


@contextmanager
def logs(run: RunFolder, at: Position, tensorboard: TensorBoard = "auto") -> Iterator[Log]:
    """Yield a `Log`. First drop the lines after position `at`, which a session wrote that was interrupted later."""
    with run.metrics_file.open("ab") as file:
        file.truncate(min(at.metrics_bytes, file.tell()))  # else it would be filled up with zeros
        board = _board(run, at, tensorboard)

        def log(line: dict[str, Any], report: Report | None) -> None:
            if report:
                line = line | {"probe": report.numbers()}
            with naming(run.metrics_file):
                file.write((json_text(line) + "\n").encode())
                file.flush()
                os.fsync(file.fileno())
            at.metrics_bytes = file.tell()
            if board:
                for name, value in _scalars(line):
                    board.add_scalar(name, value, at.step)
                if report:
                    report.write(board, at.step)
                board.flush()
            if report:
                report.draw(run.figure("probe"), title=f"epoch {line['epoch']}")
            say(_describe(line, at.epochs + bool(at.batches_in_epoch)))
            if report:
                say(f"gradients: {report.verdict}")

        try:
            yield log
        finally:
            if board:
                board.close()


def _board(run: RunFolder, at: Position, wanted: TensorBoard) -> SummaryWriter | None:
    """The writer of the run's TensorBoard files; None where they are not wanted, or TensorBoard is not installed."""
    if wanted == "no":
        return None
    if find_spec("tensorboard") is None:
        if wanted == "yes":
            say(f"--tensorboard yes: TensorBoard is not installed, so only metrics.jsonl has the curves; "
                f"to have both: {how_to_install('tensorboard')}")  # fmt: skip
        return None
    from torch.utils.tensorboard import SummaryWriter  # 1.2 s

    return SummaryWriter(str(run.path / "tensorboard"), purge_step=at.step + 1 if at.step else None)


def epoch_line(at: Position, metrics: dict[str, float], best: bool, learning_rate: float) -> dict[str, Any]:
    """The line of an epoch in metrics.jsonl, as a dict. best: no epoch before it was better on validation."""
    return {
        "epoch": at.epoch + 1,
        "step": at.step,
        "train_loss": at.total / max(at.count, 1),
        "valid": metrics,
        "best": best,
        "learning_rate": learning_rate,
        "clipped": at.clipped / max(at.updates, 1),
        "skipped": at.skipped,
        "seconds": round(at.seconds, 3),
    }


def _scalars(line: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name in ("train_loss", "learning_rate", "clipped"):
        yield f"train/{name.removeprefix('train_')}", line[name]
    for name, value in line["valid"].items():
        yield f"valid/{name}", value


def _describe(line: dict[str, Any], epochs: int) -> str:
    valid = ", ".join(f"{name} {value:.4f}" for name, value in line["valid"].items() if name != "count")
    mark = ", best so far" if line["best"] else ""
    return f"epoch {line['epoch']}/{epochs}: train loss {line['train_loss']:.4f}, valid {valid}{mark}"
