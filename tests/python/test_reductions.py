"""Products, variance, norms, order statistics, scans against NumPy (ops.tsv, O-4, O-15, O-16)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgrad as torch
from line_cases import SMALL, both, every_class, every_dim, every_float
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
    name_of,
    numbers,
    same,
)

# Products.


@every_class
def test_product_of_all(name):  # T-7, T-8, section 1.1
    a = np.array([[1, 5, 3], [2, 4, 1]], dtype=CLASSES[name])
    t, v = both(name, a)
    assert t.prod() == torch.prod(t) == 120
    assert type(t.prod()) is (int if name in INTEGERS else float)
    same(v.prod(), np.array([120], dtype=CLASSES[name]))


def test_product_of_bytes_is_exact_on_tensors_and_wraps_on_variables():  # T-7
    t = torch.ByteTensor([20, 20, 3])
    assert t.prod() == 1200
    same(Variable(t).prod(), np.uint8([1200 % 256]))
    same(t.view(3, 1).prod(0), np.uint8([1200 % 256]))


@every_class
@every_dim
@pytest.mark.parametrize("keep", [False, True])
def test_product_over_a_dimension(name, dim, keep):
    a = (np.arange(24) % 5 + 1).reshape(2, 3, 4).astype(CLASSES[name])
    wanted = a.prod(dim, keepdims=keep, dtype=CLASSES[name])
    for x in both(name, a):
        same(x.prod(dim, keep), wanted)
        same(torch.prod(x, dim=dim, keepdim=keep), wanted)


def test_product_of_nothing_is_one():  # O-16
    assert torch.FloatTensor().prod() == 1.0
    assert torch.LongTensor().prod() == 1


@pytest.mark.parametrize("zeros", [(), (1,), (0, 2), (0, 1, 2, 3)])
@pytest.mark.parametrize("f", [lambda x: x.prod(), lambda x: x.prod(0), lambda x: x.prod(1, True)])
def test_product_gradients_with_zeros(zeros, f):
    a = numbers(3, 2)
    a.reshape(-1)[list(zeros)] = 0.0
    check_first(f, a)
    check_second(f, a)


def test_product_gradient_is_what_the_others_multiply():
    x = leaf([2.0, 0.0, 5.0])
    x.prod().backward()
    same(x.grad, [0, 10, 0])
    x = leaf([0.0, 0.0, 5.0])
    x.prod().backward()
    same(x.grad, [0, 0, 0])


# Variance and deviation.


@every_float
@pytest.mark.parametrize("op", ["std", "var"])
@pytest.mark.parametrize("unbiased", [True, False])
def test_variance(name, op, unbiased):
    a = numbers(3, 4)
    wanted = getattr(np, op)(a, ddof=int(unbiased))
    t, v = both(name, a)
    for call in (getattr(t, op), lambda *p, **k: getattr(torch, op)(t, *p, **k)):
        assert call(unbiased) == pytest.approx(wanted, rel=1e-6)
        assert call(unbiased=unbiased) == call(unbiased)
        assert isinstance(call(), float)
    close(getattr(v, op)(unbiased=unbiased), [wanted])
    assert getattr(t, op)() == getattr(t, op)(True)


@every_float
@every_dim
@pytest.mark.parametrize("op", ["std", "var"])
@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("keep", [True, False])
def test_variance_over_a_dimension(name, dim, op, unbiased, keep):
    wanted = getattr(np, op)(SMALL, axis=dim, ddof=int(unbiased), keepdims=keep)
    t, v = both(name, SMALL)
    close(getattr(t, op)(dim, unbiased, keep), wanted)  # the order of tensors
    for x in (t, v):
        close(getattr(x, op)(dim, unbiased=unbiased, keepdim=keep), wanted)
        close(getattr(torch, op)(x, dim, keepdim=keep, unbiased=unbiased), wanted)


@pytest.mark.parametrize("op", ["std", "var"])
def test_variables_take_keepdim_before_unbiased(op):  # ops.tsv: the release's order
    v = Variable(double(SMALL))
    close(getattr(v, op)(1, True, False), getattr(np, op)(SMALL, axis=1, ddof=0, keepdims=True))
    close(getattr(v, op)(1, False, True), getattr(np, op)(SMALL, axis=1, ddof=1))


def test_variance_is_computed_in_two_passes():
    # The mean is a million deviations away: squares of elements would lose all digits.
    a = 1e9 + np.arange(1000) % 7
    assert torch.DoubleTensor(a.tolist()).var() == pytest.approx(a.var(ddof=1), rel=1e-12)
    close(torch.DoubleTensor([a.tolist()] * 40).t().var(0), [a.var(ddof=1)] * 40, rtol=1e-12)


def test_one_element_has_no_unbiased_variance():
    assert np.isnan(torch.FloatTensor([3]).var()) and torch.FloatTensor([3]).var(False) == 0
    assert np.isnan(array(torch.FloatTensor([[3], [4]]).std(1))).all()


@pytest.mark.parametrize("op", ["std", "var"])
@pytest.mark.parametrize("unbiased", [True, False])
def test_variance_gradients(op, unbiased):
    for f in (
        lambda x: getattr(x, op)(unbiased=unbiased),
        lambda x: getattr(x, op)(1, unbiased=unbiased),
        lambda x: getattr(x, op)(0, keepdim=True, unbiased=unbiased),
    ):
        check_first(f, numbers(3, 4))
        check_second(f, numbers(3, 4))


def test_deviation_of_equal_elements_has_no_gradient():  # ops.tsv: NaN when std = 0
    x = leaf([2.0, 2.0])
    x.std().backward()
    assert np.isnan(array(x.grad)).all()


# Norms.


def norm(a, p, axis=None, keepdims=False):
    if p == 0:
        return (a != 0).sum(axis, keepdims=keepdims).astype(np.float64)
    return (np.abs(a) ** p).sum(axis, keepdims=keepdims) ** (1 / p)


ORDERS = [0, 1, 2, 3, 0.5, 1.5, 2.5]


@every_float
@pytest.mark.parametrize("p", ORDERS)
def test_norm(name, p):
    a = numbers(3, 4)
    a[0, 1] = 0
    t, v = both(name, a)
    assert t.norm(p) == torch.norm(t, p) == pytest.approx(norm(a, p), rel=1e-6)
    close(v.norm(p), [norm(a, p)])
    close(v.norm(p=p), [norm(a, p)])
    for dim in (0, 1, -1):
        for x in (t, v):
            close(x.norm(p, dim), norm(a, p, dim), rtol=2e-5)
            close(torch.norm(x, p, dim, True), norm(a, p, dim, True), rtol=2e-5)


def test_norm_defaults_to_two_and_is_a_double():  # T-8
    assert torch.FloatTensor([1, 1]).norm() == np.sqrt(2.0)
    assert torch.FloatTensor().norm() == 0.0
    close(Variable(torch.FloatTensor([[3, 4]])).norm(dim=1), [5])


def test_infinite_norm_is_no_special_case():  # ops.tsv: pow(sum |x|^inf, 1/inf)
    assert torch.FloatTensor([0.5, 3]).norm(float("inf")) == 1.0


@pytest.mark.parametrize("p", ORDERS)
def test_norm_gradients(p):
    a = numbers(2, 3)
    for f in (lambda x: x.norm(p), lambda x: x.norm(p, 1), lambda x: x.norm(p, 0, True)):
        check_first(f, a)
        if p:  # counting has the gradient 0, and nothing behind it
            check_second(f, a)


@pytest.mark.parametrize("p", [2, 3, 1.5])
def test_norm_has_gradient_zero_at_zero(p):
    for f in (lambda x: x.norm(p), lambda x: x.norm(p, 1).sum()):
        x = leaf(np.zeros((2, 2)))
        f(x).backward()
        same(x.grad, np.zeros((2, 2)))


def test_norm_of_some_zero_lines():
    x = leaf([[0.0, 0.0], [3.0, 4.0]])
    x.norm(2, 1).sum().backward()
    close(x.grad, [[0, 0], [0.6, 0.8]])


@every_float
@pytest.mark.parametrize("p", [0, 1, 2, 3])
def test_dist(name, p):
    a, b = numbers(2, 3), numbers(3, seed=1)
    (t, v), (u, w) = both(name, a), both(name, b)
    assert t.dist(u, p) == torch.dist(t, u, p) == pytest.approx(norm(a - b, p), rel=1e-6)
    close(v.dist(w, p), [norm(a - b, p)])
    assert t.dist(t) == 0.0
    check_first(lambda x, y: x.dist(y, p), a, b)
    if p:
        check_second(lambda x, y: x.dist(y, p), a, b)


def test_dist_of_as_many_elements():  # T-52
    assert torch.ones(2, 3).dist(torch.zeros(6)) == np.sqrt(6.0)
    with pytest.raises(RuntimeError):
        Variable(torch.ones(2, 3)).dist(Variable(torch.zeros(6)))


@every_float
@pytest.mark.parametrize("p, dim", [(2, 0), (1, 1), (2.5, -1)])
def test_renorm(name, p, dim):
    a = numbers(3, 4, 2)
    lines = np.moveaxis(a, dim, 0).reshape(a.shape[dim], -1)
    norms = norm(lines, p, 1)
    most = float(np.median(norms)) * 1.01
    scale = np.where(norms > most, most / (norms + 1e-7), 1.0)
    shape = [1, 1, 1]
    shape[dim] = -1
    wanted = a * scale.reshape(shape)
    t, v = both(name, a)
    close(t.renorm(p, dim, most), wanted)
    close(v.renorm(p, dim, most), wanted)
    assert t.renorm_(p, dim, most) is t
    close(t, wanted)
    check_first(lambda x: x.renorm(p, dim, most), a)
    check_second(lambda x: x.renorm(p, dim, most), a)


def test_renorm_refuses():
    t = torch.ones(3)
    with pytest.raises(RuntimeError, match="two dimensions"):
        t.renorm(2, 0, 1)
    with pytest.raises(RuntimeError, match="positive"):
        torch.ones(2, 2).renorm(0, 0, 1)
    with pytest.raises(RuntimeError, match="out of range"):
        torch.ones(2, 2).renorm(2, 2, 1)


# Graph nodes.


@pytest.mark.parametrize(
    "node, f",
    [
        ("ProdBackward", lambda x: x.prod()),
        ("ProdBackward", lambda x: x.prod(1)),
        ("MeanBackward0", lambda x: x.mean(1)),
        ("MeanBackward1", lambda x: x.mean()),
        ("MaxBackward0", lambda x: x.max(1)[0]),
        ("MaxBackward1", lambda x: x.max()),
        ("MaxBackward2", lambda x: torch.max(x, x)),
        ("MinBackward0", lambda x: x.min(1)[0]),
        ("MinBackward1", lambda x: x.min()),
        ("MinBackward2", lambda x: x.min(x)),
        ("MedianBackward0", lambda x: x.median()),
        ("MedianBackward1", lambda x: x.median(0)[0]),
        ("ModeBackward", lambda x: x.mode()[0]),
        ("KthvalueBackward", lambda x: x.kthvalue(1)[0]),
        ("SortBackward", lambda x: x.sort()[0]),
        ("TopkBackward", lambda x: x.topk(1)[0]),
        ("NormBackward0", lambda x: x.norm()),
        ("NormBackward1", lambda x: x.norm(2, 1)),
        ("DistBackward", lambda x: x.dist(x)),
        ("SumBackward0", lambda x: x.sum()),
        ("SumBackward1", lambda x: x.sum(1)),
        ("CumsumBackward", lambda x: x.cumsum(1)),
        ("HistcBackward", lambda x: x.histc()),
    ],
)
def test_node_names(node, f):
    assert name_of(f(leaf(SMALL[0])).grad_fn) == node


SAVING_NOTHING = [lambda x: x.sum(), lambda x: x.mean(1).sum(), lambda x: x.cumsum(0).sum()]
SAVING = [
    lambda x: x.prod(),
    lambda x: x.mean(),
    lambda x: x.median(),
    lambda x: x.norm(),
    lambda x: x.var(),
    lambda x: x.cumprod(0).sum(),
    lambda x: x.sort()[0].sum(),
    lambda x: x.topk(1)[0].sum(),
    lambda x: x.mode()[0].sum(),
    lambda x: x.kthvalue(1)[0].sum(),
    lambda x: x.max(1)[0].sum(),
]


def test_second_backward():
    for f in SAVING_NOTHING:
        y = f(leaf(SMALL[0]))
        y.backward()
        y.backward()
    for f in SAVING:
        y = f(leaf(SMALL[0]))
        y.backward()
        with pytest.raises(RuntimeError, match="retain_graph"):
            y.backward()


def test_saved_indices_are_watched():  # E-28
    values, index = leaf(SMALL[0]).sort()
    index[0, 0] = 0
    with pytest.raises(RuntimeError, match="modified"):
        values.sum().backward()


def test_indices_are_leaves_without_flags():  # A-31, O-18
    for requires_grad, volatile in [(True, False), (False, True)]:
        v = Variable(torch.rand(3, 4), requires_grad=requires_grad, volatile=volatile)
        for values, index in [v.sort(), v.topk(1), v.kthvalue(1), v.median(0), v.mode(), v.max(1)]:
            assert values.requires_grad == requires_grad and values.volatile == volatile
            assert not (index.requires_grad or index.volatile) and index.grad_fn is None


# Geometry: every layout and size goes to one of several kernels.

SHAPES = [
    (1,),
    (40,),
    (200_000,),
    (3, 100),
    (100, 3),
    (64, 2000),
    (1500, 40),
    (3, 50, 70),
    (2, 1, 5),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("turn", [False, True])
def test_reductions_of_any_geometry(shape, turn):
    a = np.random.RandomState(len(shape)).uniform(0.5, 1.5, shape)
    a = np.round(a, 3).astype(np.float32)
    t = torch.from_numpy(a)
    if turn:
        t, a = t.transpose(0, -1), a.swapaxes(0, -1)
    exact = a.astype(np.float64)
    assert t.sum() == pytest.approx(exact.sum(), rel=1e-12)
    assert t.max() == a.max() and t.min() == a.min()
    assert t.var(False) == pytest.approx(exact.var(), rel=1e-9, abs=1e-12)
    for dim in range(len(shape)):
        n = a.shape[dim]

        def line(wanted):
            return wanted.reshape(1) if wanted.ndim == 0 else wanted

        close(t.sum(dim), line(exact.sum(dim)), rtol=2e-7)
        close(t.mean(dim), line(exact.mean(dim)), rtol=2e-7)
        close(t.var(dim, False), line(exact.var(dim)), rtol=1e-6, atol=1e-9)
        close(t.norm(2, dim), line(np.sqrt((exact**2).sum(dim))), rtol=2e-7)
        for op in ("max", "min"):
            values, index = getattr(t, op)(dim)
            same(values, line(getattr(a, op)(dim)))
            same(index, line(getattr(a, "arg" + op)(dim)))
        close(t.cumsum(dim), exact.cumsum(dim), rtol=2e-7)
        values, index = t.sort(dim)
        same(index, np.argsort(a, dim, kind="stable"))
        same(t.kthvalue((n + 1) // 2, dim)[0], line(np.sort(a, dim).take((n - 1) // 2, dim)))
        e = np.exp(exact - exact.max(dim, keepdims=True))
        soft = torch.nn.functional.softmax(Variable(t), dim=dim)
        close(soft, e / e.sum(dim, keepdims=True), rtol=2e-6)


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.integers(0, 3),
    st.lists(st.integers(0, 3), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
def test_nan_wins_wherever_it_is(shape, dim, places, random):  # O-15
    dim %= len(shape)
    a = np.random.RandomState(random.randrange(1000)).uniform(size=[8 * n for n in shape[:2]])
    for place in places:
        a.reshape(-1)[place * 7 % a.size] = np.nan
    t = double(a)
    dim %= a.ndim
    with np.errstate(invalid="ignore"):
        for op in ("max", "min"):
            values, index = getattr(t, op)(dim)
            wanted = getattr(a, op)(dim)
            same(values, wanted.reshape(1) if a.ndim == 1 else wanted)
            where = getattr(np, "arg" + op)(a, dim)
            same(index, where.reshape(1) if a.ndim == 1 else where)


def bits_of_everything():
    rng = np.random.RandomState(5)
    found = []
    for shape in [(300_000,), (3000, 200), (5, 70_000)]:
        t = torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
        found += [t.sum(), t.var(), t.norm(3), t.prod()]
        for dim in range(len(shape)):
            found += [t.sum(dim), t.var(dim), *t.max(dim), *t.sort(dim), *t.median(dim)]
            found += [torch.nn.functional.softmax(Variable(t), dim=dim).data, t.cumsum(dim)]
    return [x if isinstance(x, float) else array(x).tobytes() for x in found]


def test_results_are_the_same_bits_for_every_number_of_threads():
    before = torch.get_num_threads()
    try:
        runs = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            runs.append(bits_of_everything())
    finally:
        torch.set_num_threads(before)
    assert runs[0] == runs[1] == runs[2]


def test_on_the_gpu_the_host_computes(gpu):
    a = numbers(3, 4).astype(np.float32)
    t = torch.from_numpy(a).cuda()
    close(t.sort(1)[0].cpu(), np.sort(a, 1))
    close(t.var(0).cpu(), a.var(0, ddof=1))
    assert t.norm() == pytest.approx(np.sqrt((a.astype(np.float64) ** 2).sum()), rel=1e-6)
    v = Variable(t, requires_grad=True)
    v.prod(1).sum().backward()
    assert v.grad.is_cuda
