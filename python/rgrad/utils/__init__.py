"""Tools around the library."""

from . import dlpack

__all__ = ["dlpack"]
