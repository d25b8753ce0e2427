"""Write down what is said in recordings: one line each, or with times as JSON or subtitles.

Example: seqaudio transcribe digit_strings number.wav
         seqaudio transcribe runs/an4 hello.wav folder/of/recordings --json --words
         seqaudio transcribe runs/an4 talk.flac --srt > talk.srt
         seqaudio transcribe runs/an4 talk.flac --beam 50 --lm words.arpa --json --nbest 5
         arecord -f S16_LE -r 16000 -c 1 | seqaudio transcribe runs/live - --stream

The run is one of speech_recognition. Long recordings are cut at pauses, so memory does not grow. With --stream, for
models of one direction, words are printed as they are heard, and each pause ends a line. With --beam a prefix beam
search finds the text of each segment, with a language model and a lexicon where these are given, once it has ended.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from seqaudio.audio.live import STDIN, LiveOptions, open_live
from seqaudio.cli.outputs import folder_files
from seqaudio.cli.recognize import list_files
from seqaudio.decoding.beam_options import BeamOptions
from seqaudio.errors import AudioError, OptionError, SeqAudioError
from seqaudio.files import json_text, write_bytes
from seqaudio.interruption import Interrupted, number_of
from seqaudio.ledger import Reason
from seqaudio.progress import say
from seqaudio.terminal import visible

if TYPE_CHECKING:
    from seqaudio.decoding.transcription import Transcriber, Utterance, Word


@dataclass(frozen=True)
class Config:
    """The model, and the recordings to write down."""

    run: tyro.conf.Positional[Path]  # run folder of the recipe speech_recognition, or a name
    files: tyro.conf.Positional[tuple[Path, ...]] = ()  # recordings, or folders of them; - for PCM on stdin, --stream
    json: bool = False  # print a JSON object for each recording, or with --stream for each utterance
    words: bool = False  # with times of words: in JSON, subtitles, or as lines of path, start, end, word
    srt: bool = False  # print subtitles as SubRip
    vtt: bool = False  # print subtitles as WebVTT
    out: Path | None = None  # write a file for each recording into this folder: its name with .txt, .json, .srt, .vtt
    force: bool = False  # replace files in --out
    stream: bool = False  # print words as they are heard; needs a model of one direction
    nbest: int = 1  # hypotheses of each utterance in --json, best first, with their scores; needs --beam
    min_confidence: float = 0.0  # leave out utterances of which the model is less sure, such as those of noise
    max_seconds: float = 36_000.0  # longer recordings are refused
    search: BeamOptions = field(default_factory=BeamOptions)  # by which the text is found
    sound: LiveOptions = field(default_factory=LiveOptions)  # where the sound of --stream comes from


def main(config: Config) -> None:
    """Print the text of each file. A file that cannot be read does not stop the others."""
    _check(config)
    live = config.stream and (config.sound.microphone is not None or config.files[:1] == (STDIN,))
    files = [] if live else list_files(config.files)
    outputs = {} if config.out is None else _outputs(config, files)

    from seqaudio.decoding.ctc_decoder import beam_decoder
    from seqaudio.decoding.transcription import Transcriber, spelling_of
    from seqaudio.run_folder import RunFolder

    run, decode = RunFolder(config.run, ("speech_recognition",)), None
    if config.search.beam:
        decode = beam_decoder(run, spelling_of(run), config.search, config.nbest)
    transcriber = Transcriber(run, streaming=config.stream, decode=decode)
    if config.stream:
        _stream(config, transcriber, None if config.sound.microphone is not None else config.files[0])
        return
    failures: list[str] = []
    for file in files:
        try:
            utterances = list(_utterances(transcriber, file, config.max_seconds))
        except SeqAudioError as error:
            failures.append(str(error))
            continue
        text = _written(config, file, utterances)
        if file in outputs:
            outputs[file].parent.mkdir(parents=True, exist_ok=True)
            write_bytes(outputs[file], text.encode())
        else:
            print(text, end="")
    if failures:
        raise SeqAudioError("; ".join(failures))


def _check(config: Config) -> None:
    """Raise OptionError for options that exclude each other."""
    chosen = [f"--{name}" for name in ("json", "srt", "vtt") if getattr(config, name)]
    if len(chosen) > 1:
        raise OptionError(f"{' and '.join(chosen)} exclude each other; give one of them")
    config.search.check()
    if config.nbest > 1 and not (config.json and config.search.beam):
        raise OptionError(f"--nbest {config.nbest} needs --beam, such as --beam 50, and --json")
    if not config.stream:
        if config.sound.microphone is not None or STDIN in config.files:
            raise OptionError("a microphone and stdin are for --stream; give it, or files")
        several = len(config.files) > 1 or any(path.is_dir() for path in config.files)
        if (config.srt or config.vtt) and config.out is None and several:
            raise OptionError(f"{chosen[0]} of several recordings needs a folder for their files; give --out FOLDER")
        return
    if config.min_confidence and not config.json:
        raise OptionError("--min-confidence judges whole utterances, but words are printed before; add --json")
    if config.srt or config.vtt or config.out is not None:
        raise OptionError(f"{chosen[0] if chosen and not config.json else '--out'} is not for --stream; leave one out")
    sources = len(config.files) + (config.sound.microphone is not None)
    if sources != 1:
        raise OptionError(f"--stream takes one source, got {sources}; give a file, - for stdin, or --microphone")


def _outputs(config: Config, files: list[Path]) -> dict[Path, Path]:
    """The file in --out for each recording. Raises OptionError where two would be the same, or one exists."""
    assert config.out is not None
    suffix = next((f".{name}" for name in ("json", "srt", "vtt") if getattr(config, name)), ".txt")
    found: dict[Path, Path] = {}
    for file in files:
        (place,) = folder_files(config.out, file.stem, [suffix], config.force)
        if place in found.values():
            raise OptionError(f"two recordings are called {file.stem}; use two commands with different --out folders")
        found[file] = place
    return found


def _utterances(transcriber: Transcriber, file: Path, max_seconds: float) -> Iterator[Utterance]:
    """The utterances of a recording, which is read in blocks. Raises AudioError with the reason."""
    from seqaudio.audio import stream_audio

    settings = transcriber.settings
    _, _, blocks = stream_audio(file, settings.sample_rate, max_seconds)
    samples = 0

    def counted() -> Iterator[Any]:
        nonlocal samples
        for block in blocks:
            samples += len(block)
            yield block

    yield from transcriber.utterances(counted())
    if samples < settings.min_samples:
        detail = f"{samples:,} samples at {settings.sample_rate:,} Hz, expected at least {settings.min_samples:,}"
        raise AudioError(file, Reason.TOO_SHORT, detail)


def _written(config: Config, file: Path, utterances: list[Utterance]) -> str:
    """The transcript of a recording in the format that the options ask for."""
    spoken = [utterance for utterance in utterances if _counts(utterance, config)]
    words = [word for utterance in spoken for word in utterance.words]
    if config.srt or config.vtt:
        from seqaudio.decoding import subtitles

        shown = subtitles.cues(words, each=config.words)
        return subtitles.srt(shown) if config.srt else subtitles.vtt(shown)
    text = " ".join(utterance.text for utterance in spoken)
    if config.json:
        seconds = utterances[-1].end if utterances else 0.0
        found = {"path": str(file), "text": text, "seconds": round(seconds, 3)}
        return json_text(found | {"utterances": [_object(each, config) for each in spoken]}) + "\n"
    if config.words:
        return "".join(f"{_name(config, file)}{_line(word)}\n" for word in words)
    return f"{_name(config, file)}{visible(text)}\n"


def _counts(utterance: Utterance, config: Config) -> bool:
    """Whether an utterance has words, and the model is sure enough of them."""
    return bool(utterance.words) and utterance.confidence >= config.min_confidence


def _name(config: Config, file: Path) -> str:
    """The beginning of a line about a recording; a file of its own in --out needs none."""
    return f"{visible(file)}\t" if config.out is None else ""


def _line(word: Word) -> str:
    return f"{word.start:.2f}\t{word.end:.2f}\t{visible(word.text)}"


def _object(utterance: Utterance, config: Config) -> dict[str, Any]:
    """An utterance as JSON tells it."""
    found: dict[str, Any] = {"start": round(utterance.start, 3), "end": round(utterance.end, 3), "text": utterance.text}
    found["confidence"] = round(utterance.confidence, 4)
    if config.words:
        found["words"] = [
            {
                "word": word.text,
                "start": round(word.start, 3),
                "end": round(word.end, 3),
                "confidence": round(word.confidence, 4),
            }
            for word in utterance.words
        ]
    if config.nbest > 1:
        found["hypotheses"] = [
            {"text": each.text, "score": each.score, "acoustic": each.acoustic, "lm": each.lm, "words": each.words}
            for each in utterance.hypotheses
        ]
    return found


def _stream(config: Config, transcriber: Transcriber, source: Path | None) -> None:
    """Print words as they come, each pause ends a line; or lines with times, or objects."""
    plain = not config.json and not config.words

    def tell(word: Word) -> None:
        if plain:
            print(visible(word.text), end=" ", flush=True)
        elif not config.json:
            print(_line(word), flush=True)

    rate = transcriber.settings.sample_rate
    with open_live(source, config.sound, rate, command="transcribe", max_seconds=config.max_seconds) as sound:
        read_as = f", read as {sound.read_as}" if sound.read_as else ""
        say(f"listening to {sound.name}{read_as}{'; Ctrl-C ends' if sound.waits else ''}")
        try:
            for utterance in transcriber.utterances(sound, tell):
                if config.json and _counts(utterance, config):
                    print(json_text(_object(utterance, config)), flush=True)
                elif plain and utterance.words:
                    print(flush=True)
        except KeyboardInterrupt as interrupt:
            if plain:
                print(flush=True)
            raise Interrupted("stopped", number_of(interrupt)) from None
    for remark in sound.remarks:
        print(f"note: {sound.name}: {remark}", file=sys.stderr)
