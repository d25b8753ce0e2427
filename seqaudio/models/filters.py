"""Filters over frames, normalised by batch and rectified, in training: compiled, with a gradient for their weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seqaudio.layers.kernels import apply, compiled_serves
from seqaudio.layers.kernels.loop import FirstDerivatives, backward_once
from seqaudio.layers.kernels.states import allocate
from seqaudio.models.filter_sizes import EIGHT, KERNEL, STRIDE


def compiled_filters_serve(frames: Tensor, filters: nn.Conv2d, norm: nn.BatchNorm2d) -> bool:
    """Whether `filtered_maps` runs these filters: in training, on frames that need no gradient, eight at a time."""
    return (
        norm.training
        and not frames.requires_grad
        and frames.dtype == filters.weight.dtype
        and filters.out_channels % EIGHT == 0
        and not torch.is_autocast_enabled(frames.device.type)
        and compiled_serves(filters.weight)
    )


def filtered_maps(frames: Tensor, filters: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """relu(norm(filters(frames))) of frames [N, T + KERNEL - 1, M], as [N, T, positions, filters].

    Running statistics of the norm move on as in torch.
    """
    maps, mean, variance = apply(_FilteredMaps, frames, filters.weight, filters.bias, norm.weight, norm.bias, norm.eps)
    count = maps.numel() // filters.out_channels
    seen, share = norm.num_batches_tracked, norm.momentum
    assert norm.running_mean is not None and norm.running_var is not None and seen is not None and share is not None
    with torch.no_grad():
        seen.add_(1)
        norm.running_mean.lerp_(mean.to(norm.running_mean), share)
        norm.running_var.lerp_((variance * (count / max(count - 1, 1))).to(norm.running_var), share)
    result: Tensor = maps
    return result


class _FilteredMaps(FirstDerivatives):
    """The maps [N, T, P, F], and mean and variance [F] float64 of what was normalised."""

    @staticmethod
    def forward(
        ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor, gain: Tensor, shift: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        from seqaudio.models import filter_kernels as kernels

        (F, _, K, _), (N, T, M) = weight.shape, frames.shape
        frames = frames.detach().contiguous()
        filtered = allocate(N, T - K + 1, -(-M // STRIDE), F, like=frames)
        by_filter = weight.detach()[:, 0].permute(1, 2, 0).contiguous()  # [K, K, F]
        kernels.convolve(frames.numpy(), by_filter.numpy(), bias.detach().numpy(), filtered.numpy())
        mean, variance = torch.empty(2, F, dtype=torch.float64)
        kernels.moments(filtered.flatten(0, 1).numpy(), mean.numpy(), variance.numpy())
        inverse = (variance + eps).rsqrt()
        scale = (gain.detach() * inverse).to(frames)
        offset = (shift.detach() - mean * gain.detach() * inverse).to(frames)
        result = allocate(*filtered.shape, like=filtered)
        kernels.rectify(filtered.flatten(0, 1).numpy(), scale.numpy(), offset.numpy(), result.flatten(0, 1).numpy())
        ctx.save_for_backward(frames, filtered, mean.to(frames), inverse.to(frames), scale, offset)
        ctx.mark_non_differentiable(mean, variance)
        return result, mean, variance

    @staticmethod
    @backward_once
    def backward(ctx: Any, gradient: Tensor, _mean: Tensor, _variance: Tensor) -> tuple[Tensor | None, ...]:
        from seqaudio.models import filter_kernels as kernels

        frames, filtered, mean, inverse, scale, offset = (tensor.numpy() for tensor in ctx.saved_tensors)
        about = (mean, inverse, scale, offset)
        gradients = gradient.contiguous().numpy()
        N, T, P, F = filtered.shape
        sums = torch.empty(2, F, dtype=torch.float64)
        rows = (filtered.reshape(N * T, P, F), gradients.reshape(N * T, P, F))
        kernels.normal_gradients(*rows, *about, sums.numpy())
        d_weight, d_bias = torch.empty(KERNEL, KERNEL, F, dtype=torch.float64), torch.empty(F, dtype=torch.float64)
        means = (sums / (N * T * P)).to(gradient)
        kernels.weight_gradients(frames, filtered, gradients, *about, means.numpy(), d_weight.numpy(), d_bias.numpy())
        return (
            None,
            d_weight.permute(2, 0, 1)[:, None].to(gradient),
            d_bias.to(gradient),
            sums[1].to(gradient),
            sums[0].to(gradient),
            None,
        )
