"""Functions that take tensors and Variables alike and are made of other operations."""

from typing import TypeVar

from ._C import Variable, _TensorBase

_T = TypeVar("_T", bound=_TensorBase | Variable)


def _dim(tensor: _TensorBase | Variable, dim: int) -> int:
    n = tensor.dim()
    if not -n <= dim < n:
        raise RuntimeError(
            f"dimension out of range (expected to be in [{-n}, {n - 1}], but got {dim})"
        )
    return dim % n


def split(tensor: _T, split_size: int, dim: int = 0) -> tuple[_T, ...]:
    """Parts of `split_size` along `dim`; the last may be smaller. Views."""
    dim = _dim(tensor, dim)
    if split_size < 1:
        raise RuntimeError(f"split: the size of a part must be positive; got {split_size}")
    size = tensor.size(dim)
    return tuple(
        tensor.narrow(dim, start, min(split_size, size - start))  # type: ignore[misc]
        for start in range(0, size, split_size)
    )


def chunk(tensor: _T, chunks: int, dim: int = 0) -> tuple[_T, ...]:
    """About `chunks` parts of equal size along `dim`. Views."""
    if chunks < 1:
        raise RuntimeError(f"chunk: the number of parts must be positive; got {chunks}")
    size = tensor.size(_dim(tensor, dim))
    return split(tensor, -(-size // chunks), dim)


def unbind(tensor: _T, dim: int = 0) -> tuple[_T, ...]:
    """All slices along `dim`, without that dimension. Views."""
    return tuple(tensor.select(dim, i) for i in range(tensor.size(dim)))  # type: ignore[misc]
