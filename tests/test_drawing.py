"""Piano rolls and pictures of recordings: everything is in them, legible, in colour and in grey."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from conftest import Command, assert_refused
from legibility import assert_legible, words
from seqaudio import pictures
from seqaudio.audio import Recording
from seqaudio.cli import show as show_command
from seqaudio.cli.outputs import PICTURES
from seqaudio.errors import AudioError, OptionError
from seqaudio.features import FeatureSettings, feature_settings
from seqaudio.features.drawing import draw_recording, recording_figure
from seqaudio.midi import read_midi
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.pictures import FORMATS, INKS, new_figure, plain, plain_names, save_figure
from seqaudio.rendering.piano_roll import ROW_QUARTERS, Lines, draw_piano_roll, piano_roll


def chorale(bars: int = 4) -> NoteSequence:
    """Four voices in crotchets."""
    beats = np.arange(4 * bars)
    pitches = np.concatenate([72 + beats % 5, 67 - beats % 3, 60 + beats % 4, 48 - beats % 7])
    return NoteSequence.from_columns(
        np.tile(480 * beats, 4),
        np.tile(480 * beats + 480, 4),
        pitches,
        program=19,
        track=np.repeat(np.arange(4), len(beats)),
        time_signatures=[TimeSignature(0, 4, 4)],
        track_names=["Soprano", "Alto", "Tenor", "Bass"],
    )


def pixels(figure: Figure) -> np.ndarray:
    """[height, width, 3] uint8."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return np.asarray(Image.open(content).convert("RGB"))


def boxes(axes: Axes, ink: str) -> np.ndarray:
    """Left, right, low, high of the notes drawn in an ink [N, 4], in ticks and pitches."""
    found = []
    for collection in axes.collections:
        if isinstance(collection, PolyCollection) and np.allclose(collection.get_facecolor()[0][:3], to_rgb(ink)):
            for path in collection.get_paths():
                (left, low), (right, high) = path.vertices.min(axis=0), path.vertices.max(axis=0)
                found.append((left, right, low, high))
    return np.array(sorted(found)).reshape(-1, 4)


def test_the_check_of_legibility_finds_what_overlaps_or_is_cut() -> None:
    figure = new_figure(2, 1)
    figure.text(0.3, 0.5, "first")
    assert_legible(figure)
    second = figure.text(0.35, 0.5, "second")
    with pytest.raises(AssertionError, match="'first', 'second'"):
        assert_legible(figure)
    second.set_position((0.9, 0.1))
    with pytest.raises(AssertionError, match="'second' is over the edge"):
        assert_legible(figure)


# --- piano roll ---


def test_each_note_is_a_box_at_its_time_and_pitch() -> None:
    notes = chorale(2)
    (axes,) = piano_roll(notes).axes
    for track, ink in enumerate(INKS[:4]):
        part = notes.select(notes.track == track)
        drawn = boxes(axes, ink)
        assert len(drawn) == len(part)
        np.testing.assert_allclose(drawn[:, 0], part.start_tick)
        assert ((drawn[:, 1] > part.start_tick + 400) & (drawn[:, 1] < part.end_tick)).all(), "repeats stay apart"
        np.testing.assert_allclose(drawn[:, 2:].mean(axis=1), part.pitch)
        assert (np.diff(drawn[:, 2:], axis=1) < 1).all()


def test_bars_and_beats_lie_where_the_metre_puts_them() -> None:
    notes = NoteSequence.from_columns(
        [0], [480 * 7], [60], time_signatures=[TimeSignature(0, 6, 8), TimeSignature(1440, 2, 4)]
    )
    (axes,) = piano_roll(notes).axes
    lines = [sorted({path.vertices[0, 0] for path in lines.get_paths()}) for lines in axes.collections[-2:]]
    beats, bars = lines
    assert bars == [0, 1440, 2400]
    assert beats == [0, 720, 1440, 1920, 2400, 2880]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]
    assert {"6/8", "2/4"} <= set(words(piano_roll(notes)))


def test_lines_stand_above_the_notes_of_their_row_on_one_scale() -> None:
    notes = chorale(40)
    ticks = np.unique(notes.start_tick)
    lines = Lines(ticks, np.linspace(0.0, 5.0, len(ticks)), "nats")
    figure = piano_roll(notes, "surprise", lines)
    above, below = figure.axes[::2], figure.axes[1::2]
    assert len(above) > 1
    assert [axes.get_ylabel() for axes in above] == ["nats"] * len(above)
    assert len({axes.get_ylim() for axes in above}) == 1
    assert [axes.get_xlim() for axes in above] == [axes.get_xlim() for axes in below]
    drawn = [path.vertices for axes in above for path in axes.collections[0].get_paths()]
    np.testing.assert_allclose([line[0, 0] for line in drawn], ticks)
    np.testing.assert_allclose([line[1, 1] for line in drawn], lines.values)
    assert_legible(figure)


def test_octaves_are_named_with_middle_c_as_c4() -> None:
    (axes,) = piano_roll(NoteSequence.from_columns([0, 480], [480, 960], [60, 72])).axes
    named = dict(zip(axes.get_yticks(), [label.get_text() for label in axes.get_yticklabels()], strict=True))
    assert named[60] == "C4"
    assert named[72] == "C5"


def test_long_pieces_go_on_in_further_rows_and_no_bar_is_lost() -> None:
    notes = chorale(40)
    figure = piano_roll(notes)
    rows = [axes.get_xlim() for axes in figure.axes]
    assert len(rows) == 5
    assert rows[0][0] == 0
    assert rows[-1][1] == 40 * 1920
    assert all(before[1] == after[0] for before, after in pairwise(rows))
    assert all(end - start <= ROW_QUARTERS * 480 for start, end in rows)
    assert sum(len(boxes(axes, INKS[0])) for axes in figure.axes) == 160


def test_the_rows_of_a_piece_are_about_as_long() -> None:
    lengths = [np.ptp(axes.get_xlim()) / 1920 for axes in piano_roll(chorale(9)).axes]
    assert lengths == [5, 4]


def test_a_note_that_crosses_rows_is_in_both() -> None:
    notes = NoteSequence.from_columns([0], [1920 * 12], [60])
    assert [len(boxes(axes, INKS[0])) for axes in piano_roll(notes).axes] == [1, 1]


def test_a_very_long_piece_has_denser_rows_instead_of_more() -> None:
    notes = NoteSequence.from_columns(np.arange(4000) * 480, np.arange(4000) * 480 + 240, 60)
    figure = piano_roll(notes)
    assert len(figure.axes) <= 24
    assert_legible(figure)
    assert max(figure.get_size_inches()) * 150 < 20_000


def test_percussion_has_named_lines_of_its_own() -> None:
    notes = NoteSequence.from_columns(
        [0, 0, 240], [480, 120, 360], [60, 36, 42], track=[0, 1, 1], is_drum=[False, True, True]
    )
    roll, drums = piano_roll(notes).axes
    assert [label.get_text() for label in drums.get_yticklabels()] == ["Bass Drum 1", "Closed Hi Hat"]
    assert len(boxes(roll, INKS[0])) == 1
    assert len(boxes(roll, INKS[1])) == 0
    assert len(piano_roll(notes.select(notes.is_drum)).axes) == 1


def test_parts_are_named_in_the_legend() -> None:
    assert {"Soprano", "Alto", "Tenor", "Bass"} <= set(words(piano_roll(chorale())))
    nameless = NoteSequence.from_columns([0, 0, 0], [9, 9, 9], [60, 62, 36], program=[19, 19, 0], track=[0, 1, 2],
                                         is_drum=[False, False, True])  # fmt: skip
    assert {"Church Organ", "Church Organ (2)", "Drums"} <= set(words(piano_roll(nameless)))


def test_inks_differ_in_grey_as_much_as_in_colour() -> None:
    grey = [float(np.dot(to_rgb(ink), (0.299, 0.587, 0.114))) for ink in INKS]
    assert all(later - earlier > 0.12 for earlier, later in pairwise(grey))
    picture = np.asarray(Image.fromarray(pixels(piano_roll(chorale()))).convert("L"))
    for value in grey[:4]:
        assert np.count_nonzero(np.abs(picture.astype(int) - round(255 * value)) <= 2) > 500, value


def test_a_unison_of_two_voices_shows_both() -> None:
    unison = NoteSequence.from_columns([0, 0], [1920, 1920], [60, 60], track=[0, 1])
    picture = pixels(piano_roll(unison)).reshape(-1, 3)
    for ink in INKS[:2]:
        colour = np.round(255 * np.array(to_rgb(ink))).astype(int)
        assert np.count_nonzero((np.abs(picture.astype(int) - colour) <= 2).all(axis=1)) > 200


def test_the_sixth_part_is_hatched() -> None:
    notes = NoteSequence.from_columns(np.zeros(6, np.int64), np.full(6, 480), np.arange(60, 66), track=np.arange(6))
    (legend,) = piano_roll(notes).legends
    assert [handle.get_hatch() for handle in legend.legend_handles] == [""] * 5 + ["////"]


ODD_PIECES = {
    "a single note": NoteSequence.from_columns([0], [1], [60]),
    "a note without length": NoteSequence.from_columns([0], [0], [60]),
    "the whole keyboard": NoteSequence.from_columns([0, 480], [480, 960], [0, 127]),
    "the lowest key": NoteSequence.from_columns([0], [480], [0]),
    "the highest key": NoteSequence.from_columns([0], [480], [127]),
    "metres that change from bar to bar": NoteSequence.from_columns(
        [0], [480 * 40], [60], time_signatures=[TimeSignature(480 * n, 1 + n % 3, 8) for n in range(40)]
    ),
    "many parts with long names": NoteSequence.from_columns(
        np.arange(14) * 480, np.arange(14) * 480 + 480, np.arange(50, 64), program=np.arange(14), track=np.arange(14),
        track_names=[f"{'long name ' * 4}{n}" for n in range(14)],
    ),
    "odd names": NoteSequence.from_columns(
        [0, 0, 0], [480, 480, 480], [60, 64, 67], track=[0, 1, 2],
        track_names=["$\\frac{1}{$", "_line\nbreak\x07", "笛"]
    ),
    "drums alone": NoteSequence.from_columns(np.arange(20) * 240, np.arange(20) * 240 + 9, [35, 38, 42, 81] * 5,
                                             is_drum=True),
    "fractions of ticks": NoteSequence.from_columns([0, 7], [7, 9], [60, 61], ticks_per_quarter=1,
                                                    time_signatures=[TimeSignature(0, 3, 8)]),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_PIECES)
def test_pictures_of_odd_pieces_are_legible(name: str) -> None:
    assert_legible(piano_roll(ODD_PIECES[name], title=f"A picture of {name}, $100"))


def test_titles_and_names_are_no_formulas() -> None:
    figure = piano_roll(ODD_PIECES["odd names"], title="cost: $5 and $6")
    assert r"cost: \$5 and \$6" in words(figure), "escaped, so that it is drawn as it stands"
    assert "_line break" in words(figure)


@pytest.fixture
def fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Lets a machine have these fonts and no others, beside matplotlib's own."""

    def look_again() -> None:
        pictures.installed_wide_fonts.cache_clear()
        pictures._in_font.cache_clear()

    def install(*names: str) -> None:
        monkeypatch.setattr(pictures, "WIDE_FONTS", names)
        look_again()

    yield install
    monkeypatch.undo()
    look_again()


def test_characters_without_a_glyph_become_code_points(fonts: Callable[..., None]) -> None:
    fonts("No Such Font")
    assert plain("Bässe 笛 ♯") == "Bässe <7B1B> ♯"
    assert plain("x" * 100, 10) == "xxxxxxxxx…"
    assert plain("笛" * 10, 13) == "<7B1B><7B1B>…"


def test_a_font_that_has_them_draws_them(fonts: Callable[..., None], tmp_path: Path) -> None:
    fonts("No Such Font", "Last Resort High-Efficiency")  # has every character, and comes with matplotlib
    assert plain("Bässe 笛 ♯") == "Bässe 笛 ♯"
    assert plain("笛" * 10, 13) == "笛" * 6 + "…"
    figure = new_figure(2, 1)
    figure.text(0.1, 0.5, "笛")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of a glyph that is missing
        save_figure(figure, tmp_path / "a.png")


def test_names_are_cut_in_the_middle_and_stay_different(fonts: Callable[..., None]) -> None:
    fonts("No Such Font")
    assert plain_names(["turn the lights on", "turn the lights off", "$5"], 14) == [
        "turn th…hts on",
        "turn th…ts off",
        r"\$5",
    ]
    same = [f"a word {number} with one end that is long" for number in range(12)]
    for names in (same, ["日本語の言葉", "日本語の音楽の言葉"], ["x" * 15, "x" * 16]):
        drawn = plain_names(names, 14)
        assert len(set(drawn)) == len(names)
        assert max(map(len, drawn)) <= 14


def test_nothing_and_endless_pieces_are_refused() -> None:
    with pytest.raises(OptionError, match="no notes"):
        piano_roll(NoteSequence.from_columns([], [], []))
    with pytest.raises(OptionError, match="20,001 quarters, expected at most 20,000"):
        piano_roll(NoteSequence.from_columns([0], [480 * 20_001], [60]))


def test_a_picture_is_written_whole_and_equal_each_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_piano_roll(chorale(), tmp_path / name, title="Chorale")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "b.png"]
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        assert 600 < image.width < 2400


def test_drawing_leaves_the_state_of_pyplot_alone(tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    save_figure(new_figure(1, 1), tmp_path / "x.png")
    draw_piano_roll(chorale(), tmp_path / "y.png")
    assert plt.get_fignums() == []


@pytest.mark.data
def test_real_pieces_are_legible(data_folder: Path) -> None:
    for path in sorted((data_folder / "music" / "js_fakes").rglob("*.mid"))[::200]:
        assert_legible(piano_roll(read_midi(path), title=path.stem))


# --- recordings ---


def tone(seconds: float = 0.5, rate: int = 16_000, hertz: float = 440.0) -> Recording:
    time = np.arange(round(seconds * rate)) / rate
    samples = 0.5 * np.sin(2 * np.pi * hertz * time) + 1e-3 * np.random.default_rng(0).standard_normal(len(time))
    return Recording(samples.astype(np.float32), rate)


@pytest.mark.parametrize("preset", ["default", "log_mel"])
@pytest.mark.parametrize("seconds", [0.025, 0.5, 12.0])
def test_pictures_of_recordings_are_legible_and_share_their_time(preset: str, seconds: float) -> None:
    figure = recording_figure(tone(seconds), feature_settings(preset), title="a tone.wav")
    assert_legible(figure)
    waveform, features = figure.axes[:2]
    assert waveform.get_xlim() == features.get_xlim() == pytest.approx((0, seconds))
    assert "time (seconds)" in words(figure)


def test_frames_stand_in_the_middle_of_their_samples() -> None:
    settings = FeatureSettings(kind="log_mel")
    recording = tone(1.0)
    samples = recording.samples.copy()
    samples[:8000] = 0  # silence in the first half
    image = recording_figure(Recording(samples, 16_000), settings).axes[1].images[0]
    left, right, *_ = image.get_extent()
    energy = np.asarray(image.get_array()).mean(axis=0)
    centres = left + (np.arange(len(energy)) + 0.5) * (right - left) / len(energy)
    assert centres[0] == pytest.approx(0.0125)  # of a frame of 25 ms
    assert centres[1] - centres[0] == pytest.approx(0.010)
    changes = centres[np.argmax(np.diff(energy))]
    assert changes == pytest.approx(0.5, abs=0.02)


def test_the_rows_of_mel_energies_are_named_by_frequency() -> None:
    image = recording_figure(tone(hertz=2000.0), FeatureSettings(kind="log_mel")).axes[1].images[0]
    axes = image.axes
    loudest = int(np.asarray(image.get_array()).mean(axis=1).argmax())
    low, high = (
        float(axes.yaxis.get_major_formatter()(place, None).replace(",", "")) for place in (loudest - 1, loudest + 1)
    )
    assert low < 2000 < high


def test_every_cepstrum_is_seen_although_the_first_is_far_larger() -> None:
    image = recording_figure(tone(), FeatureSettings()).axes[1].images[0]
    values = np.asarray(image.get_array())
    assert values.shape[0] == 13
    np.testing.assert_allclose(values.std(axis=1), 1.0, rtol=1e-6)


def test_a_peak_of_one_sample_in_a_long_recording_is_seen() -> None:
    samples = np.zeros(16_000 * 60, dtype=np.float32)
    samples[500_000] = 0.9
    waveform = recording_figure(Recording(samples, 16_000), FeatureSettings()).axes[0]
    assert max(path.vertices[:, 1].max() for line in waveform.collections for path in line.get_paths()) > 0.89


def test_silence_is_drawn_too() -> None:
    assert_legible(recording_figure(Recording(np.zeros(8000, np.float32), 16_000), FeatureSettings()))


def test_a_recording_that_does_not_fit_the_settings_is_refused() -> None:
    with pytest.raises(ValueError, match="8000 Hz, expected 16000 Hz"):
        recording_figure(tone(rate=8000), FeatureSettings())
    with pytest.raises(ValueError, match="fewer than one frame"):
        recording_figure(tone(0.01), FeatureSettings())


def test_equal_recordings_give_equal_pictures(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_recording(tone(), FeatureSettings(), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


# --- seqaudio show ---


def test_the_command_shows_a_recording(command: Command, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(rate=44_100).samples, 44_100)
    png = tmp_path / "tone.png"
    done = command("seqaudio", "show", tmp_path / "tone.wav", "--png", png)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{png}: 0.50 s, 48 frames of 13 mfcc values\n"
    with Image.open(png) as image:
        assert image.size == (1500, 780)
    assert_refused(command("seqaudio", "show", tmp_path / "tone.wav", "--png", png), "exists", "--force")


def test_the_command_refuses_what_it_cannot_show(tmp_path: Path) -> None:
    file, png = tmp_path / "short.wav", tmp_path / "x.png"
    soundfile.write(file, np.zeros(100), 16_000)
    with pytest.raises(AudioError, match="too_short: 100 samples at 16000 Hz, a frame needs 400"):
        show_command.main(show_command.Config(file, png))
    with pytest.raises(AudioError, match="missing"):
        show_command.main(show_command.Config(tmp_path / "none.wav", png))
    with pytest.raises(OptionError, match="no feature preset is called 'mfc'"):
        show_command.main(show_command.Config(file, png, features="mfc"))
    with pytest.raises(OptionError, match=r"ends in \.png"):
        show_command.main(show_command.Config(file, tmp_path / "x.wav"))
    assert not png.exists()


@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_a_figure_is_written_in_the_format_of_its_suffix_with_equal_bytes(
    tmp_path: Path, suffix: str, begins: bytes
) -> None:
    for name in ("a", "b"):
        figure = new_figure(3, 2)
        axes = figure.subplots()
        axes.plot([1, 2], [3, 4], label="one")
        axes.fill_between([1, 2], [1, 1], hatch="//")
        save_figure(figure, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes().startswith(begins)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_a_figure_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"a\.gif: expected a name that ends in \.png, \.pdf, \.svg"):
        save_figure(new_figure(1, 1), tmp_path / "a.gif")
    assert tuple(FORMATS) == PICTURES
