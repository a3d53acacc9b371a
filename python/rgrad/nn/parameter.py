"""Parameter: a Variable that is to be learned."""

from typing import Self

from .._C import Variable, _TensorBase


class Parameter(Variable):
    """A leaf that requires grad unless told otherwise.

    >>> import rgrad as torch
    >>> Parameter(torch.ones(2)).requires_grad
    True
    """

    __module__ = "torch.nn.parameter"

    def __new__(cls, data: _TensorBase | None = None, requires_grad: bool = True) -> Self:
        return super().__new__(cls, data, requires_grad=requires_grad)
