"""Parts of neural networks: parameters and functions."""

from . import functional
from .parameter import Parameter

__all__ = ["Parameter", "functional"]
