"""One frame of a prefix beam search, compiled by numba. Importing this module imports numba."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.jit import compiled

Floats = npt.NDArray[np.float64]
Int32s = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

BLANK = 0


class Tree(NamedTuple):
    """All prefixes that descend to one in the beam, as nodes; node 0 is the empty prefix. -1 stands for none."""

    parent: Int32s  # [N]
    unit: Int32s  # [N] the last unit
    child: Int32s  # [N] the latest child
    sibling: Int32s  # [N] the next older child of the same parent
    place: Int32s  # [N] in the beam


class Beam(NamedTuple):
    """The prefixes in the beam, B at most: ln p of all alignments of the frames so far."""

    node: Int32s  # [B] in the tree
    blank: Floats  # [B] of the alignments that end in a blank
    last: Floats  # [B] of those that end in the prefix's last unit


class Room(NamedTuple):
    """Memory for the candidates of one frame: B prefixes that stay, then B V longer ones."""

    stay_blank: Floats  # [B]
    stay_last: Floats  # [B]
    child: Int32s  # [B, V] the place of the prefix that is longer by that unit
    score: Floats  # [B + B V]
    log_probability: Floats  # [B + B V]
    source: Int32s  # [B + B V] place of the prefix before this frame
    unit: Int32s  # [B + B V] the unit that makes it longer; BLANK for one that stays


def empty_beam(most: int) -> Beam:
    """Memory for as many prefixes."""
    return Beam(np.zeros(most, dtype=np.int32), np.empty(most), np.empty(most))


def room(most: int, units: int) -> Room:
    """Memory for the candidates of as many prefixes and units."""
    candidates = most * (units + 1)
    return Room(
        stay_blank=np.empty(most),
        stay_last=np.empty(most),
        child=np.empty((most, units), dtype=np.int32),
        score=np.empty(candidates),
        log_probability=np.empty(candidates),
        source=np.empty(candidates, dtype=np.int32),
        unit=np.empty(candidates, dtype=np.int32),
    )


@compiled
def log_sum(a: float, b: float) -> float:
    """ln(exp(a) + exp(b)); either may be -inf."""
    if a < b:
        a, b = b, a
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))


@compiled
def advance(
    frame: Floats,
    beam: Beam,
    count: int,
    fused: Floats,
    gains: Floats,
    may_end: Bools,
    limits: tuple[int, float, float],
    tree: Tree,
    used: int,
    room: Room,
    following: Beam,
    sources: Int32s,
    units: Int32s,
) -> tuple[int, int]:
    """Extend all prefixes by one frame and keep the best.

    Args:
        frame: [V] ln p of the units.
        beam, count: the prefixes in the beam, and how many there are.
        fused: [count] what language model and bonus add to each. gains: [count, V] what each further unit adds to that,
            -inf where it must not follow.
        may_end: [count, V] whether a text may end after each prefix, in the column of the blank, and after it and each
            further unit; the best prefix that may end always stays in the beam. [0, V]: every prefix may.
        limits: the most prefixes, the greatest distance from the best one, and the least ln p of a unit to follow.
        tree, used: with room for as many more nodes as there may be prefixes; how many it has.
        following: filled with the new beam. sources, units: filled with where each came from, in `beam`, and by which
            unit it became longer, BLANK for none.
    Returns:
        The number of prefixes in the new beam, and of nodes.
    """
    most, distance, least = limits
    best = best_end = -math.inf
    ending = -1
    for i in range(count):
        unit = tree.unit[beam.node[i]]
        room.stay_blank[i] = log_sum(beam.blank[i], beam.last[i]) + frame[BLANK]
        room.stay_last[i] = beam.last[i] + frame[unit] if unit >= 0 else -math.inf
        room.child[i] = -1
    for i in range(count):
        parent = tree.parent[beam.node[i]]
        if parent >= 0 and tree.place[parent] >= 0:
            room.child[tree.place[parent], tree.unit[beam.node[i]]] = i
    found = count
    for i in range(count):
        total, unit = log_sum(beam.blank[i], beam.last[i]), tree.unit[beam.node[i]]
        for c in range(1, len(frame)):
            if frame[c] < least:
                continue
            # without a blank between them, equal units are one
            value = (beam.blank[i] if c == unit else total) + frame[c]
            if value == -math.inf:
                continue
            longer = room.child[i, c]
            if longer >= 0:
                room.stay_last[longer] = log_sum(room.stay_last[longer], value)
            elif gains[i, c] > -math.inf:
                room.score[found] = value + fused[i] + gains[i, c]
                room.log_probability[found] = value
                room.source[found], room.unit[found] = i, c
                best = max(best, room.score[found])
                if len(may_end) and may_end[i, c] and room.score[found] > best_end:
                    best_end, ending = room.score[found], found
                found += 1
    for i in range(count):
        room.score[i] = log_sum(room.stay_blank[i], room.stay_last[i]) + fused[i]
        room.source[i], room.unit[i] = i, BLANK
        best = max(best, room.score[i])
        if len(may_end) and may_end[i, BLANK] and room.score[i] > best_end:
            best_end, ending = room.score[i], i
    if ending >= 0:
        room.score[ending] = math.inf  # from here on scores do nothing but choose
    chosen = choose(room, found, best - distance, most)
    for i in range(count):
        tree.place[beam.node[i]] = -1
    for k in range(chosen):
        # `choose` has moved the chosen ones to the front
        source, unit = room.source[k], room.unit[k]
        sources[k], units[k] = source, unit
        node = beam.node[source]
        if unit == BLANK:
            following.blank[k], following.last[k] = room.stay_blank[source], room.stay_last[source]
        else:
            following.blank[k], following.last[k] = -math.inf, room.log_probability[k]
            child = tree.child[node]
            while child >= 0 and tree.unit[child] != unit:
                child = tree.sibling[child]
            if child < 0:
                child = used
                tree.parent[child], tree.unit[child], tree.child[child] = node, unit, -1
                tree.sibling[child], tree.child[node] = tree.child[node], child
                used += 1
            node = child
        following.node[k] = node
        tree.place[node] = k
    return chosen, used


@compiled
def choose(room: Room, found: int, limit: float, most: int) -> int:
    """Move the best candidates, at most `most` of a score of at least `limit`, to the front in their order.

    Of equal ones the first. Returns their number.
    """
    good = 0
    for k in range(found):
        if room.score[k] >= limit and room.score[k] > -math.inf:
            move(room, k, good)
            good += 1
    if good <= most:
        return good
    border = np.partition(room.score[:good], good - most)[good - most]
    above = 0
    for k in range(good):
        above += room.score[k] > border
    equal, kept = most - above, 0
    for k in range(good):
        at_border = room.score[k] == border
        if room.score[k] > border or (at_border and equal > 0):
            equal -= at_border
            move(room, k, kept)
            kept += 1
    return kept


@compiled
def move(room: Room, place: int, to: int) -> None:
    room.score[to], room.log_probability[to] = room.score[place], room.log_probability[place]
    room.source[to], room.unit[to] = room.source[place], room.unit[place]


@compiled
def compact(tree: Tree, used: int, beam: Beam, count: int, number: Int32s) -> int:
    """Remove the nodes from which no prefix of the beam descends, in place. Returns how many are left.

    number: [used] memory, for the new number of each node.
    """
    number[:used] = -1
    number[0] = 0
    for i in range(count):
        node = beam.node[i]
        while number[node] < 0:
            number[node] = 0
            node = tree.parent[node]
    left = 0
    for node in range(used):  # parents come before their children
        if number[node] < 0:
            continue
        number[node] = left
        parent = tree.parent[node]
        tree.unit[left], tree.place[left], tree.child[left] = tree.unit[node], tree.place[node], -1
        tree.parent[left] = -1 if parent < 0 else number[parent]
        if parent >= 0:
            tree.sibling[left] = tree.child[number[parent]]
            tree.child[number[parent]] = left
        left += 1
    for i in range(count):
        beam.node[i] = number[beam.node[i]]
    return left
