"""The process ends in order while threads are in the middle of things."""

import pytest

from support import run_program

#: Daemon threads run this for ever, each with naps of another length at a place inside.
PROGRAM = """
import itertools
import sys
import threading
import time

import rgrad as torch
from rgrad.autograd import Function, Variable, grad

place = {place!r}
started = threading.Semaphore(0)


def nap(seconds, here):
    if here == place:
        started.release()
        time.sleep(seconds)


class Twice(Function):
    @staticmethod
    def forward(ctx, a):
        nap(ctx_seconds.seconds, "forward")
        return a * 2

    @staticmethod
    def backward(ctx, g):
        nap(ctx_seconds.seconds, "backward")
        return g * 2


class Old(Function):
    def forward(self, a):
        nap(ctx_seconds.seconds, "old forward")
        return a * 2

    def backward(self, g):
        nap(ctx_seconds.seconds, "old backward")
        return g * 2


def parts(*values):
    for value in values:
        nap(ctx_seconds.seconds, "generator")
        yield value


def busy():
    if place == "busy":
        started.release()
        for _ in range(2000):
            pass


ctx_seconds = threading.local()


def work(seconds):
    ctx_seconds.seconds = seconds
    x = Variable(torch.ones(3), requires_grad=True)
    x.register_hook(lambda g: nap(seconds, "leaf hook"))
    for _ in itertools.count():
        y = Old()(Twice.apply(x * 3))
        y.register_hook(lambda g: nap(seconds, "hook"))
        y.register_hook(lambda g: busy())
        y.grad_fn.register_hook(lambda i, o: nap(seconds, "node hook"))
        z = torch.cat(parts(y, y), 0).sum()
        Variable._execution_engine.queue_callback(lambda: nap(seconds, "callback"))
        torch.ones(2).apply_(lambda v: nap(seconds, "apply_") or v)
        if place == "nested":
            def deeper(g, left=[12]):
                left[0] -= 1
                again = x * 2
                again.register_hook(deeper if left[0] else lambda g: nap(seconds, "nested"))
                again.sum().backward()
            y.register_hook(deeper)
        if place == "grad":
            y.register_hook(lambda g: nap(seconds, "grad"))
            grad(z, x)
        else:
            z.backward()
        if place == "computing":
            started.release()
            torch.randn(200, 200).mm(torch.randn(200, 200))


for seconds in [0.0, 0.0003, 0.01, 30.0]:
    threading.Thread(target=work, args=(seconds,), daemon=True).start()
for _ in range(8):
    assert started.acquire(timeout=20)
{end}
"""

#: A thread is in the middle of what an object does that was given to a call, for the first time.
OBJECTS = """
import sys
import threading
import time

import rgrad as torch
from rgrad.autograd import Variable

started = threading.Semaphore(0)
naps = threading.local()


class Slow:
    def nap(self, result):
        started.release()
        time.sleep(naps.seconds)
        return result

    def __index__(self):
        return self.nap(1)

    def __float__(self):
        return self.nap(1.0)

    def __bool__(self):
        return self.nap(True)

    def __len__(self):
        return self.nap(2)

    def __getitem__(self, at):
        return 1.0

    def __del__(self):
        self.nap(None)

    def __repr__(self):
        return self.nap("slow")

    @property
    def __array_interface__(self):
        return self.nap({{}})


x = Variable(torch.ones(3, 3), requires_grad=True)
t = torch.ones(3, 3)


def hook(g, slow=None):
    pass


def let_go():
    y = x * 2
    y.register_hook(lambda g, slow=Slow(): None)
    y.sum().backward()


def release(ring):
    y = x * 2
    y.register_hook(lambda g, slow=Slow(): None)
    del y


def forever(seconds):
    naps.seconds = seconds
    while True:
        try:
            {call}
        except (TypeError, ValueError, RuntimeError, AttributeError):
            pass


for seconds in [0.0, 0.0003, 0.001, 0.003, 0.01, 0.01, 0.02, 0.02]:
    threading.Thread(target=forever, args=(seconds,), daemon=True).start()
for _ in range(16):
    assert started.acquire(timeout=20)
"""

CALLS = [
    "x.view(Slow(), 9)",
    "x[Slow()]",
    "x[Slow():]",
    "x.sum(Slow())",
    "t[0] = Slow()",
    "x.backward(torch.ones(3, 3), retain_graph=Slow())",
    "torch.Tensor(Slow())",
    "t.new(Slow())",
    "torch.manual_seed(Slow())",
    "torch.set_printoptions(precision=Slow()); str(t)",
    "let_go()",
    "release(x)",
    "t.fill_(Slow())",
    "t.numpy().__array_interface__; torch.from_numpy(Slow())",
]


@pytest.mark.parametrize("call", CALLS)
def test_threads_inside_objects_given_to_calls_do_not_disturb_the_end(call):
    done = run_program(OBJECTS.format(call=call), timeout=60)
    if "acquire" in done.stderr:
        pytest.fail("the call reaches no method of the object")
    assert (done.returncode, done.stderr) == (0, "")


PLACES = [
    "forward",
    "backward",
    "old forward",
    "old backward",
    "hook",
    "leaf hook",
    "node hook",
    "nested",
    "grad",
    "callback",
    "generator",
    "apply_",
    "busy",
    "computing",
]


@pytest.mark.parametrize("place", PLACES)
def test_threads_inside_callbacks_do_not_disturb_the_end(place):
    done = run_program(PROGRAM.format(place=place, end=""), timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("end, code", [("sys.exit(3)", 3), ("raise KeyError('the user')", 1)])
def test_the_exit_code_is_the_programs_own(end, code):
    done = run_program(PROGRAM.format(place="hook", end=end), timeout=60)
    assert done.returncode == code
    assert ("the user" in done.stderr) == (code == 1)
    assert "Fatal" not in done.stderr
