"""Draws the arrows of a Mermaid graph as SVG, in floors: the site loads no script that would do it in the browser.

graph TD
  cli --> evaluation        ->        <svg> with a box for each name, above all that its arrows lead to </svg>
"""

from __future__ import annotations

import re

from rooms import Graph, levels

ARROW = re.compile(r"^\s*(\w+) --> (\w+)\s*$", re.MULTILINE)
BOX, GAP, FLOOR = (104, 24), 16, 62  # width and height of a box, space between boxes, and from floor to floor


def drawn(text: str) -> str:
    """The SVG of a graph whose lines are `name --> name`; it has no circles."""
    arrows = ARROW.findall(text)
    graph: Graph = {name: frozenset(b for a, b in arrows if a == name) for arrow in arrows for name in arrow}
    floors = _floors(graph)
    width = max(map(len, floors)) * (BOX[0] + GAP) + GAP
    places = {
        name: ((place + 0.5) * width / len(floor), number * FLOOR + BOX[1])
        for number, floor in enumerate(floors)
        for place, name in enumerate(floor)
    }
    height = len(floors) * FLOOR
    shapes = [_arrow(*places[source], *places[target]) for source, target in arrows]
    shapes += [_box(name, *place) for name, place in places.items()]
    marker = (
        '<marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0L6 3L0 6z" fill="currentColor"/></marker>'
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="what imports what" style="width:100%" '
        f'font-size="12" font-family="monospace" text-anchor="middle"><defs>{marker}</defs>{"".join(shapes)}</svg>'
    )


def _floors(graph: Graph) -> list[list[str]]:
    """Names by floor, from the top; within a floor each stands about below those that lead to it."""
    depth = levels(graph)
    floors: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    place: dict[str, float] = {}

    def wish(name: str) -> float:
        above = [place[other] for other, targets in graph.items() if name in targets and other in place]
        return sum(above) / len(above) if above else 0.5

    for number, floor in enumerate(floors):
        names = [name for name in graph if depth[name] == len(floors) - 1 - number]
        floor += sorted(names, key=lambda name: (wish(name), name))
        place |= {name: (at + 0.5) / len(floor) for at, name in enumerate(floor)}
    return floors


def _arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    start, end = y + BOX[1] / 2, to_y - BOX[1] / 2
    bend = (end - start) / 2
    path = f"M{x:.0f} {start:.0f}C{x:.0f} {start + bend:.0f} {to_x:.0f} {end - bend:.0f} {to_x:.0f} {end:.0f}"
    return f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity="0.5" marker-end="url(#tip)"/>'


def _box(name: str, x: float, y: float) -> str:
    left, top = x - BOX[0] / 2, y - BOX[1] / 2
    return (
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{BOX[0]}" height="{BOX[1]}" rx="4" '
        'fill="var(--md-code-bg-color, white)" stroke="currentColor"/>'
        f'<text x="{x:.0f}" y="{y + 4:.0f}" fill="currentColor">{name}</text>'
    )
