"""Indexing and assignment of raw tensors and Variables against NumPy (T-60 to T-70, A-15)."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, array, leaf, same, tensor

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def counting(shape):
    a = np.arange(int(np.prod(shape)), dtype=np.float64).reshape(shape)
    return tensor("DoubleTensor", a), a


@st.composite
def positions(draw, size):
    """An int or a slice that hits something in a dimension of this size."""
    if draw(st.booleans()):
        return draw(st.integers(-size, size - 1))
    start = draw(st.integers(0, size - 1))
    stop = draw(st.integers(start + 1, size + 2))
    step = draw(st.integers(1, 3))
    negative = draw(st.booleans())
    begin = draw(st.sampled_from([start, start - size if negative else start]))
    if start == 0:
        begin = draw(st.sampled_from([None, begin]))
    return slice(begin, draw(st.sampled_from([stop, stop if stop < size else None])), step)


@st.composite
def basic(draw):
    """A shape and an index of ints, slices, None and at most one Ellipsis."""
    shape = draw(shapes)
    used = draw(st.integers(0, len(shape)))
    front = draw(st.integers(0, used))
    index = [draw(positions(shape[d])) for d in range(front)]
    back = range(len(shape) - (used - front), len(shape))
    if back or draw(st.booleans()):
        index += [Ellipsis] + [draw(positions(shape[d])) for d in back]
    for _ in range(draw(st.integers(0, 2))):
        index.insert(draw(st.integers(0, len(index))), None)
    assume(index)
    # What an int on one dimension followed by None gives is not written down (T-39).
    ints = sum(isinstance(i, int) for i in index)
    assume(ints < len(shape) or None not in index)
    alone = len(index) == 1 and draw(st.booleans())
    return shape, index[0] if alone else tuple(index)


class TestAgainstNumPy:
    @given(basic())
    def test_tensor(self, case):  # T-60 to T-63
        shape, index = case
        t, a = counting(shape)
        got, wanted = t[index], a[index]
        if wanted.ndim == 0:
            assert type(got) is float and got == wanted
        else:
            same(got, wanted)

    @given(basic())
    def test_variable(self, case):
        shape, index = case
        t, a = counting(shape)
        v = Variable(t, requires_grad=True)
        got, wanted = v[index], a[index]
        assert isinstance(got, Variable)
        same(got, wanted.reshape(1) if wanted.ndim == 0 else wanted)
        got.sum().backward()
        grad = np.zeros_like(a)
        grad[index] = 1
        same(v.grad, grad)

    @given(basic())
    def test_result_is_a_view(self, case):  # T-61: slices share memory
        shape, index = case
        t, a = counting(shape)
        assume(a[index].ndim)
        t[index].fill_(-5)
        a[index] = -5
        same(t, a)

    @given(basic())
    def test_assign_number(self, case):  # T-69
        shape, index = case
        t, a = counting(shape)
        t[index] = -3
        a[index] = -3
        same(t, a)

    @given(basic())
    def test_assign_tensor(self, case):  # T-69
        shape, index = case
        t, a = counting(shape)
        assume(a[index].ndim)
        values = -np.arange(1.0, a[index].size + 1).reshape(a[index].shape)
        t[index] = tensor("DoubleTensor", values)
        a[index] = values
        same(t, a)

    @given(basic())
    def test_assign_variable(self, case):
        shape, index = case
        t, a = counting(shape)
        wanted = a.copy()
        part = wanted[index].reshape(1) if wanted[index].ndim == 0 else wanted[index]
        value = leaf(-np.arange(1.0, part.size + 1).reshape(part.shape))
        root = Variable(t, requires_grad=True)
        v = root * 1
        v[index] = value
        wanted[index] = array(value).reshape(wanted[index].shape)
        same(v, wanted)
        weights = np.arange(1.0, a.size + 1).reshape(a.shape)
        (v * Variable(tensor("DoubleTensor", weights))).sum().backward()
        kept = weights.copy()
        kept[index] = 0
        same(root.grad, kept)
        same(value.grad, weights[index].reshape(part.shape))

    @given(shapes, st.lists(st.integers(0, 3), min_size=1, max_size=5), st.booleans())
    def test_rows_by_long_tensor_or_list(self, shape, rows, as_list):  # T-65, T-66
        rows = [r % shape[0] for r in rows]
        t, a = counting(shape)
        got = t[rows if as_list else torch.LongTensor(rows)]
        same(got, a[rows])
        got.fill_(-1)  # a copy
        same(t, a)

    @given(shapes, st.integers(0, 2**16))
    def test_mask(self, shape, bits):  # T-64
        t, a = counting(shape)
        mask = np.array([(bits >> (i % 17)) & 1 for i in range(a.size)], np.uint8).reshape(shape)
        got = t[tensor("ByteTensor", mask)]
        wanted = a[mask.astype(bool)]
        if wanted.size:
            same(got, wanted)
        else:
            assert got.dim() == 0
        t[tensor("ByteTensor", mask)] = -1
        a[mask.astype(bool)] = -1
        same(t, a)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_reads_and_writes(name):
    t = tensor(name, [[1, 2, 3], [4, 5, 6]])
    same(t[1], np.array([4, 5, 6], dtype=CLASSES[name]))
    assert t[1, 2] == 6 and t[-1][0] == 4
    t[0, 1] = 9
    t[1, :2] = t[0, 1:]
    same(t, np.array([[1, 9, 3], [9, 3, 6]], dtype=CLASSES[name]))


def test_numpy_integers_index():  # T-60
    t, a = counting([3, 2])
    same(t[np.int64(1)], a[1])


@pytest.mark.parametrize(
    "index, error",
    [
        (3, IndexError),  # T-60, E-69
        (-4, IndexError),
        ((0, 5), IndexError),
        ((0, 0, 0), IndexError),  # T-63, E-70
        (slice(1, 1), ValueError),  # T-61, E-71
        (slice(2, 1), ValueError),
        (slice(5, 9), ValueError),
        (slice(0, 3, 0), ValueError),
        (slice(None, None, -1), ValueError),
        ((Ellipsis, 0, Ellipsis), RuntimeError),  # T-62
        (1.0, TypeError),  # T-68, E-73
        ("x", TypeError),
        (torch.LongTensor([[0]]), IndexError),  # T-65
        (torch.FloatTensor([0]), TypeError),
        (torch.LongTensor([3]), (RuntimeError, IndexError)),
        (torch.LongTensor([-1]), (RuntimeError, IndexError)),  # T-65: no wrapping
        (torch.ByteTensor([1, 0]), RuntimeError),  # E-72
    ],
    ids=str,
)
class TestErrors:
    def test_read(self, index, error):
        t, a = counting([3, 5])
        with pytest.raises(error):
            t[index]
        same(t, a)

    def test_write_changes_nothing(self, index, error):
        t, a = counting([3, 5])
        with pytest.raises((error, RuntimeError) if isinstance(error, type) else error):
            t[index] = 1
        same(t, a)


def test_index_errors_tell_index_and_size():  # E-69
    with pytest.raises(IndexError) as e:
        torch.zeros(3, 5)[7]
    assert "7" in str(e.value) and "3" in str(e.value)
    with pytest.raises(IndexError) as e:
        Variable(torch.zeros(3, 5))[0, -6]
    assert "-6" in str(e.value) and "5" in str(e.value)


def test_an_empty_tensor_has_no_elements():  # T-60
    with pytest.raises(IndexError):
        torch.FloatTensor()[0]


@pytest.mark.parametrize(
    "value", [Variable(torch.zeros(5)), "x", [1.0], None], ids=lambda x: type(x).__name__
)
def test_wrong_values(value):  # T-69, T-70
    t, a = counting([3, 5])
    with pytest.raises((RuntimeError, TypeError)):
        t[0] = value
    same(t, a)


def test_a_raw_tensor_is_no_value_for_a_variable():
    v = Variable(torch.zeros(3))
    with pytest.raises(TypeError):
        v[0] = torch.zeros(1)
    assert v._version == 0


def test_assignment_of_another_class_converts():  # T-69
    t = torch.zeros(2, 2)
    t[0] = torch.LongTensor([1, 2])
    same(t, [[1, 2], [0, 0]])


def test_assignment_broadcasts_and_falls_back():  # T-69
    t = torch.zeros(2, 3)
    t[:, 1:] = torch.FloatTensor([7, 8])
    same(t, [[0, 7, 8], [0, 7, 8]])
    t[:, :2] = torch.FloatTensor([1, 2, 3, 4])
    same(t, [[1, 2, 8], [3, 4, 8]])


def test_masked_assignment_of_a_tensor():  # T-69: masked_scatter
    t = torch.zeros(2, 2)
    t[torch.ByteTensor([[1, 0], [1, 1]])] = torch.FloatTensor([5, 6, 7])
    same(t, [[5, 0], [6, 7]])


def test_variables_index_with_variables():
    v = leaf([[1, 2], [3, 4], [5, 6]])
    rows = v[Variable(torch.LongTensor([2, 0, 2]))]
    same(rows, [[5, 6], [1, 2], [5, 6]])
    rows.sum().backward()
    same(v.grad, [[1, 1], [0, 0], [2, 2]])


def test_variables_index_with_masks():
    v = leaf([1, -2, 3])
    picked = v[v > 0]
    same(picked, [1, 3])
    (picked * picked).sum().backward()
    same(v.grad, [2, 0, 6])


def test_raw_index_tensors_are_wrapped():
    v = leaf([[1, 2], [3, 4]])
    same(v[torch.LongTensor([1])], [[3, 4]])


def test_int_on_a_one_dimensional_variable_keeps_history():
    v = leaf([1, 2, 3])
    x = v[1]
    assert isinstance(x, Variable) and x.size() == (1,)
    assert type(v.data[1]) is float
    (x * x).backward()
    same(v.grad, [0, 4, 0])


def test_iteration():
    v = leaf([1, 2, 3])
    items = list(v)
    assert [i.size() for i in items] == [(1,)] * 3
    (items[0] * items[2]).backward()
    same(v.grad, [3, 0, 1])
    assert list(torch.LongTensor([4, 5])) == [4, 5]
    assert [t.tolist() for t in torch.LongTensor([[4], [5]])] == [[4], [5]]


def test_len_and_slices_of_the_tutorial_kind():
    x = torch.arange(0, 12).view(3, 4)
    same(x[1:, ::2], [[4, 6], [8, 10]])
    same(x[..., -1], [3, 7, 11])
    assert x[None].size() == (1, 3, 4)
