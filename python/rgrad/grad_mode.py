"""Switching recording off and on, thread by thread (an extension that 0.4 brought)."""

import functools
from collections.abc import Callable
from typing import ParamSpec, Self, TypeVar

from . import _C

_P = ParamSpec("_P")
_R = TypeVar("_R")


class set_grad_enabled:
    """Sets whether operations are recorded, at once and until the end of a `with` block."""

    def __init__(self, mode: bool) -> None:
        self.before = _C._set_grad_enabled(bool(mode))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        _C._set_grad_enabled(self.before)


class _Switch:
    mode = True

    def __init__(self) -> None:
        self.before: list[bool] = []

    def __enter__(self) -> Self:
        self.before.append(_C._set_grad_enabled(self.mode))
        return self

    def __exit__(self, *error: object) -> None:
        _C._set_grad_enabled(self.before.pop())

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with type(self)():
                return function(*args, **kwargs)

        return wrapped


class no_grad(_Switch):
    """Results inside have no history, and leaves may be changed in place.

    >>> import rgrad as torch
    >>> x = torch.autograd.Variable(torch.ones(1), requires_grad=True)
    >>> with torch.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    mode = False


class enable_grad(_Switch):
    """Records again inside a `no_grad` block."""

    mode = True
