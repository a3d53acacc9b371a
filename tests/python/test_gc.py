"""Rings through the graph are collected, and nothing that is in use ever is (A-109)."""

import gc
import sys
import weakref

import pytest

import rgrad as torch
from rgrad.autograd import Function, Variable
from support import leaf, live_nodes, run_python, same


class Mark:
    """Something whose death can be watched."""


class Keep(Function):
    @staticmethod
    def forward(ctx, x, what=None):
        ctx.what = what
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2, None


def leaf_hook(mark):
    x = leaf([1.0])
    x.register_hook(lambda g: (x, mark))


def result_hook(mark):
    y = leaf([1.0]) * 2
    y.register_hook(lambda g: (y, mark))


def hook_on_a_later_result(mark):
    y = leaf([1.0]) * 2
    z = (y * 3).exp()
    y.register_hook(lambda g: (z, mark))


def hook_with_two_ways_in(mark):
    y = leaf([1.0]) * 2
    z = (y * 3).exp()
    y.register_hook(lambda g: (y, z, mark))


def node_hook(mark):
    y = leaf([1.0]) * 2
    y.grad_fn.register_hook(lambda gi, go: (y, mark))


def node_hook_with_the_node(mark):
    node = (leaf([1.0]) * 2).grad_fn
    node.register_hook(lambda gi, go: (node, mark))


def accumulator_hook(mark):
    x = leaf([1.0])
    accumulator = (x * 2).grad_fn.next_functions[0][0]
    accumulator.register_hook(lambda gi, go: (accumulator, x, mark))


def two_hooks_that_hold_each_other(mark):
    x = leaf([1.0])
    y, z = x * 2, x * 3
    y.register_hook(lambda g: (z, mark))
    z.register_hook(lambda g: y)


def context_with_its_result(mark):
    y = Keep.apply(leaf([1.0]), mark)
    y.grad_fn.result = y


def context_with_a_later_result(mark):
    y = Keep.apply(leaf([1.0]), mark)
    z = y * 3
    y.grad_fn.result = (z, y)


def context_with_its_argument(mark):
    box = []
    y = Keep.apply(leaf([1.0]), (box, mark))
    box.append(y)


def context_with_itself(mark):
    y = Keep.apply(leaf([1.0]), mark)
    y.grad_fn.me = y.grad_fn


def chain_of_contexts(mark):
    y = leaf([1.0])
    box = [mark]
    for _ in range(5):
        y = Keep.apply(y, box) + 1
    box.append(y)


def old_function(mark):
    class Old(Function):
        def forward(self, x):
            return x * 2

    f = Old()
    f.y = f(leaf([1.0]))
    f.mark = mark


def attribute(mark):
    y = leaf([1.0]) * 2
    y.me = (y, mark)


def node_attribute(mark):
    y = leaf([1.0]) * 2
    node = y.grad_fn
    node.held = (y, node, mark)


def view(mark):
    y = leaf([1.0, 2.0]) * 2
    part = y[0]
    y.register_hook(lambda g: (part, mark))


def gradient(mark):
    x = leaf([1.0])
    (x * x * x).backward(create_graph=True)
    x.grad.note = mark
    x.grad.register_hook(lambda g: x)


def gradient_through_a_function(mark):
    x = leaf([1.0])
    Keep.apply(x * x, mark).backward(create_graph=True)
    x.register_hook(lambda g: mark)


def retained(mark):
    y = leaf([1.0]) * 2
    y.retain_grad()
    y.backward()
    y.register_hook(lambda g: (y.grad, mark))
    y.grad.note = y


PATTERNS = [
    leaf_hook,
    result_hook,
    hook_on_a_later_result,
    hook_with_two_ways_in,
    node_hook,
    node_hook_with_the_node,
    accumulator_hook,
    two_hooks_that_hold_each_other,
    context_with_its_result,
    context_with_a_later_result,
    context_with_its_argument,
    context_with_itself,
    chain_of_contexts,
    old_function,
    attribute,
    node_attribute,
    view,
    gradient,
    gradient_through_a_function,
    retained,
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.__name__)
def test_rings_are_collected(pattern):
    start = live_nodes()
    mark = Mark()
    died = weakref.ref(mark)
    pattern(mark)
    del mark
    for _ in range(3):
        gc.collect()
    assert died() is None
    assert live_nodes() == start


@pytest.mark.parametrize("after", [False, True], ids=["before", "after backward"])
@pytest.mark.parametrize("keep", ["x", "y", "z", "node"])
def test_what_is_in_use_stays(keep, after):
    """One way in is left; everything that it reaches must live through collections."""
    seen = []

    def build():
        x = leaf([1.0])
        y = Keep.apply(x * 1, seen)
        z = y * 3
        x.register_hook(lambda g: seen.append(("x", x.data[0])))
        y.register_hook(lambda g: seen.append(("y", y.data[0], z.data[0])))
        y.grad_fn.register_hook(lambda gi, go: seen.append(("node", y.data[0])))
        y.grad_fn.note = (z, "note")
        if after:
            z.backward(retain_graph=True)
            seen.clear()
        return {"x": x, "y": y, "z": z, "node": y.grad_fn}[keep]

    kept = build()
    for _ in range(3):
        gc.collect()
    if keep == "x":
        (kept * 2).backward()
        assert seen == [("x", 1.0)]
    elif keep == "node":
        kept.note[0].backward()
        assert [s[0] for s in seen] == ["y", "node", "x"]
    else:
        kept.backward()
        assert [s[0] for s in seen] == ["y", "node", "x"]
        assert kept.grad_fn is not None


def test_hooks_live_without_any_name_but_the_loss():
    seen = []

    def build():
        x = leaf([1.0])
        y = x * 2
        y.register_hook(lambda g: seen.append(y.data[0]))
        x.register_hook(lambda g: seen.append(x.data[0]))
        return (y * 3).sum()

    loss = build()
    for _ in range(3):
        gc.collect()
    loss.backward()
    assert seen == [2.0, 1.0]


def test_hooks_live_while_a_pass_holds_the_graph():
    seen = []

    def build():
        x = leaf([1.0])
        y = x * 2
        y.register_hook(lambda g: seen.append(y.data[0]))
        z = y * 3
        z.register_hook(lambda g: [gc.collect() for _ in range(3)].clear())
        return z

    build().backward()
    assert seen == [2.0]


def test_a_finalizer_may_bring_things_back():
    saved = []

    class Back:
        def __del__(self):
            saved.append(self.y)

    def build():
        back = Back()
        x = leaf([2.0])
        y = x * x
        back.y = y
        y.register_hook(lambda g: (back, g * 10)[1])
        y.x = x

    build()
    gc.collect()
    (y,) = saved
    saved.clear()
    y.backward()
    same(y.x.grad, [40])


def test_a_gradient_with_history_and_no_names():
    start = live_nodes()
    x = leaf([1.0])
    (x * x * x).backward(create_graph=True)
    del x
    assert live_nodes() == start


def test_a_leaf_keeps_its_gradient_without_a_name():
    x = leaf([3.0])
    y = x * 2
    (x * x).backward()
    del x
    gc.collect()
    same(y.grad_fn.next_functions[0][0].variable.grad, [6])
    y.backward()
    same(y.grad_fn.next_functions[0][0].variable.grad, [8])


def test_variables_without_rings_die_at_once():
    gc.disable()
    try:
        x = leaf([1.0])
        y = Keep.apply(x * 2)
        y.register_hook(lambda g: None)
        died = weakref.ref(y), weakref.ref(y.grad_fn)
        start = torch._C.live_nodes()
        del y
        assert [d() for d in died] == [None, None]
        assert torch._C.live_nodes() < start
    finally:
        gc.enable()


def test_collection_of_a_big_graph_with_hooks_is_quick():
    out = run_python(
        """
        import gc, time
        import rgrad as torch
        from rgrad.autograd import Variable
        x = Variable(torch.ones(1), requires_grad=True)
        y = x
        kept = []
        for i in range(50_000):
            y = y * 1.0
            if i % 100 == 0:
                y.register_hook(lambda g: None)
                kept.append(y)
        gc.collect()
        start = time.perf_counter()
        gc.collect()
        print(time.perf_counter() - start)
        """
    )
    assert float(out) < 5


def test_references_are_counted_right():
    x = leaf([1.0])
    y = x * 2
    x.register_hook(lambda g: y)
    y.register_hook(lambda g: x)
    before = sys.getrefcount(x), sys.getrefcount(y), sys.getrefcount(y.grad_fn)
    for _ in range(3):
        gc.collect()
    assert (sys.getrefcount(x), sys.getrefcount(y), sys.getrefcount(y.grad_fn)) == before


def test_inference_stays_flat():
    start = live_nodes()
    x = Variable(torch.ones(4), volatile=True)
    for _ in range(100):
        x = Keep.apply(x).tanh()
    assert live_nodes() == start
