"""Arguments that 0.3 took, and texts for those that nobody takes."""

import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import leaf, numbers, same


@pytest.mark.parametrize("name", ["zeros", "ones", "rand", "randn"])
def test_sizes_by_name(name):
    make = getattr(torch, name)
    assert make(size=(2, 3)).size() == (2, 3)
    assert make(size=torch.Size([2])).size() == (2,)
    assert make(size=4).size() == (4,)
    place = torch.zeros(1)
    assert make(size=(3,), out=place) is place and place.size() == (3,)
    with pytest.raises(TypeError, match=f"{name}: the sizes are given twice"):
        make(2, size=(3,))
    with pytest.raises(TypeError, match=name):
        make(size="a")


@pytest.mark.parametrize(
    "name", ["uniform_", "normal_", "log_normal_", "cauchy_", "exponential_", "geometric_"]
)
def test_samplers_say_what_they_take(name):  # E-60
    t = torch.ones(3)
    with pytest.raises(TypeError, match=rf"{name} received .* got str, but expected {name}\("):
        getattr(t, name)("a")
    same(t, [1, 1, 1])


def test_a_name_is_a_text():  # E-60
    with pytest.raises(TypeError, match="Variable: name has to be a str or None; got int"):
        Variable(torch.ones(1), name=3)
    assert Variable(torch.ones(1), name=None).name is None
    assert Variable(torch.ones(1), name="w").name == "w"


def test_more_threads_than_can_be_used():
    before = torch.get_num_threads()
    for count in (1025, 2**40):
        with pytest.raises(RuntimeError, match=r"set_num_threads.*1024"):
            torch.set_num_threads(count)
    assert torch.get_num_threads() == before


def test_a_mask_of_as_many_elements():  # T-64
    t = torch.arange(0, 6).view(2, 3)
    mask = torch.ByteTensor([1, 0, 0, 1, 0, 1])
    same(t[mask], [0, 3, 5])
    t[mask] = 7
    same(t, [[7, 1, 2], [7, 4, 7]])
    with pytest.raises((RuntimeError, IndexError)):
        t[torch.ByteTensor([1, 0, 0, 1])]


def test_operations_without_a_derivative_name_the_way_out():
    with pytest.raises(RuntimeError, match=r"EigBackward.*detach\(\).*autograd.Function"):
        leaf(numbers(3, 3)).eig()[0].sum().backward()


def test_flags_and_conversions_name_the_way_out():  # E-12, E-42
    with pytest.raises(RuntimeError, match=r"retain_grad.*set it on the leaves"):
        Variable(torch.ones(1)).retain_grad()
    for value in (torch.ones(2), Variable(torch.ones(2))):
        with pytest.raises(TypeError, match="index, or sum"):
            float(value)
