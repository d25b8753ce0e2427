"""What a feature is, in seconds and hertz: the settings that a store and a run keep as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from seqaudio.errors import OptionError
from seqaudio.registry import did_you_mean

Hertz = float
Seconds = float
Kind = Literal["mfcc", "log_mel"]
Scale = Literal["htk", "slaney"]
Window = Literal["hann", "hann_symmetric"]


@dataclass(frozen=True)
class FeatureSettings:
    """Log-mel energies or mel-frequency cepstra of frames that lie wholly within the recording.

    A frame of W samples, one every H samples: a recording of N >= W samples has T = 1 + (N - W) // H frames. Nothing
    is padded, centred, dithered or scaled by the loudest frame, so a frame depends on its own W samples alone.

    Raises:
        OptionError: a value out of its range, a length that is not a whole number of samples.
    """

    kind: Kind = "mfcc"  # cepstra, or the log-mel energies themselves
    sample_rate: int = 16000  # hertz; recordings are resampled to it
    frame_length: Seconds = 0.025  # a whole number of samples
    frame_shift: Seconds = 0.010  # a whole number of samples
    window: Window = "hann"  # periodic (the usual choice for spectra), or the symmetric variant
    mels: int = 40  # triangular filters, equally spaced on the mel scale
    coefficients: int = 13  # cepstra kept, the 0th included; of no effect for log_mel
    low: Hertz = 20.0  # lower edge of the first filter
    high: Hertz | None = None  # upper edge of the last filter; None: half the sample rate
    scale: Scale = "htk"  # of the filters
    floor: float = 1e-10  # least energy of a filter before the natural logarithm

    def __post_init__(self) -> None:
        for name, choices in (("kind", Kind), ("scale", Scale), ("window", Window)):
            value = getattr(self, name)
            if value not in get_args(choices):
                raise OptionError(f"{name} {value!r}; {did_you_mean(str(value), list(get_args(choices)))}")
        if self.sample_rate < 1:
            raise OptionError(f"sample_rate {self.sample_rate} Hz, expected a positive number")
        if self.hop_samples > self.window_samples:
            raise OptionError(f"frame_shift {self.frame_shift} s skips sound: it is more than {self.frame_length} s")
        if not 0 <= self.low < self.top <= self.sample_rate / 2:
            raise OptionError(
                f"filters from {self.low} to {self.top} Hz, expected 0 <= low < high <= {self.sample_rate / 2} Hz, "
                f"half the sample rate"
            )
        if self.mels < 1:
            raise OptionError(f"{self.mels} mels, expected at least 1; 40 is usual")
        if self.kind == "mfcc" and not 1 <= self.coefficients <= self.mels:
            raise OptionError(f"{self.coefficients} coefficients of {self.mels} mels, expected 1 to {self.mels}")
        if not self.floor > 0:
            raise OptionError(f"floor {self.floor}, expected a positive energy, such as 1e-10")

    @property
    def window_samples(self) -> int:
        """W, samples of a frame."""
        return self._samples("frame_length")

    @property
    def hop_samples(self) -> int:
        """H, samples from one frame to the next."""
        return self._samples("frame_shift")

    @property
    def fft_size(self) -> int:
        """The smallest power of two that holds a frame; the frame is followed by zeros."""
        return 1 << (self.window_samples - 1).bit_length()

    @property
    def top(self) -> Hertz:
        """Upper edge of the last filter."""
        return self.sample_rate / 2 if self.high is None else self.high

    @property
    def size(self) -> int:
        """F, values of a frame."""
        return self.coefficients if self.kind == "mfcc" else self.mels

    def frames(self, samples: int) -> int:
        """T, frames of a recording of that many samples; 0 where it is shorter than one frame."""
        return max(0, 1 + (samples - self.window_samples) // self.hop_samples)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FeatureSettings:
        """Settings from JSON; what is not named keeps its default. Raises OptionError for an unknown name."""
        known = [field.name for field in fields(cls)]
        for name in data:
            if name not in known:
                raise OptionError(f"no feature setting is called {name!r}; {did_you_mean(name, known)}")
        return cls(**data)

    def _samples(self, name: str) -> int:
        seconds: Seconds = getattr(self, name)
        exact = seconds * self.sample_rate
        whole = round(exact)
        # a decimal fraction such as 0.01 is not exact in binary; half a millionth of a sample is
        if whole < 1 or abs(exact - whole) > 1e-6:
            near = max(1, whole)
            raise OptionError(
                f"{name} {seconds} s is {exact:g} samples at {self.sample_rate} Hz, expected a whole number; "
                f"take {near}/{self.sample_rate} s = {near / self.sample_rate:.12g} s, or another sample rate"
            )
        return whole
