"""`seqaudio serve`: answers are those of the commands; odd files, odd clients and odd names harm nothing and nobody."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile
import torch

import seqaudio
from cases import KINDS, cases_folder
from conftest import RATE, ROOT, Command, assert_refused, spoken, two_words
from mutated_audio import good_files, mutate
from seqaudio.audio.recording import to_int16
from seqaudio.decoding.keywords import KeywordRecognizer
from seqaudio.decoding.recognition import StreamRecognizer
from seqaudio.decoding.spotting import Spotter
from seqaudio.features import FeatureSettings
from seqaudio.midi import read_midi
from seqaudio.models import build_model
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.vocabulary import FILL_MARKS, Vocabulary

pytest.importorskip("fastapi", reason='the extra is not installed: pip install ".[web]"')
pytest.importorskip("uvicorn", reason='the extra is not installed: pip install ".[web]"')
pytest.importorskip("websockets", reason='the extra is not installed: pip install ".[web]"')

from serving import MEGABYTES, SECONDS, Place, holding, wait
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from seqaudio.api.music import Music
from seqaudio.web import live, server, uploads
from seqaudio.web.grids import COLUMNS, grid, wave
from seqaudio.web.pieces import Musician
from seqaudio.web.recordings import listener_of
from seqaudio.web.safety import OwnPage
from seqaudio.web.server import Served


@pytest.fixture(scope="module")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recogniser of two letters that has learned nothing."""
    features = FeatureSettings(kind="log_mel", sample_rate=RATE, mels=12)

    class Data:
        kind, fingerprint = "features", "0"
        settings: ClassVar[dict[str, Any]] = {"features": features.to_dict()}
        names = Vocabulary(("<blank>", " ", "a", "b"))

    arguments = {"input_size": 12, "classes": 4, "hidden_size": 8, "layers": 1, "bidirectional": False}
    model = {"name": "recogniser", "arguments": arguments | {"centring": "running", "memory": 100.0}}
    about = {"text": {"units": "characters"}, "longest_seconds": 2.0}
    return untrained(
        tmp_path_factory, "letters", recipe="speech_recognition", model=model, store=Data(), about_input=about
    )


@pytest.fixture(scope="module")
def filling_run(tune_run: Path, tune_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that fills in bars, and has learned nothing."""
    store = Store(tune_store)
    labels = Vocabulary((*store.names, *FILL_MARKS))
    model = RunFolder(tune_run).config["model"]
    model = model | {"arguments": model["arguments"] | {"vocabulary_size": len(labels)}}
    return untrained(tmp_path_factory, "filling", recipe="music_generation", model=model, store=store, labels=labels)


def untrained(factory: pytest.TempPathFactory, name: str, model: dict[str, Any], **about: Any) -> Path:
    """A run with random weights."""
    run = RunFolder.create(factory.mktemp(name) / name, settings={}, model=model, resume=False, **about)
    torch.manual_seed(3)
    run.save_weights(build_model(model["name"], model["arguments"]))
    return run.path


@pytest.fixture(scope="module")
def place(
    spotting_run: Path,
    word_run: Path,
    tune_run: Path,
    text_run: Path,
    filling_run: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    temporary = tmp_path_factory.mktemp("temporary")
    listeners = {"spotter": spotting_run, "clips": word_run, "letters": text_run}
    served = Served(
        {name: listener_of(RunFolder(run)) for name, run in listeners.items()},
        {name: Musician(Music(RunFolder(run))) for name, run in (("tunes", tune_run), ("filling", filling_run))},
        SECONDS,
        MEGABYTES,
        "127.0.0.1",
    )
    before = tempfile.tempdir
    tempfile.tempdir = str(temporary)
    try:
        with Place(served, temporary) as place:
            wait(lambda: place.work.done >= len(listeners))  # what the server does first of all
            yield place
    finally:
        tempfile.tempdir = before


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return two_words()


@pytest.fixture(scope="module")
def recording(sound: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recording") / "words.wav"
    soundfile.write(file, sound, RATE)
    return file


def values_of(sent: dict[str, Any]) -> np.ndarray:
    """The values [columns, rows] of a picture, as the page reads them."""
    bytes_ = np.frombuffer(base64.b64decode(sent["values"]), np.uint8).reshape(sent["columns"], sent["rows"])
    return np.asarray(sent["low"] + bytes_ / 255 * (sent["high"] - sent["low"]))


# --- recordings ---


def test_a_recording_is_answered_as_by_recognize(place: Place, spotting_run: Path, recording: Path) -> None:
    expected = StreamRecognizer(RunFolder(spotting_run)).recognize(recording)
    found = place.hear(recording.read_bytes()).data
    assert [word["text"] for word in found["words"]] == ["two", "one"]
    assert [(word["text"], word["start"], word["end"], word["confidence"]) for word in found["words"]] == [
        (hit.keyword, round(hit.start, 3), round(hit.end, 3), round(hit.confidence, 6)) for hit in expected.hits
    ]
    assert (found["label"], found["probability"]) == (expected.label, round(expected.probability, 6))
    # the picture shows the probability on which the answer rests, at its time
    labels = found["posteriors"]["labels"]
    averages = values_of(found["posteriors"]["averaged"])
    for word in found["words"]:
        row = averages[:, labels.index(word["text"])]
        assert row.max() == pytest.approx(word["confidence"], abs=1 / 250)
        sent = found["posteriors"]["averaged"]
        peak = sent["start"] + row.argmax() / sent["columns"] * (sent["end"] - sent["start"])
        assert word["start"] < peak < word["end"] + 0.6
    assert np.isclose(values_of(found["posteriors"]["raw"]).sum(axis=1), 1, atol=0.05).all()
    assert {(gate["layer"], gate["gate"]) for gate in found["gates"]} == {("layer 1", "reset"), ("layer 1", "update")}
    assert len(found["wave"]["high"]) == COLUMNS


def test_a_clip_has_the_answer_of_a_clip(place: Place, spotting_run: Path, word_run: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", spoken(2, 0, 1), RATE)
    content = (tmp_path / "clip.wav").read_bytes()
    streamed = StreamRecognizer(RunFolder(spotting_run)).recognize(tmp_path / "clip.wav")
    found = place.hear(content).data
    assert (found["label"], found["is_clip"]) == (streamed.label, True) == ("three", True)
    whole = KeywordRecognizer(RunFolder(word_run)).recognize(tmp_path / "clip.wav")
    found = place.hear(content, "clips").data
    assert (found["label"], found["probability"]) == (whole[0].label, round(whole[0].probability, 6))
    # the last column is the probability after the whole clip, which is the answer
    label = found["posteriors"]["labels"].index(found["label"])
    assert values_of(found["posteriors"]["raw"])[-1, label] == pytest.approx(whole[0].probability, abs=1 / 200)
    soundfile.write(tmp_path / "long.wav", np.pad(spoken(2, 0, 1), RATE), RATE)
    long = (tmp_path / "long.wav").read_bytes()
    expected = seqaudio.load(word_run).recognize(tmp_path / "long.wav")
    words = place.hear(long, "clips").data["words"]
    assert [(word["text"], word["start"]) for word in words] == [
        (hit.keyword, round(hit.start, 3)) for hit in expected.hits
    ]
    assert words


def test_text_is_that_of_transcribe(command: Command, place: Place, text_run: Path, recording: Path) -> None:
    done = command("seqaudio", "transcribe", text_run, recording, "--json", "--words")
    assert done.returncode == 0, done.stderr
    expected = json.loads(done.stdout)
    found = place.hear(recording.read_bytes(), "letters").data
    assert found["text"] == expected["text"]
    words = [word for one in expected["utterances"] for word in one["words"]]
    assert len(words) > 1
    assert [(word["text"], word["start"], word["end"]) for word in found["words"]] == [
        (word["word"], word["start"], word["end"]) for word in words
    ]
    sums = values_of(found["posteriors"]["raw"]).sum(axis=1)
    heard = np.isclose(sums, 1, atol=0.05)
    assert heard.mean() > 0.9
    assert np.isclose(sums[~heard], 0, atol=0.05).all(), "quiet between utterances is left out"


def test_silence_and_sound_shorter_than_a_frame_have_an_answer_or_a_line(
    place: Place, spotting_run: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(2 * RATE), RATE)
    found = place.hear((tmp_path / "silent.wav").read_bytes()).data
    assert (found["label"], found["words"]) == ("silence", [])
    soundfile.write(tmp_path / "short.wav", np.zeros(20), RATE)
    short = (tmp_path / "short.wav").read_bytes()
    expected = StreamRecognizer(RunFolder(spotting_run)).recognize(tmp_path / "short.wav")
    assert place.hear(short).data["label"] == expected.label
    assert place.hear(short, "clips").error.startswith("too short: ")
    assert place.hear(short, "letters").error.startswith("too short: ")


def test_pictures_hold_as_many_columns_as_a_screen_has() -> None:
    values = np.random.default_rng(0).random((2 * COLUMNS + 7, 3))
    found = grid(values, (0.0, 5.0), peak=True)
    assert (found["columns"], found["rows"], found["start"], found["end"]) == (COLUMNS, 3, 0.0, 5.0)
    shown = values_of(found)
    assert shown.max() == pytest.approx(values.max(), abs=1e-4)
    np.testing.assert_allclose(values_of(grid(values[:9], (0, 1))), values[:9], atol=0.003)
    empty = grid(values[:0], (0, 0))
    assert (empty["columns"], empty["values"]) == (0, "")
    assert wave(np.zeros(0, dtype=np.float32)) == {"low": [], "high": []}
    assert wave(np.array([0.5, -0.25], dtype=np.float32)) == {"low": [0.5, -0.25], "high": [0.5, -0.25]}


# --- music ---


def test_a_seed_gives_the_piece_that_generate_writes(
    command: Command, place: Place, tune_run: Path, tmp_path: Path
) -> None:
    found = place.compose(seed=5, bars=6, temperature=0.9).data
    midi = base64.b64decode(found["midi"])
    assert midi == seqaudio.load(tune_run).generate(seed=5, bars=6, temperature=0.9).bytes(".mid")
    done = command(
        "seqaudio",
        "generate",
        tune_run,
        "--out",
        tmp_path / "x.mid",
        "--seed",
        "5",
        "--bars",
        "6",
        "--temperature",
        "0.9",
    )
    assert done.returncode == 0, done.stderr
    written = read_midi(tmp_path / "x.mid")
    assert read_midi(midi) == written
    assert len(found["notes"]) == len(written)
    assert len(found["bars"]) == 7
    assert [note[2] for note in found["notes"]] == written.pitch.tolist()
    np.testing.assert_allclose([note[1] for note in found["notes"]], written.end, atol=1e-3)
    assert base64.b64decode(found["musicxml"]).startswith(b"<?xml")
    assert place.compose(seed=6, bars=6, temperature=0.9).data["midi"] != found["midi"]


def test_a_piece_goes_on_from_a_primer_and_is_heard(place: Place, tune_folder: Path) -> None:
    primer = (tune_folder / "tune00.mid").read_bytes()
    begun = place.ask("/api/roll", primer).data
    found = place.compose(seed=1, primer=base64.b64encode(primer).decode(), bars=len(begun["bars"]) + 3).data
    kept = {(round(note[0], 2), note[2]) for note in begun["notes"]}
    assert kept <= {(round(note[0], 2), note[2]) for note in found["notes"]}
    assert found["seconds"] > begun["seconds"]
    sound = place.ask("/api/sound", base64.b64decode(found["midi"]))
    assert (sound.status, sound.headers["content-type"]) == (200, "audio/wav")
    assert sound.content[:4] == b"RIFF"


def test_bars_are_written_anew_as_by_fill(place: Place, filling_run: Path, tune_folder: Path) -> None:
    file = tune_folder / "tune00.mid"  # of two bars
    given = base64.b64encode(file.read_bytes()).decode()
    asked = {"model": "filling", "piece": given, "first": 2, "seed": 7, "temperature": 0.8}
    found = place.compose(**asked).data
    expected = seqaudio.load(filling_run).fill(file, 2, seed=7, temperature=0.8)
    assert base64.b64decode(found["midi"]) == expected.bytes(".mid")
    before = place.ask("/api/roll", file.read_bytes()).data
    begin, end = found["bars"][1], found["bars"][2]
    outside = [note for note in before["notes"] if not begin <= note[0] < end]
    assert [note for note in found["notes"] if not begin <= note[0] < end] == outside
    assert found["notes"] != before["notes"]
    assert "--bars" not in place.compose(**asked | {"last": 400}).error
    about = place.ask("/api/models").data["musicians"]
    assert [(one["name"], one["fills"], one["forms"]) for one in about] == [
        ("tunes", False, True), ("filling", True, True),
    ]  # fmt: skip


def test_wishes_that_do_not_fit_are_one_line(place: Place, tune_folder: Path) -> None:
    tune = base64.b64encode((tune_folder / "tune00.mid").read_bytes()).decode()
    for wish, words in (
        ({"bars": 0}, "bars is 0, expected 1 to 64"),
        ({"temperature": "hot"}, 'temperature is "hot", expected a finite number'),
        ({"key": "H sharp"}, "key"),
        ({"seed": 1.5}, "expected a whole number"),
        ({"primer": "%%%"}, "not base64"),
        ({"primer": base64.b64encode(b"RIFF").decode()}, "not midi"),
        ({"piece": tune, "first": 2, "last": 3}, "not trained to fill in bars"),
        ({"form": "A1"}, "form"),
    ):
        answer = place.compose(**wish)
        assert answer.status in (400, 415), answer
        assert words in answer.error
        assert "--" not in answer.error
        assert "/" not in answer.error, "a path of the server"
    assert place.ask("/api/compose", b"[" * 5000).status == 400
    assert place.ask("/api/compose", b"\xff\xfe").status == 400
    assert place.compose(model="spotter").status == 404


# --- what is odd ---


def odd_files(folder: Path) -> list[bytes]:
    """All files of the cases, where these are here, and damaged recordings of every format."""
    whole = good_files(folder)
    found = [mutate(whole, seed)[1] for seed in range(36)]
    with contextlib.suppress(pytest.skip.Exception):
        cases = cases_folder()
        files = (file for kind in KINDS for file in sorted((cases / kind).iterdir()) if file.is_file())
        found += [file.read_bytes() for file in files]
    return found


def test_odd_and_damaged_files_are_each_answered_and_nothing_is_left(place: Place, tmp_path: Path) -> None:
    tmp_path.joinpath("whole").mkdir()
    files = odd_files(tmp_path / "whole")
    assert len(files) >= 36
    refused = 0
    for content in files:
        for answer in (place.hear(content), place.ask("/api/roll", content)):
            assert answer.status in (200, 400, 413, 415), answer
            if answer.status != 200:
                refused += 1
                assert str(place.temporary) not in answer.error
                assert "seqaudio-serve" not in answer.error
    assert refused > 20
    assert place.left_on_disk() == []
    assert place.ask("/api/models").status == 200


def test_what_is_too_large_or_too_long_is_refused_in_one_line(place: Place, tmp_path: Path) -> None:
    large = bytes(round(1.5e6))
    answer = place.hear(large)
    assert (answer.status, answer.error) == (413, "more than 1 MB, which is the most; send a shorter recording")
    chunks = (large[:50_000] for _ in range(30))  # without a length
    assert place.ask("/api/hear?model=spotter", chunks).status == 413
    soundfile.write(tmp_path / "long.flac", np.zeros(11 * RATE), RATE)
    answer = place.hear((tmp_path / "long.flac").read_bytes())
    assert (answer.status, answer.error) == (413, "too long: 11.0 s, expected at most 10.0 s")
    assert place.hear(b"").error.startswith("empty: ")
    hour = (ROOT / "README.md").read_bytes() * 400
    assert place.ask("/api/sound", hour).status == 413
    assert place.left_on_disk() == []


def test_names_are_never_paths(place: Place, recording: Path) -> None:
    content = recording.read_bytes()
    for name in ("../../etc/passwd", "/etc/passwd", "..\\..\\x", "spotter/../clips", "\0", "a" * 5000):
        answer = place.hear(content, name)
        assert (answer.status, "spotter, clips" in answer.error) == (404, True)
    named = {"Content-Disposition": 'attachment; filename="../../../tmp/evil.wav"', "X-Ticket": "../../../tmp/evil"}
    assert place.ask("/api/hear?model=spotter&name=../../evil.wav", content, named).status == 200
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/page/../server.py", "/server.py", "//etc/passwd"):
        answer = place.ask(path)
        assert (answer.status, answer.error) == (404, "no such address")
    assert place.ask("/api/place/..%2f..%2fevil").status in (200, 404)
    assert place.left_on_disk() == []


def test_twenty_at_once_are_answered_one_after_the_other(place: Place, recording: Path) -> None:
    content, alone = recording.read_bytes(), place.hear(recording.read_bytes()).content
    with holding(place) as let_go, ThreadPoolExecutor(20) as clients:
        asked = [clients.submit(place.hear, content, **{"X-Ticket": f"ticket-{number:03}"}) for number in range(20)]
        wait(lambda: len(place.work._line) == 21)
        places = [place.ask(f"/api/place/ticket-{number:03}").data["place"] for number in range(20)]
        assert sorted(places) == list(range(1, 21))
        let_go()
        answers = [one.result() for one in asked]
    assert {answer.status for answer in answers} == {200}
    assert {answer.content for answer in answers} == {alone}
    assert place.ask("/api/place/ticket-001").data == {"place": None}
    assert place.left_on_disk() == []


def test_a_client_that_has_left_is_skipped_and_a_full_queue_says_so(
    place: Place, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = recording.read_bytes()
    before = place.work.done
    with holding(place) as let_go:
        gone = http.client.HTTPConnection("127.0.0.1", place.port, timeout=60)
        gone.request("POST", "/api/hear?model=spotter", content)
        wait(lambda: len(place.work._line) == 2)
        monkeypatch.setattr(place.work, "most", 2)
        answer = place.hear(content)
        assert (answer.status, answer.error) == (503, "2 requests are waiting already; try again in a minute")
        gone.close()
        wait(lambda: len(place.work._line) == 1)
        assert place.left_on_disk() == []
        let_go()
    wait(lambda: place.work.done > before)
    assert place.work.done == before + 1, "only the job that held the worker was done"


def test_an_upload_that_stops_is_ended(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PATIENCE", 0.3)
    with socket.create_connection(("127.0.0.1", place.port), timeout=60) as client:
        head = f"POST /api/hear?model=spotter HTTP/1.1\r\nHost: 127.0.0.1:{place.port}\r\nContent-Length: 1000\r\n\r\n"
        client.sendall(head.encode() + b"RIFF")
        assert client.recv(4096).startswith(b"HTTP/1.1 408")
    assert place.left_on_disk() == []


def test_a_defect_is_a_line_without_what_it_knows(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(content: bytes) -> None:
        raise RuntimeError("a secret of the server")

    monkeypatch.setattr(server, "notes_of", broken)
    said: list[str] = []
    monkeypatch.setattr(server, "say", said.append)
    answer = place.ask("/api/roll", b"MThd")
    assert (answer.status, answer.error) == (500, "the server failed at this; its log has the reason")
    assert said == ["error: /api/roll: RuntimeError: a secret of the server"]


# --- who may ask ---


def test_other_names_and_other_pages_are_refused(place: Place, recording: Path) -> None:
    own = f"127.0.0.1:{place.port}"
    assert place.ask("/api/models", headers={"Host": f"localhost:{place.port}"}).status == 200
    for host in ("evil.example", f"evil.example:{place.port}", "127.0.0.1.evil.example", "10.0.0.1", ""):
        answer = place.ask("/api/models", headers={"Host": host})
        assert (answer.status, "not this server's" in answer.error) == (403, True)
    content = recording.read_bytes()
    assert place.hear(content, Origin=f"http://{own}").status == 200
    others = ("http://evil.example", "null", "", "http://[", "http://localhost:1", f"http://{own}.evil.example")
    for origin in others:
        answer = place.hear(content, Origin=origin)
        assert (answer.status, answer.error) == (403, "the request came from the page of another site")
        with pytest.raises(InvalidStatus), connect(f"ws://{own}/api/listen?model=spotter", origin=origin):
            pass


def test_names_of_a_server_for_other_machines() -> None:
    async def app(*anything: object) -> None: ...

    loopback, everywhere = OwnPage(app, "127.0.0.1"), OwnPage(app, "0.0.0.0", ("music.example",))
    for host, here, there in (
        ("127.0.0.1:8000", True, True),
        ("[::1]:8000", True, True),
        ("localhost", True, True),
        ("192.168.1.7:8000", False, True),
        (socket.gethostname(), socket.gethostname() == "localhost", True),
        ("MUSIC.example", False, True),
        ("evil.example", False, False),
        ("[::1", False, False),
    ):
        assert (loopback.knows(host), everywhere.knows(host)) == (here, there), host


def test_the_page_needs_nothing_from_elsewhere(place: Place) -> None:
    page = place.ask("/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert place.ask("/api/models").headers["cache-control"] == "no-store"
    for name in filter(None, server.FILES):
        answer = place.ask(f"/{name}")
        text = answer.content.decode().replace("http://www.w3.org/2000/svg", "")
        assert answer.status == 200
        assert "http://" not in text, name
        assert "https://" not in text, name
        assert "@import" not in text, name
    assert {file.name for file in server.PAGE.iterdir()} == set(server.FILES.values())


# --- live sound ---


@contextlib.contextmanager
def listening(place: Place, model: str = "spotter", rate: int = RATE) -> Iterator[Any]:
    with connect(f"ws://127.0.0.1:{place.port}/api/listen?model={model}", close_timeout=5) as client:
        client.send(json.dumps({"rate": rate}))
        assert json.loads(client.recv(timeout=60)) == {"ready": True}
        yield client


def test_live_words_are_those_of_the_spotter(place: Place, spotting_run: Path, sound: np.ndarray) -> None:
    spotter = Spotter(RunFolder(spotting_run))
    expected = [hit for place_ in range(0, len(sound), 640) for hit in spotter.push(sound[place_ : place_ + 640])]
    assert [hit.keyword for hit in expected] == ["two", "one"]
    with listening(place) as client:
        found, highest = [], np.zeros(len(spotter.labels))
        pcm = to_int16(sound).astype("<i2").tobytes()
        for begin in range(0, len(pcm), 1280):
            client.send(pcm[begin : begin + 1280])
            answer = json.loads(client.recv(timeout=60))
            found += answer["words"]
            highest = np.maximum(highest, answer["levels"] or 0)
    assert [word["text"] for word in found] == ["two", "one"]
    for word, hit in zip(found, expected, strict=True):
        assert word["start"] == pytest.approx(hit.start, abs=0.03)
        assert word["confidence"] == pytest.approx(hit.confidence, abs=0.01)
    np.testing.assert_allclose(highest, spotter.highest, atol=0.02)
    assert answer["at"] == pytest.approx(len(sound) / RATE, abs=1e-3)


def test_live_sound_of_another_rate_is_resampled_and_text_comes_too(place: Place, sound: np.ndarray) -> None:
    from seqaudio.audio import resample

    pcm = to_int16(resample(sound, RATE, 2 * RATE)).astype("<i2").tobytes()
    for model, words in (("spotter", ["two", "one"]), ("letters", None)):
        with listening(place, model, 2 * RATE) as client:
            found = []
            for begin in range(0, len(pcm), 4096):
                client.send(pcm[begin : begin + 4096])
                found += [word["text"] for word in json.loads(client.recv(timeout=60))["words"]]
        assert found == words if words else set("".join(found)) <= {"a", "b"}


def test_odd_listeners_are_told_why_and_the_others_hear_on(
    place: Place, sound: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"ws://127.0.0.1:{place.port}/api/listen?model=spotter"
    with listening(place) as patient:
        for messages, words in (
            (["hello"], "the first message tells the rate"),
            ([json.dumps({"rate": 3})], "rate is 3"),
            ([b"\0\0"], "the first message tells the rate"),
            ([json.dumps({"rate": RATE}), "hello"], "got a text"),
            ([json.dumps({"rate": RATE}), b"\0\0\0"], "got 3 bytes"),
        ):
            with connect(url) as client:
                for message in messages:
                    client.send(message)
                assert words in closing(client)
        with connect(url) as client:
            client.send(json.dumps({"rate": RATE}))
            client.send(bytes(live.MOST_BYTES + 2))
            closing(client)
        for model in ("clips", "tunes", "../x"):
            with pytest.raises(InvalidStatus), connect(url.replace("spotter", model)):
                pass
        monkeypatch.setattr(live, "MOST_LISTENERS", 1)
        with connect(url) as client:
            assert "1 are listening already" in closing(client)
        monkeypatch.setattr(live, "PATIENCE", 0.2)
        with connect(url) as client:
            monkeypatch.setattr(live, "MOST_LISTENERS", 8)
        with listening(place) as client:
            assert closing(client) == "no sound came for 0.2 s"
        monkeypatch.setattr(live, "PATIENCE", 60)
        patient.send(to_int16(sound[:640]).tobytes())
        with contextlib.suppress(ConnectionClosed):
            assert json.loads(patient.recv(timeout=60))["at"] == pytest.approx(0.08)


def closing(client: Any) -> str:
    """The reason with which the server ends a session."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            client.recv(timeout=60)
    return str(client.close_reason or "")


def test_sound_faster_than_it_can_be_heard_has_to_wait(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(live, "sleep", sleep)
    monkeypatch.setattr(live, "AHEAD", 0.5)
    with listening(place) as client:
        for _ in range(3):
            client.send(bytes(2 * RATE))  # a second
            client.recv(timeout=60)
    assert slept
    assert max(slept) <= 2.5


# --- the command ---


def test_the_command_serves_until_ctrl_c(spotting_run: Path, tune_run: Path, recording: Path) -> None:
    program = [sys.executable, "-m", "seqaudio.cli.main", "serve", spotting_run, tune_run, "--port", "0"]
    started = subprocess.Popen(
        list(map(str, program)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        assert started.stderr is not None
        line = started.stderr.readline()
        assert line.startswith("serving run, run-2 at http://127.0.0.1:"), line + started.stderr.read()
        port = int(line.split(":")[-1].split("/")[0])
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        with contextlib.closing(client):
            client.request("POST", "/api/hear?model=run", recording.read_bytes())
            assert json.loads(client.getresponse().read())["words"][0]["text"] == "two"
        started.send_signal(signal.SIGINT)
        out, rest = started.communicate(timeout=60)
    finally:
        started.kill()
        started.wait()
    assert (started.returncode, out, rest.strip()) == (130, "", "interrupted")


def test_a_server_that_cannot_be_started_is_one_line(
    command: Command, spotting_run: Path, tune_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(command("seqaudio", "serve", tune_store), "not a run")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert_refused(command("seqaudio", "serve", spotting_run, "--port", port), "choose another address or port")
    assert_refused(command("seqaudio", "serve", spotting_run, "--host", "no such host"), "choose another address")
    from seqaudio.cli import serve

    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    assert_refused(command("seqaudio", "serve", spotting_run), "pip install fastapi uvicorn websockets")
