"""Products added to tensors, inner and outer products, stacks, layouts of gradients (O-9, T-54)."""

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable, grad
from support import (
    CLASSES,
    array,
    check_first,
    check_second,
    close,
    double,
    name_of,
    numbers,
    parents,
    snapshot,
    tensor,
)

ADDED = {
    "addmm": ((2, 4), (2, 3), (3, 4), lambda a, b: a @ b),
    "addmv": ((2,), (2, 3), (3,), lambda a, b: a @ b),
    "addr": ((2, 3), (2,), (3,), np.outer),
    "addbmm": ((2, 4), (5, 2, 3), (5, 3, 4), lambda a, b: (a @ b).sum(0)),
    "baddbmm": ((5, 2, 4), (5, 2, 3), (5, 3, 4), lambda a, b: a @ b),
}


@pytest.mark.parametrize("kind", ["tensor", "Variable"])
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("op", ADDED)
def test_every_form_of_added_products(op, name, kind):  # O-9
    sizes, left, right, product = ADDED[op]
    cls = CLASSES[name]
    count = int(np.prod(sizes))
    m = (np.arange(count).reshape(sizes) % 5).astype(cls)
    a = (np.arange(np.prod(left)).reshape(left) % 3).astype(cls)
    b = (np.arange(np.prod(right)).reshape(right) % 4).astype(cls)
    with np.errstate(over="ignore"):
        wanted = {
            (beta, alpha): (cls(beta) * m + cls(alpha) * product(a, b)).astype(cls)
            for beta in (1, 2)
            for alpha in (1, 3)
        }
    M, A, B = (tensor(name, x) for x in (m, a, b))
    if kind == "Variable":
        M, A, B = Variable(M), Variable(A), Variable(B)
    function = getattr(torch, op)
    forms = [
        (function(M, A, B), (1, 1)),
        (function(M, A, B, beta=2, alpha=3), (2, 3)),
        (function(2, M, 3, A, B), (2, 3)),
        (function(2, M, A, B), (2, 1)),
        (getattr(M, op)(A, B), (1, 1)),
        (getattr(M, op)(A, B, alpha=3), (1, 3)),
        (getattr(M, op)(2, 3, A, B), (2, 3)),
        (getattr(M, op)(2, A, B), (2, 1)),
    ]
    for got, which in forms:
        assert array(got).dtype == cls
        np.testing.assert_array_equal(array(got), wanted[which])
    changed = M.clone() if kind == "Variable" else tensor(name, m)
    assert getattr(changed, op + "_")(2, 3, A, B) is changed
    np.testing.assert_array_equal(array(changed), wanted[2, 3])
    if kind == "tensor":
        out = getattr(torch, name)()
        assert function(2, M, 3, A, B, out=out) is out  # O-7
        np.testing.assert_array_equal(array(out), wanted[2, 3])


@pytest.mark.parametrize("op", ADDED)
def test_the_first_operand_broadcasts_only_out_of_place(op):  # T-54, E-63
    _sizes, left, right, product = ADDED[op]
    a, b = numbers(*left), numbers(*right, seed=1)
    small = numbers(1)
    for wrap in (lambda t: t, Variable):
        M, A, B = (wrap(double(x)) for x in (small, a, b))
        close(getattr(torch, op)(M, A, B), small + product(a, b))
        before = snapshot(M)
        with pytest.raises(RuntimeError, match=op):
            getattr(M, op + "_")(A, B)
        assert snapshot(M) == before


@pytest.mark.parametrize("op", ADDED)
def test_size_mismatch_of_added_products(op):  # E-64
    sizes, left, right, _ = ADDED[op]
    wrong = (*right[:-2], right[-2] + 4, *right[-1:]) if len(right) > 1 else (right[0] + 4,)
    with pytest.raises(RuntimeError, match=op):
        getattr(torch, op)(torch.zeros(*sizes), torch.zeros(*left), torch.zeros(*left, 1))
    if op != "addr":
        with pytest.raises(RuntimeError, match=str(wrong[0])):
            getattr(torch, op)(torch.zeros(*sizes), torch.zeros(*left), torch.zeros(*wrong))


@pytest.mark.parametrize("op", ADDED)
def test_integers_take_no_fractions(op):  # E-80
    sizes, left, right, _ = ADDED[op]
    M, A, B = (torch.zeros(*s).long() for s in (sizes, left, right))
    with pytest.raises(TypeError):
        getattr(torch, op)(0.5, M, 1, A, B)


def test_outer_product():
    a, b = numbers(3), numbers(4, seed=1)
    for wrap in (lambda t: t, Variable):
        close(torch.ger(wrap(double(a)), wrap(double(b))), np.outer(a, b))
    with pytest.raises(RuntimeError, match="2 x 2"):
        torch.zeros(2, 2).ger(torch.zeros(2))


def test_dot_of_integers_counts_in_64_bits_and_floats_sum_in_double():  # T-7, T-8
    a = tensor("ByteTensor", [200, 200])
    assert a.dot(a) == 80000 and type(a.dot(a)) is int
    v = Variable(a).dot(Variable(a))
    assert array(v).tolist() == [80000 % 256]
    x = np.array([1e8, 1.0, -1e8] * 50, np.float32)
    ones = torch.FloatTensor([1.0] * x.size)
    assert torch.FloatTensor(x.tolist()).dot(ones) == 50.0


def test_dot_of_many_is_the_same_for_every_layout():
    a, b = np.random.RandomState(0).randn(2, 100_001)
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    wanted = x.dot(y)
    assert wanted == pytest.approx(a @ b, rel=1e-11)
    twice = torch.from_numpy(np.repeat(a, 2))[::2]
    assert twice.dot(y) == wanted


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("op", ["mm", "addmm"])
def test_the_gradient_of_a_matrix_has_its_layout(op, transposed):
    a, b = numbers(3, 2), numbers(4, 3, seed=1)
    x, w = Variable(double(a), requires_grad=True), Variable(double(b), requires_grad=True)
    left, right = (x.t(), w.t()) if transposed else (w, x)
    out = left.mm(right) if op == "mm" else Variable(torch.zeros(1).double()).addmm(left, right)
    for g in grad(out.sum(), [left, right], retain_graph=True):
        rows, columns = g.size()
        assert g.data.stride() == ((1, rows) if transposed else (columns, 1))
    out.sum().backward()
    assert x.grad.data.is_contiguous() and w.grad.data.is_contiguous()


@pytest.mark.parametrize(
    "left, right", [((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (3,))]
)
def test_gradients_of_matmul_of_stacks(left, right):
    check_first(lambda a, b: a @ b, numbers(*left), numbers(*right, seed=1))
    check_second(lambda a, b: a @ b, numbers(*left), numbers(*right, seed=1))


def test_matmul_of_a_stack_and_a_matrix_is_one_product():
    a, w = Variable(torch.ones(5, 2, 3), requires_grad=True), Variable(torch.ones(3, 4))
    out = torch.matmul(a, w)
    assert name_of(out.grad_fn) == "ViewBackward" and parents(out) == ["MmBackward"]


def test_a_stack_of_many_matrices_is_multiplied_like_each_alone():
    a, b = np.random.RandomState(0).randn(2, 200, 17, 17)
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    got = array(x.bmm(y))
    for i in (0, 57, 199):
        np.testing.assert_array_equal(got[i], array(x[i].mm(y[i])))
    np.testing.assert_allclose(got, a @ b, rtol=1e-12, atol=1e-12)
