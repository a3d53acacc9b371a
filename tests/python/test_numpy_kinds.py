"""Every kind of array and every way NumPy looks at a tensor (T-25, T-30, T-85 to T-90, T-123)."""

import gc

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, same

SHARED = {
    "DoubleTensor": np.float64,
    "FloatTensor": np.float32,
    "HalfTensor": np.float16,
    "LongTensor": np.int64,
    "IntTensor": np.int32,
    "ShortTensor": np.int16,
    "ByteTensor": np.uint8,
}
OTHERS = [np.bool_, np.int8, np.uint16, np.uint32, np.uint64, np.longdouble]
REFUSED = [np.complex64, np.complex128, object, "U3", "S3", "M8[s]", "m8[s]", [("a", "f4")]]
each = pytest.mark.parametrize("name", SHARED)


class Sub(np.ndarray):
    """A subclass."""


def shares(t, a):
    return t.data_ptr() == a.__array_interface__["data"][0]


KINDS = {
    "plain": lambda a: a,
    "fortran": np.asfortranarray,
    "sliced": lambda a: a[1:, ::2],
    "transposed": lambda a: a.T,
    "one element": lambda a: a[:1, :1],
    "one element, turned": lambda a: a[:1, :1][::-1],
    "masked": lambda a: np.ma.array(a, mask=a == 0),
    "subclass": lambda a: a.view(Sub),
    "matrix-like": lambda a: a.reshape(1, *a.shape),
    "repeated": lambda a: np.lib.stride_tricks.as_strided(a, (2, 3), (0, a.itemsize)),
}


@each
@pytest.mark.parametrize("kind", KINDS)
def test_shared_by_from_numpy_and_by_the_class(name, kind):  # T-25, T-85
    a = KINDS[kind](np.arange(12).reshape(3, 4).astype(SHARED[name]))
    for t in (torch.from_numpy(a), getattr(torch, name)(a)):
        assert type(t) is getattr(torch, name)
        assert shares(t, a) and tuple(t.size()) == a.shape
        assert t.tolist() == np.asarray(a).tolist()


@each
def test_a_number_without_dimensions_is_one_element(name):
    a = np.array(5, SHARED[name])
    t = torch.from_numpy(a)
    assert t.tolist() == [5]
    t[0] = 6
    assert a == 6


# Single bytes have no order, so there is nothing to swap in them.
@pytest.mark.parametrize(
    "name, kind",
    [(name, "read-only") for name in SHARED]
    + [(name, "byte-swapped") for name in SHARED if name != "ByteTensor"],
)
def test_copied(name, kind):  # T-85
    a = np.arange(1, 4).astype(SHARED[name])
    if kind == "read-only":
        a.setflags(write=False)
    else:
        a = a.astype(a.dtype.newbyteorder("S"))
    for t in (torch.from_numpy(a), getattr(torch, name)(a)):
        assert t.tolist() == [1, 2, 3]
        t.zero_() if name != "HalfTensor" else t.copy_(torch.zeros(3))
    assert a.tolist() == [1, 2, 3]


@pytest.mark.parametrize("dtype", OTHERS + REFUSED, ids=str)
def test_types_without_a_class(dtype):  # T-30, E-83
    a = np.zeros(2, dtype)
    with pytest.raises(RuntimeError, match="float64, float32") as e:
        torch.from_numpy(a)
    assert str(a.dtype) in str(e.value)


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
@pytest.mark.parametrize("name", [*CLASSES, "HalfTensor"])
def test_other_numbers_are_converted_by_the_class(name, dtype):  # T-25
    a = np.array([[0, 1], [1, 0]]).astype(dtype)
    t = getattr(torch, name)(a)
    assert t.tolist() == [[0, 1], [1, 0]]
    t[0][0] = 1
    # int8 is the element type of CharTensor, so that one shares.
    assert a[0, 0] == (name == "CharTensor" and dtype is np.int8)


@pytest.mark.parametrize("dtype", REFUSED, ids=str)
def test_what_is_no_number_makes_no_tensor(dtype):
    with pytest.raises(RuntimeError):
        torch.FloatTensor(np.zeros(2, dtype))


@each
@pytest.mark.parametrize("shape", [(0,), (0, 2), (2, 0)])
def test_arrays_without_elements(name, shape):  # T-30
    with pytest.raises(RuntimeError):
        torch.from_numpy(np.zeros(shape, SHARED[name]))


@each
@pytest.mark.parametrize("turned", [lambda a: a[::-1], lambda a: a[:, ::-1], np.flipud])
def test_negative_strides(name, turned):  # T-30
    with pytest.raises(RuntimeError, match=r"negative stride.*copy"):
        torch.from_numpy(turned(np.ones((2, 3), SHARED[name])))


@pytest.mark.parametrize("thing", [[1.0], (1,), 1.0, np.float64(1), None, "x", memoryview(b"ab")])
def test_what_is_no_array(thing):  # T-30
    with pytest.raises(RuntimeError, match="ndarray"):
        torch.from_numpy(thing)


@each
def test_array_and_its_arguments(name):  # T-88
    t = getattr(torch, name)([[1, 2], [3, 4]])
    for a in (np.asarray(t), np.array(t, copy=False), t.__array__(), t.__array__(copy=False)):
        assert a.dtype == SHARED[name] and shares(t, a)
    for a in (np.array(t), np.array(t, copy=True), t.__array__(copy=True)):
        assert a.tolist() == [[1, 2], [3, 4]] and not shares(t, a)
    assert t.__array__(np.int64).dtype == np.int64
    assert np.asarray(t, np.complex64).tolist() == [[1, 2], [3, 4]]
    other = np.int16 if name != "ShortTensor" else np.int64
    with pytest.raises(ValueError, match="copy"):
        t.__array__(other, copy=False)


@each
def test_buffers(name):
    t = getattr(torch, name)([[1, 2], [3, 4]])
    view = memoryview(t)
    assert view.shape == (2, 2) and view.itemsize == t.element_size() and not view.readonly
    assert bytes(t) == np.asarray(t).tobytes()
    assert np.frombuffer(t, SHARED[name]).tolist() == [1, 2, 3, 4]
    turned = memoryview(t.t())
    assert turned.strides == (t.element_size(), 2 * t.element_size())
    with pytest.raises(RuntimeError, match="not resizable"):  # T-86
        t.resize_(100)


def test_a_buffer_keeps_the_elements():  # T-90
    view = memoryview(torch.FloatTensor(range(1000)))
    gc.collect()
    churn = [torch.zeros(1000) for _ in range(8)]
    assert view[999] == 999 and len(churn) == 8


def test_a_buffer_keeps_the_elements_it_saw():
    t = torch.FloatTensor([1, 2])
    view = memoryview(t)
    t.set_(torch.FloatStorage([7, 8, 9]))
    assert view.tolist() == [1, 2]


def test_array_interface():
    t = torch.FloatTensor([[1, 2], [3, 4]])
    about = t.__array_interface__
    assert about["shape"] == (2, 2) and about["data"] == (t.data_ptr(), False)
    assert about["typestr"] == np.dtype(np.float32).str


def test_char_is_seen_but_has_no_numpy():  # T-87
    t = torch.CharTensor([1, -1])
    with pytest.raises(RuntimeError, match="CharTensor"):
        t.numpy()
    assert np.asarray(t).dtype == np.int8


def test_variables_are_no_arrays():  # T-89
    v = Variable(torch.ones(2))
    for name in ("__array__", "__array_interface__", "numpy"):
        assert not hasattr(v, name)
    with pytest.raises(TypeError):
        memoryview(v)


UFUNCS = {
    "sin": lambda x: np.sin(x),
    "add": lambda x: np.add(x, x),
    "add a number": lambda x: np.add(x, 1),
    "negative": lambda x: np.negative(x),
    "sqrt": lambda x: np.sqrt(x),
}


@pytest.mark.parametrize("name", ["FloatTensor", "DoubleTensor"])
@pytest.mark.parametrize("ufunc", UFUNCS)
def test_ufuncs_give_tensors(name, ufunc):  # T-88
    t = getattr(torch, name)([[0.5, 2], [3, 4]])
    made = UFUNCS[ufunc](t)
    assert type(made) is type(t)
    np.testing.assert_array_equal(made.numpy(), UFUNCS[ufunc](t.numpy()))


def test_truths_are_bytes():  # T-88
    t = torch.FloatTensor([1, float("nan")])
    made = np.isnan(t)
    assert type(made) is torch.ByteTensor and made.tolist() == [0, 1]
    assert type(np.greater(t, 0)) is torch.ByteTensor


def test_numbers_are_pythons():  # T-88
    assert type(np.add.reduce(torch.FloatTensor([1, 2]))) is float
    assert np.sum(np.asarray(torch.FloatTensor([1, 2]))) == 3


def test_gpu_tensors_go_to_the_host(gpu):  # T-88, E-84
    t = torch.FloatTensor([1, 2]).cuda()
    assert np.asarray(t).tolist() == [1, 2]
    assert not hasattr(t, "__array_interface__")
    for call in (t.numpy, lambda: memoryview(t)):
        with pytest.raises((RuntimeError, BufferError), match="cpu"):
            call()
    with pytest.raises(ValueError, match="copy"):
        t.__array__(copy=False)


# --- DLPack (T-123) -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SHARED, "CharTensor"])
def test_capsules(name):
    from rgrad.utils.dlpack import from_dlpack, to_dlpack

    t = getattr(torch, name)([[1, 2, 3], [4, 5, 6]]).t()
    u = from_dlpack(to_dlpack(t))
    assert type(u) is type(t) and u.tolist() == t.tolist() and u.stride() == t.stride()
    u[0][0] = 9
    assert t[0][0] == 9
    with pytest.raises(RuntimeError, match="not resizable"):
        t.resize_(100)


def test_a_capsule_is_used_once():
    from rgrad.utils.dlpack import from_dlpack, to_dlpack

    capsule = to_dlpack(torch.ones(2))
    from_dlpack(capsule)
    with pytest.raises(RuntimeError, match="once"):
        from_dlpack(capsule)


def test_an_unused_capsule_gives_its_memory_back():
    from rgrad.utils.dlpack import to_dlpack

    capsule = to_dlpack(torch.ones(1000))
    del capsule
    gc.collect()


def test_objects_with_the_protocol():
    from rgrad.utils.dlpack import from_dlpack

    a = np.arange(3.0)
    t = from_dlpack(a)
    t[0] = 5
    assert a[0] == 5
    same(from_dlpack(torch.ones(2)), [1, 1])


@pytest.mark.parametrize("thing", [1, None, "x", [1.0]])
def test_what_is_no_capsule(thing):
    from rgrad.utils.dlpack import from_dlpack, to_dlpack

    with pytest.raises(TypeError):
        from_dlpack(thing)
    with pytest.raises(TypeError):
        to_dlpack(thing)


def test_variables_are_not_lent():
    from rgrad.utils.dlpack import to_dlpack

    with pytest.raises(TypeError, match="data"):
        to_dlpack(Variable(torch.ones(1)))
