"""The order in which nodes run and gradients add up: that of 0.3 (A-84, A-140, A-142)."""

import random
import threading

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Function, Variable
from support import leaf, same


def order_of_03(roots):
    """The nodes below `roots` as the rules order them, from their `next_functions` alone."""
    left, seen, stack = {}, set(roots), list(dict.fromkeys(roots))
    for node in roots:
        left[node] = left.get(node, 0) + 1
    while stack:
        for following, _ in stack.pop().next_functions:
            if following is None:
                continue
            left[following] = left.get(following, 0) + 1
            if following not in seen:
                seen.add(following)
                stack.append(following)
    ready, order = [], []

    def deliver(node):
        left[node] -= 1
        if left[node] == 0:
            ready.append(node)

    for node in roots:
        deliver(node)
    while ready:
        node = ready.pop(0)
        order.append(node)
        for following, _ in node.next_functions:
            if following is not None:
                deliver(following)
    return order


def watched(nodes):
    """A list that gets each node when it runs."""
    ran = []
    for node in nodes:
        node.register_hook(lambda given, got, node=node: ran.append(node))
    return ran


def names_of(order):
    return [type(node).__name__ for node in order]


class Halves(Function):
    """Two results."""

    @staticmethod
    def forward(ctx, x):
        return x * 0.5, x * 2

    @staticmethod
    def backward(ctx, first, second):
        return first * 0.5 + second * 2


def program(seed):
    """A random graph with shared nodes, results that nobody asks for, and several outputs."""
    rng = random.Random(seed)
    leaves = [leaf([float(i)]) for i in range(3)]
    values = list(leaves)
    for _ in range(rng.randrange(3, 30)):
        a, b = rng.choice(values), rng.choice(values[-6:])
        kind = rng.randrange(5)
        if kind == 0:
            values += Halves.apply(a)
        elif kind == 1:
            values.append(torch.cat([a, b, a]).sum())
        elif kind == 2:
            values.append(a * b)
        else:
            values.append(a + b if kind == 3 else a.tanh())
    made = [v for v in values if v.grad_fn is not None]
    roots = [rng.choice(made) for _ in range(rng.randrange(1, 4))]
    return leaves, roots


@pytest.mark.parametrize("seed", range(60))
def test_nodes_run_in_the_order_of_03(seed):
    leaves, roots = program(seed)
    wanted = order_of_03([v.grad_fn for v in roots])
    ran = watched(wanted)
    torch.autograd.backward(roots, [torch.ones(1).double()] * len(roots), retain_graph=True)
    assert names_of(ran) == names_of(wanted)
    assert ran == wanted
    # A pass for some inputs keeps the order among the nodes that it runs.
    del ran[:]
    torch.autograd.grad(
        roots, leaves[:1], [Variable(torch.ones(1).double())] * len(roots), allow_unused=True
    )
    assert ran == [node for node in wanted if node in ran]


@pytest.mark.parametrize("seed", range(20))
def test_a_pass_inside_a_hook_has_the_same_order_and_disturbs_none(seed):
    _, outer = program(seed)
    _, inner = program(seed + 1000)
    outer_wanted = order_of_03([v.grad_fn for v in outer])
    inner_wanted = order_of_03([v.grad_fn for v in inner])
    outer_ran, inner_ran = watched(outer_wanted), watched(inner_wanted)
    one = torch.ones(1).double()

    def nested(given, got):
        torch.autograd.backward(inner, [one] * len(inner))

    outer_wanted[len(outer_wanted) // 2].register_hook(nested)
    torch.autograd.backward(outer, [one] * len(outer))
    assert outer_ran == outer_wanted and inner_ran == inner_wanted


def test_passes_of_several_threads_keep_their_orders():
    one = torch.ones(1).double()
    wrong = []

    def work(seed):
        for turn in range(20):
            _, roots = program(100 * seed + turn)
            wanted = order_of_03([v.grad_fn for v in roots])
            ran = watched(wanted)
            torch.autograd.backward(roots, [one] * len(roots))
            if ran != wanted:
                wrong.append((seed, turn))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_hooks_of_unrelated_branches():  # left to right, one level after the other
    x, y = leaf([1.0]), leaf([2.0])
    deep = x * 2
    deeper = deep * 3
    shallow = y * 4
    called = []
    named = {"x": x, "y": y, "deep": deep, "deeper": deeper, "shallow": shallow}
    for name, v in named.items():
        v.register_hook(lambda g, name=name: called.append(name))
    (deeper + shallow).backward()
    assert called == ["deeper", "shallow", "deep", "y", "x"]
    assert [g.data[0] for g in (x.grad, y.grad)] == [6, 4]


def test_hooks_of_a_diamond():  # the top waits for both sides
    x = leaf([1.0])
    top = x * 2
    left, right = top * 3, top * 5
    called = []
    for name, v in (("top", top), ("left", left), ("right", right), ("x", x)):
        v.register_hook(lambda g, name=name: called.append((name, g.data[0])))
        if v is not x:
            v.grad_fn.register_hook(lambda given, got, name=name: called.append(name))
    (right + left).backward()
    assert called == [
        ("right", 1),
        "right",
        ("left", 1),
        "left",
        ("top", 8),
        "top",
        ("x", 16),
    ]


def test_several_roots():  # in the order given, also where one leads to another
    x = leaf([1.0])
    a = x * 2
    b, c = a * 3, a * 5
    called = []
    for name, v in (("a", a), ("b", b), ("c", c)):
        v.register_hook(lambda g, name=name: called.append((name, g.data[0])))
    one = torch.ones(1).double()
    torch.autograd.backward([c, a, b, c], [one * k for k in (1, 10, 100, 1000)], True)
    # c gets its second gradient last, so it comes behind b.
    assert called == [("b", 100), ("c", 1001), ("a", 10 + 300 + 5005)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
@pytest.mark.parametrize("shape", ["a + (b + c)", "(a + b) + c", "(c + a) + b", "c + (b + a)"])
def test_sums_of_three_are_added_as_they_arrive(order, shape):
    factors = np.float32([1e8, -1e8, 1])[list(order)]
    for leaf_itself in (True, False):
        x = leaf([1.0], "FloatTensor")
        y = x if leaf_itself else x * 1
        a, b, c = (y * float(k) for k in factors)
        eval(shape, {"a": a, "b": b, "c": c}).backward()
        arrival = {
            "a + (b + c)": (0, 1, 2),
            "(a + b) + c": (2, 0, 1),
            "(c + a) + b": (1, 2, 0),
            "c + (b + a)": (2, 1, 0),
        }[shape]
        first, second, third = factors[list(arrival)]
        assert x.grad.data[0] == (first + second) + third


def test_leaf_hooks_and_node_hooks_take_turns():
    x, w, b = leaf([1.0]), leaf([2.0]), leaf([3.0])
    product = x * w
    called = []
    for name, v in (("x", x), ("w", w), ("b", b), ("product", product)):
        v.register_hook(lambda g, name=name: called.append(name))
    y = b + product
    y.grad_fn.register_hook(lambda given, got: called.append("sum ran"))
    product.grad_fn.register_hook(lambda given, got: called.append("product ran"))
    y.backward()
    assert called == ["sum ran", "b", "product", "product ran", "x", "w"]


def test_a_function_with_several_outputs_waits_for_all_that_are_used():
    x = leaf([1.0])
    first, second = Halves.apply(x)
    called = []
    first.register_hook(lambda g: called.append(("first", g.data[0])))
    second.register_hook(lambda g: called.append(("second", g.data[0])))
    (second.tanh() * 0 + first * 3 + second).backward()
    assert called == [("first", 3), ("second", 1)]
    same(x.grad, [3.5])
    x.grad = None
    first, second = Halves.apply(x)
    second.backward()
    same(x.grad, [2])


@pytest.mark.parametrize(
    "make, outputs",
    [
        (Halves.apply, 2),
        (lambda v: v.split(1), 3),
        (lambda v: v.max(0), 1),
        (lambda v: v.sort(0), 1),
        (lambda v: (v.tanh(),), 1),
    ],
)
def test_a_node_hook_is_given_one_gradient_for_each_output(make, outputs):
    shape = (3, 3) if outputs == 3 else (3,)
    for nr in range(outputs):
        x = leaf(np.arange(9.0).reshape(3, 3) if shape == (3, 3) else [1.0, 2.0, 4.0])
        made = make(x * 1)
        seen = []
        made[0].grad_fn.register_hook(lambda given, got, seen=seen: seen.append(got))
        made[nr].sum().backward()
        assert [g is not None for g in seen[0]] == [i == nr for i in range(outputs)]


def test_no_gradient_counts_as_delivered():  # nobody waits for what does not come
    x, w = leaf([2.0]), leaf([3.0])
    top = x * 1
    left, right = top * w, top * 5
    called = []
    top.register_hook(lambda g: called.append(g.data[0]))
    left.grad_fn.register_hook(lambda given, got: (None, given[1]))
    (left + right).backward()
    assert called == [5]
    same(x.grad, [5])
    same(w.grad, [2])


@pytest.mark.parametrize("inputs", ["x w", "x", "w"])
def test_a_way_on_which_nothing_comes_does_not_run(inputs):
    x, w = leaf([2.0]), leaf([3.0])
    top = x * 1
    lost = top * 7
    lower = lost * w
    out = lower * 2 + top * 5
    ran = []
    lower.grad_fn.register_hook(lambda given, got: (None, given[1]))
    lost.grad_fn.register_hook(lambda given, got: ran.append("lost"))
    lost.register_hook(lambda g: ran.append("lost"))
    wanted = [{"x": x, "w": w}[name] for name in inputs.split()]
    found = torch.autograd.grad([out], wanted, retain_graph=True)
    for name, got in zip(inputs.split(), found, strict=True):
        same(got, {"x": [5], "w": [28]}[name])
    out.backward()
    same(x.grad, [5])
    same(w.grad, [28])
    assert ran == []


def test_a_pass_that_failed_leaves_nothing_to_the_next():
    x = leaf([1.0])
    top = x * 2
    left, right = top * 3, top * 5
    out = left + right
    handle = right.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        out.backward(retain_graph=True)
    assert x.grad is None
    handle.remove()
    out.backward()
    same(x.grad, [16])
