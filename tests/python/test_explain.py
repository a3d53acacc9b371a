"""`explain`: the numbers are those of backward, and nothing changes."""

import gc
import re

import pytest

import rgrad as torch
from rgrad.autograd import Variable, live_nodes, saved_bytes

LONG = Variable(torch.LongTensor([[0, 1]]))


def leaf(*numbers, **flags):
    return Variable(torch.FloatTensor(list(numbers)), **(flags or {"requires_grad": True}))


def test_the_tutorial_in_numbers():
    """Every step of the hand derivation: dL/dd = -1, dL/db = -7, dL/dw1 = -14, …"""
    a = leaf(2, requires_grad=False)
    w1, w2, w3, w4 = leaf(3), leaf(5), leaf(7), leaf(11)
    b = w1 * a
    c = w2 * a
    d = w3 * b + w4 * c
    L = 10 - d
    told = torch.explain(L)
    by_name = {step.of: step for step in told.steps}
    assert list(by_name) == ["L", "-d", "d", "w3 * b", "w4 * c", "b", "c"]
    assert by_name["d"].gradient.numbers == [-1]
    assert by_name["b"].gradient.numbers == [-7]
    assert by_name["c"].gradient.numbers == [-11]
    assert {end.name: end.gradient.numbers for end in told.leaves} == {
        "w1": [-14],
        "w2": [-22],
        "w3": [-6],
        "w4": [-10],
    }
    (to_w1,) = by_name["b"].contributions
    assert (to_w1.of, to_w1.formula, to_w1.local.numbers) == ("w1", "a", [2])
    assert "db/dw1 = a = 2;  dL/dw1 = dL/db * db/dw1 = (-7) * 2 = -14" in str(told)


def test_leaf_gradients_are_those_of_backward_and_nothing_changes():
    torch.manual_seed(1)
    x = Variable(torch.randn(4, 3))
    w = Variable(torch.randn(5, 3), requires_grad=True)
    bias = Variable(torch.randn(5), requires_grad=True)
    hidden = torch.nn.functional.linear(x, w, bias).tanh()
    loss = (hidden * hidden + w.sum()).mean()
    hidden.retain_grad()
    gc.collect()
    nodes, versions = live_nodes(), (w._version, hidden._version)
    first, second = torch.explain(loss), torch.explain(loss)
    assert str(first) == str(second)
    del second
    assert w.grad is None and bias.grad is None and hidden.grad is None
    assert (w._version, hidden._version) == versions
    gc.collect()
    assert live_nodes() == nodes
    loss.backward()
    for told in first.leaves:
        total = told.variable.grad.data
        shown = [total.contiguous().view(-1)[i] for i in range(len(told.gradient.numbers))]
        assert told.gradient.numbers == shown
    assert {told.name for told in first.leaves} == {"w", "bias"}


def test_several_paths_are_summed():
    """dx of x * x + 3 x at 5: 5 + 5 + 3."""
    x = leaf(5)
    y = x * x + x * 3
    told = torch.explain(y)
    (end,) = told.leaves
    assert sorted(v.numbers[0] for _, v in end.paths) == [3, 5, 5]
    assert end.gradient.numbers == [13]
    assert "= 13" in str(told) and str(told).count("(step") >= 3


def test_chosen_gradient_and_errors():
    x = leaf(1, 2)
    y = x * 3
    told = torch.explain(y, torch.FloatTensor([1, 10]))
    assert told.leaves[0].gradient.numbers == [3, 30]
    with pytest.raises(RuntimeError, match="only for scalar outputs"):
        torch.explain(y)
    with pytest.raises(RuntimeError, match="gradient must be"):
        torch.explain(y, torch.FloatTensor([1]))
    with pytest.raises(TypeError, match="Variable, a tensor or None"):
        torch.explain(y, 3)
    with pytest.raises(TypeError, match="needs a Variable"):
        torch.explain(torch.ones(1))
    with pytest.raises(RuntimeError, match="no history"):
        torch.explain(leaf(1, requires_grad=False))


def test_a_freed_graph_is_refused():
    x = leaf(1)
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        torch.explain(y)


def test_a_changed_value_is_refused():
    """A-117."""
    x, w = leaf(1, requires_grad=False), leaf(2)
    y = x * w
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.explain(y)


def test_large_tensors_are_summarised():
    w = Variable(torch.ones(100, 100), requires_grad=True)
    told = torch.explain((w * w).sum())
    value = told.leaves[0].gradient
    assert value.size == (100, 100) and value.smallest == value.largest == value.mean == 2
    assert len(value.numbers) == 4 and "100 x 100" in str(told)


def test_table_of_a_notebook_is_escaped():
    x = leaf(1)
    y = (x * 2).clamp(-1e9, 1e9) if hasattr(x, "clamp") else x * 2
    table = torch.explain(y)._repr_html_()
    assert table.startswith("<table") and table.count("<tr>") == table.count("</tr>") >= 3


def test_a_long_chain_needs_no_recursion():
    x = leaf(1)
    y = x
    for _ in range(20000):
        y = y + 1
    told = torch.explain(y)
    assert len(told.steps) == 20000 and told.leaves[0].gradient.numbers == [1]
    assert "further steps" in str(told)


def test_saved_bytes_count_each_memory_once():
    gc.collect()
    before = saved_bytes()
    x = Variable(torch.ones(1000), requires_grad=True)
    y = x * x
    assert saved_bytes() - before == 4000
    z = x * x
    assert saved_bytes() - before == 4000
    del y, z
    assert saved_bytes() == before


def test_every_row_says_how_its_gradient_is_computed():
    rows = torch._C._formulas()
    assert len(rows) > 200
    for node, name, operand, text in rows:
        where = f"{node} of {name}, {operand}"
        assert operand and text, where
        # Mathematics and words, no Rust.
        assert re.fullmatch(r"[\w\s+\-*/^().,@=]+", text) and "::" not in text, where
        assert not re.search(r"\b(let|mut|Scalar|Dims)\b|_grad\(|_number\(", text), where


@pytest.mark.parametrize(
    "build, line",
    [
        (lambda x, y: x.mm(y), "dr/dx = dr/dr @ y.t() = "),
        (lambda x, y: x.pow(3), "dr/dx = 3 * x^(3 - 1) = "),
        (lambda x, y: x.div(y), "dr/dy = -x / y^2 = "),
        (lambda x, y: x.tanh(), "dr/dx = (1 - r^2) = "),
        (lambda x, y: torch.cat([x, y]), "dr/dy = the part of dr/dr = "),
        (lambda x, y: x.gather(0, LONG), "dr/dx = dr/dr added up where index took it from = "),
        (
            lambda x, y: torch.nn.functional.softmax(x, dim=1),
            "dr/dx = r * (dr/dr - sum(dr/dr * r))",
        ),
    ],
)
def test_formulas_name_operands_results_and_numbers(build, line):
    x, y = Variable(torch.ones(2, 2), requires_grad=True), Variable(torch.ones(2, 2) * 2)
    y.requires_grad = True
    r = build(x, y)
    assert line in str(torch.explain(r, torch.ones(*r.size())))


def test_hooks_are_not_called_but_named():
    called = []
    x = leaf(3)
    y = x * 2
    y.register_hook(lambda g: called.append(1))
    y.grad_fn.register_hook(lambda i, o: called.append(2))
    x.register_hook(lambda g: called.append(3))
    handle = x.register_hook(lambda g: g * 2)
    told = torch.explain(y * 5)
    assert not called
    assert [step.hooks for step in told.steps] == [0, 2] and told.leaves[0].hooks == 2
    assert str(told).count("here are 2 hooks, which are not called for this text") == 2
    handle.remove()
    assert "here is a hook, which is not called" in str(torch.explain(y))
    assert "here are 2 hooks" in told._repr_html_()


def test_a_write_through_a_view_is_explained():
    x = leaf(1, 2, 3)
    y = x * 2
    y[1:].mul_(10)
    text = str(torch.explain(y.sum()))
    assert "0 in the part that was written" in text


b = 3  # a name of this program that the table uses as a letter


def test_an_operand_without_a_name_is_not_called_as_something_else():
    x = leaf(2)
    text = str(torch.explain(x * Variable(torch.FloatTensor([-1]))))
    assert "kept: operand 2 = -1" in text
    assert "= operand 2 = -1" in text.replace("(", "").replace(")", "")
    assert " b " not in text


def test_ways_of_one_step_to_one_leaf_are_numbered():
    m = leaf(2)
    text = str(torch.explain(m * m))
    assert "2 (step 1, way 1 of 2) + 2 (step 1, way 2 of 2) = 4" in text
    text = str(torch.explain(m.clone() * m.clone()))
    assert "2 (step 2) + 2 (step 3) = 4" in text
    lines = [line for line in text.splitlines() if "CloneBackward" in line]
    assert len({line.split("CloneBackward")[0].split(".", 1)[1] for line in lines}) == 2


def test_factors_are_told():
    x, y = leaf(2), leaf(5)
    assert "= 3;" in str(torch.explain(torch.add(x, 3, y)))
    m = Variable(torch.ones(2, 2), requires_grad=True)
    text = str(torch.explain(torch.addmm(2, m, 3, m, m), torch.ones(2, 2)))
    assert "= 2 * " in text and "= 3 * (" in text
