"""Keyword stores without recordings: what is in them, what separates their splits, and what is refused."""

from __future__ import annotations

import importlib.util
import math
import sys
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from conftest import ROOT, Command, assert_refused
from seqaudio.augmentation.acoustics import active_part, level, signal_to_noise
from seqaudio.errors import AudioError, OptionError, StoreError
from seqaudio.features import FeatureSettings, feature_settings
from seqaudio.ledger import Reason
from seqaudio.prepare.engine import Item
from seqaudio.store import SPLITS, Store
from seqaudio.synthesis.clips import MARGIN, ClipSettings, SpeakClip, clip_seconds
from seqaudio.synthesis.espeak import phonemes, speak, variants
from seqaudio.synthesis.near_misses import Inventory, NearMisses, is_native, near_miss
from seqaudio.synthesis.random_voices import random_names, random_timbre
from seqaudio.synthesis.speakers import spoken_word

pytest.importorskip("espeakng_loader", reason="speech synthesis is the extra `tts`")

WORDS = ("yes", "no")
RATE = 16000


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("synthetic_keywords", ROOT / "data_prep" / "synthetic_keywords.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


synthetic_keywords = script()


def prepare(out: Path, **options: object) -> Store:
    given = {"words": WORDS, "voices": 8, "takes": 2, "unknown": 2, "random_voices": 4, **options}
    synthetic_keywords.main(synthetic_keywords.Config(out, **given))
    return Store(out)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return prepare(tmp_path_factory.mktemp("synthetic") / "store")


def column(store: Store, name: str) -> list[str]:
    return [value for split in SPLITS for value in store[split].column(name)]


def item(text: str, condition: str = "noisy", take: int = 0, speaker: str = "f3+en-gb") -> Item:
    name = f"{text or 'silence'}/{speaker}/{take:02d}/{condition}"
    return Item(name, None, name, "train", text or "silence", text, speaker, condition)


def clip(seconds: float = 0.9, seed: int = 1) -> SpeakClip:
    return SpeakClip(FeatureSettings(), ClipSettings(seconds=seconds), seed)


# The store


def test_words_near_misses_and_silence_are_the_classes(store: Store) -> None:
    assert list(store.names) == ["no", "yes", "unknown", "silence"]
    voices = Counter(split for split in synthetic_keywords.split_voices(config(voices=8)).values())
    assert voices == {"train": 6, "valid": 1, "test": 1}
    for split in SPLITS:
        twice = 2 if split == "train" else 1  # near misses to learn from are more
        takes = 2 * voices[split] + (4 if split == "train" else 0)  # random voices speak each word once
        assert Counter(store[split].labels) == {"no": takes, "yes": takes, "unknown": twice * takes, "silence": takes}


def config(**options: object) -> object:
    return synthetic_keywords.Config(Path("unused"), **{"words": WORDS, **options})


def test_no_voice_is_in_two_splits(store: Store) -> None:
    heard = {split: {name for name in store[split].column("speaker") if name} for split in SPLITS}
    assert all(heard.values())
    assert heard["train"].isdisjoint(heard["valid"] | heard["test"])
    assert heard["valid"].isdisjoint(heard["test"])
    assert all(name.endswith("+en-gb") for names in heard.values() for name in names)


def test_random_voices_are_for_training_alone(store: Store) -> None:
    drawn = {f"drawn-{number:04d}+en-gb" for number in range(4)}
    assert drawn < set(store["train"].column("speaker"))
    assert not any(name.startswith("drawn") for split in ("valid", "test") for name in store[split].column("speaker"))


def test_random_voices_differ_and_repeat() -> None:
    names = random_names(30)
    timbres = [random_timbre(name) for name in names]
    assert timbres == [random_timbre(name) for name in names]
    words = [speak("seven", timbre=timbre)[0] for timbre in timbres]
    assert len({word.tobytes() for word in words}) == len(names)
    assert all(level(word) > -60 for word in words)


def test_every_split_has_women_and_men() -> None:
    splits = synthetic_keywords.split_voices(config())
    genders = {variant.name: variant.gender for variant in variants()}
    assert Counter(splits.values()) == {"train": 38, "valid": 6, "test": 6}
    for split in SPLITS:
        assert {genders[name] for name, of in splits.items() if of == split} == {"female", "male"}


def test_another_draw_of_the_test_changes_places_with_training_and_leaves_validation() -> None:
    genders = {variant.name: variant.gender for variant in variants()}
    draws = [synthetic_keywords.split_voices(config(test_draw=draw)) for draw in (1, 2, 3)]
    held = [{split: {name for name, of in splits.items() if of == split} for split in SPLITS} for splits in draws]
    assert all(list(splits) == list(draws[0]) for splits in draws)
    assert held[0]["valid"] == held[1]["valid"] == held[2]["valid"]
    assert len(held[0]["test"] | held[1]["test"] | held[2]["test"]) == 18  # no voice twice
    assert held[0]["train"] - held[1]["train"] == held[1]["test"]
    assert all(Counter(map(genders.get, each["test"])) == {"female": 2, "male": 4} for each in held)


def test_a_voice_is_in_the_test_again_once_all_others_were() -> None:
    splits = dict.fromkeys("abcde", "train") | {"b": "test", "d": "valid"}
    drawn = [synthetic_keywords.redrawn("abce", splits, draw) for draw in range(1, 6)]
    tests = [[name for name, of in each.items() if of == "test"] for each in drawn]
    assert tests == [["b"], ["a"], ["c"], ["e"], ["b"]]


def test_variations_of_a_voice_do_not_come_beside_it() -> None:
    names = set(synthetic_keywords.split_voices(config()))
    assert {"klatt", "iven", "Diogo", "f3", "m3"} <= names
    assert not names & {"klatt2", "iven2", "Hugo", "robosoft", "UniRobot", "whisper", "steph2"}


def test_a_voice_keeps_its_place_in_the_order_when_fewer_are_taken() -> None:
    few, more = (set(synthetic_keywords.split_voices(config(voices=count))) for count in (8, 20))
    assert few < more


def test_all_clips_have_the_same_length(store: Store) -> None:
    durations = {duration for split in SPLITS for duration in store[split].column("duration")}
    lengths = {length for split in SPLITS for length in store[split].lengths.tolist()}
    assert durations == {store.settings["clips"]["seconds"]}
    assert lengths == {feature_settings("keywords").frames(round(durations.pop() * RATE))}


def test_half_of_the_clips_are_noisy_and_more_of_those_to_train_on(store: Store) -> None:
    for split in SPLITS:
        for label in store.names:
            rows = zip(store[split].labels, store[split].column("condition"), strict=True)
            conditions = [condition for of, condition in rows if of == label]
            share = conditions.count("noisy") / len(conditions)
            assert share == (pytest.approx(0.75, abs=0.07) if split == "train" else 0.5)


def test_a_random_voice_is_heard_in_both_conditions() -> None:
    words = {word: phonemes(word, "en-gb") for word in ("yes", "no", "up", "down", "left")}
    items = synthetic_keywords.list_items(config(random_voices=8), {"en-gb": words}, {})
    heard = {(item.speaker, item.condition) for item in items if item.speaker}
    assert len(heard) == 16


@pytest.mark.parametrize(("percent", "expected"), [(0, 0), (10, 10), (33, 33), (50, 50), (100, 100)])
def test_the_share_of_noisy_clips_is_as_asked(percent: float, expected: int) -> None:
    assert sum(synthetic_keywords.is_noisy(number, percent) for number in range(100)) == expected


def test_a_row_tells_what_is_spoken_by_whom_and_how(store: Store) -> None:
    rows = zip(*(column(store, name) for name in ("id", "label", "text", "speaker", "condition")), strict=True)
    for name, label, text, speaker, condition in rows:
        if label == "silence":
            assert (text, speaker) == ("", "")
        else:
            assert name.startswith(f"{label}/{speaker}/")
            assert text.startswith("[[") if label == "unknown" else text == label
        assert name.endswith(f"/{condition}")


def test_the_store_names_the_synthesiser_and_its_settings(store: Store) -> None:
    assert store.sources[0].startswith("espeak-ng 1.")
    assert store.settings["clips"]["noisy_snr"] == [0.0, 20.0]


def test_workers_do_not_change_a_byte(store: Store, tmp_path: Path) -> None:
    other = prepare(tmp_path / "store", workers=2)
    for file in sorted(store.path.iterdir()):
        assert file.read_bytes() == (other.path / file.name).read_bytes(), file.name


def test_another_seed_gives_other_clips_under_the_same_names(store: Store, tmp_path: Path) -> None:
    other = prepare(tmp_path / "store", seed=2)
    assert column(other, "id") == column(store, "id")
    assert not np.array_equal(other["valid"].sequence(0), store["valid"].sequence(0))


def test_a_limit_takes_clips_of_all_splits_and_classes(tmp_path: Path) -> None:
    limited = prepare(tmp_path / "store", limit=60)
    assert sum(len(limited[split]) for split in SPLITS) == 60
    assert len(set(column(limited, "label"))) == 4


def test_log_mel_and_another_rate_are_taken_from_the_options(tmp_path: Path) -> None:
    other = prepare(tmp_path / "store", features="log_mel", sample_rate=8000, unknown=0, silence=0)
    assert other["train"].sequence(0).shape[1] == 40
    assert other.settings["features"]["sample_rate"] == 8000
    assert list(other.names) == ["no", "yes"]


def test_words_of_another_language_are_labels_in_normal_form(tmp_path: Path) -> None:
    given = tuple(unicodedata.normalize("NFD", word) for word in ("evet", "hayır", "aç"))
    turkish = prepare(tmp_path / "store", words=given, language="tr", takes=1, unknown=1)
    assert list(turkish.names) == ["aç", "evet", "hayır", "unknown", "silence"]
    assert all(speaker.endswith("+tr") for speaker in column(turkish, "speaker") if speaker)


# A clip


@pytest.mark.parametrize(("condition", "lowest", "highest"), [("noisy", 0.0, 20.0), ("clean", 40.0, 60.0)])
def test_the_word_stands_above_its_background_as_far_as_the_condition_says(
    condition: str, lowest: float, highest: float
) -> None:
    ratios = [signal_to_noise(*clip().parts(item("yes", condition, take))) for take in range(40)]
    assert lowest - 0.01 <= min(ratios) < lowest + 0.25 * (highest - lowest)
    assert highest - 0.25 * (highest - lowest) < max(ratios) <= highest + 0.01


def test_no_clip_is_clipped_or_out_of_level() -> None:
    for take in range(40):
        for text in ("stop", ""):
            assert np.abs(clip().samples(item(text, take=take))).max() < 0.9
        speech, _ = clip().parts(item("stop", take=take))
        assert -32.01 < level(speech[active_part(speech)]) < -13.99


def test_silence_is_background_alone_as_loud_as_behind_a_word() -> None:
    levels: dict[str, list[float]] = {"": [], "no": []}
    for text, found in levels.items():
        for take in range(60):
            speech, background = clip().parts(item(text, take=take))
            assert np.any(speech) == bool(text)
            found.append(level(background))
    assert np.mean(levels[""]) == pytest.approx(np.mean(levels["no"]), abs=3.0)


def test_the_word_lies_anywhere_between_the_margins() -> None:
    starts = []
    for take in range(40):
        speech, _ = clip(1.0).parts(item("no", "clean", take))
        starts.append(np.flatnonzero(speech)[0] / RATE)
        assert starts[-1] > MARGIN - 0.005  # convolution by FFT leaves rounding errors, not sound
    assert min(starts) < 0.15
    assert max(starts) > 0.45


def test_takes_differ_and_repeat() -> None:
    first, again, second = (clip().samples(item("yes", take=take)) for take in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_a_word_too_long_for_the_clip_is_spoken_faster() -> None:
    long = item("seventeen", "clean")
    assert len(spoken_word(long.text, long.speaker, RATE, ClipSettings().speed[1])) > 0.45 * RATE
    speech, _ = clip(0.5).parts(long)
    assert len(speech) == 0.5 * RATE
    assert level(speech[-int(MARGIN * RATE) :]) < level(speech) - 3.0  # the word is over, its reverberation is not


def test_a_word_that_fits_at_no_speed_is_refused() -> None:
    with pytest.raises(AudioError) as refused:
        clip(0.3)(item("incomprehensibilities"))
    assert refused.value.reason is Reason.TOO_LONG


def test_a_text_without_sound_is_refused() -> None:
    with pytest.raises(AudioError) as refused:
        clip()(item("..."))
    assert refused.value.reason is Reason.EMPTY


def test_clips_are_long_enough_for_the_slowest_of_the_sampled_words() -> None:
    items = [item(text, speaker=f"{name}+en-gb") for name in ("m3", "f4") for text in ("a", "seventeen") * 4]
    seconds = clip_seconds(items, ClipSettings())
    longest = max(
        len(spoken_word(each.text, each.speaker, RATE, ClipSettings().speed[0])) / RATE for each in items[::8]
    )
    assert longest + 2 * MARGIN <= seconds < longest + 2 * MARGIN + 0.1
    assert math.isclose(10 * seconds, round(10 * seconds))


# Near misses


@pytest.mark.parametrize(
    ("accent", "words"),
    [
        ("en-gb", ("yes", "no", "up", "down", "left")),
        ("en-us", ("on", "off", "stop")),
        ("tr", ("evet", "hayır", "aç", "kapat")),
        ("de", ("ja", "nein")),
        ("ru", ("да", "нет")),
        ("cmn", ("你好", "是")),
        ("ar", ("نعم",)),
    ],
)
def test_a_near_miss_differs_in_one_or_two_phonemes_of_the_same_kind(accent: str, words: tuple[str, ...]) -> None:
    inventory = Inventory.of(accent, words)
    keywords = [phonemes(word, accent) for word in words]
    heard = {inventory.sounds_of(keyword) for keyword in keywords}
    for keyword in keywords:
        for seed in range(30):
            missed = near_miss(keyword, inventory, heard, np.random.default_rng(seed))
            changes = [(old, new) for old, new in zip(keyword, missed, strict=True) if old != new]
            assert 1 <= len(changes) <= 2
            assert all(inventory.kind(old) == inventory.kind(new) != () for old, new in changes)
            assert inventory.sounds_of(missed) not in heard


def test_near_misses_sound_otherwise_and_are_many() -> None:
    misses = NearMisses.of({"yes": phonemes("yes", "en-gb")}, "en-gb", seed=1)
    texts = {misses.draw(f"clip {number}") for number in range(50)}
    assert len(texts) > 40
    keyword, _ = speak("yes", "en-gb")
    assert not any(np.array_equal(speak(text, "en-gb")[0], keyword) for text in texts)


def test_a_near_miss_keeps_the_stress() -> None:
    misses = NearMisses.of({"hello": phonemes("hello", "en-gb")}, "en-gb", seed=1)
    for number in range(20):
        assert misses.draw(f"clip {number}").count("'") == 1


def test_an_inventory_holds_each_sound_of_an_accent_once() -> None:
    english, turkish = Inventory.of("en-gb"), Inventory.of("tr")
    assert {"i:", "aU", "a"} <= set(english.vowels)
    assert {"p", "b", "S", "N", "tS"} <= set(english.consonants)
    assert {"y", "W"} <= set(turkish.vowels)
    for inventory in (english, turkish):
        kinds = inventory.vowels + inventory.consonants
        assert len({inventory.sounds[phoneme] for phoneme in kinds}) == len(kinds)


def test_a_keyword_is_never_drawn_even_where_most_exchanges_give_one() -> None:
    inventory = Inventory(("a", "i"), ("p", "t"), {sound: sound for sound in "aipt"})
    heard = {("a", "p"), ("i", "p"), ("a", "t")}
    assert near_miss(["'a", "p"], inventory, heard, np.random.default_rng(1)) == ["'i", "t"]
    with pytest.raises(OptionError, match="the phonemes 'a p have no near miss"):
        near_miss(["'a", "p"], inventory, heard | {("i", "t")}, np.random.default_rng(1))


def test_a_word_without_exchangeable_phonemes_has_no_near_miss() -> None:
    inventory = Inventory(("a",), (), {"a": "a"})
    with pytest.raises(OptionError, match="have no near miss"):
        near_miss(["'a"], inventory, {("a",)}, np.random.default_rng(1))


def test_words_read_in_another_language_have_no_near_misses() -> None:
    borrowed = phonemes("weekend", "fr")
    assert not is_native(borrowed)
    with pytest.raises(OptionError, match="fr reads all words in another language"):
        NearMisses.of({"weekend": borrowed}, "fr", seed=1)
    misses = NearMisses.of({"weekend": borrowed, "oui": phonemes("oui", "fr")}, "fr", seed=1)
    assert len(misses.keywords) == 1


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"words": ()}, "no words; give the keywords"),
        ({"words": ("yes", "no", "yes")}, "'yes' is given twice"),
        ({"words": ("aç", unicodedata.normalize("NFD", "aç"))}, "'aç' is given twice"),
        ({"words": ("yes", ";-)")}, r"';-\)' gives no phonemes in en-gb"),
        ({"words": ("yes", " ")}, "'' gives no phonemes"),
        ({"words": ("yes", "silence")}, "'silence' is the name of a built-in class"),
        ({"words": ("two", "too")}, "'two' and 'too' sound the same in en-gb"),
        ({"language": "turkisch"}, r"no language 'turkisch'; nearest are tr \(Turkish\)"),
        ({"voices": 0}, "--voices 0, expected 1 to 50"),
        ({"voices": 51}, "--voices 51, expected 1 to 50"),
        ({"voices": 2}, "--voices 2 leaves none for train"),
        ({"takes": 0}, "--takes 0, expected at least 1"),
        ({"random_voices": -1}, "--random-voices -1, expected 0 or more"),
        ({"seed": -1}, "--seed -1, expected 0 or more"),
        ({"noisy_percent": 101.0}, "--noisy-percent 101.0, expected 0 to 100"),
        ({"noisy_training": -1.0}, "--noisy-training -1.0, expected 0 to 100"),
        ({"unknown": -1}, "--unknown -1, expected 0"),
        ({"words": ("yes",), "unknown": 0, "silence": 0}, "one class alone leaves nothing to recognise"),
        ({"valid_percent": 60.0, "test_percent": 40.0}, "less than 100 together"),
    ],
)
def test_options_that_make_no_store_are_refused(options: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        prepare(tmp_path / "store", **options)
    assert not any(tmp_path.iterdir())


def test_a_store_that_is_there_stays_without_force(store: Store) -> None:
    before = (store.path / "store.json").read_bytes()
    with pytest.raises(StoreError, match="give --force to replace it"):
        prepare(store.path, words=("up", "down"))
    assert (store.path / "store.json").read_bytes() == before


def test_the_command_ends_with_one_line_for_a_word_without_sound(command: Command, tmp_path: Path) -> None:
    done = command("data_prep/synthetic_keywords.py", "--words", "yes", "?!", "--out", tmp_path / "store")
    assert_refused(done, "'?!'", "gives no phonemes")


def test_the_command_writes_a_store_and_says_what_it_holds(command: Command, tmp_path: Path) -> None:
    options = ("--voices", "8", "--takes", "1", "--random-voices", "0", "--unknown", "1", "--limit", "30")
    done = command(
        "data_prep/synthetic_keywords.py",
        "--words",
        "hayır",
        "evet",
        "--language",
        "tr",
        *options,
        "--out",
        tmp_path / "store",
    )
    assert done.returncode == 0, done.stderr
    assert "hayır" in done.stdout
    assert sum(count.rows for count in Store(tmp_path / "store").counts.values()) == 30


def test_settings_of_clips_can_be_changed_one_by_one() -> None:
    loud = replace(clip(), clips=ClipSettings(seconds=0.9, level=(-14.0, -14.0), noisy_snr=(5.0, 5.0)))
    speech, background = loud.parts(item("yes"))
    assert signal_to_noise(speech, background) == pytest.approx(5.0, abs=1e-2)
    assert level(speech[active_part(speech)]) == pytest.approx(-14.0, abs=1e-2)
