"""Reports of a probe: numbers, a table, a picture, a line for a log."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from seqaudio.files import with_nulls
from seqaudio.probing.verdict import FADED, VANISHED, Verdict, judge, memory, slope

Values = npt.NDArray[np.float64]


class Board(Protocol):
    """The methods of torch.utils.tensorboard.SummaryWriter that reports use."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...

    def add_image(self, tag: str, img_tensor: Any, global_step: int, *, dataformats: str) -> None: ...


@dataclass(frozen=True)
class LayerReport:
    """The results for one layer. Lags count steps in the layer's own order: a backward layer reads from the end."""

    name: str  # such as "layer 1", from the bottom up
    cell: str  # such as "lstm"
    curve: Values  # [K + 1] g(k): mean over anchors and rows of |dL_t/ds_{t-k}|
    parts: dict[str, Values]  # the same curve for each tensor of the state, such as "hidden" and "memory"
    heat: Values  # [A, K + 1] mean over rows for each anchor; NaN where no row has that lag
    total: Values  # [T] mean over rows of |dL/ds_t|, L the loss of all steps, or of the rows
    growth: float  # factor a step of the product of Jacobians, see `seqaudio.probing.jacobians.growth`
    step_radii: tuple[float, ...]  # spectral radii of ds_t/ds_{t-1} at some steps and rows
    weight_radii: dict[str, float]  # spectral radius of each gate's recurrent weights
    saturation: dict[str, float]  # shares, as `seqaudio.probing.recording` defines them

    @property
    def verdict(self) -> Verdict:
        return judge(self.curve, self.growth)

    @property
    def slope(self) -> float:
        """The factor by which g changes a step, see `seqaudio.probing.verdict.slope`."""
        return slope(self.curve)

    @property
    def faded(self) -> int | None:
        """Effective memory: the last lag at which g is 1/e of its peak or more, lag 0 left out; None where g(K) is."""
        return memory(self.curve, FADED)

    @property
    def vanished(self) -> int | None:
        """The last lag at which g is 1 % of its peak or more, lag 0 left out; None where g(K) is."""
        return memory(self.curve, VANISHED)

    def numbers(self) -> dict[str, Any]:
        """The results without the curves, as JSON; None in place of NaN and infinity."""
        return {
            "verdict": self.verdict.kind,
            "reason": self.verdict.reason,
            "faded": self.faded,
            "vanished": self.vanished,
            "slope": with_nulls(self.slope),
            "growth": with_nulls(self.growth),
            "step_radius": with_nulls(max(self.step_radii, default=math.nan)),
            "weight_radii": with_nulls(self.weight_radii),
            "saturation": with_nulls(self.saturation),
        }


@dataclass(frozen=True)
class Report:
    """The results of `probe`. `print` it, `draw` it, `write` it to TensorBoard."""

    subject: str  # name of the module or function
    loss: str  # description of L_t
    steps: int  # T of the longest row
    rows: int
    anchors: tuple[float, ...]  # step t of each anchor, mean over rows
    layers: tuple[LayerReport, ...] = field(repr=False)

    @property
    def verdict(self) -> str:
        """The verdict of one layer, with its name: of one that explodes, else of the one that reaches furthest."""
        exploding = [layer for layer in self.layers if layer.verdict.kind == "exploding"]
        furthest = max(self.layers, key=lambda layer: math.inf if layer.vanished is None else layer.vanished)
        decides = exploding[0] if exploding else furthest
        return f"{decides.name}: {decides.verdict}" if len(self.layers) > 1 else str(decides.verdict)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield (
            f"{self.subject}: {self.rows} rows of up to {self.steps} steps, {len(self.anchors)} anchors; "
            f"L_t is {self.loss}"
        )
        width = max(len(layer.name) for layer in self.layers)
        yield (
            f"  {'layer':<{width}}  {'g(0)':>8}  {'g(K)':>8}  {'K':>4}  {'>1/e':>5}  {'>1 %':>5}  {'slope':>6}  "
            f"{'growth':>6}  {'radius':>6}  verdict"
        )
        for layer in self.layers:
            lags = f"{len(layer.curve) - 1:>4}  {_or_dash(layer.faded):>5}  {_or_dash(layer.vanished):>5}"
            radius = max(layer.step_radii, default=math.nan)
            yield (
                f"  {layer.name:<{width}}  {layer.curve[0]:>8.2e}  {layer.curve[-1]:>8.2e}  {lags}  "
                f"{layer.slope:>6.3f}  {layer.growth:>6.3f}  {radius:>6.3f}  {layer.verdict}"
            )
        for layer in self.layers:
            radii = ", ".join(f"{gate} {radius:.2f}" for gate, radius in layer.weight_radii.items())
            shares = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in layer.saturation.items())
            yield (
                f"  {layer.name:<{width}}  {layer.cell}; recurrent weights: {radii or 'none'}; "
                f"{shares or 'no activations recorded'}"
            )

    def show(self) -> None:
        """Print the table."""
        print(self)

    def draw(self, path: Path | str, title: str = "") -> None:
        """Draw the curves and heat maps as PNG, PDF or SVG. Raises OSError where the folder may not be written to."""
        from seqaudio.probing.drawing import draw_reports

        draw_reports({title or self.subject: self}, path)

    def write(self, board: Board, step: int) -> None:
        """Numbers and picture to TensorBoard, under `probe/`."""
        from seqaudio.probing.drawing import pixels, reports_figure

        for layer in self.layers:
            for name, value in _scalars(layer):
                board.add_scalar(f"probe/{layer.name.replace(' ', '_')}/{name}", value, step)
        board.add_image("probe/curves", pixels(reports_figure({self.subject: self})), step, dataformats="HWC")

    def numbers(self) -> dict[str, Any]:
        """The results of each layer without the curves, as JSON for a line of a log."""
        return {layer.name: layer.numbers() for layer in self.layers}

    def to_dict(self) -> dict[str, Any]:
        """All results, as JSON; None where a value is not finite."""
        return {
            "subject": self.subject,
            "loss": self.loss,
            "steps": self.steps,
            "rows": self.rows,
            "anchors": list(self.anchors),
            "verdict": self.verdict,
            "layers": [
                {
                    "name": layer.name,
                    "cell": layer.cell,
                    **layer.numbers(),
                    "step_radii": with_nulls(list(layer.step_radii)),
                    "curve": with_nulls(layer.curve.tolist()),
                    "parts": {part: with_nulls(values.tolist()) for part, values in layer.parts.items()},
                    "heat": [with_nulls(row) for row in layer.heat.tolist()],
                    "total": with_nulls(layer.total.tolist()),
                }
                for layer in self.layers
            ],
        }


def _scalars(layer: LayerReport) -> Iterator[tuple[str, float]]:
    """The numbers for TensorBoard; where g does not fall under a share within K lags, K stands for the lag."""
    longest = len(layer.curve) - 1
    yield "vanished", longest if layer.vanished is None else layer.vanished
    yield "faded", longest if layer.faded is None else layer.faded
    yield "slope", layer.slope
    yield "growth", layer.growth
    for kind, share in layer.saturation.items():
        yield kind.replace(" ", "_"), share


def _or_dash(lag: int | None) -> str:
    return "-" if lag is None else str(lag)
