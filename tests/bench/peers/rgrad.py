"""rgrad, through the names of PyTorch 0.3."""

import rgrad as torch
import rgrad.nn.functional as F
from peers import RATE, chosen_rows, gathered_places, mlp_arrays
from rgrad.autograd import Variable


def version():
    return torch._C._version


def threads():
    return torch.get_num_threads()


def leaf(number):
    return Variable(torch.FloatTensor([number]), requires_grad=True)


def tutorial():
    a = Variable(torch.FloatTensor([2]))
    w1, w2, w3, w4 = leaf(1), leaf(2), leaf(3), leaf(4)

    def run():
        b = w1 * a
        c = w2 * a
        d = w3 * b + w4 * c
        loss = 10 - d
        loss.backward()

    return run


def mul():
    a, b = leaf(2), leaf(3)
    return lambda: a * b


def chain(length):
    x, factor = leaf(1), Variable(torch.FloatTensor([1]))

    def run():
        y = x
        for _ in range(length):
            y = y * factor
        y.backward()

    return run


def add(count):
    a, b = torch.rand(count), torch.rand(count)
    return lambda: a + b


def add_recorded(count):
    a = Variable(torch.rand(count), requires_grad=True)
    b = Variable(torch.rand(count), requires_grad=True)
    return lambda: a + b


def matmul(size, kind):
    a, b = torch.rand(size, size), torch.rand(size, size)
    if kind == "f64":
        a, b = a.double(), b.double()
    return lambda: torch.mm(a, b)


def mv(size):
    a, b = torch.rand(size, size), torch.rand(size)
    return lambda: torch.mv(a, b)


def bmm(count, size):
    a, b = torch.rand(count, size, size), torch.rand(count, size, size)
    return lambda: torch.bmm(a, b)


def dot(count):
    a, b = torch.rand(count), torch.rand(count)
    return lambda: torch.dot(a, b)


def mlp(batch):
    x, y, *parameters = mlp_arrays(batch)
    x, y = Variable(torch.from_numpy(x)), Variable(torch.from_numpy(y))
    parameters = [Variable(torch.from_numpy(p), requires_grad=True) for p in parameters]
    w1, b1, w2, b2 = parameters

    def run():
        hidden = F.relu(torch.addmm(b1, x, w1))
        loss = F.nll_loss(F.log_softmax(torch.addmm(b2, hidden, w2), dim=1), y)
        loss.backward()
        for p in parameters:
            p.data.sub_(p.grad.data.mul_(RATE))
            p.grad.data.zero_()
        return loss

    return run


def transposed(size):
    a = torch.rand(size, size)
    return lambda: a.t().contiguous()


def joined(count):
    a, b = torch.rand(count), torch.rand(count)
    return lambda: torch.cat([a, b])


def rows(count):
    table, places, _ = (torch.from_numpy(array) for array in chosen_rows(count))
    return lambda: table.index_select(0, places)


def rows_back(count):
    table, places, gradient = chosen_rows(count)
    table, places = (
        Variable(torch.from_numpy(table), requires_grad=True),
        Variable(torch.from_numpy(places)),
    )
    gradient = torch.from_numpy(gradient)
    y = table.index_select(0, places)

    def run():
        table.grad = None
        y.backward(gradient, retain_graph=True)

    return run


def gathered(dim):
    a, places = (torch.from_numpy(array) for array in gathered_places(dim))
    return lambda: a.gather(dim, places)


def reduce(size, op, dim):
    a = torch.rand(size, size)
    if op == "argmax":  # 0.3 has the index beside the value
        return lambda: a.max(dim)[1]
    arguments = () if dim is None else (dim,)
    return lambda: getattr(a, op)(*arguments)


def softmax(rows, columns, log):
    v = Variable(torch.rand(rows, columns), volatile=True)
    f = F.log_softmax if log else F.softmax
    return lambda: f(v, dim=1)


def sort(count, op):
    a = torch.rand(count)
    calls = {"sort": a.sort, "topk 100": lambda: a.topk(100), "median": a.median}
    return calls[op]


def scan(size, dim):
    a = torch.rand(size, size)
    return lambda: a.cumsum(dim)
