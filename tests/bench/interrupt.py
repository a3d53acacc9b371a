"""How long Ctrl-C waits: from the signal to the exception, in milliseconds, for long calls.

    python tests/bench/interrupt.py [repeats]

A signal is answered between two nodes and inside kernels that write to memory of their own.
"""

import os
import signal
import statistics
import sys
import threading
import time

import rgrad as torch
from rgrad.autograd import Variable, grad


def chain(length):
    x = Variable(torch.ones(1), requires_grad=True)
    y = x
    for _ in range(length):
        y = y + 1
    return x, y


def wide(layers, size):
    x = Variable(torch.ones(size, size), requires_grad=True)
    y = x
    for _ in range(layers):
        y = y.mm(x)
    return x, y.sum()


def backward(made):
    made[1].backward(retain_graph=True)


def gradient(made):
    grad(made[1], made[0], retain_graph=True)


def release(made):
    made.clear()


CASES = [
    ("backward, chain of 1e6", lambda: chain(1_000_000), backward),
    ("grad, chain of 1e6", lambda: chain(1_000_000), gradient),
    ("release, chain of 1e7", lambda: list(chain(10_000_000)), release),
    ("backward, 200 products of 512", lambda: wide(200, 512), backward),
    ("a product of 4096", lambda: torch.ones(4096, 4096), lambda m: m.mm(m)),
    ("the same of doubles", lambda: torch.ones(4096, 4096).double(), lambda m: m.mm(m)),
    ("svd of 1000", lambda: torch.rand(1000, 1000), lambda m: m.svd()),
    ("sort of 5e7", lambda: torch.rand(50_000_000), lambda m: m.sort()),
]


def waited(made, call, delay):
    """Seconds from the signal to the exception; None when the call was over before the signal."""
    sent = []

    def send():
        time.sleep(delay)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    start = time.perf_counter()
    over = None
    try:
        call(made)
        over = time.perf_counter()
        sender.join()
        time.sleep(1)
    except KeyboardInterrupt:
        caught = time.perf_counter()
    sender.join()
    took = (over or caught) - start
    return None if over is not None and over < sent[0] else (caught - sent[0], took)


def main():
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for name, make, call in CASES:
        found = []
        for i in range(repeats):
            made = make()
            answer = waited(made, call, 0.01 + 0.01 * i)
            if answer is not None:
                found.append(1000 * answer[0])
            del made
        text = "over before the signal"
        if found:
            text = f"median {statistics.median(found):7.1f} ms, worst {max(found):7.1f} ms"
        print(f"{name:32} {text}   ({len(found)} of {repeats} interrupted)", flush=True)


if __name__ == "__main__":
    main()
