"""Tools around the library."""

from typing import TYPE_CHECKING

from .. import _absent
from . import backcompat, dlpack, hooks

if not TYPE_CHECKING:
    __getattr__ = _absent.names_itself(__name__)

__all__ = ["backcompat", "dlpack", "hooks"]
