"""Whether a figure can be read: no text over another or beyond the edge, none too small."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.text import Text

SMALLEST = 7  # points
TOLERANCE = 1.0  # pixels that boxes of two texts may share: they are wider than the glyphs


def assert_legible(figure: Figure) -> None:
    """Check every text of a figure as it is drawn."""
    figure.canvas.draw()
    edge = figure.bbox
    boxes = []
    for text in texts(figure):
        box = text.get_window_extent()
        inside = box.x0 >= edge.x0 and box.x1 <= edge.x1 and box.y0 >= edge.y0 and box.y1 <= edge.y1
        assert inside, f"{text.get_text()!r} reaches over the edge"
        assert text.get_fontsize() >= SMALLEST, text.get_text()
        boxes.append((text.get_text(), box))
    for place, (first, box) in enumerate(boxes):
        for second, other in boxes[place + 1 :]:
            width = min(box.x1, other.x1) - max(box.x0, other.x0)
            height = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(width, height) <= TOLERANCE, f"{first!r} overlaps {second!r}"


def texts(figure: Figure) -> list[Text]:
    """The texts that are seen."""
    found = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    return [text for text in found if text.get_visible() and text.get_text().strip() and _shown(text)]


def words(figure: Figure) -> list[str]:
    """What the texts say."""
    return [text.get_text() for text in texts(figure)]


def _shown(text: Text) -> bool:
    """Labels of ticks beyond the limits of their axes, and of axes whose labels are off, are not drawn."""
    axes = text.axes
    if axes is None:
        return True
    for axis in (axes.xaxis, axes.yaxis):
        for minor in (False, True):
            for tick in axis.get_minor_ticks() if minor else axis.get_major_ticks():
                if text in (tick.label1, tick.label2):
                    low, high = sorted(axis.get_view_interval())
                    return (
                        low <= tick.get_loc() <= high
                        and (tick.label1 if text is tick.label1 else tick.label2).get_visible()
                    )
    return True
