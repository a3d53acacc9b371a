"""Warnings for programs from before 0.2: where sizes now broadcast, and where a reduced dimension
is no longer kept.

>>> import rgrad as torch
>>> torch.utils.backcompat.broadcast_warning.enabled
False
"""

from .._C import _backcompat_warning


class Warning:
    """One of the warnings, which is on while `enabled` is True."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def enabled(self) -> bool:
        return _backcompat_warning(self._name)

    @enabled.setter
    def enabled(self, value: bool) -> None:
        _backcompat_warning(self._name, bool(value))


#: Tells of operands with as many elements but other sizes.
broadcast_warning = Warning("broadcast")
#: Tells of reductions over a dimension without `keepdim`.
keepdim_warning = Warning("keepdim")
