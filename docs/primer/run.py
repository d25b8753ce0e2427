"""Runs the python blocks of pages and compares what they print with the page, or writes it into the page.

    python docs/primer/run.py                                           all pages of both languages
    python docs/primer/run.py docs/primer/en/02_recurrent_net.md        one page
    python docs/primer/run.py --update docs/primer/en/02_recurrent_net.md

`--update` runs a page twice, from other states of the global generators, and refuses one that prints something else
the second time: such a block lacks a seed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chapters import LANGUAGES, Page, PageError, pages, read_page
from examples import SEED, Outcome, faults, run_pages
from printed import difference

from seqaudio.files import write_bytes


def update(outcome: Outcome, again: Outcome) -> None:
    """Write what a page's blocks printed behind them. Raises PageError where they failed or need a seed."""
    if outcome.error is not None:
        raise PageError(f"{outcome.place}: {outcome.error}")
    for example, first, second in zip(outcome.page.examples, outcome.printed, again.printed, strict=True):
        if words := difference(first, second):
            name = f"{outcome.page.path.name}:{example.code.line}"
            raise PageError(f"{name}: prints something else each time ({words}); set a seed in it")
    written = outcome.page.with_printed([_ended(text) for text in outcome.printed])
    if written.text != outcome.page.text:
        write_bytes(outcome.page.path, written.text.encode("utf-8"))


def _ended(text: str) -> str:
    lines = [line.rstrip() for line in text.rstrip().splitlines()]
    return "".join(line + "\n" for line in lines)


def times(outcome: Outcome) -> str:
    """A line about a page: how long its blocks took."""
    slowest = max(outcome.seconds, default=0.0)
    name = f"{outcome.page.path.parent.name}/{outcome.page.path.name}"
    return f"{name}: {len(outcome.seconds)} blocks, {sum(outcome.seconds):.1f} s, the slowest {slowest:.1f} s"


def main() -> int:
    """0, or 1 where a page does not keep its word."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--update", action="store_true", help="write what the blocks print into the pages")
    options = parser.parse_args()
    try:
        chosen: list[Page] = [read_page(path.resolve()) for path in options.pages]
        chosen = chosen or [page for language in LANGUAGES for page in pages(language)]
        outcomes = run_pages(chosen)
        if options.update:
            for outcome, again in zip(outcomes, run_pages(chosen, SEED + 1), strict=True):
                update(outcome, again)
    except (PageError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = [] if options.update else [fault for outcome in outcomes for fault in faults(outcome)]
    for outcome in outcomes:
        print(times(outcome))
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
