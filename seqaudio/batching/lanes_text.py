"""Draw lanes as text: where each sequence lies, where states are reset, where windows end."""

from __future__ import annotations

from collections.abc import Iterator

from seqaudio.batching.lanes import Lanes

LEGEND = "a column is {scale}; states are reset where a sequence begins, | (# more than one), or a lane inside one, :"


def draw_lanes(lanes: Lanes, epoch: int = 0, windows: int = 4, width: int = 96) -> Iterator[str]:
    """Lines that draw the first windows of every lane of an epoch.

        8 lanes of 11,287 steps in 89 windows of 128
        a column is 6 steps: ...
                0                     128                    256
        lane 0  |tune7--------|tune12---------------------|tune3-
        lane 1  :tune40---|tune2--------------------------------

    windows: at most so many are drawn. width: columns of the drawing, without the names of the lanes.
    """
    drawn = min(windows, len(lanes))
    shown = min(drawn * lanes.window, lanes.lane_length)
    each = -(-shown // width)  # steps a column
    name = "lane" if lanes.lanes == 1 else "lanes"
    yield f"{lanes.lanes:,} {name} of {lanes.lane_length:,} steps in {len(lanes):,} windows of {lanes.window:,}"
    yield LEGEND.format(scale="a step" if each == 1 else f"{each:,} steps")
    names = [f"lane {lane}" for lane in range(lanes.lanes)]
    margin = max(map(len, names)) + 2
    yield " " * margin + _ruler(range(0, shown, lanes.window), each, -(-shown // each))
    for lane, name in enumerate(names):
        yield (name.ljust(margin) + _lane(lanes, epoch, lane, shown, each)).rstrip()


def _ruler(borders: range, each: int, width: int) -> str:
    """The number of each window's first step above it, where it fits."""
    line = [" "] * width
    free = 0
    for border in borders:
        column, text = border // each, f"{border:,}"
        if column >= free and column + len(text) <= width:
            line[column : column + len(text)] = text
            free = column + len(text) + 1
    return "".join(line).rstrip()


def _lane(lanes: Lanes, epoch: int, lane: int, shown: int, each: int) -> str:
    line = [" "] * -(-shown // each)
    for piece in lanes.pieces(epoch, lane, 0, shown):
        first, last = piece.start // each, (piece.start + piece.steps - 1) // each
        text = lanes.split.ids[piece.row].ljust(last - first + 1, "-")
        mark = ":" if piece.offset else "#" if line[first] in "|#" else "|"
        # where one sequence ends and another begins in a column, the column belongs to the second
        line[first : last + 1] = mark + text[: last - first]
    return "".join(line)
