"""Made-up strings of words with their texts: what is said, where, and what cannot be strung together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import RATE, Command
from seqaudio.augmentation.options import AugmentationOptions
from seqaudio.batching.text_streams import TextStreamOptions, TextStreams, text_streams
from seqaudio.errors import OptionError, StoreError, VocabularyError
from seqaudio.features.presets import feature_settings
from seqaudio.store import Store
from seqaudio.transcripts import Spelling, TextSettings

SETTINGS = feature_settings("spotting", RATE)
WORDS = TextSettings("words")
SPELLING = Spelling.of_texts(["one two", "three"], WORDS)


def prepared(command: Command, source: Path, out: Path, features: str = "spotting") -> Path:
    options = ("--sample-rate", str(RATE), "--features", features, "--valid-percent", "0", "--test-percent", "0")
    done = command("data_prep/audio_folder.py", "--source", source, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def words(command: Command, word_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(command, word_folder, tmp_path_factory.mktemp("spoken") / "words")


def made(
    words: Path, spelling: Spelling = SPELLING, seed: int = 3, limit: int | None = None, **given: object
) -> TextStreams:
    options = replace(TextStreamOptions(words=words), **given)  # type: ignore[arg-type]
    return text_streams(Store(words), options, spelling, AugmentationOptions(augment=False), 4, seed, limit)


def test_a_text_is_the_words_in_order_and_none_is_cut(words: Path) -> None:
    source = made(words, pause=0.1)
    lengths = set()
    for number in range(20):
        mixed = source.mixed(1, number)
        _, text, alignment = source.stream(1, number)
        said = [source.labels[word.label] for word in mixed.words]
        assert [SPELLING.vocabulary[unit] for unit in text] == said
        assert all(word.end <= source.frames for word in mixed.words)
        for word, unit in zip(mixed.words, text.tolist(), strict=True):
            behind = alignment[word.end : word.end + 4]
            assert (behind == unit).all()
            assert alignment[word.end - 1] != unit or word.end - 1 in range(*_span_before(source, mixed.words, word))
        lengths.add(len(text))
    assert len(lengths) > 1


def _span_before(source: TextStreams, words: list, word: object) -> tuple[int, int]:  # type: ignore[type-arg]
    """The frames behind the word before, which may reach into this one."""
    place = words.index(word)
    return source.spans(words)[place - 1] if place else (0, 0)


def test_no_frame_is_aligned_with_a_word_that_is_not_in_the_text(words: Path) -> None:
    source = made(words)
    for number in range(12):
        _, text, alignment = source.stream(0, number)
        assert set(alignment.tolist()) <= {0, *text.tolist()}


def test_batches_hold_the_streams_and_are_new_in_each_epoch(words: Path) -> None:
    source = made(words)
    first, again, later = (next(iter(made(words).epoch(epoch))) for epoch in (0, 0, 1))
    assert first.targets is not None and first.target_lengths is not None and first.alignment is not None
    np.testing.assert_array_equal(first.inputs, again.inputs)
    assert not np.array_equal(first.inputs, later.inputs)
    assert first.alignment.shape == first.inputs.shape[:2]
    for column in range(4):
        frames, text, alignment = source.stream(0, column)
        np.testing.assert_array_equal(first.inputs[:, column], frames)
        np.testing.assert_array_equal(first.targets[: first.target_lengths[column], column], text)
        np.testing.assert_array_equal(first.alignment[:, column], alignment)
        assert not first.targets[first.target_lengths[column] :, column].any()


def test_an_epoch_goes_on_from_any_batch(words: Path) -> None:
    whole, rest = list(made(words).epoch(1)), list(made(words).epoch(1, start=2))
    assert len(whole) == len(made(words)) == len(rest) + 2
    np.testing.assert_array_equal(whole[2].inputs, rest[0].inputs)


def test_words_that_are_no_units_are_refused(words: Path) -> None:
    with pytest.raises(VocabularyError, match="three"):
        made(words, Spelling.of_texts(["one two"], WORDS))
    with pytest.raises(OptionError, match="--units words"):
        made(words, Spelling.of_texts(["one two three"], TextSettings("characters")))


def test_words_need_the_features_of_the_store(command: Command, words: Path, word_folder: Path, tmp_path: Path) -> None:
    other = prepared(command, word_folder, tmp_path / "other", "log_mel")
    with pytest.raises(StoreError, match="other features"):
        text_streams(Store(words), TextStreamOptions(words=other), SPELLING, AugmentationOptions(), 4, 1)


def test_a_text_is_no_store_of_words(command: Command, words: Path, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("one two three\n" * 20, encoding="utf-8")
    done = command("seqaudio", "prepare", "text_file", "--source", tmp_path / "book.txt", "--out", tmp_path / "text")
    assert done.returncode == 0, done.stderr
    with pytest.raises(StoreError, match="kind 'text'"):
        text_streams(Store(words), TextStreamOptions(words=tmp_path / "text"), SPELLING, AugmentationOptions(), 4, 1)


def test_a_trial_uses_the_first_words_alone(words: Path) -> None:
    assert len(made(words, limit=12)) < len(made(words))
