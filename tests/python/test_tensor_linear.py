"""Matrix products of tensors and Variables (T-54, E-64, O-11)."""

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, FLOATS, close, double, numbers, same, tensor


def both(a):
    """The same values as a raw tensor and as a Variable."""
    return double(a), Variable(double(a))


@pytest.mark.parametrize("name", CLASSES)
def test_products_of_every_class(name):
    a = np.arange(6).reshape(2, 3).astype(CLASSES[name])
    b = np.arange(12).reshape(3, 4).astype(CLASSES[name])
    same(tensor(name, a).mm(tensor(name, b)), a @ b)
    same(tensor(name, a).mv(tensor(name, a[0])), a @ a[0])
    assert tensor(name, a[1]).dot(tensor(name, a[0])) == a[1].astype(int) @ a[0]


SIZES = [(1, 1, 1), (2, 3, 4), (5, 1, 7), (8, 8, 8), (17, 33, 9), (64, 65, 63), (1, 130, 1)]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("m, k, n", SIZES)
@pytest.mark.parametrize("left", ["rows", "columns", "step"])
@pytest.mark.parametrize("right", ["rows", "columns", "step"])
def test_mm_in_every_layout(name, m, k, n, left, right):
    def laid_out(a, how):
        if how == "columns":
            return tensor(name, a.T).t()
        if how == "step":
            wide = np.repeat(a, 2, axis=1)
            return tensor(name, wide)[:, ::2]
        return tensor(name, a)

    a, b = numbers(m, k), numbers(k, n, seed=1)
    rtol = 1e-4 if name == "FloatTensor" else 1e-12  # sums of up to 130 products
    close(laid_out(a, left).mm(laid_out(b, right)), a @ b, rtol=rtol, atol=rtol)


def test_mm_of_expanded_rows():
    a = numbers(1, 3)
    close(double(a).expand(4, 3).mm(double(numbers(3, 2))), np.repeat(a, 4, 0) @ numbers(3, 2))


@pytest.mark.parametrize("beta, alpha", [(1, 1), (0.5, 1), (1, 2), (0.5, -2)])
def test_addmm_forms(beta, alpha):  # O-9
    m, a, b = numbers(2, 4), numbers(2, 3, seed=1), numbers(3, 4, seed=2)
    wanted = beta * m + alpha * (a @ b)
    for M, A, B in ((double(m), double(a), double(b)), [Variable(double(x)) for x in (m, a, b)]):
        close(torch.addmm(beta, M, alpha, A, B), wanted)
        close(torch.addmm(M, A, B, beta=beta, alpha=alpha), wanted)
        close(M.addmm(A, B, beta=beta, alpha=alpha), wanted)
        close(M.addmm(beta, alpha, A, B), wanted)
        if alpha == 1:
            close(torch.addmm(beta, M, A, B), wanted)
    M = double(m)
    assert M.addmm_(beta, alpha, double(a), double(b)) is M
    close(M, wanted)


def test_addmm_broadcasts_its_first_matrix_only_out_of_place():  # T-54
    a, b = double(numbers(2, 3)), double(numbers(3, 4))
    row = double(numbers(4))
    close(torch.addmm(row, a, b), numbers(4) + numbers(2, 3) @ numbers(3, 4))
    with pytest.raises(RuntimeError):
        row.addmm_(a, b)
    same(row, numbers(4))


def test_bmm():
    a, b = numbers(5, 2, 3), numbers(5, 3, 4, seed=1)
    for t, u in zip(both(a), both(b), strict=True):
        close(t.bmm(u), a @ b)
        close(torch.bmm(t, u), a @ b)


def test_dot():  # section 1.1
    a, b = numbers(5), numbers(5, seed=1)
    got = double(a).dot(double(b))
    assert type(got) is float and got == pytest.approx(a @ b, rel=1e-14)
    close(Variable(double(a)).dot(Variable(double(b))), [a @ b])


MATMUL = [
    ((2, 3), (3, 4)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((1, 5, 2, 3), (6, 1, 3, 4)),
]


@pytest.mark.parametrize("left, right", MATMUL)
def test_matmul(left, right):  # O-11
    a, b = numbers(*left), numbers(*right, seed=1)
    for t, u in zip(both(a), both(b), strict=True):
        close(t.matmul(u), a @ b)
        close(torch.matmul(t, u), a @ b)
        close(t @ u, a @ b)


def test_matmul_of_vectors():
    a, b = numbers(3), numbers(3, seed=1)
    assert double(a) @ double(b) == pytest.approx(a @ b)
    close(Variable(double(a)) @ Variable(double(b)), [a @ b])


BAD = [  # E-64: class, and every size in the words
    ("mm", (2, 3), (4, 5), ["2", "3", "4", "5"]),
    ("mm", (2, 3), (3,), []),
    ("mm", (3,), (3, 2), []),
    ("mv", (2, 3), (4,), ["2", "3", "4"]),
    ("mv", (3,), (3,), []),
    ("dot", (3,), (4,), ["3", "4"]),
    ("dot", (2, 2), (2, 2), []),
    ("bmm", (2, 3, 4), (2, 5, 6), ["4", "5"]),
    ("bmm", (2, 3, 4), (3, 4, 5), ["2", "3"]),
    ("bmm", (3, 4), (4, 5), []),
    ("matmul", (2, 3), (4, 5), ["3", "4"]),
]


@pytest.mark.parametrize("kind", ["tensor", "Variable"])
@pytest.mark.parametrize("op, left, right, words", BAD)
def test_size_mismatch(op, left, right, words, kind):
    t, u = torch.zeros(*left), torch.zeros(*right)
    if kind == "Variable":
        t, u = Variable(t), Variable(u)
    with pytest.raises(RuntimeError) as e:
        getattr(t, op)(u)
    assert all(w in str(e.value) for w in words)


def test_addmm_size_mismatch():
    with pytest.raises(RuntimeError, match="addmm"):
        torch.addmm(torch.zeros(2, 5), torch.zeros(2, 3), torch.zeros(4, 5))


@pytest.mark.parametrize("name", FLOATS)
def test_products_into_out(name):  # T-81
    a, b = numbers(2, 3), numbers(3, 4, seed=1)
    out = getattr(torch, name)()
    assert torch.mm(tensor(name, a), tensor(name, b), out=out) is out
    close(out, a @ b)
