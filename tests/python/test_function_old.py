"""Functions as instances (A-170 to A-178, E-53 to E-56)."""

import pytest

import rgrad as torch
from rgrad.autograd import Function, NestedIOFunction, Variable
from rgrad.autograd.function import InplaceFunction
from support import check_first, double, leaf, live_nodes, name_of, same


class Power(Function):
    def __init__(self, n):  # no call of super
        self.n = n

    def forward(self, x):
        self.save_for_backward(x)
        return x**self.n

    def backward(self, g):
        (x,) = self.saved_tensors
        return g * self.n * x ** (self.n - 1)


class Product(Function):
    def forward(self, a, b):
        self.save_for_backward(a, b)
        return a * b, a + b

    def backward(self, g, h):
        a, b = self.saved_tensors
        return g * b + h, g * a + h


def test_values_and_gradients():
    check_first(lambda x: Power(3)(x), [0.5, -1.5, 2.0])
    check_first(lambda a, b: Product()(a, b)[0] + 2 * Product()(a, b)[1], [0.5], [2.0])


def test_the_instance_is_the_node():
    f, x = Power(2), leaf([3.0])
    y = f(x)
    assert y.grad_fn is f and f.next_functions[0][0].variable is x
    assert f.needs_input_grad == (True,) and "LegacyBackward" in f.name()
    assert f.saved_variables[0] is x


def test_raw_tensors_both_ways():
    seen = []

    class Look(Function):
        def forward(self, x):
            seen.append(isinstance(x, Variable))
            return x * 2

        def backward(self, g):
            seen.append(isinstance(g, Variable))
            return g * 2

    x = leaf([1.0])
    Look()(x).backward()
    assert seen == [False, False]
    same(x.grad, [2])


def test_missing_gradients_are_zeros():
    a, b = leaf([2.0]), leaf([5.0])
    Product()(a, b)[1].backward()
    same(a.grad, [1])
    same(b.grad, [1])


@pytest.mark.parametrize("argument", [3.0, torch.ones(1), None], ids=["number", "tensor", "none"])
def test_only_variables(argument):  # A-170, E-53
    with pytest.raises(RuntimeError, match="argument 2"):
        Product()(leaf([1.0]), argument)


def test_one_call_for_each_instance():  # E-54
    f = Power(2)
    f(leaf([1.0]))
    with pytest.raises(RuntimeError, match="new instance"):
        f(leaf([1.0]))


def test_not_differentiable_twice():  # A-173, E-32
    x = leaf([3.0])
    (g,) = torch.autograd.grad(Power(2)(x), x, create_graph=True)
    same(g, [6])
    with pytest.raises(RuntimeError, match="not differentiable twice"):
        g.backward()


def old(backward):
    class Made(Function):
        def forward(self, x):
            return x * 2

    Made.backward = backward
    return Made


@pytest.mark.parametrize(
    "backward, words",
    [
        (lambda self, g: (g, g), "got 2"),
        (lambda self, g: Variable(g), "tensor"),
        (lambda self, g: 3, "int"),
    ],
)
def test_wrong_gradients(backward, words):  # A-174, E-45, E-46
    x = leaf([1.0])
    y = old(backward)()(x)
    with pytest.raises(RuntimeError, match=words):
        y.backward()
    assert x.grad is None


def test_extra_nones():
    x = leaf([1.0])
    old(lambda self, g: (g * 2, None))()(x).backward()
    same(x.grad, [2])


def test_missing_methods():  # A-175, E-56
    class Empty(Function):
        pass

    class OneWay(Function):
        def forward(self, x):
            return x * 2

    with pytest.raises(NotImplementedError, match="Empty"):
        Empty()(leaf([1.0]))
    with pytest.raises(RuntimeError, match="OneWay"):
        OneWay()(leaf([1.0])).backward()


def test_freed():  # E-27
    y = Power(2)(leaf([1.0]))
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()


def test_inplace_function():
    class AddOne(InplaceFunction):
        def forward(self, x):
            if not self.inplace:
                return x + 1
            self.mark_dirty(x)
            return x.add_(1)

        def backward(self, g):
            return g

    assert AddOne().inplace is False
    x = leaf([1.0])
    a = x * 2
    assert AddOne()(a) is not a
    assert AddOne(True)(a) is a and name_of(a.grad_fn) == "AddOne"
    (a * a).backward()
    same(x.grad, [2 * 3 * 2])


def test_functions_inside_functions():
    class Twice(Function):
        def forward(self, x):
            return Power(2)(Variable(x)).data * 2

        def backward(self, g):
            return g * 4

    x = leaf([1.0])
    Twice()(x).backward()
    same(x.grad, [4])


# nested


class Nested(NestedIOFunction):
    def forward_extended(self, a, pair):
        b, (c, none) = pair
        self.save_for_backward(a, (b, [c]))
        assert none is None
        return a * b, [b * c]

    def backward_extended(self, g, rest):
        (h,) = rest
        a, (b, [c]) = self.saved_tensors
        return g * b, (g * a + h * c, (h * b, None))


def test_nested():
    a, b, c = leaf([2.0]), leaf([3.0]), leaf([5.0])
    y, (z,) = Nested()(a, (b, (c, None)))
    same(y, [6])
    same(z, [15])
    (y * 10 + z).backward()
    same(a.grad, [30])
    same(b.grad, [20 + 5])
    same(c.grad, [3])


def test_other_containers():
    with pytest.raises(ValueError, match="dict"):
        Nested()(leaf([1.0]), {"b": leaf([1.0])})


def test_nothing_is_left():
    start = live_nodes()
    x = leaf([1.0])
    for _ in range(5):
        Power(2)(x * 2).backward()
        Nested()(x, (x, (x, None)))[0].backward()
    del x
    assert live_nodes() == start


def test_reinforce():  # A-178, E-19
    with pytest.raises(RuntimeError, match=r"torch\.distributions"):
        leaf([1.0]).reinforce(double([1.0]))
