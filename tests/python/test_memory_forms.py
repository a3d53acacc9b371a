"""Variables in other memory and geometry: set_, as_strided, index; sizes with ints of NumPy."""

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import array, leaf


def counted(n):
    return torch.DoubleTensor(list(range(n)))


def gradient(make, x):
    """The gradient of the sum of squares of `make(x)`."""
    (make(x) ** 2).sum().backward()
    return array(x.grad).tolist()


# --- as_strided -----------------------------------------------------------------------------------


def test_as_strided_counts_in_the_storage():
    x = Variable(counted(6)[2:])
    assert array(x.as_strided((2,), (1,))).tolist() == [2, 3]
    assert array(x.as_strided((2,), (2,), 0)).tolist() == [0, 2]
    assert array(x.as_strided(size=[2, 2], stride=[1, 2], storage_offset=1)).tolist() == [
        [1, 3],
        [2, 4],
    ]


def test_as_strided_is_a_view_with_a_way_back():
    x = Variable(counted(6), requires_grad=True)
    y = x.as_strided((2, 2), (3, 1), 1)
    assert type(y.grad_fn).__name__ == "AsStridedBackward"
    assert gradient(lambda x: x.as_strided((2, 2), (3, 1), 1), x) == [0, 2, 4, 0, 8, 10]
    v = Variable(counted(4))
    v.as_strided((2,), (2,)).fill_(9)
    assert array(v).tolist() == [9, 1, 9, 3]


def test_as_strided_of_a_view_reaches_what_it_is_a_view_of():
    x = Variable(counted(6), requires_grad=True)
    base = x * 1
    part = base[2:4]
    (part.as_strided((2,), (1,), 4) ** 2).sum().backward()
    assert array(x.grad).tolist() == [0, 0, 0, 0, 8, 10]


@pytest.mark.parametrize(
    "arguments",
    [((2, 2), (1,)), ((2,), (-1,)), ((2,), (1,), -2), ((7,), (1,)), ((2,), (5,), 2)],
)
def test_as_strided_refuses_what_is_no_place(arguments):
    v = Variable(counted(6))
    with pytest.raises(RuntimeError, match="as_strided"):
        v.as_strided(*arguments)
    with pytest.raises(RuntimeError, match="as_strided"):
        v.as_strided_(*arguments)
    assert array(v).tolist() == [0, 1, 2, 3, 4, 5]


def test_as_strided_refuses_elements_that_get_no_gradient():
    x = Variable(counted(6)[2:4], requires_grad=True)
    with pytest.raises(RuntimeError, match="gradients cannot flow"):
        x.as_strided((2,), (1,), 0)
    assert array(Variable(x.data).as_strided((2,), (1,), 0)).tolist() == [0, 1]


def test_as_strided_in_place():
    x = Variable(counted(6), requires_grad=True)
    y = x * 1
    assert y.as_strided_((2, 2), (1, 2)) is y and y.size() == (2, 2)
    (y**2).sum().backward()
    assert array(x.grad).tolist() == [0, 2, 4, 6, 0, 0]
    with pytest.raises(RuntimeError, match="leaf"):
        x.as_strided_((2,), (1,))


# --- set_ (A-47) ----------------------------------------------------------------------------------


def test_set_of_variables():
    storage = torch.DoubleStorage([1, 2, 3, 4])
    v, data = Variable(counted(2)), None
    data = v.data
    assert v.set_(storage) is v and v.data is data
    assert array(v).tolist() == [1, 2, 3, 4]
    assert array(v.set_(storage, 1, (2,), (2,))).tolist() == [2, 4]
    other = Variable(counted(3))
    assert array(v.set_(other)).tolist() == [0, 1, 2]
    v.data[0] = 7
    assert other.data[0] == 7
    assert v.set_().dim() == 0


def test_set_needs_a_leaf_without_gradient():
    x = leaf([1.0, 2.0])
    plain = Variable(counted(2))
    for v in (x, x * 2, plain[:1]):
        before = array(v).tolist()
        with pytest.raises(RuntimeError, match="set_: only leaves"):
            v.set_(Variable(torch.FloatTensor([5])))
        assert array(v).tolist() == before


@pytest.mark.parametrize("make", [counted, lambda n: Variable(counted(n))])
def test_set_takes_one_source(make):
    t, storage = make(2), torch.DoubleStorage([1, 2])
    with pytest.raises(TypeError, match="several"):
        t.set_(storage, storage=storage)
    with pytest.raises(TypeError, match="set_"):
        t.set_(source=torch.FloatTensor(2))
    assert array(t).tolist() == [0, 1]


def test_resize_takes_sizes_once():
    t = counted(4)
    assert t.resize_(size=(2, 2)) is t and t.size() == (2, 2)
    with pytest.raises(TypeError, match="resize_"):
        t.resize_(4, size=(4,))
    with pytest.raises(TypeError, match="resize_"):
        t.resize_(size=1.5)


# --- index ----------------------------------------------------------------------------------------


def test_index_is_what_stands_in_brackets():
    m = counted(6).view(2, 3)
    rows, columns = torch.LongTensor([1, 0]), torch.LongTensor([2, 0])
    assert array(m.index(rows)).tolist() == array(m[rows]).tolist()
    x = Variable(m, requires_grad=True)
    picked = x.index([Variable(rows), Variable(columns)])
    assert array(picked).tolist() == [5, 0]
    assert gradient(lambda x: x.index((Variable(rows), Variable(columns))), x) == [
        [0, 0, 0],
        [0, 0, 10],
    ]


# --- None and numbers of NumPy as arguments -------------------------------------------------------


def test_clamp_of_variables_leaves_a_bound_out():
    v = Variable(counted(5))
    wanted = [0, 1, 2, 2, 2]
    for y in (
        v.clamp(None, 2),
        v.clamp(min=None, max=2),
        torch.clamp(v, None, 2),
        torch.clamp(input=v, max=2),
        v.clone().clamp_(None, 2),
    ):
        assert array(y).tolist() == wanted
    assert array(v.clamp(2, None)).tolist() == [2, 2, 2, 3, 4]
    for call in (v.clamp, lambda *a: torch.clamp(v, *a), v.clamp_):
        for arguments in ((), (None,), (None, None)):
            with pytest.raises(ValueError, match="clamp"):
                call(*arguments)
    x = Variable(counted(5), requires_grad=True)
    assert gradient(lambda x: x.clamp(None, 2), x) == [0, 2, 0, 0, 0]


def test_sizes_of_tensors_are_ints():
    # O-8: matched by type on tensors; Variables take what Python takes as an index.
    two = np.int64(2)
    t = counted(4)
    for call in (lambda: t.view(two, two), lambda: t.view([two, two]), lambda: t.view((2, two))):
        with pytest.raises(TypeError, match="view"):
            call()
    assert Variable(t).view([two, 2]).size() == (2, 2)
    assert Variable(t).view(two, 2).size() == (2, 2)
