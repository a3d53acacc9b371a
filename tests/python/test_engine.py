"""The engine: arguments, chosen inputs, freeing, nesting, threads (A-60 to A-147)."""

import threading
import warnings

import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import array, double, leaf, live_nodes, name_of, run_python, same


def ones(n=1):
    return double([1.0] * n)


# backward


def test_several_roots():
    x = leaf([1.0, 2.0])
    a, b = x * 2, (x * x).sum()
    torch.autograd.backward([a, b], [ones(2), None])
    same(x.grad, [2 + 2, 2 + 4])


def test_the_same_root_twice_and_an_ancestor():
    x = leaf([3.0])
    y = x * 2
    z = y * y
    torch.autograd.backward([z, z, y])
    same(x.grad, [2 * 24 + 2])


def test_one_variable_needs_no_list():
    x = leaf([1.0, 2.0])
    torch.autograd.backward(x * 3, ones(2))
    same(x.grad, [3, 3])


@pytest.mark.parametrize("gradient", [3.0, [1.0], "x"], ids=lambda g: type(g).__name__)
def test_gradient_of_a_wrong_kind(gradient):  # A-70, E-25
    x = leaf([1.0])
    with pytest.raises(TypeError, match=type(gradient).__name__):
        (x * 2).backward(gradient)
    assert x.grad is None


@pytest.mark.parametrize(
    "gradient, created",
    [
        (lambda: None, False),
        (lambda: ones(), False),
        (lambda: Variable(ones()), True),
        (lambda: Variable(ones(), volatile=True), False),
        (lambda: leaf([1.0]), True),
    ],
    ids=["none", "tensor", "variable", "volatile", "leaf"],
)
def test_what_a_gradient_turns_on(gradient, created):
    x = leaf([2.0])
    y = x * x
    y.backward(gradient())
    assert x.grad.volatile is not created and x.grad.requires_grad is created
    if created:
        y.backward()  # retained
    else:
        with pytest.raises(RuntimeError, match="retain_graph"):
            y.backward()


@pytest.mark.parametrize("retain", [None, False, True])
@pytest.mark.parametrize("create", [None, False, True])
def test_retain_and_create(retain, create):
    x = leaf([2.0])
    y = x * x
    y.backward(retain_graph=retain, create_graph=create)
    kept = bool(create) if retain is None else retain
    if kept:
        y.backward()
        same(x.grad, [8])
    else:
        with pytest.raises(RuntimeError, match="retain_graph"):
            y.backward()


def test_retain_variables():  # A-74, E-26
    x = leaf([2.0])
    y = x * x
    with pytest.warns(UserWarning, match="retain_graph"):
        y.backward(retain_variables=True)
    y.backward()
    same(x.grad, [8])
    with pytest.raises(ValueError, match="retain_variables"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (x * x).backward(retain_variables=True, retain_graph=True)


def test_roots_that_cannot_be():  # A-75, E-20 to E-23
    x = leaf([1.0, 2.0])
    good, plain = (x * 2).sum(), Variable(torch.ones(1))
    volatile = Variable(torch.ones(1), volatile=True)
    for roots, words in (
        ([good, volatile], ["1", "volatile"]),
        ([good, plain], ["1", "grad_fn"]),
    ):
        with pytest.raises(RuntimeError) as e:
            torch.autograd.backward(roots)
        assert all(w in str(e.value) for w in words)
    with pytest.raises(RuntimeError, match="scalar"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="2 Variables and 1"):
        torch.autograd.backward([good, good], [None])
    with pytest.raises(RuntimeError):
        (x * 2).backward(ones(3))
    assert x.grad is None


def test_after_an_error_reached_leaves_keep_what_they_got():
    x, w = leaf([1.0]), leaf([1.0])
    y = x * 2

    def fails(g):
        raise ValueError

    y.register_hook(fails)
    z = y * 1 + w  # w's accumulator is younger than y's node: it runs first
    with pytest.raises(ValueError):
        z.backward()
    assert x.grad is None


# grad


def test_grad_gives_a_tuple():
    x = leaf([2.0])
    (g,) = torch.autograd.grad(x * x, x)
    same(g, [4])
    assert g.volatile and not g.requires_grad and x.grad is None
    (g,) = torch.autograd.grad(x * x, [x], create_graph=True)
    assert not g.volatile and g.requires_grad


def test_grad_of_several():
    x, y = leaf([2.0]), leaf([3.0])
    z = x * y
    found = torch.autograd.grad([z * z, z], [x, y, z], grad_outputs=[ones(), None])
    for g, wanted in zip(found, [[2 * 6 * 3 + 3], [2 * 6 * 2 + 2], [13]], strict=True):
        same(g, wanted)


@pytest.mark.parametrize("bad", [torch.ones(1), 3, Variable(torch.ones(1))])
def test_inputs_of_grad(bad):  # A-91, E-35
    x = leaf([1.0])
    with pytest.raises(RuntimeError):
        torch.autograd.grad(x * 2, bad)


def test_unused_inputs():  # A-92, E-34
    x, used, never = leaf([1.0]), leaf([1.0]), leaf([1.0])
    _ = used * 2
    y = x * 3
    for v in (used, never, used * 2):
        with pytest.raises(RuntimeError, match="unreachable"):
            torch.autograd.grad(y, v, retain_graph=True)
        assert torch.autograd.grad(y, v, retain_graph=True, allow_unused=True) == (None,)


def test_grad_of_itself():
    y = leaf([2.0]) * 3
    with pytest.raises(RuntimeError, match="unreachable"):
        torch.autograd.grad(y, y, retain_graph=True)
    (g,) = torch.autograd.grad(y, y, grad_outputs=double([5.0]), allow_unused=True)
    same(g, [5])


def test_only_inputs():
    x, w = leaf([2.0]), leaf([3.0])
    y = x * w
    (g,) = torch.autograd.grad(y, x, retain_graph=True)
    same(g, [3])
    assert x.grad is None and w.grad is None
    (g,) = torch.autograd.grad(y, x, only_inputs=False, retain_graph=True)
    same(g, [3])
    assert x.grad is None
    same(w.grad, [2])
    other = leaf([1.0])
    assert torch.autograd.grad(y, other, only_inputs=False) == (None,)


def test_nodes_off_the_path_do_not_run():
    x, w, seen = leaf([2.0]), leaf([3.0]), []
    a = w * w
    a.register_hook(lambda g: seen.append(1))
    y = x * 2 + a
    torch.autograd.grad(y, x)
    assert not seen
    a.backward()  # nothing of it was freed
    same(w.grad, [6])


def test_grad_frees_the_path():
    x = leaf([2.0])
    y = x * x
    torch.autograd.grad(y, x)
    with pytest.raises(RuntimeError, match="freed"):
        torch.autograd.grad(y, x)


def test_higher_orders():
    x = leaf([2.0])
    y = x**5
    for wanted in (5 * 2.0**4, 20 * 2.0**3, 60 * 2.0**2, 120 * 2.0, 120.0, 0.0):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        assert abs(y.data[0] - wanted) <= 1e-9 * max(wanted, 1)


# freeing


def test_nodes_that_save_nothing_run_again():
    x = leaf([1.0, 2.0])
    y = ((x + 1).view(2, 1).t() * 3 - x).sum()
    y.backward()
    y.backward()
    same(x.grad, [4, 4])


@pytest.mark.parametrize("op", [lambda x: x * x, lambda x: x.exp(), lambda x: x.mean()])
def test_nodes_that_save_complain_by_name(op):  # A-62, E-27
    x = leaf([1.0, 2.0])
    y = op(x).sum()
    inner = y.grad_fn.next_functions[0][0]
    y.backward()
    with pytest.raises(RuntimeError, match=name_of(inner)):
        y.backward()


def test_freed_in_execution_order():
    x = leaf([1.0])
    deep = x * x
    y = deep.exp()
    y.backward()
    with pytest.raises(RuntimeError, match="ExpBackward"):
        y.backward()
    with pytest.raises(RuntimeError, match="MulBackward1"):
        deep.backward()


# native nodes as functions


def test_native_nodes_are_callable():
    a, b = leaf([2.0]), leaf([5.0])
    y = a * b
    ga, gb = y.grad_fn(Variable(double([3.0])))
    same(ga, [15])
    same(gb, [6])
    assert ga.requires_grad  # by b
    same((a * 2).grad_fn(Variable(ones())), [2])
    with pytest.raises(TypeError):
        y.grad_fn(gradient=Variable(ones()))
    with pytest.raises(TypeError, match="argument 1"):
        y.grad_fn(3)
    accumulator = y.grad_fn.next_functions[0][0]
    assert accumulator(Variable(double([7.0]), volatile=True)) is None
    same(a.grad, [7])
    y.backward()  # a call frees nothing
    same(b.grad, [2])


def test_native_nodes_have_no_saved_values():
    node = (leaf([2.0]) * leaf([2.0])).grad_fn
    for name in ("saved_tensors", "saved_variables", "needs_input_grad", "to_save"):
        assert not hasattr(node, name)
    assert node.requires_grad is True


# nesting


@pytest.mark.parametrize("depth", [5, 50, 200])
@pytest.mark.parametrize("way", ["hook", "function"])
def test_nested_backward(depth, way):  # A-143, issue: 200 levels
    seen = []

    class Deeper(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, n):
            ctx.n = n
            return x * 2

        @staticmethod
        def backward(ctx, g):
            go(ctx.n - 1)
            return g * 2, None

    def go(n):
        seen.append(n)
        if n == 0:
            return
        x = leaf([1.0])
        if way == "function":
            Deeper.apply(x, n).backward()
        else:
            y = x * 2
            y.register_hook(lambda g: go(n - 1))
            y.backward()
        assert x.grad.data[0] == 2

    go(depth)
    assert seen == list(range(depth, -1, -1))


def test_endless_nesting_ends_with_an_error():  # E-37
    out = run_python(
        """
        import threading
        import rgrad as torch
        from rgrad.autograd import Variable

        def go():
            x = Variable(torch.ones(1), requires_grad=True)
            y = x * 2
            y.register_hook(lambda g: go())
            y.backward()

        def guarded():
            try:
                go()
            except (RuntimeError, RecursionError) as e:
                print(type(e).__name__)

        guarded()
        threading.stack_size(256 * 1024)
        t = threading.Thread(target=guarded)
        t.start()
        t.join()
        """,
        timeout=300,
    )
    assert len(out.split()) == 2


def test_errors_come_out_of_deep_nesting():
    error = KeyError("deep")

    def go(n):
        if n == 0:
            raise error
        y = leaf([1.0]) * 2
        y.register_hook(lambda g: go(n - 1))
        y.backward()

    start = live_nodes()
    with pytest.raises(KeyError) as e:
        go(30)
    assert e.value is error
    error.__traceback__ = None
    del e
    assert live_nodes() == start


def test_recording_switch_in_hooks_and_functions():
    seen = []
    y = leaf([1.0]) * 2
    y.register_hook(lambda g: seen.append((leaf([1.0]) * 2).requires_grad))
    y.backward()
    assert seen == [True]


# callbacks, threads, signals, fork


def test_queued_callbacks():
    queue, seen = Variable._execution_engine.queue_callback, []
    x = leaf([1.0])
    y = x * 2
    y.register_hook(lambda g: queue(lambda: seen.append(("first", x.grad is not None))))
    y.register_hook(lambda g: queue(lambda: seen.append(("second", threading.get_ident()))))
    y.backward()
    assert seen == [("first", True), ("second", threading.get_ident())]
    y.register_hook(lambda g: 1 / 0)
    seen.clear()
    with pytest.raises(ZeroDivisionError):
        y.backward()
    assert not seen


def test_threads_with_hooks_give_the_exact_sum():
    x, calls = leaf([1.0, 2.0]), []
    x.register_hook(lambda g: calls.append(1))

    def run():
        for _ in range(50):
            y = x * 3
            y.register_hook(lambda g: g * 2)
            y.sum().backward()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(x.grad, [1200, 1200])
    assert len(calls) == 200


def test_one_graph_run_by_several_threads():
    x = leaf([1.0, 2.0])
    y = (x * 3).tanh().exp().sum()

    def run():
        for _ in range(50):
            y.backward(retain_graph=True)

    y.backward(retain_graph=True)
    once = array(x.grad)
    x.grad = None
    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert abs(array(x.grad) - 200 * once).max() <= 1e-9


def test_repeated_passes_give_the_same_bits():
    results = set()
    for _ in range(5):
        torch.manual_seed(1)
        x = Variable(torch.randn(50, 50), requires_grad=True)
        y = x
        for _ in range(5):
            y = (y.mm(x) * 0.1).tanh() + y.t() * x
        y.sum().backward()
        results.add(array(x.grad).tobytes())
    assert len(results) == 1


def test_interrupt():
    """Ctrl-C during a long backward ends it: the leaf, which comes last, has got nothing."""
    out = run_python(
        """
        import signal
        import rgrad as torch
        from rgrad.autograd import Variable
        x = Variable(torch.ones(100), requires_grad=True)
        y = x
        for _ in range(1_500_000):
            y = y * 1.0
        y = y.sum()
        # A timer of the process rings while it works, however busy the machine is.
        signal.signal(signal.SIGPROF, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_PROF, 0.03)
        try:
            y.backward()
        except KeyboardInterrupt:
            print("interrupted", x.grad)
        """,
        timeout=300,
    )
    assert out == "interrupted None\n"


def test_fork_with_hooks_and_functions():  # A-147, E-39
    run_python(
        """
        import os, signal
        import rgrad as torch
        from rgrad.autograd import Variable, Function
        class Double(Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2
            @staticmethod
            def backward(ctx, g):
                return g * 2
        def work():
            x = Variable(torch.ones(300, 300), requires_grad=True)
            y = Double.apply(x.mm(x))
            y.register_hook(lambda g: g * 3)
            y.sum().backward()
            return float(x.grad.data.sum())
        wanted = work()
        y = Variable(torch.ones(1), requires_grad=True) * 2
        children = []
        def hook(g):
            child = os.fork()  # in the middle of a pass
            if child == 0:
                signal.alarm(60)
                os._exit(0 if work() == wanted else 1)
            children.append(child)
        y.register_hook(hook)
        y.backward()
        assert len(children) == 1
        assert os.waitpid(children[0], 0)[1] == 0
        assert work() == wanted
        """,
        "-W",
        "ignore::DeprecationWarning",
    )
