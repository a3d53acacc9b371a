"""Ctrl-C in the middle of long calls: it arrives, and all is as a failed call leaves it.

How fast it arrives is measured by tests/bench/interrupt.py.
"""

import os
import signal
import threading

import pytest

import rgrad as torch
from rgrad.autograd import Function, Variable, grad
from support import live_nodes, same


def chain(length):
    x = Variable(torch.ones(1), requires_grad=True)
    y = x
    for _ in range(length):
        y = y + 1
    return x, y


@pytest.fixture
def interrupted():
    """Runs a call in which a signal comes once its node runs; the call must not end otherwise."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def run(call):
        with pytest.raises(KeyboardInterrupt):
            call()

    yield run
    signal.signal(signal.SIGINT, before)


def signalled(y):
    """Sends the signal from another thread when the node of `y` runs, and not before."""
    started = threading.Event()
    sender = threading.Thread(
        target=lambda: started.wait(60) and os.kill(os.getpid(), signal.SIGINT)
    )
    sender.start()

    def hook(g):
        started.set()
        sender.join()

    handle = y.register_hook(hook)
    return handle


@pytest.mark.parametrize("way", ["backward", "grad", "create_graph"])
def test_a_long_chain_is_left_and_can_be_walked_again(interrupted, way):
    x, y = chain(300_000)
    nodes = live_nodes()
    handle = signalled(y)

    def call():
        if way == "backward":
            y.backward(retain_graph=True)
        elif way == "grad":
            grad(y, x, retain_graph=True)
        else:
            y.backward(create_graph=True)

    interrupted(call)
    handle.remove()
    assert x.grad is None and live_nodes() == nodes
    y.backward()
    same(x.grad, [1])


def test_big_kernels_are_left_between_two(interrupted):
    x = Variable(torch.ones(96, 96), requires_grad=True)
    y = x
    for _ in range(400):
        y = y.mm(x) * (1 / 96)
    total = y.sum()
    handle = signalled(total)
    interrupted(lambda: total.backward(retain_graph=True))
    handle.remove()
    assert x.grad is None
    total.backward()
    assert x.grad is not None


class Stop(Exception):
    pass


@pytest.fixture
def ringing():
    """Starts signals every 30 ms, the third of which raises when it is answered; gives the list of
    answers. One that comes when a call is over is the only answer to all that came meanwhile."""
    answers = []

    def answer(*_):
        # What a signal runs may use tensors.
        answers.append(torch.ones(300, 300).mm(torch.ones(300, 300)).sum())
        if len(answers) == 3:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise Stop

    def start():
        signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
        return answers

    before = signal.signal(signal.SIGALRM, answer)
    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["mm", "long", "bmm", "svd", "sort", "norm", "backward"])
def test_long_kernels_are_left_in_the_middle(ringing, name, threads):
    make, call = {
        "mm": (lambda: torch.ones(3000, 3000).double(), lambda x: x.mm(x)),
        "long": (lambda: torch.ones(1200, 1200).long(), lambda x: x.mm(x)),
        "bmm": (lambda: torch.ones(200, 500, 500), lambda x: x.bmm(x)),
        "svd": (lambda: torch.rand(1200, 1200), lambda x: x.svd()),
        "sort": (lambda: torch.rand(30_000_000), lambda x: x.sort()),
        "norm": (lambda: torch.rand(60_000_000), lambda x: x.norm(2.5)),
        "backward": (
            lambda: Variable(torch.rand(2500, 2500), requires_grad=True).mm(
                Variable(torch.ones(2500, 2500))
            ),
            lambda y: y.sum().backward(retain_graph=True),
        ),
    }[name]
    x = make()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        answers = ringing()
        with pytest.raises(Stop):
            for _ in range(200):
                call(x)
                answers.clear()
        assert answers == [300**3] * 3
    finally:
        torch.set_num_threads(before)


def test_kernels_in_place_are_finished(ringing):
    x = torch.ones(20_000_000)
    ringing()
    with pytest.raises(Stop):
        while True:
            x.add_(1).sqrt_().mul_(2).pow_(2)
    # Whatever was the last: no element is behind another.
    assert x.min() == x.max()


def test_nested_passes_on_their_own_thread_are_left(interrupted):
    deepest = []

    def nest(left):
        x, y = chain(2 if left else 300_000)
        if left:
            y.register_hook(lambda g: nest(left - 1))
        else:
            deepest.append((x, signalled(y)))
        y.backward()

    interrupted(lambda: nest(20))
    assert deepest[0][0].grad is None


def test_inside_a_function_of_the_users(interrupted):
    class Slow(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                g = g * 1
            return g

    x = Variable(torch.ones(2), requires_grad=True)
    y = Slow.apply(x).sum()
    interrupted(lambda: y.backward(retain_graph=True))
    assert x.grad is None


def test_while_a_long_chain_is_given_back(interrupted):
    before = live_nodes()
    made = list(chain(1_000_000))
    timer = threading.Timer(0, lambda: os.kill(os.getpid(), signal.SIGINT))

    def give_back():
        timer.start()
        made.clear()
        timer.join()
        for _ in range(1000):
            pass

    interrupted(give_back)
    made.clear()
    assert live_nodes() == before
