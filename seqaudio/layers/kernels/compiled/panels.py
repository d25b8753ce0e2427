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
from seqaudio.vectors import WIDE, half, panel, product_block

PANEL = 2 * WIDE
# sixteen sums of sixteen numbers fill half the registers of AVX-512; others have half as many, of half the size
MANY_REGISTERS = bool(binding.get_host_cpu_features().get("avx512f"))
GROUP = 8 * PANEL  # columns whose panels stay in the cache while all rows pass by

# rows x panels, or halves of panels
_8x1, _6x1, _4x2, _4x1, _3x1, _2x4, _2x1, _1x8, _1x4, _1x2, _1x1 = (
    product_block(*shape)
    for shape in ((8, 1), (6, 1), (4, 2), (4, 1), (3, 1), (2, 4), (2, 1), (1, 8), (1, 4), (1, 2), (1, 1))
)


@compiled
def _add_group_wide(
    rows: Matrix, panels: Row, offset: int, scales: Row, first: int, sums: Matrix, begin: int, end: int
) -> None:
    """`add_scaled` for the columns from begin to end, with 32 registers of sixteen float32."""
    B, K = rows.shape
    M, apart = sums.shape[1], PANEL * K
    eights = B - B % 8
    for c in range(begin, end, PANEL):
        for b in range(0, eights, 8):
            _8x1(
                panel(sums), rows, b * K, K, 1, K, panels, offset + c * K, PANEL,
                apart, scales, first + c, sums, b * M + c, M, True,
            )  # fmt: skip
    b = eights
    if B - b >= 4:
        c = begin
        while c + 2 * PANEL <= end:
            _4x2(
                panel(sums), rows, b * K, K, 1, K, panels, offset + c * K, PANEL,
                apart, scales, first + c, sums, b * M + c, M, True,
            )  # fmt: skip
            c += 2 * PANEL
        if c < end:
            _4x1(
                panel(sums), rows, b * K, K, 1, K, panels, offset + c * K, PANEL,
                apart, scales, first + c, sums, b * M + c, M, True,
            )  # fmt: skip
        b += 4
    if B - b >= 2:
        c = begin
        while c + 4 * PANEL <= end:
            _2x4(
                panel(sums), rows, b * K, K, 1, K, panels, offset + c * K, PANEL,
                apart, scales, first + c, sums, b * M + c, M, True,
            )  # fmt: skip
            c += 4 * PANEL
        while c < end:
            _2x1(
                panel(sums), rows, b * K, K, 1, K, panels, offset + c * K, PANEL,
                apart, scales, first + c, sums, b * M + c, M, True,
            )  # fmt: skip
            c += PANEL
        b += 2
    if B - b >= 1:
        c = begin
        if c + 8 * PANEL <= end:
            _1x8(
                panel(sums), rows, b * K, K, 1, K, panels, offset + c * K, PANEL,
                apart, scales, first + c, sums, b * M + c, M, True,
            )  # fmt: skip
            c += 8 * PANEL
        if c + 4 * PANEL <= end:
            _1x4(
                panel(sums), rows, b * K, K, 1, K, panels, offset + c * K, PANEL,
                apart, scales, first + c, sums, b * M + c, M, True,
            )  # fmt: skip
            c += 4 * PANEL
        if c + 2 * PANEL <= end:
            _1x2(
                panel(sums), rows, b * K, K, 1, K, panels, offset + c * K, PANEL,
                apart, scales, first + c, sums, b * M + c, M, True,
            )  # fmt: skip
            c += 2 * PANEL
        if c < end:
            _1x1(
                panel(sums), rows, b * K, K, 1, K, panels, offset + c * K, PANEL,
                apart, scales, first + c, sums, b * M + c, M, True,
            )  # fmt: skip


@compiled
def _add_group_narrow(
    rows: Matrix, panels: Row, offset: int, scales: Row, first: int, sums: Matrix, begin: int, end: int
) -> None:
    """The same for processors with sixteen registers of eight float32."""
    B, K = rows.shape
    M, apart = sums.shape[1], PANEL * K
    for c in range(begin, end, WIDE):
        start, b = offset + c // PANEL * PANEL * K + c % PANEL, 0
        while b + 6 <= B:
            _6x1(half(sums), rows, b * K, K, 1, K, panels, start, PANEL, 0, scales, first + c, sums, b * M + c, M, True)
            b += 6
        if b + 3 <= B:
            _3x1(half(sums), rows, b * K, K, 1, K, panels, start, PANEL, 0, scales, first + c, sums, b * M + c, M, True)
    for b in range(B - B % 3, B):
        c = begin
        while c + 2 * PANEL <= end:
            _1x2(
                panel(sums), rows, b * K, K, 1, K, panels, offset + c * K, PANEL,
                apart, scales, first + c, sums, b * M + c, M, True,
            )  # fmt: skip
            c += 2 * PANEL
        if c < end:
            _1x1(
                panel(sums), rows, b * K, K, 1, K, panels, offset + c * K, PANEL,
                apart, scales, first + c, sums, b * M + c, M, True,
            )  # fmt: skip


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
