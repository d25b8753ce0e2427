"""Mutants of a store's Arrow files, opened and read to the last value; run as a program, since damage may kill.

python tests/mutated_arrow.py STORE SEED COUNT    prints how many were refused, and read as they were
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from seqaudio.errors import StoreError
from seqaudio.files import sha256_of, write_json
from seqaudio.json_files import read_json
from seqaudio.store import Store


def mutant(content: bytes, draw: random.Random) -> bytes:
    """Some bits or bytes changed, at one of the ends (metadata) in half of the cases; or cut off, or longer."""
    kind = draw.randrange(12)
    if kind == 0:
        return content[: draw.randrange(len(content))]
    if kind == 1:
        return content + bytes(draw.randrange(1, 64))
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        reach = draw.choice((len(changed), len(changed), 1500, -1500))
        place = draw.randrange(reach) if reach > 0 else len(changed) + draw.randrange(reach, 0)
        changed[place] = draw.choice((changed[place] ^ 1 << draw.randrange(8), draw.randrange(256), 0, 255))
    return bytes(changed)


def read_all(folder: Path) -> None:
    """Open a store and read every row of every split."""
    store = Store(folder)
    for name in store.counts:
        split = store[name]
        split.check_values()
        for row in range(len(split)):
            split.sequence(row).sum()
            split.fields(row)


def forget_checks(folder: Path) -> None:
    """Take sizes and hashes out of store.json, as if they were those of the damaged files: buffers must be checked."""

    data = read_json(folder / "store.json")
    data["sizes"] = {}
    data["files"] = {name: sha256_of(folder / name) for name in data["files"]}
    write_json(folder / "store.json", data)


def main(store: Path, seed: int, count: int) -> None:
    """Damage, read, count. An error that is no StoreError ends the program with its traceback."""
    counts = Counter[str]()
    files = sorted(store.glob("*.arrow"))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "store"
        shutil.copytree(store, folder)
        for number in range(count):
            draw = random.Random(f"{seed} {number}")
            file = draw.choice(files)
            kept = (folder / "store.json").read_bytes()
            (folder / file.name).write_bytes(mutant(file.read_bytes(), draw))
            if number % 2:
                forget_checks(folder)
            try:
                read_all(folder)
                counts["read"] += 1
            except StoreError as error:
                assert "\n" not in str(error), error
                assert str(folder) in str(error), error
                counts["refused"] += 1
            shutil.copy(file, folder / file.name)
            (folder / "store.json").write_bytes(kept)
    print(", ".join(f"{count} {what}" for what, count in sorted(counts.items())))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
