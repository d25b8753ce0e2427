"""How every block of code of the pages is tested: the one list, and what takes a page apart.

A block of `sh` or `python` is run by a test of its own page (OWN_TEST), or with all others of its page by test_pages.py
(RUN), or it is not run, for a reason (NOT_RUN). The commands of all of them are understood by their parsers.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conftest import ROOT

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KINDS = ("sh", "python")
PLACEHOLDERS = {"SEED": "1", "RATE": "0.01", "SPLIT": "test", "$seed": "1", "$(basename $f)": "x.mid", "$f": "x.mid"}

# pages whose blocks a test of their own runs
OWN_TEST = {
    ("docs/adding_a_cell.md", "python"): "test_adding_a_cell.py",
    ("docs/adding_a_cell.md", "sh"): "test_adding_a_cell.py",
    ("docs/adding_a_dataset.md", "python"): "test_adding_a_dataset.py",
    ("docs/adding_a_dataset.md", "sh"): "test_adding_a_dataset.py",
    ("docs/adding_a_recipe.md", "python"): "test_adding_a_recipe.py",
    ("docs/adding_a_recipe.md", "sh"): "test_adding_a_recipe.py",
    ("docs/adding_a_representation.md", "python"): "test_adding_a_representation.py",
    ("docs/adding_a_representation.md", "sh"): "test_adding_a_representation.py",
    ("docs/bridges.md", "python"): "test_bridges_page.py",
    ("docs/decoding.md", "python"): "test_ctc_search.py",
    ("docs/deploying.md", "python"): "test_export.py",
    ("docs/own_wake_word.md", "sh"): "test_wake.py",
    ("docs/python.md", "python"): "test_adding_a_recipe.py",
    ("docs/representations.md", "python"): "test_representations_page.py",
} | {(f"docs/primer/{language}", kind): "test_primer.py" for language in ("en", "tr") for kind in KINDS}

# pages whose blocks are run in their order, those of sh by a shell, with small trainings, on made-up files and a part
# of the corpora; and what has to be there before
RUN = {
    "README.md": "",
    "docs/alarms.md": """mkdir HEY; cp -r WORDS/yes HEY/hey; cp -r WORDS/no HEY/unknown
        seqaudio prepare audio_folder --source HEY --features spotting --out stores/hey
        seqaudio train keyword_recognition --store stores/hey --run runs/hey
        cp -r WORDS/yes clips/hey; cp -r WORDS/no clips/similar; cp -r MINUTES talk; cp -r MINUTES music""",
    "docs/bptt.md": "",
    "docs/comparing.md": "seqaudio prepare fsdd --source FSDD --out stores/fsdd",
    "docs/decoding.md": """seqaudio prepare an4 --source AN4 --out stores/an4 --features log_mel
        seqaudio train speech_recognition --store stores/an4 --run runs/an4""",
    "docs/deploying.md": """seqaudio prepare audio_folder --source WORDS --features spotting --out stores/hey
        seqaudio train keyword_recognition --store stores/hey --run runs/hey; cp -r runs/hey RUN""",
    "docs/features.md": """cp RECORDING.wav hello.wav; cp -r NOISES noises
        seqaudio prepare audio_folder --source WORDS --keep samples --out stores/samples""",
    "docs/forecasting.md": "",
    "docs/gallery.md": "mkdir pieces; cp melody.mid pieces",
    "docs/index.md": "",
    "docs/judging.md": """seqaudio prepare bach_chorales --out stores/chorales
        seqaudio train music_generation --store stores/chorales --run runs/chorales
        seqaudio generate runs/chorales --out chorale.mid
        mkdir demo; cp -r runs/chorales demo/chorales-run; cp -r stores/chorales demo/chorales-store""",
    "docs/keywords.md": """seqaudio prepare audio_folder --source WORDS --features spotting --out stores/hey
        seqaudio train keyword_recognition --store stores/hey --run runs/RUN""",
    "docs/own_style.md": "mkdir styles; cp -r TUNES styles/ocarolan",
    "docs/probe.md": """seqaudio prepare midi_folder --source TUNES --out stores/nottingham
        seqaudio train music_generation --store stores/nottingham --run runs/nottingham_lstm; mkdir -p docs/pictures""",
    "docs/questions.md": """cp -r WORDS HEY; mv HEY/yes "HEY/hey computer"
        seqaudio prepare audio_folder --source HEY --features spotting --out stores/hey
        seqaudio train keyword_recognition --store stores/hey --run runs/hey""",
    "docs/scaling.md": "seqaudio prepare midi_folder --source TUNES --out stores/tunes",
    "docs/tasks/cells.md": """seqaudio prepare audio_folder --source WORDS --out stores/words
        seqaudio train keyword_recognition --store stores/words --run runs/words
        seqaudio prepare midi_folder --source TUNES --out stores/tunes
        seqaudio train music_generation --store stores/tunes --run runs/tunes""",
    "docs/tasks/compose.md": "",
    "docs/tasks/forecast.md": "",
    "docs/tasks/look.md": "seqaudio prepare audio_folder --source WORDS --out stores/words; cp TUNE.mid tune.mid",
    "docs/tasks/parts.md": "",
    "docs/tasks/recognise.md": "",
    "docs/tasks/text.md": "",
    "docs/tasks/transcribe.md": "",
    "recipes/forecasting/README.md": "",
    "recipes/keyword_recognition/README.md": "",
    "recipes/language_modelling/README.md": "",
    "recipes/memory_tasks/README.md": "",
    "recipes/music_generation/README.md": """seqaudio prepare midi_folder --source TUNES --out stores/made
        seqaudio train music_generation --store stores/made --run runs/tunes""",
    "recipes/polyphonic_music/README.md": "",
    "recipes/speech_recognition/README.md": "cp SENTENCES.csv librispeech.tsv",
}

# names that python blocks of a page take for granted; its blocks follow each other in one session
BEFORE = {
    "docs/features.md": """
import torch
from pathlib import Path
from seqaudio.augmentation import WaveformAugmentation, WaveformAugmenter
from seqaudio.batching import LabelledRecordings, PaddedBatches
from seqaudio.store import Store
store = Store("stores/samples")
labels = torch.zeros(len(store["train"]), dtype=torch.long).numpy()
microphone = torch.randn(4, 800)
""",
    "docs/probe.md": """
import seqaudio
import torch
from torch.nn.functional import cross_entropy
module = net = torch.nn.LSTM(8, 16)
inputs, targets = torch.randn(160, 4, 8), torch.zeros(160, 4, dtype=torch.long)
""",
}

# blocks that are not run, by their page and how they begin
NOT_RUN = {
    ("README.md", "make demo"): "minutes; test_demo.py runs the demo",
    ("docs/index.md", "python3 -m venv"): "an installation; test_wheel.py makes one",
    ("README.md", "seqaudio serve"): "a server that never ends",
    ("docs/index.md", "seqaudio serve"): "a server that never ends",
    ("docs/installing.md", ""): "installations of gigabytes; test_bridges_page.py parses them, test_wheel.py makes one",
    ("docs/serve.md", ""): "a server that never ends; test_serve.py asks one",
    ("docs/home_assistant.md", ""): "a server that never ends; test_wyoming.py serves and asks it",
    ("docs/own_wake_word.md", 'seqaudio wake "hey computer" --speak'): "other synthesisers, which few machines have",
    (
        "recipes/keyword_recognition/README.md",
        "seqaudio prepare speech_commands",
    ): "2.4 GB; test_speech_commands.py runs it on a small one",
    ("docs/keywords.md", "python recipes/keyword_recognition/speakers.py"): "an hour: six speakers, three seeds",
    ("docs/keywords.md", "seqaudio demo"): "a study of 600 voices and other synthesisers; test_demo.py runs the demo",
    ("docs/keywords.md", "python benchmarks"): "a benchmark: its figures say nothing on a busy machine",
    ("docs/keywords.md", "seqaudio wake jarvis"): "other synthesisers and a study's folders; test_wake.py runs wake",
    ("docs/keywords.md", "seqaudio wake operator"): "the same",
    ("docs/forecasting.md", "python recipes/forecasting/window_study.py"): "20 minutes",
    (
        "docs/forecasting.md",
        "python data_prep/series.py --source ETTh1.csv",
    ): "six trainings of minutes, whose rows stand in results.md",
    ("docs/gallery.md", "seqaudio prepare bach_chorales"): "a score as PNG needs cairosvg, which few machines have",
    (
        "docs/own_style.md",
        "seqaudio prepare midi_folder --source NOTTINGHAM",
    ): "the first block once more, with other books",
    ("recipes/memory_tasks/README.md", "OMP_NUM_THREADS=1 python recipes/memory_tasks/study.py"): "hours",
    ("recipes/speech_recognition/README.md", "python recipes/speech_recognition/speakers.py"): "hours",
    (
        "recipes/speech_recognition/README.md",
        "python data_prep/an4.py --source AN4 --out stores/an4 --features log_mel\n",
    ): ("half an hour; the block before it trains on the same corpus"),
    (
        "recipes/speech_recognition/README.md",
        "python data_prep/fsdd.py",
    ): "an hour; test_string_speakers.py has its parts",
    ("docs/bptt.md", "git worktree"): "a benchmark against an earlier commit",
    ("docs/deploying.md", "python benchmarks"): "an hour: a day of sound",
    (
        "docs/results.md",
        "",
    ): "trainings of minutes to hours; test_same_figures.py repeats their first losses",
    ("docs/robustness.md", ""): "the attacks themselves, which are long tests",
    ("docs/speed.md", ""): "benchmarks: their figures say nothing on a busy machine",
    ("docs/tests.md", ""): "tests that start the tests",
    (
        "recipes/trained_models/README.md",
        "",
    ): "trainings of the packed models; test_trained_models.py repeats their figures",
    ("recipes/gradient_flow/README.md", ""): "half an hour; test_gradient_flow.py runs the parts of the study",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str  # path within the clone
    kind: str  # sh, python, text and others
    text: str
    line: int

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def own_test(self) -> str | None:
        """The file of the tests of this page that run its blocks of this kind."""
        if self.reason:
            return None
        return OWN_TEST.get((self.page, self.kind)) or OWN_TEST.get((str(Path(self.page).parent), self.kind))

    @property
    def reason(self) -> str | None:
        """Why it is not run."""
        return next(
            (why for (page, begin), why in NOT_RUN.items() if page == self.page and self.text.startswith(begin)), None
        )

    @property
    def commands(self) -> list[str]:
        """The lines of a block of sh: continued ones joined, without comments, loops and pipes taken apart."""
        lines = re.sub(r"\s*\\\n\s*", " ", self.text).splitlines()
        lines = [re.sub(r"\s+#\s.*|^#.*", "", line) for line in lines]
        lines = [re.sub(r"^for .*; do\b|; done$|^done$", "", line) for line in lines]
        return [part.strip() for line in lines for part in line.split(" | ") if part.strip()]


@cache
def pages() -> dict[str, str]:
    """The text of every page, by its path within the clone."""
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("recipes/*/README.md")]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}


@cache
def blocks() -> tuple[Block, ...]:
    """All blocks of all pages."""
    return tuple(
        Block(page, found[1], found[2], text[: found.start()].count("\n") + 1)
        for page, text in pages().items()
        for found in FENCE.finditer(text)
    )


def run_blocks() -> Iterator[Block]:
    """Those that test_pages.py runs."""
    for block in blocks():
        if block.kind in KINDS and block.own_test is None and block.reason is None and block.page in RUN:
            yield block


def words_of(command: str) -> list[str]:
    """A command as a shell would take it apart, without settings of the environment, with values for placeholders."""
    for name, value in PLACEHOLDERS.items():
        command = command.replace(name, value)
    words = shlex.split(command)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    return words
