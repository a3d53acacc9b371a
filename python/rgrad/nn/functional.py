"""Functions of neural networks, as in torch.nn.functional of 0.3."""

import warnings
from typing import TYPE_CHECKING

from .. import _C, _absent
from .._C import Variable

if not TYPE_CHECKING:
    __getattr__ = _absent.names_itself(__name__)

__all__ = [
    "cross_entropy",
    "linear",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
    "threshold",
]


def threshold(input: Variable, threshold: float, value: float, inplace: bool = False) -> Variable:
    """`input` where it is larger than `threshold`, else `value`."""
    return _C._threshold(input, threshold, value, inplace)


def relu(input: Variable, inplace: bool = False) -> Variable:
    """max(x, 0), element by element.

    >>> import rgrad as torch
    >>> v = torch.autograd.Variable(torch.FloatTensor([-1, 2]))
    >>> relu(v).data.tolist()
    [0.0, 2.0]
    """
    return _C._threshold(input, 0, 0, inplace)


def sigmoid(input: Variable) -> Variable:
    """1 / (1 + exp(-x)), element by element."""
    return input.sigmoid()


def tanh(input: Variable) -> Variable:
    """The hyperbolic tangent, element by element."""
    return input.tanh()


def _softmax_dim(name: str, ndim: int, dim: int | None, stacklevel: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. "
        "Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: Variable, dim: int | None = None, _stacklevel: int = 3) -> Variable:
    """e^x / sum e^x along `dim`."""
    return _C._softmax(input, _softmax_dim("softmax", input.dim(), dim, _stacklevel))


def log_softmax(input: Variable, dim: int | None = None, _stacklevel: int = 3) -> Variable:
    """x - log(sum e^x) along `dim`."""
    return _C._log_softmax(input, _softmax_dim("log_softmax", input.dim(), dim, _stacklevel))


def nll_loss(
    input: Variable,
    target: Variable,
    weight: Variable | None = None,
    size_average: bool = True,
    ignore_index: int = -100,
    reduce: bool = True,
) -> Variable:
    """Negative log likelihood of the classes `target` under the log probabilities `input`.

    -sum_i w[t_i] x[i, t_i], divided by sum_i w[t_i] when `size_average`; one number for each row
    when not `reduce`. `input` is N x C, `target` a LongTensor of N classes.

    Raises ValueError for other dimensions, RuntimeError for a class out of range.
    """
    if not reduce:
        rows = -input.gather(1, target.view(-1, 1)).view(-1)
        if weight is not None:
            rows = rows * weight.index_select(0, target)
        return rows
    return _C._nll_loss(input, target, weight, size_average, ignore_index)


def cross_entropy(
    input: Variable,
    target: Variable,
    weight: Variable | None = None,
    size_average: bool = True,
    ignore_index: int = -100,
    reduce: bool = True,
) -> Variable:
    """`nll_loss` of `log_softmax(input)` over classes."""
    return nll_loss(log_softmax(input, 1), target, weight, size_average, ignore_index, reduce)


def linear(input: Variable, weight: Variable, bias: Variable | None = None) -> Variable:
    """input weight^T + bias; `input` is ... x in, `weight` out x in."""
    if input.dim() == 2 and bias is not None:
        return _C.addmm(bias, input, weight.t())
    output = _C.matmul(input, weight.t())
    return output if bias is None else output + bias


def mse_loss(
    input: Variable, target: Variable, size_average: bool = True, reduce: bool = True
) -> Variable:
    """Mean (or sum) of (input - target)^2."""
    if input.size() != target.size() and input.numel() != target.numel():
        raise RuntimeError(
            f"mse_loss: input and target must have as many elements; got {tuple(input.size())} "
            f"and {tuple(target.size())}"
        )
    if target.requires_grad:
        raise AssertionError("mse_loss: targets get no gradient; detach() this one")
    target = target.view(*input.size())
    if not reduce:
        return (input - target) ** 2
    return _C._mse_loss(input, target, size_average)
