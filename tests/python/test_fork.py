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


def test_the_programs_own_hooks_of_a_fork_may_compute():
    # Hooks that come after ours at first, and before ours later, find the gate of forks shut.
    run_python("""
        import os, signal
        calls = []
        def hook():
            calls.append(m.mm(m)[0][0])
        os.register_at_fork(after_in_parent=hook, after_in_child=hook)
        import rgrad as torch
        os.register_at_fork(before=hook)
        m = torch.ones(300, 300)
        signal.alarm(60)
        for _ in range(2):
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                os._exit(0 if calls[-1] == 300 and m.mm(m)[0][0] == 300 else 1)
            assert os.waitpid(child, 0)[1] == 0
        # Hooks fork too.
        inside = []
        def once():
            if not inside:
                inside.append(True)
                if os.fork() == 0:
                    signal.alarm(30)
                    os._exit(0 if m.mm(m)[0][0] == 300 else 1)
                assert os.wait()[1] == 0
        os.register_at_fork(before=once)
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            os._exit(0 if m.mm(m)[0][0] == 300 else 1)
        assert os.waitpid(child, 0)[1] == 0 and len(calls) == 8
    """)


@pytest.mark.parametrize("call", ["torch.rand(900, 900).svd()", "big.mm(big)"])
def test_a_fork_in_a_handler_in_the_middle_of_an_operation(call):
    run_python(f"""
        import os, signal, sys
        import rgrad as torch
        torch.set_num_threads(2)
        big = torch.rand(3000, 3000).double()
        children = []
        def fork(*_):
            signal.setitimer(signal.ITIMER_REAL, 0)
            children.append(os.fork())
            if children[-1] == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(30)
        signal.signal(signal.SIGALRM, fork)
        signal.setitimer(signal.ITIMER_REAL, 0.06)
        failed = ""
        for _ in range(500):
            try:
                {call}
            except RuntimeError as error:
                failed = str(error)
            if children:
                break
        if children == [0]:
            # The child has none of the threads, says so, and works on.
            ones = torch.ones(300, 300)
            os._exit(0 if "forked" in failed and ones.mm(ones)[0][0] == 300 else 1)
        assert not failed and os.waitpid(children[0], 0)[1] == 0
    """)
