"""Parts of neural networks: parameters and functions."""

from typing import TYPE_CHECKING

from .. import _absent
from . import functional
from .parameter import Parameter

if not TYPE_CHECKING:
    __getattr__ = _absent.names_itself(__name__)

__all__ = ["Parameter", "functional"]
