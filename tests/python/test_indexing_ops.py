"""Operations that move elements by index or mask, against NumPy (ops.tsv, group indexing)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, array, double, leaf, name_of, numbers, same, snapshot, tensor

long = torch.LongTensor
byte = torch.ByteTensor


def longs(a):
    return long(np.asarray(a).tolist())


def var(a, **flags):
    return Variable(double(a), **flags)


@st.composite
def sliced(draw):
    """A shape, a dimension of it, and indices into that dimension."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    dim = draw(st.integers(0, len(shape) - 1))
    index = draw(st.lists(st.integers(0, shape[dim] - 1), min_size=1, max_size=6))
    return tuple(shape), dim, index


def turned(t):
    """The same elements with the strides of a transpose."""
    if t.dim() < 2:
        return t
    return t.transpose(0, -1).contiguous().transpose(0, -1)


def part_shape(shape, dim, count):
    return (*shape[:dim], count, *shape[dim + 1 :])


class TestSlices:
    @given(sliced(), st.booleans(), st.booleans())
    def test_index_select(self, case, other, negative):
        shape, dim, index = case
        a = numbers(*shape)
        t = turned(double(a)) if other else double(a)
        d = dim - len(shape) if negative else dim
        same(t.index_select(d, long(index)), a.take(index, dim))
        same(torch.index_select(t, d, long(index)), a.take(index, dim))

    @pytest.mark.parametrize("name", CLASSES)
    def test_index_select_of_every_class(self, name):
        a = np.arange(60, dtype=CLASSES[name]).reshape(3, 4, 5)
        for dim in range(3):
            got = tensor(name, a).index_select(dim, long([2, 0, 0]))
            same(got, a.take([2, 0, 0], dim))
            assert got.is_contiguous()

    @given(sliced(), st.booleans())
    def test_index_add(self, case, other):
        shape, dim, index = case
        a = numbers(*shape)
        part = numbers(*part_shape(shape, dim, len(index)), seed=1)
        wanted = np.moveaxis(a.copy(), dim, 0)
        for k, i in enumerate(index):  # the order of the index (floats do not commute)
            wanted[i] += np.moveaxis(part, dim, 0)[k]
        wanted = np.moveaxis(wanted, 0, dim)
        t = turned(double(a)) if other else double(a)
        assert t.index_add_(dim, long(index), double(part)) is t
        same(t, wanted)
        v = var(a)
        same(v.index_add(dim, Variable(long(index)), var(part)), wanted)
        same(v, a)

    @given(sliced(), st.booleans())
    def test_index_copy_and_fill(self, case, other):
        shape, dim, index = case
        a = numbers(*shape)
        part = numbers(*part_shape(shape, dim, len(index)), seed=1)
        wanted = np.moveaxis(a.copy(), dim, 0)
        for k, i in enumerate(index):  # the last of equal indices counts
            wanted[i] = np.moveaxis(part, dim, 0)[k]
        t = turned(double(a)) if other else double(a)
        assert t.index_copy_(dim, long(index), double(part)) is t
        same(t, np.moveaxis(wanted, 0, dim))
        wanted[index] = 7
        assert t.index_fill_(dim, long(index), 7) is t
        same(t, np.moveaxis(wanted, 0, dim))
        v = var(a)
        same(
            v.index_copy(dim, Variable(long(index)), var(part)).index_fill(
                dim, Variable(long(index)), 7
            ),
            array(t),
        )

    def test_integers_wrap(self):
        t = byte([250, 1])
        t.index_add_(0, long([0, 0]), byte([3, 4]))
        assert t.tolist() == [1, 1]

    @pytest.mark.parametrize(
        "rows, width, count", [(500, 64, 20_000), (7, 9000, 40), (40, 3, 90_000)]
    )
    def test_threads_change_no_bit(self, rows, width, count):
        state = np.random.RandomState(0)
        index = longs(state.randint(0, rows, count))
        part = torch.FloatTensor(state.randn(count, width).astype(np.float32))
        results = []
        threads = torch.get_num_threads()
        try:
            for n in (1, 2, 3, 5):
                torch.set_num_threads(n)
                sums = torch.zeros(rows, width).index_add_(0, index, part)
                across = torch.zeros(width, rows).index_add_(1, index, part.t())
                last = torch.zeros(rows, width).index_copy_(0, index, part)
                wide = index.view(-1, 1).expand(count, width)
                spread = torch.zeros(rows, width).scatter_add_(0, wide, part)
                results.append([array(x) for x in (sums, across, last, spread)])
        finally:
            torch.set_num_threads(threads)
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(a, b)
        wanted = np.zeros((rows, width), np.float32)
        np.add.at(wanted, array(index), array(part))
        np.testing.assert_array_equal(results[0][0], wanted)
        np.testing.assert_array_equal(results[0][1], wanted.T)
        np.testing.assert_array_equal(results[0][3], wanted)

    def test_large_rows_and_long_runs(self):
        state = np.random.RandomState(1)
        a = state.randn(3000, 70).astype(np.float32)
        index = state.randint(0, 3000, 70_000)
        same(torch.from_numpy(a).index_select(0, longs(index)), a[index])
        few = index[:500] % 70
        same(torch.from_numpy(a).index_select(1, longs(few)), a[:, few])
        wide = state.randn(3, 200_000).astype(np.float32)
        same(torch.from_numpy(wide).index_select(0, long([2, 0, 2])), wide[[2, 0, 2]])

    def test_the_index_may_be_strided_and_lie_in_the_target(self):
        index = long([[0, 9], [2, 9], [1, 9]])[:, 0]
        assert not index.is_contiguous()
        same(double([10, 20, 30]).index_select(0, index), [10, 30, 20])
        own = long([0, 1, 2])
        own.index_add_(0, own, own)
        assert own.tolist() == [0, 2, 4]


@st.composite
def along(draw):
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    dim = draw(st.integers(0, len(shape) - 1))
    sizes = [draw(st.integers(1, n)) for n in shape]
    sizes[dim] = draw(st.integers(1, 5))
    count = int(np.prod(sizes))
    values = draw(st.lists(st.integers(0, shape[dim] - 1), min_size=count, max_size=count))
    return shape, dim, np.array(values).reshape(sizes)


def walk(index, dim):
    """Each place of `index`, and where it leads along `dim`."""
    for place in np.ndindex(*index.shape):
        to = list(place)
        to[dim] = index[place]
        yield place, tuple(to)


class TestElements:
    @given(along(), st.booleans())
    def test_gather(self, case, other):
        shape, dim, index = case
        a = numbers(*shape)
        wanted = np.empty(index.shape)
        for place, source in walk(index, dim):
            wanted[place] = a[source]
        t = turned(double(a)) if other else double(a)
        at = turned(longs(index)) if other else longs(index)
        same(t.gather(dim, at), wanted)
        same(torch.gather(t, dim, at), wanted)

    @given(along(), st.booleans())
    def test_scatter(self, case, other):
        shape, dim, index = case
        a, source = numbers(*shape), numbers(*index.shape, seed=1)
        written, added, filled = a.copy(), a.copy(), a.copy()
        for place, target in walk(index, dim):
            written[target] = source[place]
            added[target] += source[place]
            filled[target] = 5
        at = turned(longs(index)) if other else longs(index)
        make = (lambda: turned(double(a))) if other else (lambda: double(a))
        same(make().scatter_(dim, at, double(source)), written)
        same(make().scatter_add_(dim, at, double(source)), added)
        same(make().scatter_(dim, at, 5), filled)
        v, at = var(a), Variable(at)
        same(v.scatter(dim, at, var(source)), written)
        same(v.scatter_add(dim, at, var(source)), added)
        same(v.scatter(dim, at, 5), filled)
        same(v, a)

    def test_a_source_larger_than_the_index_gets_zeros(self):
        x, s = leaf(numbers(3, 2)), leaf(numbers(3, 3, seed=1))
        y = (x * 1).scatter_add_(0, Variable(long([[2, 0], [2, 1]])), s)
        y.sum().backward()
        same(x.grad, np.ones((3, 2)))
        same(s.grad, [[1, 1, 0], [1, 1, 0], [0, 0, 0]])

    @pytest.mark.parametrize("dim", [0, 1])
    def test_large_gather_and_scatter(self, dim):
        state = np.random.RandomState(2)
        a = state.randn(700, 300).astype(np.float32)
        index = state.randint(0, a.shape[dim], a.shape)
        same(torch.from_numpy(a).gather(dim, longs(index)), np.take_along_axis(a, index, dim))
        wanted = np.zeros_like(a)
        np.put_along_axis(wanted, index, a, dim)
        same(torch.zeros(700, 300).scatter_(dim, longs(index), torch.from_numpy(a)), wanted)

    @given(st.integers(1, 4), st.integers(1, 4), st.booleans(), st.data())
    def test_take_and_put(self, rows, columns, other, data):
        a = numbers(rows, columns)
        n = rows * columns
        index = np.array(data.draw(st.lists(st.integers(-n, n - 1), min_size=4, max_size=4)))
        t = turned(double(a)) if other else double(a)
        same(t.take(longs(index.reshape(2, 2))), a.take(index.reshape(2, 2)))
        same(torch.take(t, longs(index)), a.take(index))
        source = numbers(4, seed=1)
        wanted, added = a.ravel().copy(), a.ravel().copy()
        for i, v in zip(index, source, strict=True):
            wanted[i] = v
            added[i] += v
        make = (lambda: turned(double(a))) if other else (lambda: double(a))
        t = make()
        assert t.put_(longs(index), double(source)) is t
        same(t, wanted.reshape(a.shape))
        same(make().put_(longs(index), double(source), False), wanted.reshape(a.shape))
        same(make().put_(longs(index), double(source), accumulate=True), added.reshape(a.shape))

    @given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 10**6))
    def test_nonzero(self, shape, seed):
        a = np.random.RandomState(seed).randint(0, 2, shape) * 3.0
        found = np.argwhere(a)
        for t in (double(a), turned(double(a))):
            got = t.nonzero()
            assert got.type() == "torch.LongTensor"
            if len(found):
                same(got, found)
                same(torch.nonzero(t), found)
            else:
                assert got.dim() == 0
        v = Variable(double(a), requires_grad=True).nonzero()
        assert v.is_leaf and not v.requires_grad  # O-18

    def test_large_nonzero_and_masks(self):
        a = np.random.RandomState(3).randn(400, 500)
        t, m = torch.from_numpy(a), torch.from_numpy((a > 0.3).astype(np.uint8))
        same(m.nonzero(), np.argwhere(a > 0.3))
        same(t.masked_select(m), a[a > 0.3])
        same(t.t().masked_select(m.t()), a.T[a.T > 0.3])
        new = np.random.RandomState(4).randn(int((a > 0.3).sum()) + 5)
        for turn in (False, True):
            target, mask = (t.clone().t(), m.t()) if turn else (t.clone(), m)
            wanted = a.T.copy() if turn else a.copy()
            wanted[wanted > 0.3] = new[:-5]
            target.masked_scatter_(mask, torch.from_numpy(new))
            same(target, wanted)


class TestMasks:
    def test_forms(self):
        a = numbers(2, 3)
        keep = np.array([[1, 0, 1], [0, 0, 1]], np.uint8)
        mask = byte(keep.tolist())
        wanted = np.where(keep, 9, a)
        t = double(a)
        assert t.masked_fill_(mask, 9) is t
        same(t, wanted)
        same(var(a).masked_fill(Variable(mask), 9), wanted)
        source = np.array([1.0, 2, 3, 4])
        wanted = a.copy()
        wanted[keep == 1] = source[:3]
        t = double(a)
        assert t.masked_scatter_(mask, double(source)) is t
        same(t, wanted)
        same(var(a).masked_scatter(Variable(mask), var(source)), wanted)

    def test_masks_expand_to_the_tensor(self):
        a, row = numbers(2, 3), byte([1, 0, 1])
        same(double(a).masked_fill_(row, 0), a * [0, 1, 0])
        same(double(a).masked_select(row), a[:, [0, 2]].ravel())
        wanted = a.copy()
        wanted[:, [0, 2]] = [[1, 2], [3, 4]]
        same(double(a).masked_scatter_(row, double([1, 2, 3, 4])), wanted)

    def test_equal_counts_are_enough_for_tensors(self):  # T-52
        a, flat = numbers(2, 3), byte([1, 0, 0, 0, 1, 1])
        chosen = a.ravel()[[0, 4, 5]]
        same(double(a).masked_select(flat), chosen)
        same(torch.masked_select(double(a), flat), chosen)
        wanted = a.ravel().copy()
        wanted[[0, 4, 5]] = 0
        same(double(a).masked_fill_(flat, 0), wanted.reshape(2, 3))
        same(double(a).masked_scatter_(flat, double([0, 0, 0])), wanted.reshape(2, 3))
        for call in (
            lambda v: v.masked_select(Variable(flat)),
            lambda v: v.masked_fill(Variable(flat), 0),
            lambda v: v.masked_scatter(Variable(flat), var([0.0, 0, 0])),
        ):
            with pytest.raises(RuntimeError):  # T-53
                call(var(a))

    def test_old_names_warn(self):
        t, mask = double([1, 2]), byte([0, 1])
        with pytest.warns(UserWarning, match="masked_copy"):
            assert t.masked_copy_(mask, double([5])) is t
        same(t, [1, 5])
        v = leaf([1.0, 2.0])
        with pytest.warns(UserWarning, match="masked_copy"):
            y = v.masked_copy(Variable(mask), var([5.0]))
        assert name_of(y.grad_fn) == "MaskedScatterBackward"
        same(y, [1, 5])
        z = v * 1
        with pytest.warns(UserWarning, match="masked_copy"):
            assert z.masked_copy_(Variable(mask), var([5.0])) is z
        z.sum().backward()
        same(v.grad, [1, 0])

    def test_the_mask_may_be_the_tensor(self):
        m = byte([0, 1, 1])
        m.masked_fill_(m, 0)
        assert m.tolist() == [0, 0, 0]


# what, class, how to make the operands, the call
BAD = [
    ("E-73 index_select", RuntimeError, lambda: [double([1, 2]), long([0, 2])],
     lambda t, i: t.index_select(0, i)),
    ("E-73 negative", RuntimeError, lambda: [double([1, 2]), long([0, -1])],
     lambda t, i: t.index_select(0, i)),
    ("E-73 matrix of indices", RuntimeError, lambda: [double([1, 2]), long([[0, 1]])],
     lambda t, i: t.index_select(0, i)),
    ("E-73 class", TypeError, lambda: [double([1, 2]), double([0, 1])],
     lambda t, i: t.index_select(0, i)),
    ("E-61 dim", RuntimeError, lambda: [double([1, 2]), long([0, 1])],
     lambda t, i: t.index_select(1, i)),
    ("E-75 index_add_ outside", RuntimeError,
     lambda: [double([1, 2]), long([0, 2]), double([5, 6])],
     lambda t, i, s: t.index_add_(0, i, s)),
    ("E-75 index_add_ count", RuntimeError, lambda: [double([1, 2]), long([0, 1]), double([5])],
     lambda t, i, s: t.index_add_(0, i, s)),
    ("E-75 index_add_ size", RuntimeError,
     lambda: [double([[1, 2]]), long([0]), double([[1, 2, 3]])],
     lambda t, i, s: t.index_add_(0, i, s)),
    ("E-75 index_copy_ outside", RuntimeError,
     lambda: [double([1, 2]), long([0, 9]), double([5, 6])],
     lambda t, i, s: t.index_copy_(0, i, s)),
    ("E-75 index_copy_ class", TypeError,
     lambda: [double([1, 2]), long([0, 1]), torch.FloatTensor([5, 6])],
     lambda t, i, s: t.index_copy_(0, i, s)),
    ("E-75 index_fill_ outside", RuntimeError, lambda: [double([1, 2]), long([0, 9])],
     lambda t, i: t.index_fill_(0, i, 1)),
    ("E-75 scatter_ outside", RuntimeError, lambda: [double([1, 2]), long([0, 9])],
     lambda t, i: t.scatter_(0, i, 1)),
    ("E-75 scatter_ size", RuntimeError, lambda: [double([1, 2]), long([0, 1]), double([1])],
     lambda t, i, s: t.scatter_(0, i, s)),
    ("E-75 scatter_ dims", RuntimeError, lambda: [double([1, 2]), long([[0, 1]])],
     lambda t, i: t.scatter_(0, i, 1)),
    ("E-75 gather size", RuntimeError, lambda: [double([[1, 2]]), long([[0, 0, 0]])],
     lambda t, i: t.gather(0, i)),
    ("E-73 take outside", RuntimeError, lambda: [double([1, 2]), long([2])],
     lambda t, i: t.take(i)),
    ("E-73 take before", RuntimeError, lambda: [double([1, 2]), long([-3])],
     lambda t, i: t.take(i)),
    ("E-73 put_ outside", RuntimeError, lambda: [double([1, 2]), long([0, 5]), double([1, 1])],
     lambda t, i, s: t.put_(i, s)),
    ("E-75 put_ count", RuntimeError, lambda: [double([1, 2]), long([0, 1]), double([1])],
     lambda t, i, s: t.put_(i, s)),
    ("E-72 mask class", TypeError, lambda: [double([1, 2]), long([0, 1])],
     lambda t, m: t.masked_fill_(m, 1)),
    ("E-72 mask size", RuntimeError, lambda: [double([1, 2]), byte([0, 1, 1])],
     lambda t, m: t.masked_fill_(m, 1)),
    ("E-72 mask of twos", RuntimeError, lambda: [double([1, 2]), byte([0, 2])],
     lambda t, m: t.masked_fill_(m, 1)),
    ("E-74", RuntimeError, lambda: [double([1, 2]), byte([1, 1]), double([5])],
     lambda t, m, s: t.masked_scatter_(m, s)),
]  # fmt: skip


@pytest.mark.parametrize("what, error, make, call", BAD, ids=[b[0] for b in BAD])
@pytest.mark.parametrize("variables", [False, True], ids=["tensors", "Variables"])
def test_refused_before_anything_is_written(what, error, make, call, variables):
    operands = make()
    if variables:
        operands = [Variable(t) for t in operands]
    before = snapshot(*operands)
    with pytest.raises(error):
        call(*operands)
    assert snapshot(*operands) == before


# The forms that Variables have out of place and in place, and what they record.
NODES = [
    ("v.take(i)", "TakeBackward", 1),
    ("v.put_(i, s)", "PutBackward", 2),
    ("v.index_add(0, i, s)", "IndexAddBackward", 2),
    ("v.index_add_(0, i, s)", "IndexAddBackward", 2),
    ("v.index_copy(0, i, s)", "IndexCopyBackward", 2),
    ("v.index_copy_(0, i, s)", "IndexCopyBackward", 2),
    ("v.index_fill(0, i, 2)", "IndexFillBackward", 1),
    ("v.index_fill_(0, i, 2)", "IndexFillBackward", 1),
    ("v.scatter(0, i, s)", "ScatterBackward0", 2),
    ("v.scatter_(0, i, s)", "ScatterBackward0", 2),
    ("v.scatter(0, i, 2)", "ScatterBackward1", 1),
    ("v.scatter_(0, i, 2)", "ScatterBackward1", 1),
    ("v.scatter_add(0, i, s)", "ScatterAddBackward", 2),
    ("v.masked_fill(m, 2)", "MaskedFillBackward", 1),
    ("v.masked_scatter(m, s)", "MaskedScatterBackward", 2),
    ("v.masked_scatter_(m, s)", "MaskedScatterBackward", 2),
    ("v.index_select(0, i)", "IndexSelectBackward", 1),
    ("v.gather(0, i)", "GatherBackward", 1),
    ("v.masked_select(m)", "MaskedSelectBackward", 1),
]


@pytest.mark.parametrize("text, node, inputs", NODES, ids=[n[0] for n in NODES])
def test_nodes(text, node, inputs):  # graph-nodes.tsv
    x, s = leaf([1.0, 2.0, 3.0]), leaf([4.0, 5.0])
    names = {
        "v": x * 1,
        "s": s,
        "i": Variable(long([2, 0])),
        "m": Variable(byte([1, 0, 1])),
    }
    version = names["v"]._version
    y = eval(text, names)
    assert name_of(y.grad_fn) == node
    assert len(y.grad_fn.next_functions) == inputs
    in_place = "_(" in text
    assert (y is names["v"]) == in_place
    assert names["v"]._version == version + in_place
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    # Index and mask are saved, and so a third time is refused.
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.sum().backward()


@pytest.mark.parametrize("text, node, inputs", NODES, ids=[n[0] for n in NODES])
def test_a_changed_index_is_refused(text, node, inputs):
    index, mask = Variable(long([2, 0])), Variable(byte([1, 0, 1]))
    x = leaf([1.0, 2.0, 3.0])
    names = {"v": x * 1, "s": leaf([4.0, 5.0]), "i": index, "m": mask}
    y = eval(text, names)
    index.add_(0)
    mask.mul_(1)
    with pytest.raises(RuntimeError, match="inplace"):
        y.sum().backward()
    assert x.grad is None


def test_leaves_stay():
    x = leaf([1.0, 2.0])
    for call in (
        lambda: x.index_fill_(0, Variable(long([0])), 1),
        lambda: x.put_(Variable(long([0])), var([1.0])),
        lambda: x.masked_scatter_(Variable(byte([1, 0])), var([1.0])),
    ):
        with pytest.raises(RuntimeError, match="leaf"):
            call()
    same(x, [1, 2])


def test_out():  # O-7
    a = numbers(3, 4)
    i = long([2, 0])
    for call, wanted in [
        (lambda out: torch.index_select(double(a), 0, i, out=out), a[[2, 0]]),
        (lambda out: torch.take(double(a), i, out=out), a.ravel()[[2, 0]]),
        (lambda out: torch.gather(double(a), 0, i.view(1, 2), out=out), [[a[2, 0], a[0, 1]]]),
    ]:
        out = torch.DoubleTensor()
        assert call(out) is out
        same(out, wanted)
    where = long()
    assert torch.nonzero(byte([0, 1, 1]), out=where) is where
    assert where.tolist() == [[1], [2]]
    with pytest.raises(TypeError):
        torch.take(double(a), i, out=torch.FloatTensor())
