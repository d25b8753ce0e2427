"""Data preparation: the code that the scripts of `data_prep/` share."""
