"""Whether a figure can be read: no text over another or beyond the edge, none too small."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

SMALLEST = 7  # points
TOLERANCE = 1.0  # pixels that the boxes of two texts may share: they are larger than the glyphs


def assert_legible(figure: Figure) -> None:
    """Check every text of a figure as it is drawn."""
    figure.canvas.draw()
    found = texts(figure)
    assert found, "nothing is written"
    boxes = np.array([text.get_window_extent().extents for text in found])  # [N, 4] left, bottom, right, top
    edge = figure.bbox.extents
    for text, box in zip(found, boxes, strict=True):
        assert (box[:2] >= edge[:2]).all() and (box[2:] <= edge[2:]).all(), f"{text.get_text()!r} is over the edge"
        assert text.get_fontsize() >= SMALLEST, text.get_text()
    shared = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    overlaps = np.argwhere(np.triu(shared.min(axis=2) > TOLERANCE, k=1)).tolist()
    assert not overlaps, [(found[first].get_text(), found[second].get_text()) for first, second in overlaps[:5]]


def texts(figure: Figure) -> list[Text]:
    """The texts that are seen."""
    return [text for text in _all_texts(figure) if text.get_visible() and text.get_text().strip()]


def words(figure: Figure) -> list[str]:
    """What the texts say."""
    return [text.get_text() for text in texts(figure)]


def _all_texts(figure: Figure) -> Iterator[Text]:
    yield from figure.texts
    for legend in (*figure.legends, *(axes.get_legend() for axes in figure.axes)):
        yield from legend.get_texts() if legend is not None else ()
    for axes in figure.axes:
        yield from axes.texts
        for axis in (axes.xaxis, axes.yaxis):
            yield axis.label
            yield from _tick_labels(axis)


def _tick_labels(axis: Axis) -> Iterator[Text]:
    """Ticks beyond the limits of the axis are not drawn."""
    low, high = sorted(axis.get_view_interval())
    for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
        if low <= tick.get_loc() <= high:
            yield tick.label1
            yield tick.label2
