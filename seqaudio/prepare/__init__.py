"""Data preparation: what all scripts of `data_prep/` share."""
