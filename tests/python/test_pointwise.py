"""Functions of single elements against `math` and NumPy: values, edges, forms, graph, classes."""

import math
import operator

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import (
    CLASSES,
    FLOATS,
    INTEGERS,
    array,
    check_first,
    check_second,
    close,
    double,
    leaf,
    name_of,
    numbers,
    parents,
    same,
    tensor,
)

INF, NAN = math.inf, math.nan


def erfinv(x):
    """By bisection, from the error function of `math`."""
    if x == 0 or math.isnan(x):
        return x
    if abs(x) >= 1:
        return math.copysign(INF, x) if abs(x) == 1 else NAN
    low, high = 0.0, 6.0
    for _ in range(200):
        middle = (low + high) / 2
        # Near 1 the difference from 1 keeps its digits.
        below = math.erf(middle) < abs(x) if abs(x) < 0.5 else math.erfc(middle) > 1 - abs(x)
        low, high = (middle, high) if below else (low, middle)
    return math.copysign((low + high) / 2, x)


def away(x):
    """Halves away from zero, as C's round."""
    return math.copysign(math.floor(abs(x) + 0.5), x) if abs(x) < 2**52 else x


def guarded(f):
    """`f` with NaN, infinity or C's answer where `math` raises or knows no sign."""

    def g(x):
        try:
            return f(x)
        except OverflowError:
            return INF if f in (math.exp, math.cosh) else math.copysign(INF, x)
        except ValueError:
            return NAN

    return g


def log(x):
    return -INF if x == 0 else math.log(x)


def log1p(x):
    return -INF if x == -1 else math.log1p(x)


def lgamma(x):
    return INF if math.isinf(x) or (x <= 0 and x == math.floor(x)) else math.lgamma(x)


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else math.exp(x)


def fraction(x):
    return NAN if math.isinf(x) else math.fmod(x, 1)


def rounded(f):
    return lambda x: x if math.isinf(x) or math.isnan(x) or x == 0 else math.copysign(f(x), x)


def reciprocal(x):
    return math.copysign(INF, x) if x == 0 else 1 / x


# Each function with its answer in double.
UNARY = {
    "abs": abs,
    "acos": math.acos,
    "asin": math.asin,
    "atan": math.atan,
    "ceil": rounded(math.ceil),
    "cos": math.cos,
    "cosh": math.cosh,
    "erf": math.erf,
    "erfinv": erfinv,
    "exp": math.exp,
    "floor": rounded(math.floor),
    "frac": fraction,
    "lgamma": lgamma,
    "log": log,
    "log1p": log1p,
    "neg": operator.neg,
    "reciprocal": reciprocal,
    "round": rounded(away),
    "rsqrt": lambda x: reciprocal(math.sqrt(x)),
    "sigmoid": sigmoid,
    "sign": lambda x: float((x > 0) - (x < 0)),
    "sin": math.sin,
    "sinh": math.sinh,
    "sqrt": math.sqrt,
    "tan": math.tan,
    "tanh": math.tanh,
    "trunc": rounded(math.trunc),
}
ZERO = ["ceil", "floor", "round", "sign", "trunc"]
EDGES = [
    0.0, -0.0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 1.0, -1.0, 2.0, 3.0, 0.49999997, -0.49999997,
    1e-30, -1e-30, 1e-8, 0.41421357, 2.4142137, math.pi / 4, math.pi / 2, math.pi, -math.pi,
    0.99999994, -0.99999994, 1.0000001, 10.0, -10.0, 88.5, -88.5, 89.3, -89.3, 1e5, 999999.94,
    1e6, -1e6, 8388609.0, 1e10, -1e10, 3e38, -3e38, INF, -INF, NAN,
]  # fmt: skip
every_unary = pytest.mark.parametrize("name", UNARY)


@pytest.mark.parametrize("cls", FLOATS)
@every_unary
def test_values(name, cls):  # n edges, O-15
    spread = np.concatenate([numbers(301, low=-4), numbers(101, low=-50, high=50), EDGES])
    x = spread.astype(CLASSES[cls])
    with np.errstate(over="ignore"):
        wanted = np.array([guarded(UNARY[name])(float(v)) for v in x]).astype(x.dtype)
    got = array(getattr(tensor(cls, x), name)())
    # Four units in the last place, and one for the answer; lgamma loses digits near its zeros.
    unit = np.spacing(np.abs(np.where(np.isfinite(wanted), wanted, 1)))
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(np.float64) - wanted.astype(np.float64))
    bound = 5 * unit.astype(np.float64) + (1e-14 if name == "lgamma" else 0)
    fits = (error <= bound) | (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    assert fits.all(), list(zip(x[~fits], got[~fits], wanted[~fits], strict=True))
    zero = (wanted == 0) & (got == 0) & (name not in ("sign", "lgamma", "frac"))
    assert (np.signbit(got) == np.signbit(wanted))[zero].all(), x[zero]


@every_unary
def test_forms(name):  # O-1, O-6, O-7
    x = np.array([0.3, 0.7, 0.9])
    t = double(x)
    wanted = array(getattr(t, name)())
    same(getattr(torch, name)(t), wanted)
    same(getattr(torch, name)(input=t), wanted)
    out = torch.DoubleTensor()
    assert getattr(torch, name)(t, out=out) is out
    same(out, wanted)
    v = Variable(double(x))
    same(getattr(v, name)(), wanted)
    same(getattr(torch, name)(v), wanted)
    for place in (double(x), Variable(double(x))):
        assert getattr(place, name + "_")() is place
        same(place, wanted)
    every_other = double(np.repeat(x, 2))
    same(getattr(every_other[::2], name)(), wanted)
    assert getattr(torch.FloatTensor(), name)().numel() == 0  # O-16
    with pytest.raises(TypeError):
        getattr(torch, name)(t, out=torch.FloatTensor())


@every_unary
def test_integer_classes(name):  # O-14, E-81, T-82
    for cls in INTEGERS:
        t = tensor(cls, [0, 1, 2])
        takes = name == "sign" or (
            name in ("abs", "neg") and cls not in ("ByteTensor", "CharTensor")
        )
        if takes:
            same(getattr(t, name)(), [UNARY[name](v) for v in (0, 1, 2)])
            continue
        with pytest.raises(AttributeError):
            getattr(t, name)()
        with pytest.raises(TypeError, match=f"{name}.*{cls}|{cls}.*{name}"):
            getattr(torch, name)(t)
        with pytest.raises(RuntimeError, match=cls):
            getattr(Variable(t), name)()


@every_unary
def test_nodes_and_zero_gradients(name):  # A-50, ops.tsv: "zero" rows are recorded
    v = leaf([0.3, 0.7])
    y = getattr(v, name)()
    node = {"tanh": "TanhBackward0", "sigmoid": "SigmoidBackward0", "log1p": "Log1PBackward"}
    assert name_of(y.grad_fn) == node.get(name, name.capitalize() + "Backward")
    assert y.requires_grad
    if name == "lgamma":
        with pytest.raises(RuntimeError, match=r"LgammaBackward.*not implemented"):
            y.sum().backward()
        return
    y.sum().backward()
    if name in ZERO:
        same(v.grad, [0.0, 0.0])
    in_place = leaf([0.3, 0.7])
    w = in_place * 1
    getattr(w, name + "_")()
    w.sum().backward()
    same(in_place.grad, array(v.grad))


INSIDE = numbers(2, 3, low=-0.9, high=0.9)
ABOVE = numbers(2, 3, low=0.4, high=3)
A, B, C = numbers(2, 3), numbers(2, 3, seed=1), numbers(2, 3, seed=2, low=0.4, high=3)
GRADIENTS = {
    "acos": (torch.acos, INSIDE),
    "asin": (torch.asin, INSIDE),
    "atan": (torch.atan, A),
    "cos": (torch.cos, A),
    "cosh": (torch.cosh, A),
    "erf": (torch.erf, A),
    "erfinv": (torch.erfinv, INSIDE),
    "frac": (torch.frac, INSIDE),
    "log1p": (torch.log1p, INSIDE),
    "reciprocal": (torch.reciprocal, ABOVE),
    "rsqrt": (torch.rsqrt, ABOVE),
    "sin": (torch.sin, A),
    "sinh": (torch.sinh, A),
    "tan": (torch.tan, INSIDE),
    "atan2": (torch.atan2, A, B),
    "atan2 broadcast": (torch.atan2, A[0], B),
    "fmod": (lambda a: a.fmod(1.3), INSIDE),
    "remainder": (lambda a: a % 1.3, ABOVE[:, :1]),
    "lerp": (lambda a, b: a.lerp(b, 0.3), A, B),
    "addcmul": (lambda a, b, c: a.addcmul(0.5, b, c), A, B, C),
    "addcmul broadcast": (lambda a, b, c: torch.addcmul(a, b, c, value=2), A[0], B, C[:, :1]),
    "addcdiv": (lambda a, b, c: a.addcdiv(0.5, b, c), A, B, C),
    "cross": (lambda a, b: a.cross(b), A, B),
    "pow 4": (lambda a: a**4, A),
    "pow -2": (lambda a: a**-2, ABOVE),
    "pow -0.5": (lambda a: a**-0.5, ABOVE),
    "pow base": (lambda a: torch.pow(1.7, a), A),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_first_and_second_gradients(name):
    f, *arrays = GRADIENTS[name]
    check_first(f, *arrays)
    check_second(f, *arrays)


def test_round_is_away_from_zero():
    x = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 4503599627370497.5, 0.49999999999999994]
    same(double(x).round(), [1, 2, 3, -1, -2, -3, 4503599627370498.0, 0])


# Two operands.


@pytest.mark.parametrize("cls", FLOATS)
def test_atan2(cls):  # the special cases of C
    values = [0.0, -0.0, 1.0, -1.0, 1e-30, 3e30, INF, -INF, NAN, 0.3, -2.5, 1e30]
    y, x = (g.ravel().astype(CLASSES[cls]) for g in np.meshgrid(values, values))
    got = array(torch.atan2(tensor(cls, y), tensor(cls, x)))
    wanted = np.array([math.atan2(a, b) for a, b in zip(y, x, strict=True)]).astype(y.dtype)
    np.testing.assert_allclose(got, wanted, rtol=5 * np.finfo(y.dtype).eps, atol=1e-44)
    zero = wanted == 0
    assert (np.signbit(got) == np.signbit(wanted))[zero].all()


@pytest.mark.parametrize("cls", FLOATS)
def test_fmod_is_exact(cls):
    rng = np.random.RandomState(3)
    values = [0.0, -0.0, 1.0, 0.1, INF, -INF, NAN, 1e30, -7.5, 3.0, 1e-40]
    a, b = (g.ravel() for g in np.meshgrid(values, values))
    a = np.concatenate([a, rng.uniform(-1e6, 1e6, 500)]).astype(CLASSES[cls])
    b = np.concatenate([b, rng.uniform(-3, 3, 500)]).astype(CLASSES[cls])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(array(tensor(cls, a).fmod(tensor(cls, b))), np.fmod(a, b))
        np.testing.assert_array_equal(
            array(tensor(cls, a).fmod(0.7)), np.fmod(a, a.dtype.type(0.7))
        )


@pytest.mark.parametrize("cls", INTEGERS)
def test_integer_division_family(cls):  # T-7, E-79
    info = np.iinfo(CLASSES[cls])
    values = np.array([info.min, info.min + 1, 1, 2, 7, info.max], CLASSES[cls])
    if info.min < 0:
        values = np.append(values, [-1, -7]).astype(CLASSES[cls])
    a, b = (g.ravel() for g in np.meshgrid(values, values))
    keep = b != 0
    a, b = a[keep], b[keep]
    x, y = tensor(cls, a), tensor(cls, b)
    wide = [int(p) for p in a], [int(q) for q in b]
    pairs = list(zip(*wide, strict=True))
    quotient = [int(p / q) if abs(p) < 2**52 else (abs(p) // abs(q)) * (-1 if (p < 0) != (q < 0) else 1) for p, q in pairs]  # fmt: skip  # noqa: E501
    wrap = lambda v: np.array([(q - info.min) % (int(info.max) - info.min + 1) + info.min for q in v]).astype(CLASSES[cls])  # fmt: skip  # noqa: E501, E731
    same(x / y, wrap(quotient))
    same(x.fmod(y), wrap([p - q * r for (p, q), r in zip(pairs, quotient, strict=True)]))
    same(x % y, wrap([p % q for p, q in pairs]))
    for call in (lambda t, z: t.fmod(z), lambda t, z: t.fmod_(z), lambda t, z: t.addcdiv(t, z)):
        t = tensor(cls, [3, 4])
        with pytest.raises(RuntimeError, match="zero"):
            call(t, tensor(cls, [1, 0]))
        same(t, [3, 4])
    with pytest.raises(ZeroDivisionError):
        x.fmod(0)


def test_divisors_have_no_derivative():
    a, b = leaf([5.5, -5.5]), leaf([2.0, 2.0])
    y = a.fmod(b)
    assert name_of(y.grad_fn) == "FmodBackward1"
    with pytest.raises(RuntimeError, match=r"FmodBackward1.*not implemented"):
        y.sum().backward()
    a.fmod(b.detach()).sum().backward()
    same(a.grad, [1.0, 1.0])
    assert name_of(a.fmod(2).grad_fn) == "FmodBackward0"
    with pytest.raises(RuntimeError, match="not implemented"):
        a.remainder(b)


def test_scaled_products_in_all_orders():  # O-9, T-83
    x, a, b = (np.array(v) for v in ([1.0, 2.0], [3.0, 5.0], [2.0, 4.0]))
    for name, step in (("addcmul", a * b), ("addcdiv", a / b)):
        for wrap in (double, lambda v: Variable(double(v))):
            t, p, q = wrap(x), wrap(a), wrap(b)
            method, function = getattr(t, name), getattr(torch, name)
            for got in (method(p, q), function(t, p, q)):
                close(got, x + step)
            for got in (method(0.5, p, q), method(p, q, value=0.5), function(t, 0.5, p, q)):
                close(got, x + 0.5 * step)
            close(function(t, p, q, value=-2), x - 2 * step)
            assert getattr(t, name + "_")(-0.1, p, q) is t
            close(t, x - 0.1 * step)
    v = leaf(x)
    y = v.addcmul(leaf(a), leaf(b))
    assert name_of(y.grad_fn) == "AddcmulBackward"
    assert parents(y) == ["AccumulateGrad"] * 3
    out = torch.DoubleTensor()
    torch.addcdiv(double(x), double(a), double(b), out=out)
    close(out, x + a / b)
    same(torch.LongTensor([1, 2]).addcmul(2, torch.LongTensor([3, 4]), torch.LongTensor([5, 6])), [31, 50])  # fmt: skip  # noqa: E501
    same(torch.ones(2, 3).addcmul(torch.ones(3), torch.ones(2, 1)), np.full((2, 3), 2))
    with pytest.raises(RuntimeError):  # T-51
        torch.ones(3).addcmul_(torch.ones(2, 3), torch.ones(3))


def test_lerp():
    a, b = double([1.0, 2.0]), double([3.0, 10.0])
    close(a.lerp(b, 0.25), [1.5, 4.0])
    close(torch.lerp(a, b, 2), [5.0, 18.0])
    close(torch.lerp(a, end=b, weight=0), [1.0, 2.0])
    v = leaf([1.0, 2.0])
    y = v.lerp(Variable(b), 0.25)
    assert name_of(y.grad_fn) == "LerpBackward"
    y.sum().backward()
    close(v.grad, [0.75, 0.75])
    with pytest.raises(AttributeError):
        torch.LongTensor([1]).lerp(torch.LongTensor([2]), 1)


@pytest.mark.parametrize("cls", ["DoubleTensor", "FloatTensor", "LongTensor", "IntTensor"])
def test_cross(cls):
    rng = np.random.RandomState(0)
    x, y = (rng.randint(-9, 9, (3, 4, 3)).astype(CLASSES[cls]) for _ in range(2))
    s, t = tensor(cls, x), tensor(cls, y)
    # The default is the first dimension of size 3, not the last.
    for got in (s.cross(t), s.cross(t, -1), s.cross(t, 0), torch.cross(s, t, dim=0)):
        same(got, np.cross(x, y, axis=0))
    same(s.cross(t, 2), np.cross(x, y, axis=2))
    same(s.transpose(0, 1).cross(t.transpose(0, 1), 1), np.cross(x, y, axis=0).swapaxes(0, 1))


def test_cross_refuses():
    with pytest.raises(RuntimeError, match="no dimension has size 3"):
        torch.ones(2, 4).cross(torch.ones(2, 4))
    with pytest.raises(RuntimeError, match="must have size 3"):
        torch.ones(3, 4).cross(torch.ones(3, 4), 1)
    with pytest.raises(RuntimeError, match="same size"):
        torch.ones(3, 4).cross(torch.ones(4, 3))
    with pytest.raises(TypeError):
        torch.ones(3).cross(torch.ones(3).double())


# Powers.


@pytest.mark.parametrize("cls", FLOATS)
@pytest.mark.parametrize("p", [0, 1, 2, 3, 0.5, -0.5, -1, -2, 2.5, -3, 10])
def test_powers(cls, p):
    x = np.array([0.0, -0.0, 0.5, 1.0, 2.0, 9.0, 1e20, INF, NAN, -3.0], CLASSES[cls])
    with np.errstate(all="ignore"):
        # The exponents of everyday are roots, products and quotients, as in 0.3.
        special = {0.5: np.sqrt, -0.5: lambda v: 1 / np.sqrt(v), 1: np.positive}
        wanted = special.get(p, lambda v: np.power(v, v.dtype.type(p)))(x)
    eps = 5 * np.finfo(x.dtype).eps
    for got in (tensor(cls, x) ** p, tensor(cls, x).pow(p), torch.pow(tensor(cls, x), p)):
        np.testing.assert_allclose(array(got), wanted, rtol=eps)
    np.testing.assert_allclose(array(tensor(cls, x).pow_(p)), wanted, rtol=eps)
    np.testing.assert_allclose(array(Variable(tensor(cls, x)) ** p), wanted, rtol=eps)


def test_power_gradients_at_zero():
    for p, wanted in ((0, NAN), (1, 1.0), (2, 0.0), (0.5, INF)):
        v = leaf([0.0])
        (v**p).sum().backward()
        np.testing.assert_array_equal(array(v.grad), [wanted])
    assert name_of((leaf([1.0]) ** 2).grad_fn) == "PowBackward0"
    y = leaf([2.0]) ** leaf([3.0])
    assert name_of(y.grad_fn) == "PowBackward1"
    close(torch.pow(2, double([3.0, 0.5])), [8, 2**0.5])
    close(2 ** leaf([3.0]), [8.0])


# Bits.

BITS = [
    (operator.and_, operator.iand),
    (operator.or_, operator.ior),
    (operator.xor, operator.ixor),
    (operator.lshift, operator.ilshift),
    (operator.rshift, operator.irshift),
]


@pytest.mark.parametrize("cls", INTEGERS)
@pytest.mark.parametrize("op, in_place", BITS, ids=lambda f: f.__name__)
def test_bits(op, in_place, cls):
    info = np.iinfo(CLASSES[cls])
    low = -3 if info.min < 0 else 0
    x = np.array([info.min, info.max, 5, 12, 1, 0], CLASSES[cls])
    shift = op in (operator.lshift, operator.rshift)
    second = range(max(low, 0) if shift else low, 70) if info.max > 100 else range(64)
    a, b = (g.ravel().astype(CLASSES[cls]) for g in np.meshgrid(x, list(second)))
    wanted = op(a, b)
    same(op(tensor(cls, a), tensor(cls, b)), wanted)
    same(op(Variable(tensor(cls, a)), Variable(tensor(cls, b))), wanted)
    same(op(tensor(cls, x), 3), op(x, CLASSES[cls](3)))
    for t in (tensor(cls, x), Variable(tensor(cls, x))):
        kept = t
        t = in_place(t, 3)
        assert t is kept
        same(t, op(x, CLASSES[cls](3)))
    t = tensor(cls, a)
    same(in_place(t, tensor(cls, b)), wanted)
    with pytest.raises(TypeError, match=cls):  # E-80
        op(tensor(cls, x), 1.5)


def test_bits_of_floats():
    x = double([1.5, -3.0])
    same(x << 3, [12.0, -24.0])
    same(x >> 1, [0.75, -1.5])
    same(x << double([1.0, 2.0]), [3.0, -12.0])
    same(torch.FloatTensor([1.5]) << 0.5, np.array([1.5], np.float32) * np.float32(2**0.5))
    for op in (operator.and_, operator.or_, operator.xor):
        with pytest.raises(TypeError, match="DoubleTensor"):
            op(x, 1)
        with pytest.raises(RuntimeError, match="DoubleTensor"):  # E-81
            op(Variable(x), 1)


def test_bits_record_nothing_and_broadcast():
    v = leaf([1.0, 2.0])
    mask = (v > 1) | (v < 0)
    assert mask.grad_fn is None and not mask.requires_grad
    same(mask, [0, 1])
    same(torch.ByteTensor([[1], [0]]) & torch.ByteTensor([1, 1, 0]), [[1, 1, 0], [0, 0, 0]])
    same(~torch.ByteTensor([0, 1]), [1, 0])
    with pytest.raises(TypeError):
        torch.ByteTensor([1]) & torch.LongTensor([1])
    with pytest.raises(TypeError):
        torch.ByteTensor([1]) & "1"


# Comparisons and bounds.


def test_comparisons_in_place_and_into_their_own_class():  # O-6
    for name, op in (("gt", operator.gt), ("le", operator.le), ("ne", operator.ne)):
        x = np.array([1.0, NAN, 3.0, 2.0])
        t = double(x)
        wanted = op(x, 2.0)
        same(getattr(t, name)(2), wanted.astype(np.uint8))
        for out in (torch.ByteTensor(), torch.DoubleTensor()):
            assert getattr(torch, name)(t, 2, out=out) is out
            same(out, wanted)
        with pytest.raises(TypeError, match="out="):
            getattr(torch, name)(t, 2, out=torch.LongTensor())
        assert getattr(t, name + "_")(2).type() == "torch.DoubleTensor"
        same(t, wanted.astype(float))


def test_all_and_any():
    for wrap in (torch.ByteTensor, lambda v: Variable(torch.ByteTensor(v))):
        assert wrap([1, 2]).all() is True and wrap([1, 0]).all() is False
        assert wrap([0, 1]).any() is True and wrap([0, 0]).any() is False
    with pytest.raises((AttributeError, TypeError, RuntimeError)):
        torch.ones(2).all()


def test_clamp_forms():  # O-20
    x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, NAN])
    low, high = np.maximum(x, -1), np.minimum(x, 1)
    both = np.minimum(low, 1)
    for wrap in (double, lambda v: Variable(double(v))):
        for got in (
            wrap(x).clamp(-1, 1),
            wrap(x).clamp(min=-1, max=1),
            torch.clamp(wrap(x), -1, 1),
        ):
            same(got, both)
        same(wrap(x).clamp(min=-1), low)
        same(wrap(x).clamp(max=1), high)
        same(torch.clamp(wrap(x), max=1), high)
        same(wrap(x).clamp_(min=-1), low)
        same(wrap(x).clamp(1, -1), np.where(np.isnan(x), x, np.where(x < 1, 1, -1)))
        with pytest.raises((TypeError, ValueError, RuntimeError)):
            wrap(x).clamp()
    same(Variable(double(x)).clamp(min=None, max=1), high)
    same(Variable(double(x)).clamp(min=-1, max=None), low)
    with pytest.raises(TypeError):
        torch.LongTensor([1]).clamp(0.5, 2)


def test_clamp_gradients_at_the_bounds():  # the release: both ends pass in the two-sided form
    for call, wanted in (
        (lambda v: v.clamp(-1, 1), [0, 1, 1, 1, 0]),
        (lambda v: v.clamp(min=-1), [0, 0, 1, 1, 1]),
        (lambda v: v.clamp(max=1), [1, 1, 1, 0, 0]),
    ):
        v = leaf([-2.0, -1.0, 0.0, 1.0, 2.0])
        call(v).sum().backward()
        same(v.grad, wanted)
        v = leaf([-2.0, -1.0, 0.0, 1.0, 2.0])
        w = v * 1
        {3: w.clamp_}.get(sum(wanted), w.clamp_)(
            **{
                (0, 1, 1, 1, 0): {"min": -1, "max": 1},
                (0, 0, 1, 1, 1): {"min": -1},
                (1, 1, 1, 0, 0): {"max": 1},
            }[tuple(wanted)]
        )
        w.sum().backward()
        same(v.grad, wanted)


# One answer for every layout and thread count.


@pytest.mark.parametrize("cls", FLOATS)
@pytest.mark.parametrize("name", [*UNARY, "pow", "atan2", "fmod"])
def test_bits_of_every_layout_and_thread_count(name, cls):
    rng = np.random.RandomState(1)
    n = 100_001
    # Ordinary numbers, a few huge ones and a NaN in between, which take other ways.
    x = rng.uniform(-20, 20, n)
    x[::977] *= 1e9
    x[5000] = NAN
    x = x.astype(CLASSES[cls])
    t = torch.from_numpy(x)
    operand = {"pow": [2.7], "fmod": [0.7], "atan2": [torch.from_numpy(x[::-1].copy())]}.get(
        name, []
    )
    call = lambda t, *other: array(getattr(t, name)(*other))  # noqa: E731
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = call(t, *operand)
        torch.set_num_threads(2)
        two = call(t, *operand)
    finally:
        torch.set_num_threads(threads)
    bits = np.int32 if cls == "FloatTensor" else np.int64

    def equal(a, b):
        a, b = a.ravel(), b.ravel()
        both = np.isnan(a) & np.isnan(b)
        np.testing.assert_array_equal(a.view(bits)[~both], b.view(bits)[~both])

    equal(one, two)
    wide = torch.from_numpy(np.repeat(x, 3).reshape(n, 3).copy())[:, 1]
    equal(one, call(wide, *operand))
    for i in (0, 1, 977, 5000, n - 1):
        single = [o if isinstance(o, float) else o[i : i + 1] for o in operand]
        equal(one[i : i + 1], call(t[i : i + 1], *single))
    for size in (2, 31, 33, 1000):
        part = [o if isinstance(o, float) else o[:size] for o in operand]
        equal(one[:size], call(t[:size], *part))
