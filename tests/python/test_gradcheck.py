"""`gradcheck`, `gradgradcheck`, `zero_gradients` (A-185…A-187)."""

import pytest

import rgrad as torch
from rgrad.autograd import Variable, gradcheck, gradgradcheck
from rgrad.autograd.gradcheck import zero_gradients


def double(*sizes):
    torch.manual_seed(3)
    return Variable(torch.randn(*sizes).double(), requires_grad=True)


def test_right_derivatives_pass():
    """A-185, A-186."""
    x, y = double(2, 3), double(2, 3)
    assert gradcheck(lambda a, b: (a * b).tanh(), (x, y)) is True
    assert gradgradcheck(lambda a, b: (a * b).tanh(), (x, y)) is True
    assert gradgradcheck(lambda a, b: (a * b).sum(), [x, y]) is True


def test_several_outputs_and_constants_among_the_inputs():
    x, c = double(3), Variable(torch.ones(3).double())
    assert gradcheck(lambda a, b: (a * b, a.exp(), b * 2), (x, c))


def test_data_is_as_it_was():
    """A-185: every element is moved and put back."""
    x = double(4)
    before = x.data.clone()
    gradcheck(lambda a: a * a, (x,))
    assert torch.equal(x.data, before)


def test_non_contiguous_inputs():
    x = Variable(torch.randn(3, 2).double().t(), requires_grad=True)
    assert not x.data.is_contiguous()
    assert gradcheck(lambda a: a.exp(), (x,))


def test_a_wrong_derivative_fails_with_both_jacobians():
    """x * x.detach(): backward sees half of the derivative."""
    x = double(2)

    def wrong(a):
        return a * Variable(a.data.clone())

    with pytest.raises(RuntimeError, match="Jacobian mismatch") as caught:
        gradcheck(wrong, (x,))
    text = str(caught.value)
    assert "numerical:" in text and "analytical:" in text
    assert "torch.DoubleTensor of size 2x2" in text
    assert gradcheck(wrong, (x,), raise_exception=False) is False


def test_a_function_that_changes_is_not_reentrant():
    """The gradient depends on how often backward ran."""
    x = double(1)
    calls = []

    class Odd:
        pass

    def wobbling(a):
        made = a * 1
        return made

    noise = Odd()
    noise.count = 0
    if hasattr(x, "register_hook"):
        y = double(1)

        def hook(grad):
            noise.count += 1
            return grad * (1 + 1e-9 * noise.count)

        def hooked(a):
            made = wobbling(a)
            made.register_hook(hook)
            return made

        with pytest.raises(RuntimeError, match="not reentrant"):
            gradcheck(hooked, (y,))
    assert calls == []


def test_zero_gradients_goes_into_iterables():
    """A-187."""
    x, y = double(2), double(2)
    (x * y).sum().backward(create_graph=True)
    zero_gradients([x, (y,)])
    assert x.grad.data.abs().sum() == 0 and y.grad.data.abs().sum() == 0
    assert x.grad.grad_fn is None


def test_sequences_of_two_kinds_are_refused():
    x = double(2)
    with pytest.raises(TypeError, match="same sequence type"):
        gradgradcheck(lambda a: a * a, (x,), [double(2)])


def test_no_elements():
    x = Variable(torch.DoubleTensor(), requires_grad=True)
    assert gradcheck(lambda a: a * 2, (x,))
