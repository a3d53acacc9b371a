"""backward() and the gradients it leaves (A-60 to A-86, A-30, section 5)."""

import numpy as np
import pytest

import rgrad as torch
import rgrad.nn.functional as F
from rgrad.autograd import Variable
from support import array, close, double, leaf, name_of, numbers, same


def test_the_tutorial_graph():
    a, b = leaf([2.0]), leaf([3.0])
    c = a * b
    d = c + a
    e = d * c
    e.backward()
    # e = (ab + a) ab: by a 2ab² + 2ab, by b 2a²b + a²
    same(a.grad, [2 * 2 * 9 + 2 * 2 * 3])
    same(b.grad, [2 * 4 * 3 + 4])
    assert c.grad is None and d.grad is None


def test_backward_returns_none():
    assert (leaf([1]) * 2).backward() is None


def test_gradient_argument():
    for g in (torch.DoubleTensor([1, 10]), Variable(torch.DoubleTensor([1, 10]))):
        x = leaf([1, 2])
        (x * x).backward(g)
        same(x.grad, [2, 40])


def test_gradient_keyword():
    x = leaf([1, 2])
    (x * 3).backward(gradient=torch.DoubleTensor([1, 1]))
    same(x.grad, [3, 3])


def test_implicit_gradient_keeps_the_class():
    x = leaf([1, 2], "FloatTensor")
    (x * 3).sum().backward()
    assert type(x.grad.data) is torch.FloatTensor


def test_gradients_add_up():
    x = leaf([1, 2])
    for times in (1, 2, 3):
        (x * x).sum().backward()
        same(x.grad, [2 * times, 4 * times])


def test_fan_out_and_fan_in():
    x = leaf([2])
    y = x * x
    z = y + y * x + x  # by x: 2x + 3x² + 1
    z.backward()
    same(x.grad, [4 + 12 + 1])


def test_the_same_operand_twice():
    x = leaf([3])
    (x * x).backward()
    same(x.grad, [6])
    x = leaf([3])
    (x - x).backward()
    same(x.grad, [0])


def test_diamonds_run_each_node_once():
    x = y = leaf([1])
    for _ in range(200):  # exponential without counting
        y = y + y
    y.backward()
    assert x.grad.data[0] == 2.0**200


def test_a_leaf_as_root():
    x = leaf([1, 2])
    x.backward(torch.DoubleTensor([5, 6]))
    same(x.grad, [5, 6])


# flags of gradients, A-80


def test_plain_gradients_are_volatile():
    x = leaf([1, 2])
    (x * x).sum().backward()
    assert x.grad.volatile and x.grad.grad_fn is None and not x.grad.requires_grad
    w = x - x.grad * 0.1
    assert w.volatile and not w.requires_grad
    with pytest.raises(RuntimeError, match="volatile"):
        w.sum().backward()


def test_the_update_of_the_time():
    w = leaf([1.0, 2.0])
    (w * w).sum().backward()
    w.data -= 0.5 * w.grad.data
    same(w, [0, 0])
    w.grad.data.zero_()
    (w + 1).sum().backward()
    same(w.grad, [1, 1])


def test_accumulation_keeps_the_object():  # volatile, in place
    x = leaf([1, 2])
    (x * x).sum().backward()
    grad, alias = x.grad, x.grad.data
    (x * x).sum().backward()
    assert x.grad is grad and x.grad.data is alias
    same(alias, [4, 8])


def test_the_first_assignment_copies():
    x, g = leaf([1, 2]), torch.DoubleTensor([1, 1])
    x.backward(g)
    x.grad.data.fill_(9)
    same(g, [1, 1])
    x, y = leaf([1]), leaf([2])
    (x + y).backward(g[:1])
    x.grad.data.fill_(5)
    same(y.grad, [1])


def test_create_graph_gives_a_gradient_with_history():
    x = leaf([2.0])
    (x * x * x).backward(create_graph=True)
    assert not x.grad.volatile and x.grad.requires_grad
    assert name_of(x.grad.grad_fn) == "Identity"
    same(x.grad, [12])


def test_a_variable_gradient_turns_create_graph_on():
    for g, volatile in (
        (Variable(torch.DoubleTensor([1])), False),
        (Variable(torch.DoubleTensor([1]), volatile=True), True),
        (torch.DoubleTensor([1]), True),
    ):
        x = leaf([2.0])
        (x * x).backward(g)
        assert x.grad.volatile is volatile


def test_create_graph_implies_retain_graph():
    x = leaf([2.0])
    y = x * x
    y.backward(create_graph=True)
    y.backward()
    same(x.grad, [8])


def test_plain_after_create_graph_makes_a_new_gradient():
    x = leaf([2.0])
    (x * x).backward(create_graph=True)
    old = x.grad
    (x * x).backward()
    assert x.grad is not old and not x.grad.volatile
    same(old, [4])
    same(x.grad, [8])


def test_create_graph_into_a_volatile_gradient():
    x = leaf([2.0])
    (x * x).backward()
    old = x.grad
    (x * x).backward(create_graph=True)
    assert x.grad is old and x.grad.volatile and x.grad.grad_fn is None
    same(x.grad, [8])


def test_second_order_by_two_passes():
    x = leaf([2.0])
    (x**3).backward(create_graph=True)  # 3x² = 12
    g = x.grad
    x.grad = None
    g.backward(create_graph=True)  # 6x
    same(x.grad, [12])
    h = x.grad
    x.grad = None
    h.backward()
    same(x.grad, [6])


def test_a_gradient_that_feeds_its_own_leaf():
    x = leaf([2.0])
    (x**3).backward(create_graph=True)
    x.grad.backward()
    same(x.grad, [12 + 12])


def test_requires_grad_switched_off_later():  # section 1.2, A-80
    x, y = leaf([1.0]), leaf([2.0])
    z = x * y
    x.requires_grad = False
    z.backward()
    assert x.grad is None
    same(y.grad, [1])


def test_only_what_requires_grad_gets_any():
    x, c = leaf([1, 2]), Variable(double([3, 4]))
    (x * c).sum().backward()
    same(x.grad, [3, 4])
    assert c.grad is None


def test_integer_leaves():
    x = leaf([2, 3], "LongTensor")
    (x * x).sum().backward()
    same(x.grad, [4, 6])


# twice


X = [[0.5, 1.5], [2.5, 0.25]]
ROWS = {  # what saves nothing never complains
    "add": (lambda x, c: x + c, True),
    "add number": (lambda x, c: x + 1, True),
    "sub": (lambda x, c: x - c, True),
    "rsub": (lambda x, c: 1 - x, True),
    "neg": (lambda x, c: -x, True),
    "mul number": (lambda x, c: x * 3, True),
    "div number": (lambda x, c: x / 3, True),
    "sum": (lambda x, c: x.sum(), True),
    "sum dim": (lambda x, c: x.sum(0), True),
    "mean dim": (lambda x, c: x.mean(1), True),
    "view": (lambda x, c: x.view(4), True),
    "t": (lambda x, c: x.t(), True),
    "transpose": (lambda x, c: x.transpose(0, 1), True),
    "expand": (lambda x, c: x.unsqueeze(0).expand(3, 2, 2), True),
    "squeeze": (lambda x, c: x.unsqueeze(0).squeeze(0), True),
    "narrow": (lambda x, c: x.narrow(0, 0, 1), True),
    "cat": (lambda x, c: torch.cat([x, c]), True),
    "clone": (lambda x, c: x.clone(), True),
    "mul": (lambda x, c: x * c, False),
    "div": (lambda x, c: c / x, False),
    "pow": (lambda x, c: x**2, False),
    "abs": (lambda x, c: x.abs(), False),
    "exp": (lambda x, c: x.exp(), False),
    "log": (lambda x, c: x.log(), False),
    "sqrt": (lambda x, c: x.sqrt(), False),
    "tanh": (lambda x, c: x.tanh(), False),
    "sigmoid": (lambda x, c: x.sigmoid(), False),
    "clamp": (lambda x, c: x.clamp(min=1), False),
    "relu": (lambda x, c: F.relu(x), False),
    "mean": (lambda x, c: x.mean(), False),
    "max": (lambda x, c: x.max(), False),
    "max dim": (lambda x, c: x.max(1)[0], False),
    "max two": (lambda x, c: torch.max(x, c), False),
    "mm": (lambda x, c: x.mm(c), False),
    "addmm": (lambda x, c: torch.addmm(c, x, c), False),
    "mv": (lambda x, c: x.mv(c[0]), False),
    "softmax": (lambda x, c: F.softmax(x, dim=1), False),
    "log_softmax": (lambda x, c: F.log_softmax(x, dim=1), False),
    "gather": (lambda x, c: x.gather(0, Variable(torch.LongTensor([[0, 1]]))), False),
}


@pytest.mark.parametrize("name", ROWS)
def test_second_backward(name):  # A-62, E-27
    op, allowed = ROWS[name]
    x, c = leaf(X), Variable(double(numbers(2, 2)))
    y = op(x, c).sum()
    y.backward()
    once = array(x.grad)
    if allowed:
        y.backward()
        same(x.grad, 2 * once)
    else:
        with pytest.raises(RuntimeError, match="retain_graph=True") as e:
            y.backward()
        assert "freed" in str(e.value)
        same(x.grad, once)


@pytest.mark.parametrize("name", ROWS)
def test_retain_graph_repeats_exactly(name):
    x, c = leaf(X), Variable(double(numbers(2, 2)))
    y = ROWS[name][0](x, c).sum()
    y.backward(retain_graph=True)
    once = array(x.grad)
    y.backward(retain_graph=True)
    y.backward()
    same(x.grad, once + once + once)


def test_retain_variables_warns():  # A-74, E-26
    x = leaf([1.0])
    y = x * x
    with pytest.warns(UserWarning, match="retain_graph"):
        y.backward(retain_variables=True)
    y.backward()
    same(x.grad, [4])
    with pytest.raises(ValueError):
        (x * x).backward(retain_graph=True, retain_variables=True)


def test_freed_nodes_are_those_that_ran():
    x = leaf([2.0])
    h = x.exp()
    y, z = h + 1, h * 2
    y.backward()
    with pytest.raises(RuntimeError, match="freed"):
        z.backward()


# several roots


def test_several_roots():
    x = leaf([1.0, 2.0])
    y, z = x * 2, (x * x).sum()
    torch.autograd.backward([y, z], [torch.DoubleTensor([1, 1]), None])
    same(x.grad, [2 + 2, 2 + 4])


def test_one_root_twice():
    x = leaf([3.0])
    y = x + 1
    torch.autograd.backward([y, y], [torch.DoubleTensor([1]), torch.DoubleTensor([10])])
    same(x.grad, [11])


def test_a_root_above_another():
    x = leaf([3.0])
    y = x * x
    z = y * y
    torch.autograd.backward([y, z])
    same(x.grad, [6 + 4 * 27])


def test_a_single_root():
    x = leaf([3.0])
    torch.autograd.backward(x * 2)
    same(x.grad, [2])


# retain_grad


def test_retain_grad():
    x = leaf([1.0, 2.0])
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    (y * y).sum().backward(retain_graph=True)
    same(y.grad, [4, 8])
    (y * 1).sum().backward()
    same(y.grad, [5, 9])


def test_retain_grad_of_a_leaf_and_of_a_constant():  # A-86, E-42
    x = leaf([1.0])
    x.retain_grad()
    (x * 2).backward()
    same(x.grad, [2])
    with pytest.raises(RuntimeError):
        (Variable(torch.ones(1)) * 2).retain_grad()


# autograd.grad


def test_grad_returns_a_tuple():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (gx,) = torch.autograd.grad((x * y).sum(), x)
    same(gx, [3, 4])
    assert gx.volatile and x.grad is None and y.grad is None


def test_grad_of_intermediates():
    x = leaf([2.0])
    y = x * 3
    z = y * y
    gy, gx = torch.autograd.grad(z, [y, x])
    same(gy, [12])
    same(gx, [36])


def test_grad_outputs():
    x = leaf([1.0, 2.0])
    (g,) = torch.autograd.grad(x * 2, x, torch.DoubleTensor([1, 10]))
    same(g, [2, 20])


def test_grad_of_grad():
    x = leaf([2.0])
    (g,) = torch.autograd.grad(x**3, x, create_graph=True)
    (h,) = torch.autograd.grad(g, x, create_graph=True)
    (k,) = torch.autograd.grad(h, x)
    assert [float(v) for v in (g, h, k)] == [12, 12, 6]


def test_grad_of_what_is_not_there():  # A-92, E-34
    x, y = leaf([1.0]), leaf([1.0])
    with pytest.raises(RuntimeError):
        torch.autograd.grad(x * 2, y)
    y + 1
    z = x * 2
    assert torch.autograd.grad(z, [x, y], allow_unused=True)[1] is None
    with pytest.raises(RuntimeError):
        torch.autograd.grad(x * 2, Variable(torch.ones(1)))  # E-35


# a model, end to end


def test_a_step_of_a_small_network_against_numpy():
    x, w, v = numbers(5, 3), numbers(3, 4, seed=1), numbers(4, 2, seed=2)
    b, t = numbers(4, seed=3), numbers(5, 2, seed=4)
    W, V, B = leaf(w), leaf(v), leaf(b)
    hidden = F.tanh(torch.addmm(B.unsqueeze(0).expand(5, 4), Variable(double(x)), W))
    loss = ((hidden.mm(V) - Variable(double(t))) ** 2).mean()
    loss.backward()
    h = np.tanh(x @ w + b)
    g = 2 * (h @ v - t) / 10
    d = (g @ v.T) * (1 - h * h)
    close(V.grad, h.T @ g, rtol=1e-10)
    close(W.grad, x.T @ d, rtol=1e-10)
    close(B.grad, d.sum(0), rtol=1e-10)


def test_gradients_have_the_layout_of_their_leaf():
    x = Variable(double(numbers(3, 2)).t(), requires_grad=True)
    (x * x).sum().backward()
    close(x.grad, 2 * numbers(3, 2).T)


@pytest.mark.parametrize("n", [2, 5])
def test_unused_results_of_max_leave_no_trace(n):
    x = leaf(numbers(3, n))
    values, index = x.max(1)
    del values, index
    x.sum().backward()
    same(x.grad, np.ones((3, n)))
