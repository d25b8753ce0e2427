"""Products of a few or many rows with a matrix in panels, compiled: a row's bits depend on that row alone, which BLAS
does not promise.

Panels are the transpose of a matrix [M, K], cut into PANEL columns each, [M / PANEL, K, PANEL], so that the sums of a
few rows stay in registers while panels pass by once. Each sum runs over k in order, whatever the number of rows, so
how rows and panels are gathered into blocks of registers is a matter of speed alone.
"""

from __future__ import annotations

from llvmlite import binding

from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.rows import Matrix, Row
from seqaudio.vectors import WIDE, product_block

PANEL = 2 * WIDE
# sixteen sums of sixteen numbers fill half the registers of AVX-512; others have half as many, of half the size
MANY_REGISTERS = bool(binding.get_host_cpu_features().get("avx512f"))
GROUP = 8 * PANEL  # columns whose panels stay in the cache while all rows pass by

# rows x panels; of a few registers, rows x halves of a panel
_8x1, _4x2, _4x1 = (product_block(*shape, 2, 2) for shape in ((8, 1), (4, 2), (4, 1)))
_2x4, _2x1 = (product_block(2, panels, 2, 2) for panels in (4, 1))
_1x8, _1x4, _1x2, _1x1 = (product_block(1, panels, 2, 2) for panels in (8, 4, 2, 1))
_6_halves, _3_halves = (product_block(rows, 1, 2, 1) for rows in (6, 3))


@compiled
def _add_group_wide(
    rows: Matrix, panels: Row, offset: int, scales: Row, first: int, sums: Matrix, begin: int, end: int
) -> None:
    """`add_scaled` for the columns from begin to end, with 32 registers of sixteen float32."""
    B, K = rows.shape
    M = sums.shape[1]
    eights = B - B % 8
    for c in range(begin, end, PANEL):
        for b in range(0, eights, 8):
            _8x1(rows, b, panels, offset + c * K, scales, first + c, sums, b * M + c)
    b = eights
    if B - b >= 4:
        c = begin
        while c + 2 * PANEL <= end:
            _4x2(rows, b, panels, offset + c * K, scales, first + c, sums, b * M + c)
            c += 2 * PANEL
        if c < end:
            _4x1(rows, b, panels, offset + c * K, scales, first + c, sums, b * M + c)
        b += 4
    if B - b >= 2:
        c = begin
        while c + 4 * PANEL <= end:
            _2x4(rows, b, panels, offset + c * K, scales, first + c, sums, b * M + c)
            c += 4 * PANEL
        while c < end:
            _2x1(rows, b, panels, offset + c * K, scales, first + c, sums, b * M + c)
            c += PANEL
        b += 2
    if B - b >= 1:
        c = begin
        if c + 8 * PANEL <= end:
            _1x8(rows, b, panels, offset + c * K, scales, first + c, sums, b * M + c)
            c += 8 * PANEL
        if c + 4 * PANEL <= end:
            _1x4(rows, b, panels, offset + c * K, scales, first + c, sums, b * M + c)
            c += 4 * PANEL
        if c + 2 * PANEL <= end:
            _1x2(rows, b, panels, offset + c * K, scales, first + c, sums, b * M + c)
            c += 2 * PANEL
        if c < end:
            _1x1(rows, b, panels, offset + c * K, scales, first + c, sums, b * M + c)


@compiled
def _add_group_narrow(
    rows: Matrix, panels: Row, offset: int, scales: Row, first: int, sums: Matrix, begin: int, end: int
) -> None:
    """The same for processors with sixteen registers of eight float32."""
    B, K = rows.shape
    M = sums.shape[1]
    for c in range(begin, end, WIDE):
        start, b = offset + c // PANEL * PANEL * K + c % PANEL, 0
        while b + 6 <= B:
            _6_halves(rows, b, panels, start, scales, first + c, sums, b * M + c)
            b += 6
        if b + 3 <= B:
            _3_halves(rows, b, panels, start, scales, first + c, sums, b * M + c)
    for b in range(B - B % 3, B):
        c = begin
        while c + 2 * PANEL <= end:
            _1x2(rows, b, panels, offset + c * K, scales, first + c, sums, b * M + c)
            c += 2 * PANEL
        if c < end:
            _1x1(rows, b, panels, offset + c * K, scales, first + c, sums, b * M + c)


_add_group = _add_group_wide if MANY_REGISTERS else _add_group_narrow


@compiled
def add_scaled(rows: Matrix, panels: Row, offset: int, scales: Row, first: int, sums: Matrix) -> None:
    """sums [B, M] += rows [B, K] times the matrix in panels that begin at an offset.

    Panels of int8 are multiplied by scales[first : first + M], one for each column; others have none.
    """
    M = sums.shape[1]
    for begin in range(0, M, GROUP):
        end = min(begin + GROUP, M)
        _add_group(rows, panels, offset, scales, first, sums, begin, end)


@compiled
def add_products(rows: Matrix, panels: Row, sums: Matrix) -> None:
    """sums [B, M] += rows [B, K] times the matrix in panels; M is a multiple of PANEL. All are contiguous."""
    add_scaled(rows, panels, 0, panels, 0, sums)
