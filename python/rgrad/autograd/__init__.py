"""Automatic differentiation.

`backward` adds gradients into the leaves' `.grad`, `grad` returns them.
"""

import atexit
import gc
import os
from typing import TYPE_CHECKING

from .. import _absent
from .._C import (
    _after_fork,
    _before_fork,
    _collecting,
    _last_search,
    backward,
    grad,
    live_nodes,
    saved_bytes,
    source_of,
)
from ..grad_mode import enable_grad, no_grad, set_grad_enabled
from . import profiler
from .anomaly_mode import detect_anomaly, set_detect_anomaly
from .function import Function, NestedIOFunction
from .gradcheck import gradcheck, gradgradcheck
from .source_lines import set_source_lines
from .variable import Variable

if not TYPE_CHECKING:
    __getattr__ = _absent.names_itself(__name__)

__all__ = [
    "Function",
    "NestedIOFunction",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "live_nodes",
    "no_grad",
    "profiler",
    "saved_bytes",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_source_lines",
    "source_of",
]

# The collector sees rings through the graph only while it looks for them.
gc.callbacks.append(_collecting)


@atexit.register
def _stop_collecting() -> None:
    """The interpreter's last collection calls nobody, so it is prepared here."""
    if _collecting in gc.callbacks:
        gc.callbacks.remove(_collecting)
        _last_search()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork,
        after_in_child=_after_fork,
    )
