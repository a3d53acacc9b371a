"""JAX: jitted where its users would jit, traced step by step for the chain."""

import os

import jax
import jax.numpy as jnp

from peers import RATE, mlp_arrays


def version():
    return jax.__version__


def threads():
    return os.cpu_count()


def tutorial():
    a = jnp.array([2.0])
    weights = [jnp.array([float(w)]) for w in (1, 2, 3, 4)]

    @jax.jit
    @jax.value_and_grad
    def step(weights):
        w1, w2, w3, w4 = weights
        b = w1 * a
        c = w2 * a
        d = w3 * b + w4 * c
        return (10 - d)[0]

    return lambda: jax.block_until_ready(step(weights))


def mul():
    a, b = jnp.array([2.0]), jnp.array([3.0])
    return lambda: (a * b).block_until_ready()


def chain(length):
    x, factor = jnp.array([1.0]), jnp.array([1.0])

    def f(x):
        for _ in range(length):
            x = x * factor
        return x[0]

    step = jax.grad(f)
    return lambda: step(x).block_until_ready()


def add(count):
    a, b = jax.random.uniform(jax.random.key(0), (2, count))
    return lambda: (a + b).block_until_ready()


def matmul(size):
    a, b = jax.random.uniform(jax.random.key(0), (2, size, size))
    multiply = jax.jit(jnp.matmul)
    return lambda: multiply(a, b).block_until_ready()


def mlp(batch):
    x, y, *parameters = (jnp.asarray(array) for array in mlp_arrays(batch))

    def loss_of(parameters):
        w1, b1, w2, b2 = parameters
        scores = jax.nn.relu(x @ w1 + b1) @ w2 + b2
        chosen = jnp.take_along_axis(jax.nn.log_softmax(scores), y[:, None], 1)
        return -chosen.mean()

    @jax.jit
    def step(parameters):
        loss, grads = jax.value_and_grad(loss_of)(parameters)
        return loss, [p - RATE * g for p, g in zip(parameters, grads, strict=True)]

    def run():
        nonlocal parameters
        loss, parameters = jax.block_until_ready(step(parameters))
        return loss

    return run


def compiled(f, *sizes):
    a = jax.random.uniform(jax.random.key(0), sizes)
    f = jax.jit(f)
    return lambda: jax.block_until_ready(f(a))


def reduce(size, op, dim):
    return compiled(lambda a: getattr(jnp, op)(a, axis=dim), size, size)


def softmax(rows, columns, log):
    f = jax.nn.log_softmax if log else jax.nn.softmax
    return compiled(lambda a: f(a, axis=1), rows, columns)


def sort(count, op):
    calls = {
        "sort": lambda a: jax.lax.sort_key_val(a, jnp.arange(count)),
        "topk 100": lambda a: jax.lax.top_k(a, 100),
        "median": lambda a: jnp.sort(a)[(count - 1) // 2],
    }
    return compiled(calls[op], count)


def scan(size, dim):
    return compiled(lambda a: jnp.cumsum(a, axis=dim), size, size)
