"""Tensors and automatic differentiation with the Variable API of PyTorch 0.3.

>>> import rgrad as torch
>>> from rgrad.autograd import Variable
>>> x = Variable(torch.FloatTensor([2]), requires_grad=True)
>>> (x * x).backward()
>>> x.grad.data[0]
4.0
"""

from . import _C
from ._C import *  # noqa: F403
from ._C import FloatTensor
from ._size import Size

_C._set_size_class(Size)

from . import autograd, cuda, functional, grad_mode, nn, random, utils  # noqa: E402
from ._draw import draw  # noqa: E402
from ._explain import explain  # noqa: E402
from .functional import chunk, split, unbind  # noqa: E402
from .grad_mode import enable_grad, no_grad, set_grad_enabled  # noqa: E402
from .random import fork_rng, manual_seed  # noqa: E402

#: The default class; `set_default_tensor_type` binds another.
Tensor = FloatTensor


class FatalError(Exception):
    """An internal check failed."""


def set_default_tensor_type(t: str) -> None:
    """Makes the class named `t`, such as 'torch.DoubleTensor', that of zeros, randn and their kin.

    Raises TypeError for anything but the name of a float class.
    """
    global Tensor
    if not isinstance(t, str):
        raise TypeError(
            "set_default_tensor_type: needs the name of a class such as 'torch.FloatTensor'; "
            f"got {type(t).__name__}"
        )
    _C._set_default_tensor_type(t)
    Tensor = globals()[t.removeprefix("torch.")]


def typename(obj: object) -> str:
    """The name of an object's class with its module: 'torch.FloatTensor'."""
    kind = obj if isinstance(obj, type) else type(obj)
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", None) else f"{module}.{kind.__qualname__}"


def is_storage(obj: object) -> bool:
    """Whether `obj` is a storage; there are none in this version."""
    return False


# Named one by one because type checkers read this list.
__all__ = [
    "FatalError",
    "Size",
    "Tensor",
    "autograd",
    "chunk",
    "cuda",
    "draw",
    "enable_grad",
    "explain",
    "fork_rng",
    "functional",
    "grad_mode",
    "is_storage",
    "manual_seed",
    "nn",
    "no_grad",
    "random",
    "set_default_tensor_type",
    "set_grad_enabled",
    "split",
    "typename",
    "unbind",
    "utils",
]
__all__ += _C.__all__
__all__ = sorted({name for name in __all__ if not name.startswith("_")})
