"""Automatic differentiation.

`backward` adds gradients into the leaves' `.grad`, `grad` returns them.
"""

from typing import TYPE_CHECKING

from .. import _absent
from .._C import backward, grad
from ..grad_mode import enable_grad, no_grad, set_grad_enabled
from .variable import Variable

if not TYPE_CHECKING:
    __getattr__ = _absent.names_itself(__name__)

__all__ = ["Variable", "backward", "enable_grad", "grad", "no_grad", "set_grad_enabled"]
