"""Turn time series into rows of a store: from tables, with or without a column of times, or from a rule."""
