"""Detectors of other packages on the stream of the scorecard, where they are installed."""

from __future__ import annotations

import math
from importlib.util import find_spec

import numpy as np
import pytest

from seqaudio.errors import OptionError
from seqaudio.evaluation.alarms.detectors import record
from seqaudio.evaluation.alarms.material import RATE
from seqaudio.evaluation.alarms.rivals import RIVALS, UnknownWordError, rival


def hiss(seconds: float, gain: float = 0.03) -> np.ndarray:
    return (gain * np.random.default_rng(1).standard_normal(round(seconds * RATE))).astype(np.float32)


def test_a_rival_that_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(OptionError, match="no rival is called 'porcupine'"):
        rival("porcupine", "alexa")
    for name in RIVALS:
        if find_spec(name) is None:
            with pytest.raises(OptionError, match=f"--beside {name}: the package is not installed; pip install"):
                rival(name, "alexa")


@pytest.mark.parametrize("name", list(RIVALS))
def test_a_rival_hears_noise_without_alarm_whatever_the_blocks(name: str) -> None:
    pytest.importorskip(name)
    detector = rival(name, "alexa")
    samples = hiss(4)
    (whole,) = record([detector], [samples])
    (cut,) = record([detector], np.array_split(samples, [1, 20000, 20001]))
    assert len(whole.scores) == pytest.approx(4.0 / detector.step, abs=3)
    np.testing.assert_allclose(cut.scores, whole.scores, atol=1e-3)
    assert detector.usual is not None
    assert whole.scores.max() < detector.usual
    with pytest.raises(UnknownWordError, match="xqzw"):
        rival(name, "xqzw")


def test_one_search_gives_the_detections_of_all_thresholds() -> None:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    pytest.importorskip("espeakng_loader")
    from seqaudio.audio.recording import resample, to_int16
    from seqaudio.synthesis.espeak import speak

    texts = ("computer", "commuter", "house", "the computer")
    spoken = [resample(*speak(text), RATE) for text in texts]
    samples = np.concatenate([np.concatenate([hiss(1, 0.003), part.astype(np.float32)]) for part in spoken])
    (found,) = record([rival("pocketsphinx", "computer")], [samples])
    for exponent in (-40, -30, -20, -10):
        decoder = pocketsphinx.Decoder(
            samprate=RATE, lm=None, loglevel="FATAL", keyphrase="computer", kws_threshold=10.0**exponent
        )
        decoder.start_utt()
        decoder.process_raw(to_int16(samples).tobytes(), False, False)
        decoder.end_utt()
        expected = sorted(one.end_frame for one in decoder.seg() or ())
        unit = 1024 * math.log10(1.0001)  # it rounds its threshold down to whole units
        assert np.flatnonzero(found.scores > exponent - unit).tolist() == expected
