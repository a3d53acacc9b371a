"""Hooks on leaves, on results and on nodes (A-100 to A-110, E-40 to E-43)."""

import copy
import pickle
import weakref

import pytest

import rgrad as torch
from rgrad.autograd import Variable
from rgrad.utils.hooks import RemovableHandle
from support import array, double, leaf, live_nodes, same


def twice(g):
    return g * 2


def test_hook_sees_the_total_gradient_once():
    x, seen = leaf([1.0, 2.0]), []
    y = x * 3
    y.register_hook(lambda g: seen.append(array(g).tolist()))
    (y + y * y).sum().backward()
    assert seen == [[1 + 2 * 3, 1 + 2 * 6]]


@pytest.mark.parametrize("on", ["leaf", "result"])
def test_hooks_run_in_order_and_replace(on):
    x, seen = leaf([1.0]), []
    y = x * 3
    v = x if on == "leaf" else y
    v.register_hook(lambda g: seen.append(array(g).tolist()))
    v.register_hook(lambda g: g * 10)
    v.register_hook(lambda g: seen.append(array(g).tolist()))
    v.register_hook(twice)
    y.sum().backward()
    first = 3.0 if on == "leaf" else 1.0
    assert seen == [[first], [first * 10]]
    same(x.grad, [60])


def test_leaf_hook_runs_before_the_gradient_is_added():
    x, seen = leaf([1.0]), []
    x.register_hook(lambda g: seen.append((array(g).tolist(), x.grad is None)))
    x.register_hook(twice)
    (x * 3).backward()
    (x * 3).backward()
    assert seen == [([3.0], True), ([3.0], False)]
    same(x.grad, [12])


def test_leaf_hook_outlives_the_name():
    x, seen = leaf([1.0]), []
    x.register_hook(lambda g: seen.append(array(g).tolist()))
    y = x * 3
    del x
    y.backward()
    assert seen == [[3.0]]
    same(y.grad_fn.next_functions[0][0].variable.grad, [3])


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_in_hooks_are_volatile_unless_recorded(create_graph):
    x, seen = leaf([2.0]), []
    y = x * x
    for v in (x, y):
        v.register_hook(lambda g: seen.append((g.volatile, g.requires_grad)))
    (y * y).backward(create_graph=create_graph)
    assert [volatile for volatile, _ in seen] == [not create_graph] * 2
    assert seen[0][1] is create_graph


def test_hook_with_create_graph_is_differentiated():
    x = leaf([3.0])
    y = x * x
    handle = y.register_hook(lambda g: g * g)  # (2y)² dy/dx = 4x⁴ 2x = 8x⁵
    (y * y).backward(create_graph=True)
    same(x.grad, [8 * 3.0**5])
    handle.remove()  # it would see the gradients of the gradient too
    (second,) = torch.autograd.grad(x.grad, x)
    same(second, [40 * 3.0**4])


@pytest.mark.parametrize("make", ["volatile", "plain"])
def test_register_needs_a_gradient(make):  # A-100, E-40
    v = Variable(torch.ones(1), volatile=make == "volatile")
    word = "volatile" if make == "volatile" else "require"
    with pytest.raises(RuntimeError, match=word):
        v.register_hook(twice)
    assert v._backward_hooks is None


def test_hook_must_be_callable():
    x = leaf([1.0])
    with pytest.raises(TypeError, match="int"):
        x.register_hook(3)
    with pytest.raises(TypeError, match="int"):
        (x * 2).grad_fn.register_hook(3)


def wrong_type(g):
    return g.data


def wrong_class(g):
    return g.float()


def wrong_size(g):
    return g.expand(2, 3)


def wrong_number(g):
    return 3


@pytest.mark.parametrize(
    "hook, error",
    [
        (wrong_type, TypeError),
        (wrong_number, TypeError),
        (wrong_class, RuntimeError),
        (wrong_size, RuntimeError),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
@pytest.mark.parametrize("on", ["leaf", "result"])
def test_wrong_results_of_hooks(hook, error, on):  # A-101, E-41
    x = leaf([1.0, 2.0, 3.0])
    y = x * 2
    (x if on == "leaf" else y).register_hook(hook)
    with pytest.raises(error, match=hook.__name__):
        y.sum().backward()
    assert x.grad is None


def test_a_missing_gradient_cannot_be_replaced():
    class Two(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x + 1, x + 2

        @staticmethod
        def backward(ctx, a, b):
            return a + b

    x, seen = leaf([1.0]), []
    a, b = Two.apply(x)
    handle = b.register_hook(seen.append)
    a.backward(retain_graph=True)
    assert seen == [None]
    handle.remove()
    b.register_hook(lambda g: Variable(double([1.0])))
    with pytest.raises(RuntimeError, match="lambda"):
        a.backward()


def test_an_exception_comes_out_as_it_was():  # A-105, E-38
    class Mine(Exception):
        pass

    error = Mine("here")

    def hook(g):
        raise error

    for pick in (lambda x, y: x, lambda x, y: y):
        x = leaf([1.0])
        y = x * 3
        pick(x, y).register_hook(hook)
        with pytest.raises(Mine) as e:
            y.backward()
        assert e.value is error
        assert x.grad is None


def test_a_raising_hook_leaves_its_node_as_it_was():
    x = leaf([2.0])
    y = x * x
    start = live_nodes()

    def hook(g):
        raise KeyError

    handle = y.register_hook(hook)
    for _ in range(3):
        with pytest.raises(KeyError):
            y.backward()
        assert live_nodes() == start
    handle.remove()
    y.backward()  # what y's node saved is still there
    same(x.grad, [4])


def test_remove():
    x = leaf([1.0])
    handle = x.register_hook(twice)
    assert isinstance(handle, RemovableHandle)
    handle.remove()
    handle.remove()
    x.backward(double([1.0]))
    same(x.grad, [1])


def test_handle_as_context_manager():
    x = leaf([1.0])
    with x.register_hook(twice) as handle:
        assert isinstance(handle, RemovableHandle)
        (x * 1).backward()
    (x * 1).backward()
    same(x.grad, [3])


def test_removal_during_the_call():
    x, seen = leaf([1.0]), []
    handles = []

    def first(g):
        handles[0].remove()
        seen.append("first")

    handles.append(x.register_hook(first))
    x.register_hook(lambda g: seen.append("second"))
    (x * 1).backward()
    (x * 1).backward()
    assert seen == ["first", "second", "second"]


def test_handles_are_pickled_dead():
    x = leaf([1.0])
    handle = pickle.loads(pickle.dumps(x.register_hook(twice)))
    handle.remove()
    (x * 1).backward()
    same(x.grad, [2])


def test_table_is_shown():
    x = leaf([1.0])
    assert x._backward_hooks is None
    handle = x.register_hook(twice)
    assert list(x._backward_hooks.values()) == [twice]
    assert list(x._backward_hooks) == [handle.id]
    x._backward_hooks = None
    (x * 1).backward()
    same(x.grad, [1])


def test_copies_of_hooks():
    x = leaf([1.0])
    x.register_hook(twice)
    assert copy.deepcopy(x)._backward_hooks is None
    for other in (copy.copy(x), pickle.loads(pickle.dumps(x))):
        (other * 1).backward()
        same(other.grad, [2])
    x.register_hook(lambda g: g)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(x)


def test_hook_stays_with_the_node_of_its_time():
    x, seen = leaf([1.0]), []
    y = x * 2
    y.register_hook(lambda g: seen.append(("before", array(g).tolist())))
    y.mul_(5)
    y.register_hook(lambda g: seen.append(("after", array(g).tolist())))
    y.backward()
    assert seen == [("after", [1.0]), ("before", [5.0])]


def test_hook_may_call_backward():
    x, z = leaf([2.0]), leaf([3.0])
    y = x * x
    y.register_hook(lambda g: (z * z).backward())
    y.backward()
    same(x.grad, [4])
    same(z.grad, [6])


def test_hook_may_drop_the_last_reference():
    start = live_nodes()
    kept = {"x": leaf([2.0])}
    kept["y"] = kept["x"] * 3
    kept["y"].register_hook(lambda g: kept.clear())
    y = kept["y"] * 2
    y.backward()
    assert not kept
    del y
    assert live_nodes() == start


def test_hook_may_keep_the_gradient():
    x, kept = leaf([1.0]), []
    y = x * 3
    y.register_hook(kept.append)
    (y * 2 + y).backward()
    same(kept[0], [3])
    same(x.grad, [9])


# hooks of nodes


def test_node_hooks_see_both_sides():
    a, b, seen = leaf([2.0]), leaf([5.0]), []
    y = a * b
    y.grad_fn.register_hook(
        lambda gi, go: seen.append(
            ([array(g).tolist() for g in gi], [array(g).tolist() for g in go])
        )
    )
    (y * 3).backward()
    assert seen == [([[15.0], [6.0]], [[3.0]])]


def test_node_hooks_replace():
    a, b = leaf([2.0]), leaf([5.0])
    y = a * b
    y.grad_fn.register_hook(lambda gi, go: (gi[0] * 10, None))
    y.backward()
    same(a.grad, [50])
    assert b.grad is None


def test_node_hooks_have_none_for_inputs_without_gradient():
    a, g, seen = leaf([2.0]), Variable(double([3.0])), []
    y = g * a
    y.grad_fn.register_hook(lambda gi, go: seen.append([x is None for x in gi]))
    y.backward()
    assert seen == [[True, False]]


@pytest.mark.parametrize(
    "result, error, words",
    [
        (3, TypeError, "tuple"),
        ((), RuntimeError, "0"),
        ((None, None), RuntimeError, "2"),
        ((3,), TypeError, "int"),
    ],
)
def test_wrong_results_of_node_hooks(result, error, words):  # E-43
    x = leaf([1.0])
    y = x * 2
    y.grad_fn.register_hook(lambda gi, go: result)
    with pytest.raises(error, match=words):
        y.backward()
    assert x.grad is None


def test_accumulator_hooks():
    x, seen = leaf([1.0]), []
    y = x * 2
    accumulator = y.grad_fn.next_functions[0][0]
    accumulator.register_hook(
        lambda gi, go: seen.append((gi, array(go[0]).tolist(), array(x.grad).tolist()))
    )
    y.backward()
    assert seen == [((), [2.0], [2.0])]


def test_node_hook_handle():
    x, seen = leaf([1.0]), []
    y = x + 1
    handle = y.grad_fn.register_hook(lambda gi, go: seen.append(1))
    y.backward()
    handle.remove()
    y.backward()
    assert seen == [1]


def test_grad_fn_is_one_object_with_hooks():
    x = leaf([1.0])
    y = x * 2
    node = y.grad_fn
    node.register_hook(lambda gi, go: None)
    assert y.grad_fn is node
    node.note = "kept"
    died = weakref.ref(node)
    del node
    assert y.grad_fn.note == "kept"
    del y
    assert died() is None


# retain_grad


def test_retain_grad():
    x = leaf([1.0, 2.0])
    y = x * 3
    assert y.grad is None
    y.retain_grad()
    y.retain_grad()
    y.sum().backward(retain_graph=True)
    same(y.grad, [1, 1])
    first = y.grad
    y.sum().backward()
    same(y.grad, [2, 2])
    same(first, [1, 1])
    assert y.retains_grad


def test_retain_grad_stands_in_line():
    x = leaf([1.0])
    y = x * 3
    y.register_hook(twice)
    y.retain_grad()
    y.register_hook(lambda g: g * 100)
    y.backward()
    same(y.grad, [2])
    same(x.grad, [600])


def test_retain_grad_of_others():  # A-86, E-42
    x = leaf([1.0])
    x.retain_grad()
    with pytest.raises(RuntimeError, match="requires_grad"):
        Variable(torch.ones(1)).retain_grad()


def test_retain_grad_does_not_keep_the_variable():
    x = leaf([1.0])
    y = x * 3
    z = y * 2
    y.retain_grad()
    died = weakref.ref(y)
    del y
    assert died() is None
    z.backward()
    same(x.grad, [6])


# autograd.grad


def test_leaf_hooks_are_not_called_for_listed_leaves():
    x, seen = leaf([1.0]), []
    y = x * 3
    x.register_hook(lambda g: seen.append("leaf"))
    y.register_hook(lambda g: g * 10)
    (g,) = torch.autograd.grad(y * 2, x)
    same(g, [60])
    assert not seen


def test_captured_gradients_are_after_the_hooks():
    x = leaf([1.0])
    y = x * 3
    y.register_hook(lambda g: g * 10)
    (g,) = torch.autograd.grad(y * 2, y)
    same(g, [20])
