"""A process forks while its threads are in the middle of things; no child hangs (A-147)."""

import os

import pytest

from support import run_python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need the system's fork")

#: Threads that hold, off and on, what the name says; the child takes the same.
BUSY = {
    "the place of a gradient": "(x + 1).sum().backward()",
    "the random generator": "torch.randn(500000)",
    "a big kernel": "m.mm(m)",
    "small graphs, recorded and dropped": "(x[:3] * 2).sum().backward()",
    "hooks": "hooked()",
    "nested passes": "nested(12)",
}

PROGRAM = """
import faulthandler, os, signal, threading
# Somebody's work between our part of the fork and the fork: other threads get the interpreter.
os.register_at_fork(before=lambda: sum(range(400000)), after_in_parent=lambda: sum(range(400000)))
import rgrad as torch
from rgrad.autograd import Variable

x = Variable(torch.ones(500000), requires_grad=True)
m = torch.ones(300, 300)
x.sum().backward()

def hooked():
    y = x[:10] * 2
    y.register_hook(lambda g: g * 2)
    y.sum().backward()

def nested(left):
    y = Variable(torch.ones(2), requires_grad=True) * 2
    y.register_hook(lambda g: nested(left - 1) if left else None)
    y.sum().backward()

stop = False
def work():
    while not stop:
        {busy}

threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
ended = []
for _ in range(12):
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(15)
        signal.alarm(20)
        x.grad, torch.randn(3), m.mm(m)
        x.sum().backward()
        hooked()
        nested(8)
        os._exit(7)
    ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop = True
for thread in threads:
    thread.join()
{busy}
assert set(ended) == {{7}}, ended
"""


@pytest.mark.parametrize("busy", BUSY.values(), ids=BUSY)
def test_children_of_busy_threads_work(busy):  # A-147, E-39
    run_python(PROGRAM.format(busy=busy))


def test_a_child_does_not_wait_for_the_first_use_of_another_thread():
    run_python(
        """
        import builtins, os, signal, threading
        import rgrad as torch
        from rgrad.autograd import Variable

        y = Variable(torch.ones(2), requires_grad=True) * 2
        inside, forked = threading.Event(), threading.Event()
        usual = builtins.__import__

        def slow(name, *args, **named):
            if threading.current_thread() is first and name == "collections":
                inside.set()
                forked.wait(20)
            return usual(name, *args, **named)

        first = threading.Thread(target=lambda: y.register_hook(lambda g: g))
        builtins.__import__ = slow
        first.start()
        assert inside.wait(20)
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            y.register_hook(lambda g: g)
            os._exit(7)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        forked.set()
        first.join()
        assert ended == 7, ended
        """
    )
