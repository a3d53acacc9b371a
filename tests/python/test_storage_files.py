"""Storages from bytes and files, and memory that other processes see (T-120)."""

import os

import numpy as np
import pytest

import rgrad as torch
from support import STORAGES

each = pytest.mark.parametrize("name", STORAGES)


@pytest.mark.parametrize("order", ["little", "big"])
@each
def test_from_buffer(name, order):
    a = np.array([1, 2, 3], STORAGES[name]).astype(np.dtype(STORAGES[name]).newbyteorder(order[0]))
    cls = getattr(torch, name)
    for buffer in (a.tobytes(), bytearray(a.tobytes()), memoryview(a.tobytes())):
        assert cls.from_buffer(buffer, order).tolist() == [1, 2, 3]
    width = a.itemsize
    assert cls.from_buffer(a.tobytes(), order, 1, width).tolist() == [2]
    assert cls.from_buffer(a.tobytes(), order, offset=2 * width).tolist() == [3]
    assert cls.from_buffer(a.tobytes(), byte_order=order, count=0).tolist() == []


def test_from_buffer_copies():
    b = bytearray(b"ab")
    s = torch.ByteStorage.from_buffer(b)
    b[0] = 0
    assert s.tolist() == [97, 98]


@pytest.mark.parametrize(
    "arguments, error",
    [
        ((b"abc", "native"), ValueError),
        ((b"abcd", "native", 2), ValueError),
        ((b"abcd", "native", 1, 1), ValueError),
        ((b"abcd", "native", 1, -1), ValueError),
        ((b"abcd", "native", 1, 9), ValueError),
        ((b"abcd", "native", 1 << 62), ValueError),
        ((b"abcd", "middle"), ValueError),
        ((b"abcd",), TypeError),
        (("text", "native"), TypeError),
        ((5, "native"), TypeError),
    ],
)
def test_from_buffer_refuses(arguments, error):
    with pytest.raises(error):
        torch.FloatStorage.from_buffer(*arguments)


def test_from_file(tmp_path):
    path = tmp_path / "numbers"
    np.arange(4, dtype=np.float32).tofile(path)
    private = torch.FloatStorage.from_file(str(path))
    assert private.tolist() == [0, 1, 2, 3]
    private[0] = 9
    assert np.fromfile(path, np.float32)[0] == 0
    shared = torch.FloatStorage.from_file(path, shared=True)
    shared[1] = 7
    torch.FloatTensor(shared)[2] = 8
    assert np.fromfile(path, np.float32).tolist() == [0, 7, 8, 3]
    longer = torch.FloatStorage.from_file(path, True, 6)
    assert longer.tolist() == [0, 7, 8, 3, 0, 0]
    assert path.stat().st_size == 24
    assert torch.FloatStorage.from_file(path, size=2).tolist() == [0, 7]
    with pytest.raises(RuntimeError, match="not resizable"):
        longer.resize_(100)


def test_from_file_makes_a_shared_file(tmp_path):
    s = torch.LongStorage.from_file(tmp_path / "new", True, 3)
    s.fill_(5)
    assert np.fromfile(tmp_path / "new", np.int64).tolist() == [5, 5, 5]


@pytest.mark.parametrize("shared, size", [(False, 5), (False, -1), (True, -1)])
def test_from_file_refuses(tmp_path, shared, size):
    path = tmp_path / "numbers"
    np.arange(4, dtype=np.float32).tofile(path)
    with pytest.raises(RuntimeError, match="numbers"):
        torch.FloatStorage.from_file(path, shared, size)
    with pytest.raises(RuntimeError, match="nothing"):
        torch.FloatStorage.from_file(tmp_path / "nothing")


@pytest.mark.parametrize("count", [2, 1000])
def test_shared_memory_is_seen_by_a_child(count):  # T-120
    t = torch.zeros(count)
    view, s = t[1:], t.storage()
    assert not t.is_shared()
    assert t.share_memory_() is t
    assert t.is_shared() and view.is_shared() and s.is_shared() and t.storage().is_shared()
    place = t.data_ptr()
    s.share_memory_()
    assert t.data_ptr() == place  # already there
    child = os.fork()
    if child == 0:
        s[0] = 3
        view.fill_(4)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert t.tolist() == [3] + [4] * (count - 1)


def test_sharing_an_empty_tensor():
    assert torch.FloatTensor().share_memory_().is_shared()


def test_a_view_is_shared_with_its_base_only():
    with pytest.raises(RuntimeError, match="whole storage"):
        torch.FloatStorage(4)[1:].share_memory_()


def test_pinned_memory_is_cudas():  # E-140
    for x in (torch.zeros(1), torch.FloatStorage(1)):
        with pytest.raises(RuntimeError, match="CUDA"):
            x.pin_memory()
