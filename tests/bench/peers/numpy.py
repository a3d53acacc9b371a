"""NumPy: nothing is recorded, and the perceptron's backward pass is written by hand."""

import os

import numpy as np

from peers import RATE, chosen_rows, gathered_places, mlp_arrays


def version():
    return np.__version__


def threads():
    return os.cpu_count()


def mul():
    a, b = np.array([2], np.float32), np.array([3], np.float32)
    return lambda: a * b


def add(count):
    a, b = np.random.rand(count).astype(np.float32), np.random.rand(count).astype(np.float32)
    return lambda: a + b


def matmul(size):
    a = np.random.rand(size, size).astype(np.float32)
    b = np.random.rand(size, size).astype(np.float32)
    return lambda: a @ b


def mlp(batch):
    x, y, w1, b1, w2, b2 = mlp_arrays(batch)
    rows = np.arange(batch)

    def run():
        hidden = np.maximum(x @ w1 + b1, 0)
        scores = hidden @ w2 + b2
        scores -= scores.max(1, keepdims=True)
        chances = np.exp(scores)
        chances /= chances.sum(1, keepdims=True)
        loss = -np.log(chances[rows, y]).mean()
        chances[rows, y] -= 1
        chances /= batch
        below = (chances @ w2.T) * (hidden > 0)
        np.subtract(w2, RATE * (hidden.T @ chances), out=w2)
        np.subtract(b2, RATE * chances.sum(0), out=b2)
        np.subtract(w1, RATE * (x.T @ below), out=w1)
        np.subtract(b1, RATE * below.sum(0), out=b1)
        return loss

    return run


def transposed(size):
    a = np.random.rand(size, size).astype(np.float32)
    return lambda: np.ascontiguousarray(a.T)


def joined(count):
    a, b = np.random.rand(count).astype(np.float32), np.random.rand(count).astype(np.float32)
    return lambda: np.concatenate([a, b])


def rows(count):
    table, places, _ = chosen_rows(count)
    return lambda: table.take(places, 0)


def rows_back(count):
    _, places, gradient = chosen_rows(count)

    def run():
        sums = np.zeros((count, 64), np.float32)
        np.add.at(sums, places, gradient)
        return sums

    return run


def gathered(dim):
    a, places = gathered_places(dim)
    return lambda: np.take_along_axis(a, places, dim)
