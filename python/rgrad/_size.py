"""torch.Size: a tuple of ints that keeps its class."""

import operator


class Size(tuple):
    """Sizes of a tensor.

    >>> Size([2, 3])
    torch.Size([2, 3])
    """

    __slots__ = ()
    __module__ = "torch"

    def __new__(cls, sizes=()):
        items = tuple(sizes)
        for i, item in enumerate(items):
            try:
                operator.index(item)
            except TypeError:
                raise TypeError(
                    f"torch.Size takes ints only; item {i} is a {type(item).__name__}"
                ) from None
        return tuple.__new__(cls, items)

    def __repr__(self):
        return f"torch.Size({list(self)})"

    __str__ = __repr__

    def __getitem__(self, index):
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other)))

    def __mul__(self, count):
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__

    def __reduce__(self):
        return _rebuild, (tuple(self),)


def _rebuild(sizes):
    """Size by a name that can be imported; its own is the era's."""
    return Size(sizes)
