"""Shapes, parts, joins and copies against NumPy (ops.tsv, groups shape/view and creation)."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, array, double, leaf, name_of, numbers, parents, same, tensor

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def var(a):
    return Variable(double(a))


def counting(name, shape):
    return np.arange(int(np.prod(shape))).astype(CLASSES[name]).reshape(shape)


class TestCopies:
    """Copies run by run and tile by tile, for every element size."""

    @given(
        st.sampled_from(list(CLASSES)),
        st.lists(st.integers(1, 40), min_size=1, max_size=3),
        st.data(),
    )
    def test_permuted(self, name, shape, data):
        order = data.draw(st.permutations(range(len(shape))))
        a = counting(name, shape)
        t = tensor(name, a).permute(*order)
        same(t.contiguous(), a.transpose(order))
        same(t.clone(), a.transpose(order))
        assert t.clone().is_contiguous()
        # Into a target with strides of its own.
        back = [order.index(d) for d in range(len(shape))]
        target = tensor(name, np.zeros_like(a)).permute(*order)
        assert target.copy_(t.contiguous()) is target
        same(target.permute(*back), a)

    @pytest.mark.parametrize("name", CLASSES)
    @pytest.mark.parametrize(
        "rows, columns", [(257, 131), (64, 64), (3, 5000), (5000, 3), (1200, 1100)]
    )
    def test_transposed(self, name, rows, columns):
        a = counting(name, (rows, columns))
        t = torch.from_numpy(a) if name != "CharTensor" else tensor(name, a)
        same(t.t().contiguous(), a.T)
        # Edges that no vector ends at, and sources that start anywhere.
        same(t[1:, 2:].t().contiguous(), a[1:, 2:].T)

    def test_past_the_cache(self):
        a = np.random.RandomState(0).randn(2100, 1031).astype(np.float32)
        t = torch.from_numpy(a)
        same(t.t().contiguous(), a.T)
        same(t.clone(), a)
        same(t[:, 1:].contiguous(), a[:, 1:])
        same(t.t()[3:].contiguous(), a.T[3:])
        target = torch.zeros(1031, 2101)
        target[:, 1:] = t.t()
        same(target[:, 1:], a.T)
        same(target[:, 0], np.zeros(1031, np.float32))
        same(torch.cat([t, t[1:]]), np.concatenate([a, a[1:]]))
        same(torch.cat([t, t[:, 5:]], 1), np.concatenate([a, a[:, 5:]], 1))

    @given(shapes, st.lists(st.integers(1, 3), min_size=4, max_size=4), st.booleans())
    def test_steps_and_repeats(self, shape, steps, turn):
        a = counting("FloatTensor", shape)
        index = tuple(slice(None, None, s) for s, _ in zip(steps, shape, strict=False))
        t = tensor("FloatTensor", a)[index].unsqueeze(0)
        wide = np.broadcast_to(a[index], (3, *a[index].shape))
        t = t.expand(3, *t.size()[1:])
        if turn:
            t, wide = t.transpose(0, -1), wide.swapaxes(0, -1)
        same(t.contiguous(), wide)

    def test_a_copy_within_one_memory(self):
        t = torch.FloatTensor([0, 1, 2, 3, 4])
        t[1:].copy_(t[:-1])
        assert t.tolist() == [0, 0, 1, 2, 3]
        t.copy_(t)
        assert t.tolist() == [0, 0, 1, 2, 3]
        m = torch.FloatTensor([[1, 2], [3, 4]])
        m.copy_(m.t())
        assert m.tolist() == [[1, 3], [2, 4]]


class TestParts:
    @given(shapes, st.integers(1, 6), st.data())
    def test_split_and_chunk(self, shape, size, data):
        dim = data.draw(st.integers(-len(shape), len(shape) - 1))
        a = numbers(*shape)
        wanted = [
            a.take(range(i, min(i + size, a.shape[dim])), dim) for i in range(0, a.shape[dim], size)
        ]
        each = -(-a.shape[dim] // size)
        chunks = [
            a.take(range(i, min(i + each, a.shape[dim])), dim) for i in range(0, a.shape[dim], each)
        ]
        for x in (double(a), var(a)):
            for parts in (torch.split(x, size, dim), x.split(size, dim), x.split(size, dim=dim)):
                assert isinstance(parts, tuple) and len(parts) == len(wanted)
                for p, w in zip(parts, wanted, strict=True):
                    same(p, w)
            for parts in (torch.chunk(x, size, dim), x.chunk(size, dim)):
                assert len(parts) == len(chunks)
                for p, w in zip(parts, chunks, strict=True):
                    same(p, w)
            for p, i in zip(torch.unbind(x, dim), range(a.shape[dim]), strict=True):
                if a.ndim > 1:
                    same(p, a.take(i, dim))

    def test_views(self):
        t = double([1, 2, 3, 4])
        t.chunk(2)[1].fill_(9)
        assert t.tolist() == [1, 2, 9, 9]

    def test_one_node_with_many_results(self):  # graph-nodes.tsv: SplitBackward
        x = leaf(numbers(5, 2))
        a, b, c = x.split(2)
        assert name_of(a.grad_fn) == "SplitBackward"
        assert a.grad_fn is b.grad_fn is c.grad_fn
        assert [p.output_nr for p in (a, b, c)] == [0, 1, 2]
        assert parents(a) == ["AccumulateGrad"]
        ((a * 2).sum() + (c * 3).sum()).backward()
        same(x.grad, [[2, 2], [2, 2], [0, 0], [0, 0], [3, 3]])
        with pytest.raises(RuntimeError, match="retain_graph"):
            a.sum().backward()

    @pytest.mark.parametrize("used", [0, 1, 2])
    def test_parts_that_nothing_is_made_of_give_zeros(self, used):
        x = leaf(numbers(5))
        x.split(2)[used].sum().backward()
        same(x.grad, np.arange(5) // 2 == used)

    def test_second_order(self):
        x = leaf([1.0, 2.0, 3.0, 4.0])
        a, b = x.chunk(2)
        (g,) = torch.autograd.grad((a * a * b).sum(), [x], create_graph=True)
        same(g, [6, 16, 1, 4])
        g.sum().backward()
        same(x.grad, [2 * 3 + 2 * 1, 2 * 4 + 2 * 2, 2 * 1, 2 * 2])

    def test_writes_to_a_part_are_tracked(self):
        x = leaf([1.0, 2.0, 3.0, 4.0])
        y = x * 1
        version = y._version
        a, b = y.chunk(2)
        a.mul_(10)
        assert y._version == version + 1
        assert name_of(y.grad_fn) == "CopySlices"
        same(y, [10, 20, 3, 4])
        (y * Variable(double([1, 2, 3, 4]))).sum().backward(retain_graph=True)
        same(x.grad, [10, 20, 3, 4])
        x.grad.data.zero_()
        (a.sum() + b.sum()).backward()
        same(x.grad, [10, 10, 1, 1])

    def test_leaf_parts_refuse_writes(self):
        x = leaf([1.0, 2.0])
        with pytest.raises(RuntimeError, match="leaf"):
            x.chunk(2)[0].add_(1)
        same(x, [1, 2])

    @pytest.mark.parametrize("call", [
        lambda t: torch.split(t, 0), lambda t: t.split(-1), lambda t: t.chunk(0),
        lambda t: torch.chunk(t, -2), lambda t: t.split(1, 5), lambda t: t.chunk(1, -3),
    ])  # fmt: skip
    def test_refused(self, call):  # E-78, E-61
        for x in (double([1, 2]), var([1.0, 2])):
            with pytest.raises((RuntimeError, ValueError)):
                call(x)

    def test_volatile(self):
        v = Variable(double([1, 2]), volatile=True)
        assert all(p.volatile for p in v.chunk(2))


class TestJoins:
    @given(shapes, st.integers(1, 4), st.data())
    def test_cat_and_stack(self, shape, count, data):
        dim = data.draw(st.integers(-len(shape), len(shape) - 1))
        parts = []
        for seed in range(count):
            own = list(shape)
            own[dim] = data.draw(st.integers(1, 4))
            parts.append(numbers(*own, seed=seed))
        wanted = np.concatenate(parts, dim)
        same(torch.cat([double(p) for p in parts], dim), wanted)
        same(torch.cat(tuple(var(p) for p in parts), dim=dim), wanted)
        out = torch.DoubleTensor()
        assert torch.cat([double(p) for p in parts], dim, out=out) is out
        same(out, wanted)
        new = data.draw(st.integers(-len(shape) - 1, len(shape)))
        equal = [numbers(*shape, seed=s) for s in range(count)]
        same(torch.stack([double(p) for p in equal], new), np.stack(equal, new))
        same(torch.stack([var(p) for p in equal], dim=new), np.stack(equal, new))

    def test_empty_tensors_are_skipped(self):
        t, none = double([1, 2]), torch.DoubleTensor()
        same(torch.cat([none, t, none, t]), [1, 2, 1, 2])
        assert torch.cat([none, none]).dim() == 0
        x = leaf([1.0, 2.0])
        torch.cat([Variable(none), x * 2, x]).sum().backward()
        same(x.grad, [3, 3])

    def test_the_target_may_be_a_part(self):
        t = double([1, 2])
        torch.cat([t, t], out=t)
        same(t, [1, 2, 1, 2])

    @pytest.mark.parametrize("error, call", [
        (RuntimeError, lambda: torch.cat([])),
        (ValueError, lambda: torch.stack([])),
        (RuntimeError, lambda: torch.cat([double([1]), double([[1, 2]])])),
        (RuntimeError, lambda: torch.cat([double([[1, 2]]), double([[1]])])),
        (RuntimeError, lambda: torch.stack([double([1]), double([1, 2])])),
        (TypeError, lambda: torch.cat([double([1]), torch.FloatTensor([1])])),
        (TypeError, lambda: torch.cat([double([1]), var([1.0])])),
        (TypeError, lambda: torch.cat(double([1]))),
        (RuntimeError, lambda: torch.cat([double([1])], 1)),
        (RuntimeError, lambda: torch.stack([double([1])], 2)),
    ])  # fmt: skip
    def test_refused(self, error, call):  # E-76, E-61
        with pytest.raises(error):
            call()

    @given(shapes, st.lists(st.integers(1, 3), min_size=4, max_size=5), st.booleans())
    def test_repeat(self, shape, times, turn):
        a = numbers(*shape)
        t = double(a)
        if turn:
            a, t = a.swapaxes(0, -1), t.transpose(0, -1)
        same(t.repeat(*times), np.tile(a, times))
        same(t.repeat(torch.Size(times)), np.tile(a, times))
        x = Variable(t, requires_grad=True)
        y = x.repeat(*times)
        assert name_of(y.grad_fn) == "RepeatBackward"
        y.sum().backward()
        same(x.grad, np.full(a.shape, np.prod(times)))

    def test_repeat_refused(self):
        for x in (double([[1, 2]]), var([[1.0, 2]])):
            for times in ((2,), (0, 1), (-1, 1)):
                with pytest.raises(RuntimeError):
                    x.repeat(*times)


class TestGeometry:
    @given(shapes, st.data())
    def test_unfold(self, shape, data):
        dim = data.draw(st.integers(0, len(shape) - 1))
        size = data.draw(st.integers(1, shape[dim]))
        step = data.draw(st.integers(1, 6))
        a = numbers(*shape)
        windows = np.lib.stride_tricks.sliding_window_view(a, size, dim)
        wanted = windows.take(range(0, windows.shape[dim], step), dim)
        t = double(a)
        y = t.unfold(dim - len(shape), size, step)
        same(y, wanted)
        assert y.data_ptr() == t.data_ptr()
        x = leaf(a)
        y = x.unfold(dim, size, step)
        assert name_of(y.grad_fn) == "UnfoldBackward"
        weights = numbers(*wanted.shape, seed=1)
        (y * var(weights)).sum().backward()
        g = np.zeros_like(a)
        for i in range(wanted.shape[dim]):
            at = [slice(None)] * a.ndim
            at[dim] = slice(i * step, i * step + size)
            g[tuple(at)] += np.moveaxis(weights.take(i, dim), -1, dim)
        np.testing.assert_allclose(array(x.grad), g, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("arguments", [(0, 4, 1), (0, 0, 1), (0, 2, 0), (1, 1, 1), (0, 2, -1)])
    def test_unfold_refused(self, arguments):
        for x in (double([1, 2, 3]), var([1.0, 2, 3])):
            with pytest.raises(RuntimeError):
                x.unfold(*arguments)

    @given(st.integers(1, 6), st.integers(1, 6), st.integers(-7, 7))
    def test_triangles(self, rows, columns, k):
        a = numbers(rows, columns)
        for t in (double(a), double(a.T).t()):
            for x in (t, Variable(t)):
                same(x.tril(k), np.tril(a, k))
                same(x.triu(k), np.triu(a, k))
                same(torch.tril(x, k), np.tril(a, k))
                same(torch.triu(x, diagonal=k), np.triu(a, k))
        t = double(a.T).t()
        assert t.tril_(k) is t
        same(t, np.tril(a, k))
        v = leaf(a) * 1
        assert v.triu_(k) is v and name_of(v.grad_fn) == "TriuBackward"
        same(v, np.triu(a, k))
        out = torch.DoubleTensor()
        assert torch.tril(double(a), k, out=out) is out
        same(out, np.tril(a, k))

    @given(st.integers(1, 5), st.integers(1, 5), st.integers(-6, 6))
    def test_diag_and_trace(self, rows, columns, k):
        a = numbers(rows, columns)
        for t in (double(a), double(a.T).t()):
            if len(np.diag(a, k)):
                same(t.diag(k), np.diag(a, k))
                same(torch.diag(Variable(t), k), np.diag(a, k))
                x = Variable(t, requires_grad=True)
                x.diag(k).sum().backward()
                same(x.grad, np.eye(rows, columns, k))
            else:
                with pytest.raises(RuntimeError):
                    t.diag(k)
            assert abs(t.trace() - np.trace(a)) < 1e-12
            assert isinstance(torch.trace(t), float)
        same(double(a[0]).diag(k), np.diag(a[0], k))
        x = leaf(a)
        y = x.trace()
        assert name_of(y.grad_fn) == "TraceBackward" and tuple(y.size()) == (1,)
        y.backward()
        same(x.grad, np.eye(rows, columns))

    def test_integer_trace(self):
        got = torch.LongTensor([[1, 2], [3, 4]]).trace()
        assert got == 5 and isinstance(got, int)

    @pytest.mark.parametrize("call", [
        lambda x: x.tril(), lambda x: x.triu(), lambda x: x.trace(), lambda x: x.t(),
    ])  # fmt: skip
    def test_matrices_only(self, call):  # E-97
        for x in (double([1, 2]), var([1.0, 2]), double([[[1]]])):
            with pytest.raises(RuntimeError):
                call(x)

    def test_permute_refused(self):  # T-45, E-97
        for dims in ((0,), (0, 0), (0, 2), (0, 1, 2)):
            with pytest.raises(AssertionError, match="Invalid permutation"):
                double([[1, 2]]).permute(*dims)
            with pytest.raises(RuntimeError):
                var([[1.0, 2]]).permute(*dims)

    def test_as_others(self):
        a = numbers(2, 3)
        for x, like in ((double(a), double(numbers(3, 2))), (var(a), var(numbers(3, 2)))):
            same(x.view_as(like), a.reshape(3, 2))
            same(
                x.unsqueeze(0).expand_as(x.unsqueeze(0).expand(4, 2, 3)),
                np.broadcast_to(a, (4, 2, 3)),
            )
        x = leaf(a)
        assert name_of(x.view_as(var(numbers(6))).grad_fn) == "ViewBackward"
        assert name_of(x.expand_as(var(numbers(2, 2, 3))).grad_fn) == "ExpandBackward"

    def test_resize(self):  # Variables only; deprecated
        x = leaf(numbers(2, 3))
        with pytest.warns(UserWarning, match="resize"):
            y = x.resize(3, 2)
        assert name_of(y.grad_fn) == "ResizeBackward"
        same(y, array(x).reshape(3, 2))
        with pytest.warns(UserWarning, match="resize"):
            z = x.resize_as(var(numbers(6)))
        (y.sum() * 2 + z.sum()).backward()
        same(x.grad, np.full((2, 3), 3))
        with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="6"):
            x.resize(4)
        assert not hasattr(double([1]), "resize")

    def test_slice(self):
        a = numbers(5, 4)
        x = leaf(a)
        same(x.slice(1, 4), a[1:4])
        same(x.slice(start=-3, step=2), a[-3::2])
        same(x.slice(0, 3, 2, 1), a[:, 0:3:2])
        x.slice(2).sum().backward()
        same(x.grad, (np.arange(5) >= 2)[:, None] * np.ones((5, 4)))
        with pytest.raises(RuntimeError):
            x.slice(0, 3, 0)

    def test_squeeze_and_unsqueeze_out(self):
        out = torch.DoubleTensor()
        assert torch.unsqueeze(double([1, 2]), 0, out=out) is out
        same(out, [[1, 2]])
        out = torch.DoubleTensor()
        torch.squeeze(double([[1, 2]]), out=out)
        same(out, [1, 2])


class TestRanges:
    def test_values(self):
        same(torch.eye(3), np.eye(3, dtype=np.float32))
        same(torch.eye(2, 4), np.eye(2, 4, dtype=np.float32))
        same(torch.arange(5), np.arange(5, dtype=np.float32))
        same(torch.arange(1, 2.5, 0.5), np.float32([1, 1.5, 2]))
        same(torch.arange(3, 0, -1), np.float32([3, 2, 1]))
        same(torch.linspace(0, 1, 5), np.linspace(0, 1, 5, dtype=np.float32))
        assert torch.linspace(-3, 10).size(0) == 100
        assert torch.linspace(2, 2, 1).tolist() == [2]
        same(torch.logspace(-1, 2, 4, out=torch.DoubleTensor()), np.logspace(-1, 2, 4))
        assert torch.logspace(0, 1).size(0) == 100
        assert torch.logspace(3, 3, steps=1).tolist() == [1000]

    def test_out(self):
        for make, wanted in [
            (lambda out: torch.arange(0, 4, out=out), [0, 1, 2, 3]),
            (lambda out: torch.eye(2, out=out), [[1, 0], [0, 1]]),
        ]:
            for name in ("LongTensor", "ByteTensor", "DoubleTensor"):
                out = getattr(torch, name)()
                assert make(out) is out
                assert out.tolist() == wanted

    def test_range_is_closed_and_deprecated(self):
        with pytest.warns(UserWarning, match="arange"):
            same(torch.range(1, 3), np.float32([1, 2, 3]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = torch.LongTensor()
            assert torch.range(0, 6, 3, out=out) is out
        assert out.tolist() == [0, 3, 6]

    @pytest.mark.parametrize("error, call", [
        (RuntimeError, lambda: torch.arange(0, 5, 0)),
        (RuntimeError, lambda: torch.arange(0, 5, -1)),
        (RuntimeError, lambda: torch.arange(5, 0)),
        (RuntimeError, lambda: torch.linspace(0, 1, 0)),
        (RuntimeError, lambda: torch.linspace(0, 1, 1)),
        (RuntimeError, lambda: torch.logspace(0, 1, 1)),
        (TypeError, lambda: torch.linspace(0, 1, 3, out=torch.LongTensor())),
        (TypeError, lambda: torch.logspace(0, 1, 3, out=torch.LongTensor())),
        (RuntimeError, lambda: torch.eye(0)),
        (TypeError, lambda: torch.arange("a")),
    ])  # fmt: skip
    def test_refused(self, error, call):  # E-96
        with pytest.raises(error):
            call()

    def test_likes(self):
        x = leaf(numbers(2, 3))
        for make, value in ((torch.zeros_like, 0), (torch.ones_like, 1)):
            y = make(x)
            assert isinstance(y, Variable) and not y.requires_grad and not y.volatile
            same(y, np.full((2, 3), value))
            assert make(torch.LongTensor([1])).type() == "torch.LongTensor"
