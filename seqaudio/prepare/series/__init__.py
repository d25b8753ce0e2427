"""Rows of time series: from a table with a column of times, or from a rule."""
