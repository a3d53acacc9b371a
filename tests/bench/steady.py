"""Memory over many training steps: live nodes and saved bytes, and what the system counts.

    python tests/bench/steady.py [steps]

Prints the growth since the first tenth of the steps; a million steps must grow by less than 1 MiB.
"""

import gc
import sys
import time

import rgrad as torch
from rgrad.autograd import Variable, live_nodes, saved_bytes


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def train(steps):
    torch.manual_seed(0)
    x, target = Variable(torch.randn(8, 4)), Variable(torch.randn(8, 2))
    w1 = Variable(torch.randn(4, 6), requires_grad=True)
    w2 = Variable(torch.randn(6, 2), requires_grad=True)
    hooked = w2.register_hook(lambda g: g * 1)
    for _ in range(steps):
        loss = ((x.mm(w1).tanh().mm(w2) - target) ** 2).mean()
        loss.backward()
        for w in (w1, w2):
            w.data.add_(-0.01, w.grad.data)
            w.grad.data.zero_()
    hooked.remove()
    return loss.data[0]


def main():
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    train(steps // 10)
    gc.collect()
    start = (resident(), live_nodes(), saved_bytes())
    begin = time.perf_counter()
    for part in range(1, 10):
        loss = train(steps // 10)
        gc.collect()
        grown = resident() - start[0]
        print(
            f"{(part + 1) * steps // 10} steps: {grown / 1024:.0f} KiB, loss {loss:.4f}", flush=True
        )
    print(f"{time.perf_counter() - begin:.1f} s")
    assert (live_nodes(), saved_bytes()) == start[1:], "nodes or saved tensors are left behind"
    assert resident() - start[0] < 1 << 20, "resident memory grew by 1 MiB or more"


if __name__ == "__main__":
    main()
