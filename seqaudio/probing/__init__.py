"""Measure how far gradients reach back through time, in any recurrent module.

`probe` measures; a `Report` holds, prints, draws and logs the results; `EpochProbe` measures during training.
"""

from seqaudio.probing.anchors import probe_rows, spread_rows
from seqaudio.probing.drawing import draw_reports, reports_figure
from seqaudio.probing.linear import LinearCell, turning_cell
from seqaudio.probing.measure import EpochProbe, probe
from seqaudio.probing.reach import unit_reach
from seqaudio.probing.report import LayerReport, Report
from seqaudio.probing.verdict import EXPLODED, FADED, GROWS, VANISHED, Verdict, judge

__all__ = [
    "EXPLODED",
    "FADED",
    "GROWS",
    "VANISHED",
    "EpochProbe",
    "LayerReport",
    "LinearCell",
    "Report",
    "Verdict",
    "draw_reports",
    "judge",
    "probe",
    "probe_rows",
    "reports_figure",
    "spread_rows",
    "turning_cell",
    "unit_reach",
]
