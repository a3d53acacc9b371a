"""Arithmetic of raw tensors: classes, broadcasting, integers, in-place, out= (T-5 to T-7, T-50)."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgrad as torch
from support import CLASSES, FLOATS, INTEGERS, SIGNED, array, close, numbers, same, tensor

every_class = pytest.mark.parametrize("name", CLASSES)
ARITHMETIC = [operator.add, operator.sub, operator.mul]
named = {"ids": lambda f: getattr(f, "__name__", None)}


@every_class
@pytest.mark.parametrize("op", ARITHMETIC, **named)
def test_two_tensors(name, op):  # T-7: integers wrap
    a = np.array([[1, 2, 3], [100, 127, 5]], dtype=CLASSES[name])
    b = np.array([[3, 1, 2], [100, 2, 120]], dtype=CLASSES[name])
    t = op(tensor(name, a), tensor(name, b))
    assert t.type() == f"torch.{name}"
    same(t, op(a, b))


@every_class
@pytest.mark.parametrize("op", ARITHMETIC, **named)
def test_tensor_and_number_on_either_side(name, op):
    a = np.array([1, 2, 3], dtype=CLASSES[name])
    same(op(tensor(name, a), 2), op(a, CLASSES[name](2)))
    same(op(5, tensor(name, a)), op(CLASSES[name](5), a))


@pytest.mark.parametrize("name", FLOATS)
def test_float_division_and_powers(name):
    a = np.array([1.0, -2.0, 4.0], dtype=CLASSES[name])
    t = tensor(name, a)
    close(t / 2, a / 2)
    close(2 / t, 2 / a)
    close(t / t, np.ones(3))
    close(t**2, a**2)
    close(t**3, a**3)
    close(t.abs() ** 0.5, np.abs(a) ** 0.5)
    close(2**t, 2**a)
    close(t.pow(-1), 1 / a)
    close(torch.pow(t.abs(), t), np.abs(a) ** a)


@pytest.mark.parametrize("name", ["ShortTensor", "IntTensor", "LongTensor"])
def test_integer_division_truncates(name):  # T-7
    t = tensor(name, [7, -7, 7, -7])
    same(t / tensor(name, [2, 2, -2, -2]), np.array([3, -3, -3, 3], dtype=CLASSES[name]))
    same(t / 2, np.array([3, -3, 3, -3], dtype=CLASSES[name]))


@pytest.mark.parametrize("name", ["ShortTensor", "IntTensor", "LongTensor", "DoubleTensor"])
def test_modulo_follows_the_divisor(name):  # T-7
    t = tensor(name, [7, -7, 7, -7])
    expected = np.array([1, 1, -1, -1], dtype=CLASSES[name])
    same(t % tensor(name, [2, 2, -2, -2]), expected)
    same(t % 2, np.abs(expected))


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("divisor", ["number", "tensor"])
@pytest.mark.parametrize("op", [operator.truediv, operator.mod], **named)
def test_integer_division_by_zero(name, op, divisor):  # E-79
    t = tensor(name, [1, 2])
    zero = 0 if divisor == "number" else tensor(name, [1, 0])
    with pytest.raises((RuntimeError, ZeroDivisionError), match="zero"):
        op(t, zero)
    same(t, np.array([1, 2], dtype=CLASSES[name]))


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("op", [*ARITHMETIC, operator.truediv], **named)
def test_float_numbers_do_not_meet_integers(name, op):  # T-6, E-80
    with pytest.raises(TypeError, match=name):
        op(tensor(name, [1, 2]), 1.5)


@pytest.mark.parametrize("number", [np.complex64(1), "1", None, [1]])
def test_foreign_operands(number):  # T-6, E-60
    with pytest.raises(TypeError):
        torch.ones(2).add(number)


def test_numpy_double_and_bool_pass():  # T-6, O-8
    same(torch.ones(2).add(np.float64(0.5)), [1.5, 1.5])
    same(torch.ones(2) + True, [2, 2])


@pytest.mark.parametrize("op", [*ARITHMETIC, operator.truediv], **named)
@pytest.mark.parametrize(
    "left, right", [("FloatTensor", "DoubleTensor"), ("IntTensor", "LongTensor")]
)
def test_no_promotion(op, left, right):  # T-5, E-14
    with pytest.raises(TypeError) as e:
        op(tensor(left, [1, 2]), tensor(right, [1, 2]))
    assert left in str(e.value) and right in str(e.value)


def test_scaled_forms():  # T-83, O-9
    a, b = torch.ones(3), torch.FloatTensor([1, 2, 3])
    same(a.add(2, b), [3, 5, 7])
    same(torch.add(a, 2, b), [3, 5, 7])
    same(a.sub(2, b), [-1, -3, -5])
    same(a.clone().add_(-0.5, b), [0.5, 0, -0.5])
    same(torch.add(a, 2), [3, 3, 3])
    same(a.add(value=2), [3, 3, 3])


@pytest.mark.parametrize("name", SIGNED)
def test_neg_and_abs(name):
    a = np.array([1, -2, 0], dtype=CLASSES[name])
    t = tensor(name, a)
    for got in (-t, t.neg(), torch.neg(t)):
        same(got, -a)
    for got in (t.abs(), torch.abs(t)):
        same(got, np.abs(a))


UNARY = [
    ("exp", np.exp, numbers(3, 4)),
    ("log", np.log, numbers(3, 4, low=0.1, high=5)),
    ("sqrt", np.sqrt, numbers(3, 4, low=0.1, high=5)),
    ("tanh", np.tanh, numbers(3, 4)),
    ("sigmoid", lambda a: 1 / (1 + np.exp(-a)), numbers(3, 4)),
    ("neg", np.negative, numbers(3, 4)),
    ("abs", np.abs, numbers(3, 4)),
]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("op, numpy, values", UNARY, ids=[u[0] for u in UNARY])
def test_unary(name, op, numpy, values):
    t = tensor(name, values)
    wanted = numpy(array(t).astype(np.float64))
    # A few units in the last place of each element type.
    rtol = 1e-6 if name == "FloatTensor" else 1e-14
    close(getattr(t, op)(), wanted, rtol=rtol, atol=rtol)
    close(getattr(torch, op)(t), wanted, rtol=rtol, atol=rtol)
    out = getattr(torch, name)()
    assert getattr(torch, op)(t, out=out) is out  # T-81
    close(out, wanted, rtol=rtol, atol=rtol)
    strided = tensor(name, values.T).t()
    close(getattr(strided, op)(), wanted, rtol=rtol, atol=rtol)
    assert getattr(t, op + "_")() is t  # O-6
    close(t, wanted, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("op", ["exp", "log", "sqrt", "tanh", "sigmoid", "mean"])
@pytest.mark.parametrize("name", INTEGERS)
def test_float_operations_are_missing_on_integers(op, name):  # T-82, E-81
    t = tensor(name, [1, 2])
    with pytest.raises(AttributeError, match=op):
        getattr(t, op)
    with pytest.raises(TypeError, match=name):
        getattr(torch, op)(t)


def test_special_values():
    inf, nan = float("inf"), float("nan")
    t = torch.FloatTensor([0, -0.0, inf, -inf, nan, -1])
    a = array(t)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(array(t.exp())[:5], np.exp(a)[:5])
        np.testing.assert_array_equal(array(t.log()), np.log(a))
        np.testing.assert_array_equal(array(t.sqrt()), np.sqrt(a))
        np.testing.assert_array_equal(array(t.tanh())[:5], np.tanh(a)[:5])
        np.testing.assert_array_equal(array(t + 1), a + 1)
        np.testing.assert_array_equal(array(t / 0), a / np.float32(0))
    np.testing.assert_array_equal(array(t.sigmoid())[:5], np.float32([0.5, 0.5, 1, 0, nan]))
    np.testing.assert_array_equal(array(t == t), [1, 1, 1, 1, 0, 1])  # O-15
    np.testing.assert_array_equal(array(t != t), [0, 0, 0, 0, 1, 0])


@every_class
def test_clamp(name):
    a = np.array([1, 2, 3, 4, 5], dtype=CLASSES[name])
    t = tensor(name, a)
    same(t.clamp(2, 4), a.clip(2, 4))
    same(torch.clamp(t, 2, 4), a.clip(2, 4))
    same(t.clamp(min=3), a.clip(3, None))
    same(t.clamp(max=3), a.clip(None, 3))
    assert t.clamp_(2, 3) is t
    same(t, a.clip(2, 3))


COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@every_class
@pytest.mark.parametrize("op", COMPARISONS, **named)
def test_comparisons_give_bytes(name, op):  # T-79
    a = np.array([[1, 2], [3, 4]], dtype=CLASSES[name])
    b = np.array([[1, 3], [2, 4]], dtype=CLASSES[name])
    t, u = tensor(name, a), tensor(name, b)
    method = getattr(t, op.__name__)
    for got, wanted in (
        (op(t, u), op(a, b)),
        (op(t, 2), op(a, 2)),
        (method(u), op(a, b)),
        (getattr(torch, op.__name__)(t, 2), op(a, 2)),
    ):
        assert type(got) is torch.ByteTensor
        same(got, wanted.astype(np.uint8))


def test_in_place_comparison_keeps_the_class():  # O-6
    t = torch.FloatTensor([1, 2, 3])
    assert t.gt_(torch.FloatTensor([2, 2, 2])) is t
    same(t, [0, 0, 1])


@pytest.mark.parametrize("other", [None, "x", [1, 2], object()])
def test_comparison_with_foreign_objects(other):  # E-15
    with pytest.raises(TypeError):
        _ = torch.ones(2) == other


shapes = st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=4)


@given(shapes, shapes)
def test_broadcasting_against_numpy(left, right):  # T-50, T-52
    a, b = numbers(*left), numbers(*right, seed=1)
    t, u = tensor("DoubleTensor", a), tensor("DoubleTensor", b)
    try:
        wanted = a + b
    except ValueError:
        if a.size != b.size:  # E-62
            with pytest.raises(RuntimeError):
                t + u
        else:
            same(t + u, a + b.reshape(a.shape))
    else:
        same(t + u, wanted)
        same(t * u, a * b)


@every_class
def test_fallback_by_count(name):  # T-52
    t = tensor(name, np.arange(6).reshape(2, 3))
    a, b = np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2)
    same(t + tensor(name, np.arange(6)), a + a)
    u = tensor(name, b)
    same(t.t() * u.t(), a.T * b.T.reshape(3, 2))


def test_broadcast_errors_tell_both_sizes():  # E-62
    with pytest.raises(RuntimeError) as e:
        torch.ones(2, 3) + torch.ones(4)
    assert "3" in str(e.value) and "4" in str(e.value)


IN_PLACE = [
    ("add_", lambda t, o: t.add_(o), np.add),
    ("sub_", lambda t, o: t.sub_(o), np.subtract),
    ("mul_", lambda t, o: t.mul_(o), np.multiply),
    ("div_", lambda t, o: t.div_(o), np.divide),
    ("+=", operator.iadd, np.add),
    ("-=", operator.isub, np.subtract),
    ("*=", operator.imul, np.multiply),
    ("/=", operator.itruediv, np.divide),
]


@pytest.mark.parametrize("_, op, numpy", IN_PLACE, ids=[i[0] for i in IN_PLACE])
@pytest.mark.parametrize("other", ["number", "same", "row", "itself"])
def test_in_place(_, op, numpy, other):  # O-6, T-51
    a = numbers(2, 3)
    t = tensor("DoubleTensor", a)
    b = {"number": 2.0, "same": numbers(2, 3, seed=1), "row": numbers(3), "itself": a}[other]
    u = b if other == "number" else t if other == "itself" else tensor("DoubleTensor", b)
    where = t.data_ptr()
    assert op(t, u) is t
    assert t.data_ptr() == where
    close(t, numpy(a, b), rtol=1e-15)


def test_in_place_does_not_grow_self():  # E-63, T-51
    t = torch.ones(3)
    with pytest.raises(RuntimeError):
        t.add_(torch.ones(2, 3))
    same(t, [1, 1, 1])


def test_in_place_through_a_strided_view():
    t = torch.zeros(3, 4)
    t[:, ::2].add_(torch.FloatTensor([1, 2]))
    t.t()[3].mul_(5).add_(7)
    same(t, [[1, 0, 2, 7]] * 3)


def test_in_place_on_overlapping_operand():
    t = torch.arange(0, 6)
    t[1:].add_(t[:-1].clone())
    same(t, [0, 1, 3, 5, 7, 9])


@every_class
def test_fill_zero_copy(name):
    t = tensor(name, [[1, 2], [3, 4]])
    assert t.fill_(5) is t
    same(t, np.full((2, 2), 5, dtype=CLASSES[name]))
    assert t.zero_() is t
    same(t, np.zeros((2, 2), dtype=CLASSES[name]))
    assert t.copy_(tensor("DoubleTensor", [[1, 2], [3, 4]])) is t  # T-76
    same(t, np.array([[1, 2], [3, 4]], dtype=CLASSES[name]))
    t.copy_(tensor(name, [7, 8]))
    same(t, np.array([[7, 8], [7, 8]], dtype=CLASSES[name]))


def test_copy_falls_back_on_the_count():  # T-76
    t = torch.zeros(2, 3)
    same(t.copy_(torch.arange(0, 6)), np.arange(6).reshape(2, 3))
    with pytest.raises(RuntimeError):
        t.copy_(torch.zeros(4))
    same(t, np.arange(6).reshape(2, 3))


CASTS = {
    "byte": "ByteTensor",
    "char": "CharTensor",
    "short": "ShortTensor",
    "int": "IntTensor",
    "long": "LongTensor",
    "float": "FloatTensor",
    "double": "DoubleTensor",
}


@every_class
@pytest.mark.parametrize("cast", CASTS)
def test_casts(name, cast):  # T-75
    t = tensor(name, [[1, 2], [3, 100]])
    cls = getattr(torch, CASTS[cast])
    for u in (getattr(t, cast)(), t.type(f"torch.{CASTS[cast]}"), t.type(cls), t.type_as(cls(1))):
        assert type(u) is cls
        same(u, np.array([[1, 2], [3, 100]], dtype=CLASSES[CASTS[cast]]))
    assert (getattr(t, cast)() is t) == (name == CASTS[cast])


@pytest.mark.parametrize("cast", ["char", "short", "int", "long"])
def test_casts_truncate_towards_zero(cast):  # T-75
    values = getattr(torch.FloatTensor([1.9, -1.9, 0.5, -0.5]), cast)().tolist()
    assert values == [1, -1, 0, 0]


def test_casts_of_long_to_byte_wrap():
    same(torch.LongTensor([256, 257, -1]).byte(), np.uint8([0, 1, 255]))


def test_cpu_returns_self():
    t = torch.ones(2)
    assert t.cpu() is t


@pytest.mark.parametrize("make", [lambda: torch.zeros(2), lambda: torch.zeros(1)])
def test_numbers_from_tensors(make):  # T-77, E-11
    t = make()
    if t.numel() == 1:
        assert float(t) == 0.0 and int(t) == 0
    else:
        for convert in (float, int):
            with pytest.raises(TypeError, match="one"):
                convert(t)
        with pytest.raises(RuntimeError, match="ambiguous"):
            bool(t)
    assert bool(torch.FloatTensor()) is False
    with pytest.raises((TypeError, ValueError)):
        float(torch.FloatTensor())


def test_elementwise_of_empty_is_empty():  # O-16
    t = torch.FloatTensor()
    for u in (t + 1, t.exp(), t * t, -t):
        assert u.dim() == 0 and u.numel() == 0
