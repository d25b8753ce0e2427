"""Check whether a store is fit to train on; the report has findings in words, and a figure.

    report = check_store(Store("stores/fsdd"))
    print(report)

`CHECKS` names the checks of each kind of store. A check takes `Contents`, read once, and returns a `Finding`.
"""

from seqaudio.checking.contents import Contents, Rows
from seqaudio.checking.drawing import draw_report, report_figure
from seqaudio.checking.report import Finding, Level, Report
from seqaudio.checking.stores import CHECKS, Check, check_store

__all__ = [
    "CHECKS",
    "Check",
    "Contents",
    "Finding",
    "Level",
    "Report",
    "Rows",
    "check_store",
    "draw_report",
    "report_figure",
]
