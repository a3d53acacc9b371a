"""Sizes, strides, sharing, contiguity, shape operations of raw tensors (T-35 to T-45)."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgrad as torch
from support import CLASSES, array, same, tensor


def counting(*shape):
    """A LongTensor 0, 1, 2, … of this shape, and its NumPy twin."""
    a = np.arange(int(np.prod(shape))).reshape(shape)
    return torch.LongTensor(a.tolist()), a


def test_size_is_a_tuple_of_its_own():  # T-35
    s = torch.zeros(2, 3).size()
    assert isinstance(s, tuple) and type(s) is torch.Size
    assert repr(s) == "torch.Size([2, 3])"
    assert repr(torch.Size([])) == "torch.Size([])"
    four = (4,)
    for t in (s[:1], s + four, s * 2):
        assert type(t) is torch.Size
    assert s + four == (2, 3, 4)
    with pytest.raises(TypeError):
        torch.Size([1.5])


def test_size_survives_copies():
    s = torch.Size([2, 3])
    assert copy.deepcopy(s) == s
    again = pickle.loads(pickle.dumps(s))
    assert again == s and type(again) is torch.Size


def test_queries():  # T-36
    t, _ = counting(2, 3, 4)
    assert t.size(1) == t.size(-2) == 3
    assert t.shape == t.size()
    assert t.stride() == (12, 4, 1)
    assert t.stride(0) == 12 and t.stride(-1) == 1
    assert t.dim() == t.ndimension() == 3
    assert t.numel() == t.nelement() == torch.numel(t) == 24
    assert len(t) == 2
    assert t.storage_offset() == 0
    assert t[1].storage_offset() == 12
    assert isinstance(t.data_ptr(), int)
    assert t[1].data_ptr() == t.data_ptr() + 12 * t.element_size()
    assert not t.is_cuda


@pytest.mark.parametrize("dim", [3, -4])
def test_size_of_a_missing_dimension(dim):  # E-61
    with pytest.raises((RuntimeError, IndexError)) as e:
        torch.zeros(2, 3, 4).size(dim)
    assert str(dim) in str(e.value)


VIEWS = [
    ("view", lambda t: t.view(4, 6), lambda a: a.reshape(4, 6)),
    ("view -1", lambda t: t.view(-1, 2), lambda a: a.reshape(-1, 2)),
    ("view list", lambda t: t.view([3, 8]), lambda a: a.reshape(3, 8)),
    ("view Size", lambda t: t.view(torch.Size([24])), lambda a: a.reshape(24)),
    ("transpose", lambda t: t.transpose(0, 2), lambda a: a.swapaxes(0, 2)),
    ("transpose -1", lambda t: t.transpose(-1, 0), lambda a: a.swapaxes(-1, 0)),
    ("torch.transpose", lambda t: torch.transpose(t, 1, 2), lambda a: a.swapaxes(1, 2)),
    ("t", lambda t: t[0].t(), lambda a: a[0].T),
    ("torch.t", lambda t: torch.t(t[1]), lambda a: a[1].T),
    ("narrow", lambda t: t.narrow(1, 1, 2), lambda a: a[:, 1:3]),
    ("narrow -1", lambda t: t.narrow(-1, 2, 1), lambda a: a[:, :, 2:3]),
    ("select", lambda t: t.select(1, 2), lambda a: a[:, 2]),
    ("select -1", lambda t: t.select(2, -1), lambda a: a[:, :, -1]),
    ("unsqueeze", lambda t: t.unsqueeze(1), lambda a: a[:, None]),
    ("unsqueeze end", lambda t: t.unsqueeze(3), lambda a: a[..., None]),
    ("unsqueeze -1", lambda t: t.unsqueeze(-1), lambda a: a[..., None]),
    ("squeeze", lambda t: t.narrow(0, 1, 1).squeeze(), lambda a: a[1]),
    ("squeeze dim", lambda t: t.narrow(1, 1, 1).squeeze(1), lambda a: a[:, 1]),
    ("squeeze other", lambda t: t.squeeze(1), lambda a: a),
    ("int", lambda t: t[1], lambda a: a[1]),
    ("slice", lambda t: t[:, 1:], lambda a: a[:, 1:]),
    ("step", lambda t: t[:, :, ::2], lambda a: a[:, :, ::2]),
    ("chain", lambda t: t.transpose(0, 2)[1:, 1], lambda a: a.swapaxes(0, 2)[1:, 1]),
]


@pytest.mark.parametrize("_, view, expected", VIEWS, ids=[v[0] for v in VIEWS])
class TestViews:
    def test_value(self, _, view, expected):
        t, a = counting(2, 3, 4)
        same(view(t), expected(a))

    def test_shares_storage(self, _, view, expected):  # T-43
        t, a = counting(2, 3, 4)
        view(t).fill_(-7)
        expected(a)[...] = -7
        same(t, a)

    def test_strides_are_those_of_numpy(self, _, view, expected):
        t, a = counting(2, 3, 4)
        v, w = view(t), expected(a)
        strides = tuple(s // 8 for s in w.strides)
        # The stride of a size-one dimension has no meaning.
        assert all(x == y for x, y, n in zip(v.stride(), strides, w.shape, strict=True) if n != 1)


def test_squeeze_stays_one_dimensional():  # T-39
    assert torch.ones(1, 1, 1).squeeze().size() == (1,)
    assert torch.ones(1).squeeze(0).size() == (1,)


def test_select_on_one_dimension_gives_a_number():  # T-39
    value = torch.LongTensor([4, 5]).select(0, 1)
    assert type(value) is int and value == 5


@pytest.mark.parametrize("dim", [3, -4])
@pytest.mark.parametrize("call", ["squeeze", "unsqueeze", "sum", "select", "narrow", "transpose"])
def test_a_dimension_out_of_range(call, dim):  # E-61, O-5
    t = torch.zeros(2, 3, 4)
    dim = dim + (1 if call == "unsqueeze" and dim > 0 else 0)
    dim = dim - (1 if call == "unsqueeze" and dim < 0 else 0)
    more = {"select": (0,), "narrow": (0, 1), "transpose": (0,)}.get(call, ())
    with pytest.raises(RuntimeError) as e:
        getattr(t, call)(dim, *more)
    assert str(dim) in str(e.value)


@pytest.mark.parametrize(
    "make, contiguous",
    [
        (lambda t: t, True),
        (lambda t: t[1], True),
        (lambda t: t[:, :2], False),
        (lambda t: t[:1, :2], True),
        (lambda t: t.t(), False),
        (lambda t: t[:, :1], False),
        (lambda t: t[:1].t(), True),
        (lambda t: t.t().t(), True),
        (lambda t: t[:, 0], False),
        (lambda t: t.unsqueeze(1), True),
    ],
)
def test_contiguity(make, contiguous):  # T-37
    assert make(torch.zeros(3, 4)).is_contiguous() is contiguous


def test_contiguous_copies_only_when_needed():
    t, a = counting(2, 3)
    assert t.contiguous().data_ptr() == t.data_ptr()
    c = t.t().contiguous()
    assert c.is_contiguous() and c.data_ptr() != t.data_ptr()
    same(c, a.T)


@pytest.mark.parametrize(
    "view, words",
    [
        (lambda t: t.t().view(6), ["contiguous"]),  # E-65
        (lambda t: t.view(4), ["4", "6"]),  # E-66
        (lambda t: t.view(-1, 4), ["4", "6"]),
        (lambda t: t.view(-1, -1), ["one"]),  # E-67
        (lambda t: t.view(-2, -3), []),
    ],
)
def test_view_errors(view, words):  # T-38
    with pytest.raises(RuntimeError) as e:
        view(torch.zeros(2, 3))
    assert all(w in str(e.value) for w in words)


@pytest.mark.parametrize(
    "shape, to, expected",
    [
        ((3, 1), (3, 4), (3, 4)),
        ((3, 1), (-1, 4), (3, 4)),
        ((3,), (2, 3), (2, 3)),
        ((1,), (2, 3, 4), (2, 3, 4)),
        ((2, 1, 3), (5, -1, 4, -1), (5, 2, 4, 3)),
    ],
)
def test_expand_copies_nothing(shape, to, expected):  # T-40
    t, a = counting(*shape)
    e = t.expand(*to)
    same(e, np.broadcast_to(a, expected))
    assert e.data_ptr() == t.data_ptr()
    assert not e.is_contiguous()
    same(t.expand(to), np.broadcast_to(a, expected))
    same(t.expand_as(torch.zeros(*expected)), np.broadcast_to(a, expected))
    assert all(s == 0 for s, n in zip(e.stride()[::-1], shape[::-1], strict=False) if n == 1)


@pytest.mark.parametrize("shape, to", [((2, 3), (2, 4)), ((2, 3), (3,)), ((2, 3), (-1, 2, 3))])
def test_expand_errors(shape, to):  # E-68
    with pytest.raises(RuntimeError) as e:
        torch.zeros(*shape).expand(*to)
    assert "3" in str(e.value)


@pytest.mark.parametrize("call", [lambda t: t.t(), lambda t: torch.t(t)])
@pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
def test_t_is_for_matrices(call, shape):  # E-97
    with pytest.raises(RuntimeError, match="2"):
        call(torch.zeros(*shape))


@pytest.mark.parametrize("start, length", [(0, 4), (3, 1), (-1, 1), (1, 3), (0, 0)])
def test_narrow_stays_inside(start, length):  # E-69
    with pytest.raises(RuntimeError):
        torch.zeros(3).narrow(0, start, length)


@pytest.mark.parametrize("name", CLASSES)
def test_clone_owns_its_memory(name):
    t = tensor(name, [[1, 2], [3, 4]])
    c = t.t().clone()
    same(c, array(t).T)
    c.fill_(0)
    assert t[0][0] == 1


SEQUENCES = [
    ("dim 0", [(2, 3), (1, 3)], 0),
    ("dim 1", [(2, 3), (2, 1), (2, 2)], 1),
    ("dim -1", [(2, 1, 2), (2, 1, 3)], -1),
    ("one", [(2, 2)], 0),
]


@pytest.mark.parametrize("_, shapes, dim", SEQUENCES, ids=[s[0] for s in SEQUENCES])
@pytest.mark.parametrize("name", ["ByteTensor", "LongTensor", "FloatTensor"])
def test_cat(name, _, shapes, dim):
    arrays = [np.arange(np.prod(s)).reshape(s).astype(CLASSES[name]) for s in shapes]
    t = torch.cat([tensor(name, a) for a in arrays], dim)
    assert t.type() == f"torch.{name}"
    same(t, np.concatenate(arrays, dim))


def test_cat_skips_empty_tensors():  # O-16
    same(torch.cat([torch.FloatTensor(), torch.ones(2)]), [1, 1])


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
def test_stack(dim):
    (t, a), (u, b) = counting(2, 3), counting(2, 3)
    u.add_(10)
    same(torch.stack([t, u], dim), np.stack([a, b + 10], dim))


def test_cat_of_different_sizes():  # E-76
    with pytest.raises(RuntimeError) as e:
        torch.cat([torch.zeros(2, 3), torch.zeros(2, 4)])
    assert "3" in str(e.value) and "4" in str(e.value)
    with pytest.raises(RuntimeError):
        torch.stack([torch.zeros(2), torch.zeros(3)])
    with pytest.raises(ValueError):
        torch.stack([])


def test_cat_of_different_classes():  # E-14
    with pytest.raises(TypeError):
        torch.cat([torch.FloatTensor(2), torch.DoubleTensor(2)])


def test_resize_keeps_storage_order():  # T-41; `same` would fix the storage (T-86)
    t, _ = counting(2, 3)
    assert t.resize_(3, 2) is t
    assert t.tolist() == [[0, 1], [2, 3], [4, 5]]
    t.resize_(4)
    assert t.tolist() == [0, 1, 2, 3]
    t.resize_(3, 3)
    assert t[0].tolist() == [0, 1, 2] and t[1, 0] == 3 and t.size() == (3, 3)


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=5).flatmap(
        lambda shape: st.tuples(
            st.just(shape),
            st.lists(
                st.tuples(st.integers(0, len(shape) - 1), st.integers(0, len(shape) - 1)),
                max_size=3,
            ),
        )
    )
)
def test_transposed_tensors_compute_as_in_numpy(case):
    shape, swaps = case
    t, a = counting(*shape)
    for i, j in swaps:
        t, a = t.transpose(i, j), a.swapaxes(i, j)
    same(t, a)
    same(t.contiguous(), a)
    same(t + t.clone(), a + a)
    same(t.contiguous().view(-1), a.ravel())
    assert t.sum() == a.sum()
