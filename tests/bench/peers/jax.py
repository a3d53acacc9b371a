"""JAX: jitted where its users would jit, traced step by step for the chain."""

import os

import jax
import jax.numpy as jnp

from peers import RATE, chosen_rows, gathered_places, mlp_arrays


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


def transposed(size):
    a = jax.random.uniform(jax.random.key(0), (size, size))
    turn = jax.jit(lambda a: a.T.copy())
    return lambda: turn(a).block_until_ready()


def joined(count):
    a, b = jax.random.uniform(jax.random.key(0), (2, count))
    join = jax.jit(lambda a, b: jnp.concatenate([a, b]))
    return lambda: join(a, b).block_until_ready()


def rows(count):
    table, places, _ = (jnp.asarray(array) for array in chosen_rows(count))
    take = jax.jit(lambda table, places: jnp.take(table, places, 0))
    return lambda: take(table, places).block_until_ready()


def rows_back(count):
    table, places, gradient = (jnp.asarray(array) for array in chosen_rows(count))

    @jax.jit
    def back(table, gradient):
        return jax.vjp(lambda table: jnp.take(table, places, 0), table)[1](gradient)[0]

    return lambda: back(table, gradient).block_until_ready()


def gathered(dim):
    a, places = (jnp.asarray(array) for array in gathered_places(dim))
    take = jax.jit(lambda a, places: jnp.take_along_axis(a, places, dim))
    return lambda: take(a, places).block_until_ready()
