"""Rules of Variables that other files do not reach (sections 1, 2, 5.1, 9 and 10)."""

import copy
import gc
import pickle

import pytest

import rgrad as torch
from rgrad.autograd import Function, Variable
from rgrad.nn import Parameter
from support import array, double, leaf, name_of, same, snapshot


class Named(Variable):
    """A Variable class of a user."""

    def shout(self):
        return "named"


# construction


def test_grad_fn_argument():
    node = (leaf([1.0]) * 2).grad_fn
    v = Variable(double([5.0]), False, False, node)
    assert v.grad_fn is node and not v.is_leaf and v.requires_grad
    for bad in (3, "f", torch.ones(1)):
        with pytest.raises(RuntimeError, match="Function"):
            Variable(double([5.0]), _grad_fn=bad)


def test_a_class_of_its_own():
    v = Named(double([1.0]), requires_grad=True)
    assert isinstance(v, Variable) and v.shout() == "named"
    y = v * 2
    assert type(y) is Variable
    y.backward()
    same(v.grad, [2])
    assert y.grad_fn.next_functions[0][0].variable is v
    assert type(copy.deepcopy(v)) is Named
    assert (
        type(copy.copy(v)) is Named
        and type(pickle.loads(pickle.dumps(Parameter(torch.ones(1))))) is Parameter
    )


def test_parameter_keeps_its_identity():
    p = Parameter(torch.ones(2))
    name = p
    with torch.no_grad():
        p += 1
        p *= 2
    assert p is name and isinstance(p, Parameter)
    data = p.data
    p.data += 1
    assert p is name and p.data is data
    same(p, [5, 5])
    (p * 3).sum().backward()
    same(p.grad, [3, 3])


def test_flags_do_not_touch_each_other():
    v = Variable(torch.ones(1), volatile=True)
    v.requires_grad = True
    assert v.requires_grad and v.volatile
    v.volatile = False
    (v * 2).backward()
    same(v.grad, [2])


def test_requires_grad_acts_on_graphs_that_exist():
    x = leaf([1.0])
    y = x * 2
    x.requires_grad = False
    y.backward(retain_graph=True)
    assert x.grad is None
    x.requires_grad = True
    y.backward()
    same(x.grad, [2])


# protocol


def test_iteration():
    v = leaf([1.0, 2.0])
    parts = list(v)
    assert [tuple(p.size()) for p in parts] == [(1,), (1,)]
    sum(p * (i + 1) for i, p in enumerate(parts)).backward()
    same(v.grad, [1, 2])
    assert isinstance(v[0], Variable) and isinstance(v.data[0], float)


def test_membership():
    v, w = leaf([1.0]), leaf([1.0])
    assert v in [w, v] and v in (v,)
    assert w in [v]  # equal by value, for one element
    assert Variable(double([3.0])) not in [v, w]
    with pytest.raises(RuntimeError, match="ambiguous"):
        _ = leaf([1.0, 2.0]) in [leaf([1.0, 2.0])]


@pytest.mark.parametrize(
    "other", [None, "x", [1.0], torch.ones(1), object()], ids=lambda o: type(o).__name__
)
@pytest.mark.parametrize("op", ["__eq__", "__ne__", "__lt__", "__ge__"])
def test_comparison_with_foreign_objects(op, other):  # A-13, E-15
    import operator

    v = leaf([1.0])
    with pytest.raises(TypeError):
        getattr(operator, op)(v, other)


def test_no_invention():  # E-18, E-17
    v = leaf([1.0])
    with pytest.raises((NotImplementedError, TypeError)):
        v **= 2
    with pytest.raises(TypeError):
        _ = ~v
    with pytest.raises(AttributeError, match="nothing"):
        _ = v.nothing


# copies


def test_copy_shares_the_data():
    v = leaf([1.0, 2.0])
    w = copy.copy(v)
    assert w is not v and w.data is v.data and w.requires_grad and w.grad is None
    w.data[0] = 9
    same(v, [9, 2])


def test_deepcopy_separates_shared_storage():
    t = double([1.0, 2.0])
    a, b = copy.deepcopy([Variable(t), Variable(t)])
    a.data[0] = 9
    same(b, [1, 2])


def test_pickle_of_both_flags():
    for flags in ({}, {"requires_grad": True}, {"volatile": True}):
        v = pickle.loads(pickle.dumps(Variable(double([1.0]), **flags)))
        assert v.requires_grad is flags.get("requires_grad", False)
        assert v.volatile is flags.get("volatile", False)


def test_old_state():
    v = Variable(double([1.0]))
    v.__setstate__((v.data, None, None, True, False))
    assert v.requires_grad and not v.volatile


# in-place


@pytest.mark.parametrize("other", ["number", "plain", "requires", "volatile"])
def test_leaf_in_place(other):  # A-40, E-8
    x = leaf([1.0, 2.0])
    operand = {
        "number": 2,
        "plain": Variable(double([1.0, 1.0])),
        "requires": leaf([1.0, 1.0]),
        "volatile": Variable(double([1.0, 1.0]), volatile=True),
    }[other]
    before = snapshot(x)
    with pytest.raises(RuntimeError, match="leaf"):
        x.add_(operand)
    assert snapshot(x) == before


def test_plain_leaf_becomes_a_result():
    v, w = Variable(double([1.0])), leaf([2.0])
    v.mul_(w)
    assert not v.is_leaf and v.requires_grad
    v.backward()
    same(w.grad, [1])


def test_volatile_spreads_in_place():
    y = leaf([1.0]) * 2
    y.add_(Variable(double([1.0]), volatile=True))
    assert (y.volatile, y.requires_grad, y.grad_fn) == (True, False, None)


def test_a_changed_leaf_gets_no_gradient():  # A-45, E-29
    v = Variable(double([1.0, 2.0]))
    v[0] = 5
    v.requires_grad = True
    with pytest.raises(RuntimeError, match=r"in-?place"):
        (v * 2).sum().backward()


def test_changes_through_data_do_not_count():
    x = leaf([2.0])
    y = x * x
    x.data.fill_(5)
    y.backward()
    same(x.grad, [10])
    assert x._version == 0


def test_in_place_gives_the_same_object():
    y = leaf([1.0]) * 2
    assert y.add_(1) is y and y.mul_(y) is y


def test_versions_of_a_family():
    y = leaf([[1.0, 2.0]]) * 1
    part, twin, other = y[0], y.detach(), Variable(y.data)
    y.add_(1)
    assert y._version == part._version == twin._version == 1 and other._version == 0


# detach


def test_detach_in_place_of_a_view():  # A-130, E-19b
    y = leaf([1.0, 2.0]) * 1
    part = y[0]
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        part.detach_()
    assert not part.detach().requires_grad


def test_detach_stops_gradients():
    x = leaf([3.0])
    y = x * 2
    (y.detach() * x).backward()
    same(x.grad, [6])


# gradients in leaves


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_accumulation(first, second):
    x = leaf([2.0])
    (x * x).backward(create_graph=first)
    grad, data = x.grad, x.grad.data
    assert grad.volatile is not first
    (x * x).backward(create_graph=second)
    same(x.grad, [8])
    if not first:
        assert x.grad is grad and x.grad.data is data and x.grad.volatile and x.grad.grad_fn is None
    else:
        assert x.grad is not grad and not x.grad.volatile and x.grad.requires_grad
        same(grad, [4])


def test_set_gradient_is_added_to():
    x, g = leaf([2.0]), Variable(double([10.0]), volatile=True)
    x.grad = g
    (x * x).backward()
    assert x.grad is g
    same(g, [14])


def test_clearing_the_gradient():
    x = leaf([2.0])
    (x * x).backward()
    x.grad = None
    assert x.grad is None
    (x * x).backward()
    same(x.grad, [4])
    x.grad.data.zero_()
    (x * x).backward()
    same(x.grad, [4])


def test_gradients_of_results_can_be_set():
    y = leaf([1.0]) * 2
    assert y.grad is None
    y.grad = Variable(double([5.0]))
    same(y.grad, [5])


def test_a_gradient_on_its_way_is_no_alias():
    x, w, g = leaf([1.0, 2.0]), leaf([1.0, 2.0]), double([1.0, 1.0])
    (x + w).backward(g)
    x.grad.data.fill_(7)
    same(w.grad, [1, 1])
    assert g.tolist() == [1, 1]


def test_accumulators():
    x = leaf([1.0])
    a, b = x * 2, x * 3
    first, second = (v.grad_fn.next_functions[0][0] for v in (a, b))
    assert first is second and name_of(first) == "AccumulateGrad" and first.variable is x


def test_a_graph_keeps_no_results():
    import weakref

    x = leaf([2.0])
    y = x * x
    z = y.exp()
    died = weakref.ref(y)
    del y
    assert died() is None
    z.backward()
    assert x.grad is not None


def test_non_differentiable_result_keeps_its_node():
    class Both(Function):
        @staticmethod
        def forward(ctx, x):
            y = x.clone()
            ctx.mark_non_differentiable(y)
            return x * 2, y

        @staticmethod
        def backward(ctx, g, _):
            return g * 2

    y, mask = Both.apply(leaf([1.0]))
    assert not mask.requires_grad and not mask.is_leaf
    with pytest.raises(RuntimeError):
        mask.backward(double([1.0]))
    z = mask.detach()
    assert z.is_leaf
    gc.collect()
    same(y, [2])
    assert array(mask).tolist() == [1]
