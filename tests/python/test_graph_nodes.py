"""Names of nodes and the order of their inputs, as old code sees them (A-50 to A-56)."""

import gc
import re
import weakref

import pytest

import rgrad as torch
import rgrad.nn.functional as F
from rgrad.autograd import Variable
from support import double, leaf, name_of, numbers, same


def describe(node, names):
    """`AddBackward1(ExpandBackward(a), b)`; `-` stands for an input that needs no gradient."""
    if node is None:
        return "-"
    if name_of(node) == "AccumulateGrad":
        return next(name for name, v in names.items() if node.variable is v)
    inside = ", ".join(describe(f, names) for f, _ in node.next_functions)
    return f"{name_of(node)}({inside})"


INDEX = [[0, 1, 1], [1, 0, 0], [0, 0, 1]]


def long(values):
    return Variable(torch.LongTensor(values))


# a and b are 3 x 3, q is 1 x 3 x 3, r is 3, c is 3 x 1, g needs no gradient.
ROWS = [
    ("a + b", "AddBackward1(a, b)"),
    ("a + 1", "AddBackward0(a)"),
    ("1 + a", "AddBackward0(a)"),
    ("a.add(2, b)", "AddBackward1(a, b)"),
    ("a - b", "SubBackward1(a, b)"),
    ("a - 1", "SubBackward0(a)"),
    ("10 - a", "AddBackward0(NegBackward(a))"),
    ("a * b", "MulBackward1(a, b)"),
    ("a * 2", "MulBackward0(a)"),
    ("2 * a", "MulBackward0(a)"),
    ("a / b", "DivBackward1(a, b)"),
    ("a / 2", "DivBackward0(a)"),
    ("2 / a", "MulBackward0(ReciprocalBackward(a))"),
    ("-a", "NegBackward(a)"),
    ("a ** 2", "PowBackward0(a)"),
    ("a ** b", "PowBackward1(a, b)"),
    ("2 ** a", "PowConstantBackward(a)"),
    ("a * a", "MulBackward1(a, a)"),
    ("a + g", "AddBackward1(a, -)"),
    ("g * a", "MulBackward1(-, a)"),
    ("c + a", "AddBackward1(ExpandBackward(c), a)"),
    ("a * r", "MulBackward1(a, ExpandBackward(r))"),
    ("c * r", "MulBackward1(ExpandBackward(c), ExpandBackward(r))"),
    ("a.abs()", "AbsBackward(a)"),
    ("a.exp()", "ExpBackward(a)"),
    ("a.log()", "LogBackward(a)"),
    ("a.sqrt()", "SqrtBackward(a)"),
    ("a.tanh()", "TanhBackward0(a)"),
    ("F.tanh(a)", "TanhBackward0(a)"),
    ("a.sigmoid()", "SigmoidBackward0(a)"),
    ("F.sigmoid(a)", "SigmoidBackward0(a)"),
    ("F.relu(a)", "ThresholdBackward(a)"),
    ("F.threshold(a, 0.1, 0)", "ThresholdBackward(a)"),
    ("a.clamp(0, 1)", "ClampBackward(a)"),
    ("a.clamp(min=0)", "CmaxConstantBackward(a)"),
    ("a.clamp(max=0)", "CminConstantBackward(a)"),
    ("a == b", "EqBackward1(a, b)"),
    ("a > 0", "GtBackward0(a)"),
    ("a <= b", "LeBackward1(a, b)"),
    ("a.sum()", "SumBackward0(a)"),
    ("a.sum(1)", "SumBackward1(a)"),
    ("a.mean()", "MeanBackward1(a)"),
    ("a.mean(1)", "MeanBackward0(a)"),
    ("a.max()", "MaxBackward1(a)"),
    ("a.max(0)[0]", "MaxBackward0(a)"),
    ("torch.max(a, b)", "MaxBackward2(a, b)"),
    ("a.min()", "MinBackward1(a)"),
    ("a.min(0)[0]", "MinBackward0(a)"),
    ("torch.min(a, b)", "MinBackward2(a, b)"),
    ("F.softmax(a, dim=1)", "SoftmaxBackward(a)"),
    ("F.log_softmax(a, dim=1)", "LogSoftmaxBackward(a)"),
    ("F.nll_loss(a, long([0, 1, 2]))", "NllLossBackward(a)"),
    ("F.cross_entropy(a, long([0, 1, 2]))", "NllLossBackward(LogSoftmaxBackward(a))"),
    ("F.mse_loss(a, g)", "MseLossBackward(a)"),
    ("F.linear(a, b, r)", "AddmmBackward(ExpandBackward(r), a, TBackward(b))"),
    ("a.mm(b)", "MmBackward(a, b)"),
    ("a @ b", "MmBackward(a, b)"),
    ("a.mv(r)", "MvBackward(a, r)"),
    ("r.dot(r)", "DotBackward(r, r)"),
    ("torch.addmm(a, b, a)", "AddmmBackward(a, b, a)"),
    ("q.bmm(q)", "BmmBackward(q, q)"),
    ("a.t()", "TBackward(a)"),
    ("a.transpose(0, 1)", "TransposeBackward(a)"),
    ("a.view(9)", "ViewBackward(a)"),
    ("c.expand(3, 4)", "ExpandBackward(c)"),
    ("c.squeeze()", "SqueezeBackward0(c)"),
    ("c.squeeze(1)", "SqueezeBackward1(c)"),
    ("a.unsqueeze(0)", "UnsqueezeBackward(a)"),
    ("a.narrow(0, 1, 2)", "NarrowBackward(a)"),
    ("a.select(0, 1)", "SelectBackward(a)"),
    ("a[0]", "IndexBackward(a)"),
    ("a[1:3]", "IndexBackward(a)"),
    ("a[g > 0]", "MaskedSelectBackward(a)"),
    ("a.masked_select(g > 0)", "MaskedSelectBackward(a)"),
    ("a.index_select(0, long([1]))", "IndexSelectBackward(a)"),
    ("a.gather(0, long(INDEX))", "GatherBackward(a)"),
    ("a.clone().scatter_add_(0, long(INDEX), b)", "ScatterAddBackward(CloneBackward(a), b)"),
    ("torch.cat([a, b, a])", "CatBackward(a, b, a)"),
    ("torch.cat([a, g])", "CatBackward(a, -)"),
    ("torch.stack([a, b])", "CatBackward(UnsqueezeBackward(a), UnsqueezeBackward(b))"),
    ("a.clone()", "CloneBackward(a)"),
    ("a.contiguous() * 1", "MulBackward0(a)"),
    ("a.float()", "TypeBackward(a)"),
    ("a.type('torch.FloatTensor')", "TypeBackward(a)"),
    ("a.clone().add_(b)", "AddBackward1(CloneBackward(a), b)"),
    ("a.clone().mul_(2)", "MulBackward0(CloneBackward(a))"),
    ("a.clone().mul_(b)", "MulBackward1(CloneBackward(a), b)"),
    ("a.clone().tanh_()", "TanhBackward0(CloneBackward(a))"),
    ("a.clone().zero_()", "ZeroBackward(CloneBackward(a))"),
    ("a.clone().fill_(2)", "FillBackward(CloneBackward(a))"),
    ("a.clone().masked_fill_(g > 0, 2)", "MaskedFillBackward(CloneBackward(a))"),
]


@pytest.fixture
def names():
    positive = numbers(3, 3, low=0.2, high=3)
    return {
        "a": leaf(positive),
        "b": leaf(numbers(3, 3, seed=1, low=0.2, high=3)),
        "c": leaf(numbers(3, 1, seed=2)),
        "q": leaf(numbers(1, 3, 3)),
        "r": leaf(numbers(3, seed=3)),
        "g": Variable(double(numbers(3, 3, seed=4))),
    }


@pytest.mark.parametrize("text, chain", ROWS, ids=[r[0] for r in ROWS])
def test_chain(names, text, chain):
    y = eval(text, {"torch": torch, "F": F, "long": long, "INDEX": INDEX, **names})
    assert describe(y.grad_fn, names) == chain


def test_output_numbers(names):
    values, index = names["a"].max(0)
    y = values * 2
    assert y.grad_fn.next_functions == ((values.grad_fn, 0),)
    assert (values.output_nr, index.grad_fn) == (0, None)


def test_an_input_without_gradient_is_none_and_zero(names):
    assert (names["a"] + names["g"]).grad_fn.next_functions[1] == (None, 0)
    assert isinstance((names["a"] + 1).grad_fn.next_functions, tuple)


def test_leaves_have_no_node(names):
    assert names["a"].grad_fn is None and names["a"]._grad_fn is None
    y = names["a"] * 1
    assert y._grad_fn is y.grad_fn


def test_accumulators(names):
    a, b = names["a"], names["b"]
    y, z = a + b, a * 2
    first, second = y.grad_fn.next_functions[0][0], z.grad_fn.next_functions[0][0]
    assert name_of(first) == "AccumulateGrad"
    assert first is second
    assert first.variable is a
    assert first.next_functions == ()
    assert y.grad_fn.next_functions[1][0].variable is b


def test_accumulators_outlive_the_name():  # the accumulator holds the leaf
    y = leaf([3.0]) * 2
    gc.collect()
    v = y.grad_fn.next_functions[0][0].variable
    y.backward()
    same(v.grad, [2])


def test_identity(names):
    y = names["a"] * 2
    assert y.grad_fn is y.grad_fn
    node = y.grad_fn
    z = y + 1
    assert z.grad_fn.next_functions[0][0] is node
    del y
    gc.collect()
    assert z.grad_fn.next_functions[0][0] is node
    assert len({node, z.grad_fn.next_functions[0][0]}) == 1


def test_text(names):
    node = (names["a"] * 2).grad_fn
    assert re.fullmatch(r"<MulBackward0 object at 0x[0-9a-f]+>", repr(node))
    assert str(type(node)) == "<class 'MulBackward0'>"


def test_flags_of_nodes(names):
    node = (names["a"] * 2).grad_fn
    assert node.requires_grad is True
    for missing in ("saved_tensors", "saved_variables", "needs_input_grad", "nonsense"):
        assert not hasattr(node, missing)


def test_in_place_makes_a_new_node(names):  # A-44, section 1.2
    y = names["a"] * 2
    old = y.grad_fn
    assert y.add_(1) is y
    assert name_of(y.grad_fn) == "AddBackward0"
    assert y.grad_fn.next_functions[0][0] is old


def test_copy_slices(names):
    y = names["a"] * 2
    y[0] = 1
    assert name_of(y.grad_fn) == "CopySlices"
    assert name_of(y.grad_fn.next_functions[0][0]) == "MulBackward0"


def test_volatile_records_nothing(names):
    names["g"].volatile = True
    assert (names["a"] * names["g"]).grad_fn is None


def test_constants_record_nothing(names):  # generated ops
    y = names["g"] * 2
    assert y.grad_fn is None and y.is_leaf


def test_intermediates_may_die(names):
    y = names["a"] * 2
    z = y * y
    died = weakref.ref(y)
    del y
    gc.collect()
    assert died() is None
    z.sum().backward()
    same(names["a"].grad, 8 * names["a"].data.numpy())


def test_gradient_nodes_of_second_order():
    x = leaf([2.0])
    (x * x).backward(create_graph=True)
    assert name_of(x.grad.grad_fn) == "Identity"
    assert name_of(x.grad.grad_fn.next_functions[0][0]) != "AccumulateGrad"
