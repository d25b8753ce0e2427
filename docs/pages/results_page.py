"""Publish a run's results, and write docs/results.md from all that are published.

python docs/pages/results_page.py publish RUN NAME   copies RUN/results.json to docs/results/NAME.json, and notes the
                                                     reading of the test in docs/results/readings.tsv
python docs/pages/results_page.py study NAME         notes the readings of docs/results/studies/NAME.json, of speakers
python docs/pages/results_page.py page               writes docs/results.md from docs/results/

NAME ends in `_SEED`, and begins as one of SECTIONS does.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from result_groups import Group, PublishedRun, group_runs, summary

from seqaudio.cli.options import exit_status
from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation.comparison import better_when, is_share
from seqaudio.evaluation.intervals import wilson
from seqaudio.evaluation.results import main_metric, publish
from seqaudio.files import write_bytes

PAGE_HEAD = """# Results

Written by `make results` from the files in [results/](results); no figure here is typed by hand. Each table holds one
test set, the best mean first. Each row holds runs that differ by their seed alone:

- **seeds** is their number. **mean**, **sd** (standard deviation) and **range** are over the seeds, on the test split;
  where there is one seed, sd and range are a dash.
- **errors** are the items that were missed, the mean over the seeds. The **95 % interval** (Wilson) is that of one
  reading of the test with so many errors: it says how much another choice of test items could change, as sd says how
  much another seed could.
- Columns in *italics* are baselines, scored on the same test items.
- **seconds** are the wall time of a training, the mean over the seeds. Where validation chose the learning rate, they
  are those of the chosen training.
- **test reads** counts how often `evaluate.py` has opened the test split of each run. Training never opens it:
  validation chooses the epoch. Below each table stands how often its test was read for anything that was ever
  published here, in other tables too; [results/readings.tsv](results/readings.tsv) lists these readings.

Single runs are folded away beneath each table; the file of each has its own command, versions and all metrics.
"""

# what a metric says; {items} is the number and the kind of what one reading scored
METRICS = {
    "accuracy": "share of {items} that got the right label",
    "nats_per_event": "negative log-likelihood in nats, the mean over {items}",
    "nats_per_character": "negative log-likelihood in nats, the mean over {items}",
    "nats_per_word": "negative log-likelihood in nats, the mean over {items}",
    "nats_per_note": "negative log-likelihood in nats of each note, the mean over {items}",
    "nats_per_frame": "negative log-likelihood in nats, the mean over {items}, first frames of pieces included",
    "mse": "squared error, the mean over {items}",
    "wer": "wrong, missing and additional words as a share of the words that were said, in {items}",
}
# metrics that have a column beside the main one, and its heading
MORE_METRICS = {
    "accuracy_clean": "without noise",
    "accuracy_noisy": "in noise",
    "perplexity": "perplexity",
    "cer": "the same of characters",
    "beam_wer": "words, with a language model",
    "mae": "mean absolute error",
    "nats_per_later_frame": "without first frames",
    "nats_per_decoded_note": "nats a note",
}


@dataclass(frozen=True)
class Section:
    """A table: all groups that were scored on one test set."""

    task: str
    title: str
    prefixes: tuple[str, ...]  # with which the names of its groups begin
    items: str  # what the test count counts
    note: str = ""  # what a reader has to know of this test set
    store: str = ""  # the command that prepares its store
    test: str = ""  # name of the test items where another table has the same ones; else the title is the name
    independent: bool = True  # whether errors of items are, so that a share of them has an interval

    @property
    def test_name(self) -> str:
        """The name of the test items."""
        return self.test or self.title


READINGS = "readings.tsv"
READINGS_HEAD = ("date", "test", "run", "metric", "value", "reads")


@dataclass(frozen=True)
class Reading:
    """The score of a run on a test set, and how often the run was evaluated on it."""

    date: str
    test: str  # name of the test items
    run: str
    metric: str
    value: float
    reads: int


ROLLS = "The published split of Boulanger-Lewandowski et al. (2012); a frame is an eighth, of JSB a quarter."
SERIES_NOTE = "Values are standardised with mean and standard deviation of the training rows."
ETTH1_NOTE = (
    f"{SERIES_NOTE} All windows count; published figures mostly leave the last, smaller batch out, see "
    "[docs/forecasting.md](forecasting.md#etth1)."
)
MEMORY_STUDY = "One study trains them all: [recipes/memory_tasks](../recipes/memory_tasks/README.md)."
FSDD = "seqaudio prepare fsdd --source FSDD"
COMMANDS = "seqaudio prepare speech_commands --source SPEECH_COMMANDS --version 0.01 --features spotting"
NOTTINGHAM = "seqaudio prepare midi_folder --source NOTTINGHAM --representation performance --out stores/nottingham"
ETTH1 = (
    "seqaudio prepare series --source ETTh1.csv --time-column date --period 24 --rows 8640 2880 2880 --out stores/etth1"
)
SUNSPOTS = (
    "seqaudio prepare series --source monthly-sunspots.csv --time-column Month --period 132 --out stores/sunspots"
)
AIRLINE = (
    "seqaudio prepare series --source monthly-airline-passengers.csv --time-column Month --period 12 --rows 96 24 24 "
    "--out stores/airline"
)

# in the order of the page; a group belongs to the longest prefix that its name begins with
SECTIONS = (
    Section(
        "Keyword recognition",
        "Free Spoken Digit Dataset, the official test",
        ("fsdd",),
        "clips",
        "Ten digits, as whole clips of MFCC; the six speakers of the test are those of the training.",
        f"{FSDD} --out stores/fsdd",
    ),
    Section(
        "Keyword recognition",
        "Free Spoken Digit Dataset, the official test, learned from streams",
        ("fsdd_streams",),
        "clips",
        "The same test, for a model that hears words in longer sound, too "
        "([docs/keywords.md](keywords.md#a-word-within-longer-sound)).",
        f"{FSDD} --features spotting --out stores/fsdd",
        test="Free Spoken Digit Dataset, the official test",
    ),
    Section(
        "Keyword recognition",
        "Speech Commands, a part: bed, cat, happy, unknown, silence",
        ("commands3",),
        "clips",
        "Of v0.01, with its own lists; the speakers of the test are not in training.",
        f"{COMMANDS} --words bed cat happy --out stores/commands3",
    ),
    Section(
        "Keyword recognition",
        "Spoken digits, learned from synthetic voices alone",
        ("spoken_digits",),
        "clips",
        "All of the Free Spoken Digit Dataset; validation is the digits of Speech Commands "
        "([docs/keywords.md](keywords.md#from-synthetic-voices-to-people)).",
    ),
    Section(
        "Keyword recognition",
        "The demo's words",
        ("demo_keywords",),
        "clips",
        "Ten words, near misses and silence; espeak-ng speaks them, with voices that training never had. These were "
        "drawn anew (--test-draw 2) after the first ones had been read eight times, and were read once, with --around.",
        test="The demo's words, second draw of test voices",
    ),
    Section(
        "Polyphonic music",
        "JSB chorales as piano rolls: independent notes",
        ("jsb_sigmoid",),
        "frames",
        ROLLS + " Published results of gated cells leave first frames out.",
        "seqaudio prepare polyphonic --set jsb --source FOLDER --out stores/jsb",
        test="JSB chorales as piano rolls",
    ),
    Section(
        "Polyphonic music",
        "JSB chorales as piano rolls: notes given each other",
        ("jsb_nade",),
        "frames",
        ROLLS + " Published results of whole frames count first frames.",
        "seqaudio prepare polyphonic --set jsb --source FOLDER --out stores/jsb",
        test="JSB chorales as piano rolls",
    ),
    Section(
        "Polyphonic music",
        "Nottingham as piano rolls: independent notes",
        ("rolls_nottingham_sigmoid",),
        "frames",
        ROLLS + " Published results of gated cells leave first frames out.",
        "seqaudio prepare polyphonic --set nottingham --source FOLDER --out stores/nottingham",
        test="Nottingham as piano rolls",
    ),
    Section(
        "Polyphonic music",
        "Nottingham as piano rolls: notes given each other",
        ("rolls_nottingham_nade",),
        "frames",
        ROLLS + " Published results of whole frames count first frames.",
        "seqaudio prepare polyphonic --set nottingham --source FOLDER --out stores/nottingham",
        test="Nottingham as piano rolls",
    ),
    *(
        Section(
            "Polyphonic music",
            f"{title} as piano rolls: independent notes",
            (f"rolls_{name}_sigmoid",),
            "frames",
            ROLLS + " Published results of gated cells leave first frames out.",
            f"seqaudio prepare polyphonic --set {name} --source FOLDER --out stores/{name}",
        )
        for name, title in (("musedata", "MuseData"), ("piano_midi", "Piano-midi.de"))
    ),
    Section(
        "Polyphonic music",
        "JSB chorales as piano rolls: six cells of equal size",
        ("cells_jsb_sigmoid",),
        "frames",
        ROLLS + " Equal parameters, epochs, dropouts and learning rates tried; one study trains them all.",
        "seqaudio prepare polyphonic --set jsb --source FOLDER --out stores/jsb",
        test="JSB chorales as piano rolls",
    ),
    *(
        Section(
            "Music generation",
            f"JSB chorales, TonicNet's protocol{about}",
            (name,),
            "events",
            "The mean over the notes of a piece, then over pieces.",
            f"seqaudio prepare jsb_chorales --source FOLDER --representation {name} --transpose --out stores/{name}",
        )
        for name, about in (("tonicnet", " with chords"), ("tonicnet_notes", ", without chords"))
    ),
    Section(
        "Music generation",
        "Nottingham folk tunes, versions of a tune kept together",
        ("tunes_bars",),
        "events",
        "End marks are events, too.",
        "seqaudio prepare midi_folder --source NOTTINGHAM --out stores/tunes",
    ),
    Section(
        "Music generation",
        "Bach's chorales",
        ("chorales",),
        "events",
        "From music21, with the voices and bars of each; end marks are events, too.",
        "seqaudio prepare bach_chorales --out stores/chorales",
    ),
    Section(
        "Music generation",
        "Piano-midi.de",
        ("pianode_bars",),
        "events",
        "End marks are events, too.",
        "seqaudio prepare piano_midi --source FOLDER --representation bars --out stores/pianode",
    ),
    Section(
        "Music generation",
        "Nottingham folk tunes: the state carried from window to window, or zeroed",
        ("carried_music", "zeroed_music"),
        "events",
        "What it means: [docs/bptt.md](bptt.md#what-the-carried-state-is-worth). Versions of a tune are kept together.",
        NOTTINGHAM,
        test="Nottingham folk tunes, versions of a tune kept together",
    ),
    Section(
        "Music generation",
        "The demo's chorales",
        ("demo_chorales",),
        "events",
        "Bach's chorales in four voices, from music21.",
        test="Bach's chorales",
    ),
    Section(
        "Speech recognition",
        "CMU AN4, the official test",
        ("an4",),
        "recordings",
        "By greedy decoding, without a language model; none of the ten speakers was in training. With a beam of 50 and "
        "an n-gram of words from the training texts: "
        "[recipes/speech_recognition](../recipes/speech_recognition/README.md#a-language-model-beside-it). "
        "Seed 1 was given --minutes 24, which made its 85 epochs.",
        "seqaudio prepare an4 --source AN4 --out stores/an4 --features log_mel",
        independent=False,
    ),
    Section(
        "Speech recognition",
        "LibriSpeech, 89 minutes of dev-clean",
        ("librispeech",),
        "recordings",
        "Nine speakers train, one is for validation, one for the test. The n-gram of words is of the training texts. "
        "The test had been read once before, when the training was at 36 of its 52 epochs.",
        "seqaudio prepare audio_folder --source librispeech.tsv --out stores/librispeech --features log_mel",
        independent=False,
    ),
    Section(
        "Speech recognition",
        "yesno",
        ("yesno",),
        "recordings",
        "One man says yes or no in Hebrew, eight times in each recording; his voice is in training, too.",
        "seqaudio prepare yesno --source YESNO --out stores/yesno --features log_mel",
        independent=False,
    ),
    Section(
        "Language modelling",
        "Tiny Shakespeare",
        ("shakespeare",),
        "characters",
        "The last twentieth of the text; the one before it is for validation.",
        'seqaudio prepare text_file --source tinyshakespeare.txt --out stores/shakespeare --name "tiny Shakespeare"',
    ),
    Section(
        "Language modelling",
        "War and Peace",
        ("war_and_peace",),
        "characters",
        "The last tenth of the text; the tenth before it is for validation.",
        'seqaudio prepare text_file --source war_and_peace.txt --out stores/war_and_peace --name "War and Peace" '
        "--valid-percent 10 --test-percent 10",
    ),
    Section(
        "Language modelling",
        "War and Peace, words",
        ("war_words",),
        "words",
        "Parts of 80, 10 and 10 %. Words that occur less than 5 times in training are `<unk>`, which is a word, too.",
        'seqaudio prepare text_file --source war_and_peace.txt --out stores/war_words --name "War and Peace" '
        "--units words --min-count 5 --valid-percent 10 --test-percent 10",
    ),
    Section(
        "Language modelling",
        "Tiny Shakespeare: the state carried from window to window, or zeroed",
        ("carried_text", "zeroed_text"),
        "characters",
        "What it means: [docs/bptt.md](bptt.md#what-the-carried-state-is-worth).",
        'seqaudio prepare text_file --source tinyshakespeare.txt --out stores/shakespeare --name "tiny Shakespeare"',
        test="Tiny Shakespeare",
    ),
    *(
        Section("Forecasting", f"{title}, {ahead} ahead", (f"{series}_h{horizon}",), "values", note, store)
        for title, series, note, store, horizons in (
            ("ETTh1", "etth1", ETTH1_NOTE, ETTH1, {24: "24 hours", 48: "48 hours"}),
            ("Monthly sunspots", "sunspots", SERIES_NOTE, SUNSPOTS, {1: "one month", 12: "twelve months"}),
            ("Airline passengers", "airline", SERIES_NOTE, AIRLINE, {1: "one month", 12: "twelve months"}),
        )
        for horizon, ahead in horizons.items()
    ),
    Section(
        "Memory tasks",
        "Adding problem, 600 steps",
        ("adding_600",),
        "sequences",
        f"Sequences are generated, without a store. {MEMORY_STUDY} Seeds after the first shared their core with other "
        "trainings, so their seconds are longer.",
    ),
    Section(
        "Memory tasks",
        "Copy problem, 200 steps of silence",
        ("copy_200",),
        "symbols",
        "Ten symbols are asked for in each sequence: their errors are not independent, so no interval is given. Where "
        "there is one seed, only large differences count, as the range over three shows. Seeds after the first shared "
        "their core with other trainings, so their seconds are longer. "
        f"{MEMORY_STUDY}",
        independent=False,
    ),
)

LEFT_OUT = "Free Spoken Digit Dataset, {} left out"  # name of the test items that are the clips of one speaker
# studies whose table stands on this page too: title, what a reader has to know, command
SPEAKER_STUDIES = {
    "fsdd_speakers": (
        "Free Spoken Digit Dataset, each of the six speakers left out",
        "Four of the others train, the next one in the alphabet chooses the epoch. The model learns from streams. The "
        "last line is of all six together; it has no interval, since clips of one speaker are missed for like reasons. "
        "The last column counts the readings of all trainings that were ever published. Seconds are beside other "
        "programs.",
        "python recipes/keyword_recognition/speakers.py --source FSDD --out runs/speakers",
    )
}
# studies are no runs: each has a table and a story of its own
STUDIES = {
    "fsdd_speakers": (
        "How well digits of a speaker never heard are recognised",
        "[docs/keywords.md](keywords.md#a-speaker-never-heard)",
    ),
    "fsdd_speakers_spoken": (
        "The same with digits of synthetic voices added",
        "[docs/keywords.md](keywords.md#a-speaker-never-heard)",
    ),
    "gradient_flow_adding": (
        "At which length each cell stops learning the adding problem",
        "[recipes/gradient_flow](../recipes/gradient_flow/README.md#which-cell-stops-learning-at-which-length)",
    ),
    "window_study": (
        "What the length of a window costs: error, weights and examples",
        "[docs/forecasting.md](forecasting.md#how-long-should-the-window-be)",
    ),
}


def page(folder: Path) -> str:
    """The text of `docs/results.md`: a table a test set, a row a group. Raises RunError for what it cannot place."""
    groups = group_runs({file.stem: _read(file) for file in sorted(folder.glob("*.json"))})
    placed: dict[Section, list[Group]] = {}
    for group in groups:
        placed.setdefault(section_of(group.name), []).append(group)
    readings = read_readings(folder / READINGS)
    parts = [PAGE_HEAD]
    task = None
    for section in SECTIONS:
        if section not in placed:
            continue
        if section.task != task:
            task = section.task
            parts.append(f"## {task}\n")
        parts.append(_section(section, placed[section], readings))
    return "\n".join([*parts, *_studies(folder / "studies", readings)])


def section_of(name: str) -> Section:
    """The section that a group or a run belongs to. Raises RunError where none takes it."""
    fitting = [
        (len(prefix), place)
        for place, section in enumerate(SECTIONS)
        for prefix in section.prefixes
        if f"{name}_".startswith(f"{prefix}_")
    ]
    if not fitting:
        known = ", ".join(prefix for section in SECTIONS for prefix in section.prefixes)
        raise RunError(
            f"{name}: no section of the results page takes it; begin its name with one of {known}, "
            f"or add a section to docs/pages/results_page.py"
        )
    return SECTIONS[max(fitting)[1]]


def _read(file: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return data


def read_readings(file: Path) -> list[Reading]:
    """All readings that were ever published; none where the file is missing."""
    if not file.is_file():
        return []
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    return [
        Reading(date, test, run, metric, float(value), int(reads)) for date, test, run, metric, value, reads in rows
    ]


def note_reading(file: Path, name: str, data: dict[str, Any]) -> None:
    """Add the reading of a published run, or replace its line where it has read the same test again."""
    metric = main_metric(data["test"])
    today, test = date.today().isoformat(), section_of(name).test_name
    _add_reading(file, Reading(today, test, name, metric, data["test"][metric], data["test_reads"]))


def _add_reading(file: Path, new: Reading) -> None:
    kept = [old for old in read_readings(file) if (old.test, old.run, old.value) != (new.test, new.run, new.value)]
    lines = ["\t".join(READINGS_HEAD), *("\t".join(map(str, astuple(each))) for each in [*kept, new])]
    write_bytes(file, "".join(f"{line}\n" for line in lines).encode("utf-8"))


def note_study(file: Path, name: str, study: Mapping[str, Any]) -> None:
    """Add the readings of a published study of speakers left out: one for each speaker and seed."""
    for speaker, row in study["speakers"].items():
        for seed, accuracy, reads in zip(study["seeds"], row["accuracy"], row["test_reads"], strict=True):
            run = f"{name}_{speaker}_{seed}"
            _add_reading(
                file, Reading(date.today().isoformat(), LEFT_OUT.format(speaker), run, "accuracy", accuracy, reads)
            )


def _section(section: Section, groups: Sequence[Group], readings: Sequence[Reading]) -> str:
    first = groups[0]
    for group in groups:
        if (group.metric, group.count) != (first.metric, first.count):
            raise RunError(
                f"{first.name} has {first.metric} over {first.count} items, {group.name} {group.metric} over "
                f"{group.count}: a table holds one test set; add a section to docs/pages/results_page.py"
            )
    metric = first.metric
    if metric not in METRICS:
        raise RunError(
            f"{first.name}: the page cannot explain {metric}; add it to METRICS in docs/pages/results_page.py"
        )
    ordered = sorted(groups, key=lambda group: (_goodness(group), group.name))
    runs = [run for group in ordered for run in group.runs]
    if len(_items(runs)) > 1:
        raise RunError(f"{first.name}: other runs of its table have read other test items; add a section")
    scored = METRICS[metric].format(items=f"{first.count:,} {section.items}")
    machines = _each_once(run.data["machine"] for run in runs)
    torch = _each_once(run.data["versions"]["torch"] for run in runs)
    about = (
        f"`{metric}`: {scored}; {better_when(metric)} is better.",
        section.note,
        f"Trained on {machines}, with torch {torch}.",
    )
    return "\n".join(
        [
            f"### {section.title}",
            "",
            " ".join(filter(None, about)),
            "",
            *_group_table(section, ordered),
            "",
            *_commands(section, ordered),
            "",
            *_read_in_all(section, runs, readings),
            *_run_table(runs, metric),
            "",
        ]
    )


def _items(runs: Sequence[PublishedRun]) -> set[str]:
    """The test items that runs have read, as far as their results say which."""
    own = [[test for test in run.data.get("tests", {}).values() if test["test"] == run.data["test"]] for run in runs]
    return {test["items"] for tests in own for test in tests if "items" in test}


def _read_in_all(section: Section, runs: Sequence[PublishedRun], readings: Sequence[Reading]) -> list[str]:
    """How often the test was read, where others than the runs of this table have read it too."""
    here = [reading for reading in readings if reading.test == section.test_name]
    reads = sum(reading.reads for reading in here)
    if reads <= sum(run.data["test_reads"] for run in runs):
        return []
    return [f"All trainings that were ever published have read these test items {reads} times.", ""]


def _goodness(group: Group) -> float:
    """The mean on test, the smaller the better."""
    mean = summary(group.values(group.metric)).mean
    return -mean if better_when(group.metric) == "higher" else mean


def _group_table(section: Section, groups: Sequence[Group]) -> list[str]:
    metric = groups[0].metric
    baselines = list(dict.fromkeys(name for group in groups for name in group.baselines(metric)))
    more = [name for name in MORE_METRICS if name in groups[0].runs[0].data["test"]]
    head = ["runs", "seeds", "mean", "sd, points" if is_share(metric) else "sd", "range"]
    if is_share(metric):
        head.append(f"errors of {groups[0].count:,}")
        if section.independent:
            head.append("95 % interval")
    head += [MORE_METRICS[name] for name in more]
    head += [*(f"*{name}*" for name in baselines), "parameters", "seconds", "test reads"]
    rows = []
    for group in groups:
        figure = summary(group.values(metric))
        cells = [f"`{group.name}`", str(len(group.runs)), f"**{_number(metric, figure.mean)}**"]
        if figure.deviation is None:
            cells += ["-", "-"]
        else:
            deviation = _number(metric, figure.deviation, _decimals(metric, figure.mean)).removesuffix(" %")
            cells += [deviation, _interval(metric, figure.low, figure.high)]
        if is_share(metric):
            cells.append(f"{group.mean_errors():,.1f}".removesuffix(".0"))
            if section.independent:
                cells.append(_interval(metric, *wilson(figure.mean, group.count)))
        cells += [_number(name, summary(group.values(name)).mean) for name in more]
        scored = group.baselines(metric)
        cells += [_number(metric, scored[name]) if name in scored else "-" for name in baselines]
        seconds = summary([run.data["wall_seconds"] for run in group.runs]).mean
        cells += [f"{group.runs[0].data['parameters']:,}", f"{seconds:,.0f}", _reads(group)]
        rows.append(_row(cells))
    return [_row(head), _row(["---", *["---:"] * (len(head) - 1)]), *rows]


def _reads(group: Group) -> str:
    """`1`, `1 each`, or one number a run."""
    reads = [run.data["test_reads"] for run in group.runs]
    if len(reads) > 1 and len(set(reads)) == 1:
        return f"{reads[0]} each"
    return ", ".join(map(str, reads))


def _commands(section: Section, groups: Sequence[Group]) -> list[str]:
    """A block of shell: the store, then each group's command with the seed left open."""
    lines = ["```sh"]
    if section.store:
        lines.append(section.store)
    for group in groups:
        seeds = ", ".join(str(run.seed) for run in group.runs)
        lines.append(f"# {group.name}: SEED {seeds}{_tuning(group)}")
        lines.append(group.command)
    return [*lines, "```"]


def _tuning(group: Group) -> str:
    """How a study chose the learning rate of the group's runs; empty where none did."""
    rates = group.runs[0].data.get("tuning", {}).get("learning_rates", {})
    return f"; validation chose the learning rate from {', '.join(sorted(rates, key=float))}" if rates else ""


def _run_table(runs: Sequence[PublishedRun], metric: str) -> list[str]:
    """The single runs, folded away."""
    lines = [_row(["run", "seed", "valid", "test", "seconds", "test reads"]), _row(["---", *["---:"] * 5])]
    for run in runs:
        data = run.data
        figures = [_number(metric, data[split][metric]) for split in ("valid", "test")]
        link = f"[{run.name}](results/{run.name}.json)"
        lines.append(_row([link, str(run.seed), *figures, f"{data['wall_seconds']:,.0f}", str(data["test_reads"])]))
    title = "The run" if len(runs) == 1 else f"The {len(runs)} single runs"
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>"]


def _studies(folder: Path, readings: Sequence[Reading]) -> list[str]:
    lines, tables = [], []
    for file in sorted(folder.glob("*.json")):
        if file.stem not in STUDIES:
            raise RunError(f"{file}: the page has no title for it; add it to STUDIES in docs/pages/results_page.py")
        title, story = STUDIES[file.stem]
        lines.append(f"- {title}: table and command in {story}, figures in [{file.name}](results/studies/{file.name}).")
        if file.stem in SPEAKER_STUDIES:
            tables += ["", *_speakers(*SPEAKER_STUDIES[file.stem], _read(file), readings)]
    return ["## Studies", "", *lines, *tables, ""] if lines else []


def _speakers(title: str, note: str, command: str, study: Mapping[str, Any], readings: Sequence[Reading]) -> list[str]:
    """A row for each speaker who was left out, and their mean."""
    rows = study["speakers"]
    counts = [row["count"] for row in rows.values()]
    head = ["left out", "seeds", "mean", "sd, points", "range", f"errors of {counts[0]:,}", "95 % interval"]
    head += ["*5-nearest-neighbours, centred*", "parameters", "seconds", "test reads", "test reads in all"]
    table = [_row(head), _row(["---", *["---:"] * (len(head) - 1)])]
    for speaker, row in rows.items():
        reads = sum(reading.reads for reading in readings if reading.test == LEFT_OUT.format(speaker))
        cells = [speaker, str(len(row["accuracy"])), *_shares(row["accuracy"])]
        cells += [_mean_of(row["errors"]), _interval("accuracy", *row["interval"])]
        cells += [_number("accuracy", row["neighbours"]), f"{row['parameters']:,}", _mean_of(row["seconds"], 0)]
        table.append(_row([*cells, ", ".join(map(str, row["test_reads"])), str(reads)]))
    seeds = [statistics.mean(each) for each in zip(*(row["accuracy"] for row in rows.values()), strict=True)]
    errors = [sum(each) for each in zip(*(row["errors"] for row in rows.values()), strict=True)]
    neighbours = statistics.mean(row["neighbours"] for row in rows.values())
    cells = ["all", str(len(seeds)), *_shares(seeds), f"{_mean_of(errors)} of {sum(counts):,}", "-"]
    table.append(_row([*cells, _number("accuracy", neighbours), "", "", "", ""]))
    worst = min(rows, key=lambda speaker: rows[speaker]["mean"])
    accuracies = f"{METRICS['accuracy'].format(items=f'{counts[0]:,} clips of each speaker')}; higher is better."
    return [
        f"### {title}",
        "",
        f"`accuracy`: {accuracies} {note} Trained on {study['machine']}.",
        "",
        *table,
        "",
        f"The worst is {worst}: {_number('accuracy', rows[worst]['mean'])}.",
        "",
        "```sh",
        command,
        "```",
    ]


def _shares(accuracies: Sequence[float]) -> list[str]:
    """The mean, standard deviation and range of accuracies over seeds, as cells."""
    figure = summary(accuracies)
    mean = f"**{_number('accuracy', figure.mean)}**"
    if figure.deviation is None:
        return [mean, "-", "-"]
    deviation = _number("accuracy", figure.deviation).removesuffix(" %")
    return [mean, deviation, _interval("accuracy", figure.low, figure.high)]


def _mean_of(values: Sequence[float], decimals: int = 1) -> str:
    return f"{statistics.mean(values):,.{decimals}f}".removesuffix(".0")


def _each_once(names: Iterable[str]) -> str:
    """The different names, each once."""
    return " or ".join(sorted(set(names)))


def _number(metric: str, value: float, decimals: int | None = None) -> str:
    """Per cent for a share, else a plain decimal."""
    decimals = _decimals(metric, value) if decimals is None else decimals
    return f"{100 * value:.{decimals}f} %" if is_share(metric) else f"{value:.{decimals}f}"


def _decimals(metric: str, value: float) -> int:
    """Two for a share, else four, or as many as two digits of the value need."""
    exponent = int(f"{value:.1e}".partition("e")[2])
    return 2 if is_share(metric) else max(4, 1 - exponent)


def _interval(metric: str, low: float, high: float) -> str:
    """Both ends; the sign of per cent once."""
    return f"{_number(metric, low).removesuffix(' %')} .. {_number(metric, high)}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main(arguments: list[str]) -> None:
    """Run one of the commands of this module."""
    folder = Path("docs/results")
    if arguments[:1] == ["publish"] and len(arguments) == 3:
        section_of(arguments[2])
        published = publish(Path(arguments[1]), arguments[2], folder)
        note_reading(folder / READINGS, arguments[2], _read(published))
        print(published)
    elif arguments[:1] == ["study"] and len(arguments) == 2 and arguments[1] in SPEAKER_STUDIES:
        note_study(folder / READINGS, arguments[1], _read(folder / "studies" / f"{arguments[1]}.json"))
    elif arguments == ["page"]:
        write_bytes(Path("docs/results.md"), page(folder).encode("utf-8"))
        print("docs/results.md")
    else:
        raise OptionError(f"got {arguments}, expected `publish RUN NAME`, `study NAME` or `page`")


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
