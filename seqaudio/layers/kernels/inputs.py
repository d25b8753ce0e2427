"""Products with the inputs: by torch for all steps at once, or inside the compiled loop while they are in the cache."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from seqaudio.layers.kernels.states import InputGradients, InputTape, allocate


class Projection(NamedTuple):
    """The map W x + b of a window's inputs."""

    frames: Tensor  # x [T, B, F]
    weight: Tensor  # W [M, F]
    bias: Tensor  # b [G], G >= M; columns from M on are the bias alone


def projection(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Projection:
    """The projection of inputs, contiguous and without a graph. bias None: zero."""
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    return Projection(*(part.detach().contiguous() for part in (inputs, weight, bias)))


def project(given: Projection, sums: Tensor) -> None:
    """W x + b into sums [T, B, G]."""
    frames, weight, bias = given
    M, sums = len(weight), sums.flatten(0, 1)
    torch.addmm(bias[:M], frames.flatten(0, 1), weight.t(), out=sums[:, :M])
    sums[:, M:] = bias[M:]


def project_back(given: Projection, d_sums: Tensor, needs_frames: bool) -> tuple[Tensor | None, Tensor, Tensor]:
    """The gradients of x, W and b."""
    frames, weight, _ = given
    d_sums = d_sums.flatten(0, 1)
    d_products = d_sums[:, : len(weight)]
    d_frames = (d_products @ weight).view_as(frames) if needs_frames else None
    return d_frames, d_products.t() @ frames.flatten(0, 1), d_sums.sum(0)


def input_tape(given: Projection) -> InputTape:
    """For the loop forward."""
    from seqaudio.layers.kernels.compiled.products import in_strips

    return InputTape(
        given.frames.numpy(), in_strips(given.weight.numpy(), transposed=True), given.bias.numpy()
    )  # fmt: skip


def input_gradients(given: Projection, needs_frames: bool) -> tuple[InputGradients, tuple[Tensor | None, ...]]:
    """For the loop backward; and the tensors of x, W and b that it fills."""
    from seqaudio.layers.kernels.compiled.products import in_strips

    frames, weight, bias = given
    T, B, F = frames.shape
    d_frames = allocate(T if needs_frames else 0, B, F, like=frames)
    d_weight, d_bias = torch.zeros_like(weight), torch.zeros_like(bias)
    arrays = (frames.numpy(), in_strips(weight.numpy()), d_frames.numpy(), d_weight.numpy(), d_bias.numpy())
    return InputGradients(*arrays), (d_frames if needs_frames else None, d_weight, d_bias)
