"""Finding where a gradient stops being a number."""

from typing import Self

from .. import _C


class set_detect_anomaly:
    """Sets whether gradients are looked at, at once and until the end of a `with` block."""

    def __init__(self, mode: bool) -> None:
        self.before = _C._set_anomaly(bool(mode))
        self.lines = _C._set_source_lines(True) if mode else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        _C._set_anomaly(self.before)
        if self.lines is not None:
            _C._set_source_lines(self.lines)


class detect_anomaly:
    """Inside, a backward whose gradient becomes NaN or infinite raises RuntimeError.

    The error names the node, the line of the program that recorded it and the Variable it made;
    exceptions of Functions and hooks get that line as a note. Every gradient is read, so this is
    for searching, not for training.

    >>> import rgrad as torch
    >>> from rgrad.autograd import Variable, detect_anomaly
    >>> x = Variable(torch.zeros(1), requires_grad=True)
    >>> with detect_anomaly():
    ...     x.sqrt().backward()
    Traceback (most recent call last):
    RuntimeError: SqrtBackward: returned inf values in its 0th output: ...
    """

    def __init__(self) -> None:
        self.entered: list[set_detect_anomaly] = []

    def __enter__(self) -> Self:
        self.entered.append(set_detect_anomaly(True))
        return self

    def __exit__(self, *error: object) -> None:
        self.entered.pop().__exit__()
