"""Time cepstra of one-second clips in memory against torchaudio and librosa; they take turns in one process.

    python benchmarks/mfcc.py [--json] [--threads N] [--no-folder] [--small]

Ratios are the library's time / ours (medians of 15 rounds): 2 means that we are twice as fast. All compute in float32,
and values are compared before they are timed. The first two use the preset `default` (25/10 ms at 16 kHz, 40 HTK
filters, 13 cepstra), with 64 clips at a time.

    mfcc_vs_torchaudio          torchaudio.transforms.MelSpectrogram of the batch, logarithm, DCT
    mfcc_vs_librosa             a loop of librosa.feature.melspectrogram, logarithm, librosa.feature.mfcc
    mfcc_vs_librosa_defaults    a loop of librosa.feature.mfcc(y=clip, sr=16000), ours with the preset `librosa`
    folder_vs_librosa           WAV files to a store on two cores, see _clip_folder.py; left out with --no-folder
    memory_flat                 peak memory with many files / that with few

`--threads` is for torch and for the libraries under NumPy; `--small` takes fewer files.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

parser = argparse.ArgumentParser(description="Time cepstra against torchaudio and librosa")
parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
parser.add_argument("--threads", type=int, default=1, help="threads of each library (default 1)")
parser.add_argument("--no-folder", dest="folder", action="store_false", help="leave out the folder of files")
parser.add_argument("--small", action="store_true", help="fewer files in the folder, for a trial")

CLIPS, RATE = 64, 16000
MAX_DIFFERENCE = 1e-3  # of values, from rounding
COMPARED = {"torchaudio": "ours", "librosa": "ours", "librosa_defaults": "ours_as_librosa"}


def main(options: argparse.Namespace) -> None:
    """Compare, measure and print."""
    import torch
    from _interleaved import interleave, ratio, report

    torch.set_num_threads(options.threads)
    rivals = extractors()
    with torch.inference_mode():
        for name, ours in COMPARED.items():
            difference = float((rivals[name]() - rivals[ours]()).abs().max())
            if difference > MAX_DIFFERENCE:
                raise SystemExit(
                    f"{name} differs by {difference:.2g}, expected at most {MAX_DIFFERENCE}; nothing was timed"
                )
        seconds = interleave(rivals)
    ratios = {f"mfcc_vs_{name}": ratio(seconds, name, ours) for name, ours in COMPARED.items()}
    absolute = {f"{name}_{CLIPS}_clips": 1000 * statistics.median(times) for name, times in seconds.items()}
    if options.folder:
        from _clip_folder import folder_ratios

        more_ratios, more_absolute = folder_ratios(options.small)
        ratios |= more_ratios
        absolute |= more_absolute
    report(f"{options.threads} threads, torch {torch.__version__}", ratios, absolute)


def extractors() -> dict[str, Callable[[], Tensor]]:
    """Functions, ours and the libraries', that return the cepstra [T, B, C] of the same clips."""
    import librosa
    import numpy as np
    import torch
    import torchaudio

    from seqaudio.features import FeatureExtractor, feature_settings

    settings = feature_settings("default")
    draw = np.random.default_rng(1)
    level = 10 ** draw.uniform(-2, -0.5, size=(CLIPS, 1))
    clips = (level * draw.standard_normal((CLIPS, RATE))).astype(np.float32)
    samples = torch.from_numpy(clips)
    # both libraries centre the window in the points of the FFT: this padding gives them the same frames as ours
    spare = (settings.fft_size - settings.window_samples) // 2
    padded = np.pad(clips, ((0, 0), (spare, spare)))
    padded_samples = torch.from_numpy(padded)

    extractor = FeatureExtractor(settings)
    mel_spectrogram = torchaudio.transforms.MelSpectrogram(
        sample_rate=RATE,
        n_fft=settings.fft_size,
        win_length=settings.window_samples,
        hop_length=settings.hop_samples,
        f_min=settings.low,
        f_max=settings.top,
        n_mels=settings.mels,
        center=False,
    )
    dct = torchaudio.functional.create_dct(settings.coefficients, settings.mels, norm="ortho")

    def of_torchaudio() -> torch.Tensor:
        logarithms = mel_spectrogram(padded_samples).clamp(min=settings.floor).log()
        return (logarithms.transpose(1, 2) @ dct).transpose(0, 1)

    def of_librosa() -> torch.Tensor:
        cepstra = []
        for clip in padded:
            mel = librosa.feature.melspectrogram(
                y=clip,
                sr=RATE,
                n_fft=settings.fft_size,
                win_length=settings.window_samples,
                hop_length=settings.hop_samples,
                center=False,
                n_mels=settings.mels,
                fmin=settings.low,
                fmax=settings.top,
                htk=True,
                norm=None,
            )
            logarithms = np.log(np.maximum(mel, settings.floor))
            cepstra.append(librosa.feature.mfcc(S=logarithms, n_mfcc=settings.coefficients).T)
        return torch.from_numpy(np.stack(cepstra, axis=1))

    def of_librosas_defaults() -> torch.Tensor:
        cepstra = [librosa.feature.mfcc(y=clip, sr=RATE).T for clip in clips]
        return torch.from_numpy(np.stack(cepstra, axis=1))

    as_librosa = FeatureExtractor(feature_settings("librosa", RATE))
    return {
        "ours": lambda: extractor(samples),
        "torchaudio": of_torchaudio,
        "librosa": of_librosa,
        "ours_as_librosa": lambda: as_librosa(samples),
        "librosa_defaults": of_librosas_defaults,
    }


if __name__ == "__main__":
    given = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = str(given.threads)  # read when the libraries are imported
    main(given)
