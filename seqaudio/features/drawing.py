"""A recording as a picture: its waveform above its features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from seqaudio.audio import Recording
from seqaudio.features.extractor import FeatureExtractor
from seqaudio.features.mel import mel_edges
from seqaudio.features.settings import FeatureSettings
from seqaudio.pictures import GRID, INK, INKS, add_title, new_figure, save_png

COLUMNS = 1600  # of the picture; longer recordings are gathered, several samples or frames a column
COLOURS = "cividis"  # dark to light, in grey too
WIDTH, HEIGHT = 10.0, 5.2  # inches
LEFT, RIGHT = 0.1, 0.905  # of the width, of both axes; the colour bar stands beside


def draw_recording(recording: Recording, settings: FeatureSettings, path: Path | str, title: str = "") -> None:
    """Write `recording_figure` as a PNG of 150 dots an inch. Equal recordings give equal bytes.

    Raises:
        ValueError: the recording has another sample rate than the settings, or is shorter than one frame.
        OSError: the folder is missing or may not be written to.
    """
    save_png(recording_figure(recording, settings, title), path)


def recording_figure(recording: Recording, settings: FeatureSettings, title: str = "") -> Figure:
    """Samples over time, beneath them the features of the same time.

    Cepstra are drawn in standard deviations from the mean of their coefficient over the recording, since the 0th is
    ten times as large as the others; log-mel energies as they are, their filters named by their peak frequencies. A
    column of the features stands in the middle of its frame.

    Raises ValueError as `draw_recording` does.
    """
    if recording.sample_rate != settings.sample_rate:
        raise ValueError(f"a recording of {recording.sample_rate} Hz, expected {settings.sample_rate} Hz; resample it")
    with torch.inference_mode():
        features = FeatureExtractor(settings)(torch.from_numpy(recording.samples)).numpy()
    figure = new_figure(WIDTH, HEIGHT)
    add_title(figure, title)
    upper = figure.add_axes((LEFT, 0.66, RIGHT - LEFT, 0.25))
    lower = figure.add_axes((LEFT, 0.11, RIGHT - LEFT, 0.49), sharex=upper)
    _draw_waveform(upper, recording)
    _draw_features(figure, lower, features, settings)
    upper.set_xlim(0.0, recording.seconds)
    return figure


def _draw_waveform(axes: Axes, recording: Recording) -> None:
    samples, rate = recording.samples, recording.sample_rate
    each = -(-len(samples) // (2 * COLUMNS))
    if each == 1:
        axes.plot(np.arange(len(samples)) / rate, samples, color=INKS[0], linewidth=0.8)
    else:
        # lowest and highest sample of each column: every peak is seen
        padded = np.concatenate([samples, np.repeat(samples[-1:], -len(samples) % each)]).reshape(-1, each)
        time = (np.arange(len(padded)) + 0.5) * each / rate
        axes.fill_between(time, padded.min(axis=1), padded.max(axis=1), color=INKS[0], linewidth=0.4)
    limit = max(float(np.abs(samples).max()) * 1.05, 1e-3)
    axes.set_ylim(-limit, limit)
    axes.set_ylabel("amplitude\n(full scale ±1)", fontsize=9, color=INK)
    axes.grid(color=GRID, linewidth=0.5, alpha=0.6)
    axes.tick_params(axis="both", labelsize=9, labelcolor=INK)
    axes.tick_params(axis="x", labelbottom=False)


def _draw_features(figure: Figure, axes: Axes, features: np.ndarray, settings: FeatureSettings) -> None:
    T, F = features.shape
    values = _standardised(features) if settings.kind == "mfcc" else features.astype(np.float64)
    values = _gathered(values)
    # the middle of frame t is at t H + W / 2; its column reaches half a hop to both sides
    hop, middle = settings.hop_samples / settings.sample_rate, settings.window_samples / 2 / settings.sample_rate
    edges = (middle - hop / 2, middle + (T - 0.5) * hop)
    low, high = np.percentile(values, (1, 99))
    image = axes.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=COLOURS,
        vmin=low,
        vmax=max(high, low + 1e-6),
        extent=(*edges, -0.5, F - 0.5),
    )
    axes.set_xlabel("time (seconds)", fontsize=9, color=INK)
    axes.tick_params(axis="both", labelsize=9, labelcolor=INK)
    if settings.kind == "mfcc":
        axes.set_ylabel("cepstral coefficient", fontsize=9, color=INK)
        axes.set_yticks(range(0, F, 1 if F <= 14 else 2 if F <= 28 else 5))
        unit = "deviations from the coefficient's mean"
    else:
        peaks = mel_edges(settings)[1:-1]
        axes.set_ylabel("mel filter, peak in Hz", fontsize=9, color=INK)
        axes.set_yticks(np.unique(np.linspace(0, F - 1, 7).round().astype(int)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda place, _: f"{peaks[int(place)]:,.0f}"))
        unit = "log energy (natural logarithm)"
    beside = figure.add_axes((RIGHT + 0.015, axes.get_position().y0, 0.014, axes.get_position().height))
    bar = figure.colorbar(image, cax=beside, extend="both")
    bar.set_label(unit, fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8, labelcolor=INK)


def _standardised(features: np.ndarray) -> np.ndarray:
    """[T, F] float64, each feature with mean 0 and deviation 1 over the recording; a constant one is 0."""
    values = features.astype(np.float64)
    values -= values.mean(axis=0)
    deviation = values.std(axis=0)
    standardised: np.ndarray = values / np.where(deviation > 1e-9, deviation, 1.0)
    return standardised


def _gathered(values: np.ndarray) -> np.ndarray:
    """[T', F], at most as many frames as columns, each the mean of successive ones."""
    each = -(-len(values) // COLUMNS)
    starts = np.arange(0, len(values), each)
    sizes = np.minimum(each, len(values) - starts)
    gathered: np.ndarray = np.add.reduceat(values, starts, axis=0) / sizes[:, None]
    return gathered
