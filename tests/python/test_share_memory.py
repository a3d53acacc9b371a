"""Which memory moves to where other processes see it (T-86, T-120)."""

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable


def refused(share, words):
    with pytest.raises(RuntimeError, match=rf"share_memory_.*{words}.*clone\(\)"):
        share()


def test_memory_of_arrays_does_not_move():  # T-86, T-120
    n = np.ones(3)
    t = torch.from_numpy(n)
    for x in (t, t[1:], t.storage(), Variable(t)):
        refused(x.share_memory_, "NumPy")
        assert not x.is_shared()
    t.fill_(7)
    assert n.tolist() == [7, 7, 7]
    assert t.clone().share_memory_().tolist() == [7, 7, 7]


def test_memory_moves_when_its_arrays_are_gone():  # T-86
    t = torch.zeros(3)
    a, view = t.numpy(), t[1:].numpy()
    refused(t.share_memory_, "array looks at it")
    del a
    refused(t.share_memory_, "array looks at it")
    del view
    assert t.share_memory_().is_shared()
    a = t.numpy()  # that of shared memory is shared
    assert t.share_memory_() is t
    t.fill_(2)
    assert a.tolist() == [2, 2, 2]
    del t
    assert a.tolist() == [2, 2, 2]


def test_memory_whose_address_is_out_does_not_move(tmp_path):  # T-120
    from rgrad.utils.dlpack import to_dlpack

    t = torch.zeros(3)
    to_dlpack(t)
    refused(t.share_memory_, "another library")
    t = torch.zeros(3)
    t.__array_interface__  # noqa: B018
    refused(t.share_memory_, "another library")
    np.zeros(4, np.float32).tofile(tmp_path / "numbers")
    s = torch.FloatStorage.from_file(str(tmp_path / "numbers"), True)
    refused(s.share_memory_, "a file")
    s[0] = 3
    assert np.fromfile(tmp_path / "numbers", np.float32)[0] == 3


def test_an_array_on_a_part_keeps_the_whole_in_place():  # T-86
    whole = torch.FloatStorage(4).fill_(0)
    a = torch.FloatTensor(whole[1:3]).numpy()
    refused(whole.share_memory_, "array looks at it")
    with pytest.raises(RuntimeError, match="not resizable"):
        whole.resize_(100)
    whole[1] = 5
    assert a.tolist() == [5, 0]
