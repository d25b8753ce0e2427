"""Synthesise speech by espeak-ng, through ctypes, from the package `espeakng_loader` (extra `tts`).

    samples, rate = speak("hello", "en-us", variant="f3", speed=160)
    phonemes("hello", "en-us")                  ["h", "@", "l", "'oU"]
    speak(spell(phonemes("hello", "en-us")), "en-us")       the same samples

espeak-ng is a formant synthesiser for about a hundred languages, each in any of about a hundred voice variants. It
keeps the phase of its pitch flutter, its echo and its breath noise in static variables that no function clears, so a
second call would differ from the first. Therefore every call here loads the library, uses it and unloads it: equal
calls give equal samples, whatever came before, at the cost of one millisecond.
"""

from __future__ import annotations

import _ctypes
import ctypes
import difflib
import functools
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import numpy as np

from seqaudio.audio.recording import from_int16
from seqaudio.errors import OptionError, SourceError, how_to_install
from seqaudio.registry import did_you_mean

# names and values of the library's header
SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: samples go to a callback, and the call returns after the last
RETURN_ON_ERROR = 0x8000  # option of espeak_Initialize; without it the library ends the process
UTF8, PHONEMES = 0x001, 0x100  # flags of a text: its encoding; [[...]] holds phonemes
IPA = 0x02  # phoneme mode: names of the International Phonetic Alphabet
RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4  # espeak_PARAMETER
CHARACTERS = 1  # espeak_POSITION_TYPE

SPEEDS = range(80, 451)  # words per minute, the range in its documentation
PITCHES = range(100)  # steps of pitch and of pitch range; 50 is the voice file's own value
QUIETER = 50  # volume out of 100, low enough that loud variants do not reach the library's limiter
# one buffer for a whole utterance: the echo after the last word is lost unless it fits into the same buffer
BUFFER_MILLISECONDS = 60_000
MAX_PATH_BYTES = 59  # bytes of the name of a voice file outside of the library's data
SEPARATOR = "\x1f"  # between phonemes, since no mnemonic contains it, but many contain an underscore
WORD_GAP = " "  # between the phonemes of two words
INSTALL = how_to_install("tts")

Result = TypeVar("Result")
_turn = threading.Lock()
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Variant(NamedTuple):
    """A timbre, usable with any language."""

    name: str
    gender: str  # male, female, or empty where its file gives none


class _Accent(NamedTuple):
    """A voice file of the library."""

    name: str  # in English, such as Turkish or French (Belgium)
    ranks: dict[str, int]  # by language code; the more usual this accent of the language, the lower
    file: str


class _Voice(NamedTuple):
    """The needed fields of a _VoiceRecord, copied out of the library's memory."""

    name: str
    gender: int  # 1 male, 2 female
    file: str
    languages: list[tuple[int, str]]  # rank and code


class _VoiceRecord(ctypes.Structure):
    """espeak_VOICE of the library's header."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),  # pairs of a priority byte and a string; then a zero byte
        ("identifier", ctypes.c_char_p),  # its file below `lang` or `voices`
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("internal", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


def speak(
    text: str,
    voice: str = "en",
    *,
    variant: str = "",
    timbre: str = "",
    speed: int = 175,
    pitch: int = 50,
    pitch_range: int = 50,
) -> tuple[np.ndarray, int]:
    """Speak a text. Equal arguments give equal samples, in any order of calls and in any process.

    Args:
        text: words, or phonemes in double brackets as `spell` writes them; both may be mixed.
        voice: a language or one of its accents, see `voices`; a language stands for its first accent.
        variant: the name of a timbre, see `variants`; empty: the plain one.
        timbre: a timbre without a name, as the lines of a voice variant, such as "formant 1 110 90 120", described in
            espeak-ng's documentation of voices. It excludes `variant`.
        speed: words per minute, 80 to 450.
        pitch: 0 (deep) to 99 (high), 50 is that of the variant; each step is about 1.4 %.
        pitch_range: 0 (monotone) to 99 (lively).
    Returns:
        Samples [N] float32 in -1..1 and their rate in hertz.

    Raises:
        OptionError: an unknown voice or variant, both a variant and a timbre, a value out of its range, a text that
            cannot be encoded.
        SourceError: espeak-ng is not installed, or another part of the process already uses it.
    """
    for name, value, allowed in (
        ("speed", speed, SPEEDS),
        ("pitch", pitch, PITCHES),
        ("pitch_range", pitch_range, PITCHES),
    ):
        if value not in allowed:
            raise OptionError(f"{name} {value}, expected a whole number from {allowed[0]} to {allowed[-1]}")
    file = _voice_file(voice)
    if variant and timbre:
        raise OptionError(f"both the variant {variant!r} and a timbre are given, expected one of the two")
    if variant:
        known = [each.name for each in variants()]
        if variant not in known:
            raise OptionError(f"unknown voice variant {variant!r}; {did_you_mean(variant, known)}")
        file += f"+{variant}"
    encoded = _encode(text)
    parameters = {RATE: speed, VOLUME: QUIETER, PITCH: pitch, RANGE: pitch_range}
    return _alone(lambda: _synthesise(encoded, file, parameters, timbre))


def phonemes(text: str, voice: str = "en", *, ipa: bool = False) -> list[str]:
    """The phonemes of a text as the voice would speak it, each with the stress mark before it.

    They are espeak-ng's mnemonics, or with `ipa` letters of the International Phonetic Alphabet, with a space between
    words. The two lists can differ in length: a pause has no IPA letter, nor has a mnemonic that only modifies its
    neighbour. A word read in another language is enclosed in marks such as "(en)" and "(fr)".

    Raises: as `speak`.
    """
    file, encoded = _voice_file(voice), _encode(text)
    return _alone(lambda: _translate(encoded, file, ipa))


def spell(mnemonics: list[str]) -> str:
    """Phonemes as a text for `speak`, which does not understand the marks of another language."""
    return "[[" + "|".join(mnemonics) + "]]"


def voices(language: str = "") -> list[str]:
    """The accents of a language, most usual first: `voices("en")` begins with en-gb, en-us. Without one, all accents.

    Raises:
        OptionError: espeak-ng has no such language.
        SourceError: espeak-ng is not installed, or another part of the process already uses it.
    """
    accents = _accents()
    if not language:
        return sorted(accents)
    ranked = sorted((accent.ranks[language], code) for code, accent in accents.items() if language in accent.ranks)
    if not ranked:
        raise OptionError(f"espeak-ng has no language {language!r}; nearest are {_nearest(language)}")
    return [code for _, code in ranked]


@functools.cache
def variants() -> tuple[Variant, ...]:
    """All timbres, in order of their names. Raises SourceError where espeak-ng is not installed."""
    records = _alone(lambda: _list(_VoiceRecord(languages=ctypes.cast(ctypes.c_char_p(b"variant"), ctypes.c_void_p))))
    genders = {1: "male", 2: "female"}
    return tuple(sorted(Variant(each.file.split("/")[-1], genders.get(each.gender, "")) for each in records))


def library_version() -> str:
    """The version of espeak-ng, such as 1.52.0: other versions make other samples."""

    def ask() -> str:
        with _espeak() as library:
            library.espeak_Info.restype = ctypes.c_char_p
            version: bytes = library.espeak_Info(None)
            return version.decode()

    return _alone(ask)


@functools.cache
def _accents() -> dict[str, _Accent]:
    """All accents by their codes. Where two files share a code, the first is taken."""
    accents: dict[str, _Accent] = {}
    for each in _alone(lambda: _list(None)):
        accents.setdefault(
            each.languages[0][1], _Accent(each.name, {code: rank for rank, code in each.languages}, each.file)
        )
    return accents


def _nearest(language: str) -> str:
    """Codes of the languages whose code or name is most similar to what was given."""
    codes: dict[str, str] = {}
    for code, accent in _accents().items():
        codes |= dict.fromkeys((*accent.ranks, accent.name.lower()), code)
    near = difflib.get_close_matches(language.lower(), codes, n=4, cutoff=0.4)
    found = dict.fromkeys(codes[name] for name in near) or dict.fromkeys(("en-gb", "es", "cmn"))
    return ", ".join(f"{code} ({_accents()[code].name})" for code in found)


def _voice_file(voice: str) -> str:
    """The file of an accent, or of a language's first accent; given a name, the library would search all files."""
    accents = _accents()
    return accents[voice if voice in accents else voices(voice)[0]].file


def _encode(text: str) -> bytes:
    if "\0" in text:
        raise OptionError(f"{text!r} contains a NUL character, expected words to speak")
    try:
        return text.encode() + b"\0"
    except UnicodeEncodeError:
        raise OptionError(f"{text!r} is not valid Unicode, expected words to speak; give it as UTF-8") from None


def _alone(work: Callable[[], Result]) -> Result:
    """Run `work` with the library while no other thread uses it.

    It runs in a thread of its own, so that Ctrl-C is raised in the main thread; within the library's callback ctypes
    would only print it.
    """
    with _turn, ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(work).result()


def _loader() -> ModuleType:
    try:
        import espeakng_loader
    except ImportError:
        raise SourceError(f"speech synthesis needs espeak-ng; {INSTALL}") from None
    module: ModuleType = espeakng_loader
    return module


@contextmanager
def _espeak() -> Iterator[Any]:
    """The library, freshly loaded, and unloaded at the end."""
    loader = _loader()
    path = loader.get_library_path()
    if _is_loaded(path):
        raise SourceError(
            "another part of this process already uses espeak-ng, whose state would change the sound; "
            "speak in a separate process"
        )
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise SourceError(f"espeak-ng cannot be loaded ({error}); {INSTALL}") from None
    try:
        data = loader.get_data_path()
        if library.espeak_Initialize(SYNCHRONOUS, BUFFER_MILLISECONDS, os.fsencode(data), RETURN_ON_ERROR) <= 0:
            raise SourceError(f"espeak-ng finds no voices in {data}; {INSTALL}")
        # the noise of breath comes from the library's own generator for most variants, from the C library's for some
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        _c_library().srand(1)
        try:
            yield library
        finally:
            library.espeak_Terminate()
    finally:
        _unload(library._handle)


@contextmanager
def _voice_with(timbre: str, file: str) -> Iterator[str]:
    """A temporary voice file with the accent of `file` and a timbre; without a timbre `file` itself.

    Raises SourceError where the library cannot read from the folder of temporary files.
    """
    if not timbre:
        yield file
        return
    # no prefix, since the library takes only short paths
    handle, name = tempfile.mkstemp(prefix="")
    try:
        # it converts the path to lower case, which is harmless on case-insensitive file systems
        if len(os.fsencode(name)) > MAX_PATH_BYTES or not Path(name.lower()).exists():
            raise SourceError(
                f"{name}: espeak-ng reads a voice from a path of at most {MAX_PATH_BYTES} bytes without capitals; "
                f"set TMPDIR to such a folder"
            )
        accent = Path(_loader().get_data_path(), "lang", file).read_text(encoding="utf-8")
        with open(handle, "w", encoding="utf-8", closefd=False) as lines:
            lines.write(f"{accent}\n{timbre}\n")
        yield name
    finally:
        os.close(handle)
        Path(name).unlink()


if sys.platform == "win32":  # written from the documentation, never run

    def _c_library() -> ctypes.CDLL:
        return ctypes.CDLL("ucrtbase")

    def _unload(handle: int) -> None:
        _ctypes.FreeLibrary(handle)

    def _is_loaded(path: str) -> bool:
        kernel = ctypes.WinDLL("kernel32")
        kernel.GetModuleHandleW.restype = ctypes.c_void_p
        return bool(kernel.GetModuleHandleW(ctypes.c_wchar_p(path)))

else:

    def _c_library() -> ctypes.CDLL:
        return ctypes.CDLL(None)

    def _unload(handle: int) -> None:
        _ctypes.dlclose(handle)

    def _is_loaded(path: str) -> bool:
        try:
            held = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
        except OSError:
            return False
        _ctypes.dlclose(held._handle)
        return True


def _synthesise(text: bytes, file: str, parameters: dict[int, int], timbre: str) -> tuple[np.ndarray, int]:
    blocks: list[bytes] = []

    def receive(samples: int | None, count: int, events: int | None) -> int:
        del events
        if samples and count:
            blocks.append(ctypes.string_at(samples, 2 * count))
        return 0  # go on

    callback = _Callback(receive)
    with _voice_with(timbre, file) as voice, _espeak() as library:
        library.espeak_SetSynthCallback(callback)
        _choose(library, voice)
        for parameter, value in parameters.items():
            library.espeak_SetParameter(parameter, value, 0)
        size = ctypes.c_size_t(len(text))
        failed = library.espeak_Synth(text, size, 0, CHARACTERS, 0, UTF8 | PHONEMES, None, None)
        failed = failed or library.espeak_Synchronize()
        rate: int = library.espeak_ng_GetSampleRate()
    if failed:
        raise SourceError(f"espeak-ng could not speak {text[:-1].decode()!r} (its error {failed}); try another text")
    samples = np.frombuffer(b"".join(blocks), dtype=np.int16)
    return from_int16(samples), rate


def _translate(text: bytes, file: str, ipa: bool) -> list[str]:
    mode = ord(SEPARATOR) << 8 | (IPA if ipa else 0)
    buffer = ctypes.create_string_buffer(text)
    rest = ctypes.c_void_p(ctypes.addressof(buffer))
    clauses = []
    with _espeak() as library:
        _choose(library, file)
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        while rest.value:  # clause by clause; the library advances the pointer
            clauses.append(library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, mode).decode())
    words = [word for clause in clauses for word in clause.split(WORD_GAP) if word]
    found: list[str] = []
    for word in words:
        if found:
            found.append(WORD_GAP)
        found += word.split(SEPARATOR)
    return found


def _choose(library: Any, file: str) -> None:
    set_voice = library.espeak_ng_SetVoiceByFile if Path(file).is_absolute() else library.espeak_SetVoiceByName
    failed = set_voice(os.fsencode(file))
    if failed:
        raise SourceError(f"espeak-ng could not read its voice {file} (error {failed}); {INSTALL}")


def _list(wanted: _VoiceRecord | None) -> list[_Voice]:
    """The voice files of the library: those of all languages, or those that match `wanted`."""
    found = []
    with _espeak() as library:
        library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceRecord))
        records = library.espeak_ListVoices(ctypes.byref(wanted) if wanted else None)
        index = 0
        while records[index]:
            record = records[index].contents
            found.append(
                _Voice(
                    record.name.decode().strip(),
                    record.gender,
                    record.identifier.decode(),
                    _languages(record.languages),
                )
            )
            index += 1
    return found


def _languages(address: int) -> list[tuple[int, str]]:
    languages = []
    while rank := ctypes.string_at(address, 1)[0]:
        name = ctypes.string_at(address + 1)
        languages.append((rank, name.decode()))
        address += len(name) + 2
    return languages
