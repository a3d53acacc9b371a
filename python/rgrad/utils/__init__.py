"""Odds and ends of 0.3."""

from . import hooks

__all__ = ["hooks"]
