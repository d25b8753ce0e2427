"""Sound files, damaged in ways that a seed decides, beside good ones.

    python tests/mutated_audio.py FOLDER COUNT OUT     prepares COUNT damaged files and a twentieth as many good ones

prints one line of JSON: the reasons, whether the good files arrived, whether what was kept is finite, by how many
mebibytes the files raised the peak of this process's memory, and the peaks of its children.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
KINDS: dict[str, dict[str, str]] = {
    "wav": {},
    "float.wav": {"format": "WAV", "subtype": "FLOAT"},
    "24.wav": {"format": "WAV", "subtype": "PCM_24"},
    "adpcm.wav": {"format": "WAV", "subtype": "IMA_ADPCM"},
    "flac": {},
    "ogg": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {},
    "aiff": {},
    "au": {},
    "caf": {},
    "w64": {},
    "sph": {"format": "NIST"},
}
MEDIA = {
    "m4a": ("mp4", "aac"),
    "webm": ("webm", "libopus"),
    "wma": ("asf", "wmav2"),
    "aac": ("adts", "aac"),
    "mp3.wav": ("wav", "libmp3lame"),
}


def good_files(folder: Path) -> dict[str, bytes]:
    """A recording of 0.4 s in every format, by suffix."""
    draw = np.random.default_rng(1)
    time = np.arange(int(0.4 * RATE)) / RATE
    samples = (0.4 * np.sin(2 * np.pi * 440 * time) + 0.05 * draw.standard_normal(len(time))).astype(np.float32)
    files = {}
    for suffix, options in KINDS.items():
        path = folder / f"whole.{suffix}"
        soundfile.write(path, samples, RATE, **options)
        files[suffix] = path.read_bytes()
    for suffix, (container, codec) in MEDIA.items():
        path = folder / f"whole.{suffix}"
        write_media(path, samples, container, codec)
        files[suffix] = path.read_bytes()
    return files


def write_media(path: Path, samples: np.ndarray, container: str, codec: str, rate: int = RATE) -> None:
    """Samples [N] float32 through FFmpeg."""
    import av

    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 64000
        resampler = av.AudioResampler(
            stream.codec_context.format, "mono", rate, stream.codec_context.frame_size or 1024
        )
        frame = av.AudioFrame.from_ndarray(np.round(32767 * samples).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate = rate
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))


def mutate(files: dict[str, bytes], seed: int) -> tuple[str, bytes]:
    """A suffix, and the damaged bytes of a file with that suffix."""
    draw = np.random.default_rng(seed)
    suffixes = sorted(files)
    suffix = suffixes[seed % len(suffixes)]
    content = bytearray(files[suffix])
    for _ in range(int(draw.integers(1, 4))):
        # headers are short: half of the damage goes there
        reach = min(len(content), 256) if draw.random() < 0.5 else len(content)
        place = int(draw.integers(max(1, reach)))
        match int(draw.integers(6)):
            case 0:
                for spot in draw.integers(max(1, reach), size=int(draw.integers(1, 20))):
                    content[min(spot, len(content) - 1)] ^= 1 << int(draw.integers(8))
            case 1:
                del content[max(1, int(draw.integers(1, len(content) + 1))) :]
            case 2:
                content[place : place + 4] = draw.choice(
                    [b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\x7f"]
                )
            case 3:
                other = files[suffixes[int(draw.integers(len(suffixes)))]]
                cut = int(draw.integers(1, 200))
                content[:cut] = other[:cut]
            case 4:
                length = int(draw.integers(1, 400))
                content[place : place + length] = draw.integers(256, size=length).astype(np.uint8).tobytes()
            case _:
                content[place:place] = content[place : place + int(draw.integers(1, 2000))]
    return suffix, bytes(content)


def write_files(folder: Path, count: int) -> set[str]:
    """COUNT damaged files named bad-..., and good ones between them; the names of the good ones."""
    folder.mkdir(parents=True, exist_ok=True)
    files = good_files(folder)
    for path in list(folder.iterdir()):
        path.unlink()
    good = set()
    for number in range(count):
        suffix, content = mutate(files, number)
        (folder / f"{number:05d}-bad.{suffix}").write_bytes(content)
        if number % 20 == 0:
            kind = sorted(files)[number // 20 % len(files)]
            name = f"{number:05d}-good.{kind}"
            (folder / name).write_bytes(files[kind])
            good.add(name)
    return good


def peak(status: Path) -> float:
    """Mebibytes of the resident set at its peak."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def children() -> list[int]:
    """The child processes of this one."""
    return [
        int(child) for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()
    ]


def main(folder: Path, count: int, out: Path) -> None:
    """Prepare and print."""
    from seqaudio import progress
    from seqaudio.features import FeatureSettings
    from seqaudio.features.extraction import extract_frames
    from seqaudio.ledger import Status, read_ledger
    from seqaudio.prepare.engine import Item, build_store
    from seqaudio.prepare.speech.recordings import ExtractFeatures, speech_description
    from seqaudio.store import Store

    good = write_files(folder, count)
    progress.quiet = True
    settings = FeatureSettings()
    paths = sorted(folder.iterdir())
    items = [Item(path.name, path, path.name, split="train", label="tone") for path in paths]
    extract_frames(np.zeros(RATE, dtype=np.float32), settings)  # what torch takes at its first use is not the files'
    before = peak(Path("/proc/self/status"))
    build_store(out, items, ExtractFeatures(settings), speech_description(settings))
    entries = read_ledger(out / "ledger.tsv")
    train = Store(out)["train"]
    kept = {entry.path for entry in entries if entry.status is Status.KEPT}
    report = {
        "entries": len(entries),
        "kept": len(kept),
        "good": len(good),
        "lost": sorted(good - kept),
        "not_finite": [name for name, frames in zip(train.ids, train, strict=True) if not np.isfinite(frames).all()],
        "reasons": Counter(entry.reason for entry in entries if entry.status is not Status.KEPT),
        "died": [f"{e.path}: {e.detail}" for e in entries if e.reason in ("parser_crashed", "parser_timeout")][:20],
        "megabytes": peak(Path("/proc/self/status")) - before,
        "megabytes_of_children": [peak(Path(f"/proc/{child}/status")) for child in children()],
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
