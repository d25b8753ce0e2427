"""Voices beyond espeak-ng's: commands, folders of spoken clips, several accents, and speech that is no keyword."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import time
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from conftest import Command as Run
from conftest import assert_refused
from seqaudio.augmentation.acoustics import active_part
from seqaudio.errors import AudioError, OptionError, SourceError
from seqaudio.features import FeatureSettings
from seqaudio.ledger import Reason
from seqaudio.prepare.engine import Item
from seqaudio.store import SPLITS, Store
from seqaudio.synthesis.clips import PASSAGES, ClipSettings, SpeakByCommands, SpeakClip, clip_seconds
from seqaudio.synthesis.speakers import Manner, Recorded, parse_commands
from seqaudio.synthesis.spoken import list_spoken

# writes 0.1 s of a tone for each letter of the text, from its second argument on or from standard input
SAY = """
import math, struct, sys, wave
wav, rest = sys.argv[1], sys.argv[2:]
text, pitch = rest[0] if rest else sys.stdin.readline().strip(), float(rest[1]) if rest[1:] else 300.0
if text == "mute":
    sys.exit()
if text == "fail":
    sys.exit("no such word")
frames = [int(9000 * math.sin(2 * math.pi * pitch * n / 8000)) for n in range(800 * len(text))]
with wave.open(wav, "wb") as file:
    file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
    file.writeframes(struct.pack(f"<{len(frames)}h", *frames) if text != "hush" else bytes(1600))
"""
RATE = 16000
espeak = pytest.mark.skipif(not importlib.util.find_spec("espeakng_loader"), reason="needs the extra `tts`")


@pytest.fixture
def say(tmp_path: Path) -> str:
    """The beginning of a command that speaks."""
    script = tmp_path / "say it.py"
    script.write_text(SAY)
    return f"'{sys.executable}' '{script}' {{wav}}"


def spoken(template: str, text: str, seed: int = 1) -> np.ndarray:
    return parse_commands([template])[0].say(text, RATE, Manner(), np.random.default_rng(seed))


def put_tone(path: Path, seconds: float, hertz: float = 300.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = 9000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(tone.astype("<i2").tobytes())
    return path


# Commands


def test_a_command_speaks_a_text_as_one_argument_or_from_standard_input(say: str) -> None:
    for template in (say, f"{say} {{text}}"):
        assert len(spoken(template, 'it\'s "so"; $HOME')) == pytest.approx(1.6 * RATE, abs=100)


def test_a_text_with_braces_is_not_filled_in_again(say: str) -> None:
    assert len(spoken(f"{say} {{text}}", "{wav}")) == pytest.approx(0.5 * RATE, abs=100)


def test_a_range_is_drawn_anew_for_each_take(say: str) -> None:
    template = f"{say} {{text}} {{200..400}}"
    first, again, other = (spoken(template, "abc", seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    peaks = [np.argmax(np.abs(np.fft.rfft(word, RATE))) for word in (first, other)]
    assert peaks[0] != peaks[1]
    assert all(200 <= peak <= 400 for peak in peaks)


def test_commands_are_named_after_their_programs(say: str) -> None:
    commands = parse_commands([say, say])
    stem = Path(sys.executable).stem
    assert [command.name for command in commands] == [stem, f"{stem}-2"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("", r"has no \{wav\}"),
        ("python {text}", r"has no \{wav\}"),
        ("no-such-synthesiser {wav}", "no command 'no-such-synthesiser'"),
        ("python 'x {wav}", "no closing quotation"),
        ("python {txt} {wav}", r"has \{txt\}, expected \{text\}"),
    ],
)
def test_a_command_line_that_cannot_run_is_refused(template: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_commands([template])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fail", r"cannot say 'fail': exit status 1 \(no such word\)"),
        ("mute", r"cannot say 'mute': wrote no file"),
        ("hush", "is silent for 'hush'"),
        ("-x", "would be taken for an option"),
    ],
)
def test_a_command_that_gives_no_sound_is_refused_with_its_reason(say: str, text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_commands([f"{say} {{text}}"])[0].check(text)


def test_a_file_that_is_no_sound_is_refused(say: str) -> None:
    with pytest.raises(AudioError, match="the file it wrote: ") as refused:
        spoken(f"'{sys.executable}' -c 'import sys; open(sys.argv[1], \"w\").write(\"x\" * 99)' {{wav}}", "yes")
    assert refused.value.reason is Reason.NOT_AUDIO


@pytest.mark.timeout(30)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_command_without_end_is_stopped_with_all_that_it_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("seqaudio.synthesis.speakers.TIMEOUT", 0.5)
    number = tmp_path / "number"
    child = (
        f"import subprocess; child = subprocess.Popen(['sleep', '60']); "
        f"open('{number}', 'w').write(str(child.pid)); child.wait()"
    )
    with pytest.raises(AudioError, match=r"no end within 0\.5 s") as refused:
        spoken(f"'{sys.executable}' -c \"{child}\" {{wav}}", "yes")
    assert refused.value.reason is Reason.PARSER_TIMEOUT
    state = Path("/proc", number.read_text(), "stat")
    while state.exists() and state.read_text().split()[2] != "Z":  # killed at once, or the test runs out of time
        time.sleep(0.05)


@pytest.mark.skipif(not shutil.which("flite"), reason="needs flite")
def test_flite_speaks() -> None:
    slow, fast = (spoken(f"flite -voice slt --setf duration_stretch={s} -t {{text}} -o {{wav}}", "yes") for s in (2, 1))
    assert 0.15 * RATE < len(fast) < len(slow) < 3 * RATE


# Spoken clips


def test_folders_are_keywords_or_unknown_and_files_name_speakers(tmp_path: Path) -> None:
    for key in ("View_Glass/anna_001", "no/anna-2", "no/ben 3", "_other/ben_9", "view_glass_now/ben", "silence/x"):
        put_tone(tmp_path / f"{key}.wav", 0.2)
    clips, understood = list_spoken(tmp_path, ("view glass", "no"))
    assert [(clip.label, clip.text, clip.speaker, clip.split) for clip in clips] == [
        ("view glass", "view glass", "anna", "train"),
        ("unknown", "_other", "ben", "train"),
        ("no", "no", "anna", "train"),
        ("no", "no", "ben", "train"),
    ]
    assert "4 spoken clips by 2 speakers: no 2, unknown 1, view glass 1" in understood[0]
    assert "silence, view_glass_now (2 files)" in understood[1]


def test_folders_of_splits_decide_the_split(tmp_path: Path) -> None:
    for key in ("train/no/a", "dev/no/b", "test/no/c"):
        put_tone(tmp_path / f"{key}.wav", 0.2)
    assert sorted(clip.split for clip in list_spoken(tmp_path, ("no",)).clips) == ["test", "train", "valid"]


def test_folders_without_a_keyword_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        list_spoken(tmp_path / "gone", ("yes",))
    put_tone(tmp_path / "no" / "a.wav", 0.2)
    with pytest.raises(SourceError, match="no folder is named after one of the words; its folders are no"):
        list_spoken(tmp_path, ("yes",))


# Clips


def test_other_speech_that_is_too_long_is_cut_and_a_word_refused(tmp_path: Path) -> None:
    make = SpeakClip(FeatureSettings(), ClipSettings(seconds=0.6), seed=1)
    path = put_tone(tmp_path / "long.wav", 2.0)
    speech, _ = make.parts(Item("a", path, "a", "train", "unknown", "_other", "anna", "clean"))
    assert np.all(np.abs(speech[:800]).reshape(8, 100).max(1) > 0)  # from the first sample on
    assert len(speech) == 0.6 * RATE
    with pytest.raises(AudioError, match=r"does not fit into 0\.6 s: 'no' takes longer"):
        make.parts(Item("a", path, "a", "train", "no", "no", "anna", "clean"))


def test_a_command_speaks_the_items_of_its_name(say: str) -> None:
    commands = parse_commands([f"{say} {{text}}"])
    make = SpeakByCommands(FeatureSettings(), ClipSettings(seconds=1.0), 1, commands)
    item = Item("a", None, "a", "train", "four", "four", commands[0].name, "clean")
    speech, _ = make.parts(item)
    assert 0.4 * RATE < np.ptp(np.flatnonzero(np.abs(speech) > 1e-3)) < 0.95 * RATE
    assert np.array_equal(make.samples(item), make.samples(item))


def test_one_recording_of_minutes_does_not_decide_the_length_of_all_clips(tmp_path: Path) -> None:
    short = [put_tone(tmp_path / f"{number}.wav", 0.5) for number in range(30)]
    long = put_tone(tmp_path / "long.wav", 20.0)
    items = [Item("", path, "", "train", "no", "no", "anna") for path in (*short, long)]
    assert clip_seconds(items, ClipSettings()) == pytest.approx(0.6)
    assert Recorded("anna", short[0]).say("no", RATE, Manner(), np.random.default_rng()).shape == (0.5 * RATE - 1,)


# The store


@espeak
def test_a_store_has_espeak_commands_clips_accents_and_speech(say: str, tmp_path: Path, command: Run) -> None:
    for key in ("yes/anna_001", "yes/anna_002", "maybe/anna_003"):
        put_tone(tmp_path / "clips" / f"{key}.wav", 0.4)
    (tmp_path / "words.txt").write_text("red house\n\nyes\nblue\n")
    done = command(
        "data_prep/synthetic_keywords.py",
        *("--words", "yes", "no", "--voices", "8", "--takes", "1", "--random-voices", "6", "--unknown", "1"),
        *("--speech", "2", "--other-words", tmp_path / "words.txt", "--accents", "en-us", "en-gb"),
        *("--speak", f"{say} {{text}} {{200..400}}", "--speak", say, "--speak-takes", "1"),
        *("--spoken", tmp_path / "clips", "--spoken-takes", "3", "--out", tmp_path / "store"),
    )
    assert done.returncode == 0, done.stderr
    assert "3 spoken clips by 1 speakers: unknown 1, yes 2" in done.stdout
    store = Store(tmp_path / "store")
    train = store["train"]
    rows = list(zip(train.labels, *(train.column(name) for name in ("speaker", "text", "id")), strict=True))
    stem = Path(sys.executable).stem
    heard = Counter((label, speaker) for label, speaker, _, _ in rows if speaker in (stem, f"{stem}-2", "anna"))
    for name in (stem, f"{stem}-2"):
        assert (heard["yes", name], heard["no", name], heard["unknown", name]) == (1, 1, 3)
    assert (heard["yes", "anna"], heard["unknown", "anna"]) == (6, 3)
    accents = {speaker.partition("+")[2] for _, speaker, _, _ in rows if "+" in speaker}
    assert accents == {"en-us", "en-gb"}
    phrases = [text for label, _, text, name in rows if name.startswith(PASSAGES) and label == "unknown"]
    assert phrases
    assert all(set(text.split()) <= {"red", "house", "blue"} for text in phrases)  # and never yes
    assert not any(stem in store[split].column("speaker") for split in SPLITS if split != "train")


@espeak
def test_made_up_speech_holds_no_keyword_and_fills_its_clip() -> None:
    from seqaudio.synthesis.espeak import phonemes
    from seqaudio.synthesis.negatives import Negatives
    from seqaudio.synthesis.random_speech import has_keyword

    # a keyword of a single phoneme would be in most passages
    negatives = Negatives.of({"en-gb": {word: phonemes(word, "en-gb") for word in ("see", "tea", "eye")}}, seed=1)
    speech = negatives.speech()["en-gb"]
    texts = {speech.draw(f"clip {number}") for number in range(40)}
    assert len(texts) == 40
    for text in texts:
        sounds = negatives.inventories["en-gb"].sounds_of(text[2:-2].split("|"))
        assert not has_keyword(sounds, negatives.keyword_sounds)
    name = f"{PASSAGES}f3+en-gb/00/clean"
    make = SpeakClip(FeatureSettings(), ClipSettings(seconds=0.8), seed=1)
    samples, _ = make.parts(Item(name, None, name, "train", "unknown", max(texts, key=len), "f3+en-gb", "clean"))
    part = active_part(samples)
    assert part.stop - part.start > 0.6 * RATE


@espeak
def test_respelled_keywords_are_read_otherwise() -> None:
    from seqaudio.synthesis.espeak import phonemes
    from seqaudio.synthesis.negatives import Negatives

    respellings = Negatives.of({"en-us": {"jarvis": phonemes("jarvis", "en-us")}}, seed=1).respellings()
    misses = {respellings.near_miss(f"clip {number}") for number in range(40)}
    assert len(misses) > 20
    assert "jarvis" not in misses
    assert all(sum(a != b for a, b in zip(miss, "jarvis", strict=True)) in (1, 2) for miss in misses)
    foreign = Negatives.of({"ru": {"да": phonemes("да", "ru")}}, seed=1).respellings()
    assert foreign.near_miss("clip").isdecimal()  # no letter is of the Latin alphabet


@espeak
def test_accents_are_drawn_by_the_name_of_the_voice() -> None:
    from seqaudio.synthesis.negatives import accent_of, choose_accents

    assert choose_accents("en", ()) == ("en-gb",)
    every = choose_accents("en", ("all",))
    assert {"en-gb", "en-us", "en-gb-scotland"} <= set(every)
    counts = Counter(accent_of(f"drawn-{number:04d}", every) for number in range(700))
    assert counts.keys() == set(every)
    assert max(counts.values()) < 2 * min(counts.values())
    with pytest.raises(OptionError, match="en-us is given twice"):
        choose_accents("en", ("en-us", "en-us"))
    with pytest.raises(OptionError, match="no language 'en-xx'"):
        choose_accents("en", ("en-xx",))


@espeak
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--other-words", "x"), "--other-words are for running speech; give --speech 1"),
        (("--other-words", "gone.txt", "--speech", "1"), "gone.txt: No such file"),
        (("--speak", "flite {text}"), "has no {wav}"),
        (("--spoken", "gone"), "gone: no such folder"),
        (("--speak-takes", "0"), "--speak-takes 0"),
    ],
)
def test_options_without_effect_or_sense_are_refused(
    options: tuple[str, ...], message: str, tmp_path: Path, command: Run
) -> None:
    done = command("data_prep/synthetic_keywords.py", "--words", "yes", "no", "--out", tmp_path / "store", *options)
    assert_refused(done, message)
