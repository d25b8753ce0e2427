"""What corpora have in common before their first file is read: downloads, archives, folders, tables, splits, counts."""
