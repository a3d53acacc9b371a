"""deepcopy, copy and pickle of tensors, storages and Variables (T-44, A-20 to A-22)."""

import copy
import pickle
import sys
import types

import pytest

import rgrad as torch
from rgrad import _utils
from rgrad.autograd import Variable
from rgrad.nn import Parameter
from support import CLASSES, run_python, same

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


def through(protocol):
    return lambda x: pickle.loads(pickle.dumps(x, protocol))


WAYS = {"deepcopy": copy.deepcopy, **{f"pickle {p}": through(p) for p in PROTOCOLS}}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@each_way
@pytest.mark.parametrize("name", [*CLASSES, "HalfTensor"])
def test_values_class_and_geometry(way, name):
    t = getattr(torch, name)([[1, 2, 3], [4, 5, 6]]).t()
    made = way(t)
    assert type(made) is type(t) and made is not t
    assert made.tolist() == t.tolist()
    assert (made.size(), made.stride()) == (t.size(), t.stride())
    made[0][0] = 9
    assert t[0][0] == 1


@each_way
def test_an_empty_tensor(way):
    assert way(torch.LongTensor()).dim() == 0
    assert way(torch.LongStorage()).tolist() == []


@each_way
def test_tensors_copied_together_keep_sharing(way):  # T-44
    t = torch.FloatTensor([[1, 2], [3, 4]])
    s = t.storage()
    a, b, c, again, d = way([t, t[1], s, t, torch.FloatTensor([7])])
    assert again is a and c is a.storage() is b.storage()
    a[1][0] = 9
    assert b[0] == 9 and c[2] == 9
    assert b.storage_offset() == 2
    assert d.tolist() == [7] and t[1][0] == 3


@each_way
def test_one_storage_twice_is_one(way):
    s = torch.ByteStorage([1, 2])
    a, b = way((s, s))
    a[0] = 5
    assert b[0] == 5 and s[0] == 1


@each_way
def test_a_tensor_that_reaches_beyond_its_storage(way):
    t = torch.FloatTensor([1, 2, 3])
    t.storage().resize_(1)
    assert way(t).tolist() == [1, 2, 3]


def test_deepcopy_in_two_calls_shares_nothing():
    t = torch.FloatTensor([1, 2])
    a, b = copy.deepcopy(t), copy.deepcopy(t[:1])
    a[0] = 9
    assert b[0] == 1 and t[0] == 1


def test_deepcopy_inside_of_objects():
    t = torch.FloatTensor([1, 2])
    thing = types.SimpleNamespace(whole=t, part=t[1:], other={"again": t})
    made = copy.deepcopy(thing)
    made.whole[1] = 5
    assert made.part[0] == 5 and made.other["again"] is made.whole and t[1] == 2


def test_deepcopy_with_a_memo_of_ones_own():
    t, memo = torch.FloatTensor([1, 2]), {}
    made = t.__deepcopy__(memo)
    assert t.__deepcopy__(memo) is made
    assert t.storage().__deepcopy__(memo) is made.storage()


def test_the_written_form():  # 10.1
    t = torch.FloatTensor([[1, 2], [3, 4]])[1]
    function, arguments = t.__reduce__()
    assert function is _utils._rebuild_tensor
    assert arguments == (t.storage(), 2, (2,), (1,))
    storage, offset, size, stride = arguments
    assert type(storage) is torch.FloatStorage and type(size) is type(stride) is tuple
    same(function(storage, offset, size, stride), [3, 4])


def test_a_storage_is_written_as_its_class_and_values(monkeypatch):
    s = torch.FloatStorage([1, 2])
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert s.__reduce__() == (torch.FloatStorage, ([1.0, 2.0],))
    written = pickle.dumps(s)
    assert b"torch" in written and b"rgrad" not in written
    assert pickle.loads(written).tolist() == [1, 2]
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    assert pickle.loads(pickle.dumps(s)).tolist() == [1, 2]


def test_a_pickle_is_read_in_a_fresh_interpreter():
    written = pickle.dumps([torch.FloatTensor([1, 2]), torch.LongStorage([3])])
    said = run_python(
        f"""
        import pickle
        t, s = pickle.loads({written!r})
        print(t.type(), t.tolist(), s.type(), s.tolist())
        """
    )
    assert said.split("\n")[0] == "torch.FloatTensor [1.0, 2.0] torch.LongStorage [3]"


def test_a_shallow_copy_shares():
    t = torch.FloatTensor([1, 2])
    u = copy.copy(t)
    assert u is not t and u.is_set_to(t)
    v = Variable(t, requires_grad=True)
    w = copy.copy(v)
    assert w is not v and w.requires_grad and w.data is t


@each_way
def test_variables_become_independent(way):
    t = torch.ones(2)
    v, w = way((Variable(t, requires_grad=True), Parameter(torch.zeros(1))))
    assert v.requires_grad and not v.volatile and v.grad is None and v.grad_fn is None
    assert type(w) is Parameter and w.requires_grad
    v.data[0] = 9
    assert t[0] == 1


def test_deepcopy_of_a_result_is_refused():  # A-20, E-16
    v = Variable(torch.ones(2), requires_grad=True)
    with pytest.raises(RuntimeError, match="leaves"):
        copy.deepcopy(v * 2)


def test_pickle_of_a_result_gives_a_leaf():
    v = Variable(torch.ones(2), requires_grad=True)
    made = pickle.loads(pickle.dumps(v * 2))
    assert made.requires_grad and made.grad_fn is None
    same(made, [2, 2])


@each_way
def test_gpu_tensors_stay_there(gpu, way):
    t = torch.FloatTensor([[1, 2], [3, 4]]).cuda()
    a, b = way([t, t[1]])
    assert type(a) is torch.cuda.FloatTensor and a.cpu().tolist() == [[1, 2], [3, 4]]
    a.fill_(5)
    assert b.cpu().tolist() == [5, 5] and t.cpu()[0][0] == 1


def test_gpu_tensors_come_to_the_cpu_where_there_is_no_gpu(gpu):
    written = pickle.dumps(torch.FloatTensor([1, 2]).cuda())
    said = run_python(
        f"""
        import pickle
        print(pickle.loads({written!r}).type())
        """,
        RGRAD_GPU="off",
    )
    assert said == "torch.FloatTensor\n"


@each_way
def test_a_size(way):  # T-35
    size = way(torch.Size([2, 3]))
    assert type(size) is torch.Size and size == (2, 3)
