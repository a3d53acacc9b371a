"""Rules of the engine and of Functions that no other file tests."""

import threading
import traceback

import pytest

import rgrad as torch
from rgrad.autograd import Function, Variable, grad
from support import leaf, same


class Kept(Function):
    """Keeps one tensor by the context's means, and a number beside it."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.factor = 3
        return x * 3

    @staticmethod
    def backward(ctx, g):
        if ctx.reads:
            ctx.seen = ctx.saved_tensors
        return g * ctx.factor


@pytest.mark.parametrize("reads", [False, True])
def test_a_freed_function_complains_when_what_it_saved_is_read(reads):  # A-63, E-52
    x = leaf([1.0, 2.0])
    y = Kept.apply(x)
    y.grad_fn.reads = reads
    y.backward(torch.ones(2).double())
    with pytest.raises(RuntimeError, match="retain_graph"):
        _ = y.grad_fn.saved_tensors
    with pytest.raises(RuntimeError, match="retain_graph"):
        _ = y.grad_fn.saved_variables
    assert y.grad_fn.factor == 3
    if reads:
        with pytest.raises(RuntimeError, match="retain_graph"):
            y.backward(torch.ones(2).double())
        same(x.grad, [3, 3])
    else:
        y.backward(torch.ones(2).double())
        same(x.grad, [6, 6])


def ran(*variables):
    """The order in which the nodes of `variables` run, by index."""
    order = []
    for i, v in enumerate(variables):
        v.grad_fn.register_hook(lambda inputs, outputs, i=i: order.append(i))
    return order


def test_a_node_waits_for_all_its_consumers_in_the_graph_asked_for():
    x = leaf([2.0])
    shared = x * 3
    near, far = shared * 5, ((shared * 7) * 1) * 1
    outside = shared * 1000
    order = ran(shared, near, far, outside)
    (near + far).backward()
    assert order[-1] == 0 and sorted(order) == [0, 1, 2]
    same(x.grad, [36])


def test_nodes_that_lead_to_no_gradient_are_not_run():
    x, still = leaf([2.0]), Variable(torch.DoubleTensor([3.0]))
    used, unused = x * 2, leaf([1.0]) * 4
    order = ran(used, unused)
    total = used * unused
    (found,) = grad(total + still * 5, x)
    assert order == [0]
    same(found, [8])


def test_python_inside_a_pass_holds_the_interpreter_and_the_caller_waits_without_it():
    x = leaf([1.0])
    y = x * 2
    inside, outside = threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: (inside.wait(20), outside.set()))

    def hook(g):
        inside.set()
        # Only a thread that gets the interpreter while this one waits can set it.
        assert outside.wait(20)

    y.register_hook(hook)
    other.start()
    y.backward()
    other.join()
    same(x.grad, [2])


def test_the_first_error_ends_its_pass_and_no_other():
    class Mine(Exception):
        pass

    a, b = leaf([1.0]), leaf([1.0])
    early, late = a * 2, b * 3
    raised = Mine("first")

    def fail(g):
        raise raised

    early.register_hook(fail)
    late.register_hook(lambda g: pytest.fail("the pass is over"))
    other = leaf([1.0])
    done = []

    def beside():
        for _ in range(200):
            (other * 2).backward()
        done.append(True)

    thread = threading.Thread(target=beside)
    thread.start()
    with pytest.raises(Mine) as caught:
        (early + late).backward()
    thread.join()
    assert caught.value is raised
    assert "fail" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert a.grad is None and b.grad is None
    assert done and other.grad.data[0] == 400


@pytest.mark.parametrize("wrong", [lambda g: g[:1], lambda g: g.float(), lambda g: g.view(1, 2)])
def test_gradients_of_another_kind_than_the_argument_are_refused(wrong):  # A-162, E-47 (ours)
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return wrong(g)

    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="WrongBackward: backward returned"):
        Wrong.apply(x).backward(torch.ones(2).double())
    assert x.grad is None
