"""Functions that take tensors and Variables alike and are made of other operations."""

from typing import TypeVar

from ._C import Variable, _TensorBase

_T = TypeVar("_T", bound=_TensorBase | Variable)


def split(tensor: _T, split_size: int, dim: int = 0) -> tuple[_T, ...]:
    """Parts of `split_size` along `dim`; the last may be smaller. Views."""
    return tensor.split(split_size, dim)  # type: ignore[return-value]


def chunk(tensor: _T, chunks: int, dim: int = 0) -> tuple[_T, ...]:
    """About `chunks` parts of equal size along `dim`. Views."""
    return tensor.chunk(chunks, dim)  # type: ignore[return-value]


def unbind(tensor: _T, dim: int = 0) -> tuple[_T, ...]:
    """All slices along `dim`, without that dimension. Views."""
    return tuple(tensor.select(dim, i) for i in range(tensor.size(dim)))  # type: ignore[misc]
