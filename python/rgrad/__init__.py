"""Tensors and automatic differentiation with the Variable API of PyTorch 0.3.

>>> import rgrad as torch
>>> from rgrad.autograd import Variable
>>> x = Variable(torch.FloatTensor([2]), requires_grad=True)
>>> (x * x).backward()
>>> x.grad.data[0]
4.0
"""

from typing import TYPE_CHECKING

from . import _C
from ._C import *  # noqa: F403
from ._C import FloatStorage, FloatTensor
from ._size import Size

# The API that this is; programs of the time compare it (U-1). `importlib.metadata.version("rgrad")`
# is our own number.
__version__ = "0.3.1"

_C._set_size_class(Size)

from . import _absent, autograd, cuda, functional, grad_mode, nn, random, utils  # noqa: E402
from ._draw import draw  # noqa: E402
from ._explain import explain  # noqa: E402
from .functional import btriunpack, chunk, split, unbind  # noqa: E402
from .grad_mode import enable_grad, no_grad, set_grad_enabled  # noqa: E402
from .random import fork_rng  # noqa: E402

#: The default class; `set_default_tensor_type` binds another.
Tensor = FloatTensor
#: The storage class of the default class.
Storage = FloatStorage


class FatalError(Exception):
    """An internal check failed."""


def set_default_tensor_type(t: str) -> None:
    """Makes the class named `t`, such as 'torch.DoubleTensor', that of zeros, randn and their kin.

    Raises TypeError for anything but the name of a tensor class.
    """
    global Tensor, Storage
    if not isinstance(t, str):
        raise TypeError(
            "set_default_tensor_type: needs the name of a class such as 'torch.FloatTensor'; "
            f"got {typename(t)}"
        )
    _C._set_default_tensor_type(t)
    Tensor = _C._tensor_class(t)
    Storage = _C._storage_class(t.replace("Tensor", "Storage"))


def typename(obj: object) -> str:
    """The name of an object's class with its module: 'torch.FloatTensor'; of a class or function,
    its own.
    """
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    name = getattr(kind, "__qualname__", type(obj).__name__)
    module = getattr(kind, "__module__", None)
    return name if module in ("builtins", "__builtin__", None) else f"{module}.{name}"


_absent.install()
if not TYPE_CHECKING:
    # Costs as much as all the rest; U-1 has it there after `import torch`.
    __getattr__ = _absent.names_itself(__name__, later=("multiprocessing",))

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})

else:
    from . import multiprocessing

# Named one by one because type checkers read this list.
__all__ = [
    "FatalError",
    "Size",
    "Storage",
    "Tensor",
    "autograd",
    "btriunpack",
    "chunk",
    "cuda",
    "draw",
    "enable_grad",
    "explain",
    "fork_rng",
    "functional",
    "grad_mode",
    "multiprocessing",
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
