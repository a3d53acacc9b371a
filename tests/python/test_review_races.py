"""One thread writes a tensor while another one's operation reads it twice.

Values may be mixed then, but nothing outside the tensors is touched (autograd.md 15, T-120). Each
runs in a process of its own, which must end well.
"""

import pytest

from support import run_program

PROGRAM = """
import os, threading, time
import rgrad as torch
N = 100000
number = torch.rand(N)
index, mask = torch.LongTensor(N).zero_(), torch.ByteTensor(N).zero_()
x, y, rows = torch.ones(N), torch.ones(N), torch.ones(N, 1)
done = False

def write():
    while not done:
        number.fill_(-5), number.uniform_(), number.fill_(float("nan")), number.fill_(0)
        index.fill_(10**15), index.fill_(0), index.fill_(-(10**15)), index.fill_(0)
        mask.fill_(1), mask.fill_(0), mask.bernoulli_(0.5)

writer = threading.Thread(target=write)
writer.start()
end, calls = time.time() + 0.4, 0
while time.time() < end:
    try:
        eval(os.environ["READER"])
    except (RuntimeError, IndexError):
        pass
    calls += 1
done = True
writer.join()
print(calls > 0)
"""

READERS = [
    "x.gather(0, index)",
    "x.scatter_(0, index, y)",
    "x.scatter_add_(0, index, y)",
    "x.take(index)",
    "x.put_(index, y)",
    "x[index]",
    "x.__setitem__(index, 3)",
    "rows.index_select(0, index)",
    "rows.index_add_(0, index, rows.clone())",
    "rows.index_fill_(0, index, 3)",
    "mask.nonzero()",
    "x.masked_select(mask)",
    "x.masked_scatter_(mask, y)",
    "number.max(0)",
    "number.min()",
    "number.topk(N // 2)",
    "number.topk(3)",
    "number.sort()",
    "number.median(0)",
    "number.mode(0)",
    "number.histc(100, 0, 1)",
]


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_stays_inside_while_another_thread_writes(reader):
    run = run_program(PROGRAM, timeout=60, READER=reader)
    assert (run.returncode, run.stdout.strip()) == (0, "True"), run.stderr[-600:]
