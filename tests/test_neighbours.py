"""The nearest-neighbour baseline on sequences whose neighbours are known."""

from __future__ import annotations

import numpy as np
import pytest

from seqaudio.evaluation.keywords import CHUNK, NearestNeighbours, stretch


def level(value, frames=3, features=2):
    """A sequence that holds one value."""
    return np.full((frames, features), float(value))


def test_stretching_interpolates_between_frames():
    ramp = np.array([[0.0, 10.0], [2.0, 20.0]])
    assert stretch(ramp, 5).tolist() == [[0, 10], [0.5, 12.5], [1, 15], [1.5, 17.5], [2, 20]]


def test_stretching_keeps_ends_and_straight_lines():
    line = np.linspace(3, 7, 40)[:, None] * [1.0, -2.0]
    np.testing.assert_allclose(stretch(line), np.linspace(3, 7, 24)[:, None] * [1.0, -2.0], atol=1e-12)
    assert stretch(line[:3], 3).tolist() == line[:3].tolist()


def test_single_frame_is_repeated():
    assert stretch(np.array([[4.0, 5.0]]), 3).tolist() == [[4, 5]] * 3


def test_sequence_without_frames_is_refused():
    with pytest.raises(ValueError, match="0 frames, expected at least 1"):
        stretch(np.zeros((0, 3)))


def test_majority_of_the_nearest_wins():
    training = [level(v) for v in (0, 1, 2, 3, 10, 11)]
    model = NearestNeighbours(k=3).fit(training, ["low", "low", "high", "high", "high", "high"])
    assert model.predict([level(0.4), level(2.6), level(9)]) == ["low", "high", "high"]


def test_tie_goes_to_the_label_with_the_nearest_row():
    model = NearestNeighbours(k=4).fit([level(v) for v in (0, 1, 2.5, 3.5)], ["b", "a", "a", "b"])
    assert model.predict([level(-1), level(1.2), level(5)]) == ["b", "a", "b"]


def test_length_of_a_sequence_does_not_matter():
    shape = np.array([[0.0], [1.0], [0.0], [-1.0], [0.0]])
    longer = stretch(shape, 81)
    model = NearestNeighbours(k=1).fit([shape, -shape], ["up", "down"])
    assert model.predict([longer, -longer]) == ["up", "down"]


def test_features_are_scaled_by_their_spread():
    # the second feature says what the label is, the first is large and tells nothing
    draw = np.random.default_rng(7)
    labels = [index % 2 for index in range(60)]
    training = [np.array([[1000 * draw.standard_normal(), 0.01 * label]]) for label in labels]
    queries = [np.array([[1000 * draw.standard_normal(), 0.01 * label]]) for label in labels]
    guesses = NearestNeighbours().fit(training, labels).predict(queries)
    assert np.mean(np.array(guesses) == labels) > 0.95


def test_shift_and_scale_of_a_feature_change_nothing():
    draw = np.random.default_rng(8)
    training, queries = (draw.standard_normal((n, 6, 3)) for n in (40, 20))
    labels = draw.integers(0, 4, size=40).tolist()
    plain = NearestNeighbours().fit(list(training), labels).predict(list(queries))
    scale, shift = np.array([1000.0, 0.001, 7.0]), np.array([-5.0, 0.1, 1e4])
    moved = NearestNeighbours().fit(list(training * scale + shift), labels).predict(list(queries * scale + shift))
    assert moved == plain


def test_constant_feature_is_harmless():
    training = [np.array([[value, 5.0]]) for value in (0.0, 1.0, 8.0, 9.0)]
    model = NearestNeighbours(k=1).fit(training, ["a", "a", "b", "b"])
    assert model.predict([np.array([[0.4, 5.0]]), np.array([[8.4, 6.0]])]) == ["a", "b"]


def test_predictions_equal_a_plain_loop_across_chunks():
    draw = np.random.default_rng(9)
    training, queries = draw.standard_normal((50, 24, 2)), draw.standard_normal((CHUNK + 7, 24, 2))
    labels = draw.integers(0, 3, size=50).tolist()
    scale = training.std(axis=(0, 1))
    expected = [labels[int((((training - query) / scale) ** 2).sum(axis=(1, 2)).argmin())] for query in queries]
    assert NearestNeighbours(k=1).fit(list(training), labels).predict(list(queries)) == expected


def test_fewer_training_sequences_than_k_all_vote():
    model = NearestNeighbours(k=5).fit([level(0), level(5), level(6)], ["a", "b", "b"])
    assert model.predict([level(0)]) == ["b"]


def test_nothing_to_predict_gives_no_labels():
    assert NearestNeighbours().fit([level(0)], ["a"]).predict([]) == []


def test_mismatched_arguments_are_refused():
    with pytest.raises(ValueError, match="1 sequences and 2 labels"):
        NearestNeighbours().fit([level(0)], ["a", "b"])
    with pytest.raises(ValueError, match="0 sequences and 0 labels"):
        NearestNeighbours().fit([], [])
    with pytest.raises(ValueError, match="got 3 features a frame, expected 2"):
        NearestNeighbours().fit([level(0)], ["a"]).predict([level(0, features=3)])
    with pytest.raises(ValueError, match="at least 1"):
        NearestNeighbours(k=0)


@pytest.mark.data
def test_spoken_digits_of_known_speakers_are_mostly_recognised(data_folder, request):
    import soundfile
    import torch

    from seqaudio.features import FeatureExtractor, feature_settings

    threads = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    torch.set_num_threads(1)  # frames of one clip are too few to share
    extract = FeatureExtractor(feature_settings("default", 8000))
    recordings = sorted((data_folder / "speech" / "fsdd" / "recordings").glob("*.flac"))
    sets = {"train": ([], []), "test": ([], [])}
    for recording in recordings:
        digit, _, take = recording.stem.split("_")
        if int(take) >= 15:  # takes 0-4 are the test set; ten training takes keep this short
            continue
        samples, _ = soundfile.read(recording, dtype="float32")
        frames, labels = sets["test" if int(take) < 5 else "train"]
        frames.append(extract(torch.from_numpy(samples)).numpy())
        labels.append(digit)
    assert (len(sets["train"][0]), len(sets["test"][0])) == (600, 300)
    guesses = NearestNeighbours().fit(*sets["train"]).predict(sets["test"][0])
    assert np.mean(np.array(guesses) == sets["test"][1]) > 0.93
