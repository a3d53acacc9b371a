"""Tools around the library."""

from . import backcompat

__all__ = ["backcompat"]
