"""From text and numbers to cells and stacks: the grammar of a cell, its errors, and widths for a budget."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from pairs import pairs_of
from seqaudio.cells import (
    CELLS,
    GRUCell,
    LSTMCell,
    Reset,
    Residual,
    VariationalDropout,
    WeightDrop,
    Zoneout,
    build_cell,
)
from seqaudio.errors import OptionError
from seqaudio.layers import FUSED, Unrolled, build_stack
from seqaudio.layers.build import build_layer, width_for
from seqaudio.state import flatten

F, H = 3, 5


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


# ---- cells


@pytest.mark.parametrize("name", list(CELLS))
def test_name_alone_is_the_cell_itself(name):
    cell = build_cell(name, F, H)
    assert type(cell) is CELLS[name]
    assert cell.input_size == F


def test_wrappers_lie_around_the_cell_from_the_left_to_the_right():
    cell = build_cell("gru+weight_drop=0.3+residual", H, H)
    assert type(cell) is Residual
    assert type(cell.cell) is WeightDrop
    assert cell.cell.probability == 0.3
    assert type(cell.cell.cell) is GRUCell


def test_numbers_are_given_in_order_and_the_rest_keeps_its_defaults():
    assert (build_cell("lstm+zoneout", F, H).hidden, build_cell("lstm+zoneout", F, H).memory) == (0.05, 0.5)
    some, both = build_cell("lstm+zoneout=0.1", F, H), build_cell("lstm+zoneout=0.1,0.2", F, H)
    assert (some.hidden, some.memory) == (0.1, 0.5)
    assert (both.hidden, both.memory) == (0.1, 0.2)
    assert build_cell("lstm+variational_dropout=0,1e-1", F, H).hidden == 0.1


def test_columns_that_a_wrapper_reads_are_part_of_the_frame():
    cell = build_cell("lstm+variational_dropout+reset", F, H)
    assert type(cell) is Reset
    assert (cell.input_size, type(cell.cell), cell.cell.input_size) == (F, VariationalDropout, F - 1)


def test_initialisation_reaches_the_innermost_cell():
    cell = build_cell("lstm+zoneout", F, H, "forget_bias=4")
    assert cell.cell.bias_ih[H : 2 * H].tolist() == [4.0] * H


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lstn", "no cell is called 'lstn'; did you mean lstm?"),
        ("lstn+zoneout", "no cell is called 'lstn'; did you mean lstm?"),
        ("lstm+zonout", "no wrapper is called 'zonout'; did you mean zoneout?"),
        ("lstm+", "no wrapper is called ''; known: reset, residual, variational_dropout, weight_drop, zoneout"),
        ("zoneout+lstm", "no wrapper is called 'lstm'; known: "),
        ("lstm=3", "got numbers after the cell in 'lstm=3', expected them after a wrapper"),
        ("lstm+zoneout=", "got '' in 'zoneout=', expected a finite number"),
        ("lstm+zoneout=a", "got 'a' in 'zoneout=a', expected a finite number"),
        ("lstm+zoneout=nan", "got 'nan' in 'zoneout=nan', expected a finite number"),
        ("lstm+zoneout=0.1,", "got '' in 'zoneout=0.1,', expected a finite number"),
        ("lstm+zoneout=1.5", "zoneout got hidden 1.5, expected a probability in 0 <= p <= 1"),
        ("lstm+zoneout=0.1,0.2,0.3", "zoneout got 3 numbers, expected 0 to 2; write zoneout=HIDDEN,MEMORY"),
        ("lstm+residual=1", "residual got 1 numbers, expected 0; write residual"),
        ("lstm+residual", "LSTMCell with 3 inputs and 5 outputs; make both widths equal"),
        ("min_gru+weight_drop", "weight_drop needs recurrent weights (weight_hh), MinGRUCell has none"),
        ("lstm+reset+zoneout", "got Zoneout around Reset"),
    ],
)
def test_specification_that_makes_no_sense_is_told_in_one_line(spec, message):
    with pytest.raises(OptionError) as caught:
        build_cell(spec, F, H)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("initialisation", "message"),
    [
        ("crono=30", "no initialisation is called 'crono'; did you mean chrono?"),
        ("chrono", "chrono got 0 numbers, expected 1; write chrono=LONGEST_LAG"),
        ("chrono=30,40", "chrono got 2 numbers, expected 1"),
        ("forget_bias=inf", "got 'inf' in 'forget_bias=inf', expected a finite number"),
        (
            "identity",
            "identity needs a single, ungated hidden layer, LSTMCell has none; it is for elman and elman_relu",
        ),
    ],
)
def test_initialisation_that_makes_no_sense_is_told_in_one_line(initialisation, message):
    with pytest.raises(OptionError) as caught:
        build_cell("lstm", F, H, initialisation)
    assert message in str(caught.value)


def test_frame_has_room_for_more_than_the_flag():
    with pytest.raises(OptionError, match=r"wrappers of lstm\+reset use up 1 columns of each frame, got frames of 1"):
        build_cell("lstm+reset", 1, H)


# ---- stacks


def test_every_cell_of_a_stack_is_begun_and_wrapped():
    stack = build_stack("lstm+zoneout", F, H, layers=2, bidirectional=True, initialisation="forget_bias=4")
    cells = [side.cell for layer in stack.layers for side in (layer.forward_layer, layer.backward_layer)]
    assert [type(cell) for cell in cells] == [Zoneout] * 4
    assert all(cell.cell.bias_ih[H : 2 * H].tolist() == [4.0] * H for cell in cells)


def test_wrapped_cell_runs_in_the_loop_and_a_bare_one_in_its_fused_layer():
    assert type(build_layer(build_cell("lstm+zoneout", F, H))) is Unrolled
    assert type(build_layer(LSTMCell(F, H))) is FUSED[LSTMCell]
    assert type(build_layer(LSTMCell(F, H), fused=False)) is Unrolled


@pytest.mark.parametrize("fused", [True, False])
def test_first_states_of_all_layers_can_be_learned(fused):
    stack = build_stack("gru", F, H, layers=2, bidirectional=True, fused=fused, learned_state=True)
    outputs, _ = stack(torch.randn(4, 2, F))
    outputs.sum().backward()
    starts = {name: p for name, p in stack.named_parameters() if ".start." in name}
    assert len(starts) == len(flatten(stack.initial_state(1))) == 4
    assert all(parameter.grad.any() for parameter in starts.values())


def test_narrow_outputs_of_a_projected_cell_chain():
    stack = build_stack("projected_lstm", F, 8, layers=2)
    assert stack.output_size == 4
    assert stack(torch.randn(4, 2, F))[0].shape == (4, 2, 4)


@pytest.mark.parametrize("options", [{"layers": 2}, {"bidirectional": True}])
def test_resets_in_the_frames_are_for_one_layer_of_one_direction(options):
    with pytest.raises(OptionError, match=r"lstm\+reset reads resets from the frames, got \d layers"):
        build_stack("lstm+reset", F, H, **options)


def test_residual_in_a_stack_names_both_widths():
    with pytest.raises(OptionError, match="3 inputs and 5 outputs"):
        build_stack("gru+residual", F, H, layers=2)
    assert build_stack("gru+residual", H, H, layers=2).output_size == H


# ---- widths


OPTIONS = {
    "plain": {},
    "three layers": {"layers": 3, "learned_state": True},
    "both directions": {"bidirectional": True, "layers": 2},
}


@cache
def counts_by_width(cell, options):
    with torch.device("meta"):  # without numbers, which nobody asks for
        return {width: count(build_stack(cell, F, width, **OPTIONS[options])) for width in range(1, 31)}


@pairs_of(
    cell=["elman", "lstm", "projected_lstm", "layer_norm_gru", "min_lstm", "gru+weight_drop"],
    options=list(OPTIONS),
    budget={
        "below the least": lambda counts: counts[1] - 3,
        "met": lambda counts: counts[7],
        "above": lambda counts: counts[12] + 5,
        "below": lambda counts: counts[20] - 5,
        "between": lambda counts: (counts[24] + counts[25]) // 2,
    },
)
def test_budget_picks_the_nearest_of_all_widths(cell, options, budget):
    counts = counts_by_width(cell, options)
    parameters = budget(counts)
    with torch.device("meta"):
        got = counts[width_for(lambda width: count(build_stack(cell, F, width, **OPTIONS[options])), parameters)]
    assert abs(got - parameters) == min(abs(number - parameters) for number in counts.values())


@pytest.mark.parametrize(
    ("parameters", "width"), [(1, 1), (2, 1), (5, 2), (6, 2), (7, 3), (49, 7), (90, 9), (91, 10), (1_000_000, 1000)]
)
def test_width_for_takes_the_nearest_square(parameters, width):
    assert width_for(lambda w: w * w, parameters) == width


def test_budget_that_no_width_meets_is_refused():
    with pytest.raises(OptionError, match="budget of 49 parameters, width 1 takes 100 already"):
        width_for(lambda w: 100 * w, 49)
    assert width_for(lambda w: 100 * w, 50) == 1
    with pytest.raises(OptionError, match="budget of 3 parameters, width 1048576 takes 2; lower it"):
        width_for(lambda w: 2, 3)
