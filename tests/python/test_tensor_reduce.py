"""Reductions, extrema, gather and scatter, softmax and losses (tensors.md 1.1, O-4, O-15)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgrad as torch
import rgrad.nn.functional as F
from rgrad.autograd import Variable
from support import CLASSES, FLOATS, INTEGERS, array, close, double, leaf, numbers, same, tensor

every_class = pytest.mark.parametrize("name", CLASSES)


@every_class
@pytest.mark.parametrize("op", ["sum", "max", "min"])
def test_whole_reductions_give_python_numbers(name, op):  # section 1.1, T-7
    a = np.array([[1, 5, 3], [100, 120, 2]], dtype=CLASSES[name])
    for got in (getattr(tensor(name, a), op)(), getattr(torch, op)(tensor(name, a))):
        assert type(got) is (int if name in INTEGERS else float)
        assert got == getattr(a.astype(np.float64), op)()


def test_mean_is_a_float():  # T-8
    assert torch.FloatTensor([1, 2, 4]).mean() == pytest.approx(7 / 3, rel=1e-12)
    assert torch.mean(torch.DoubleTensor([1, 2])) == 1.5


def test_float_sums_accumulate_in_double():  # T-8
    t = torch.FloatTensor([1e8, 1.0, -1e8, 1.0])
    assert t.sum() == 2.0
    assert torch.FloatTensor(1 << 20).fill_(0.1).sum() == pytest.approx(0.1 * (1 << 20), rel=1e-7)


@every_class
@pytest.mark.parametrize("op", ["sum", "max", "min"])
def test_whole_reductions_of_variables_have_size_one(name, op):  # section 1.1
    v = Variable(tensor(name, [[1, 5], [3, 2]]))
    got = getattr(v, op)()
    assert isinstance(got, Variable) and got.data.type() == f"torch.{name}"
    same(got, np.array([{"sum": 11, "max": 5, "min": 1}[op]], dtype=CLASSES[name]))


def test_counting_bytes():  # section 1.1
    t = torch.zeros(300)
    assert (t == t).sum() == 300
    same((Variable(t) == Variable(t)).sum(), np.uint8([300 % 256]))


@every_class
@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("keep", [False, True])
def test_sum_over_a_dimension(name, dim, keep):  # T-7: keeps the class and wraps
    a = (np.arange(24) * 7 % 60).reshape(2, 3, 4).astype(CLASSES[name])
    wanted = a.sum(dim, keepdims=keep, dtype=CLASSES[name])
    for t in (tensor(name, a), Variable(tensor(name, a))):
        same(t.sum(dim, keep), wanted)
        same(t.sum(dim, keepdim=keep), wanted)
        same(torch.sum(t, dim, keep), wanted)


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_mean_over_a_dimension(name, dim):
    a = numbers(3, 4)
    close(tensor(name, a).mean(dim), a.mean(dim))
    close(Variable(tensor(name, a)).mean(dim, True), a.mean(dim, keepdims=True))


def test_one_dimension_reduces_to_size_one():  # section 1.1
    t = torch.FloatTensor([1, 2, 3])
    for x in (t, Variable(t)):
        same(x.sum(0), [6])
        same(x.mean(0), [2])
        same(x.sum(0, True), [6])
        values, index = x.max(0)
        same(values, [3])
        same(index, [2])


@every_class
@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_extrema_over_a_dimension(name, op, dim):  # first occurrence wins
    a = np.array([[3, 1, 3], [1, 1, 2], [3, 5, 2]], dtype=CLASSES[name])
    values, index = getattr(tensor(name, a), op)(dim)
    assert values.type() == f"torch.{name}"
    assert type(index) is torch.LongTensor
    same(values, getattr(a, op)(dim))
    same(index, getattr(np, "arg" + op)(a, dim))
    kept, _ = getattr(torch, op)(tensor(name, a), dim, keepdim=True)
    same(kept, getattr(a, op)(dim, keepdims=True))


@pytest.mark.parametrize("op", ["max", "min"])
def test_extrema_of_two(op):
    a, b = numbers(2, 3), numbers(3, seed=1)
    wanted = getattr(np, op + "imum")(a, b)
    same(getattr(double(a), op)(double(b)), wanted)
    same(getattr(torch, op)(double(a), double(b)), wanted)


@pytest.mark.parametrize("op", ["max", "min"])
def test_nan_propagates(op):  # O-15
    t = torch.FloatTensor([[1, float("nan"), 3], [4, 5, 6]])
    values, index = getattr(t, op)(1)
    assert np.isnan(values[0]) and index[0] == 1
    assert np.isnan(getattr(t, op)())


def test_extrema_out():  # T-81
    values, index = torch.FloatTensor(), torch.LongTensor()
    torch.max(torch.FloatTensor([[1, 2], [4, 3]]), 1, out=(values, index))
    same(values, [2, 4])
    same(index, [1, 0])


@pytest.mark.parametrize("op", ["max", "min", "mean"])
def test_nothing_has_no_extremum(op):  # E-77, O-16
    with pytest.raises(RuntimeError, match="empty"):
        getattr(torch.FloatTensor(), op)()
    assert torch.FloatTensor().sum() == 0


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 3), st.booleans())
def test_sums_of_any_layout(shape, dim, flip):
    a = np.arange(int(np.prod(shape))).reshape(shape)
    t = torch.LongTensor(a.tolist())
    if flip:
        t, a = t.transpose(0, -1), a.swapaxes(0, -1)
    dim %= len(shape)
    wanted = a.sum(dim)
    same(t.sum(dim), wanted.reshape(1) if wanted.ndim == 0 else wanted)
    values, index = t.max(dim)
    assert array(index).ravel().tolist() == a.argmax(dim).ravel().tolist()
    assert array(values).ravel().tolist() == a.max(dim).ravel().tolist()


def test_equal():
    t = torch.ones(2, 3)
    assert t.equal(torch.ones(2, 3)) is True
    assert t.equal(torch.ones(3, 2)) is False
    assert torch.equal(t, torch.zeros(2, 3)) is False


# gather, scatter_add, index_select, masks


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_gather_and_scatter_add(dim):
    a = numbers(3, 4)
    index = np.random.RandomState(3).randint(0, 3, (3, 4))
    t = torch.LongTensor(index.tolist())
    same(double(a).gather(dim, t), np.take_along_axis(a, index, dim))
    same(torch.gather(double(a), dim, t), np.take_along_axis(a, index, dim))
    wanted = np.zeros((3, 4))
    for i in np.ndindex(3, 4):
        at = list(i)
        at[dim] = index[i]
        wanted[tuple(at)] += a[i]
    target = double(np.zeros((3, 4)))
    assert target.scatter_add_(dim, t, double(a)) is target
    close(target, wanted, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("bad", [-1, 3])
def test_gather_checks_before_it_reads(bad):  # E-73, E-75
    index = torch.LongTensor([[0, bad]])
    with pytest.raises(RuntimeError, match=str(bad)):
        torch.zeros(3, 2).gather(0, index)
    target = torch.zeros(3, 2)
    with pytest.raises(RuntimeError, match=str(bad)):
        target.scatter_add_(0, index, torch.ones(1, 2))
    same(target, np.zeros((3, 2)))


def test_gather_needs_as_many_dimensions():  # E-75
    with pytest.raises(RuntimeError):
        torch.zeros(3, 2).gather(0, torch.LongTensor([0]))
    with pytest.raises(TypeError):
        torch.zeros(3, 2).gather(0, torch.FloatTensor([[0, 0]]))


def test_index_select():
    same(torch.arange(0, 6).view(2, 3).index_select(1, torch.LongTensor([2, 0])), [[2, 0], [5, 3]])


def test_masks():
    t = torch.arange(0, 4).view(2, 2)
    mask = torch.ByteTensor([[1, 0], [0, 1]])
    same(t.masked_select(mask), [0, 3])
    t.masked_fill_(mask, -1)
    same(t, [[-1, 1], [2, -1]])
    with pytest.raises(TypeError):
        t.masked_select(torch.FloatTensor([[1, 0], [0, 1]]))  # E-72


# rgrad.nn.functional


def softmax(a, dim):
    e = np.exp(a - a.max(dim, keepdims=True))
    return e / e.sum(dim, keepdims=True)


@pytest.mark.parametrize("cls", FLOATS)
@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_softmax(cls, dim):
    a = numbers(2, 3, 4, low=-4, high=4)
    v = Variable(tensor(cls, a))
    close(F.softmax(v, dim=dim), softmax(a, dim))
    close(F.log_softmax(v, dim=dim), np.log(softmax(a, dim)), atol=1e-5)


def test_softmax_of_large_numbers():
    v = Variable(torch.FloatTensor([[1000, 1001], [-1000, -1001]]))
    close(F.softmax(v, dim=1), softmax(array(v).astype(np.float64), 1))
    close(F.log_softmax(v, dim=1), [[-1.3132617, -0.3132617], [-0.3132617, -1.3132617]])


@pytest.mark.parametrize("shape, dim", [((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((1, 2, 3, 2), 1)])
def test_softmax_without_dim_warns(shape, dim):  # N: dim None
    a = numbers(*shape)
    with pytest.warns(UserWarning):
        y = F.softmax(Variable(double(a)))
    close(y, softmax(a, dim))


TARGET = [2, 0, 1, 2]


@pytest.mark.parametrize(
    "options",
    [{}, {"size_average": False}, {"weight": [1.0, 2.0, 0.5]}, {"ignore_index": 2}],
    ids=str,
)
def test_nll_loss(options):
    a = np.log(softmax(numbers(4, 3), 1))
    w = np.array(options.get("weight", [1.0, 1.0, 1.0]))
    used = np.array([w[t] if t != options.get("ignore_index") else 0.0 for t in TARGET])
    wanted = -(used * a[range(4), TARGET]).sum()
    if options.get("size_average", True):
        wanted /= used.sum()
    options = {k: double(v) if k == "weight" else v for k, v in options.items()}
    got = F.nll_loss(Variable(double(a)), Variable(torch.LongTensor(TARGET)), **options)
    close(got, [wanted])


def test_nll_loss_unreduced():
    a = numbers(4, 3)
    got = F.nll_loss(Variable(double(a)), Variable(torch.LongTensor(TARGET)), reduce=False)
    close(got, -a[range(4), TARGET])


def test_cross_entropy():
    a = numbers(4, 3)
    got = F.cross_entropy(leaf(a), Variable(torch.LongTensor(TARGET)))
    close(got, [-np.log(softmax(a, 1))[range(4), TARGET].mean()])


def test_nll_loss_of_a_missing_class():  # E-121
    for bad in (3, -1):
        with pytest.raises(RuntimeError) as e:
            F.nll_loss(Variable(torch.zeros(2, 3)), Variable(torch.LongTensor([0, bad])))
        assert str(bad) in str(e.value) and "3" in str(e.value)


def test_nll_loss_needs_two_or_four_dimensions():  # E-120
    with pytest.raises(ValueError):
        F.nll_loss(Variable(torch.zeros(3)), Variable(torch.LongTensor([0])))


def test_pointwise_functions():
    a = numbers(3, 4)
    close(F.relu(Variable(double(a))), np.maximum(a, 0))
    close(F.threshold(Variable(double(a)), 0.5, -7), np.where(a > 0.5, a, -7))
    close(F.sigmoid(Variable(double(a))), 1 / (1 + np.exp(-a)))
    close(F.tanh(Variable(double(a))), np.tanh(a))


def test_relu_in_place():
    v = Variable(torch.FloatTensor([-1, 2]))
    assert F.relu(v, inplace=True) is v
    same(v, [0, 2])


def test_linear():
    x, w, b = numbers(4, 3), numbers(2, 3, seed=1), numbers(2, seed=2)
    close(F.linear(leaf(x), leaf(w), leaf(b)), x @ w.T + b)
    close(F.linear(leaf(x), leaf(w)), x @ w.T)


def test_mse_loss():
    a, b = numbers(4, 3), numbers(4, 3, seed=1)
    close(F.mse_loss(leaf(a), Variable(double(b))), [((a - b) ** 2).mean()])
    close(F.mse_loss(leaf(a), Variable(double(b)), size_average=False), [((a - b) ** 2).sum()])
