"""Automatic differentiation.

`backward` adds gradients into the leaves' `.grad`, `grad` returns them.
"""

from .._C import backward, grad
from ..grad_mode import enable_grad, no_grad, set_grad_enabled
from .function import Function, NestedIOFunction
from .variable import Variable

__all__ = [
    "Function",
    "NestedIOFunction",
    "Variable",
    "backward",
    "enable_grad",
    "grad",
    "no_grad",
    "set_grad_enabled",
]
