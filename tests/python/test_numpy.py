"""The NumPy bridge: shared, copied or refused, in both directions (T-25, T-30, T-85 to T-90)."""

import gc
import sys
import weakref

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, same, tensor

SHARED = {
    "DoubleTensor": np.float64,
    "FloatTensor": np.float32,
    "LongTensor": np.int64,
    "IntTensor": np.int32,
    "ShortTensor": np.int16,
    "ByteTensor": np.uint8,
}
each = pytest.mark.parametrize("name", SHARED)

LAYOUTS = {
    "rows": lambda a: a,
    "columns": lambda a: np.asfortranarray(a),
    "transposed": lambda a: a.T,
    "offset": lambda a: a[1:, 1:],
    "steps": lambda a: a[::2, ::2],
    "broadcast": lambda a: np.lib.stride_tricks.as_strided(a, (3, 2), (0, a.itemsize)),
    "one": lambda a: a[:1, 0],
}


@each
@pytest.mark.parametrize("layout", LAYOUTS)
def test_from_numpy_shares_memory(name, layout):  # T-85
    a = LAYOUTS[layout](np.arange(24, dtype=SHARED[name]).reshape(4, 6))
    t = torch.from_numpy(a)
    assert t.type() == f"torch.{name}"
    same(t, a)
    assert t.data_ptr() == a.__array_interface__["data"][0]
    a[(0,) * a.ndim] = 77
    assert t[(0,) * a.ndim] == 77
    t.fill_(5)
    assert (a == 5).all()


@each
@pytest.mark.parametrize(
    "view", [lambda t: t, lambda t: t.t(), lambda t: t[1:, ::2], lambda t: t[:, 1]]
)
def test_numpy_shares_memory(name, view):  # T-85
    t = view(tensor(name, np.arange(12).reshape(3, 4)))
    a = t.numpy()
    assert isinstance(a, np.ndarray) and a.dtype == SHARED[name]
    assert a.shape == tuple(t.size()) and a.flags.writeable
    assert a.__array_interface__["data"][0] == t.data_ptr()
    a[...] = 3
    same(t, np.full(a.shape, 3, a.dtype))
    t.fill_(4)
    assert (a == 4).all()


@each
def test_round_trip(name):
    a = np.arange(6, dtype=SHARED[name])
    b = torch.from_numpy(a).numpy()
    b[2] = 99
    assert a[2] == 99


@pytest.mark.parametrize(
    "make, word",
    [
        (lambda: np.zeros(3, bool), "bool"),
        (lambda: np.zeros(3, np.int8), "int8"),
        (lambda: np.zeros(3, np.uint16), "uint16"),
        (lambda: np.zeros(3, np.uint32), "uint32"),
        (lambda: np.zeros(3, np.uint64), "uint64"),
        (lambda: np.zeros(3, np.complex64), "complex"),
        (lambda: np.array([None, 1]), "object"),
        (lambda: np.array(["a"]), None),
        (lambda: np.arange(3)[::-1], "stride"),
        (lambda: np.zeros((2, 3))[:, ::-1], "stride"),
        (lambda: np.zeros(0), None),
        (lambda: np.zeros((2, 0)), None),
        (lambda: [1, 2], "list"),
        (lambda: torch.zeros(2), "FloatTensor"),
    ],
)
def test_refused_arrays(make, word):  # T-30, E-83
    with pytest.raises(RuntimeError, match=word):
        torch.from_numpy(make())


def test_a_structured_array_with_odd_strides():  # strides that are no whole elements
    record = np.zeros(4, dtype=[("a", np.uint8), ("b", "<f4")])
    try:
        t = torch.from_numpy(record["b"])
    except RuntimeError as e:
        assert "stride" in str(e)
    else:
        same(t, record["b"])


def test_read_only_arrays_are_copied():  # T-85
    a = np.arange(3.0)
    a.setflags(write=False)
    t = torch.from_numpy(a)
    t.fill_(9)
    assert a.tolist() == [0, 1, 2]
    same(t, [9, 9, 9])


@pytest.mark.parametrize("kind", [">f8", ">i4", ">i2"])
def test_byte_swapped_arrays_are_copied(kind):  # T-85
    a = np.arange(3).astype(kind)
    t = torch.from_numpy(a)
    same(t, a.astype(a.dtype.newbyteorder("=")))
    t.fill_(9)
    assert a.tolist() == [0, 1, 2]


@each
def test_constructor_shares_the_same_element_type(name):  # T-25
    a = np.arange(6, dtype=SHARED[name]).reshape(2, 3)
    t = getattr(torch, name)(a)
    t[0, 0] = 50
    assert a[0, 0] == 50


def test_constructor_converts_other_types():  # T-25
    a = np.arange(3)
    t = torch.FloatTensor(a)
    t.fill_(7)
    assert a.tolist() == [0, 1, 2]
    same(torch.LongTensor(np.float64([1.9, -1.9])), [1, -1])


def test_empty():  # T-87
    assert torch.FloatTensor().numpy().shape == (0,)


def test_char_has_no_array():  # T-87
    with pytest.raises((RuntimeError, AttributeError, TypeError)):
        torch.CharTensor([1]).numpy()


@pytest.mark.parametrize("name", CLASSES)
def test_asarray(name):  # T-88
    if name != "CharTensor":
        a = np.asarray(tensor(name, [[1, 2], [3, 4]]))
        assert a.dtype == CLASSES[name] and a.tolist() == [[1, 2], [3, 4]]
        b = np.array(tensor(name, [1, 2]), dtype=np.float64)
        assert b.dtype == np.float64


def test_variables_have_no_array():  # T-89, E-84
    v = Variable(torch.ones(2))
    with pytest.raises(AttributeError):
        _ = v.numpy
    same(v.data, v.data.numpy())


def test_the_tensor_keeps_the_array_alive():  # T-90
    class Watched(np.ndarray):
        pass

    a = Watched((1000,))
    a[:] = np.arange(1000.0)
    died = weakref.ref(a)
    t = torch.from_numpy(a)
    del a
    gc.collect()
    assert died() is not None
    assert t.sum() == 499500
    view = t[10:]
    del t
    gc.collect()
    assert died() is not None and view[0] == 10
    del view
    gc.collect()
    assert died() is None


def test_the_array_keeps_the_tensor_alive():  # T-90
    a = torch.arange(0, 100000)[5:].numpy()
    gc.collect()
    churn = [torch.zeros(100000) for _ in range(8)]
    assert a[0] == 5 and a[-1] == 99999
    assert len(churn) == 8


def test_nothing_is_left_behind():
    a = np.zeros(10)
    before = sys.getrefcount(a)
    for _ in range(100):
        torch.from_numpy(a)
    assert sys.getrefcount(a) == before


@pytest.mark.parametrize("make", ["from_numpy", "numpy"])
def test_shared_storage_is_not_resized(make):  # T-86, E-82
    t = torch.from_numpy(np.zeros(2)) if make == "from_numpy" else torch.DoubleTensor(2)
    kept = t.numpy()
    with pytest.raises(RuntimeError, match="resiz"):
        t.resize_(100)
    assert t.size() == (2,) and kept.shape == (2,)


def test_a_variable_over_numpy_trains_in_place():
    a = np.float32([1, 2])
    v = Variable(torch.from_numpy(a), requires_grad=True)
    (v * v).sum().backward()
    v.data.add_(-0.5, v.grad.data)
    assert a.tolist() == [0, 0]


@pytest.mark.parametrize("n", [1, 3, 1000])
def test_from_numpy_of_a_zero_dimensional_or_small_array(n):
    same(torch.from_numpy(np.arange(float(n))), np.arange(float(n)))
