"""espeak-ng: repeatable samples, phonemes, voices, and what is said where it cannot speak."""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from seqaudio.errors import OptionError, SourceError
from seqaudio.synthesis.espeak import WORD_GAP, library_version, phonemes, speak, spell, variants, voices

espeakng_loader = pytest.importorskip("espeakng_loader", reason="speech synthesis is the extra `tts`")

# of each kind of state that the library keeps: flutter, breath of two generators, echo, two other synthesisers
STATEFUL = ("", "f1", "f3", "f5", "whisper", "caleb", "Reed", "Marco", "klatt2", "klatt4", "klatt6", "croak")


def digest(samples: np.ndarray) -> str:
    return hashlib.sha256(samples.tobytes()).hexdigest()


def fundamental(samples: np.ndarray, rate: int) -> np.ndarray:
    """Fundamental frequency [hertz] of the louder 40 ms frames, by the peak of their autocorrelation."""
    size = int(0.04 * rate)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.mean(frames**2, axis=1)
    found = []
    for frame in frames[power > 0.2 * power.max()]:
        similar = np.correlate(frame, frame, "full")[size - 1 :]
        lags = np.arange(rate // 500, rate // 60)
        found.append(rate / lags[np.argmax(similar[lags])])
    return np.array(found)


def is_loaded() -> bool:
    try:
        held = ctypes.CDLL(espeakng_loader.get_library_path(), mode=os.RTLD_NOLOAD)
    except OSError:
        return False
    unload(held)
    return True


def unload(library: ctypes.CDLL) -> None:
    close = ctypes.CDLL(None).dlclose
    close.argtypes = [ctypes.c_void_p]
    close(library._handle)


# Repeatable samples


def test_equal_calls_give_equal_samples_whatever_was_spoken_before() -> None:
    calls = [(word, variant, pitch) for word in ("seven", "no") for variant in STATEFUL for pitch in (20, 80)]
    heard: dict[tuple[str, str, int], set[str]] = {call: set() for call in calls}
    for trial in range(3):
        random.Random(trial).shuffle(calls)
        for word, variant, pitch in calls:
            samples, _ = speak(word, "en", variant=variant, pitch=pitch)
            heard[word, variant, pitch].add(digest(samples))
    assert {call for call, digests in heard.items() if len(digests) > 1} == set()
    assert len(set.union(*heard.values())) == len(calls)


def test_another_language_and_its_phonemes_leave_no_trace() -> None:
    before, _ = speak("house", "en", variant="f2")
    speak("hayır", "tr", variant="whisper", speed=300, pitch=90, pitch_range=0)
    phonemes("Straße", "de")
    after, _ = speak("house", "en", variant="f2")
    assert np.array_equal(before, after)


def test_another_process_gives_the_same_samples() -> None:
    program = (
        "import hashlib; from seqaudio.synthesis.espeak import speak; "
        "print(hashlib.sha256(speak('seven', 'en-us', variant='caleb', speed=140)[0].tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(speak("seven", "en-us", variant="caleb", speed=140)[0])


def test_threads_that_speak_at_once_do_not_disturb_each_other() -> None:
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven"] * 3
    alone = [digest(speak(word)[0]) for word in words]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda word: digest(speak(word)[0]), words))
    assert together == alone


def test_the_library_is_unloaded_after_use_and_after_a_failure() -> None:
    speak("yes")
    assert not is_loaded()
    with pytest.raises(OptionError):
        speak("yes", "no-such-language")
    assert not is_loaded()


@pytest.mark.usefixtures("control_c")
def test_interrupting_ends_the_speech_and_nothing_swallows_it() -> None:
    program = (
        "from seqaudio.synthesis.espeak import speak\n"
        "speak('ready'); print('ready', flush=True)\n"
        "while True: speak('again and again and again')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert "Exception ignored" not in errors


# What is heard


def test_samples_are_mono_float32_within_full_scale() -> None:
    samples, rate = speak("hello world")
    assert (samples.dtype, samples.ndim, rate) == (np.float32, 1, 22050)
    assert 0.05 < np.abs(samples).max() < 1.0
    assert 0.4 < len(samples) / rate < 1.5


def test_every_variant_speaks() -> None:
    for variant in variants():
        samples, _ = speak("seven", variant=variant.name)
        assert np.abs(samples).max() > 0.01, variant
        assert np.abs(samples).max() <= 1.0, variant


@pytest.mark.parametrize("accent", ["en-gb", "en-us", "tr", "cmn"])
def test_the_lines_of_a_variant_are_that_variant(accent: str) -> None:
    import espeakng_loader

    lines = Path(espeakng_loader.get_data_path(), "voices", "!v", "f3").read_text()
    named, _ = speak("seven", accent, variant="f3")
    assert np.array_equal(speak("seven", accent, timbre=lines)[0], named)
    assert not np.array_equal(speak("seven", accent, timbre="formant 1 130 100 100")[0], named)


def test_a_timbre_leaves_no_file_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        speak("yes", timbre="pitch 100 120")
        assert not any(Path(folder).iterdir())


def test_a_variant_and_a_timbre_are_refused() -> None:
    with pytest.raises(OptionError, match="'f3' and a timbre are given, expected one"):
        speak("yes", variant="f3", timbre="pitch 100 120")


def test_a_temporary_folder_that_the_library_cannot_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(SourceError, match="at most 59 bytes without capitals; set TMPDIR"):
        speak("yes", timbre="pitch 100 120")
    assert not any(folder.iterdir())


def test_the_echo_after_the_last_word_is_whole() -> None:
    samples, rate = speak("yes", variant="f4")
    last = samples[-rate // 50 :]
    assert np.abs(last).max() < 0.01 * np.abs(samples).max()


def test_a_higher_speed_gives_a_shorter_sound() -> None:
    lengths = [len(speak("seventeen", speed=speed)[0]) for speed in (80, 150, 250, 450)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > 2 * lengths[-1]


def test_a_higher_pitch_raises_the_fundamental() -> None:
    low, middle, high = (np.median(fundamental(*speak("no", variant="f2", pitch=pitch))) for pitch in (10, 50, 90))
    assert low * 1.3 < middle < high / 1.3


def test_a_wider_pitch_range_moves_the_fundamental_more() -> None:
    flat, lively = (np.ptp(fundamental(*speak("no", variant="f2", pitch_range=span))) for span in (0, 99))
    assert flat < 0.5 * lively


def test_women_speak_higher_than_men() -> None:
    genders = {variant.name: variant.gender for variant in variants()}
    assert (genders["f2"], genders["m3"]) == ("female", "male")
    woman, man = (np.median(fundamental(*speak("no", variant=name))) for name in ("f2", "m3"))
    assert woman > 1.3 * man


# Phonemes


@pytest.mark.parametrize(
    ("word", "voice", "expected"),
    [
        ("yes", "en-gb", ["j", "'E", "s"]),
        ("chair", "en-gb", ["tS", "'e@"]),
        ("kapat", "tr", ["k", "a", "p", "'a", "t"]),
        ("hello world", "en-gb", ["h", "@", "l", "'oU", WORD_GAP, "w", "'3:", "l", "d"]),
        ("one. two", "en-gb", ["w", "'0", "n", WORD_GAP, "t", "'u:"]),
        ("...", "en-gb", []),
        ("", "en-gb", []),
    ],
)
def test_phonemes_of_a_text(word: str, voice: str, expected: list[str]) -> None:
    assert phonemes(word, voice) == expected


def test_phonemes_in_ipa() -> None:
    assert phonemes("yes", "en-gb", ipa=True) == ["j", "ˈɛ", "s"]
    assert phonemes("oui", "fr", ipa=True) == ["", "w", "ˈi"]  # it begins with a pause
    assert phonemes("hayır", "tr", ipa=True) == ["h", "a", "j", "ˈɯ", "r"]


@pytest.mark.parametrize(
    ("word", "voice"),
    [("chair", "en"), ("hello world", "en"), ("hayır", "tr"), ("привет", "ru"), ("bonjour", "fr"), ("nein", "de")],
)
def test_phonemes_spoken_are_the_word_to_the_sample(word: str, voice: str) -> None:
    from_text, _ = speak(word, voice, variant="f3")
    from_phonemes, _ = speak(spell(phonemes(word, voice)), voice, variant="f3")
    assert np.array_equal(from_text, from_phonemes)


def test_a_word_of_another_language_is_marked() -> None:
    assert phonemes("weekend", "fr")[0] == "(en)"


# Voices


def test_accents_of_a_language_come_in_order_of_use() -> None:
    assert voices("en")[:2] == ["en-gb", "en-us"]
    assert voices("tr") == ["tr"]
    assert set(voices("fr")) == {"fr-fr", "fr-be", "fr-ch"}


def test_all_accents_are_listed_without_a_language() -> None:
    everything = voices()
    assert len(everything) > 100
    assert {"en-gb", "tr", "cmn", "sw"} <= set(everything)


def test_a_language_is_spoken_in_its_first_accent() -> None:
    assert np.array_equal(speak("hot", "en")[0], speak("hot", "en-gb")[0])
    assert not np.array_equal(speak("hot", "en")[0], speak("hot", "en-us")[0])


def test_there_are_about_a_hundred_variants_each_once() -> None:
    names = [variant.name for variant in variants()]
    assert len(names) == len(set(names)) >= 100


def test_the_version_is_a_number() -> None:
    assert all(part.isdigit() for part in library_version().split("."))


# What cannot be spoken


@pytest.mark.parametrize(
    ("given", "nearest"), [("turkish", "tr (Turkish)"), ("en-uk", "en-gb"), ("deu", "de (German)")]
)
def test_an_unknown_language_names_the_nearest(given: str, nearest: str) -> None:
    with pytest.raises(OptionError, match=f"no language '{given}'") as refused:
        voices(given)
    assert nearest in str(refused.value)


def test_an_unknown_variant_names_the_nearest() -> None:
    with pytest.raises(OptionError, match="unknown voice variant 'f33'; did you mean f3"):
        speak("yes", variant="f33")


@pytest.mark.parametrize(
    ("name", "value"),
    [("speed", 79), ("speed", 451), ("pitch", -1), ("pitch", 100), ("pitch_range", -1), ("pitch_range", 100)],
)
def test_a_value_out_of_range_is_refused(name: str, value: int) -> None:
    with pytest.raises(OptionError, match=f"{name} {value}, expected a whole number from"):
        speak("yes", **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["yes\0no", "\udcff"])
def test_a_text_that_cannot_be_handed_over_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="expected words to speak"):
        speak(text)


def test_without_the_package_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(SourceError) as refused:
        speak("yes")
    assert 'pip install ".[tts]"' in str(refused.value)
    assert "\n" not in str(refused.value)


def loader(library: str, data: str) -> ModuleType:
    module = ModuleType("espeakng_loader")
    module.get_library_path = lambda: library  # type: ignore[attr-defined]
    module.get_data_path = lambda: data  # type: ignore[attr-defined]
    return module


def test_a_library_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "libespeak-ng.so"
    broken.write_bytes(b"not a library")
    monkeypatch.setitem(sys.modules, "espeakng_loader", loader(str(broken), espeakng_loader.get_data_path()))
    with pytest.raises(SourceError, match="cannot be loaded"):
        library_version()


def test_a_library_without_its_data_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = espeakng_loader.get_library_path()
    monkeypatch.setitem(sys.modules, "espeakng_loader", loader(library, str(tmp_path / "nothing")))
    with pytest.raises(SourceError, match="finds no voices"):
        library_version()
    assert not is_loaded()


def test_a_library_that_others_hold_is_refused_rather_than_shared() -> None:
    held = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        with pytest.raises(SourceError, match="another part of this process already uses espeak-ng"):
            speak("yes")
    finally:
        unload(held)
    assert len(speak("yes")[0])
