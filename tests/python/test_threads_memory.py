"""Depth, leaks, determinism, threads: small stacks, live counters, equal bits."""

import gc
import threading
import weakref

import numpy as np
import pytest

import rgrad as torch
import rgrad.nn.functional as F
from rgrad.autograd import Variable
from support import array, leaf, run_python, same

SMALL_STACK = """
import threading, sys
import rgrad as torch
from rgrad.autograd import Variable
threading.stack_size(256 * 1024)
failed = []
def guarded():
    try:
        work()
    except BaseException as e:
        failed.append(repr(e))
{body}
t = threading.Thread(target=guarded)
t.start(); t.join()
assert not failed, failed
assert torch._C.live_nodes() == 0, torch._C.live_nodes()
print("done")
"""

DEEP = {
    "backward": """
        x = Variable(torch.ones(1), requires_grad=True)
        y = x
        for _ in range(N):
            y = y + 1
        y.backward()
        assert x.grad.data[0] == 1.0
    """,
    "dropped unrun": """
        y = Variable(torch.ones(1), requires_grad=True)
        for _ in range(N):
            y = y * 2
        del y
    """,
    "saving": """
        x = Variable(torch.ones(1), requires_grad=True)
        y = x
        for _ in range(N):
            y = y * x
        y.backward()
        assert x.grad.data[0] == N + 1
    """,
    "in place": """
        x = Variable(torch.ones(1), requires_grad=True)
        y = x * 1
        for _ in range(N):
            y.add_(1)
        y.backward()
        assert x.grad.data[0] == 1.0
    """,
    "second order": """
        x = Variable(torch.ones(1), requires_grad=True)
        y = x
        for _ in range(N // 20):
            y = y * 1.0001
        (y * y).backward(create_graph=True)
        g = x.grad
        x.grad = None
        g.backward()
        assert x.grad is not None
        x.grad = None
    """,
    "views": """
        x = Variable(torch.ones(2), requires_grad=True)
        y = x * 1
        for _ in range(N // 10):
            y = y.view(2, 1).view(2)
        y.sum().backward()
        assert x.grad.data[0] == 1.0
    """,
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_chains_on_a_small_stack(name):
    """A million nodes record, run and drop on 256 KiB."""
    body = f"N = {1_000_000 if name in ('backward', 'dropped unrun') else 200_000}\n"
    body += "def work():\n" + DEEP[name].replace("\n    ", "\n")
    assert "done" in run_python(SMALL_STACK.format(body=body), timeout=300)


def test_walking_a_deep_graph_from_python():
    x = leaf([1.0])
    y = x
    for _ in range(2000):
        y = y + 1
    node, depth = y.grad_fn, 0
    while node.next_functions:
        node, depth = node.next_functions[0][0], depth + 1
    assert depth == 2000 and node.variable is x


def nodes():
    gc.collect()
    return torch._C.live_nodes()


def test_nodes_live_as_long_as_the_graph():
    start = nodes()
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    assert nodes() == start + 3  # mul, sum, the accumulator
    y.backward()
    assert nodes() == start + 3  # freed values, nodes still there
    del y
    assert nodes() in (start, start + 1)
    del x
    assert nodes() == start


WAYS = {
    "forward only": lambda x: x * x,
    "backward": lambda x: (x * x).sum().backward(),
    "retained": lambda x: (x * x).sum().backward(retain_graph=True),
    "twice": lambda x: [(x + x).sum().backward() for _ in range(2)],
    "branch": lambda x: ((x * 2).exp(), (x * x).sum().backward()),
    "in place": lambda x: (x * 1).mul_(2).add_(x).sum().backward(),
    "slices": lambda x: sum(x[i] for i in range(2)).backward(),
    "assigned": lambda x: (x * 1).__setitem__(0, 1.0),
    "inspected": lambda x: (x * x).grad_fn.next_functions[0][0].variable,
    "max": lambda x: x.max(0)[1],
    "cat": lambda x: torch.cat([x, x, x]).sum().backward(),
    "loss": lambda x: F.cross_entropy(x.view(1, 2), Variable(torch.LongTensor([1]))).backward(),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left_behind(way):
    start = nodes()
    x = leaf([1.0, 2.0])
    for _ in range(3):
        WAYS[way](x)
    del x
    assert nodes() == start


def test_create_graph_is_no_leak_once_the_gradient_is_cleared():
    start = nodes()
    x = leaf([1.0])
    (x * x * x).backward(create_graph=True)
    x.grad = None
    del x
    assert nodes() == start


def test_create_graph_is_no_leak_with_the_gradient_in_place():
    """A gradient with history is no cycle: only the leaf owns it."""
    start = nodes()
    x = leaf([1.0])
    (x * x * x).backward(create_graph=True)
    del x
    assert nodes() == start


def test_cycles_through_python_are_collected():
    class Holder:
        pass

    holder = Holder()
    holder.x = leaf([1.0])
    holder.y = holder.x * 2
    holder.node = holder.y.grad_fn
    holder.me = holder
    died = weakref.ref(holder)
    start = nodes()
    del holder
    assert nodes() < start and died() is None


def test_volatile_inference_records_nothing():
    start = nodes()
    x = Variable(torch.ones(10), volatile=True)
    for _ in range(100):
        x = x * 2 + 1
    assert nodes() == start


def test_memory_is_flat_in_a_training_loop():
    out = run_python(
        """
        import rgrad as torch
        from rgrad.autograd import Variable
        def peak():
            # Kilobytes; the count of getrusage starts at the parent's.
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) for line in status if "VmHWM" in line)
        w = Variable(torch.ones(64, 64), requires_grad=True)
        def step():
            y = (w.mm(w.t()) * 0.001).tanh().sum()
            y.backward()
            w.data.add_(-0.001, w.grad.data)
            w.grad.data.zero_()
        for _ in range(300):
            step()
        before = peak()
        for _ in range(3000):
            step()
        print(peak() - before)
        """
    )
    assert int(out) < 1024  # KiB: one step allocates 60 of them


def work():
    """Something long enough for every kind of parallel kernel; its bits as bytes."""
    torch.manual_seed(3)
    x = Variable(torch.randn(300, 257), requires_grad=True)
    w = Variable(torch.randn(257, 191), requires_grad=True)
    h = x.mm(w).tanh()
    y = F.log_softmax(h, dim=1).sum() + (x * x).sum() + h.max(1)[0].sum() + x.t().exp().mean()
    y.backward()
    big = torch.rand(1 << 20)
    parts = [array(v) for v in (y, x.grad, w.grad, big.view(1024, 1024).sum(0), big.exp())]
    return b"".join(p.tobytes() for p in [*parts, np.float64(big.sum()), np.float64(big.mean())])


def test_results_do_not_depend_on_the_number_of_threads():
    before = torch.get_num_threads()
    try:
        seen = set()
        for n in (1, 2, 3, 4, 7):
            torch.set_num_threads(n)
            seen.add(work())
        assert len(seen) == 1
    finally:
        torch.set_num_threads(before)


def test_results_repeat_across_processes():
    code = "import sys; sys.path[:0] = {path!r}; import hashlib; {body}"
    body = "from test_threads_memory import work; print(hashlib.sha256(work()).hexdigest())"
    import sys

    first, second = (
        run_python(code.format(path=list(sys.path), body=body), RAYON_NUM_THREADS=n) for n in "13"
    )
    assert first == second


def test_threads_share_nothing_by_accident():
    """Each thread has its own graph; all of them give the values of one."""
    wanted = []
    results = [None] * 8

    def run(i):
        x = leaf(np.arange(1.0, 5.0) + i)
        for _ in range(50):
            y = ((x * x).exp() * 1e-6 + x.tanh()).sum()
            y.backward()
        results[i] = array(x.grad)

    for i in range(8):
        run(i)
    wanted = list(results)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for got, expected in zip(results, wanted, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_threads_on_a_shared_leaf_give_the_exact_sum():
    x = leaf([1.0, 2.0])

    def run():
        for _ in range(100):
            (x * 3).sum().backward()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(x.grad, [1200, 1200])


def test_one_graph_built_by_two_threads():
    x = leaf([2.0])
    halves = [None, None]

    def run(i):
        y = x
        for _ in range(1000):
            y = y * 1.0
        halves[i] = y

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    (halves[0] * halves[1]).backward()
    same(x.grad, [4])


def test_no_grad_is_of_one_thread():
    inside, release = threading.Event(), threading.Event()

    def hold():
        with torch.no_grad():
            inside.set()
            release.wait(10)

    t = threading.Thread(target=hold)
    t.start()
    assert inside.wait(10)
    recorded = (leaf([1.0]) * 2).requires_grad
    release.set()
    t.join()
    assert recorded


def test_backward_in_a_forked_child():  # A-147, E-39
    run_python(
        """
        import os, signal
        import rgrad as torch
        from rgrad.autograd import Variable
        def work():
            x = Variable(torch.randn(300, 300), requires_grad=True)
            x.mm(x).tanh().sum().backward()
            return float(x.grad.data.sum())
        torch.manual_seed(0); wanted = work()
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            torch.manual_seed(0)
            os._exit(0 if work() == wanted else 1)
        assert os.waitpid(child, 0)[1] == 0
        """,
        "-W",
        "ignore::DeprecationWarning",
    )


def test_ends_quietly_with_a_live_graph():
    out = run_python(
        """
        import rgrad as torch
        from rgrad.autograd import Variable
        x = Variable(torch.ones(3), requires_grad=True)
        y = x * 2
        node = y.grad_fn
        print("end")
        """
    )
    assert out.strip() == "end"
