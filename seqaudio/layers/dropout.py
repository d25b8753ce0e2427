"""Dropout with the masks of torch, drawn several times as fast.

torch draws a mask number by number from its Mersenne twister (Matsumoto & Nishimura 1998), 6 ns each; a mask of 4,096
rows of 256 takes as long as a third of their product with a matrix. Compiled code draws the same numbers from the same
generator, sixteen at a time. Where torch draws in another way, as with MKL on processors of Intel, torch does it.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from torch import Tensor, nn

from seqaudio.layers.kernels import compiled_serves

FEW = 4096  # numbers; below that the call costs more than it saves
TWISTER = 624  # numbers of 32 bits of the generator's state
# of the bytes of a generator's state in torch: numbers left until the next twist, place of the next one, the numbers
LEFT, NEXT, NUMBERS = 8, 16, 24
BITS = 53  # of the uniform number that decides


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`, with faster masks."""

    def forward(self, input: Tensor) -> Tensor:
        """Inputs of any shape, some of them zeroed in training and the others scaled up."""
        drawn = self.training and 0.0 < self.p < 1.0 and input.numel() >= FEW and input.is_contiguous()
        if not drawn or not compiled_serves(input) or not draws_as_torch():
            return super().forward(input)
        return input * mask(input, self.p)


def mask(like: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
    """A mask in the shape of a contiguous tensor on the CPU: 0 with probability p, otherwise 1 / (1 - p).

    generator: by default that of torch, which moves on as by `torch.dropout`.
    """
    from seqaudio.layers.dropout_kernel import draw

    source = torch.default_generator if generator is None else generator
    state = source.get_state()
    data = state.numpy()
    numbers = data[NUMBERS : NUMBERS + 8 * TWISTER].view(np.uint64)
    twister = numbers.astype(np.uint32)
    left, following = data[LEFT : LEFT + 4].view(np.int32), data[NEXT : NEXT + 8].view(np.uint64)
    result = torch.empty_like(like)
    kept = result.new_tensor(1.0) / (1 - p)
    place = draw(
        twister,
        TWISTER if left[0] == 1 else int(following[0]),
        math.ceil((1 - p) * 2**BITS),
        kept.numpy(),
        result.view(-1).numpy(),
    )
    numbers[:], left[0], following[0] = twister, TWISTER + 1 - place, place
    source.set_state(state)
    return result


@functools.cache
def draws_as_torch() -> bool:
    """Whether `mask` gives what torch draws here, and leaves the generator as torch does."""
    ours, torchs = torch.Generator(), torch.Generator()
    for p, count in ((0.2, 3), (0.5, 2 * TWISTER), (0.37, 1001)):
        like = torch.empty(count)
        for generator in (ours, torchs):
            if not generator.get_state().numel() >= NUMBERS + 8 * TWISTER:
                return False
            generator.manual_seed(count)
        like.uniform_(generator=torchs)  # one number of 32 bits each, so that masks begin at odd places too
        ours.set_state(torchs.get_state())
        drawn = torch.empty_like(like).bernoulli_(1 - p, generator=torchs).div_(1 - p)
        if not torch.equal(mask(like, p, ours), drawn) or not torch.equal(ours.get_state(), torchs.get_state()):
            return False
    return True
