"""Functions of users among views: what they change in place, and what they give (A-155 to A-157).

Each program is compared with the same one written without sharing memory.
"""

import numpy as np
import pytest

from rgrad.autograd import Function, Variable, grad
from support import array, close, double, leaf, live_nodes, name_of, numbers, same


class Triple(Function):
    """Three times its argument, in place."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(3)

    @staticmethod
    def backward(ctx, g):
        return g * 3


class Same(Function):
    """Its argument; the gradient is ten times as large."""

    @staticmethod
    def forward(ctx, x):
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 10


class Flat(Same):
    """Its argument in one row, in the same memory."""

    @staticmethod
    def forward(ctx, x):
        return x.view(-1)

    @staticmethod
    def backward(ctx, g):
        return (g * 10).view(2, 3)


class Shared(Flat):
    @staticmethod
    def forward(ctx, x):
        y = x.view(-1)
        ctx.mark_shared_storage((x, y))
        return y


@pytest.mark.parametrize(
    "part",
    [
        lambda b: b[0],
        lambda b: b.narrow(1, 1, 2),
        lambda b: b.t()[1],
        lambda b: b.view(6)[2:5],
        lambda b: b.transpose(0, 1),
    ],
)
def test_a_marked_view_changes_its_base(part):
    start = numbers(2, 3)
    x = leaf(start)
    base = x * 1
    other = base[1]
    view = part(base)
    assert Triple.apply(view) is view
    assert name_of(base.grad_fn) == "CopySlices"
    weights = Variable(double(numbers(2, 3, seed=5)))
    (base * weights).sum().backward()

    mask = np.zeros((2, 3))
    scale = Variable(double(mask))
    part(scale).data.fill_(1)
    factor = 1 + 2 * array(scale)
    close(base, start * factor)
    close(x.grad, array(weights) * factor)
    close(other, (start * factor)[1])
    (gradient,) = grad(other.sum(), x, allow_unused=True)
    assert gradient is not None and array(gradient)[0].tolist() == [0, 0, 0]
    close(gradient, factor * np.array([[0.0], [1.0]]))


def test_the_marked_view_itself_flows_on():
    x = leaf(numbers(2, 3))
    base = x * 2
    view = base[0]
    Triple.apply(view)
    assert name_of(view.grad_fn) == "TripleBackward"
    (view * view).sum().backward()
    inside = numbers(2, 3)[0]
    close(x.grad, np.stack([2 * 36 * inside, np.zeros(3)]))


def test_second_order_through_a_marked_view():
    x = leaf(numbers(2, 3))
    base = x * 1
    view = base[1]
    Triple.apply(view)
    y = (base * base * base).sum()
    (first,) = grad(y, x, create_graph=True)
    (second,) = grad(first.sum(), x)
    start, factor = numbers(2, 3), np.array([[1.0], [3.0]])
    close(first, 3 * start**2 * factor**3)
    close(second, 6 * start * factor**3)


def test_one_result_only_for_views():
    class Two(Triple):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(3), x + 1

    base = leaf(numbers(2, 3)) * 1
    with pytest.raises(RuntimeError, match="one result"):
        Two.apply(base[0])


def test_a_view_of_a_leaf_is_refused():
    x = leaf(numbers(2, 3))
    with pytest.raises(RuntimeError, match="leaf"):
        Triple.apply(x[0])


def test_a_marked_view_that_is_not_differentiable_cuts_its_part():
    class Cut(Triple):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            ctx.mark_non_differentiable(x)
            return x.mul_(3)

    x = leaf(numbers(2, 3))
    base = x * 1
    view = base[0]
    Cut.apply(view)
    base.sum().backward()
    same(x.grad, [[0, 0, 0], [1, 1, 1]])


def test_a_marked_view_of_a_base_without_gradient():
    class Write(Function):
        @staticmethod
        def forward(ctx, to, values):
            ctx.mark_dirty(to)
            return to.copy_(values)

        @staticmethod
        def backward(ctx, g):
            return None, g

    base, x = Variable(double(numbers(2, 3))), leaf([1.0, 2.0, 3.0])
    view = base[1]
    Write.apply(view, x)
    assert base.requires_grad and not base.is_leaf
    (base * 2).sum().backward()
    same(x.grad, [2, 2, 2])


@pytest.mark.parametrize("function", [Same, Flat, Shared])
def test_changing_a_shared_result_reaches_the_argument(function):
    x = leaf(numbers(2, 3))
    a = x * 1
    y = function.apply(a)
    y.mul_(5)
    (a * a).sum().backward(retain_graph=True)
    # a is 5 times x now, by way of a function whose backward says 10.
    close(x.grad, 2 * 5 * numbers(2, 3) * 5 * 10)
    x.grad = None
    y.sum().backward()
    close(x.grad, np.full((2, 3), 50.0))


@pytest.mark.parametrize("function", [Same, Flat, Shared])
def test_changing_the_argument_makes_a_shared_result_unusable(function):
    x = leaf(numbers(2, 3))
    a = x * 1
    y = function.apply(a)
    a.mul_(5)
    with pytest.raises(RuntimeError, match="shares memory"):
        y * 2
    a.sum().backward()
    close(x.grad, np.full((2, 3), 5.0))


@pytest.mark.parametrize("function", [Same, Flat, Shared])
def test_shared_results_of_a_leaf_may_not_be_changed(function):
    y = function.apply(leaf(numbers(2, 3)))
    with pytest.raises(RuntimeError, match="leaf"):
        y.mul_(2)


def test_shared_results_without_gradient_are_plain_views():
    a = Variable(double(numbers(2, 3)))
    y = Flat.apply(a)
    y.mul_(2)
    close(a, numbers(2, 3) * 2)
    assert a._version == y._version == 1
    a.add_(leaf(np.ones((2, 3))))
    assert a.requires_grad


def test_nothing_is_left_behind():
    before = live_nodes()
    for function in (Same, Flat, Shared, Triple):
        a = leaf(numbers(2, 3)) * 1
        y = function.apply(a if function is not Triple else a[0])
        y.mul_(2)
        (a.sum() + y.sum()).backward()
        del a, y
    assert live_nodes() == before


def test_a_view_cannot_forget_its_history():  # A-130, section 1.2
    base = leaf(numbers(2, 3)) * 1
    view = base[0]
    with pytest.raises(RuntimeError, match="detach"):
        view._grad_fn = None
    base._grad_fn = None
    assert base.is_leaf
