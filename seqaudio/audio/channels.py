"""Average the channels of a recording block by block; where they cancel each other, choose one of them."""

from __future__ import annotations

import numpy as np

CANCEL = 0.1  # the energy of the mean over that of independent channels; below this, -10 dB, the channels cancel


class MeanOfChannels:
    """The mean of channels, block by block, with sums of energies that show whether the channels cancel.

    The energy of the mean of C independent channels is the sum of their energies over C squared. If one channel of a
    microphone is wired upside down, almost nothing of it is left.
    """

    def __init__(self) -> None:
        self._mean = 0.0
        self._energies = np.zeros(1)  # of each channel

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Samples [N, C] float32 -> their mean [N] float32."""
        if block.shape[1] == 1:
            return block[:, 0]
        with np.errstate(invalid="ignore", over="ignore"):  # infinite samples are reported by the caller
            mean: np.ndarray = block.mean(axis=1, dtype=np.float32)
            self._mean += float(np.einsum("n,n->", mean, mean, dtype=np.float64))
            self._energies = self._energies + np.einsum("nc,nc->c", block, block, dtype=np.float64)
        return mean

    @property
    def channels(self) -> int:
        return len(self._energies)

    @property
    def loudest(self) -> int | None:
        """The number of the channel with the most energy where the channels cancel; None where the mean is fine."""
        independent = float(self._energies.sum()) / self.channels**2
        return int(self._energies.argmax()) if self._mean < CANCEL * independent else None


def cancel_remark(channels: int, taken: int) -> str:
    """The remark about a recording whose channels cancel; `taken` counts from 0."""
    return f"its {channels} channels cancel each other, as with one wired upside down; channel {taken + 1} is taken"
