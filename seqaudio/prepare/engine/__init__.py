"""Build a store from inputs: in parallel, safe to interrupt, able to redo only the inputs that changed.

    items ── plan ──> chunks ── process ──> rows ──> chunk files ── merge ──> train.arrow valid.arrow test.arrow
                        │                                              └─ statistics ──> store.json, ledger.tsv
                        └─ pool: this process, several, or an executor such as Dask's

items.py              Item, Row, and the Process that turns items into rows
build.py              build_store: the whole build, from items to the store at OUT
plan.py               the cut of the inputs into chunks; fingerprints of inputs and process
code_versions.py      versions of the code of features, tokens and MIDI, which are in the fingerprint
chunks.py             the work on one chunk, from files to rows and ledger lines
rows.py               writes and reads the Arrow file of a chunk
sequence_buffer.py    buffers sequences until they are written
merge.py              chunk files to splits, in the order of the inputs, with statistics and checksums
partial.py            OUT.partial/: finished chunks and their journals, from which a second run resumes
previous_store.py     --update: takes rows of unchanged inputs from the existing store
statistics.py         sums of features over training frames, for normalisation
pool.py, dask.py      run the work: in this process, in several, or on a Dask cluster
"""

from seqaudio.prepare.engine.build import build_store, check_output
from seqaudio.prepare.engine.items import BatchProcess, Item, Process, Row, SplitChoice

__all__ = ["BatchProcess", "Item", "Process", "Row", "SplitChoice", "build_store", "check_output"]
