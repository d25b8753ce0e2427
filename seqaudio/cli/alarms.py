"""Score a keyword detector on a stream: missed words against false alarms an hour, beside detectors of other packages.

Example: seqaudio alarms runs/hey --positives clips/hey --background sound/ --out cards/hey
         seqaudio alarms runs/hey --positives words.tsv --where split=test --background talk/ music/ \\
             --near-misses clips/others --snr clean,20,10,5,0 --cut runs/hey_alarms --out cards/hey
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from seqaudio.cli.outputs import written
from seqaudio.cli.recognize import list_files
from seqaudio.errors import OptionError
from seqaudio.evaluation.ratios import parsed_ratios
from seqaudio.files import json_text, write_bytes, write_json
from seqaudio.progress import say
from seqaudio.trained import folder_or_model, is_packaged

if TYPE_CHECKING:
    from seqaudio.evaluation.alarms.card import Card, Scored
    from seqaudio.evaluation.alarms.detectors import Detector, SpotterDetector
    from seqaudio.run_folder import RunFolder

SUFFIXES = (".json", ".md", ".png")  # of a card's three files


@dataclass(frozen=True)
class Config:
    """The detector, the sound that it is judged on, and the card."""

    run: tyro.conf.Positional[Path]  # run folder of the recipe keyword_recognition, trained on streams
    positives: Path  # clips of the word: a folder, or a table: file, start and end of the word (s)
    background: tuple[Path, ...]  # sound without the word: folders or recordings; all of it is heard
    out: Path  # card to write: a folder, or a name in .json, .md or .png for three files of that name
    word: str | None = None  # keyword of the run; needed where it has several
    where: str = ""  # rows of the table --positives: COLUMN=VALUE,..., such as word=alexa,split=test
    near_misses: Path | None = None  # clips that sound similar: a folder or a table
    also: Path | None = None  # more clips of the word, judged apart, as those of people beside synthetic ones
    snr: str = "clean,20,10,5,0"  # dB of the words above the background, with commas; clean: without background
    per_hour: float = 0.5  # false alarms an hour that the chosen threshold allows
    threshold: float | None = None  # judge this threshold of the run; by default one is chosen
    choosing: float = 0.33  # share of the files of background on which thresholds are chosen, and that judge nothing
    low_pass: float | None = None  # hertz: nothing above is heard, in words and background alike
    beside: str = ""  # with commas: pymicro_wakeword, pyopen_wakeword, pocketsphinx, other runs, manifests of --tflite
    beside_word: str | None = None  # the word as the rivals call it, such as hey_jarvis; by default that of the run
    cut: Path | None = None  # new folder for false alarms as WAVs: choosing/ to train on, judged/ to listen to
    keep: bool = False  # keep the chosen or given threshold in the run, for recognize and listen
    seed: int = 1  # of the order, the gaps and the division of the background
    json: bool = False  # print all numbers as JSON instead of tables
    force: bool = False  # replace an existing card


def main(config: Config) -> None:
    """Stream the background and the words through all detectors, judge them, write the card."""
    files = card_files(config.out, config.force)
    if config.cut is not None and config.cut.exists() and (not config.cut.is_dir() or any(config.cut.iterdir())):
        raise OptionError(f"--cut {config.cut} exists and is not an empty folder; choose another one")
    ratios = parsed_ratios(config.snr)
    if not ratios:
        raise OptionError("--snr is empty, expected ratios with commas, as in --snr clean,20,10,0")
    sounds = list_files(config.background)

    from seqaudio.evaluation.alarms.card import Material, described, score
    from seqaudio.evaluation.alarms.detectors import SpotterDetector
    from seqaudio.evaluation.alarms.material import clips_of, parsed_where, split_background
    from seqaudio.run_folder import RunFolder

    run = RunFolder(config.run, ("keyword_recognition",))
    if config.keep and is_packaged(run.path):
        raise OptionError(f"--keep writes into a run; {config.run} comes with seqaudio: copy {run.path} first")
    own = SpotterDetector(run, config.word)
    detectors: list[Detector] = [own, *rivals(config, own.word)]
    clips = clips_of(config.positives, parsed_where(config.where))
    near, also = (() if path is None else clips_of(path, {}) for path in (config.near_misses, config.also))
    share = 0.0 if config.threshold is not None and len(detectors) == 1 else config.choosing
    chosen_on, judged_on = split_background(sounds, share, config.seed)
    material = Material(
        own.word, clips, chosen_on, judged_on, near, also, ratios, config.per_hour, config.low_pass, config.seed
    )
    scored = score(detectors, material, config.threshold)
    write(scored.card, files)
    print(json_text(scored.card.as_json()) if config.json else "\n".join(described(scored.card)))
    say(f"wrote {', '.join(str(file) for file in files)}")
    if config.cut is not None:
        cut(scored, config.cut)
    if config.keep:
        keep(run, own, scored.card)


def card_files(out: Path, force: bool) -> list[Path]:
    """The three files of the card. Raises OptionError where one exists and `force` is False."""
    whole = out.suffix.lower() in SUFFIXES and not out.is_dir()
    files = [out.with_suffix(suffix) if whole else out / f"card{suffix}" for suffix in SUFFIXES]
    if not whole and out.exists() and not out.is_dir():
        raise OptionError(f"--out {out} is a file; give a folder, or a name that ends in {', '.join(SUFFIXES)}")
    for file in files:
        if file.is_dir():
            raise OptionError(f"{file} is a folder; choose another --out")
        if file.exists() and not force:
            raise OptionError(f"{file} exists; give --force to replace the card, or choose another --out")
    return files


def rivals(config: Config, word: str) -> list[Detector]:
    """The detectors of `--beside` that know the word; the others are named on stderr and left out."""
    from seqaudio.evaluation.alarms.detectors import SpotterDetector
    from seqaudio.evaluation.alarms.rivals import RIVALS, UnknownWordError, of_manifest, rival
    from seqaudio.run_folder import RunFolder

    found: list[Detector] = []
    for name in dict.fromkeys(part.strip() for part in config.beside.split(",") if part.strip()):
        try:
            if name not in RIVALS and folder_or_model(Path(name)).is_dir():
                found.append(SpotterDetector(RunFolder(Path(name)), word))
            elif name.lower().endswith(".json"):
                found.append(of_manifest(Path(name)))
            else:
                found.append(rival(name, config.beside_word or word))
        except UnknownWordError as error:
            say(f"{error}; it is left out (--beside-word gives another word)")
    return found


def write(card: Card, files: Sequence[Path]) -> None:
    """Write the card as JSON, Markdown and picture."""
    from seqaudio.evaluation.alarms.card import described
    from seqaudio.evaluation.alarms.drawing import draw_card

    numbers, text, picture = files
    with written(numbers.parent):
        numbers.parent.mkdir(parents=True, exist_ok=True)
    with written(numbers):
        write_json(numbers, card.as_json())
        write_bytes(text, ("\n".join(described(card)) + "\n").encode("utf-8", "backslashreplace"))
        draw_card(card, picture)


def cut(scored: Scored, folder: Path) -> None:
    """Cut out the alarms of the judged background, and the highest scores of the other one, which may be trained on."""
    from seqaudio.evaluation.alarms import cutting

    judged = scored.card.detectors[0].judged[0]
    with written(folder):
        alarms, track = scored.judged
        count = cutting.cut(alarms, track, folder / "judged", alarms.above(judged.threshold))
        if count:
            say(f"{folder / 'judged'}: {count:,} false alarms; training on them would spoil the next card")
        if scored.choosing is not None:
            alarms, track = scored.choosing
            most = max(alarms.above(judged.threshold), cutting.cuts(track))
            count = cutting.cut(alarms, track, folder / "choosing", most)
            say(f"{folder / 'choosing'}: the {count:,} highest false scores, to be trained on as negatives")


def keep(run: RunFolder, own: SpotterDetector, card: Card) -> None:
    """Write the threshold into the run. Raises OptionError for one that is no probability."""
    from seqaudio.decoding.spotting import SPOTTING_FILE, keep_spotting

    threshold = card.detectors[0].judged[0].threshold
    if not threshold <= 1:
        raise OptionError(
            f"the chosen threshold is {threshold:.4g}, above every probability: a false score is 1, so no threshold "
            f"gives so few alarms; raise --per-hour, or train again with the sound of --cut"
        )
    about = own.spotter.about
    keep_spotting(run.path, replace(about, thresholds=about.thresholds | {own.word: threshold}))
    say(f"{run.path / SPOTTING_FILE}: threshold of {own.word!r} is {threshold:.4g}")
