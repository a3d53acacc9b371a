"""The bounds that shaders/ states for its functions, over a million floats each, through wgpu-py.

test_shaders.py runs every text on few numbers; this runs one text of each function on many.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("wgpu", reason="wgpu-py is the second driver (pip install wgpu)")
if os.environ.get("RGRAD_GPU") == "off":
    pytest.skip("RGRAD_GPU=off", allow_module_level=True)

from shader_answers import FORMULAS, SPECIAL, TABLE, ulp_errors
from shader_driver import Driver, manifest

LISTING = manifest()
FUNCTIONS = [
    *("exp_", "expm1_", "log_", "log1p_", "tanh_", "sigmoid_", "softplus_", "erf_"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh"),
    *("rsqrt", "fmod", "pow_"),
]
# Where a function changes its way, each with this much around it.
SEAMS = [0, 0.29, 0.34, 0.41, 0.414213562, 0.5, 0.625, 1, 2.41421356, 3.95, 9.1, 18, 60, 88.7, 104]
SEAMS += [k * np.pi / 4 for k in range(1, 9)]
PIECE = 2**17


def lone_floats() -> np.ndarray:
    """Every exponent and sign, then the usual range, then the seams from both sides."""
    rng = np.random.default_rng(21)
    # An odd step visits all low bits.
    every = np.arange(0, 2**32, 2**13 + 1, dtype=np.uint32).view(np.float32)
    usual = rng.uniform(-12, 12, 2**18)
    unit = rng.uniform(-1, 1, 2**18)
    seams = [s * (1 + rng.uniform(-1e-4, 1e-4, 2**11)) for s in SEAMS]
    # Near multiples of pi/2 little of the number is left.
    turns = np.arange(1, 2**15) * (np.pi / 2)
    x = np.concatenate([SPECIAL, usual, unit, *seams, *[-s for s in seams], turns])
    return np.concatenate([every, x.astype(np.float32)])


def pairs(op: str) -> tuple[np.ndarray, np.ndarray]:
    """Two floats: of any exponents, of near ones, and special ones against each other."""
    rng = np.random.default_rng(22)
    n = 2**18
    with np.errstate(over="ignore", invalid="ignore"):
        a, b = (g.ravel() for g in np.meshgrid(SPECIAL, SPECIAL))
        wild = rng.integers(0, 2**32, (2, n), dtype=np.uint32).view(np.float32)
        near = (rng.choice([-1, 1], (2, n)) * np.exp(rng.uniform(-4, 4, (2, n)))).astype(np.float32)
        if op == "pow_":
            base = np.exp(rng.uniform(-80, 80, n))
            wild[0], wild[1] = base, rng.uniform(-88, 88, n) / np.log(base)
        if op == "atan2":
            # About the same angle, for the quotient's way through the seams.
            near[1, ::2] = near[0, ::2] * np.float32(rng.uniform(0.4, 2.5, n // 2))
        return tuple(np.concatenate([s, w, m]) for s, w, m in zip((a, b), wild, near, strict=True))


@pytest.fixture(scope="module")
def driver() -> Driver:
    return Driver(LISTING)


def text_of(op: str, count: int) -> dict:
    for shader in LISTING["shaders"]:
        if (
            shader["file"] == f"map{count}"
            and shader["op"] == op
            and shader["flat"] == "true"
            and {*shader["inputs"].split(), shader["out"]} == {"f32"}
            and "1" not in shader["shared"].split()
        ):
            return shader
    raise AssertionError(f"no text of {op} for floats is listed")


@pytest.mark.parametrize("op", FUNCTIONS)
def test_stated_bounds(driver: Driver, op: str) -> None:
    function, bound = (FORMULAS if op in FORMULAS else TABLE)[op]
    inputs = pairs(op) if op in ("atan2", "fmod", "pow_") else (lone_floats(),)
    shader = text_of(op, len(inputs))
    worst, where = 0.0, None
    for start in range(0, len(inputs[0]), PIECE):
        cut = [x[start : start + PIECE] for x in inputs]
        count = len(cut[0])
        walk = {"count": count, "invocations": -(-count // 4), "steps": [1, 1, 1, 1]}
        y = np.zeros(count, np.float32)
        groups = -(-walk["invocations"] // 256)
        *_, got, _ = driver.run(shader, [*cut, y], walk, (groups, 1, 1))
        with np.errstate(all="ignore"):
            want = function(*[x.astype(np.float64) for x in cut])
        errors = ulp_errors(got, want)
        if errors.max() > worst:
            worst, bad = float(errors.max()), int(errors.argmax())
            where = [float(x[bad]) for x in cut]
    assert worst <= max(bound, 0.5), f"{op}: {worst:.2f} ulp at {where}"
