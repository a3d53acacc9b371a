"""`.data =` between Variables, geometry changed in place under no_grad, bases without history."""

import pytest

import rgrad as torch
from rgrad.autograd import Variable, grad


def leaf(*values):
    return Variable(torch.DoubleTensor(list(values)), requires_grad=True)


def test_data_of_a_variable_changed_before_can_be_taken():  # 1.2: the setter bumps no version
    other = Variable(torch.zeros(3).double())
    other.add_(1)
    w = leaf(5, 5, 5)
    w.data = other.data
    (w * 2).sum().backward()
    assert w.grad.data.tolist() == [2, 2, 2]


def test_the_other_variable_may_change_it_later():  # tied weights, target networks
    other = Variable(torch.zeros(2).double())
    w = leaf(1, 1)
    w.data = other.data
    other.add_(3)
    (w * w).sum().backward()
    assert w.grad.data.tolist() == [6, 6]
    (w * 2).sum().backward()
    assert w.grad.data.tolist() == [8, 8]


def test_tied_weights_are_updated_without_recording():
    w, tied = leaf(1, 2), leaf(1, 2)
    tied.data = w.data
    with torch.no_grad():
        w.sub_(0.5)
    (tied * 2).sum().backward()
    assert tied.grad.data.tolist() == [2, 2] and tied.data.tolist() == [0.5, 1.5]


def test_what_was_saved_is_still_guarded():
    other = Variable(torch.ones(2).double())
    w = leaf(1, 1)
    w.data = other.data
    y = w * w
    other.add_(3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("turn", ["t_()", "unsqueeze_(0)", "transpose_(0, 1)"])
def test_a_result_keeps_its_history_where_its_geometry_changes(turn):
    x = Variable(torch.DoubleTensor([[1, 2], [3, 4]]), requires_grad=True)
    y = x * 3
    with torch.no_grad():
        eval(f"y.{turn}")
    assert not y.is_leaf and y.requires_grad
    (g,) = grad(y.sum() + x.sum(), x)
    assert g.data.tolist() == [[4, 4], [4, 4]]


@pytest.mark.parametrize("turn", ["t_()", "unsqueeze_(0)"])
def test_a_leaf_takes_another_geometry_without_recording(turn):
    w = Variable(torch.DoubleTensor([[1, 2], [3, 4]]), requires_grad=True)
    with torch.no_grad():
        eval(f"w.{turn}")
    (w * 2).sum().backward()
    assert w.is_leaf and w.grad.data.tolist() == (w.data * 0 + 2).tolist()


def test_a_view_of_a_base_that_lost_its_history_is_refused():
    for first, then in [("mul_(3)", "detach_()"), ("detach_()", "mul_(3)")]:
        x = leaf(1, 2, 3)
        y = x * 1
        v = y.narrow(0, 0, 2)
        eval(f"y.{first}")
        eval(f"y.{then}")
        with pytest.raises(RuntimeError, match="lost its history"):
            v.sum()
