"""Operations that the release composes of others: their nodes, values and derivatives (ops.tsv)."""

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable, grad, gradcheck
from rgrad.autograd.gradcheck import gradgradcheck
from support import leaf, numbers, same

F = torch.FloatTensor
INF = float("inf")


def chain(node):
    """Names of nodes from `node` along the first way to a leaf."""
    names = []
    while node is not None:
        names.append(type(node).__name__)
        node = node.next_functions[0][0] if node.next_functions else None
    return names


MEAN_APART = ["MulBackward1", "SubBackward1", "AccumulateGrad"]
NODES = {
    "var": (lambda x: x.var(), ["DivBackward0", "SumBackward0", *MEAN_APART]),
    "var dim": (lambda x: x.var(1), ["DivBackward0", "SumBackward1", *MEAN_APART]),
    "std": (lambda x: x.std(), ["SqrtBackward", "DivBackward0", "SumBackward0", *MEAN_APART]),
    "std dim": (lambda x: torch.std(x, 0, True), ["SqrtBackward", "DivBackward0", "SumBackward1"]),
}


@pytest.mark.parametrize("f, names", NODES.values(), ids=NODES)
def test_deviations_are_composed_as_in_the_release(f, names):  # ops.tsv: grad_fn of std and var
    x = leaf(numbers(3, 4))
    assert chain(f(x).grad_fn)[: len(names)] == names


def test_the_mean_in_a_deviation_is_part_of_the_graph():
    x = leaf(numbers(3, 4))
    apart = x.var(1).grad_fn.next_functions[0][0].next_functions[0][0].next_functions[0][0]
    assert type(apart).__name__ == "SubBackward1"
    mean = apart.next_functions[1][0]
    assert chain(mean) == ["ExpandBackward", "UnsqueezeBackward", "MeanBackward0", "AccumulateGrad"]
    mean = x.var().grad_fn.next_functions[0][0].next_functions[0][0].next_functions[0][0]
    assert chain(mean.next_functions[1][0])[:3] == [
        "ExpandBackward",
        "ViewBackward",
        "MeanBackward1",
    ]


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("dim", [None, 0, 1, -1])
@pytest.mark.parametrize("name", ["var", "std"])
def test_a_composed_deviation_has_the_value_of_the_kernel(name, dim, unbiased):
    x = leaf(numbers(3, 4) + 1000.0)
    for keepdim in (False, True):
        if dim is None:
            made, plain = getattr(x, name)(unbiased=unbiased), getattr(x.data, name)(unbiased)
            assert made.size() == (1,)
            np.testing.assert_allclose(made.data[0], plain, rtol=1e-9)
            continue
        made = getattr(x, name)(dim, keepdim=keepdim, unbiased=unbiased)
        plain = getattr(x.data, name)(dim, unbiased, keepdim)
        assert made.size() == plain.size()
        np.testing.assert_allclose(made.data.numpy(), plain.numpy(), rtol=1e-9)


CASES = {
    "var": lambda x: x.var(),
    "var of all": lambda x: x.var(unbiased=False),
    "var 0": lambda x: x.var(0),
    "var 1 kept": lambda x: x.var(1, True),
    "std": lambda x: x.std(),
    "std 0": lambda x: x.std(0, unbiased=False),
    "renorm": lambda x: x.renorm(2, 0, 1.5),
    "renorm 1": lambda x: x.renorm(3, -1, 0.7),
    "renorm of small ones": lambda x: x.renorm(1, 1, 100),
}


@pytest.mark.parametrize("f", CASES.values(), ids=CASES)
def test_composed_derivatives(f):
    x = leaf(numbers(3, 4))
    assert gradcheck(f, (x,))
    assert gradgradcheck(f, [x])


def test_flags_and_refusals_of_deviations():
    v = Variable(F([1, 2, 4]), volatile=True)
    assert v.std().volatile and v.std().grad_fn is None
    assert Variable(F([1, 2, 4])).var(0).grad_fn is None
    nan = Variable(F([3]), requires_grad=True)
    assert np.isnan(nan.std().data[0]) and np.isnan(nan.var(0).data[0])
    for name in ("std", "var"):
        with pytest.raises(RuntimeError, match=f"^{name}: .*empty"):  # E-77
            getattr(Variable(F(), requires_grad=True), name)()
        with pytest.raises(RuntimeError, match=rf"^{name}: .*\[-1, 0\].*2"):  # E-61
            getattr(nan, name)(2)
        with pytest.raises(RuntimeError, match=f"{name} is not implemented for type"):  # E-81
            getattr(Variable(torch.LongTensor([1]), requires_grad=True), name)()


def test_a_second_backward_through_a_deviation_names_the_freed_node():
    x = leaf(numbers(5))
    y = x.std()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()


def test_the_gradient_of_a_deviation_of_zero_is_nan():  # ops.tsv: NaN when std=0
    x = Variable(F([2, 2, 2]), requires_grad=True)
    x.std().backward()
    assert np.isnan(x.grad.data.numpy()).all()


def test_renorm_is_composed_as_in_the_release():  # ops.tsv: grad_fn TransposeBackward
    x = leaf([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    y = x.renorm(2, 0, 1)
    assert type(y.grad_fn).__name__ == "TransposeBackward"
    np.testing.assert_allclose(y.data.numpy(), x.data.renorm(2, 0, 1).numpy(), rtol=1e-12)
    same(y.data[1], [0.3, 0.4])
    assert grad(y.sum(), x)[0].data[2].tolist() == [1, 1]
    for call, what in (
        (lambda: x.renorm(2, 5, 1), r"\[-2, 1\]"),
        (lambda: x.renorm(-1, 0, 1), "positive"),
        (lambda: leaf([1.0]).renorm(2, 0, 1), "two dimensions"),
    ):
        with pytest.raises(RuntimeError, match=f"^renorm: .*{what}"):
            call()
    with pytest.raises(RuntimeError, match="renorm is not implemented"):
        Variable(torch.LongTensor([[1]]), requires_grad=True).renorm(2, 0, 1)


# --- norms of an infinite power -------------------------------------------------------------------


def test_an_infinite_norm_is_the_power_it_says():  # ops.tsv: p=inf is not special-cased
    values = [0.5, 1.0, 2.0, -3.0, 0.0]
    with np.errstate(all="ignore"):
        expected = np.power(np.sum(np.power(np.abs(values), INF)), 1 / INF)
    assert expected == 1.0
    for p in (INF, -INF):
        assert F(values).norm(p) == 1.0
        same(F([values]).norm(p, 1), [1.0])
        x = Variable(F(values), requires_grad=True)
        assert x.norm(p).data[0] == 1.0
        assert x.dist(Variable(torch.zeros(5)), p).data[0] == 1.0


def test_an_infinite_norm_has_the_derivative_of_its_formula():
    # ops.tsv, p>2: g x |x|^(p-2) / y^(p-1); p<2: g sign(x) |x|^(p-1) / y^(p-1). Here y is 1.
    values = np.array([0.5, 1.0, 2.0, -3.0, -0.25])
    x = leaf(values)
    for y in (x.norm(INF), x.dist(leaf(np.zeros(5)), INF), x.norm(INF, 0)):
        (g,) = grad(y.sum() * 2, x)
        np.testing.assert_array_equal(g.data.numpy(), 2 * values * np.abs(values) ** INF)
    with np.errstate(all="ignore"):
        steps = np.sign(values) * np.abs(values) ** -INF
    np.testing.assert_array_equal(grad(x.norm(-INF), x)[0].data.numpy(), steps)
    small = leaf([0.5, 0.0, -0.25])
    (g,) = grad(small.norm(INF), small, create_graph=True)
    same(g.data, [0, 0, 0])
    (second,) = grad(g.sum(), small)
    same(second.data, [0, 0, 0])
