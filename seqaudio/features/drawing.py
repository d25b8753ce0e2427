"""Draw a recording: its waveform above its features, alone or beside an augmented version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter

from seqaudio.audio import Recording
from seqaudio.features.extractor import FeatureExtractor
from seqaudio.features.framing import first_sample
from seqaudio.features.mfcc import mel_edges
from seqaudio.features.settings import FeatureSettings
from seqaudio.pictures import GRID, INK, INKS, add_title, new_figure, plain, save_figure

COLUMNS = 1600  # of the picture; longer recordings have several samples or frames in a column
COLOURS = "cividis"  # from dark to light, also when printed in grey
WIDTH, HEIGHT = 10.0, 5.2  # inches
LEFT, RIGHT = 0.1, 0.905  # of the width, edges of both axes; the colour bar is to the right
GAP = 0.04  # of the width, between before and after


@dataclass(frozen=True, eq=False)
class RecordingFeatures:
    """A recording and its features [T, F], drawn above each other."""

    recording: Recording
    features: np.ndarray


def draw_recording(recording: Recording, settings: FeatureSettings, path: Path | str, title: str = "") -> None:
    """Write `recording_figure` as a picture (PNG, PDF or SVG). Equal recordings give equal bytes.

    Raises:
        ValueError: the recording has another sample rate than the settings, or is shorter than one frame.
        OSError: the folder is missing or may not be written to.
    """
    save_figure(recording_figure(recording, settings, title), path)


def recording_figure(recording: Recording, settings: FeatureSettings, title: str = "") -> Figure:
    """A figure of samples over time, with the features below on the same time axis.

    Cepstra are drawn in standard deviations from the mean of their coefficient over the recording, since the 0th is
    ten times as large as the others. Log-mel energies are drawn unchanged, with the peak frequencies of their filters.
    A column of the features is at the middle of its frame. Deltas are left out.

    Raises ValueError as `draw_recording` does.
    """
    figure = new_figure(WIDTH, HEIGHT)
    add_title(figure, title)
    upper = figure.add_axes((LEFT, 0.66, RIGHT - LEFT, 0.25))
    lower = figure.add_axes((LEFT, 0.11, RIGHT - LEFT, 0.49), sharex=upper)
    _draw_columns(figure, [(upper, lower)], [recording_features(recording, settings)], settings)
    return figure


def augmentation_figure(
    before: RecordingFeatures, after: RecordingFeatures, settings: FeatureSettings, title: str = "", change: str = ""
) -> Figure:
    """A recording on the left and its augmented version on the right, on equal scales of time, level and colour.

    Cepstra of both are drawn in standard deviations from the means of the left one. `change` describes the
    augmentation, for the caption.
    """
    figure = new_figure(WIDTH, HEIGHT + 0.5)
    add_title(figure, title)
    figure.text(LEFT, 0.885, "before", fontsize=10, weight="bold", color=INK)
    width = (RIGHT - LEFT - GAP) / 2
    columns: list[tuple[Axes, Axes]] = []
    for column in range(2):
        left = LEFT + column * (width + GAP)
        first_upper, first_lower = columns[0] if columns else (None, None)
        upper = figure.add_axes((left, 0.63, width, 0.24), sharex=first_upper, sharey=first_upper)
        columns.append((upper, figure.add_axes((left, 0.11, width, 0.46), sharex=upper, sharey=first_lower)))
    figure.text(LEFT + width + GAP, 0.885, "after", fontsize=10, weight="bold", color=INK)
    figure.text(0.015, 0.928, plain(change, 120), fontsize=9, color=INK)
    _draw_columns(figure, columns, [before, after], settings)
    return figure


def recording_features(recording: Recording, settings: FeatureSettings) -> RecordingFeatures:
    """A recording and its features. Raises ValueError as `draw_recording` does."""
    if recording.sample_rate != settings.sample_rate:
        raise ValueError(f"a recording of {recording.sample_rate} Hz, expected {settings.sample_rate} Hz; resample it")
    with torch.inference_mode():
        features = FeatureExtractor(settings)(torch.from_numpy(recording.samples)).numpy()
    return RecordingFeatures(recording, features)


def _draw_columns(
    figure: Figure, columns: list[tuple[Axes, Axes]], recordings: list[RecordingFeatures], settings: FeatureSettings
) -> None:
    """Waveform and features of each column, all on the scales of the first; one colour bar to the right."""
    limit = max(*(float(np.abs(shown.recording.samples).max()) * 1.05 for shown in recordings), 1e-3)
    values = [shown.features[:, : settings.static_size].astype(np.float64) for shown in recordings]
    if settings.kind == "mfcc":
        values = [_standardised(each, values[0]) for each in values]
    low, high = np.percentile(_gathered(values[0]), (1, 99))
    for column, ((upper, lower), shown, each) in enumerate(zip(columns, recordings, values, strict=True)):
        _draw_waveform(upper, shown.recording, limit)
        image = _draw_features(lower, each, settings, (low, max(high, low + 1e-6)))
        if column:
            upper.tick_params(axis="y", labelleft=False)
            lower.tick_params(axis="y", labelleft=False)
        else:
            _name_rows(upper, lower, settings)
    columns[0][0].set_xlim(0.0, max(shown.recording.seconds for shown in recordings))
    beside = figure.add_axes((RIGHT + 0.015, lower.get_position().y0, 0.014, lower.get_position().height))
    bar = figure.colorbar(image, cax=beside, extend="both")
    logarithm = "decibels" if settings.decibels else "natural logarithm"
    unit = "deviations from the coefficient's mean" if settings.kind == "mfcc" else f"log energy ({logarithm})"
    bar.set_label(unit, fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8, labelcolor=INK)


def _draw_waveform(axes: Axes, recording: Recording, limit: float) -> None:
    samples, rate = recording.samples, recording.sample_rate
    each = -(-len(samples) // (2 * COLUMNS))
    if each == 1:
        axes.plot(np.arange(len(samples)) / rate, samples, color=INKS[0], linewidth=0.8)
    else:
        # lowest and highest sample of each column, so that every peak is visible
        padded = np.concatenate([samples, np.repeat(samples[-1:], -len(samples) % each)]).reshape(-1, each)
        time = (np.arange(len(padded)) + 0.5) * each / rate
        axes.fill_between(time, padded.min(axis=1), padded.max(axis=1), color=INKS[0], linewidth=0.4)
    axes.set_ylim(-limit, limit)
    axes.grid(color=GRID, linewidth=0.5, alpha=0.6)
    axes.tick_params(axis="both", labelsize=9, labelcolor=INK)
    axes.tick_params(axis="x", labelbottom=False)


def _draw_features(axes: Axes, values: np.ndarray, settings: FeatureSettings, limits: tuple[float, float]) -> AxesImage:
    T, F = values.shape
    # the middle of a frame is W / 2 after its first sample; its column reaches half a hop to both sides
    hop = settings.hop_samples / settings.sample_rate
    middle = (first_sample(settings) + settings.window_samples / 2) / settings.sample_rate
    image = axes.imshow(
        _gathered(values).T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=COLOURS,
        vmin=limits[0],
        vmax=limits[1],
        extent=(middle - hop / 2, middle + (T - 0.5) * hop, -0.5, F - 0.5),
    )
    axes.set_xlabel("time (seconds)", fontsize=9, color=INK)
    axes.tick_params(axis="both", labelsize=9, labelcolor=INK)
    return image


def _name_rows(upper: Axes, lower: Axes, settings: FeatureSettings) -> None:
    """Label the vertical axes."""
    upper.set_ylabel("amplitude\n(full scale ±1)", fontsize=9, color=INK)
    F = settings.static_size
    if settings.kind == "mfcc":
        lower.set_ylabel("cepstral coefficient", fontsize=9, color=INK)
        lower.set_yticks(range(0, F, 1 if F <= 14 else 2 if F <= 28 else 5))
        return
    peaks = mel_edges(settings)[1:-1]
    lower.set_ylabel("mel filter, peak in Hz", fontsize=9, color=INK)
    lower.set_yticks(np.unique(np.linspace(0, F - 1, 7).round().astype(int)))
    lower.yaxis.set_major_formatter(FuncFormatter(lambda place, _: f"{peaks[int(place)]:,.0f}"))


def _standardised(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """[T, F] in standard deviations from the mean of `like`; where `like` is constant, its deviation counts as 1."""
    deviation = like.std(axis=0)
    standardised: np.ndarray = (values - like.mean(axis=0)) / np.where(deviation > 1e-9, deviation, 1.0)
    return standardised


def _gathered(values: np.ndarray) -> np.ndarray:
    """[T', F] with T' <= COLUMNS: each is the mean of successive frames."""
    each = -(-len(values) // COLUMNS)
    starts = np.arange(0, len(values), each)
    sizes = np.minimum(each, len(values) - starts)
    gathered: np.ndarray = np.add.reduceat(values, starts, axis=0) / sizes[:, None]
    return gathered
