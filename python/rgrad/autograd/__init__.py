"""Automatic differentiation.

`backward` adds gradients into the leaves' `.grad`, `grad` returns them.
"""

from .._C import backward, grad
from ..grad_mode import enable_grad, no_grad, set_grad_enabled
from .source_lines import set_source_lines
from .variable import Variable

__all__ = ["Variable", "backward", "enable_grad", "grad", "no_grad", "set_grad_enabled"]
