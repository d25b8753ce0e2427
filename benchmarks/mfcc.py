"""Time cepstra of one-second clips in memory against other libraries; they take turns in one process.

    python benchmarks/mfcc.py [--json] [--threads N] [--no-folder] [--small]

Ratios are the library's time / ours (medians of 15 rounds): 2 means that we are twice as fast; with one thread it is
processor time. All compute in float32, and values are compared before they are timed. The first two use the preset
`default` (25/10 ms at 16 kHz, 40 HTK filters, 13 cepstra), with 64 clips at a time.

    mfcc_vs_torchaudio          torchaudio.transforms.MelSpectrogram of the batch, logarithm, DCT
    mfcc_vs_librosa             a loop of librosa.feature.melspectrogram, logarithm, librosa.feature.mfcc
    mfcc_vs_librosa_defaults    a loop of librosa.feature.mfcc(y=clip, sr=16000), ours with the preset `librosa`
    mfcc_vs_asrfront            asrfront.sensevoice.fbank_batch, C with SIMD over eight frames
    mfcc_vs_kaldi_native_fbank  a loop of kaldi_native_fbank.OnlineFbank, Kaldi's C++ without Kaldi
    folder_vs_librosa, folder_vs_reading, memory_flat    WAV files to a store on two cores, see _clip_folder.py; left
                                                         out with --no-folder

asrfront and kaldi-native-fbank have no cepstra: there all compute Kaldi's 80 log-mel energies, of samples of 16 bits,
with a Hamming window and without dither. They are compared where they are installed: pip install asrfront
kaldi-native-fbank. `--threads` is for torch and for the libraries under NumPy; `--small` takes fewer files.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

parser = argparse.ArgumentParser(description="Time cepstra against other libraries")
parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
parser.add_argument("--threads", type=int, default=1, help="threads of each library (default 1)")
parser.add_argument("--no-folder", dest="folder", action="store_false", help="leave out the folder of files")
parser.add_argument("--small", action="store_true", help="fewer files in the folder, for a trial")

CLIPS, RATE = 64, 16000
AS_KALDI = "kaldi+kind=log_mel+mels=80+window=hamming_symmetric+lifter=0+edges=none"
MAX_DIFFERENCE = 1e-3  # of values, from rounding
COMPARED = {
    "torchaudio": "ours",
    "librosa": "ours",
    "librosa_defaults": "ours_as_librosa",
    "asrfront": "ours_as_kaldi",
    "kaldi_native_fbank": "ours_as_kaldi",
}
MAY_LACK = {"asrfront": "asrfront", "kaldi_native_fbank": "kaldi-native-fbank"}  # modules and their packages


def main(options: argparse.Namespace) -> None:
    """Compare, measure and print."""
    import torch
    from _interleaved import interleave, ratio, report

    torch.set_num_threads(options.threads)
    rivals = extractors()
    compared = {name: ours for name, ours in COMPARED.items() if name in rivals}
    for name, package in MAY_LACK.items():
        if name not in compared:
            print(f"{name} is not installed and is skipped; pip install {package}", file=sys.stderr)
    with torch.inference_mode():
        for name, ours in compared.items():
            difference = float((rivals[name]() - rivals[ours]()).abs().max())
            if difference > MAX_DIFFERENCE:
                raise SystemExit(
                    f"{name} differs by {difference:.2g}, expected at most {MAX_DIFFERENCE}; nothing was timed"
                )
        # on one thread processor time: other programs take turns, which hits long calls more often than short ones
        seconds = interleave(rivals, clock=time.process_time if options.threads == 1 else time.perf_counter)
    ratios = {f"mfcc_vs_{name}": ratio(seconds, name, ours) for name, ours in compared.items()}
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
    clips = np.rint(32768 * level * draw.standard_normal((CLIPS, RATE))).clip(-32768, 32767).astype(np.float32) / 32768
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
        **kaldis(clips),
    }


def kaldis(clips: np.ndarray) -> Mapping[str, Callable[[], Tensor]]:
    """The same for Kaldi's log-mel energies [T, B, 80], by ours and by what is installed."""
    import numpy as np
    import torch

    from seqaudio.features import FeatureExtractor, feature_settings

    settings = feature_settings(AS_KALDI)
    samples, scaled = torch.from_numpy(clips), clips * np.float32(settings.full_scale)
    extractor = FeatureExtractor(settings)
    found: dict[str, Callable[[], Tensor]] = {"ours_as_kaldi": lambda: extractor(samples)}
    if find_spec("asrfront"):
        from asrfront import sensevoice

        def of_asrfront() -> Tensor:
            # lfr_m, lfr_n: frames as they are, not stacked
            frames, _ = sensevoice.fbank_batch(clips, n_mels=settings.mels, lfr_m=1, lfr_n=1, n_threads=1)
            return torch.from_numpy(frames).transpose(0, 1)

        found["asrfront"] = of_asrfront
    if find_spec("kaldi_native_fbank"):
        import kaldi_native_fbank

        options = kaldi_native_fbank.FbankOptions()
        options.frame_opts.samp_freq = RATE
        options.frame_opts.dither = 0.0
        options.frame_opts.window_type = "hamming"
        options.mel_opts.num_bins = settings.mels
        options.mel_opts.high_freq = 0.0  # half the rate
        options.energy_floor = 0.0

        def of_kaldi_native_fbank() -> Tensor:
            recordings = []
            for clip in scaled:
                fbank = kaldi_native_fbank.OnlineFbank(options)
                fbank.accept_waveform(RATE, clip)
                fbank.input_finished()
                recordings.append(np.stack([fbank.get_frame(t) for t in range(fbank.num_frames_ready)]))
            return torch.from_numpy(np.stack(recordings, axis=1))

        found["kaldi_native_fbank"] = of_kaldi_native_fbank
    return found


if __name__ == "__main__":
    given = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = str(given.threads)  # read when the libraries are imported
    main(given)
