"""Steps of the recurrences, compiled by numba. Importing this package imports numba."""
