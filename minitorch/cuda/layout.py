"""How matrices that lie in rows are asked of cuBLAS, which has them in columns.

A matrix in rows is, read in columns, its transpose; so C = A B in rows is asked for as C' = B' A' in columns, and
nothing is copied.
"""

import functools
import itertools
import math

import attrs

Shape = tuple[int, ...]


@attrs.frozen
class Operand:
    """A batch of matrices as cuBLAS takes it, in columns.

    Attributes:
        transposed: whether to take the transpose of what the memory holds in columns.
        leading: elements from one column to the next.
        stride: elements from one matrix of the batch to the next; 0 for the same one each time.
    """

    transposed: bool
    leading: int
    stride: int


@attrs.frozen
class Plan:
    """The arguments of a product in columns, C = op(first) op(second) with C (m, n), for `batch` of them.

    Attributes:
        m: rows of C.
        n: columns of C.
        k: the inner dimension.
        batch: how many products.
        swapped: whether `first` is the second operand of the caller: so it is where C is written in rows.
        first: the first operand in columns.
        second: the second.
        out: C, never transposed.
    """

    m: int
    n: int
    k: int
    batch: int
    swapped: bool
    first: Operand
    second: Operand
    out: Operand


@functools.lru_cache(maxsize=4096)
def plan(
    a_shape: Shape, a_strides: Shape, b_shape: Shape, b_strides: Shape, out_shape: Shape, out_strides: Shape
) -> Plan | None:
    """How to ask cuBLAS for out = a @ b without a copy; None if an array lies in memory as cuBLAS cannot take it.

    Args:
        a_shape: (..., M, K).
        a_strides: in elements, as all strides here.
        b_shape: (..., K, N), with the same leading axes, or without any.
        b_strides: likewise.
        out_shape: (..., M, N); its leading axes are those of the product.
        out_strides: likewise.
    """
    (M, K), N = a_shape[-2:], b_shape[-1]
    a_batch = _batch_stride(a_shape, a_strides, out_shape)
    b_batch = _batch_stride(b_shape, b_strides, out_shape)
    out_batch = _batch_stride(out_shape, out_strides, out_shape)
    batch = math.prod(out_shape[:-2])
    if a_batch is None or b_batch is None or out_batch is None or (out_batch == 0 and batch > 1):
        return None
    a = _in_rows(M, K, a_strides), _in_columns(M, K, a_strides), a_batch
    b = _in_rows(K, N, b_strides), _in_columns(K, N, b_strides), b_batch
    rows, columns = _in_rows(M, N, out_strides), _in_columns(M, N, out_strides)
    if rows is not None:
        first, second = _operand(b, in_rows=True), _operand(a, in_rows=True)
        if first is None or second is None:
            return None
        if b_batch == 0 and not second.transposed and a_batch == M * second.leading and out_batch == M * rows:
            M, batch = M * batch, min(batch, 1)  # one product of all rows
        return Plan(N, M, K, batch, True, first, second, Operand(False, rows, out_batch))
    if columns is not None:
        first, second = _operand(a, in_rows=False), _operand(b, in_rows=False)
        if first is None or second is None:
            return None
        return Plan(M, N, K, batch, False, first, second, Operand(False, columns, out_batch))
    return None


def _in_rows(rows: int, columns: int, strides: Shape) -> int | None:
    """Elements from one row to the next of a matrix whose rows are contiguous; None if they are not."""
    down, across = strides[-2:]
    if columns > 1 and rows and across != 1:
        return None
    if rows <= 1 or not columns:
        return max(1, columns)
    return down if down >= columns else None


def _in_columns(rows: int, columns: int, strides: Shape) -> int | None:
    """Elements from one column to the next of a matrix whose columns are contiguous; None if they are not."""
    return _in_rows(columns, rows, strides[:-2] + strides[:-3:-1])


def _operand(found: tuple[int | None, int | None, int], *, in_rows: bool) -> Operand | None:
    """An operand of a product that is computed from the transposes of the matrices (`in_rows`), or from themselves."""
    rows, columns, stride = found
    plain, transposed = (rows, columns) if in_rows else (columns, rows)
    if plain is not None:
        return Operand(False, plain, stride)
    return None if transposed is None else Operand(True, transposed, stride)


def _batch_stride(shape: Shape, strides: Shape, out_shape: Shape) -> int | None:
    """Elements from one matrix to the next over all leading axes; 0 if there is one for all, None if they vary."""
    leading, batch = shape[:-2], out_shape[:-2]
    if math.prod(leading) == 1:
        return 0
    if leading != batch:
        return None
    axes = [(n, stride) for n, stride in zip(leading, strides, strict=False) if n != 1]
    for (_, outer), (n, inner) in itertools.pairwise(axes):
        if outer != n * inner:
            return None
    return axes[-1][1] if axes[-1][1] >= 0 else None
