"""What several test files share: NumPy views of results, finite differences, a child process."""

import gc
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

import rgrad as torch
from rgrad.autograd import Variable

GOLDEN = Path(__file__).resolve().parents[1] / "golden"

# Class name to NumPy element type, the seven of 0.3 that compute (T-1).
CLASSES = {
    "ByteTensor": np.uint8,
    "CharTensor": np.int8,
    "ShortTensor": np.int16,
    "IntTensor": np.int32,
    "LongTensor": np.int64,
    "FloatTensor": np.float32,
    "DoubleTensor": np.float64,
}
# The same of storages, of which there is one that does not compute.
STORAGES = {name.replace("Tensor", "Storage"): kind for name, kind in CLASSES.items()} | {
    "HalfStorage": np.float16
}
FLOATS = ["FloatTensor", "DoubleTensor"]
INTEGERS = [name for name in CLASSES if name not in FLOATS]
# Signed classes on which abs and neg exist.
SIGNED = ["ShortTensor", "IntTensor", "LongTensor", "FloatTensor", "DoubleTensor"]


def tensor(name, values):
    """A tensor of class `name` holding `values`, built from lists: no NumPy bridge involved."""
    a = np.asarray(values, dtype=CLASSES[name])
    return getattr(torch, name)(a.tolist())


def numbers(*shape, seed=0, low=-2.0, high=2.0):
    """Seeded doubles that stay clear of each other and of zero by a hundredth."""
    count = int(np.prod(shape))
    steps = np.linspace(low, high, count + 1)[:-1] + (high - low) / (2.0 * count + 2.0)
    steps = np.where(np.abs(steps) < 0.01, 0.013, steps)
    return np.random.RandomState(seed).permutation(steps).reshape(shape)


def double(a):
    """A DoubleTensor with its own copy of `a`."""
    return torch.DoubleTensor(np.asarray(a, dtype=np.float64).tolist())


def leaf(a, cls="DoubleTensor"):
    """A Variable that requires grad."""
    return Variable(tensor(cls, a), requires_grad=True)


def leaves(*arrays):
    return [leaf(a) for a in arrays]


def array(x):
    """The values of a tensor or Variable as an array of its own."""
    t = x.data if isinstance(x, Variable) else x
    t = t.cpu()
    if t.type() == "torch.CharTensor":  # T-87: Char has no numpy()
        return t.short().numpy().astype(np.int8)
    return t.numpy().copy()


def same(x, expected):
    """Asserts equal sizes and equal values."""
    expected = np.asarray(expected)
    assert tuple(x.size()) == expected.shape
    np.testing.assert_array_equal(array(x), expected)


def close(x, expected, rtol=1e-5, atol=1e-6):
    """Asserts equal sizes and near values; the default bounds fit float32 of a few operations."""
    expected = np.asarray(expected)
    assert tuple(x.size()) == expected.shape
    np.testing.assert_allclose(array(x).astype(np.float64), expected, rtol=rtol, atol=atol)


def name_of(node):
    """The class name of a graph node; `None` for a missing one."""
    return None if node is None else type(node).__name__


def parents(v_or_node):
    """Class names of the next functions, in order."""
    node = getattr(v_or_node, "grad_fn", v_or_node)
    return [name_of(f) for f, _ in node.next_functions]


def snapshot(*things):
    """Everything a failed call must leave alone: values, sizes, versions, flags, history."""
    seen = []
    for x in things:
        if isinstance(x, Variable):
            grad = None if x.grad is None else array(x.grad).tolist()
            flags = (x._version, x.requires_grad, x.volatile, x.is_leaf, x.grad_fn, grad)
            seen.append((array(x).tolist(), tuple(x.size()), x.data.stride(), flags))
        else:
            seen.append((array(x).tolist(), tuple(x.size()), x.stride()))
    return seen


def live_nodes():
    """Graph nodes that are alive, without what only waits for the garbage collector."""
    gc.collect()
    return torch._C.live_nodes()


# Finite differences.


def weighted(y):
    """A number that feels every element of `y`, and its square, each with its own weight.

    The square makes second derivatives of linear operations visible.
    """
    w = np.random.RandomState(7).uniform(0.5, 1.5, size=tuple(y.size()))
    return ((y * y + y) * Variable(double(w))).sum()


def gradient(v, a):
    """The gradient of leaf `v`; zeros where none arrived."""
    return np.zeros_like(a) if v.grad is None else array(v.grad)


def _gradients(f, arrays):
    inputs = leaves(*arrays)
    weighted(f(*inputs)).backward()
    return [
        np.zeros_like(a) if v.grad is None else array(v.grad)
        for v, a in zip(inputs, arrays, strict=True)
    ]


def _pulls(arrays):
    rng = np.random.RandomState(11)
    return [rng.uniform(0.5, 1.5, size=a.shape) for a in arrays]


def _second(f, arrays):
    """The gradient of sum(u * gradient of f), through create_graph."""
    inputs = leaves(*arrays)
    weighted(f(*inputs)).backward(create_graph=True)
    total = None
    for v, u in zip(inputs, _pulls(arrays), strict=True):
        if v.grad is not None:
            part = (v.grad * Variable(double(u))).sum()
            total = part if total is None else total + part
    for v in inputs:
        v.grad = None
    assert total is not None and total.requires_grad
    total.backward()
    return [
        np.zeros_like(a) if v.grad is None else array(v.grad)
        for v, a in zip(inputs, arrays, strict=True)
    ]


def differences(g, arrays, step=1e-6):
    """Central differences of the number `g(arrays)` in every element."""
    found = []
    for a in arrays:
        d = np.zeros_like(a)
        for i in np.ndindex(a.shape):
            kept = a[i]
            a[i] = kept + step
            above = g(arrays)
            a[i] = kept - step
            below = g(arrays)
            a[i] = kept
            d[i] = (above - below) / (2 * step)
        found.append(d)
    return found


def check_first(f, *arrays):
    """backward() of `f` against central differences, in double."""
    arrays = [np.array(a, dtype=np.float64) for a in arrays]

    def value(at):
        return float(array(weighted(f(*[Variable(double(a)) for a in at])))[0])

    for got, wanted in zip(_gradients(f, arrays), differences(value, arrays), strict=True):
        # 1e-5 and 1e-3: truncation and cancellation of a step of 1e-6 in double.
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-5)


def check_second(f, *arrays):
    """The gradient of the gradient against central differences of the gradient."""
    arrays = [np.array(a, dtype=np.float64) for a in arrays]
    pulls = _pulls(arrays)

    def value(at):
        return sum(float((g * u).sum()) for g, u in zip(_gradients(f, at), pulls, strict=True))

    for got, wanted in zip(_second(f, arrays), differences(value, arrays), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-5)


def run_program(code, *options, timeout=120, **environment):
    """Runs `code` in a fresh interpreter, however that ends."""
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )


def run_python(code, *options, timeout=120, **environment):
    """As `run_program`; the output, after checking that it ended well."""
    done = run_program(code, *options, timeout=timeout, **environment)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
