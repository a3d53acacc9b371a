"""Making tensors: classes, constructors, creation functions, sizes (T-1 to T-29)."""

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, FLOATS, INTEGERS, array, same, tensor

every_class = pytest.mark.parametrize("name", CLASSES)


@every_class
def test_classes_are_types_with_the_old_names(name):  # T-3
    cls = getattr(torch, name)
    t = cls(2)
    assert isinstance(cls, type)
    assert str(cls) == f"<class 'torch.{name}'>"
    assert type(t) is cls
    assert t.type() == f"torch.{name}"
    assert torch.typename(t) == f"torch.{name}"


def test_tensor_is_the_default_class():  # T-1
    assert torch.Tensor is torch.FloatTensor
    assert not isinstance(torch.DoubleTensor(2), torch.Tensor)
    assert torch.is_tensor(torch.DoubleTensor(2))
    assert not torch.is_tensor(Variable(torch.zeros(2)))
    assert not torch.is_tensor([1.0])


@every_class
@pytest.mark.parametrize("make", [lambda c: c(), lambda c: c([]), lambda c: c(0)])
def test_empty(name, make):  # T-4, T-15, T-21
    t = make(getattr(torch, name))
    assert t.dim() == 0
    assert t.numel() == 0
    assert t.size() == torch.Size([])
    assert len(t) == 0


@every_class
def test_sizes_as_numbers_and_as_size(name):  # T-16, T-17
    cls = getattr(torch, name)
    assert cls(2, 3).size() == torch.Size([2, 3])
    assert cls(torch.Size([2, 3])).size() == (2, 3)
    assert cls(4).size() == (4,)


@every_class
@pytest.mark.parametrize(
    "values", [[1, 2, 3], (1, 2, 3), [[1, 2], [3, 4]], [(1, 2), (3, 4)], [[[1], [2]], [[3], [4]]]]
)
def test_nested_sequences_are_values(name, values):  # T-18
    t = getattr(torch, name)(values)
    same(t, np.array(values, dtype=CLASSES[name]))


def test_a_tuple_is_values_for_a_class_and_a_size_for_a_function():  # T-18
    same(torch.Tensor((2, 3)), [2.0, 3.0])
    assert torch.zeros((2, 3)).size() == (2, 3)
    assert torch.ones([2, 3]).size() == (2, 3)
    assert torch.randn((4, 3)).size() == (4, 3)
    assert torch.rand(torch.Size([4, 3])).size() == (4, 3)
    assert torch.zeros(6).view((2, 3)).size() == (2, 3)


def test_the_tutorial_tensor():
    same(torch.LongTensor([[2, 4], [5, 6]]), [[2, 4], [5, 6]])


def test_bool_counts_as_int():  # T-6
    same(torch.ByteTensor([True, False]), [1, 0])


@pytest.mark.parametrize("name", FLOATS)
def test_float_classes_take_ints_and_floats(name):
    same(tensor(name, [1, 2.5]), [1.0, 2.5])


@pytest.mark.parametrize(
    "values, words",
    [
        ([[1, 2], [3]], ["2", "1"]),
        ([[[1], [2]], [[3]]], ["2", "1"]),
        ([[1, 2], 3], []),
        ([1, [2, 3]], []),
    ],
)
def test_ragged_nesting_names_the_lengths(values, words):  # T-19
    with pytest.raises(RuntimeError) as e:
        torch.FloatTensor(values)
    assert all(w in str(e.value) for w in words)


def test_ragged_nesting_names_the_place():  # T-19
    with pytest.raises(RuntimeError, match=r"1"):
        torch.FloatTensor([[1, 2, 3, 4], [3, 5, 6]])


@pytest.mark.parametrize(
    "item, word",
    [
        (1.5, "float"),
        ("x", "str"),
        (None, "None"),
        (np.float32(1.0), "float32"),
        (torch.FloatTensor([1]), "FloatTensor"),
        (Variable(torch.FloatTensor([1])), "Variable"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_wrong_items_are_named(item, word):  # T-20, E-94
    with pytest.raises(RuntimeError, match=word):
        torch.LongTensor([1, item])


def test_numpy_double_is_a_float():  # T-6
    same(torch.FloatTensor([np.float64(1.5)]), [1.5])


@every_class
def test_an_empty_row_is_refused(name):  # T-21
    with pytest.raises(RuntimeError):
        getattr(torch, name)([[]])


@every_class
def test_same_class_is_an_alias(name):  # T-22
    cls = getattr(torch, name)
    t = cls([1, 2, 3])
    u = cls(t)
    assert u is not t
    assert u.data_ptr() == t.data_ptr()
    u[0] = 7
    assert t[0] == 7


@pytest.mark.parametrize(
    "argument",
    [torch.DoubleTensor(2), Variable(torch.FloatTensor(2)), 1.5, "x", None, {1: 2}],
    ids=lambda v: type(v).__name__,
)
def test_other_arguments_are_refused_with_the_forms(argument):  # T-23, E-95
    with pytest.raises(TypeError) as e:
        torch.FloatTensor(argument)
    assert type(argument).__name__ in str(e.value)


@pytest.mark.parametrize("sizes", [(-1,), (2, -3), (2.5,), (2, "3")])
@pytest.mark.parametrize("make", [torch.zeros, torch.randn, torch.FloatTensor])
def test_sizes_must_be_natural_numbers(make, sizes):  # T-29
    with pytest.raises((RuntimeError, TypeError)):
        make(*sizes)


@pytest.mark.parametrize("sizes", [(1 << 45,), (1 << 40, 1 << 40), (1 << 62, 4), (1 << 63,)])
def test_sizes_beyond_memory_raise(sizes):
    with pytest.raises((MemoryError, RuntimeError, OverflowError, TypeError)):
        torch.zeros(*sizes)


def test_a_size_is_cut_at_a_zero():  # T-4
    assert torch.Tensor(2, 0, 3).size() == torch.Size([2])
    assert torch.zeros(0).size() == torch.Size([])
    assert torch.zeros(0, 3).dim() == 0


def test_constructors_take_no_keywords():  # T-26
    with pytest.raises((TypeError, RuntimeError)):
        torch.FloatTensor(2, nonsense=1)


@every_class
def test_new_makes_the_same_class(name):  # T-27
    t = getattr(torch, name)(2)
    assert type(t.new(2, 3)) is type(t) and t.new(2, 3).size() == (2, 3)
    same(t.new([1, 2]), np.array([1, 2], dtype=CLASSES[name]))
    assert t.new().numel() == 0


CREATED = [  # T-28
    ("zeros", lambda: torch.zeros(2, 3), np.zeros((2, 3))),
    ("ones", lambda: torch.ones(2, 3), np.ones((2, 3))),
    ("eye", lambda: torch.eye(3), np.eye(3)),
    ("eye 2x3", lambda: torch.eye(2, 3), np.eye(2, 3)),
    ("linspace", lambda: torch.linspace(0, 1, 5), np.linspace(0, 1, 5)),
    ("linspace 100", lambda: torch.linspace(-3, 4), np.linspace(-3, 4, 100)),
    ("arange n", lambda: torch.arange(5), np.arange(5)),
    ("arange a b", lambda: torch.arange(1, 4), np.arange(1, 4)),
    ("arange step", lambda: torch.arange(1, 2.5, 0.5), np.arange(1, 2.5, 0.5)),
    ("arange down", lambda: torch.arange(5, 1, -2), np.arange(5, 1, -2)),
]


@pytest.mark.parametrize("_, make, expected", CREATED, ids=[c[0] for c in CREATED])
def test_creation_functions_make_the_default_class(_, make, expected):  # T-28
    t = make()
    assert type(t) is torch.FloatTensor
    np.testing.assert_allclose(array(t), expected, rtol=1e-6, atol=1e-6)  # float32 steps
    assert tuple(t.size()) == expected.shape


def test_range_is_closed_and_warns():
    with pytest.warns(UserWarning):
        t = torch.range(1, 3)
    same(t, [1, 2, 3])


@pytest.mark.parametrize("arguments", [(0, 3, 0), (3, 0, 1), (0, 3, -1)])
def test_arange_in_the_wrong_direction(arguments):  # E-96
    with pytest.raises(RuntimeError):
        torch.arange(*arguments)


def test_linspace_of_one_step_needs_equal_ends():  # T-28
    same(torch.linspace(2, 2, 1), [2])
    with pytest.raises(RuntimeError):
        torch.linspace(0, 1, 1)


@every_class
def test_like_functions_keep_the_class(name):  # T-28
    t = tensor(name, [[1, 2, 3]])
    for make, value in ((torch.zeros_like, 0), (torch.ones_like, 1)):
        u = make(t)
        assert type(u) is type(t)
        same(u, np.full((1, 3), value, dtype=CLASSES[name]))


def test_like_functions_of_a_variable_have_no_history():
    v = Variable(torch.ones(2), requires_grad=True)
    u = torch.zeros_like(v)
    assert isinstance(u, Variable)
    assert (u.requires_grad, u.volatile, u.grad_fn) == (False, False, None)


@pytest.mark.parametrize("make", [torch.zeros, torch.ones])
def test_out_is_resized_and_returned(make):  # T-81
    out = torch.FloatTensor(1)
    assert make(2, 3, out=out) is out
    assert out.size() == (2, 3)


def test_arange_into_a_long_tensor():  # O: arange(..., out=LongTensor())
    out = torch.LongTensor()
    torch.arange(0, 4, out=out)
    same(out, [0, 1, 2, 3])


def test_randperm_is_long():  # T-28
    t = torch.randperm(6)
    assert type(t) is torch.LongTensor
    assert sorted(array(t)) == list(range(6))


@every_class
def test_reading_gives_python_numbers(name):  # T-1
    value = tensor(name, [3])[0]
    assert type(value) is (int if name in INTEGERS else float)
    assert value == 3


@every_class
def test_element_size(name):  # T-36
    assert tensor(name, [1]).element_size() == np.dtype(CLASSES[name]).itemsize


@every_class
def test_tolist_round_trip(name):
    values = [[1, 2], [3, 4]]
    assert tensor(name, values).tolist() == values


def test_hash_is_identity():  # T-80
    t, u = torch.zeros(1), torch.zeros(1)
    assert len({t, u, t}) == 2


def test_data_of_a_raw_tensor_points_to_variables():  # T-78
    with pytest.raises(RuntimeError, match="Variable"):
        _ = torch.zeros(1).data
