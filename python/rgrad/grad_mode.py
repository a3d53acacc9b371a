"""Switching recording off and on, thread by thread (an extension that 0.4 brought)."""

import functools

from . import _C


class set_grad_enabled:
    """Sets whether operations are recorded, at once and until the end of a `with` block."""

    def __init__(self, mode):
        self.before = _C._set_grad_enabled(bool(mode))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        _C._set_grad_enabled(self.before)


class _Switch:
    mode = True

    def __init__(self):
        self.before = []

    def __enter__(self):
        self.before.append(_C._set_grad_enabled(self.mode))
        return self

    def __exit__(self, *error):
        _C._set_grad_enabled(self.before.pop())

    def __call__(self, function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
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
