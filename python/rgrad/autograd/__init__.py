"""Automatic differentiation.

`backward` adds gradients into the leaves' `.grad`, `grad` returns them.
"""

from .._C import backward, grad, live_nodes, saved_bytes, source_of
from ..grad_mode import enable_grad, no_grad, set_grad_enabled
from . import profiler
from .anomaly_mode import detect_anomaly, set_detect_anomaly
from .gradcheck import gradcheck, gradgradcheck
from .source_lines import set_source_lines
from .variable import Variable

__all__ = [
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
