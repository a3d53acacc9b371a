"""Storages: what makes them, their elements, sharing with tensors, growth (T-24, T-41 to T-43)."""

import gc
import sys

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, INTEGERS, STORAGES, same, tensor

each = pytest.mark.parametrize("name", STORAGES)


def storage(name, values):
    return getattr(torch, name)(values)


@each
def test_classes(name):  # T-1, T-3
    cls = getattr(torch, name)
    s = cls(3)
    assert str(cls) == f"<class 'torch.{name}'>"
    assert type(s) is cls
    assert s.type() == f"torch.{name}" == torch.typename(s)
    assert torch.is_storage(s) and not torch.is_tensor(s)
    assert s.element_size() == np.dtype(STORAGES[name]).itemsize
    assert not (s.is_cuda or s.is_shared() or s.is_pinned())


def test_what_is_no_storage():
    assert not torch.is_storage(torch.zeros(2))
    assert not torch.is_storage([1.0])


@each
def test_constructors(name):
    cls = getattr(torch, name)
    assert len(cls()) == 0 and cls().tolist() == []
    assert len(cls(5)) == cls(5).size() == 5
    for values in ([1, 2, 3], (1, 2, 3), range(1, 4)):
        assert cls(values).tolist() == [1, 2, 3]
    view = cls(cls([1, 2, 3, 4]), 1, 2)
    assert view.tolist() == [2, 3]


@pytest.mark.parametrize(
    "arguments, error",
    [
        ((-1,), RuntimeError),
        (([1, "x"],), RuntimeError),
        (([[1], [2]],), RuntimeError),
        (([1, np.complex64(1)],), RuntimeError),
        ((1.5,), TypeError),
        (("abc",), TypeError),
        ((None,), TypeError),
        ((1, 2), TypeError),
        ((torch.FloatTensor(2),), TypeError),
        ((torch.DoubleStorage(2),), TypeError),
    ],
)
def test_what_makes_no_storage(arguments, error):
    with pytest.raises(error, match=r"torch\.FloatStorage"):
        torch.FloatStorage(*arguments)


def test_constructors_take_no_keywords():
    with pytest.raises(TypeError, match="keyword"):
        torch.FloatStorage(size=2)


@pytest.mark.parametrize("bounds", [(-1,), (5,), (0, 5), (2, 3), (0, -1)])
def test_a_view_stays_inside(bounds):
    with pytest.raises(RuntimeError, match="outside a storage of 4"):
        torch.FloatStorage(torch.FloatStorage([1, 2, 3, 4]), *bounds)


@each
def test_elements(name):
    s = storage(name, [1, 2, 3])
    assert type(s[0]) is (float if STORAGES[name]().dtype.kind == "f" else int)
    assert (s[0], s[-1]) == (1, 3)
    s[1] = 7
    s[-3] = 5
    assert list(s) == [5, 7, 3]
    s[1:] = 4
    assert s.tolist() == [5, 4, 4]
    s[:0] = 9
    assert s.fill_(2) is s
    assert s.tolist() == [2, 2, 2]


@pytest.mark.parametrize("index", [3, -4, 1 << 40])
def test_an_index_outside(index):
    s = torch.FloatStorage([1, 2, 3])
    with pytest.raises(IndexError, match="3 elements"):
        s[index]
    with pytest.raises(IndexError):
        s[index] = 1
    assert s.tolist() == [1, 2, 3]


@pytest.mark.parametrize("index", ["a", 1.0, None, (0,)])
def test_an_index_of_another_kind(index):
    with pytest.raises(TypeError):
        torch.FloatStorage(3)[index]
    with pytest.raises(TypeError):
        torch.FloatStorage(3)[index] = 1


@pytest.mark.parametrize("name", [n.replace("Tensor", "Storage") for n in INTEGERS])
def test_integers_hold_no_fractions(name):  # T-69
    s = storage(name, [1, 2])
    for change in (lambda: s.__setitem__(0, 1.5), lambda: s.fill_(1.5)):
        with pytest.raises(RuntimeError, match="float"):
            change()
    assert s.tolist() == [1, 2]


def test_a_number_is_set_and_nothing_else():
    s = torch.FloatStorage(2)
    for value in ("x", None, [1], torch.FloatStorage(1), np.complex64(1)):
        with pytest.raises(RuntimeError):
            s[0] = value


def test_slices_are_views_of_step_one():
    s = torch.FloatStorage([1, 2, 3, 4])
    part = s[1:3]
    part[0] = 9
    assert s.tolist() == [1, 9, 3, 4] and part.tolist() == [9, 3]
    assert s[2:100].tolist() == [3, 4] and s[3:1].tolist() == []
    with pytest.raises(RuntimeError, match="step"):
        s[::2]


def test_a_view_of_a_view():
    s = torch.FloatStorage(range(10))
    part = s[2:8][1:4]
    assert part.tolist() == [3, 4, 5]
    t = torch.FloatTensor(part)
    t.fill_(0)
    assert s.tolist() == [0, 1, 2, 0, 0, 0, 6, 7, 8, 9]
    assert t.storage_offset() == 0 and len(t.storage()) == 3


def test_a_view_follows_a_base_that_grows():
    s = torch.FloatStorage(range(4))
    part = s[1:3]
    s.resize_(5000)
    s[1] = 42
    assert part[0] == 42 and part.data_ptr() == s.data_ptr() + 4


def test_a_view_keeps_its_size():  # T-41
    with pytest.raises(RuntimeError, match="resiz"):
        torch.FloatStorage(4)[1:].resize_(2)


@each
@pytest.mark.parametrize("other", STORAGES)
def test_casts(name, other):
    s = storage(name, [1, 2])
    method = other.removesuffix("Storage").lower()
    made = getattr(s, method)()
    assert type(made) is getattr(torch, other) and made.tolist() == [1, 2]
    assert (made is s) == (name == other)
    assert type(s.type(f"torch.{other}")) is type(s.type(getattr(torch, other))) is type(made)


def test_an_unknown_type():
    with pytest.raises(TypeError, match="storage class"):
        torch.FloatStorage(1).type("torch.FloatTensor")


def test_copy_converts_and_needs_one_size():
    s = torch.IntStorage(2)
    assert s.copy_(torch.DoubleStorage([1.9, -1.9])) is s
    assert s.tolist() == [1, -1]
    with pytest.raises(RuntimeError, match="3 elements for 2"):
        s.copy_(torch.IntStorage(3))
    with pytest.raises(TypeError):
        s.copy_(torch.IntTensor(2))


def test_clone_and_new():
    s = torch.FloatStorage([1, 2])
    c = s.clone()
    c[0] = 9
    assert s[0] == 1 and c.tolist() == [9, 2]
    assert s.new([3]).tolist() == [3] and type(s.new(2)) is torch.FloatStorage


@pytest.mark.parametrize("count", [0, 1, 3, 16, 17, 4000, 100000])
@pytest.mark.parametrize("start", [0, 2, 16, 17, 5000])
def test_resize_keeps_what_stays(start, count):
    s = torch.IntStorage(range(start))
    assert s.resize_(count) is s
    assert len(s) == count
    assert s.tolist()[:start] == list(range(min(start, count)))
    s.fill_(7)
    assert s.tolist() == [7] * count


@pytest.mark.parametrize("size", [-1, 1.5, "2", None])
def test_resize_needs_a_count(size):
    with pytest.raises((TypeError, RuntimeError)):
        torch.FloatStorage(1).resize_(size)


def test_growing_step_by_step_costs_no_more_than_three_times_the_memory():
    s = torch.FloatStorage(2000)
    places = set()
    for n in range(2000, 20000, 50):
        s.resize_(n)
        places.add(s.data_ptr())
    assert len(places) < 12  # each step is half as large again


def test_text():
    assert (
        repr(torch.FloatStorage([1, 2.5, 0.1]))
        == str(torch.FloatStorage([1, 2.5, 0.1]))
        == (" 1.0\n 2.5\n 0.10000000149011612\n[torch.FloatStorage of size 3]")
    )
    assert repr(torch.LongStorage([7])) == " 7\n[torch.LongStorage of size 1]"
    assert repr(torch.ByteStorage()) == " \n[torch.ByteStorage of size 0]"
    assert torch.ByteStorage([1])._repr_html_() == ("<pre> 1\n[torch.ByteStorage of size 1]</pre>")


# --- with tensors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*CLASSES, "HalfTensor"])
@pytest.mark.parametrize("count", [1, 3, 100])  # inside the tensor's own block, and outside
def test_a_tensor_and_its_storage_share(name, count):  # T-43
    t = getattr(torch, name)([1] * count)
    s = t.storage()
    assert type(s) is getattr(torch, name.replace("Tensor", "Storage"))
    s[0] = 5
    assert t[0] == 5
    t[count - 1] = 6
    assert s[count - 1] == 6
    assert s.data_ptr() == t.data_ptr()
    assert t.storage() is s


def test_the_storage_of_a_view_is_the_whole():
    t = torch.FloatTensor([[1, 2], [3, 4]])
    column = t[:, 1]
    assert column.storage().tolist() == [1, 2, 3, 4]
    assert (column.storage_offset(), column.stride()) == (1, (2,))
    assert column.storage() is t.storage()


def test_a_tensor_of_a_storage_is_flat():  # T-24
    s = torch.FloatStorage([1, 2, 3])
    t = torch.FloatTensor(s)
    assert t.size() == (3,)
    t[1] = 9
    assert s[1] == 9 and t.storage() is s
    assert torch.FloatTensor(torch.FloatStorage()).dim() == 0
    same(torch.LongTensor(1).new(torch.LongStorage([4, 5])), [4, 5])


def test_a_storage_of_another_class_makes_no_tensor():  # T-23
    with pytest.raises(TypeError, match="DoubleStorage"):
        torch.FloatTensor(torch.DoubleStorage(2))


@pytest.mark.parametrize("count", [2, 100])
def test_all_see_a_tensor_grow(count):  # T-41
    t = torch.FloatTensor(range(count))
    s, view = t.storage(), t[1:]
    t.resize_(3, 1000)
    assert t.size() == (3, 1000) and len(s) == 3000
    t.fill_(7)
    assert view.tolist() == [7] * (count - 1) and s[2999] == 7
    assert s.data_ptr() == t.data_ptr() == view.data_ptr() - 4
    assert t.storage() is s


def test_resize_keeps_storage_order():  # T-41
    t = torch.FloatTensor([[1, 2, 3], [4, 5, 6]])
    u = t.t()
    u.resize_(2, 2)
    same(u, [[1, 2], [3, 4]])
    u.resize_(6)
    same(u, [1, 2, 3, 4, 5, 6])
    same(t, [[1, 2, 3], [4, 5, 6]])


def test_resize_of_a_view_starts_at_its_offset():
    t = torch.FloatTensor(range(6))
    v = t[2:4]
    v.resize_(4)
    assert v.tolist() == [2, 3, 4, 5]
    v.resize_(6)
    assert len(t.storage()) == 8
    v[0] = 9
    assert t[2] == 9


def test_resize_forms():
    t = torch.FloatTensor(6)
    assert t.resize_(2, 3) is t
    assert t.resize_((3, 2)).size() == (3, 2)
    assert t.resize_(torch.Size([6])).size() == (6,)
    assert t.resize_(2, 0, 3).size() == (2,)  # T-4
    assert t.resize_as_(torch.zeros(1, 5)).size() == (1, 5)
    for wrong in ((-1,), (2.5,), ("a",)):
        with pytest.raises((RuntimeError, TypeError)):
            t.resize_(*wrong)
    assert t.size() == (1, 5)


@pytest.mark.parametrize("make", ["from_numpy", "numpy", "share", "view"])
def test_fixed_storages_do_not_grow(make):  # T-41, T-86, E-82
    t = torch.DoubleTensor([1, 2, 3])
    kept = None
    if make == "from_numpy":
        t = torch.from_numpy(np.arange(3.0))
    elif make == "numpy":
        kept = t.numpy()
    elif make == "share":
        t.share_memory_()
    else:
        t = torch.DoubleTensor(torch.DoubleStorage(4)[:3])
    assert t.resize_(1).size() == (1,)  # what needs no room is no resize of the storage
    assert t.resize_(3, 1).size() == (3, 1)
    for grow in (lambda: t.resize_(4), lambda: t.storage().resize_(4)):
        with pytest.raises(RuntimeError, match="not resizable"):
            grow()
    assert t.size() == (3, 1) and len(t.storage()) == 3
    assert kept is None or kept.shape == (3,)


def test_a_tensor_survives_a_storage_that_shrinks():
    t = torch.FloatTensor(range(100))
    t.storage().resize_(2)
    assert len(t.storage()) == 2 and t.size() == (100,)
    assert t[99] == 99  # 0.3 read freed memory here
    same(t.clone(), np.arange(100))


def test_the_storage_outlives_the_tensor():
    s = torch.FloatTensor(range(1000)).storage()
    gc.collect()
    churn = [torch.zeros(1000) for _ in range(8)]
    assert s[999] == 999 and len(churn) == 8


def test_objects_are_given_back():
    t = torch.zeros(100)
    before = sys.getrefcount(torch.FloatStorage)
    for _ in range(100):
        t.storage()[:10]
    gc.collect()
    # Each object of a class made in Rust holds its class.
    assert sys.getrefcount(torch.FloatStorage) <= before + 2


# --- set_ -----------------------------------------------------------------------------------------


def test_set_forms():  # T-42
    s = torch.FloatStorage(range(6))
    t = torch.FloatTensor()
    assert t.set_(s) is t
    same(t, range(6))
    same(t.set_(s, 2, (2, 2)), [[2, 3], [4, 5]])
    same(t.set_(s, 0, (2, 3), (1, 2)), [[0, 2, 4], [1, 3, 5]])
    same(t.set_(s, 1, torch.Size([3])), [1, 2, 3])
    same(t.set_(sourceStorage=s, storage_offset=3, size=(1,), stride=(1,)), [3])
    assert t.storage() is s
    other = torch.FloatTensor([[7, 8]])
    t.set_(other)
    assert t.is_set_to(other) and t.data_ptr() == other.data_ptr()
    assert t.set_().dim() == 0 and t.numel() == 0


@pytest.mark.parametrize(
    "offset, size, stride",
    [
        (0, (7,), None),
        (6, (1,), None),
        (4, (2, 2), None),
        (0, (2, 2), (5, 2)),
        (-1, (2,), None),
        (0, (2,), (-1,)),
        (0, (2,), (1, 1)),
        (0, (1 << 62, 4), None),
        (1 << 62, (1,), None),
        (0, (2, 2), (1 << 62, 1)),
    ],
)
def test_set_stays_inside_the_storage(offset, size, stride):
    t = torch.FloatTensor([9])
    arguments = (torch.FloatStorage(6), offset, size) + ((stride,) if stride else ())
    with pytest.raises(RuntimeError):
        t.set_(*arguments)
    same(t, [9])


def test_set_stays_inside_what_a_storage_shows():
    s = torch.FloatStorage(100)
    s.resize_(3)
    with pytest.raises(RuntimeError, match="3 elements"):
        torch.FloatTensor().set_(s, 0, (4,))


@pytest.mark.parametrize(
    "arguments",
    [
        (torch.DoubleTensor(1),),
        (torch.DoubleStorage(1),),
        (torch.FloatStorage(1), 0),
        (torch.FloatStorage(1), 0.5, (1,)),
        (torch.FloatStorage(1), 0, "x"),
        (torch.FloatTensor(1), 0, (1,)),
        ([1.0],),
        (Variable(torch.FloatTensor(1)),),
    ],
)
def test_what_cannot_be_set(arguments):
    with pytest.raises(TypeError, match="set_"):
        torch.FloatTensor(2).set_(*arguments)


def test_a_variable_sees_its_data_set():
    v = Variable(torch.zeros(2))
    v.data.set_(torch.FloatStorage([4, 5, 6]))
    same(v, [4, 5, 6])
    assert v.storage() is v.data.storage()


def test_is_set_to_compares_storage_and_geometry():  # T-43
    t = torch.zeros(2, 2)
    alias = torch.FloatTensor(t)
    assert t.is_set_to(alias) and Variable(t).is_set_to(alias)
    assert not t.is_set_to(t.t()) and not t.is_set_to(t.clone())
    assert not t[0].is_set_to(t[1])


# --- the GPU --------------------------------------------------------------------------------------


def test_gpu_storages(gpu):
    t = torch.FloatTensor([[1, 2], [3, 4]]).cuda()
    s = t.storage()
    assert type(s) is torch.cuda.FloatStorage and s.is_cuda and s.get_device() == 0
    assert s.tolist() == [1, 2, 3, 4] and s[2] == 3
    s[1] = 9
    assert t[0][1] == 9
    view = t[1]
    t.resize_(100)
    t.fill_(5)
    assert view.tolist() == [5, 5] and len(s) == 100 and s[99] == 5
    assert type(s.cpu()) is torch.FloatStorage and s.cpu().tolist() == [5] * 100
    same(torch.cuda.FloatTensor(s.new([1, 2])), [1, 2])
    assert torch.cuda.FloatTensor().set_(s, 1, (2,)).tolist() == [5, 5]
    assert s.is_shared() and t.share_memory_() is t
    assert "torch.cuda.FloatStorage of size 1]" in repr(torch.FloatStorage([1]).cuda())
    with pytest.raises(TypeError, match="keyword"):
        torch.cuda.FloatStorage(1, size=1)
    assert len(torch.cuda.FloatStorage(2, device=0)) == 2


def test_a_cpu_storage_has_no_device():
    with pytest.raises(RuntimeError):
        torch.FloatStorage(1).get_device()


def test_strides_of_overlapping_tensors_are_copied_in_order():
    t = tensor("FloatTensor", [1, 2, 3, 4])
    u = torch.FloatTensor(t.storage()[1:])
    u.copy_(t[:3])
    same(t, [1, 1, 2, 3])
