"""Every differentiable operation against central differences, first and second order, in double."""

import numpy as np
import pytest

import rgrad as torch
import rgrad.nn.functional as F
from gradient_cases import ROWS
from rgrad.autograd import Variable
from support import check_first, check_second, close, leaf, same


@pytest.mark.parametrize("name", ROWS)
def test_first_order(name):
    check_first(*ROWS[name])


@pytest.mark.parametrize("name", ROWS)
def test_second_order(name):
    check_second(*ROWS[name])


LAYOUTS = {
    "transposed": lambda v: v.t().contiguous().t(),
    "stepped": lambda v: torch.stack([v, v * 0], 2)[:, :, 0],
    "offset": lambda v: torch.cat([v * 0, v])[2:],
    "expanded": lambda v: v.sum(0).unsqueeze(0).expand(2, 3),
}
UNARY = ["exp", "tanh", "sigmoid", "abs", "mul itself", "softmax", "sum 0", "max 1 kept", "pow 3"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", UNARY)
def test_layouts(name, layout):
    op, a = ROWS[name]
    check_first(lambda v: op(LAYOUTS[layout](v)), a)


# values chosen by hand: ties, kinks, corners


@pytest.mark.parametrize(
    "op, x, grad",
    [
        (lambda x: x.max(), [3, 1, 3], [1, 0, 1]),  # every tie gets all of it
        (lambda x: x.min(), [1, 1, 2], [1, 1, 0]),
        (lambda x: x.max(0)[0], [3, 1, 3], [1, 0, 0]),  # the first index gets it
        (lambda x: x.abs().sum(), [0, -2, 2], [0, -1, 1]),
        (lambda x: F.relu(x).sum(), [0, -1, 1], [0, 0, 1]),
        (lambda x: x.clamp(min=1).sum(), [1, 0, 2], [0, 0, 1]),
        (lambda x: x.clamp(max=1).sum(), [1, 0, 2], [0, 1, 0]),
        (lambda x: (x > 0).double().sum(), [1, -1], [0, 0]),
        (lambda x: (x * 0 + 2).sum(), [1, 2], [0, 0]),
        (lambda x: x.sqrt().sum(), [4, 0], [0.25, np.inf]),
    ],
)
def test_corners(op, x, grad):
    v = leaf(x)
    op(v).backward()
    close(v.grad, np.array(grad, dtype=float))


def test_ties_of_two_go_to_the_other():  # O: x gets g where x > other
    a, b = leaf([1, 2, 3]), leaf([1, 3, 2])
    torch.max(a, b).sum().backward()
    same(a.grad, [0, 0, 1])
    same(b.grad, [1, 1, 0])


@pytest.mark.parametrize("cast, back", [("float", "double"), ("double", "float")])
def test_casts_return_the_gradient_in_the_source_class(cast, back):
    v = leaf([1.5, 2.5], "DoubleTensor" if cast == "float" else "FloatTensor")
    y = getattr(v, cast)() * 3
    y.sum().backward()
    assert type(v.grad.data) is type(v.data)
    same(v.grad, [3, 3])


def test_masked_rules_select():
    """A masked element gives no gradient even where the formula is infinite."""
    v = leaf([0.0, 4.0])
    mask = Variable(torch.ByteTensor([1, 0]))
    (v * 1).masked_fill_(mask, 1).sqrt().sum().backward()
    same(v.grad, [0, 0.25])
