"""Misuse: the class of exception, the words it must carry, and that nothing has changed.

One row for each rule of the error list that concerns tensors, Variables and backward. The full
texts are kept in tests/golden/errors.txt (`pytest --update-golden` writes it).
"""

import pytest

import rgrad as torch
import rgrad.nn.functional as F
from rgrad.autograd import Variable
from support import leaf, live_nodes, snapshot

RE, TE, VE, IE = RuntimeError, TypeError, ValueError, IndexError


def zeros(*shape):
    return torch.FloatTensor(*shape).zero_()


def var(*shape, **flags):
    return Variable(zeros(*shape), **flags)


def computed(*shape):
    return var(*shape, requires_grad=True) * 2


def spent(make):
    """A graph whose backward has run."""
    x = leaf([1.0, 2.0])
    y = make(x).sum()
    y.backward()
    return y


def put(name, value):
    return lambda v: setattr(v, name, value)


def item(index, value=None):
    if value is None:
        return lambda t: t[index]
    return lambda t: t.__setitem__(index, value)


def stale():
    x = leaf([1.0])
    z = x * 1
    y = z * z
    z.add_(1)
    return y


def touched():
    v = var(2)
    v[0] = 1
    v.requires_grad = True
    return (v * 2).sum()


# id, what, class, words, how to make the operands, the call
# fmt: off
ROWS = [
    ("E-1", "Variable of a Variable", RE, ["Variable"], lambda: [var(1)], Variable),
    ("E-1", "Variable of a list", RE, ["list"], lambda: [], lambda: Variable([1, 2])),
    ("E-2", "both flags", RE, ["volatile", "requires_grad"], lambda: [zeros(1)],
     lambda t: Variable(t, requires_grad=True, volatile=True)),
    ("E-3", "data of a number", RE, ["float"], lambda: [var(1)], put("data", 1.0)),
    ("E-4", "grad of a tensor", RE, ["Variable", "FloatTensor"], lambda: [var(1)],
     put("grad", torch.FloatTensor([1]))),
    ("E-4", "grad of another class", RE, ["FloatTensor", "DoubleTensor"], lambda: [var(1)],
     put("grad", Variable(torch.DoubleTensor([1])))),
    ("E-4", "grad of another size", RE, ["2", "3"], lambda: [var(2)],
     put("grad", Variable(torch.FloatTensor([1, 2, 3])))),
    ("E-5", "requires_grad = True", RE, ["leaf"], lambda: [computed(1)],
     put("requires_grad", True)),
    ("E-5", "requires_grad = False", RE, ["detach()"], lambda: [computed(1)],
     put("requires_grad", False)),
    ("E-6", "volatile = True", RE, ["leaf"], lambda: [computed(1)], put("volatile", True)),
    ("E-7", "requires_grad = 1", RE, ["bool"], lambda: [var(1)], put("requires_grad", 1)),
    ("E-7", "volatile = 1", RE, ["bool"], lambda: [var(1)], put("volatile", 1)),
    ("E-8", "leaf in place", RE, ["leaf", ".data"], lambda: [var(2, requires_grad=True)],
     lambda v: v.add_(1)),
    ("E-8", "leaf assigned", RE, ["leaf", ".data"], lambda: [var(2, requires_grad=True)],
     item(0, 1.0)),
    ("E-10", "bool of a Variable", RE, ["ambiguous"], lambda: [var(2)], bool),
    ("E-11", "bool of a tensor", RE, ["ambiguous"], lambda: [zeros(2)], bool),
    ("E-12", "float of two", TE, ["one"], lambda: [var(2)], float),
    ("E-12", "int of two", TE, ["one"], lambda: [var(2)], int),
    ("E-13", "Variable + tensor", TE, ["Variable", "FloatTensor"], lambda: [var(2), zeros(2)],
     lambda v, t: v + t),
    ("E-13", "tensor + Variable", TE, ["Variable", "FloatTensor"], lambda: [zeros(2), var(2)],
     lambda t, v: t + v),
    ("E-13", "mm of both", TE, ["mm", "Variable", "FloatTensor"], lambda: [var(2, 2), zeros(2, 2)],
     lambda v, t: torch.mm(v, t)),
    ("E-14", "two classes", TE, ["FloatTensor", "DoubleTensor"],
     lambda: [zeros(2), torch.DoubleTensor(2).zero_()], lambda t, u: t + u),
    ("E-14", "two classes in place", TE, ["FloatTensor", "DoubleTensor"],
     lambda: [zeros(2), torch.DoubleTensor(2).zero_()], lambda t, u: t.add_(u)),
    ("E-14", "Variables of two classes", (TE, RE), ["FloatTensor", "DoubleTensor"],
     lambda: [var(2), leaf([0.0, 0.0])], lambda v, w: v * w),
    ("E-15", "== None", TE, ["None"], lambda: [var(2)], lambda v: v.__eq__(None)),
    ("E-17", "unknown attribute", AttributeError, ["Variable", "colour"], lambda: [var(1)],
     lambda v: v.colour),
    ("E-17", "unknown tensor attribute", AttributeError, ["FloatTensor", "colour"],
     lambda: [zeros(1)], lambda t: t.colour),
    ("E-19b", "detach_ of a view", RE, ["detach()"], lambda: [computed(2)],
     lambda v: v[:1].detach_()),
    ("E-20", "backward of two elements", RE, ["implicit"], lambda: [computed(2)],
     lambda v: v.backward()),
    ("E-21", "volatile root", RE, ["volatile", "0"], lambda: [var(1, volatile=True)],
     lambda v: v.backward()),
    ("E-22", "root without history", RE, ["requires_grad|require grad", "grad_fn", "0"],
     lambda: [var(1)], lambda v: v.backward()),
    ("E-23", "counts of roots", RE, ["2", "1"], lambda: [computed(1)],
     lambda v: torch.autograd.backward([v, v], [torch.FloatTensor([1])])),
    ("E-25", "gradient of a list", TE, ["list"], lambda: [computed(1)],
     lambda v: v.backward([1.0])),
    ("E-25", "gradient of a number", TE, ["float"], lambda: [computed(1)],
     lambda v: v.backward(1.0)),
    ("A-78", "gradient of another size", RE, ["2", "3"], lambda: [computed(2)],
     lambda v: v.backward(zeros(3))),
    ("A-78", "gradient of another class", (RE, TE), ["FloatTensor", "DoubleTensor"],
     lambda: [computed(2)], lambda v: v.backward(torch.DoubleTensor([1, 1]))),
    ("E-26", "both names", VE, ["retain_graph"], lambda: [computed(1)],
     lambda v: v.backward(retain_graph=True, retain_variables=True)),
    ("E-27", "second backward", RE, ["freed", "retain_graph=True", "MulBackward1"],
     lambda: [spent(lambda x: x * x)], lambda y: y.backward()),
    ("E-27", "second backward of exp", RE, ["freed", "retain_graph=True", "ExpBackward"],
     lambda: [spent(lambda x: x.exp())], lambda y: y.backward()),
    ("E-28", "needed and changed", RE, ["modified", "MulBackward1", "0", "1"], lambda: [stale()],
     lambda y: y.backward()),
    ("E-29", "a leaf with a past", RE, ["leaf", "in-?place"], lambda: [touched()],
     lambda y: y.backward()),
    ("E-42", "retain_grad of a constant", RE, ["require"], lambda: [var(2)],
     lambda v: (v * 1).retain_grad()),
    # tensors
    ("E-60", "add of a string", TE, ["add", "str"], lambda: [zeros(2)], lambda t: t.add("x")),
    ("E-60", "add of nothing", TE, ["add"], lambda: [zeros(2)], lambda t: t.add()),
    ("E-60", "view of a float", TE, ["view", "float"], lambda: [zeros(2)], lambda t: t.view(1.0)),
    ("E-60", "unknown keyword", TE, ["nonsense"], lambda: [zeros(2)], lambda t: t.sum(nonsense=1)),
    ("E-61", "sum over dimension 2", RE, ["2", "-2", "1"], lambda: [zeros(2, 3)],
     lambda t: t.sum(2)),
    ("E-61", "Variable sum over dimension -3", RE, ["-3", "-2", "1"], lambda: [var(2, 3)],
     lambda v: v.sum(-3)),
    ("E-61", "softmax over dimension 5", RE, ["5"], lambda: [var(2, 3)],
     lambda v: F.softmax(v, dim=5)),
    ("E-62", "broadcast of tensors", RE, ["3", "4"], lambda: [zeros(2, 3), zeros(4)],
     lambda t, u: t + u),
    ("E-62", "broadcast of Variables", RE, ["2 ?x ?3|2, 3", "3 ?x ?2|3, 2"],
     lambda: [var(2, 3), var(3, 2)], lambda v, w: v * w),
    ("E-63", "in place on a smaller one", RE, ["2", "3"], lambda: [zeros(3), zeros(2, 3)],
     lambda t, u: t.add_(u)),
    ("E-63", "Variable in place on a smaller one", RE, ["2", "3"], lambda: [var(3), var(2, 3)],
     lambda v, w: v.mul_(w)),
    ("E-64", "mm", RE, ["mm", "2 ?x ?3|2, 3", "4 ?x ?5|4, 5"], lambda: [zeros(2, 3), zeros(4, 5)],
     lambda t, u: t.mm(u)),
    ("E-64", "mm of vectors", RE, ["mm"], lambda: [var(2), var(2)], lambda v, w: v.mm(w)),
    ("E-64", "mv", RE, ["mv", "3", "4"], lambda: [zeros(2, 3), zeros(4)], lambda t, u: t.mv(u)),
    ("E-64", "bmm", RE, ["bmm", "3", "4"], lambda: [zeros(2, 2, 3), zeros(2, 4, 2)],
     lambda t, u: t.bmm(u)),
    ("E-64", "addmm", RE, ["addmm", "5", "6"], lambda: [zeros(2, 5), zeros(2, 3), zeros(3, 6)],
     lambda m, a, b: torch.addmm(m, a, b)),
    ("E-64", "dot", RE, ["dot", "2", "3"], lambda: [zeros(2), zeros(3)], lambda t, u: t.dot(u)),
    ("E-65", "view of a transposed one", RE, ["view", "contiguous()"], lambda: [zeros(2, 3)],
     lambda t: t.t().view(6)),
    ("E-66", "view of another count", RE, ["view", "4", "6"], lambda: [zeros(2, 3)],
     lambda t: t.view(4)),
    ("E-67", "two inferred sizes", RE, ["-1"], lambda: [var(2, 3)], lambda v: v.view(-1, -1)),
    ("E-68", "expand", RE, ["expand", "3", "4"], lambda: [zeros(2, 3)], lambda t: t.expand(2, 4)),
    ("E-68", "expand to fewer", RE, ["expand"], lambda: [var(2, 3)], lambda v: v.expand(3)),
    ("E-68", "expand of nothing", RE, ["empty"], lambda: [torch.FloatTensor()],
     lambda t: t.expand(2)),
    ("E-69", "index 7 of 3", IE, ["7", "3"], lambda: [zeros(3, 5)], item(7)),
    ("E-69", "write to index 7 of 3", IE, ["7", "3"], lambda: [zeros(3, 5)], item(7, 1.0)),
    ("E-69", "Variable index -4 of 3", IE, ["-4", "3"], lambda: [var(3)], item(-4)),
    ("E-69", "select", (RE, IE), ["7", "3"], lambda: [zeros(3, 5)], lambda t: t.select(0, 7)),
    ("E-69", "narrow", RE, ["narrow", "2", "3"], lambda: [zeros(3)], lambda t: t.narrow(0, 2, 2)),
    ("E-70", "three indices for two", IE, ["3", "2"], lambda: [zeros(3, 5)], item((0, 0, 0))),
    ("E-71", "empty slice", VE, ["empty"], lambda: [zeros(3)], item(slice(2, 2))),
    ("E-71", "negative step", VE, ["step"], lambda: [zeros(3)], item(slice(None, None, -1))),
    ("E-72", "mask of another size", RE, ["2", "3"], lambda: [zeros(3)],
     lambda t: t.masked_select(torch.ByteTensor([1, 0]))),
    ("E-72", "mask of another class", TE, ["FloatTensor", "ByteTensor"], lambda: [zeros(2)],
     lambda t: t.masked_select(zeros(2))),
    ("E-73", "index of another class", TE, ["FloatTensor"], lambda: [zeros(2)],
     lambda t: t[zeros(1)]),
    ("E-73", "index of two dimensions", IE, ["2"], lambda: [zeros(2)],
     lambda t: t[torch.LongTensor([[0]])]),
    ("E-73", "index_select outside", RE, ["9", "2"], lambda: [zeros(2)],
     lambda t: t.index_select(0, torch.LongTensor([9]))),
    ("E-75", "gather outside", RE, ["9", "2"], lambda: [var(2, 2)],
     lambda v: v.gather(0, Variable(torch.LongTensor([[9, 0]])))),
    ("E-75", "gather of other dimensions", RE, ["1", "2"], lambda: [zeros(2, 2)],
     lambda t: t.gather(0, torch.LongTensor([0]))),
    ("E-75", "scatter_add_ outside", RE, ["9", "2"], lambda: [zeros(2, 2), zeros(1, 2)],
     lambda t, u: t.scatter_add_(0, torch.LongTensor([[0, 9]]), u)),
    ("E-76", "cat", RE, ["cat", "3", "4"], lambda: [zeros(2, 3), zeros(2, 4)],
     lambda t, u: torch.cat([t, u])),
    ("E-76", "stack", RE, ["2", "3"], lambda: [var(2), var(3)], lambda v, w: torch.stack([v, w])),
    ("E-76", "stack of nothing", VE, [], lambda: [], lambda: torch.stack([])),
    ("E-77", "max of nothing", RE, ["max", "empty"], lambda: [torch.FloatTensor()],
     lambda t: t.max()),
    ("E-77", "mean of nothing", RE, ["mean", "empty"], lambda: [torch.FloatTensor()],
     lambda t: t.mean()),
    ("E-79", "integer division by zero", (RE, ZeroDivisionError), ["zero"],
     lambda: [torch.LongTensor([1, 2])], lambda t: t / 0),
    ("E-79", "in-place integer division by zero", (RE, ZeroDivisionError), ["zero"],
     lambda: [torch.LongTensor([1, 2]), torch.LongTensor([1, 0])], lambda t, u: t.div_(u)),
    ("E-80", "float number", TE, ["float", "LongTensor"], lambda: [torch.LongTensor([1])],
     lambda t: t + 1.5),
    ("E-81", "method on integers", AttributeError, ["exp", "LongTensor"],
     lambda: [torch.LongTensor([1])], lambda t: t.exp()),
    ("E-81", "function on integers", TE, ["exp", "LongTensor"], lambda: [torch.LongTensor([1])],
     lambda t: torch.exp(t)),
    ("E-81", "Variable of integers", RE, ["exp", "LongTensor"],
     lambda: [Variable(torch.LongTensor([1]))], lambda v: v.exp()),
    ("E-94", "ragged", RE, ["2", "1"], lambda: [], lambda: torch.FloatTensor([[1, 2], [3]])),
    ("E-94", "float in a LongTensor", RE, ["float"], lambda: [],
     lambda: torch.LongTensor([1, 2.5])),
    ("E-95", "another class", TE, ["DoubleTensor"], lambda: [torch.DoubleTensor([1])],
     torch.FloatTensor),
    ("E-95", "a number", TE, ["float"], lambda: [], lambda: torch.FloatTensor(1.5)),
    ("E-97", "t of three dimensions", RE, ["3", "2"], lambda: [zeros(1, 2, 3)], lambda t: t.t()),
    # functions
    ("E-120", "nll_loss of a vector", VE, ["1"], lambda: [var(3)],
     lambda v: F.nll_loss(v, Variable(torch.LongTensor([0])))),
    ("E-121", "class outside", RE, ["7", "3"], lambda: [var(2, 3)],
     lambda v: F.nll_loss(v, Variable(torch.LongTensor([0, 7])))),
    ("E-122", "mse_loss of other counts", RE, ["2", "3"], lambda: [var(2), var(3)],
     lambda v, w: F.mse_loss(v, w)),
]
# fmt: on
IDS = [f"{r[0]} {r[1]}" for r in ROWS]
assert len(set(IDS)) == len(IDS)


def message(call, operands, error):
    with pytest.raises(error) as e:
        call(*operands)
    return e


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_class_and_words(row):
    _, _, error, words, make, call = row
    caught = message(call, make(), error)
    assert "panic" not in str(caught.value)
    for word in words:
        caught.match(word.replace("()", r"\(\)"))


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_nothing_has_changed(row):
    _, _, error, _, make, call = row
    operands = make()
    before = snapshot(*operands)
    nodes = live_nodes()
    message(call, operands, error)
    assert snapshot(*operands) == before
    assert live_nodes() == nodes


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_golden_text(row, golden_errors):
    rule, what, error, _, make, call = row
    caught = message(call, make(), error)
    # Names and lines follow on lines of their own (test_teaching_errors).
    sentence = str(caught.value).split("\n    ")[0]
    golden_errors.check(f"{rule} {what}", f"{caught.type.__name__}: {sentence}")


def test_messages_are_one_sentence(golden_errors):
    """The list of accepted forms of E-60 is the one message that may take several lines."""
    for name, text in golden_errors.kept.items():
        if "TypeError" not in text:
            assert "\\n" not in text, name


def test_zero_division_is_both():  # E-79: RuntimeError in 0.3's terms, ZeroDivisionError in ours
    with pytest.raises(ZeroDivisionError):
        torch.LongTensor([1]) / 0


def test_an_error_in_the_middle_leaves_what_was_reached():
    x, y = leaf([1.0]), leaf([2.0])
    bad = y * 1
    z = bad * bad
    total = x * 3 + z
    bad.add_(1)
    with pytest.raises(RuntimeError, match="modified"):
        total.backward()
    assert y.grad is None


def test_backward_works_after_a_failed_one():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError):
        (x * x).backward()
    y = (x * x).sum()
    y.backward()
    assert x.grad.data.tolist() == [2, 4]
