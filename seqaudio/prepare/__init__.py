"""What all `data_prep/` scripts share: the build of a store, splits, tables, downloads."""

from seqaudio.prepare.build import Item, Process, Row, build_store

__all__ = ["Item", "Process", "Row", "build_store"]
