"""Sorting, selecting, counting and scans against NumPy (ops.tsv, O-4, O-5, O-15, O-18)."""

import numpy as np
import pytest

import rgrad as torch
from line_cases import SMALL, TIED, both, every_class, every_dim, every_float, taken
from rgrad.autograd import Variable
from support import (
    CLASSES,
    INTEGERS,
    array,
    check_first,
    check_second,
    close,
    double,
    leaf,
    numbers,
    same,
    tensor,
)

# Sorting and selecting.


@every_class
@pytest.mark.parametrize("dim", [0, 1, -1, None])
@pytest.mark.parametrize("descending", [False, True])
def test_sort_keeps_ties_in_order(name, dim, descending):
    a = TIED.astype(CLASSES[name])
    places = (-1 if dim is None else dim,)
    order = np.argsort(-TIED if descending else TIED, axis=places[0], kind="stable")
    given = () if dim is None else (dim,)
    for x in both(name, a):
        values, index = x.sort(*given, descending=descending)
        same(index, order)
        same(values, np.take_along_axis(a, order, places[0]))
        values, index = torch.sort(x, *given, descending=descending)
        same(index, order)
    assert type(index) is Variable and index.data.type() == "torch.LongTensor"


@pytest.mark.parametrize("count", [1, 2, 1000, 4096, 70_000, 300_000])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32, np.int64, np.uint8])
def test_long_sorts(count, kind):
    rng = np.random.RandomState(count)
    a = (rng.standard_normal(count) * 1000).astype(kind)
    if kind in (np.float32, np.float64):
        a[:: max(count // 7, 1)] = -0.0
        a[1 :: max(count // 5, 2)] = np.inf
    t = torch.from_numpy(a)
    for descending in (False, True):
        values, index = t.sort(0, descending)
        sign = -1 if descending else 1
        order = np.argsort(sign * a.astype(np.float64), kind="stable")
        same(index, order)
        np.testing.assert_array_equal(array(values).view(np.uint8), a[order].view(np.uint8))


@every_float
def test_nan_is_the_largest(name):  # O-15
    t = tensor(name, [1, np.nan, -np.inf, np.inf, -np.nan])
    values, index = t.sort()
    np.testing.assert_array_equal(array(values), [-np.inf, 1, np.inf, np.nan, np.nan])
    same(index, [2, 0, 3, 1, 4])
    same(t.sort(descending=True)[1], [1, 4, 3, 0, 2])
    same(t.topk(3)[1], [1, 4, 3])
    same(t.kthvalue(3)[0], [np.inf])


@every_class
@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("largest", [True, False])
def test_topk(name, dim, largest):
    a = TIED.astype(CLASSES[name])
    for k in (1, 3):
        wanted = np.sort(a, dim)
        wanted = np.flip(wanted, dim) if largest else wanted
        wanted = np.take(wanted, range(k), dim)
        for x in both(name, a):
            values, index = x.topk(k, dim, largest)
            same(values, wanted)
            same(values, taken(a, index, dim))
            loose, index = torch.topk(x, k, dim=dim, largest=largest, sorted=False)
            same(loose, taken(a, index, dim))
            np.testing.assert_array_equal(np.sort(array(loose), dim), np.sort(wanted, dim))


def test_topk_of_the_last_dimension():
    values, index = torch.FloatTensor([[1, 3, 2], [6, 4, 5]]).topk(2)
    same(values, [[3, 2], [6, 5]])
    same(index, [[1, 2], [0, 2]])
    same(torch.FloatTensor([1, 3, 2]).topk(k=1, largest=False)[0], [1])


@every_class
@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("keep", [True, False])
def test_kthvalue_and_median(name, dim, keep):
    a = TIED[:, :4].astype(CLASSES[name])
    size = a.shape[dim]
    ordered = np.sort(a, dim)
    for x in both(name, a):
        for k in range(1, size + 1):
            wanted = np.take(ordered, [k - 1], dim)
            wanted = wanted if keep else wanted.squeeze(dim)
            values, index = x.kthvalue(k, dim, keep)
            same(values, wanted)
            places = index if keep else index.unsqueeze(dim)
            found = taken(a, places, dim)
            same(values, found if keep else found.squeeze(dim))
        lower = np.take(ordered, [(size - 1) // 2], dim)
        values, index = x.median(dim, keep)
        same(values, lower if keep else lower.squeeze(dim))
        same(torch.median(x, dim, keepdim=keep)[1], array(index))


@every_class
def test_median_of_all(name):  # the lower one of an even count
    t, v = both(name, TIED[:, :4])
    wanted = np.sort(TIED[:, :4].ravel())[5]
    assert t.median() == torch.median(t) == wanted
    same(v.median(), np.array([wanted], dtype=CLASSES[name]))


def test_a_flag_where_the_dimension_stands_is_keepdim():
    t = torch.FloatTensor([[3, 1, 2], [4, 6, 5]])
    for x in (t, Variable(t)):
        same(x.median(True)[0], [[2], [5]])
        same(x.mode(True)[0], [[1], [4]])
        same(x.kthvalue(2, True)[0], [[2], [5]])
        same(x.kthvalue(2, 1)[0], [2, 5])
        same(x.kthvalue(2)[0], [2, 5])


@every_class
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_mode(name, dim):  # the smallest of several, and its last place
    a = TIED.astype(CLASSES[name])
    lines = np.moveaxis(a, dim, -1)
    wanted, places = [], []
    for line in lines:
        values, counts = np.unique(line, return_counts=True)
        wanted.append(values[counts.argmax()])
        places.append(np.flatnonzero(line == wanted[-1])[-1])
    for x in both(name, a):
        values, index = x.mode(dim)
        same(values, np.array(wanted, dtype=CLASSES[name]))
        same(index, np.array(places))
        same(torch.mode(x, dim, True)[0], np.expand_dims(np.array(wanted), dim))
    same(tensor(name, a).mode()[0], [1, 0, 7])


@pytest.mark.parametrize("count", [5, 5000, 100_000])
def test_long_selections(count):
    a = np.random.RandomState(0).standard_normal(count).astype(np.float32)
    t = torch.from_numpy(a)
    ordered = np.sort(a)
    assert t.median() == ordered[(count - 1) // 2]
    for k in (1, count // 3 + 1, count):
        values, index = t.kthvalue(k)
        assert values[0] == ordered[k - 1] == a[index[0]]
        values, index = t.topk(k)
        same(values, ordered[::-1][:k])
        same(index, np.argsort(-a, kind="stable")[:k])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.sort()[0],
        lambda x: x.sort(0, True)[0],
        lambda x: x.topk(2)[0],
        lambda x: x.topk(2, 0, False)[0],
        lambda x: x.kthvalue(2)[0],
        lambda x: x.kthvalue(2, 0, True)[0],
        lambda x: x.median(),
        lambda x: x.median(0)[0],
        lambda x: x.median(True)[0],
        lambda x: x.mode()[0],
        lambda x: x.mode(0, True)[0],
        lambda x: x.cumsum(0),
        lambda x: x.cumsum(-1),
        lambda x: x.cumprod(0),
        lambda x: x.cumprod(1),
        lambda x: x.logsumexp(1),
    ],
)
def test_gradients(f):
    check_first(f, numbers(3, 4))
    check_second(f, numbers(3, 4))


def test_every_element_equal_to_the_median_gets_the_gradient():
    x = leaf([3.0, 1.0, 2.0, 2.0, 9.0])
    x.median().backward()
    same(x.grad, [0, 0, 1, 1, 0])


def test_selecting_several_results_into_given_tensors():  # T-81
    t = torch.FloatTensor([[3, 1, 2], [4, 6, 5]])
    for op, arguments in [
        ("sort", (1,)),
        ("topk", (2,)),
        ("kthvalue", (2,)),
        ("median", (1,)),
        ("mode", (0,)),
        ("max", (1,)),
    ]:
        wanted = getattr(t, op)(*arguments)
        out = (torch.FloatTensor(), torch.LongTensor())
        assert getattr(torch, op)(t, *arguments, out=out) is out
        for got, want in zip(out, wanted, strict=True):
            same(got, array(want))
        with pytest.raises(TypeError):
            getattr(torch, op)(t, *arguments, out=(torch.FloatTensor(), torch.FloatTensor()))


@pytest.mark.parametrize("op", ["prod", "std", "var", "cumsum", "cumprod", "logsumexp"])
def test_one_result_into_a_given_tensor(op):  # T-81
    t, out = double(SMALL), torch.DoubleTensor(7)
    assert getattr(torch, op)(t, 1, out=out) is out
    same(out, array(getattr(t, op)(1)))


@pytest.mark.parametrize("k", [0, -1, 4])
@pytest.mark.parametrize("op", ["topk", "kthvalue"])
def test_ranks_out_of_range(op, k):
    for x in (torch.ones(2, 3), Variable(torch.ones(2, 3))):
        with pytest.raises(RuntimeError, match=f"1 to 3.*got {k}"):
            getattr(x, op)(k)


@pytest.mark.parametrize(
    "op, given",
    [
        ("sort", (2,)),
        ("topk", (1, 2)),
        ("kthvalue", (1, -3)),
        ("median", (2,)),
        ("mode", (2,)),
        ("prod", (2,)),
        ("var", (-3,)),
        ("norm", (2, 2)),
        ("cumsum", (2,)),
        ("cumprod", (2,)),
        ("argmax", (2,)),
    ],
)
def test_dimensions_out_of_range(op, given):  # O-5, E-61
    for x in (torch.ones(2, 3), Variable(torch.ones(2, 3))):
        with pytest.raises(RuntimeError, match=r"\[-2, 1\].*" + str(given[-1])):
            getattr(x, op)(*given)


@pytest.mark.parametrize("op", ["median", "std", "var"])
def test_nothing_has_none(op):  # O-16, E-77
    for x in (torch.FloatTensor(), Variable(torch.FloatTensor())):
        with pytest.raises(RuntimeError, match="empty"):
            getattr(x, op)()


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize(
    "op, given",
    [("mean", ()), ("std", ()), ("var", (0,)), ("norm", ()), ("renorm", (2, 0, 1)), ("histc", ())],
)
def test_integers_lack_what_needs_fractions(name, op, given):  # T-82, E-81, E-99
    t = tensor(name, [[1, 2], [3, 4]])
    with pytest.raises(AttributeError):
        getattr(t, op)
    with pytest.raises(TypeError, match="implement"):
        getattr(torch, op)(t, *given)
    with pytest.raises(RuntimeError, match="not implemented for type"):
        getattr(Variable(t), op)(*given)


# Scans.


@every_class
@every_dim
def test_scans(name, dim):
    a = (np.arange(24) * 7 % 5 - (name not in ["ByteTensor"])).reshape(2, 3, 4)
    a = a.astype(CLASSES[name])
    for x in both(name, a):
        same(x.cumsum(dim), a.cumsum(dim, dtype=CLASSES[name]))
        same(x.cumprod(dim), a.cumprod(dim, dtype=CLASSES[name]))
        same(torch.cumsum(x, dim=dim), a.cumsum(dim, dtype=CLASSES[name]))


def test_running_sums_are_in_double():
    same(torch.FloatTensor([1e8, 1, -1e8]).cumsum(0), np.float32([1e8, 1e8, 1]))


@pytest.mark.parametrize("zeros", [(), (0,), (1, 3), (0, 1, 2, 3, 4, 5)])
def test_running_product_gradients_with_zeros(zeros):
    a = numbers(3, 2)
    a.reshape(-1)[list(zeros)] = 0.0
    for dim in (0, 1):
        check_first(lambda x: x.cumprod(dim), a)  # noqa: B023
        check_second(lambda x: x.cumprod(dim), a)  # noqa: B023


# Histograms and what 0.3 had not.


@every_float
def test_histc(name):
    a = np.random.RandomState(0).uniform(-1, 3, 500)
    t, v = both(name, a)
    a = array(t)
    for x in (t, v):
        close(x.histc(), np.histogram(a, 100)[0])
        close(x.histc(7), np.histogram(a, 7)[0])
        close(x.histc(5, -0.5, 2), np.histogram(a, 5, (-0.5, 2))[0])
        close(torch.histc(x, bins=4, min=0, max=1), np.histogram(a, 4, (0, 1))[0])


def test_histc_edges():
    same(torch.FloatTensor([0, 1, 2, 2, 5, -1]).histc(2, 0, 2), [1, 3])
    same(torch.FloatTensor([3, 3]).histc(4), [0, 0, 2, 0])
    same(torch.FloatTensor([np.nan, 1]).histc(1, 0, 2), [1])
    with pytest.raises(RuntimeError, match="bins"):
        torch.ones(2).histc(0)
    with pytest.raises(RuntimeError, match="not implemented"):
        leaf([1.0, 2.0]).histc().sum().backward()


@every_class
def test_additions(name):  # O-19
    a = TIED.astype(CLASSES[name])
    t = tensor(name, a)
    for dim in (0, 1, -1):
        same(t.argmax(dim), a.argmax(dim))
        same(torch.argmin(t, dim), a.argmin(dim))
    same(t.unique(), np.unique(a))
    assert torch.unique(t).type() == f"torch.{name}"


def test_logsumexp():
    a = np.array([[1000.0, 1001.0], [-np.inf, 0.0], [-np.inf, -np.inf], [np.inf, 1.0]])
    with np.errstate(invalid="ignore"):
        wanted = np.logaddexp(a[:, 0], a[:, 1])
    x = leaf(a)
    close(x.logsumexp(1), wanted)
    x.logsumexp(1).narrow(0, 0, 3).sum().backward()
    close(x.grad.narrow(0, 0, 3), [[0.26894142, 0.73105858], [0, 1], [0, 0]])
