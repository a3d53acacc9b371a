"""What ended the process or gave a wrong number once, by defect class."""

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import leaf, run_python, same

ALIASED = {  # name: in-place call on x, and the function it computes
    "mul_": (lambda x: x.mul_(x), lambda x: x * x),
    "div_": (lambda x: x.div_(x), lambda x: x / x),
    "pow_": (lambda x: x.pow_(x), lambda x: x**x),
    "mul_ by a part": (lambda x: x.mul_(x[:1]), lambda x: x * x[:1]),
    "div_ by a part": (lambda x: x.div_(x[:1]), lambda x: x / x[:1]),
    "add_ of the transpose": (lambda x: x.add_(x.t()), lambda x: x + x.t()),
    "mul_ by the transpose": (lambda x: x.mul_(x.t()), lambda x: x * x.t()),
    "addmm_ of itself": (lambda x: x.addmm_(x, x), lambda x: x + x.mm(x)),
    "addmm_ of the transpose": (lambda x: x.addmm_(x.t(), x), lambda x: x + x.t().mm(x)),
}


@pytest.mark.parametrize("name", ALIASED)
def test_w1_in_place_with_itself_as_operand(name):
    change, pure = ALIASED[name]
    values = np.array([[1.5, 2.0], [0.7, 1.2]])
    a, b = leaf(values), leaf(values)
    x = a * 1
    change(x)
    wanted = pure(b * 1)
    np.testing.assert_allclose(x.data.numpy(), wanted.data.numpy(), rtol=1e-14)
    weights = Variable(torch.DoubleTensor([[1, 2], [3, 5]]))
    (x * weights).sum().backward()
    (wanted * weights).sum().backward()
    np.testing.assert_allclose(a.grad.data.numpy(), b.grad.data.numpy(), rtol=1e-12)


@pytest.mark.parametrize("deep", [True, False], ids=["deep", "endless"])
@pytest.mark.parametrize("use", ["torch.ones(2)[l]", "Variable(torch.ones(2))[l]", "x[l] = 1"])
def test_p1_nested_lists_as_index(use, deep):
    run_python(
        f"""
        import rgrad as torch
        from rgrad.autograd import Variable
        x = torch.ones(2)
        l = []
        if {deep}:
            for _ in range(100000):
                l = [l]
        else:
            l.append(l)
        try:
            {use}
        except (IndexError, TypeError, RuntimeError) as e:
            print("refused")
        import os
        os._exit(0)
        """
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.arange(1e18),
        lambda: torch.randperm(2**40),
        lambda: torch.randperm(2**62),
        lambda: torch.multinomial(torch.ones(3), 2**44, True),
        lambda: torch.multinomial(torch.ones(3, 3), 2**62, True),
        lambda: torch.linspace(0, 1, 2**45),
        lambda: torch.eye(2**22, 2**22),
    ],
)
def test_s1_sizes_beyond_memory(make):
    with pytest.raises((MemoryError, RuntimeError)):
        make()


def test_s2_more_dimensions_than_there_can_be():
    for x in (torch.ones(3, 3), leaf([1.0, 2.0])):
        with pytest.raises(RuntimeError, match="64"):
            x[(None,) * 70]


@pytest.mark.parametrize("wrap", [lambda t: t, Variable])
def test_p2_masks_of_empty_tensors(wrap):
    with pytest.raises(TypeError, match="ByteTensor"):
        wrap(torch.FloatTensor()).masked_select(wrap(torch.FloatTensor()))


def test_u1_more_elements_than_a_shader_counts(gpu):
    for size in (2**31, 2**32 + 3):
        with pytest.raises((RuntimeError, MemoryError)):
            torch.ones(1).cuda().expand(size).sum()
    same(torch.ones(2).cuda().sum(0), [2])
