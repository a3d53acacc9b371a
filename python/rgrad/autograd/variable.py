"""Variable lives here in 0.3; pickles name this place."""

from .._C import Variable

__all__ = ["Variable"]
