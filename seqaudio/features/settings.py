"""Settings of features, in seconds and hertz, which stores and runs keep as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal, get_args

from seqaudio.errors import OptionError
from seqaudio.json_files import checked
from seqaudio.registry import did_you_mean
from seqaudio.units import Decibels, Hertz, Seconds

Kind = Literal["mfcc", "log_mel"]
Scale = Literal["htk", "slaney"]
Window = Literal["hann", "hann_symmetric", "hamming", "hamming_symmetric", "blackman", "povey", "rectangular"]
Spectrum = Literal["power", "magnitude"]
Triangles = Literal["hertz", "mel"]
Edges = Literal["none", "zeros", "reflect", "mirror"]
Normalise = Literal["none", "utterance", "sliding"]

# version of the code of each kind of features: raise it with every change of their bytes (tests/test_code_versions.py)
VERSIONS = {"mfcc": 1, "log_mel": 1}

CHOICES = {
    "kind": Kind,
    "scale": Scale,
    "window": Window,
    "spectrum": Spectrum,
    "triangles": Triangles,
    "edges": Edges,
    "normalise": Normalise,
}
# the largest value of each number: more is a typing error, and would end in NaN or exhaust the memory
MAX_VALUES = {
    "sample_rate": 1_000_000,
    "frame_length": 10,
    "frame_shift": 10,
    "mels": 1024,
    "floor": 1e12,
    "full_scale": 1e10,
    "top_db": 1000,
    "lifter": 1e6,
    "delta_width": 1000,
    "normalise_frames": 30_000,
}
MIN_FLOOR = 1e-37  # smaller numbers lose precision in float32, or become 0
MAX_POINTS = 1 << 18  # of a spectrum: 16 s at 16 kHz


@dataclass(frozen=True)
class FeatureSettings:
    """Log-mel energies or mel-frequency cepstra of frames that lie wholly within the recording.

    A frame of W samples begins every H samples: a recording of N >= W samples has T = 1 + (N - W) // H frames. Nothing
    is padded, centred, dithered or scaled by the loudest frame. So a frame depends on its own W samples alone, and with
    deltas on those of its neighbours. The exceptions (`edges`, `top_db`, `normalise="utterance"`) are for parity with
    other toolkits and for studies on whole recordings; `require_streaming` refuses them.

    Renaming a field, or this class, makes `--update` redo existing stores (see `process_fingerprint`).

    Raises:
        OptionError: a value out of its range or not finite, a length below one sample.
    """

    kind: Kind = "mfcc"  # cepstra, or the log-mel energies themselves
    sample_rate: int = 16000  # hertz; recordings are resampled to it
    frame_length: Seconds = 0.025  # rounded down to whole samples, as in Kaldi: 1102 at 44.1 kHz
    frame_shift: Seconds = 0.010  # rounded down too: 110 samples at 11.025 kHz
    window: Window = "hann"  # periodic (the usual choice for spectra) unless the name says symmetric; povey is Kaldi's
    mels: int = 40  # triangular filters, equally spaced on the mel scale
    coefficients: int = 13  # cepstra kept, the 0th included; of no effect for log_mel
    low: Hertz = 20.0  # lower edge of the first filter
    high: Hertz | None = None  # upper edge of the last filter; None: half the sample rate
    scale: Scale = "htk"  # of the filters
    floor: float = 1e-10  # lower limit of the energy of a filter, or of a frame, before the logarithm

    pre_emphasis: float = 0.0  # a in x[n] - a x[n-1] within each frame, where x[-1] = x[0]
    remove_mean: bool = False  # subtract each frame's mean first, as Kaldi does
    full_scale: float = 1.0  # factor of samples; 32768 gives those of 16 bits, as Kaldi reads them
    fft_points: int | None = None  # of the spectrum, at least W; None: the smallest power of two
    spectrum: Spectrum = "power"  # what the filters sum
    equal_area: bool = False  # filters of area 1 (Slaney's), not of peak 1
    triangles: Triangles = "hertz"  # the axis on which filters are straight; Kaldi's are in mel
    blind_filters: bool = False  # allow filters that lie between two bins and are 0 everywhere; refused otherwise
    decibels: bool = False  # 10 log10 instead of the natural logarithm
    top_db: Decibels | None = None  # values are limited to this far below the recording's loudest; None: no limit
    lifter: float = 0.0  # L in 1 + L/2 sin(pi c / L), which multiplies cepstrum c; 0 is off, HTK's and Kaldi's usual 22
    energy: bool = False  # the frame's log energy instead of the 0th cepstrum
    deltas: int = 0  # orders of time derivatives after the values themselves: 0, 1 or 2
    delta_width: int = 2  # frames to each side that a derivative is fitted to
    edges: Edges = "none"  # frames over the recording's ends: none, centred over zeros or reflection, Kaldi's mirror
    normalise: Normalise = "none"  # mean 0 and deviation 1 over the utterance, or sliding, over the last frames
    normalise_frames: int = 300  # of the sliding normalisation

    def __post_init__(self) -> None:
        for name, kind in CHOICES.items():
            value, known = getattr(self, name), list(get_args(kind))
            if value not in known:
                raise OptionError(f"{name} {value!r}; {did_you_mean(str(value), known)}")
        for name, most in MAX_VALUES.items():
            value = getattr(self, name)
            if value is not None and not -math.inf < value <= most:  # false for NaN
                raise OptionError(f"{name} {value}, expected a finite number, at most {most:,g}")
        if self.sample_rate < 1:
            raise OptionError(f"sample_rate {self.sample_rate} Hz, expected a positive number")
        if self.hop_samples > self.window_samples:
            raise OptionError(
                f"frame_shift {self.frame_shift} s would skip samples, expected at most the frame_length "
                f"{self.frame_length} s"
            )
        if not 0 <= self.low < self.top <= self.sample_rate / 2:
            raise OptionError(
                f"filters from {self.low} to {self.top} Hz, expected 0 <= low < high <= {self.sample_rate / 2} Hz, "
                f"half the sample rate"
            )
        if self.mels < 1:
            raise OptionError(f"{self.mels} mels, expected at least 1; 40 is usual")
        if self.kind == "mfcc" and not 1 <= self.coefficients <= self.mels:
            raise OptionError(f"{self.coefficients} coefficients of {self.mels} mels, expected 1 to {self.mels}")
        if not self.floor >= MIN_FLOOR:
            raise OptionError(f"floor {self.floor}, expected a positive energy, {MIN_FLOOR:g} or more; 1e-10 is usual")
        self._check_frame()
        self._check_values()

    def _check_frame(self) -> None:
        if not 0 <= self.pre_emphasis <= 1:
            raise OptionError(f"pre_emphasis {self.pre_emphasis}, expected 0 (off) to 1; 0.97 is usual")
        if not self.full_scale > 0:
            raise OptionError(f"full_scale {self.full_scale}, expected a positive number: 1 or 32768")
        if self.fft_size > MAX_POINTS:
            raise OptionError(
                f"a spectrum of {self.fft_size:,} points for frames of {self.frame_length} s at {self.sample_rate} Hz, "
                f"expected at most {MAX_POINTS:,}; take shorter frames, or fewer fft_points"
            )
        if self.fft_points is not None and self.fft_points < self.window_samples:
            raise OptionError(
                f"fft_points {self.fft_points}, expected at least the {self.window_samples} samples of a frame"
            )

    def _check_values(self) -> None:
        if not self.lifter >= 0:
            raise OptionError(f"lifter {self.lifter}, expected 0 (off) or more; 22 is usual")
        if self.top_db is not None and not self.top_db > 0:
            raise OptionError(f"top_db {self.top_db}, expected a positive number of decibels, such as 80, or none")
        if self.top_db is not None and not self.decibels:
            raise OptionError("top_db without decibels: its limit is in decibels; add decibels=true")
        if self.kind == "log_mel" and (self.energy or self.lifter):
            raise OptionError("energy and lifter are for cepstra, got kind log_mel; take kind mfcc, or leave them out")
        if self.energy and self.top_db is not None:
            raise OptionError("energy and top_db do not go together: top_db limits mel energies; leave one out")
        if self.deltas not in (0, 1, 2):
            raise OptionError(f"{self.deltas} orders of deltas, expected 0, 1 or 2")
        if self.delta_width < 1:
            raise OptionError(f"delta_width {self.delta_width}, expected at least 1 frame to each side; 2 is usual")
        if self.normalise_frames < 2:
            raise OptionError(f"normalise_frames {self.normalise_frames}, expected at least 2; 300 is usual")

    @cached_property
    def window_samples(self) -> int:
        """W, samples in a frame."""
        return self._samples("frame_length")

    @cached_property
    def hop_samples(self) -> int:
        """H, samples from one frame to the next."""
        return self._samples("frame_shift")

    @cached_property
    def fft_size(self) -> int:
        """Points of the FFT; a shorter frame is padded with zeros."""
        return 1 << (self.window_samples - 1).bit_length() if self.fft_points is None else self.fft_points

    @property
    def top(self) -> Hertz:
        """Upper edge of the last filter."""
        return self.sample_rate / 2 if self.high is None else self.high

    @property
    def static_size(self) -> int:
        """Values of a frame without its deltas."""
        return self.coefficients if self.kind == "mfcc" else self.mels

    @property
    def size(self) -> int:
        """F, values of a frame."""
        return self.static_size * (1 + self.deltas)

    @property
    def lookahead(self) -> int:
        """How many later frames the deltas of a frame need."""
        return self.deltas * self.delta_width

    def frames(self, samples: int) -> int:
        """T, the number of frames of a recording of so many samples; 0 where it is too short for one."""
        W, H = self.window_samples, self.hop_samples
        if self.edges == "none":
            return max(0, 1 + (samples - W) // H)
        if self.edges == "mirror":
            return (samples + H // 2) // H if samples >= W else 0
        spare = self.fft_size // 2  # on each side
        enough = samples > spare if self.edges == "reflect" else samples > 0
        return 1 + (samples + 2 * spare - self.fft_size) // H if enough else 0

    @property
    def min_samples(self) -> int:
        """Samples of the shortest recording that has a frame."""
        if self.edges == "zeros":
            return 1 + self.fft_size % 2
        return self.fft_size // 2 + 1 if self.edges == "reflect" else self.window_samples

    def require_streaming(self, use: str) -> None:
        """Raise OptionError where a frame depends on the whole recording; `use` names what needs it not to."""
        whole = {
            f"edges={self.edges}": self.edges != "none",
            f"top_db={self.top_db}": self.top_db is not None,
            f"normalise={self.normalise}": self.normalise == "utterance",
        }
        if any(whole.values()):
            names = " and ".join(name for name, is_set in whole.items() if is_set)
            raise OptionError(f"{use} goes frame by frame, but {names} needs the whole recording; leave it out")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse.

        Settings that old stores do not have are left out at their default, so that equal features have equal JSON.
        """
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if name in FIRST or value != defaults[name]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FeatureSettings:
        """Settings from JSON; missing ones keep their default. Raises OptionError for an unknown name or type."""
        known = [field.name for field in fields(cls)]
        for name in data if isinstance(data, dict) else ():
            if name not in known:
                raise OptionError(f"unknown feature setting {name!r}; {did_you_mean(name, known)}")
        try:
            return checked(cls, data)
        except ValueError as error:
            raise OptionError(f"settings of features: {error}") from None

    def _samples(self, name: str) -> int:
        seconds: Seconds = getattr(self, name)
        exact = seconds * self.sample_rate
        # a decimal fraction such as 0.01 is not exact in binary, so a millionth of a sample is added
        whole = int(exact + 1e-6)
        if whole < 1:
            raise OptionError(
                f"{name} {seconds} s is {exact:g} samples at {self.sample_rate} Hz, expected at least one; "
                f"take {1 / self.sample_rate:.12g} s or more, or another sample rate"
            )
        return whole


# settings of the first version, which are always written
FIRST = (
    "kind",
    "sample_rate",
    "frame_length",
    "frame_shift",
    "window",
    "mels",
    "coefficients",
    "low",
    "high",
    "scale",
    "floor",
)
