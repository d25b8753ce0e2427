"""Gradient against lag of nets as they begin, and unit by unit: what vanishes, what explodes, what carries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from seqaudio.cells import Cell, build_cell
from seqaudio.probing import probe, turning_cell, unit_reach

INPUTS, UNITS = 8, 64
ROWS = 4
SCALE = 0.1  # of the inputs: small ones leave tanh nearly linear, so that the weights decide
ANCHORS = 24


@dataclass(frozen=True)
class Net:
    """A net of the study. `label` is a key of the figure's words, `value` the number in it."""

    group: str  # the panel that it is drawn in
    label: str
    value: float | None
    make: Callable[[], Cell[Any]]
    theory: float | None = None  # the exact factor a step, where there is one

    @property
    def key(self) -> str:
        return self.label if self.value is None else f"{self.label} {self.value:g}"


def _linear(radius: float) -> Net:
    return Net("linear", "linear", radius, lambda: turning_cell(INPUTS, UNITS, radius), radius)


def _named(group: str, label: str, value: float | None, cell: str, initialisation: str) -> Net:
    return Net(group, label, value, lambda: build_cell(cell, INPUTS, UNITS, initialisation))


NETS = (
    *(_linear(radius) for radius in (0.5, 0.9, 1.0, 1.1, 2.0)),
    *(_named("simple", "tanh", radius, "elman", f"spectral_radius={radius}") for radius in (0.9, 1.0, 1.2, 1.5)),
    _named("simple", "relu", 1.0, "elman_relu", "orthogonal"),
    _named("simple", "irnn", None, "elman_relu", "identity"),
    *(_named("gated", "lstm", bias, "lstm", f"forget_bias={bias}") for bias in (0.0, 1.0, 3.0, 5.0)),
    _named("gated", "gru", None, "gru", ""),
    _named("gated", "gru_chrono", 100, "gru", "chrono=100"),
    _named("gated", "min_gru", None, "min_gru", ""),
)
MAPPED = ("tanh 0.9", "tanh 1.5", "lstm 3")  # keys of the nets with a heat map of lag by step
BY_UNIT = (  # with a heat map of unit by lag, and the part of the state that is looked at
    (_named("units", "tanh", 1.0, "elman", ""), "hidden"),
    (_named("units", "lstm_chrono", 100, "lstm", "chrono=100"), "memory"),
    (_named("units", "min_gru_chrono", 100, "min_gru", "chrono=100"), "hidden"),
)


def measure(lags: int, seed: int) -> dict[str, Any]:
    """Curves of all NETS, heat maps of some, in float64, with K = lags; the same inputs for each net."""
    draw = torch.Generator().manual_seed(seed)
    inputs = SCALE * torch.randn(2 * lags + 1, ROWS, INPUTS, generator=draw)
    curves, maps = [], []
    for net in NETS:
        report = probe(_begun(net, seed), inputs, anchors=ANCHORS, lags=lags, jacobians=0, double=True)
        (layer,) = report.layers
        curves.append(
            {
                "group": net.group,
                "label": net.label,
                "value": net.value,
                "theory": net.theory,
                "slope": layer.slope,
                "growth": layer.growth,
                "verdict": str(layer.verdict),
                "curve": layer.curve.tolist(),
            }
        )
        if net.key in MAPPED:
            maps.append(
                {"label": net.label, "value": net.value, "steps": list(report.anchors), "heat": layer.heat.tolist()}
            )
    return {"lags": lags, "seed": seed, "curves": curves, "maps": maps, "units": _units(inputs.double(), lags, seed)}


def _units(inputs: torch.Tensor, lags: int, seed: int) -> list[dict[str, Any]]:
    """Of each net the gradients [unit][lag], the unit that remembers furthest first."""
    found = []
    for net, part in BY_UNIT:
        reach = unit_reach(_begun(net, seed).double(), inputs, lags, part, seed)
        order = (-reach.sum(axis=1)).argsort(kind="stable")
        found.append({"label": net.label, "value": net.value, "part": part, "reach": reach[order].tolist()})
    return found


def _begun(net: Net, seed: int) -> Cell[Any]:
    torch.manual_seed(seed)
    return net.make()


def table(flow: dict[str, Any]) -> str:
    """Slopes beside theory, and verdicts, as lines."""
    lines = [f"{'net':<20}{'factor a step':>14}{'theory':>8}  verdict"]
    for curve in flow["curves"]:
        name = curve["label"] if curve["value"] is None else f"{curve['label']} {curve['value']:g}"
        theory = "" if curve["theory"] is None else f"{curve['theory']:.3f}"
        lines.append(f"{name:<20}{curve['slope']:>14.4f}{theory:>8}  {curve['verdict']}")
    return "\n".join(lines)
