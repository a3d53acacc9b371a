"""Functions that take tensors and Variables alike and are made of other operations."""

from typing import Any, TypeVar, cast

from ._C import Variable, _TensorBase

_T = TypeVar("_T", bound=_TensorBase | Variable)


def split(tensor: _T, split_size: int, dim: int = 0) -> tuple[_T, ...]:
    """Parts of `split_size` along `dim`; the last may be smaller. Views."""
    return cast(tuple[_T, ...], tensor.split(split_size, dim))


def chunk(tensor: _T, chunks: int, dim: int = 0) -> tuple[_T, ...]:
    """About `chunks` parts of equal size along `dim`. Views."""
    return cast(tuple[_T, ...], tensor.chunk(chunks, dim))


def unbind(tensor: _T, dim: int = 0) -> tuple[_T, ...]:
    """All slices along `dim`, without that dimension. Views."""
    n = tensor.dim()
    if n == 0:
        raise RuntimeError(
            f"unbind: dimension {dim} was asked of an empty tensor, which has no dimensions"
        )
    if not -n <= dim < n:
        raise RuntimeError(
            f"unbind: dimension out of range (expected to be in [{-n}, {n - 1}], but got {dim})"
        )
    return cast(tuple[_T, ...], tuple(tensor.select(dim, i) for i in range(tensor.size(dim))))


def btriunpack(
    LU_data: _T, LU_pivots: _T, unpack_data: bool = True, unpack_pivots: bool = True
) -> tuple[_T | None, _T | None, _T | None]:
    """P, L and U from the results of `btrifact`: each matrix of the stack was P L U.

    What is not unpacked is None.
    """
    values: Any = LU_data.data if isinstance(LU_data, Variable) else LU_data
    pivots: Any = LU_pivots.data if isinstance(LU_pivots, Variable) else LU_pivots
    if values.dim() != 3 or values.size(1) != values.size(2):
        raise RuntimeError(
            "btriunpack: needs a stack of square matrices, b x n x n; got "
            + " x ".join(str(n) for n in values.size())
        )
    count, n = values.size(0), values.size(1)

    def like(rows: list[Any]) -> Any:
        """Numbers of the class, on the device and of the kind of LU_data."""
        made = type(values)(rows)
        return Variable(made) if isinstance(LU_data, Variable) else made

    p: _T | None = None
    lower: _T | None = None
    upper: _T | None = None
    if unpack_data:
        below = like([[[float(j < i) for j in range(n)] for i in range(n)]] * count)
        above = like([[[float(j >= i) for j in range(n)] for i in range(n)]] * count)
        unit = like([[[float(j == i) for j in range(n)] for i in range(n)]] * count)
        factors: Any = LU_data
        lower, upper = factors * below + unit, factors * above
    if unpack_pivots:
        stack = []
        for exchanges in pivots.cpu().tolist():
            order = list(range(n))
            for i, place in enumerate(exchanges):
                if not 1 <= place <= n:
                    raise RuntimeError(
                        f"btriunpack: the pivots must be rows from 1 to {n}; got {place}"
                    )
                order[i], order[place - 1] = order[place - 1], order[i]
            at = {row: i for i, row in enumerate(order)}
            stack.append([[float(at[row] == i) for i in range(n)] for row in range(n)])
        p = like(stack)
    return p, lower, upper
