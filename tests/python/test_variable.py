"""The Variable object: construction, attributes, flags, protocol, copies (A-1 to A-37)."""

import copy
import pickle

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, FLOATS, array, leaf, name_of, same, snapshot, tensor


def test_from_a_tensor():
    t = torch.ones(2)
    v = Variable(t)
    assert v.data is t
    flags = (v.requires_grad, v.volatile, v.grad, v.grad_fn, v.is_leaf, v.output_nr, v._version)
    assert flags == (False, False, None, None, True, 0, 0)
    assert v.shape == v.size() == (2,) and not v.is_cuda


def test_positional_flags():
    t = torch.ones(2)
    assert Variable(t, True).requires_grad
    assert Variable(t, False, True).volatile
    assert Variable(data=t, requires_grad=True, volatile=False).requires_grad


def test_both_flags():  # A-3, E-2
    with pytest.raises(RuntimeError, match="volatile"):
        Variable(torch.ones(1), requires_grad=True, volatile=True)


@pytest.mark.parametrize(
    "data, word",
    [
        (Variable(torch.ones(1)), "Variable"),
        (3.0, "float"),
        ([1, 2], "list"),
        (np.ones(1), "array"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_data_must_be_a_tensor(data, word):  # A-4, E-1
    with pytest.raises(RuntimeError, match=word):
        Variable(data)


@pytest.mark.parametrize("arguments", [(), (None,)])
def test_without_data(arguments):
    v = Variable(*arguments)
    assert v.data.numel() == 0 and type(v.data) is torch.FloatTensor


@pytest.mark.parametrize("name", CLASSES)
def test_any_class_may_require_grad(name):
    assert Variable(tensor(name, [1]), requires_grad=True).requires_grad


def test_creator_must_be_a_function():
    with pytest.raises(RuntimeError):
        Variable(torch.ones(1), _grad_fn=3)


def test_parameter():
    from rgrad.nn import Parameter

    p = Parameter(torch.ones(2))
    assert isinstance(p, Variable) and p.requires_grad and p.is_leaf
    assert not Parameter(torch.ones(2), requires_grad=False).requires_grad
    assert type(p * 2) is Variable


# data and grad


def test_data_is_the_same_object_each_time():
    v = leaf([1, 2])
    assert v.data is v.data
    y = v * 2
    assert y.data is y.data
    assert not isinstance(y.data, Variable)


def test_data_assignment():
    v = leaf([1, 2, 3], "FloatTensor")
    t = torch.DoubleTensor([[7]])
    v.data = t
    assert v.data is t and v.size() == (1, 1) and v._version == 0 and v.requires_grad
    y = v * 2
    y.data = torch.zeros(5)  # allowed on non-leaves, history stays
    assert name_of(y.grad_fn) == "MulBackward0"


@pytest.mark.parametrize(
    "value", [3, [1], None, Variable(torch.ones(1))], ids=lambda x: type(x).__name__
)
def test_data_takes_only_tensors(value):  # E-3
    v = leaf([1])
    with pytest.raises(RuntimeError):
        v.data = value
    same(v, [1])


def test_changes_through_data_are_invisible():
    v = leaf([1, 2])
    v.data.add_(1)
    v.data[0] = 5
    assert v._version == 0 and v.is_leaf
    same(v, [5, 3])


def test_grad_is_settable():
    v, g = leaf([1, 2]), Variable(torch.ones(2).double())
    v.grad = g
    assert v.grad is g and v._grad is g
    v.grad = None
    assert v.grad is None


@pytest.mark.parametrize(
    "value, words",
    [
        (torch.DoubleTensor([1, 1]), ["DoubleTensor"]),
        (1.0, ["float"]),
        (Variable(torch.ones(2)), ["DoubleTensor", "FloatTensor"]),
        (Variable(torch.DoubleTensor([1, 1, 1])), ["2", "3"]),
    ],
)
def test_grad_must_fit(value, words):  # E-4
    v = leaf([1, 2])
    with pytest.raises(RuntimeError) as e:
        v.grad = value
    assert v.grad is None
    assert all(w in str(e.value) for w in words)


def test_grad_is_not_itself():  # E-4
    v = leaf([1, 2])
    with pytest.raises(RuntimeError):
        v.grad = v


# flags


@pytest.mark.parametrize("flag", ["requires_grad", "volatile"])
@pytest.mark.parametrize("value", [1, "yes", None])
def test_flags_are_bools(flag, value):  # E-7
    v = Variable(torch.ones(1))
    with pytest.raises(RuntimeError, match="bool"):
        setattr(v, flag, value)


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("flag", ["requires_grad", "volatile"])
def test_flags_of_computed_variables(flag, value):  # E-5, E-6
    y = leaf([1]) * 2
    with pytest.raises(RuntimeError, match=r"leaf|leaves") as e:
        setattr(y, flag, value)
    if flag == "requires_grad" and not value:
        assert "detach()" in str(e.value)
    assert y.requires_grad and not y.volatile


def test_volatile_set_later_wins():  # A-30, last row
    v = leaf([1])
    v.volatile = True
    assert v.requires_grad and v.volatile
    y = v + leaf([1])
    assert (y.requires_grad, y.volatile, y.grad_fn) == (False, True, None)


@pytest.mark.parametrize("name", ["grad_fn", "is_leaf", "output_nr", "_version", "shape"])
def test_read_only_attributes(name):
    v = leaf([1])
    with pytest.raises((AttributeError, TypeError, RuntimeError)):
        setattr(v, name, 1)


F, T = False, True
TRUTH = [  # a.requires_grad, a.volatile, b.requires_grad, b.volatile; result
    (F, F, F, F, F, F),
    (T, F, F, F, T, F),
    (F, F, T, F, T, F),
    (T, F, T, F, T, F),
    (F, T, F, F, F, T),
    (F, T, T, F, F, T),
    (T, F, F, T, F, T),
    (F, T, F, T, F, T),
    (T, T, F, F, F, T),
    (T, T, T, F, F, T),
]
OPERATIONS = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "mm": lambda a, b: a.mm(b),
    "cat": lambda a, b: torch.cat([a, b]),
    "in-place": lambda a, b: (a.clone() if a.requires_grad and not a.volatile else a).add_(b),
    "max": lambda a, b: torch.max(a, b),
}


def flagged(requires_grad, volatile):
    v = Variable(torch.ones(2, 2), requires_grad=requires_grad)
    v.volatile = volatile
    return v


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("row", TRUTH, ids=lambda r: "".join("FT"[x] for x in r))
def test_flag_propagation(op, row):
    a, b = flagged(*row[:2]), flagged(*row[2:4])
    y = OPERATIONS[op](a, b)
    assert (y.requires_grad, y.volatile) == row[4:]
    assert (y.grad_fn is not None) == row[4]
    assert y.is_leaf == (not row[4])


def test_numbers_and_indices_do_not_count():
    index = Variable(torch.LongTensor([[0]]), requires_grad=True)
    assert not Variable(torch.ones(1, 1)).gather(0, index).requires_grad
    mask = Variable(torch.ByteTensor([1]), requires_grad=True)
    assert not Variable(torch.ones(1)).masked_select(mask).requires_grad


@pytest.mark.parametrize("volatile", [False, True])
def test_index_results_have_no_flags(volatile):  # A-31, O-18
    v = Variable(torch.ones(2, 2), requires_grad=not volatile, volatile=volatile)
    values, index = v.max(1)
    assert values.requires_grad != volatile and values.volatile == volatile
    assert (index.requires_grad, index.volatile, index.grad_fn) == (False, False, None)


def test_comparisons_are_recorded():
    mask = leaf([1, -1]) > 0
    assert mask.requires_grad and name_of(mask.grad_fn) == "GtBackward0"
    assert type(mask.data) is torch.ByteTensor


def test_volatile_results_are_leaves():
    y = Variable(torch.ones(2), volatile=True) * 2
    assert y.is_leaf and y.volatile
    y.volatile = False  # common in code of the time
    y.requires_grad = True
    (y * 3).sum().backward()
    same(y.grad, [3, 3])


def test_detach():
    v = leaf([1, 2]) * 2
    d = v.detach()
    assert d.is_leaf and not d.requires_grad and not d.volatile
    d.data[0] = 9
    assert v.data[0] == 9
    assert Variable(torch.ones(1), volatile=True).detach().volatile
    fresh = Variable((leaf([1]) * 2).data)
    assert not fresh.requires_grad and not fresh.volatile


def test_detach_in_place():
    x = leaf([1, 2])
    y = x * 2
    z = (y * y).sum()
    assert y.detach_() is y
    assert (y.grad_fn, y.requires_grad, y.output_nr) == (None, False, 0)
    z.backward()  # consumers recorded before keep the history
    same(x.grad, [8, 16])


# no_grad, an addition of ours


def test_no_grad():
    v = leaf([1, 2])
    with torch.no_grad():
        y = v * 2
        v.add_(1)  # in-place on a leaf is allowed inside
    assert (y.requires_grad, y.volatile, y.grad_fn) == (False, False, None)
    same(v, [2, 3])
    assert (v * 2).requires_grad


def test_no_grad_ends_with_an_exception():
    v = leaf([1])
    with pytest.raises(ZeroDivisionError), torch.no_grad():
        raise ZeroDivisionError
    assert (v * 2).requires_grad


# protocol


def test_bool():  # A-8, E-10
    assert bool(Variable(torch.ones(1))) and not Variable(torch.zeros(1))
    assert not Variable(torch.FloatTensor())
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(Variable(torch.ones(2)))


def test_float_and_int():  # A-9, E-12
    v = Variable(torch.FloatTensor([2.5]))
    assert float(v) == 2.5 and int(v) == 2
    for convert in (float, int):
        with pytest.raises(TypeError, match="one"):
            convert(Variable(torch.ones(2)))


def test_len_hash_and_membership():
    v, w = leaf([1, 2]), leaf([1, 2])
    assert len(v) == 2
    assert len({v, w, v}) == 2 and {v: 1}[v] == 1
    assert v in [v, w]
    with pytest.raises(TypeError):
        _ = v == None  # noqa: E711


def test_equality_is_elementwise():
    got = Variable(torch.ones(2)) == Variable(torch.FloatTensor([1, 2]))
    assert type(got.data) is torch.ByteTensor
    same(got, [1, 0])


@pytest.mark.parametrize(
    "mix",
    [
        lambda v, t: v + t,
        lambda v, t: t + v,
        lambda v, t: v * t,
        lambda v, t: torch.mm(v, t),
        lambda v, t: torch.mm(t, v),
        lambda v, t: torch.cat([v, t]),
        lambda v, t: v.add_(t),
        lambda v, t: t.add_(v),
        lambda v, t: v == t,
    ],
)
def test_tensors_and_variables_do_not_mix(mix):  # A-18, E-13
    v, t = Variable(torch.ones(2, 2)), torch.ones(2, 2)
    before = snapshot(v, t)
    with pytest.raises(TypeError) as e:
        mix(v, t)
    assert "Variable" in str(e.value) and "FloatTensor" in str(e.value)
    assert snapshot(v, t) == before


def test_type_as_takes_a_tensor():
    assert type(Variable(torch.ones(1)).type_as(torch.DoubleTensor(1)).data) is torch.DoubleTensor


@pytest.mark.parametrize("cls", FLOATS)
def test_numbers(cls):
    v = Variable(tensor(cls, [1, 2, 4]))
    for got, wanted in (
        (v + 1, [2, 3, 5]),
        (1 + v, [2, 3, 5]),
        (1 - v, [0, -1, -3]),
        (v - 1, [0, 1, 3]),
        (2 / v, [2, 1, 0.5]),
        (v / 2, [0.5, 1, 2]),
        (v**2, [1, 4, 16]),
        (2**v, [2, 4, 16]),
        (v % 3, [1, 2, 1]),
        (-v, [-1, -2, -4]),
    ):
        same(got, wanted)


def test_float_numbers_are_cut_for_integer_variables():
    same(Variable(torch.LongTensor([10])) * 2.9, [20])
    same(Variable(torch.LongTensor([10])) + 0.9, [10])


def test_variables_do_not_fall_back_on_the_count():  # T-53, E-62
    with pytest.raises(RuntimeError) as e:
        Variable(torch.ones(2, 3)) + Variable(torch.ones(6))
    assert "3" in str(e.value) and "6" in str(e.value)


@pytest.mark.parametrize("name", ["numpy", "normal_", "uniform_", "nonsense"])
def test_missing_attributes(name):  # A-17, E-17
    with pytest.raises(AttributeError) as e:
        getattr(leaf([1]), name)
    assert name in str(e.value) and "Variable" in str(e.value)


def test_power_in_place_and_invert():  # E-18
    v = Variable(torch.ones(2))
    with pytest.raises((NotImplementedError, TypeError)):
        v **= 2
    with pytest.raises(TypeError):
        _ = ~v


def test_every_listed_name_resolves():
    v = leaf([1]) * 2
    missing = [name for name in dir(v) if not hasattr(v, name)]
    assert missing in ([], ["retains_grad"])


def test_free_attributes_are_kept():
    v = leaf([1])
    v.note = "weights"
    assert v.note == "weights"


# copies


def test_deepcopy():  # A-20, E-16
    v = leaf([1, 2])
    (v * 2).sum().backward()
    w = copy.deepcopy(v)
    assert w is not v and w.requires_grad and w.grad is None and w.is_leaf
    w.data.zero_()
    same(v, [1, 2])
    with pytest.raises(RuntimeError):
        copy.deepcopy(v * 2)
    a, b = copy.deepcopy([v, v])
    assert a is b


def test_shallow_copy():
    v = leaf([1, 2])
    w = copy.copy(v)
    assert w is not v and w.data is v.data and w.requires_grad


@pytest.mark.parametrize("computed", [False, True])
def test_pickle(computed):
    v = leaf([1, 2])
    v = v * 2 if computed else v
    w = pickle.loads(pickle.dumps(v))
    assert w.is_leaf and w.requires_grad and w.grad is None
    same(w, array(v))
