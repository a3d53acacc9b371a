"""micrograd: one Python object a number."""

import importlib.metadata

from micrograd.engine import Value


def version():
    return importlib.metadata.version("micrograd")


def threads():
    return 1


def tutorial():
    a, w1, w2, w3, w4 = (Value(float(n)) for n in (2, 1, 2, 3, 4))

    def run():
        b = w1 * a
        c = w2 * a
        d = w3 * b + w4 * c
        loss = 10 - d
        loss.backward()

    return run


def mul():
    a, b = Value(2.0), Value(3.0)
    return lambda: a * b


def chain(length):
    x, factor = Value(1.0), Value(1.0)

    def run():
        y = x
        for _ in range(length):
            y = y * factor
        y.backward()

    return run
