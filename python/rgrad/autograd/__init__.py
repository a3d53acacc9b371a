"""Automatic differentiation.

`backward` adds gradients into the leaves' `.grad`, `grad` returns them.
"""

import gc
import os

from .._C import _after_fork, _before_fork, _collecting, backward, grad
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

# The collector sees rings through the graph only while it looks for them.
gc.callbacks.append(_collecting)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
