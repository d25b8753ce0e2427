"""Tools for all corpora, up to the list of inputs: downloads, archives, folders, tables, splits, counts."""
