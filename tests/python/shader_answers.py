"""What NumPy says that each formula gives, in double precision, and inputs that try it."""

from __future__ import annotations

import math

import numpy as np

from shader_driver import KINDS


def random(kind: str, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "f32":
        return rng.uniform(-2, 2, count).astype(np.float32)
    if kind == "u8":
        return rng.integers(0, 256, count).astype(np.uint8)
    return rng.integers(-1000, 1000, count).astype(KINDS[kind])


erf = np.vectorize(math.erf, otypes=[np.float64])


def nan_first(pick):
    return lambda a, b: np.where(np.isnan(a), a, np.where(np.isnan(b), b, pick(a, b)))


# What each formula gives, in double precision, and its bound in units in the last place.
FORMULAS = {
    "exp_": (np.exp, 2),
    "expm1_": (np.expm1, 4),
    "log_": (np.log, 2),
    "log1p_": (np.log1p, 4),
    "tanh_": (np.tanh, 3),
    "sigmoid_": (lambda x: 1 / (1 + np.exp(-x)), 4),
    "softplus_": (lambda x: np.logaddexp(0, x), 4),
    "sqrt_": (np.sqrt, 3),
    "erf_": (erf, 3),
    "sin_": (np.sin, 4),
    "cos_": (np.cos, 4),
    "sign_": (lambda x: 1.0 * (x > 0) - (x < 0), 0),
    "pow_": (np.power, 4),
    "max_": (nan_first(np.fmax), 0),
    "min_": (nan_first(np.fmin), 0),
    "ne_": (lambda a, b: a != b, 0),
    "clamp_": (
        lambda x, a, b: np.where(np.isnan(x), x, np.where(x < a, a, np.where(x > b, b, x))),
        0,
    ),
    "add": (lambda a, b: a + b, 0),
    "where": (lambda m, a, b: np.where(m != 0, a, b), 0),
    "shared": (lambda a, b: a - b, 0),
}


def over(a, b):
    """A quotient; of integers without its fraction."""
    return a / b if np.asarray(a).dtype.kind == "f" else np.trunc(a / b).astype(np.int64)


def larger(a, b):
    return nan_first(np.fmax)(a, b) if a.dtype.kind == "f" else np.maximum(a, b)


def smaller(a, b):
    return nan_first(np.fmin)(a, b) if a.dtype.kind == "f" else np.minimum(a, b)


def clamped(x, low, high):
    return np.where(x < low, low, np.where(x > high, high, x))


def away(x):
    """The nearest whole number, halves away from zero."""
    return np.trunc(x + np.copysign(0.5, x))


def left(a, b):
    """A shift to the left; of integers by 32 and more, nothing is left."""
    if np.asarray(a).dtype.kind == "f":
        return a * 2.0**b
    return np.where((b >= 0) & (b < 32), a << np.clip(b, 0, 31), 0)


def right(a, b):
    """A shift to the right; of integers by 32 and more, the sign is left."""
    if np.asarray(a).dtype.kind == "f":
        return a / 2.0**b
    return a >> np.where((b >= 0) & (b < 32), b, 31)


# What each row of the op table gives, from its operands and numbers, and its bound; "close" where
# several roundings add up. Integers are exact.
TABLE = {
    "add_number": (lambda a, p: a + p, 0),
    "add": (lambda a, b: a + b, 0),
    "add_scaled": (lambda a, b, p: a + p * b, "close"),
    "sub_number": (lambda a, p: a - p, 0),
    "sub": (lambda a, b: a - b, 0),
    "sub_scaled": (lambda a, b, p: a - p * b, "close"),
    "mul_number": (lambda a, p: a * p, 0),
    "mul": (lambda a, b: a * b, 0),
    "div_number": (over, 2.5),
    "div": (over, 2.5),
    "remainder_number": (np.mod, "close"),
    "remainder": (np.mod, "close"),
    "neg": (lambda x: -x, 0),
    "pow_number": (np.power, 4),
    "pow": (np.power, 4),
    "pow_base": (lambda x, p: np.power(p, x), 4),
    "max_of": (larger, 0),
    "min_of": (smaller, 0),
    **{
        f: FORMULAS[f + "_"]
        for f in ("exp", "log", "log1p", "sqrt", "tanh", "sigmoid", "sin", "cos", "erf")
    },
    "fmod_number": (np.fmod, 0),
    "fmod": (np.fmod, 0),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 4),
    "ceil": (np.ceil, 0),
    "floor": (np.floor, 0),
    "round": (away, 0),
    "trunc": (np.trunc, 0),
    "frac": (lambda x: x - np.trunc(x), 0),
    "tan": (np.tan, 4),
    "asin": (np.arcsin, 4),
    "acos": (np.arccos, 4),
    "atan": (np.arctan, 4),
    "atan2": (np.arctan2, 4),
    "sinh": (np.sinh, 4),
    "cosh": (np.cosh, 4),
    "addcmul": (lambda x, a, b, p: x + p * a * b, "close"),
    "addcdiv": (lambda x, a, b, p: x + over(p * a, b), "close"),
    "lerp": (lambda x, end, p: x + p * (end - x), "close"),
    "and_number": (np.bitwise_and, 0),
    "and": (np.bitwise_and, 0),
    "or_number": (np.bitwise_or, 0),
    "or": (np.bitwise_or, 0),
    "xor_number": (np.bitwise_xor, 0),
    "xor": (np.bitwise_xor, 0),
    "left_number": (left, "close"),
    "left": (left, "close"),
    "right_number": (right, "close"),
    "right": (right, "close"),
    "sign": (lambda x: 1.0 * (x > 0) - (x < 0), 0),
    "abs": (np.abs, 0),
    "tanh_grad": (lambda g, y: g * (1 - y * y), "close"),
    "sigmoid_grad": (lambda g, y: g * y * (1 - y), "close"),
    "reciprocal": (lambda x: 1 / x, 2.5),
    "clamp": (clamped, 0),
    "clamp_grad": (lambda g, x, low, high: np.where((x >= low) & (x <= high), g, 0), 0),
    "clamp_min": (lambda x, low: np.where(x < low, low, x), 0),
    "clamp_max": (lambda x, high: np.where(x > high, high, x), 0),
    "threshold": (lambda x, at, value: np.where((x > at) | np.isnan(x), x, value), 0),
    "threshold_grad": (lambda g, x, at: np.where(x > at, g, 0), 0),
    "below_grad": (lambda g, x, high: np.where(x < high, g, 0), 0),
    "keep": (lambda x, m, p: np.where(m != 0, x, p), 0),
    "masked_fill": (lambda x, m, p: np.where(m != 0, p, x), 0),
    "nll_counts": (lambda t, p: t != p, 0),
    "nll_class_of": (lambda t, p: np.where(t == p, 0, t), 0),
    "nll_weight": (lambda w, t, p: np.where(t == p, 0, w), 0),
    "nll_share": (lambda f, s: np.where(f == 0, 0, f / s), 2.5),
    "nll_class": (lambda t, f: np.where(f == 0, 0, t), 0),
    "nll_term": (lambda x, f: np.where(f == 0, 0, -x * f), 0),
}
for test in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    short = {"equal": "eq", "not_equal": "ne", "less": "lt", "greater": "gt"}.get(test)
    short = short or {"less_equal": "le", "greater_equal": "ge"}[test]
    TABLE[short] = TABLE[short + "_number"] = getattr(np, test), 0


# Rows whose last operand divides: integers cannot be divided by zero.
DIVIDES = ("div", "remainder", "fmod", "addcdiv")


def row_case(shader: dict):
    """A row of the op table: inputs, numbers as bits, and what it gives."""
    function, bound = TABLE[shader["op"]]
    kinds, count = shader["inputs"].split(), len(shader["params"].split())
    if set(kinds) == {"f32"} and bound != "close":
        inputs = function_inputs(len(kinds))
    else:
        inputs = [random(kind, 1001, i) for i, kind in enumerate(kinds)]
        for x, kind in zip(inputs, kinds, strict=True):
            if kind != "f32" or len(set(kinds)) > 1:
                # Few numbers, so that some are equal to others, to zero and to those given.
                x[::2] %= KINDS[kind](7)
        if shader["op"] in DIVIDES:
            inputs[-1][inputs[-1] == 0] = 1
    for i, shared in enumerate(shader["shared"].split()):
        if shared == "1":
            inputs[i] = inputs[0]
    if shader["op"] in DIVIDES and "f32" not in kinds:
        inputs = [np.where(x == 0, 1, x).astype(x.dtype) for x in inputs]
    floats = shader["params"].startswith("f32")
    numbers = [
        np.float32(v) if floats else np.int32(v) for v in ([0.75, 1.5] if floats else [3, 5])
    ]
    numbers = numbers[:count]
    bits = [int(v.view(np.uint32)) for v in numbers]
    wide = {"f": np.float64, "i": np.int64, "u": np.int64}
    with np.errstate(all="ignore"):
        want = function(*[x.astype(wide[x.dtype.kind]) for x in [*inputs, *numbers]])
    out = KINDS[shader["out"]]
    return inputs, bits, want if out is np.float32 else want.astype(out), bound


SPECIAL = np.array(
    [
        0.0,
        -0.0,
        1,
        -1,
        0.5,
        2,
        3,
        -3,
        np.inf,
        -np.inf,
        np.nan,
        1e-30,
        -1e-30,
        1e-45,
        88.7,
        88.8,
        -87.3,
        -103.9,
        -104.1,
        0.34,
        -0.34,
        0.41,
        -0.29,
        0.625,
        9.0,
        9.2,
        3.95,
        1e10,
        3.4e38,
        16777217,
        16777215,
        *[math.pi, math.pi / 2, 2 * math.pi, 1.1754944e-38, 0.99999994, 1.0000001, 1000.5, -1000.5],
    ],
    np.float32,
)


def ulp_errors(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """The errors in units in the last place; numbers below the normal ones may be zero."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = want.astype(np.float32)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        unit = np.maximum(np.abs(np.spacing(rounded.astype(np.float32))), 2.0**-149).astype(
            np.float64
        )
        error = np.abs(got.astype(np.float64) - want) / unit
    error = np.where(same, 0, error)
    error = np.where(np.isnan(error), np.inf, error)
    tiny = (np.abs(want) < 1.2e-38) & (np.abs(got) < 1.2e-38)
    return np.where(tiny, 0, error)


def ulp_error(got: np.ndarray, want: np.ndarray) -> float:
    """The largest of them."""
    return float(ulp_errors(got, want).max(initial=0))


def function_inputs(count: int) -> list[np.ndarray]:
    """Special values against each other, then every exponent, then where most work is done."""
    rng = np.random.default_rng(5)
    if count == 1:
        bits = rng.integers(0, 2**32, 40000, dtype=np.uint32).view(np.float32)
        near = rng.uniform(-12, 12, 40000).astype(np.float32)
        small = (rng.uniform(-1, 1, 20000) ** 3).astype(np.float32)
        return [
            np.concatenate(
                [SPECIAL, bits, near, small, rng.uniform(-104, 89, 20001).astype(np.float32)]
            )
        ]
    a, b = (g.ravel() for g in np.meshgrid(SPECIAL, SPECIAL))
    x = np.exp(rng.uniform(-80, 80, 40000))
    y = rng.uniform(-88, 88, 40000) / np.log(x)
    x1 = 1 + rng.uniform(-0.3, 0.4, 40001)
    y1 = rng.uniform(-88, 88, 40001) / np.log(x1)
    first = np.concatenate([a, x, x1, -np.arange(1.0, 9.0)]).astype(np.float32)
    second = np.concatenate([b, y, y1, np.arange(-4.0, 4.0)]).astype(np.float32)
    if count == 2:
        return [first, second]
    low = np.minimum(second, 0)
    return [first, np.nan_to_num(low), np.nan_to_num(low) + 1]
