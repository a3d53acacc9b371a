"""Rules of the specification that no other file tests by name, each against its own words."""

import threading
from typing import ClassVar

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Function, Variable, backward, grad
from support import array, double, leaf, numbers, same

F, L = torch.FloatTensor, torch.LongTensor


# --- advanced indices of raw tensors (T-67) -------------------------------------------------------

CUBE = np.arange(24.0).reshape(2, 3, 4)
TAKEN = {  # An index, and the same in NumPy where they mean one thing.
    "one sequence for each dimension": ([0, 1], [2, 0], [1, 3]),
    "nested sequences": ([[0], [1]], [2, 0], [[1, 3]]),
    "negative entries": ([0, -1], [-1, 0], [-4, 3]),
    "two, then the rest": ([0, 1], [2, 0]),
    "two, then a full slice": ([0, 1], [2, 0], slice(None)),
    "a full slice, then two": (slice(None), [2, 0], [1, 1]),
    "an Ellipsis, then two": (Ellipsis, [2, 0], [1, 1]),
    "one in the middle": (slice(None), [2, 0], slice(None)),
    "one at the end": (Ellipsis, [3, 3, 0]),
    "one, then an Ellipsis": ([1, 1, 0], Ellipsis),
}


@pytest.mark.parametrize("index", TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("longs", [False, True])
def test_advanced_indices_broadcast_together(index, longs):  # T-67
    if longs:
        index = tuple(L(i) if isinstance(i, list) else i for i in index)
    expected = CUBE[tuple(array(i) if isinstance(i, L) else i for i in index)]
    t = double(CUBE)
    got = t[index]
    same(got, expected)
    got.fill_(-1)
    same(t, CUBE)  # A copy.
    t[index] = 100
    changed = CUBE.copy()
    changed[tuple(array(i) if isinstance(i, L) else i for i in index)] = 100
    same(t, changed)


NOT_TAKEN = {
    "sequences apart": (([0, 1], slice(None), [0, 1]), TypeError),
    "a partial slice": (([0, 1], slice(0, 1)), TypeError),
    "a slice before": ((slice(1, 2), [0, 1]), TypeError),
    "an int": ((0, [0, 1]), TypeError),
    "None": ((None, [0, 1]), TypeError),
    "too large": (([0, 1], [0, 3]), IndexError),
    "far below": (([0, 1], [0, -4]), IndexError),
    "no sizes in common": (([0, 1], [0, 1, 2]), IndexError),
    "no ints": (([0, 1], ["a", "b"]), IndexError),
    "fractions": (([0, 1], [0.5, 1.0]), IndexError),
}


@pytest.mark.parametrize("index, error", NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_advanced_indices_that_are_refused(index, error):  # T-67
    t = double(CUBE)
    with pytest.raises(error, match=r"^index: "):
        t[index]
    with pytest.raises(error, match=r"^index: "):
        t[index] = 7
    same(t, CUBE)


# --- random numbers (T-106, T-107) ----------------------------------------------------------------


def draws(seed, count):
    source = np.random.MT19937()
    source._legacy_seeding(seed)
    return [int(x) for x in source.random_raw(count)]


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_permutations_swap_with_what_follows(n):  # T-106
    torch.manual_seed(11)
    got = torch.randperm(n)
    order = list(range(n))
    for i, r in enumerate(draws(11, n)[: n - 1]):
        j = i + r % (n - i)
        order[i], order[j] = order[j], order[i]
    assert type(got) is L and got.tolist() == order


def uniform(seed, count):
    """The 53-bit numbers in [0, 1) that T-102 makes of two draws each."""
    raw = draws(seed, 2 * count)
    return [
        ((a << 32 | b) & (2**53 - 1)) * 2.0**-53 for a, b in zip(raw[::2], raw[1::2], strict=True)
    ]


def sampled(weights, count, replacement, numbers):
    """One row by the words of T-107."""
    weights = np.array(weights, dtype=np.float64)
    total, sums = 0.0, []
    for w in weights:
        total += w
        sums.append(total)
    sums = [s / total for s in sums]
    sums[-1] = 1.0
    out = []
    for u in numbers[:count]:
        if len(out) and not replacement:
            at = out[-1]
            mass = sums[at] - (sums[at - 1] if at else 0.0)
            rest = 1.0 - mass
            sums = [(s - mass if i >= at else s) / rest for i, s in enumerate(sums)]
        at = next(i for i, s in enumerate(sums) if s >= u)
        out.append(at)
    return out


@pytest.mark.parametrize("seed", range(5))
def test_samples_search_the_cumulative_sums(seed):  # T-107
    weights = [[1.0, 2.0, 3.0, 4.0, 0.0, 0.5], [5.0, 0.0, 1.0, 1.0, 1.0, 3.0]]
    torch.manual_seed(seed)
    got = torch.multinomial(F(weights), 9, True)
    u = uniform(seed, 18)
    assert got.tolist() == [sampled(weights[r], 9, True, u[9 * r :]) for r in range(2)]
    torch.manual_seed(seed)
    got = torch.multinomial(F(weights[0]), 5)
    assert got.tolist() == sampled(weights[0], 5, False, u)
    assert sorted(got.tolist()) == [0, 1, 2, 3, 5]


@pytest.mark.parametrize(
    "weights, count, replacement",
    [
        ([1, 2], 0, True),
        ([1, 2], -1, True),
        ([1, 2], 3, False),
        ([0, 0], 1, True),
        ([1, 0], 2, False),
    ],
)
def test_samples_that_cannot_be_drawn(weights, count, replacement):  # T-107, E-87
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match=r"^multinomial: "):
        torch.multinomial(F(weights), count, replacement)
    same(torch.get_rng_state(), array(state))


# --- functions and methods (O-2, O-3, O-17) -------------------------------------------------------

# fmt: off
METHODS_ONLY = [
    "sub", "view", "expand", "repeat", "permute", "narrow", "select", "unfold", "fill", "copy",
    "masked_fill", "masked_scatter", "scatter", "index_add", "index_copy", "index_fill",
    "contiguous", "clone", "size", "type", "resize", "all", "any", "log_normal", "uniform",
    "exponential", "cauchy", "geometric", "fill_", "copy_", "byte", "char", "short", "int",
    "long", "float", "double", "half", "type_as",
]
# fmt: on


@pytest.mark.parametrize("name", METHODS_ONLY)
def test_methods_without_a_function(name):  # O-2, T-83
    assert not hasattr(torch, name)


def test_helpers_take_tensors_and_variables():  # O-3
    t = F([[1, 2], [3, 4]])
    lu, pivots = t.unsqueeze(0).btrifact()
    calls = {
        "split": lambda x, *_: torch.split(x, 1),
        "chunk": lambda x, *_: torch.chunk(x, 2),
        "stack": lambda x, *_: [torch.stack([x, x], 1)],
        "unbind": lambda x, *_: torch.unbind(x),
        "matmul": lambda x, *_: [torch.matmul(x, x)],
        "btriunpack": lambda x, lu, pivots: torch.btriunpack(lu, pivots),
    }
    for call in calls.values():
        plain = call(t, lu, pivots)
        wrapped = call(Variable(t), Variable(lu), Variable(pivots))
        assert len(plain) == len(wrapped)
        for a, b in zip(plain, wrapped, strict=True):
            assert torch.is_tensor(a) and isinstance(b, Variable)
            same(b, array(a))
    assert torch.numel(t) == torch.numel(Variable(t)) == 4


GRADIENTS = {
    "a saved result": lambda x: x.tanh(),
    "a saved operand": lambda x: x.log(),
    "two operands": lambda x: x * x.t(),
    "a product": lambda x: x.mm(x),
    "a reduction": lambda x: x.norm(3, 1),
    "a choice": lambda x: x.max(0)[0] * x[0],
    "an index": lambda x: (x * x)[Variable(L([1, 0]))],
    "a mask": lambda x: (x * x)[x > 0.7],
    "a write": lambda x: (x * x).index_copy(0, Variable(L([0])), x[1:] * x[1:]),
    "a solution": lambda x: x.gesv(x * x + Variable(torch.eye(2).double()))[0],
    "a scan": lambda x: x.cumprod(1),
}


@pytest.mark.parametrize("f", GRADIENTS.values(), ids=GRADIENTS)
def test_gradients_are_made_of_operations(f):  # O-17
    x = leaf([[0.5, 1.5], [0.8, 2.5]])
    step = 1e-6

    def slope():
        return grad(f(x).sum(), x, create_graph=True)[0]

    first = slope()
    assert first.requires_grad and first.grad_fn is not None
    (second,) = grad((first * first).sum(), x)
    numeric = np.zeros((2, 2))
    for i, j in np.ndindex(2, 2):
        old = x.data[i][j]
        x.data[i, j] = old + step
        up = (slope().data ** 2).sum()
        x.data[i, j] = old - step
        numeric[i, j] = (up - (slope().data ** 2).sum()) / (2 * step)
        x.data[i, j] = old
    np.testing.assert_allclose(second.data.numpy(), numeric, rtol=1e-3, atol=1e-5)


# --- what is no error, and what is ----------------------------------------------------------------


@pytest.mark.parametrize("kind", [lambda t: t, Variable])
@pytest.mark.parametrize("sizes", [((), (2,)), ((2,), ()), ((2, 2), ()), ((), ())])
def test_matmul_of_nothing(kind, sizes):  # E-98
    a, b = (torch.ones(*s) if s else F() for s in sizes)
    for call in (torch.matmul, lambda a, b: a @ b, lambda a, b: a.matmul(b)):
        with pytest.raises(RuntimeError, match=r"^matmul: .*dimension"):
            call(kind(a), kind(b))


class Kept(Function):
    """Says that it changes its input, and returns another tensor."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


def test_a_dirty_input_that_is_not_returned_is_no_error():  # E-49
    x = leaf([1.0, 2.0])
    y = x * 1
    z = Kept.apply(y)
    same(z.data, [2, 4])
    z.sum().backward()
    same(x.grad.data, [2, 2])


def test_only_inputs_may_be_false():  # E-36, A-93
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (ga,) = grad((a * b).sum(), a, only_inputs=False)
    same(ga.data, [3, 4])
    assert a.grad is None
    same(b.grad.data, [1, 2])
    unreached = leaf([1.0])
    assert grad((a * b).sum(), unreached, only_inputs=False, allow_unused=True) == (None,)


def test_nothing_to_run_is_an_error():  # E-24, A-35
    class Constant(Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2
            ctx.mark_non_differentiable(y)
            return y

        @staticmethod
        def backward(ctx, g):
            return g

    y = Constant.apply(leaf([1.0]))
    assert y.grad_fn is not None and not y.requires_grad
    for call in (y.backward, lambda: backward([y], [Variable(F([1]).double())])):
        with pytest.raises(RuntimeError, match=r"grad"):
            call()


# --- the engine (A-63, A-129, A-140, A-141, A-145, A-162) -----------------------------------------


def test_attributes_on_ctx_survive_a_freed_graph():
    class Square(Function):
        read = True

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.mine = [7]
            return x * x

        @staticmethod
        def backward(ctx, g):
            if not Square.read:
                assert ctx.mine == [7]
                return g * 0
            (x,) = ctx.saved_variables
            return 2 * x * g

    x = leaf([3.0])
    y = Square.apply(x)
    y.backward()
    same(x.grad.data, [6])
    assert y.grad_fn.mine == [7]
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.grad_fn.saved_tensors  # noqa: B018
    Square.read = False
    y.backward()  # Nothing saved is read.
    same(x.grad.data, [6])


def test_a_view_is_changed_by_one_output_only():
    class Both(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            x.add_(1)
            return x, x * 2

        @staticmethod
        def backward(ctx, g, h):
            return g + 2 * h

    base = leaf([[1.0, 2.0], [3.0, 4.0]]) * 1
    with pytest.raises(RuntimeError, match=r"view|output"):
        Both.apply(base[0])


class Recording(Function):
    """Notes when it runs backward, and on which thread."""

    ran: ClassVar[list] = []

    @staticmethod
    def forward(ctx, x, name):
        ctx.name = name
        return x * 1

    @staticmethod
    def backward(ctx, g):
        Recording.ran.append((ctx.name, threading.current_thread(), g.data.tolist()))
        return g, None


def run_of(*names):
    assert [name for name, *_ in Recording.ran] == list(names)
    found, Recording.ran[:] = list(Recording.ran), []
    return found


def test_a_node_runs_once_with_all_its_gradients():
    x = leaf([1.0])
    a = Recording.apply(x, "a")
    (a * 2 + Recording.apply(a, "b") * 3 + a.exp() * 0).backward()
    (_, (_, _, total)) = run_of("b", "a")
    assert total == [5.0]
    same(x.grad.data, [5])


def test_what_requires_no_gradient_is_never_visited():
    plain = Variable(double([1.0]))
    y = leaf([1.0]) * 2 + Recording.apply(plain, "constant")
    y.backward()
    run_of()
    a = leaf([1.0])
    left, right = Recording.apply(a, "left"), Recording.apply(a, "right")
    grad(left + right, left)
    run_of()
    grad(left + right, a)
    assert sorted(name for name, *_ in Recording.ran) == ["left", "right"]
    Recording.ran.clear()


def test_hooks_run_while_the_caller_waits():
    x = leaf([1.0])
    seen = []
    y = Recording.apply(x, "y")
    y.register_hook(lambda g: seen.append(g.data.tolist()))
    y.backward()
    (entry,) = run_of("y")
    assert seen == [[1.0]] and entry[2] == [1.0]
    done = threading.Event()

    def other_thread_can_run(g):
        t = threading.Thread(target=done.set)
        t.start()
        t.join(30)

    y = x * 2
    y.register_hook(other_thread_can_run)
    y.backward()
    assert done.is_set()


def test_the_first_error_wins_and_others_go_on():  # A-145, E-38
    class Mine(Exception):
        pass

    error = Mine("first")

    class Raising(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            raise error

    x = leaf([1.0])
    deep = Recording.apply(Recording.apply(x, "never"), "never")
    y = Raising.apply(deep)
    with pytest.raises(Mine) as caught:
        y.backward()
    assert caught.value is error
    assert "backward" in [entry.name for entry in caught.traceback]
    run_of()
    assert x.grad is None

    errors, passes = [], []

    def work(k):
        for _ in range(20):
            v = leaf([float(k)])
            out = Raising.apply(v) if k % 2 else v * v
            try:
                out.backward()
                passes.append(v.grad.data[0] == 2 * k)
            except Mine as e:
                errors.append(e is error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == [True] * 40 and passes == [True] * 40


def test_gradients_of_a_function_must_have_the_size_of_its_input():  # A-162, E-47: ours is an error
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return Variable(double(numbers(2, 2)))

    x = leaf([1.0, 2.0, 3.0])
    with pytest.raises(RuntimeError, match=r"2 x 2.*3|3.*2 x 2"):
        Wrong.apply(x).sum().backward()
    assert x.grad is None
