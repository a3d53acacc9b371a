"""Flags of all results of operations that have several (A-30, A-31, O-18), and equal indices."""

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable, grad
from support import array, double, leaf, same

SQUARE = [[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]]

# Every op of several results, and which of them are places or row exchanges.
OPS = {
    "qr": (lambda x: x.qr(), ()),
    "svd": (lambda x: x.svd(), ()),
    "symeig": (lambda x: x.symeig(True), ()),
    "symeig values": (lambda x: x.symeig(), ()),
    "eig": (lambda x: x.eig(True), ()),
    "eig values": (lambda x: x.eig(), ()),
    "geqrf": (lambda x: x.geqrf(), ()),
    "gesv": (lambda x: x.gesv(x), ()),
    "gels": (lambda x: x.gels(x), ()),
    "trtrs": (lambda x: x.trtrs(x), ()),
    "pstrf": (lambda x: x.pstrf(), (1,)),
    "btrifact": (lambda x: x.unsqueeze(0).btrifact(), (1,)),
    "max": (lambda x: x.max(0), (1,)),
    "min": (lambda x: x.min(1, True), (1,)),
    "median": (lambda x: x.median(0), (1,)),
    "mode": (lambda x: x.mode(0), (1,)),
    "kthvalue": (lambda x: x.kthvalue(2), (1,)),
    "sort": (lambda x: x.sort(), (1,)),
    "topk": (lambda x: x.topk(2), (1,)),
    "chunk": (lambda x: x.chunk(2), ()),
    "split": (lambda x: x.split(2, 1), ()),
    "unbind": (lambda x: torch.unbind(x), ()),
}


def test_these_are_all_operations_of_several_results():
    found = set()
    for name in dir(Variable):
        for extra in ((), (1,), (2,), (Variable(double(SQUARE)),)):
            x = Variable(double(SQUARE))
            x = x.unsqueeze(0) if name == "btrifact" else x
            try:
                made = getattr(x, name)(*extra)
            except Exception:
                continue
            if isinstance(made, tuple) and any(isinstance(r, Variable) for r in made):
                found.add(name)
    assert found == {name.split(" ")[0] for name in OPS} - {"unbind"}


@pytest.mark.parametrize("f, places", OPS.values(), ids=OPS)
def test_all_results_share_volatile(f, places):
    for i, r in enumerate(f(Variable(double(SQUARE), volatile=True))):
        assert r.volatile is (i not in places), i
        assert not r.requires_grad and r.grad_fn is None and r.is_leaf


@pytest.mark.parametrize("f, places", OPS.values(), ids=OPS)
def test_all_results_share_requires_grad(f, places):  # A-30, O-18
    made = f(leaf(SQUARE))
    for i, r in enumerate(made):
        assert not r.volatile
        assert r.requires_grad is (i not in places), i
        assert (r.grad_fn is None) is (i in places)
        if i in places:
            assert r.is_leaf
    nodes = [type(r.grad_fn).__name__ for i, r in enumerate(made) if i not in places]
    assert len(set(nodes)) == 1, nodes


@pytest.mark.parametrize("f, places", OPS.values(), ids=OPS)
def test_results_without_flags_come_of_operands_without(f, places):
    for r in f(Variable(double(SQUARE))):
        assert not r.volatile and not r.requires_grad and r.grad_fn is None


def test_the_volatile_operand_may_be_any():
    a, b = leaf(SQUARE), Variable(double(SQUARE), volatile=True)
    stack, pivots = b.data.unsqueeze(0).btrifact()
    volatile = Variable(stack, volatile=True)
    solved = a.unsqueeze(0).btrisolve(volatile, Variable(pivots))
    for made in (
        *(a.gesv(b), b.gesv(a), a.trtrs(b), torch.trtrs(b, a), a.gels(b)),
        [a.potrs(b), solved, a.ormqr(b[0], b), a.orgqr(b[0])],
    ):
        for r in made:
            assert r.volatile and not r.requires_grad and r.grad_fn is None


def test_what_has_no_derivative_does_not_lose_a_gradient_in_silence():  # E-33
    plain, wanted = Variable(double(SQUARE)), leaf(SQUARE)
    stack, pivots = (Variable(t) for t in plain.data.unsqueeze(0).btrifact())
    wide = Variable(stack.data, requires_grad=True)
    for call in (
        lambda: plain.trtrs(wanted),
        lambda: plain.trtrs(A=wanted),
        lambda: plain.unsqueeze(0).btrisolve(wide, pivots),
    ):
        with pytest.raises(RuntimeError, match=r"derivative.*not implemented"):
            call()
    assert plain.trtrs(wanted.detach())[0].grad_fn is None
    with pytest.raises(RuntimeError, match=r"Trtrs.*not implemented"):
        wanted.trtrs(wanted)[0].sum().backward()


# --- equal indices --------------------------------------------------------------------------------

I = torch.LongTensor  # noqa: E741
# In place on x from s, with places named more than once; beside it the same on an array.
WRITES = {
    "index_copy_": (
        lambda x, s, v=lambda i: i: x.index_copy_(0, v(I([1, 0, 1])), s),
        lambda x, s: x.__setitem__(slice(None), np.stack([s[1], s[2], x[2]])),
    ),
    "put_": (
        lambda x, s, v=lambda i: i: x.put_(v(I([[0, 3], [0, -1], [3, 0]])), s),
        lambda x, s: x.reshape(-1).put([0, 3, 0, 5, 3, 0], s),
    ),
    "scatter_": (
        lambda x, s, v=lambda i: i: x.scatter_(0, v(I([[1, 1], [1, 0], [2, 1]])), s),
        lambda x, s: x.__setitem__(
            slice(None), np.array([[x[0, 0], s[1, 1]], [s[1, 0], s[2, 1]], [s[2, 0], x[2, 1]]])
        ),
    ),
    "index": (
        lambda x, s, v=lambda i: i: x.__setitem__(v(I([2, 0, 2])), s) or x,
        lambda x, s: x.__setitem__(slice(None), np.stack([s[1], x[1], s[2]])),
    ),
}
X = np.array([[10.0, 11.0], [12.0, 13.0], [14.0, 15.0]])
S = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
# Which element of the source each gradient is of: that of the place, also for those overwritten
# (ops.tsv: index_select(g), take(g), gather(g)).
READS = {
    "index_copy_": lambda g: g[[1, 0, 1]],
    "put_": lambda g: g.reshape(-1)[[0, 3, 0, 5, 3, 0]].reshape(3, 2),
    "scatter_": lambda g: np.take_along_axis(g, np.array([[1, 1], [1, 0], [2, 1]]), 0),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("threads", [1, 2])
def test_of_equal_indices_the_last_one_counts(name, threads):  # ops.tsv: last write wins
    write, expect = WRITES[name]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for cls in ("FloatTensor", "LongTensor", "ByteTensor"):
            x, s = (getattr(torch, cls)(a.astype(int).tolist()) for a in (X, S))
            expected = X.copy()
            expect(expected, S)
            write(x, s)
            same(x, expected)
    finally:
        torch.set_num_threads(before)


def test_the_last_one_counts_among_many():
    order = np.random.RandomState(3).randint(0, 50, 100_000)
    last = np.zeros(50)
    last[order] = np.arange(100_000.0)
    index, source = I(order.tolist()), torch.DoubleTensor(np.arange(100_000.0))
    same(torch.zeros(50).double().index_copy_(0, index, source), last)
    same(torch.zeros(50).double().put_(index, source), last)
    same(torch.zeros(50).double().scatter_(0, index, source), last)


@pytest.mark.parametrize("name", READS)
def test_gradients_of_equal_indices_are_those_written_down(name):
    write, expect = WRITES[name]
    x, s = leaf(X), leaf(S)
    y = x * 1.0
    write(y, s, Variable)
    weights = np.arange(1.0, 7.0).reshape(3, 2)
    w = leaf(weights)
    gx, gs, gw = grad((y * w * w).sum(), [x, s, w], create_graph=True)
    stays = np.ones((3, 2))
    expect(stays, np.zeros((3, 2)))
    same(gx.data, weights**2 * stays)
    same(gs.data, READS[name](weights**2))
    expected = X.copy()
    expect(expected, S)
    same(gw.data, 2 * weights * expected)
    # Once more: the first gradients are functions of the weights.
    (second,) = grad((gs * gs).sum(), w)
    counts = np.zeros((3, 2))
    slots = READS[name](np.arange(6).reshape(3, 2)).reshape(-1)
    np.add.at(counts.reshape(-1), slots, 1)
    np.testing.assert_allclose(array(second), 4 * weights**3 * counts)


def test_an_assignment_with_equal_indices_has_the_gradient_of_what_stays():
    x, s, w = leaf(X), leaf(S), leaf(np.arange(1.0, 7.0).reshape(3, 2))
    y = x * 1.0
    WRITES["index"][0](y, s, Variable)
    gx, gs = grad((y * w * w).sum(), [x, s], create_graph=True)
    same(gx.data, [[0, 0], [9, 16], [0, 0]])
    same(gs.data, [[0, 0], [1, 4], [25, 36]])
    same(grad(gs.sum(), w)[0].data, [[2, 4], [0, 0], [10, 12]])


def test_accumulated_writes_add_all_equal_indices():
    x, s = leaf(X), leaf(S)
    index = Variable(I([[0, 3], [0, -1], [3, 0]]))
    y = (x * 1.0).put_(index, s, True)
    expected = X.copy()
    np.add.at(expected.reshape(-1), [0, 3, 0, 5, 3, 0], S.reshape(-1))
    same(y.data, expected)
    weights = np.arange(1.0, 7.0).reshape(3, 2)
    gx, gs = grad((y * Variable(double(weights))).sum(), [x, s])
    same(gx.data, weights)
    same(gs.data, READS["put_"](weights))
