"""Functions with static methods (A-150 to A-165, E-44 to E-56)."""

import gc
import weakref

import pytest

import rgrad as torch
from rgrad.autograd import Function, Variable
from rgrad.autograd.function import once_differentiable, traceable
from support import check_first, check_second, double, leaf, live_nodes, name_of, same


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_variables
        return g * x * x * 3


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_variables
        return g * y


class Scale(Function):
    @staticmethod
    def forward(ctx, x, k, y=None):
        ctx.k = k
        return x * k if y is None else x * k + y

    @staticmethod
    def backward(ctx, g):
        return (g * ctx.k, None, g)[: len(ctx.needs_input_grad)]


def function(forward, backward=None, **members):
    """A Function class from two plain functions."""
    members["forward"] = staticmethod(forward)
    if backward is not None:
        members["backward"] = staticmethod(backward)
    return type(Function)("Made", (Function,), members)


@pytest.mark.parametrize("cls", [Cube, Exp])
def test_first_and_second_order(cls):
    check_first(cls.apply, [[0.5, -1.2], [0.3, 2.0]])
    check_second(cls.apply, [[0.5, -1.2], [0.3, 2.0]])


def test_results_and_nodes():
    x = leaf([1.0])
    y = Cube.apply(x)
    node = y.grad_fn
    assert type(y) is Variable and y.requires_grad and not y.is_leaf
    assert name_of(node) == "CubeBackward" and node.name() == "CubeBackward"
    assert repr(node).startswith("<torch.autograd.function.CubeBackward object at 0x")
    assert node.next_functions[0][0].variable is x
    assert isinstance(node, Cube._backward_cls) and y.grad_fn is node
    assert node.requires_grad


def test_context_is_the_node():
    seen = []

    def forward(ctx, x):
        ctx.note = [1, 2]
        seen.append(weakref.ref(ctx))
        return x * 2

    def backward(ctx, g):
        seen.append(ctx.note)
        assert ctx is seen[0]()
        return g * 2

    cls = function(forward, backward)
    x = leaf([1.0])
    y = cls.apply(x)
    assert y.grad_fn is seen[0]() and y.grad_fn.note == [1, 2]
    y.backward()
    assert seen[1] == [1, 2]
    del y
    assert seen[0]() is None  # without the collector


def test_variables_are_unwrapped():
    x, other, seen = leaf([1.0]), {"v": leaf([2.0])}, []

    def forward(ctx, a, b, c):
        seen.extend([a, b, c])
        return a * 2

    y = function(forward, lambda ctx, g: (g, None, None)).apply(x, 3, other)
    assert seen[0] is x.data and seen[1] == 3 and seen[2] is other
    assert len(y.grad_fn.next_functions) == 1  # only direct Variables are tracked


def test_needs_input_grad():
    seen = []

    def forward(ctx, *args):
        seen.append(ctx.needs_input_grad)
        return args[0] + args[2]

    a, b = leaf([1.0]), Variable(double([1.0]))
    y = function(forward, lambda ctx, g: (g, None, None)).apply(a, 3, b)
    assert seen == [(True, False, False)] and y.grad_fn.needs_input_grad == seen[0]


@pytest.mark.parametrize("flag", ["plain", "volatile", "no_grad"])
def test_without_history(flag):
    start = live_nodes()
    x = leaf([2.0]) if flag == "no_grad" else Variable(double([2.0]), volatile=flag == "volatile")
    if flag == "no_grad":
        with torch.no_grad():
            y = Cube.apply(x)
    else:
        y = Cube.apply(x)
    assert (y.grad_fn, y.requires_grad, y.volatile) == (None, False, flag == "volatile")
    del x
    assert live_nodes() == start


def test_result_keeps_the_tensor_object():
    made = []

    def forward(ctx, x):
        made.append(x * 2)
        return made[0]

    y = function(forward, lambda ctx, g: g * 2).apply(leaf([1.0]))
    assert y.data is made[0]


def test_several_results_and_missing_gradients():
    seen = []

    def forward(ctx, x):
        return x * 2, x * 3

    def backward(ctx, a, b):
        seen.append((a.data.tolist(), b.data.tolist()))
        return a * 2 + b * 3

    cls = function(forward, backward)
    for pick, wanted, gradient in ((0, ([1.0], [0.0]), 2), (1, ([0.0], [1.0]), 3)):
        x = leaf([1.0])
        results = cls.apply(x)
        assert isinstance(results, tuple) and [r.output_nr for r in results] == [0, 1]
        results[pick].backward()
        assert seen.pop() == wanted
        same(x.grad, [gradient])


def test_extra_nones_and_optional_arguments():
    x, y = leaf([1.0]), leaf([2.0])
    Scale.apply(x, 3, y).backward()
    same(x.grad, [3])
    same(y.grad, [1])
    z = leaf([1.0])
    cls = function(lambda ctx, x: x * 2, lambda ctx, g: (g * 2, None, None))
    cls.apply(z).backward()
    same(z.grad, [2])


def test_none_for_a_wanted_gradient_is_zeros():
    x = leaf([1.0, 2.0])
    function(lambda ctx, x: x * 2, lambda ctx, g: None).apply(x).sum().backward()
    same(x.grad, [0, 0])


@pytest.mark.parametrize(
    "result, words",
    [
        (lambda g: (g, g), ["expected 1", "got 2"]),
        (lambda g: (), ["expected 1", "got 0"]),
        (lambda g: g.data, ["Variable", "position 1"]),
        (lambda g: 3.0, ["Variable", "float"]),
        (lambda g: g.expand(2, 2), ["2 x 2"]),
        (lambda g: g.float(), ["FloatTensor", "DoubleTensor"]),
    ],
)
def test_wrong_gradients(result, words):  # E-45, E-46, E-47
    x = leaf([1.0, 2.0])
    y = function(lambda ctx, x: x * 2, lambda ctx, g: result(g)).apply(x)
    with pytest.raises(RuntimeError) as e:
        y.sum().backward()
    assert all(w in str(e.value) for w in words), e.value
    assert x.grad is None


def test_gradient_for_what_is_no_variable():  # E-46
    x = leaf([1.0])
    y = function(lambda ctx, x, k: x * k, lambda ctx, g: (g, g)).apply(x, 3)
    with pytest.raises(RuntimeError, match="position 2"):
        y.backward()


@pytest.mark.parametrize(
    "result, words",
    [
        (3, "result 0"),
        (None, "NoneType"),
        (Variable(torch.ones(1)), "Variable"),
    ],
    ids=["number", "none", "variable"],
)
def test_wrong_results(result, words):  # E-44
    start = live_nodes()
    cls = function(lambda ctx, x: result)
    with pytest.raises(RuntimeError, match=words):
        cls.apply(leaf([1.0]))
    pair = function(lambda ctx, x: (x * 2, result))
    with pytest.raises(RuntimeError, match="result 1"):
        pair.apply(leaf([1.0]))
    assert live_nodes() == start


def test_missing_methods():  # A-165, E-56
    class Empty(Function):
        pass

    class OneWay(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with pytest.raises(NotImplementedError, match="Empty"):
        Empty.apply(leaf([1.0]))
    y = OneWay.apply(leaf([1.0]))
    with pytest.raises(NotImplementedError, match="OneWay"):
        y.backward()


def test_keyword_arguments():  # A-165, E-55
    with pytest.raises(TypeError):
        Scale.apply(leaf([1.0]), k=3)


def test_an_exception_in_forward_or_backward_comes_out():  # E-38
    error = ValueError("mine")

    def fails(*args):
        raise error

    start = live_nodes()
    with pytest.raises(ValueError) as e:
        function(fails).apply(leaf([1.0]))
    assert e.value is error
    y = function(lambda ctx, x: x * 2, fails).apply(leaf([1.0]))
    with pytest.raises(ValueError) as e:
        y.backward()
    assert e.value is error
    error.__traceback__ = None  # its frames hold the context
    del y, e
    assert live_nodes() == start


# saving


def test_saved_tensors_and_variables():
    seen = []

    def forward(ctx, x, y):
        z = x * y
        ctx.save_for_backward(x, None, z, y)
        return z

    def backward(ctx, g):
        seen.append((ctx.saved_tensors, ctx.saved_variables))
        return g, None

    x, y = leaf([2.0]), Variable(double([5.0]))
    z = function(forward, backward).apply(x, y)
    z.backward()
    raw, variables = seen[0]
    assert [None if t is None else t.tolist() for t in raw] == [[2.0], None, [10.0], [5.0]]
    assert not isinstance(raw[0], Variable)
    assert variables[0] is x and variables[1] is None
    assert variables[2].grad_fn is z.grad_fn and variables[2].requires_grad
    assert not variables[3].requires_grad


def test_last_save_wins():
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.save_for_backward()
        return x * 2

    y = function(forward, lambda ctx, g: g).apply(leaf([1.0]))
    assert y.grad_fn.saved_tensors == ()


@pytest.mark.parametrize(
    "what, words", [(lambda x: 3, "int"), (lambda x: x + 1, "argument 1"), (lambda x: [x], "list")]
)
def test_only_arguments_and_results_can_be_saved(what, words):  # A-153, E-50
    def forward(ctx, x):
        ctx.save_for_backward(x, what(x))
        return x * 2

    start = live_nodes()
    with pytest.raises(RuntimeError, match=words):
        function(forward).apply(leaf([1.0]))
    assert live_nodes() == start


def test_freed():  # A-154, E-27, E-52
    x = leaf([2.0])
    y = Cube.apply(x)
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()
    with pytest.raises(RuntimeError, match="freed"):
        _ = y.grad_fn.saved_tensors
    same(x.grad, [12])
    y = Cube.apply(x)
    y.backward(retain_graph=True)
    y.backward()
    same(x.grad, [36])


def test_functions_that_save_nothing_run_again():
    x = leaf([2.0])
    y = Scale.apply(x, 3)
    y.backward()
    y.backward()
    same(x.grad, [6])


@pytest.mark.parametrize("which", ["input", "output"])
def test_saved_value_changed_in_place(which):  # A-117, E-28
    x = leaf([2.0])
    a = x * 1
    y = (Cube if which == "input" else Exp).apply(a)
    (a if which == "input" else y).add_(1)
    with pytest.raises(RuntimeError, match=r"in-?place"):
        y.backward()


# marks


class Increment(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.add_(1)

    @staticmethod
    def backward(ctx, g):
        return g


def test_mark_dirty():
    x = leaf([1.0, 2.0])
    a = x * 2
    before = a._version
    y = Increment.apply(a)
    assert y is a and a._version == before + 1 and name_of(a.grad_fn) == "IncrementBackward"
    (a * a).sum().backward()
    same(x.grad, [2 * 3 * 2, 2 * 5 * 2])


def test_mark_dirty_is_seen_by_savers():
    x = leaf([1.0])
    a = x * 2
    b = a * a
    Increment.apply(a)
    with pytest.raises(RuntimeError, match=r"in-?place"):
        b.backward()


def test_mark_dirty_of_a_leaf():
    with pytest.raises(RuntimeError, match="leaf"):
        Increment.apply(leaf([1.0]))


@pytest.mark.parametrize("what, words", [(lambda x: 3, "int"), (lambda x: x + 1, "argument")])
def test_mark_dirty_takes_arguments(what, words):  # E-48
    def forward(ctx, x):
        ctx.mark_dirty(what(x))
        return x * 2

    with pytest.raises(RuntimeError, match=words):
        function(forward).apply(leaf([1.0]))


def test_argument_returned_unmarked_is_a_view():
    x = leaf([1.0, 2.0])
    a = x * 2
    y = function(lambda ctx, x: x, lambda ctx, g: g * 10).apply(a)
    assert y is not a and y._base is a
    y.sum().backward()
    same(x.grad, [20, 20])


def test_mark_shared_storage():
    def forward(ctx, x):
        y = x.view(4)
        ctx.mark_shared_storage((x, y))
        return y

    a = leaf([[1.0, 2.0], [3.0, 4.0]]) * 1
    y = function(forward, lambda ctx, g: g.view(2, 2)).apply(a)
    assert y._base is a
    before = a._version
    y.add_(1)
    assert a._version > before


@pytest.mark.parametrize(
    "pairs, words",
    [
        (lambda x, y: [x], "pairs"),
        (lambda x, y: [(x, 3)], "int"),
        (lambda x, y: [(y + 1, y)], "no argument"),
        (lambda x, y: [(x, x + 1)], "no result"),
        (lambda x, y: [(x, y), (x, y)], "another pair"),
    ],
)
def test_wrong_shared_storage(pairs, words):  # E-51
    def forward(ctx, x):
        y = x.view(2)
        ctx.mark_shared_storage(*pairs(x, y))
        return y

    with pytest.raises(RuntimeError, match=words):
        function(forward).apply(leaf([1.0, 2.0]))


def test_mark_non_differentiable():
    seen = []

    def forward(ctx, x):
        a, b = x * 2, x.clone().fill_(1)
        ctx.mark_non_differentiable(b)
        return a, b

    def backward(ctx, a, b):
        seen.append(b.data.tolist())
        return a * 2

    x = leaf([1.0])
    a, b = function(forward, backward).apply(x)
    assert (b.requires_grad, b.grad_fn) == (False, a.grad_fn)
    assert not (b * 2).requires_grad
    (a * b).backward()
    same(x.grad, [2])
    assert seen == [[0.0]]


def test_only_results_are_non_differentiable():  # E-51
    def forward(ctx, x):
        ctx.mark_non_differentiable(x + 1)
        return x * 2

    with pytest.raises(RuntimeError, match="result"):
        function(forward).apply(leaf([1.0]))


# once_differentiable


def test_once_differentiable():  # A-164, E-32
    seen = []

    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            seen.append(isinstance(g, Variable))
            (x,) = ctx.saved_tensors
            return g * x * 2

    x = leaf([3.0])
    Once.apply(x).backward()
    same(x.grad, [6])
    assert seen == [False]
    (g,) = torch.autograd.grad(Once.apply(x), x, create_graph=True)
    same(g, [6])
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.backward()


def test_traceable():
    assert traceable(Cube) is Cube and Cube.is_traceable
    Cube.is_traceable = False


# lifetime


def test_nothing_is_left_of_a_function():
    start = live_nodes()
    x = leaf([1.0])
    for _ in range(5):
        Cube.apply(Exp.apply(x)).backward()
    del x
    assert live_nodes() == start


def test_node_object_outlives_the_graph():
    x = leaf([1.0])
    node = Cube.apply(x * 2).grad_fn
    gc.collect()
    assert node.next_functions[0][0].next_functions[0][0].variable is x
    same(node.saved_variables[0], [2])


def test_a_deep_chain_of_functions_drops_without_recursion():
    x = leaf([1.0])
    y = x
    for _ in range(20_000):
        y = Scale.apply(y, 1.0)
    y.backward()
    same(x.grad, [1])
    start = live_nodes()
    del y
    assert live_nodes() <= start - 20_000


def test_backward_may_build_and_run_a_graph():
    def backward(ctx, g):
        z = leaf([3.0])
        (z * z).backward()
        return g * z.grad

    x = leaf([1.0])
    function(lambda ctx, x: x * 6, backward).apply(x).backward()
    same(x.grad, [6])


def test_checkpointing():
    """Forward again inside backward, as memory-saving code of the time does."""

    def run(v):
        return (v * v).exp()

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return run(Variable(x, volatile=True)).data

    def backward(ctx, g):
        x = Variable(ctx.saved_tensors[0], requires_grad=True)
        run(x).backward(g.data)
        return Variable(x.grad.data)

    check_first(function(forward, backward).apply, [0.3, -0.7])
