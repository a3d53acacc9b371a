"""ferrotensor: Rust, PyO3 and wgpu as well; here on its CPU."""

import importlib.metadata
import os

import ferrotensor as ft
import ferrotensor.nn.functional as F

from peers import RATE, mlp_arrays


def version():
    return importlib.metadata.version("ferrotensor")


def threads():
    return os.cpu_count()


def leaf(number):
    return ft.tensor([float(number)], requires_grad=True)


def tutorial():
    a = ft.tensor([2.0])
    w1, w2, w3, w4 = leaf(1), leaf(2), leaf(3), leaf(4)

    def run():
        b = w1 * a
        c = w2 * a
        d = w3 * b + w4 * c
        loss = (10 - d).sum()
        loss.backward()

    return run


def mul():
    a, b = leaf(2), leaf(3)
    return lambda: a * b


def chain(length):
    x, factor = leaf(1), ft.tensor([1.0])

    def run():
        y = x
        for _ in range(length):
            y = y * factor
        y.sum().backward()

    return run


def add(count):
    a, b = ft.rand(count), ft.rand(count)
    return lambda: a + b


def add_recorded(count):
    a, b = ft.rand(count, requires_grad=True), ft.rand(count, requires_grad=True)
    return lambda: a + b


def matmul(size, kind):
    if kind != "f32":
        raise TypeError("it has f32 alone")
    a, b = ft.rand(size, size), ft.rand(size, size)
    return lambda: a @ b


def mlp(batch):
    x, y, *parameters = mlp_arrays(batch)
    x, y = ft.tensor(x), y.tolist()
    parameters = [ft.tensor(p, requires_grad=True) for p in parameters]
    w1, b1, w2, b2 = parameters
    rule = ft.optim.SGD(parameters, lr=RATE)

    def run():
        loss = F.cross_entropy((x @ w1 + b1).relu() @ w2 + b2, y)
        rule.zero_grad()
        loss.backward()
        rule.step()
        return loss

    return run
