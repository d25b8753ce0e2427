"""Where tensors live."""

from __future__ import annotations

import torch

from seqaudio.errors import OptionError


def resolve_device(name: str) -> torch.device:
    """`auto` is CUDA where torch sees a GPU, otherwise the CPU; any other name is torch's own.

    Raises OptionError for a device that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise OptionError(f"--device {name}: not usable here ({first}); try --device auto") from None
    return device
