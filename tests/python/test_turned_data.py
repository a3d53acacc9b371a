"""Results whose .data was given another geometry in place: the gradient or an error (issue 4)."""

import pytest

from rgrad.autograd import Variable, grad
from support import close, double, leaf, numbers

TURNS = {
    "t_": lambda d: d.t_(),
    "transpose_": lambda d: d.transpose_(0, 1),
    "as_strided": lambda d: d.set_(d.storage(), 0, (2, 2), (1, 2)),
    "set_": lambda d: d.set_(d.t()),
    "unsqueeze_": lambda d: d.unsqueeze_(0),
    "resize_": lambda d: d.resize_(4),
    "part": lambda d: d.set_(d.storage(), 0, (2, 2), (0, 0)),
}


@pytest.mark.parametrize("name", TURNS)
@pytest.mark.parametrize("handle", ["data", "second", "wrapped"])
def test_turned_data_of_a_result_is_seen(name, handle):  # A-43, issue 4
    x = leaf(numbers(2, 2))
    y = x * 3
    if handle == "wrapped":
        TURNS[name](Variable(y.data).data)
    else:
        data = y.data
        TURNS[name](data if handle == "data" else y.data)
    with pytest.raises(RuntimeError, match=r"(?s)\.data of a result.*clone\(\).*`y`"):
        (y * y).sum().backward()
    assert x.grad is None


def test_turned_data_of_the_root_is_seen():
    x = leaf(numbers(2, 2))
    y = x * 3
    y.data.t_()
    with pytest.raises(RuntimeError, match="geometry"):
        y.backward(double(numbers(2, 2)))


def test_data_turned_there_and_back_is_as_it_was():
    x = leaf(numbers(2, 2))
    y = x * 3
    y.data.t_()
    y.data.t_()
    (y * y).sum().backward()
    close(x.grad, 18 * numbers(2, 2))


def test_other_data_of_the_same_size_may_lie_in_any_order():  # section 1.2
    x = leaf(numbers(2, 2))
    for replace in (lambda d: d.t(), lambda d: d.clone().t(), lambda d: d.clone()):
        x.grad = None
        y = x * 3
        y.data = replace(y.data)
        seen = y.data.clone()
        (y * y).sum().backward()
        close(x.grad, 6 * seen.numpy())


def test_turning_the_variable_itself_is_recorded():
    x = leaf(numbers(2, 2))
    y = x * 3
    assert y.data.is_contiguous()
    y.t_()
    weights = numbers(2, 2, seed=3)
    (y * Variable(double(weights))).sum().backward()
    close(x.grad, 3 * weights.T)
    y.data.t_()
    with pytest.raises(RuntimeError, match="geometry"):
        grad(y.sum(), x)
