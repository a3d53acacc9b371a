"""Results of a Function that share some of their elements: the gradient or an error (issue 4), and
programs that only read go on.
"""

import pytest

import rgrad as torch
from rgrad.autograd import Function, Variable, grad
from support import close, double, leaf, numbers, same


def parts(*cuts):
    """A Function whose results are cuts of one buffer that holds its argument."""

    class Parts(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.size = x.size()
            buffer = x * 1
            return tuple(cut(buffer) for cut in cuts)

        @staticmethod
        def backward(ctx, *gs):
            whole = torch.zeros(*ctx.size).double()
            for cut, g in zip(cuts, gs, strict=True):
                part = cut(whole)
                part.add_(g.data)
            return Variable(whole)

    return Parts.apply


overlapping = parts(lambda b: b.narrow(0, 0, 3), lambda b: b.narrow(0, 2, 3))


def test_overlapping_results_can_be_read():  # issue 4
    x = leaf(numbers(5))
    a, b = overlapping(x)
    ((a * a).sum() + (b * 3).sum()).backward()
    expected = 2 * numbers(5) * [1, 1, 1, 0, 0] + [0, 0, 3, 3, 3]
    close(x.grad, expected)


@pytest.mark.parametrize("first", [0, 1])
def test_a_change_of_one_overlapping_result_ends_the_other(first):  # issue 4
    x = leaf(numbers(5))
    results = overlapping(x)
    changed, other = results[first], results[1 - first]
    changed.mul_(2)
    with pytest.raises(RuntimeError, match=r"shares some elements.*clone"):
        (other * 1).sum().backward()
    with pytest.raises(RuntimeError, match="shares some elements"):
        other.mul_(3)
    changed.sum().backward()
    wanted = [2, 2, 2, 0, 0] if first == 0 else [0, 0, 2, 2, 2]
    same(x.grad, wanted)


def test_a_change_through_a_part_of_an_overlapping_result_counts():
    a, b = overlapping(leaf(numbers(5)))
    a[2:3].mul_(2)
    (a * 1).sum().backward()
    with pytest.raises(RuntimeError, match="shares some elements"):
        b.sum()


@pytest.mark.parametrize(
    "cuts",
    [
        (lambda b: b.narrow(0, 0, 2), lambda b: b.narrow(0, 2, 3)),
        (lambda b: b.view(3, 2)[:, 0], lambda b: b.view(3, 2)[:, 1]),
    ],
)
def test_results_apart_in_one_memory_may_be_changed(cuts):  # nothing legal is refused
    x = leaf(numbers(6))
    a, b = parts(*cuts)(x)
    a.mul_(2)
    (a.sum() + 5 * b.sum()).backward()
    mark = torch.zeros(6).double()
    cuts[0](mark).add_(2)
    cuts[1](mark).add_(5)
    assert torch.equal(x.grad.data, mark)


def test_columns_and_rows_that_cross_meet():  # issue 4
    row, column = parts(lambda b: b.view(2, 3)[0], lambda b: b.view(2, 3)[:, 1])(leaf(numbers(6)))
    row.mul_(2)
    with pytest.raises(RuntimeError, match="shares some elements"):
        column.sum()


def test_a_result_that_meets_its_argument_halfway():  # issue 4
    class Shifted(Function):
        @staticmethod
        def forward(ctx, x):
            return torch.DoubleTensor().set_(x.storage(), 1, (3,), (1,))

        @staticmethod
        def backward(ctx, g):
            return torch.cat([Variable(double([0])), g[:2]])

    memory = double(numbers(4))
    held = Variable(memory[:3], requires_grad=True)
    y = Shifted.apply(held)
    (y.sum() + held.sum()).backward()
    same(held.grad, [1, 2, 2])
    y.mul_(2)
    with pytest.raises(RuntimeError, match="shares some elements"):
        (held * 2).sum()


def test_storage_marked_as_shared_that_is_not():
    class Claim(Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2
            ctx.mark_shared_storage((x, y))
            return y

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(numbers(3))
    a = x * 1
    y = Claim.apply(a)
    y.mul_(5)
    close(a, numbers(3))
    (a.sum() + y.sum()).backward()
    same(x.grad, [11, 11, 11])
    y = Claim.apply(x)
    y.mul_(2)
    same(grad(y.sum(), x)[0], [4, 4, 4])


def test_very_many_arguments_and_results():  # 19 s when each was looked for in a list
    class Many(Function):
        @staticmethod
        def forward(ctx, *xs):
            ctx.save_for_backward(*xs)
            buffer = torch.zeros(len(xs))
            return tuple(buffer[i : i + 1] for i in range(len(xs)))

        @staticmethod
        def backward(ctx, *gs):
            return gs

    xs = [Variable(torch.ones(1), requires_grad=True) for _ in range(20000)]
    ys = Many.apply(*xs)
    (ys[3] * 5 + ys[19999]).sum().backward()
    assert [xs[i].grad.data[0] for i in (0, 3, 19999)] == [0, 5, 1]
