"""What all `data_prep/` scripts share: the build of a store, splits, tables, downloads."""

from seqaudio.prepare.build import build_store
from seqaudio.prepare.items import Item, ManyProcess, Process, Row

__all__ = ["Item", "ManyProcess", "Process", "Row", "build_store"]
