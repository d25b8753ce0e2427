"""Build a store from inputs: in parallel, safe to interrupt, updated where only some inputs changed.

    items ── plan ──> chunks ── process ──> rows ──> chunk files ── merge ──> train.arrow valid.arrow test.arrow
                        │                                              └─ statistics ──> store.json, ledger.tsv
                        └─ pool: this process, several, or an executor such as Dask's

items.py              Item, Row, and the Process between them
engine.py             build_store: the whole build, from items to the store in its place
plan.py               which inputs are worked on together; fingerprints of inputs and process
chunks.py             what a worker does with one chunk of inputs
rows.py               rows to an Arrow file
sequence_buffer.py    sequences that wait to be written
merge.py              chunk files to splits, in the order of the inputs, with statistics and checksums
partial.py            OUT.partial/: finished chunks and their journals, picked up by a second run
previous_store.py     an update: rows taken over from the store that is there
statistics.py         sums of features over training frames, for normalisation
pool.py, dask.py      where the work is done
"""

from seqaudio.prepare.build.engine import build_store, check_output
from seqaudio.prepare.build.items import BatchProcess, Item, Process, Row, SplitChoice

__all__ = ["BatchProcess", "Item", "Process", "Row", "SplitChoice", "build_store", "check_output"]
