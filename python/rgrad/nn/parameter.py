"""Parameter: a Variable that is to be learned."""

from .._C import Variable


class Parameter(Variable):
    """A leaf that requires grad unless told otherwise.

    >>> import rgrad as torch
    >>> Parameter(torch.ones(2)).requires_grad
    True
    """

    __module__ = "torch.nn.parameter"

    def __new__(cls, data=None, requires_grad=True):
        return super().__new__(cls, data, requires_grad=requires_grad)
