"""The steps of the recurrences as kernels that numba compiles. Importing this room imports numba."""
