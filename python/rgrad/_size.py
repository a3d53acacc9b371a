"""torch.Size: a tuple of ints that keeps its class."""

from collections.abc import Iterable
from typing import Any, Self, SupportsIndex, overload


class Size(tuple[int, ...]):
    """Sizes of a tensor.

    >>> Size([2, 3])
    torch.Size([2, 3])
    """

    __slots__ = ()
    __module__ = "torch"

    def __new__(cls, sizes: Iterable[int] = ()) -> Self:
        items = tuple(sizes)
        for i, item in enumerate(items):
            if not isinstance(item, int):
                raise TypeError(f"torch.Size takes ints only; item {i} is a {type(item).__name__}")
        return tuple.__new__(cls, items)

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    __str__ = __repr__

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> "Size": ...
    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Iterable[int]) -> "Size":  # type: ignore[override]
        return Size(tuple.__add__(self, tuple(other)))

    def __mul__(self, count: SupportsIndex) -> "Size":
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (tuple(self),)


def _rebuild(sizes: Iterable[int]) -> Size:
    """Size by a name that can be imported; its own is the era's."""
    return Size(sizes)
