"""The same work written for each library, as its own users would write it.

A module offers functions that prepare work and return a callable to be timed:
`tutorial`, `mul`, `chain`, `add`, `add_recorded`, `matmul`, `mlp`, `transposed`, `joined`, `rows`,
`rows_back`, `gathered`. One it lacks is a gap in the table.
"""

MLP = (784, 256, 10)
RATE = 0.01


def mlp_arrays(batch):
    """Inputs, classes and the four parameters of the perceptron: the same for everyone."""
    import numpy as np

    rng = np.random.default_rng(0)
    inputs, hidden, classes = MLP
    x = rng.standard_normal((batch, inputs), dtype=np.float32)
    y = rng.integers(0, classes, batch)
    w1 = rng.standard_normal((inputs, hidden), dtype=np.float32) * np.float32(0.05)
    w2 = rng.standard_normal((hidden, classes), dtype=np.float32) * np.float32(0.05)
    b1 = np.zeros(hidden, dtype=np.float32)
    b2 = np.zeros(classes, dtype=np.float32)
    return x, y, w1, b1, w2, b2


def chosen_rows(count):
    """A table of `count` rows of 64, 1e5 places in it, and a gradient for each."""
    import numpy as np

    rng = np.random.default_rng(0)
    table = rng.standard_normal((count, 64), dtype=np.float32)
    places = rng.integers(0, count, 100_000)
    return table, places, rng.standard_normal((100_000, 64), dtype=np.float32)


def gathered_places(dim):
    """A matrix and, for each of its elements, a place along `dim`."""
    import numpy as np

    rng = np.random.default_rng(dim)
    return rng.standard_normal((2048, 2048), dtype=np.float32), rng.integers(0, 2048, (2048, 2048))
