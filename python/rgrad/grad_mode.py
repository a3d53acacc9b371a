"""Switching recording off and on, thread by thread (an extension that 0.4 brought)."""

import functools
import types
from collections.abc import Callable
from typing import Any, ParamSpec, Self, TypeVar

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
        stepped = _stepped(type(self), function)
        if stepped is not None:
            return functools.wraps(function)(stepped)

        @functools.wraps(function)
        def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with type(self)():
                return function(*args, **kwargs)

        return wrapped


#: Of code objects: what calling the function makes (the flags of `inspect`).
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200


@types.coroutine
def _driven(switch: type[_Switch], inner: Any) -> Any:
    """Runs a generator or coroutine: with the switch while it runs, without while others do."""
    step, given = inner.send, None
    while True:
        try:
            with switch():
                waited = step(given)
        except StopIteration as end:
            return end.value
        try:
            step, given = inner.send, (yield waited)
        except GeneratorExit:
            with switch():
                inner.close()
            raise
        except BaseException as error:
            step, given = inner.throw, error


def _stepped(switch: type[_Switch], function: Any) -> Any:
    """`function` with the switch in each step, if it is one that runs in steps."""
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & _GENERATOR:

        def generator(*args: Any, **kwargs: Any) -> Any:
            return (yield from _driven(switch, function(*args, **kwargs)))

        return generator
    if flags & _COROUTINE:

        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            return await _driven(switch, function(*args, **kwargs))

        return coroutine
    if flags & _ASYNC_GENERATOR:

        async def several(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            step = inner.asend(None)
            while True:
                try:
                    made = await _driven(switch, step)
                except StopAsyncIteration:
                    return
                try:
                    step = inner.asend((yield made))
                except GeneratorExit:
                    await _driven(switch, inner.aclose())
                    raise
                except BaseException as error:
                    step = inner.athrow(error)

        return several
    return None


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
