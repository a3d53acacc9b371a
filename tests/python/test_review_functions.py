"""Functions and their nodes on ways less walked: differentiated twice, in place, in the hand."""

import gc

import pytest

import rgrad as torch
from rgrad.autograd import Function, Variable, backward, grad
from rgrad.autograd.function import once_differentiable
from support import array, double, leaf, live_nodes, same


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x


class OldCube(Function):
    def forward(self, x):
        self.save_for_backward(x)
        return x * x * x

    def backward(self, g):
        (x,) = self.saved_tensors
        return g * 3 * x * x


class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_variables
        return g * 2 * x


def cubes():
    return [pytest.param(Cube.apply, id="new"), pytest.param(lambda x: OldCube()(x), id="old")]


# Differentiated twice (A-164, A-173, E-32).


@pytest.mark.parametrize("cube", cubes())
def test_a_second_derivative_through_raw_tensors_raises(cube):
    x = leaf([2.0])
    y = cube(x) + x * x * x * x
    (g,) = grad(y, x, create_graph=True)
    with pytest.raises(RuntimeError, match="twice"):
        grad(g.sum(), x)


@pytest.mark.parametrize("cube", cubes())
def test_a_second_derivative_by_what_the_argument_came_from_raises(cube):
    x, w = leaf([2.0]), leaf([3.0])
    (g,) = grad(cube(x * w), x, create_graph=True)
    with pytest.raises(RuntimeError, match="twice"):
        grad(g.sum(), w)


@pytest.mark.parametrize("cube", cubes())
def test_a_second_derivative_by_the_incoming_gradient_raises(cube):
    x, go = leaf([2.0]), leaf([1.0])
    (g,) = grad(cube(x), x, go, create_graph=True)
    with pytest.raises(RuntimeError, match="twice"):
        grad(g.sum(), go, allow_unused=True)


@pytest.mark.parametrize("cube", cubes())
def test_what_does_not_depend_on_it_can_be_differentiated_again(cube):
    x, w = leaf([2.0]), leaf([3.0])
    a, b = grad(cube(x) + w * w, [x, w], create_graph=True)
    same(grad((a + b).sum(), w)[0], [2.0])


@pytest.mark.parametrize("cube", cubes())
def test_gradients_with_such_a_history_leave_nothing_behind(cube):
    before = live_nodes()
    x = leaf([2.0])
    cube(x).backward(create_graph=True)
    same(x.grad, [12.0])
    del x
    assert live_nodes() == before


# Gradients changed in place.


def test_a_hook_that_changes_its_gradient_counts_with_its_history():
    w, x = leaf([3.0]), leaf([2.0])
    y = x * x
    y.register_hook(lambda g: (g.mul_(w), None)[1])
    (g,) = grad(y * 1, x, create_graph=True)
    same(g, [12.0])
    by_x, by_w = grad(g, [x, w])
    same(by_x, [6.0])
    same(by_w, [4.0])


def test_a_hook_of_a_node_that_changes_gradients_counts_with_its_history():
    w, x = leaf([3.0]), leaf([2.0])
    y = x * x
    y.grad_fn.register_hook(lambda gi, go: (gi[0].mul_(w), None)[1])
    (g,) = grad(y * 1, x, create_graph=True)
    # x * x gives its operands 2 each, and one of them is tripled.
    same(g, [8.0])
    same(grad(g, w)[0], [2.0])


def test_a_hook_of_a_leaf_that_changes_its_gradient_counts_with_its_history():
    w, x = leaf([3.0]), leaf([2.0])
    x.register_hook(lambda g: (g.mul_(w), None)[1])
    (x * x).backward(create_graph=True)
    same(x.grad, [12.0])
    same(grad(x.grad, w)[0], [4.0])


def test_a_hook_cannot_change_the_size_through_data():
    x = leaf([1.0, 2.0])
    y = x * 2

    def other_size(g):
        g.data = double([1.0])

    y.register_hook(other_size)
    with pytest.raises(RuntimeError, match=r"other_size.*type or size"):
        y.sum().backward()


def functions_in_place():
    class Variables(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g.mul_(10)

    class Data(Variables):
        @staticmethod
        def backward(ctx, g):
            g.data.mul_(10)
            return g

    class Once(Variables):
        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g.mul_(10)

    class Old(Function):
        def forward(self, x):
            return x * 1

        def backward(self, g):
            return g.mul_(10)

    def hooked(change):
        def apply(x):
            y = x * 1
            y.register_hook(change)
            return y

        return apply

    def node_hooked(x):
        y = x + 0
        y.grad_fn.register_hook(lambda gi, go: (go[0].mul_(10), (gi[0].mul_(10),))[1])
        return y

    return [
        pytest.param(Variables.apply, id="variables"),
        pytest.param(Data.apply, id="data"),
        pytest.param(Once.apply, id="once"),
        pytest.param(lambda x: Old()(x), id="old"),
        pytest.param(hooked(lambda g: g.mul_(10)), id="hook"),
        pytest.param(hooked(lambda g: (g.data.mul_(10), None)[1]), id="hook-data"),
        pytest.param(node_hooked, id="node-hook"),
    ]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("function", functions_in_place())
def test_a_gradient_changed_in_place_is_changed_for_nobody_else(function, create_graph):
    x, w, go = leaf([1.0, 2.0]), leaf([1.0, 2.0]), double([1.0, 1.0])
    (function(x) + w).backward(go, create_graph=create_graph)
    same(x.grad, [10.0, 10.0])
    same(w.grad, [1.0, 1.0])
    same(go, [1.0, 1.0])


@pytest.mark.parametrize("function", functions_in_place())
def test_an_expanded_gradient_that_others_share_can_be_changed(function):
    x, w = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    (function(x) + w).sum().backward()
    same(x.grad, [10.0, 10.0])
    same(w.grad, [1.0, 1.0])


def test_a_gradient_asked_for_is_not_changed_by_the_node_behind_it():
    x = leaf([1.0, 2.0])
    y = functions_in_place()[0].values[0](x)
    by_y, by_x = grad(y * 1, [y, x], double([1.0, 1.0]))
    same(by_y, [1.0, 1.0])
    same(by_x, [10.0, 10.0])


def test_a_volatile_gradient_stays_volatile():
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: Variable(g.data * 3, volatile=True))
    (x * x).sum().backward(create_graph=True)
    assert x.grad.volatile and not x.grad.requires_grad
    same(x.grad, [6.0, 12.0])
    y = x * x
    y.register_hook(lambda g: Variable(g.data * 3, volatile=True))
    assert grad(y.sum(), x, create_graph=True)[0].volatile


# Results that share memory.


def test_results_of_one_call_that_share_memory_count_together():
    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 1
            return y, y.narrow(0, 0, 1)

        @staticmethod
        def backward(ctx, a, b):
            return a + torch.cat([b, b * 0])

    a, b = Two.apply(leaf([1.0, 2.0]))
    q = b * b
    a.mul_(2)
    assert a._version == b._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        q.sum().backward()


def parts(*of):
    class Parts(Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 1
            return tuple(y if part is None else y.narrow(0, *part) for part in of)

        @staticmethod
        def backward(ctx, *gradients):
            total = Variable(double([0.0, 0.0]))
            for part, g in zip(of, gradients, strict=True):
                first, count = part or (0, 2)
                zeros = Variable(double([0.0]))
                pad = [zeros] * first + [g] + [zeros] * (2 - first - count)
                total = total + torch.cat(pad)
            return total

    return Parts.apply


@pytest.mark.parametrize(("of", "nr"), [((None, (0, 1)), 0), (((0, 1), None), 1)])
def test_a_result_inside_another_is_not_read_after_a_change(of, nr):
    results = parts(*of)(leaf([1.0, 2.0]))
    results[nr].mul_(2)
    with pytest.raises(RuntimeError, match="result of a Function shares memory"):
        results[1 - nr].sum().backward()


def test_a_change_of_a_result_inside_another_counts_for_that():
    x = leaf([1.0, 2.0])
    a, b = parts(None, (0, 1))(x)
    b.mul_(2)
    same(a, [2.0, 2.0])
    (a.sum() + 10 * b.sum()).backward()
    same(x.grad, [22.0, 1.0])


def test_results_inside_each_other_have_gradients_of_their_own():
    x = leaf([1.0, 2.0])
    a, b = parts(None, (0, 1))(x)
    (a.sum() + 10 * b.sum()).backward()
    same(x.grad, [11.0, 1.0])
    a, b = parts((0, 1), (1, 1))(x)
    a.mul_(2)
    (a + b).sum().backward()
    same(x.grad, [13.0, 2.0])


def test_results_of_several_calls_that_share_memory_count_together():
    kept = double([1.0, 2.0])

    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return kept

        @staticmethod
        def backward(ctx, g):
            return g

    x = leaf([1.0, 2.0])
    a, b = Same.apply(x), Same.apply(x)
    q = a * a
    b.mul_(3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        q.sum().backward()


# Nodes in the hand.


def hooked_node():
    z = leaf([1.0, 2.0]) * leaf([3.0, 4.0])
    f = z.grad_fn
    f.register_hook(lambda *a: None)
    return f


def test_a_node_with_a_hook_lives_while_it_is_held():
    f = hooked_node()
    gc.collect()
    a, b = f(Variable(double([1.0, 1.0])))
    same(a, [3.0, 4.0])
    same(b, [1.0, 2.0])
    v = Variable(double([1.0, 4.0]), _grad_fn=f)
    assert v.requires_grad and v.grad_fn is f


def test_a_node_with_a_hook_is_one_object_while_it_is_held():
    z = leaf([1.0]) * 2
    f = z.grad_fn
    f.mine = 1
    f.register_hook(lambda *a: None)
    assert z.grad_fn is f
    z.register_hook(lambda g: None)
    assert z.grad_fn is f and z.grad_fn.mine == 1


def test_hooks_of_one_node_run_in_order_whoever_holds_it():
    seen = []
    z = leaf([1.0]) * 2
    for name in "abc":
        z.grad_fn.register_hook(lambda gi, go, name=name: seen.append(name))
    z.backward()
    assert seen == ["a", "b", "c"]


def test_a_ring_through_a_held_node_goes():
    before = live_nodes()
    for _ in range(3):
        z = leaf([1.0]) * 2
        f = z.grad_fn
        f.register_hook(lambda *a, f=f, z=z: None)
        f.mine = f
    del z, f
    assert live_nodes() == before


@pytest.mark.parametrize("function", [Square.apply, lambda x: OldCube()(x)])
def test_the_node_of_a_function_lives_while_it_is_held(function):
    x = leaf([1.0, 2.0])
    f = function(x).grad_fn
    gc.collect()
    v = Variable(double([1.0, 4.0]), _grad_fn=f)
    assert v.grad_fn is f
    v.sum().backward()
    assert x.grad is not None
    with pytest.raises(RuntimeError, match="second time"):
        Variable(double([1.0, 4.0]), _grad_fn=f).sum().backward()


def test_what_a_context_saved_of_its_result_has_a_history():
    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_variables[0]

    before = live_nodes()
    x = leaf([0.0])
    c = Exp.apply(x).grad_fn
    (y,) = c.saved_variables
    assert y.grad_fn is c
    same(grad(y, x)[0], [1.0])
    del x, c, y
    assert live_nodes() == before


def test_a_node_in_no_graph_makes_no_history():
    with pytest.raises(RuntimeError, match="_grad_fn"):
        Variable(double([1.0]), _grad_fn=OldCube())


def test_the_node_of_a_function_can_be_called():
    x = leaf([3.0])
    y = Square.apply(x)
    same(y.grad_fn(Variable(double([1.0]))), [6.0])


def test_an_old_style_function_whose_forward_raised_can_be_called_again():
    class Picky(Function):
        def forward(self, x):
            if x[0] < 0:
                raise ValueError("negative")
            return x * 2

        def backward(self, g):
            return g * 2

    f, x = Picky(), leaf([1.0])
    with pytest.raises(ValueError):
        f(leaf([-1.0]))
    f(x).backward()
    same(x.grad, [2.0])
    with pytest.raises(RuntimeError, match="called before"):
        f(x)


def test_a_leaf_survives_a_failed_mark():
    class Add1(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.add_(1)

        @staticmethod
        def backward(ctx, g):
            return g

    x = leaf([1.0])
    with pytest.raises(RuntimeError, match="leaf"):
        Add1.apply(x)
    (x * 2).backward()
    same(x.grad, [2.0])
    with torch.no_grad():
        Add1.apply(x)
    (x * 2).backward()
    same(x.grad, [4.0])


def test_a_table_of_hooks_must_be_one():
    x = leaf([1.0])
    with pytest.raises(TypeError, match=r"_backward_hooks.*int"):
        x._backward_hooks = 5
    (x * 2).backward()
    same(x.grad, [2.0])


def test_backward_of_nothing_raises():  # A-75, E-24
    for nothing in ([], (), {}):
        with pytest.raises(RuntimeError, match="no graph nodes that require computing gradients"):
            backward(nothing)


# Switches around what runs in steps.


def test_no_grad_holds_inside_a_generator():
    x = leaf([1.0])

    @torch.no_grad()
    def steps(n):
        got = yield (x * n).requires_grad
        try:
            yield (x * got).requires_grad
        except ValueError:
            yield (x * 3).requires_grad
        return "end"

    def whole():
        return (yield from steps(2))

    run = whole()
    assert next(run) is False and torch._C.is_grad_enabled()
    assert run.send(4) is False and torch._C.is_grad_enabled()
    assert run.throw(ValueError()) is False and torch._C.is_grad_enabled()
    with pytest.raises(StopIteration) as end:
        next(run)
    assert end.value.value == "end" and torch._C.is_grad_enabled()


def test_a_generator_under_no_grad_is_closed_inside():
    seen = []

    @torch.no_grad()
    def steps():
        try:
            yield 1
        finally:
            seen.append(torch._C.is_grad_enabled())

    run = steps()
    next(run)
    run.close()
    assert seen == [False] and torch._C.is_grad_enabled()


def test_no_grad_holds_inside_coroutines():
    import asyncio

    seen = []

    @torch.no_grad()
    async def look(other):
        seen.append(torch._C.is_grad_enabled())
        await asyncio.sleep(0)
        seen.append(torch._C.is_grad_enabled())
        other.append(1)
        return 7

    @torch.no_grad()
    async def several():
        for i in range(2):
            await asyncio.sleep(0)
            seen.append(torch._C.is_grad_enabled())
            yield i

    async def main():
        done = []
        task = asyncio.ensure_future(look(done))
        while not done:
            assert torch._C.is_grad_enabled()
            await asyncio.sleep(0)
        assert await task == 7
        async for _ in several():
            assert torch._C.is_grad_enabled()

    asyncio.run(main())
    assert seen == [False] * 4


def test_gradients_of_functions_named_in_errors():
    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_variables[1]

    x = leaf([0.0]) * 1
    result = Exp.apply(x)
    result.backward()
    with pytest.raises(RuntimeError, match="second time") as freed:
        result.backward()
    assert "`result` was computed at" in str(freed.value)
    assert "Exp.apply(x)" in str(freed.value)
    result = Exp.apply(x)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as changed:
        result.backward()
    assert "`result` was computed at" in str(changed.value)
    assert "is `x`, changed in place at" in str(changed.value)
    assert array(x).tolist() == [0.0]
