"""The trace that the picture of the strategies is drawn from, and the lanes as text."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT
from seqaudio.batching import Lanes
from seqaudio.batching.lanes import draw_lanes
from seqaudio.bptt import CheckpointedBPTT, FullBPTT, Strategy, TruncatedBPTT

sys.path.append(str(ROOT / "docs" / "pages"))

from strategy_drawing import DRAWN, T, draw_strategies
from strategy_trace import trace

LOSS, GRAPH, STATE = "graph and loss", "graph only", "state only"


@pytest.mark.parametrize(
    ("strategy", "runs"),
    [
        (FullBPTT(), [[(0, 6, LOSS)]]),
        (TruncatedBPTT(2), [[(0, 2, LOSS)], [(2, 4, LOSS)], [(4, 6, LOSS)]]),
        (
            TruncatedBPTT(2, 4),
            [[(0, 2, LOSS)], [(0, 2, GRAPH), (2, 4, LOSS)], [(2, 4, GRAPH), (4, 6, LOSS)]],
        ),
        (CheckpointedBPTT(3), [[(0, 2, STATE), (2, 4, STATE), (4, 6, LOSS)], [(2, 4, LOSS)], [(0, 2, LOSS)]]),
    ],
    ids=str,
)
def test_a_trace_tells_what_is_run_and_what_for(strategy: Strategy, runs: list[list[tuple[int, int, str]]]) -> None:
    traced = trace(strategy, 6)
    assert [[(part.start, part.end, part.use) for part in run.stretches] for run in traced.runs] == runs


@pytest.mark.parametrize("strategy", DRAWN.values(), ids=str)
def test_arrows_go_as_far_as_the_gradient_does(strategy: Strategy) -> None:
    traced = trace(strategy, T)
    for update, reached in enumerate(traced.reached):
        drawn = set()
        for run in traced.runs:
            if run.update == update and run.reach is not None:
                drawn |= set(range(*run.reach))
        assert sorted(drawn) == reached


@pytest.mark.parametrize("strategy", DRAWN.values(), ids=str)
def test_each_step_is_counted_once(strategy: Strategy) -> None:
    counted = [step for run in trace(strategy, T).runs if run.counted is not None for step in range(*run.counted)]
    assert sorted(counted) == list(range(T))


def test_two_drawings_are_equal_to_the_byte(tmp_path: Path) -> None:
    draw_strategies(tmp_path / "one.png")
    draw_strategies(tmp_path / "two.png")
    content = (tmp_path / "one.png").read_bytes()
    assert content == (tmp_path / "two.png").read_bytes()
    assert content.startswith(b"\x89PNG")


class Pieces:
    """As much of a Split as lanes need."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths = np.array(lengths)
        self.ids = ["abc"[row % 3] * 2 for row in range(len(lengths))]

    def __len__(self) -> int:
        return len(self.lengths)


def drawn(lengths: list[int], lanes: int, window: int, **options: int) -> list[str]:
    return list(draw_lanes(Lanes(Pieces(lengths), lanes, window), **options))  # type: ignore[arg-type]


def test_lanes_show_sequences_resets_and_windows() -> None:
    """19 + 1 + 9 + 1 + 6 + 1 = 37 steps in lanes of 19: the second begins inside the first sequence."""
    assert drawn([19, 9, 6], lanes=2, window=8) == [
        "2 lanes of 19 steps in 3 windows of 8",
        "a column is a step; states are reset where a sequence begins, | (# more than one), or a lane inside one, :",
        "        0       8       16",
        "lane 0  |aa----------------",
        "lane 1  :|bb-------|cc----",
    ]


def test_lanes_are_drawn_to_scale_and_crowded_columns_are_marked() -> None:
    lines = drawn([0, 0, 0, 25], lanes=1, window=8, windows=9, width=8)
    assert lines[0] == "1 lane of 29 steps in 4 windows of 8"
    assert lines[1].startswith("a column is 4 steps")
    assert lines[3:] == ["lane 0  #aa-----"]


def test_only_the_first_windows_are_drawn() -> None:
    lines = drawn([200, 300], lanes=1, window=10, windows=2, width=40)
    assert lines[2:] == ["        0         10", "lane 0  |aa-----------------"]


def test_a_lane_without_steps_is_empty() -> None:
    assert drawn([1, 0], lanes=4, window=2)[-1] == "lane 3"
