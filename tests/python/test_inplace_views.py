"""In-place changes, version counters, views and their history (A-40 to A-48, A-115 to A-132)."""

import numpy as np
import pytest

import rgrad as torch
import rgrad.nn.functional as F
from rgrad.autograd import Variable
from support import array, double, leaf, name_of, numbers, same, snapshot

IN_PLACE = {
    "add_": lambda v: v.add_(1),
    "sub_": lambda v: v.sub_(1),
    "mul_": lambda v: v.mul_(2),
    "div_": lambda v: v.div_(2),
    "pow_": lambda v: v.pow_(2),
    "exp_": lambda v: v.exp_(),
    "log_": lambda v: v.log_(),
    "sqrt_": lambda v: v.sqrt_(),
    "tanh_": lambda v: v.tanh_(),
    "sigmoid_": lambda v: v.sigmoid_(),
    "neg_": lambda v: v.neg_(),
    "abs_": lambda v: v.abs_(),
    "clamp_": lambda v: v.clamp_(0.6, 1.6),
    "fill_": lambda v: v.fill_(3),
    "zero_": lambda v: v.zero_(),
    "+=": lambda v: v.__iadd__(1),
    "*=": lambda v: v.__imul__(2),
    "[0] =": lambda v: v.__setitem__(0, 9.0) or v,
    "[1:] =": lambda v: v.__setitem__(slice(1, None), 9.0) or v,
}
each = pytest.mark.parametrize("op", IN_PLACE)


@each
def test_leaves_that_require_grad_are_safe(op):  # A-40, E-8
    v = leaf([0.5, 1.5])
    before = snapshot(v)
    with pytest.raises(RuntimeError, match="leaf") as e:
        IN_PLACE[op](v)
    assert ".data" in str(e.value)
    assert snapshot(v) == before


@each
def test_other_leaves_change(op):
    v = Variable(torch.DoubleTensor([0.5, 1.5]))
    assert IN_PLACE[op](v) is v
    assert v._version == 1 and v.is_leaf and not v.requires_grad


@each
def test_computed_variables_change(op):
    x = leaf([0.5, 1.5])
    y = x * 1
    assert IN_PLACE[op](y) is y
    assert y._version == 1 and y.requires_grad and not y.is_leaf
    w = Variable(torch.DoubleTensor([0.5, 1.5]))
    IN_PLACE[op](w)
    same(y, array(w))
    y.sum().backward()  # what the rule needed was kept aside


def test_augmented_assignment_keeps_the_object():
    y = leaf([1.0]) * 1
    kept = y
    y += 1
    y *= 3
    y -= 2
    y /= 2
    assert y is kept and y._version == 4
    same(y, [2])


def test_leaf_in_place_with_a_volatile_operand():
    v = leaf([1.0])
    with pytest.raises(RuntimeError, match="leaf"):
        v.add_(Variable(torch.DoubleTensor([1]), volatile=True))
    same(v, [1])


def test_a_constant_becomes_computed():
    v, x = Variable(torch.DoubleTensor([2.0])), leaf([3.0])
    v.mul_(x)
    assert not v.is_leaf and v.requires_grad and name_of(v.grad_fn) == "MulBackward1"
    v.backward()
    same(x.grad, [2])
    assert v.grad is None


def test_a_volatile_operand_takes_the_history():
    y = leaf([1.0]) * 2
    y.add_(Variable(torch.DoubleTensor([1]), volatile=True))
    assert (y.volatile, y.requires_grad, y.grad_fn) == (True, False, None)


def test_a_leaf_with_a_past_gets_no_gradient():  # A-45, E-29
    v = Variable(torch.zeros(2))
    v[0] = 1
    v.requires_grad = True
    with pytest.raises(RuntimeError, match="leaf"):
        (v * 2).sum().backward()
    v = Variable(torch.zeros(2))
    v.data[0] = 1
    v.requires_grad = True
    (v * 2).sum().backward()
    same(v.grad, [2, 2])


def test_gradients_through_a_chain_of_changes():
    x = leaf([0.5, 1.5])
    y = x * 2
    y.mul_(x).add_(1).sqrt_()  # sqrt(2x² + 1)
    y.sum().backward()
    a = np.array([0.5, 1.5])
    np.testing.assert_allclose(array(x.grad), 2 * a / np.sqrt(2 * a * a + 1), rtol=1e-14)


# version counters


def test_one_counter_for_the_family():
    v = Variable(torch.zeros(2, 3))
    row, turned, twin = v[0], v.t(), v.detach()
    for count, (member, change) in enumerate(
        [
            (v, lambda x: x.add_(1)),
            (row, lambda x: x.mul_(2)),
            (turned, lambda x: x.__setitem__(0, 5.0)),
            (twin, lambda x: x.zero_()),
            (v.narrow(0, 1, 1), lambda x: x.fill_(1)),
        ],
        start=1,
    ):
        change(member)
        assert [m._version for m in (v, row, turned, twin)] == [count] * 4


def test_a_new_variable_has_a_new_counter():
    v = Variable(torch.zeros(2))
    w = Variable(v.data)
    w.add_(1)
    assert (v._version, w._version) == (0, 1)
    same(v, [1, 1])


def test_failed_changes_do_not_count():
    v = Variable(torch.zeros(2))
    with pytest.raises(RuntimeError):
        v.add_(Variable(torch.zeros(3)))
    with pytest.raises(IndexError):
        v[5] = 1
    with pytest.raises(TypeError):
        v.add_("x")
    assert v._version == 0


SAVED = {  # what each rule reads; True where changing the operand breaks it
    "mul": (lambda x, y: x * y, True, False),
    "add": (lambda x, y: x + y, False, False),
    "div left": (lambda x, y: x / y, True, False),
    "pow": (lambda x, y: x**2, True, False),
    "exp": (lambda x, y: x.exp(), False, True),
    "log": (lambda x, y: x.log(), True, False),
    "sqrt": (lambda x, y: x.sqrt(), True, False),
    "tanh": (lambda x, y: x.tanh(), False, True),
    "sigmoid": (lambda x, y: x.sigmoid(), False, True),
    "mul number": (lambda x, y: x * 3, False, False),
    "sum": (lambda x, y: x.sum(0), False, False),
    "mm": (lambda x, y: x.view(1, 2).mm(y.view(2, 1)), True, False),
    "view": (lambda x, y: x.view(2, 1), False, False),
    "cat": (lambda x, y: torch.cat([x, y]), False, False),
    "softmax": (lambda x, y: F.softmax(x, dim=0), False, True),
    "abs": (lambda x, y: x.abs(), True, False),
    "clamp": (lambda x, y: x.clamp(min=1), True, False),
}


# 0.3 lists the input of softmax as saved; keeping the output alone is allowed.
PAIRS = [(n, w) for n in SAVED for w in ("input", "output") if (n, w) != ("softmax", "input")]


@pytest.mark.parametrize("name, which", PAIRS)
def test_saved_values_are_checked(name, which):  # E-28
    op, reads_input, reads_output = SAVED[name]
    x, other = leaf([0.5, 1.5]), leaf([0.75, 2.0])
    z = x * 1
    y = op(z, other)
    total = y.sum()
    if which == "input":
        z.add_(2)
    else:
        y.add_(2)
    if reads_input if which == "input" else reads_output:
        with pytest.raises(RuntimeError, match=r"in-?place") as e:
            total.backward()
        assert "modified" in str(e.value)
    else:
        total.backward()
        assert x.grad is not None


def test_the_whole_family_is_checked():  # granularity
    x = leaf(numbers(3, 2))
    y = x * 1
    z = (y[2] * y[2]).sum()
    y[0] = 1
    with pytest.raises(RuntimeError, match=r"in-?place"):
        z.backward()


def test_changes_through_data_are_not_seen():
    x = leaf([2.0])
    y = x * x
    x.data.fill_(5)
    y.backward()
    same(x.grad, [10])


def test_in_place_exp_of_itself():
    x = leaf([0.5])
    y = (x * 1).exp_()
    y.backward()
    same(x.grad, np.exp([0.5]))


# views


VIEWS = {
    "narrow": (lambda v: v.narrow(0, 0, 1), lambda a: a[0:1]),
    "select": (lambda v: v.select(1, 2), lambda a: a[:, 2]),
    "int": (lambda v: v[1], lambda a: a[1]),
    "slice": (lambda v: v[:, 1:], lambda a: a[:, 1:]),
    "step": (lambda v: v[:, ::2], lambda a: a[:, ::2]),
    "view": (lambda v: v.view(6), lambda a: a.reshape(6)),
    "t": (lambda v: v.t(), lambda a: a.T),
    "transpose": (lambda v: v.transpose(0, 1), lambda a: a.swapaxes(0, 1)),
    "unsqueeze": (lambda v: v.unsqueeze(0), lambda a: a[None]),
    "squeeze": (lambda v: v.unsqueeze(0).squeeze(0), lambda a: a),
    "view of view": (lambda v: v.t()[1:].narrow(1, 0, 1), lambda a: a.T[1:, 0:1]),
}


@pytest.mark.parametrize("name", VIEWS)
class TestViews:
    def test_base(self, name):
        b = Variable(double(numbers(2, 3)))
        v = VIEWS[name][0](b)
        assert v._base is b and b._base is None
        assert v.data.storage_offset() * 8 == v.data.data_ptr() - b.data.data_ptr()

    def test_in_place_on_the_view(self, name):
        view, twin = VIEWS[name]
        x = leaf(numbers(2, 3))
        b = x * 1
        v = view(b)
        m = leaf(numbers(*v.size(), seed=1))
        v.mul_(m)
        wanted = numbers(2, 3)
        twin(wanted)[...] *= numbers(*v.size(), seed=1)
        same(b, wanted)
        assert name_of(b.grad_fn) == "CopySlices"
        w = numbers(2, 3, seed=2)
        (b * Variable(double(w))).sum().backward()
        grad = w.copy()
        twin(grad)[...] = twin(w) * numbers(*v.size(), seed=1)
        same(x.grad, grad)
        same(m.grad, twin(w) * twin(numbers(2, 3)))

    def test_the_view_sees_a_change_of_its_base(self, name):
        view, twin = VIEWS[name]
        x = leaf(numbers(2, 3))
        b = x * 1
        v = view(b)
        b.mul_(3)
        same(v, twin(numbers(2, 3) * 3))
        assert name_of(v.grad_fn) == "AsStridedBackward"
        (v * v).sum().backward()
        grad = np.zeros((2, 3))
        twin(grad)[...] = 18 * twin(numbers(2, 3))
        np.testing.assert_allclose(array(x.grad), grad, rtol=1e-14)

    def test_two_views_of_one_base(self, name):
        view, twin = VIEWS[name]
        x = leaf(numbers(2, 3))
        b = x * 1
        v, whole = view(b), b.view(6)
        v.mul_(2)
        whole.sum().backward()
        grad = np.ones((2, 3))
        twin(grad)[...] = 2
        same(x.grad, grad)


def test_worked_values():  # section 9
    root = leaf(numbers(2, 2))
    x = root.clone()
    x.narrow(0, 0, 1).mul_(2)
    x.sum().backward()
    same(root.grad, [[2, 2], [1, 1]])

    a, b = Variable(torch.DoubleTensor([2, 5])), leaf([3])
    a.narrow(0, 1, 1).mul_(b).sum().backward()
    same(b.grad, [5])
    assert not a.is_leaf and a.requires_grad
    same(a, [2, 15])


def test_assignment_routes_gradients():
    x, value = leaf([1.0, 2.0, 3.0]), leaf([7.0])
    y = x * 2
    y[1] = value
    assert y._version == 1
    y.sum().backward()
    same(x.grad, [2, 0, 2])
    same(value.grad, [1])


def test_assigned_values_broadcast():
    x, value = leaf(numbers(2, 3)), leaf([1.0])
    y = x * 1
    y[:, 1:] = value
    y.sum().backward()
    same(x.grad, [[1, 0, 0], [1, 0, 0]])
    same(value.grad, [4])


def test_an_old_view_of_a_changed_base():  # A-128, E-31
    base, x = Variable(torch.DoubleTensor([1, 2])), leaf([3.0, 4.0])
    view = base.narrow(0, 0, 1)
    base.mul_(x)
    with pytest.raises(RuntimeError, match="view"):
        (view * x.narrow(0, 0, 1)).sum().backward()


def test_detach_in_place_of_a_view():  # A-130, E-19b
    y = leaf([1.0, 2.0]) * 1
    view = y[:1]
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        view.detach_()
    d = view.detach()
    d.data[0] = 9
    same(y, [9, 2])


def test_a_leaf_changed_through_its_view():  # A-131, E-30: error here or in backward
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="leaf"):
        x[:1].mul_(2)
        (x * x).sum().backward()


@pytest.mark.parametrize("retain", [False, True])
def test_copy_slices_twice(retain):
    x = leaf([1.0, 2.0])
    y = x + 0
    y[0] = 5
    z = y.sum()
    z.backward(retain_graph=True)
    if retain:
        z.backward(retain_graph=True)
        same(x.grad, [0, 2])
    else:
        same(x.grad, [0, 1])


def test_second_order_through_a_view():
    x = leaf([1.0, 2.0])
    y = x * 1
    y[:1].mul_(x[1:])  # (x0 x1, x1)
    (y * y).sum().backward(create_graph=True)
    g = x.grad
    same(g, [2 * 1 * 4, 2 * 2 * 1 + 4])  # (2 x0 x1², 2 x1 x0² + 2 x1)
    x.grad = None
    g.sum().backward()
    same(x.grad, [2 * 4 + 4 * 1 * 2, 4 * 1 * 2 + 2 * 1 + 2])


def test_contiguous_is_the_same_object_or_a_copy():
    x = leaf(numbers(2, 3))
    assert x.contiguous() is x
    c = x.t().contiguous()
    c.mul_(2)
    same(x, numbers(2, 3))


def test_no_grad_allows_updates_of_leaves():
    w = leaf([1.0, 2.0])
    (w * w).sum().backward()
    with torch.no_grad():
        w.sub_(w.grad * 0.5)
    same(w, [0, 0])
    assert w.is_leaf and w.requires_grad


TURNS = [
    (lambda x: x.t_(), lambda a: a.T),
    (lambda x: x.transpose_(0, 1), lambda a: a.T),
    (lambda x: x.unsqueeze_(1), lambda a: a[:, None]),
    (lambda x: x.unsqueeze_(0).squeeze_(0), lambda a: a),
    (lambda x: x.unsqueeze_(0).squeeze_(), lambda a: a),
]


@pytest.mark.parametrize("turn, wanted", TURNS)
def test_geometry_in_place(turn, wanted):  # forms I of ops.tsv: t, transpose, squeeze, unsqueeze
    values = numbers(2, 3)
    t = double(values)
    assert turn(t) is t
    same(t, wanted(values))

    x = leaf(values)
    y = x * 2
    assert turn(y) is y
    same(y, 2 * wanted(values))
    weights = numbers(*wanted(values).shape, seed=3)
    (y * Variable(double(weights))).sum().backward()
    back = np.zeros((2, 3))
    wanted(back)[...] = 2 * weights
    same(x.grad, back)


def test_geometry_of_a_leaf_stays():
    x = leaf(numbers(2, 3))
    with pytest.raises(RuntimeError, match="leaf"):
        x.t_()
    same(x, numbers(2, 3))
