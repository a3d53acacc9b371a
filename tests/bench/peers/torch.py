"""Today's PyTorch, eager, on the CPU."""

import torch
import torch.nn.functional as F

from peers import RATE, chosen_rows, gathered_places, mlp_arrays


def version():
    return torch.__version__


def threads():
    return torch.get_num_threads()


def leaf(number):
    return torch.tensor([float(number)], requires_grad=True)


def tutorial():
    a = torch.tensor([2.0])
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
    x, factor = leaf(1), torch.tensor([1.0])

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
    a, b = torch.rand(count, requires_grad=True), torch.rand(count, requires_grad=True)
    return lambda: a + b


def matmul(size):
    a, b = torch.rand(size, size), torch.rand(size, size)
    return lambda: torch.mm(a, b)


def mlp(batch):
    x, y, *parameters = (torch.from_numpy(array) for array in mlp_arrays(batch))
    parameters = [p.requires_grad_() for p in parameters]
    w1, b1, w2, b2 = parameters

    def run():
        hidden = torch.relu(torch.addmm(b1, x, w1))
        loss = F.cross_entropy(torch.addmm(b2, hidden, w2), y)
        loss.backward()
        with torch.no_grad():
            for p in parameters:
                p -= RATE * p.grad
                p.grad.zero_()
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
    table, places = torch.from_numpy(table).requires_grad_(), torch.from_numpy(places)
    gradient = torch.from_numpy(gradient)
    y = table.index_select(0, places)

    def run():
        table.grad = None
        y.backward(gradient, retain_graph=True)

    return run


def gathered(dim):
    a, places = (torch.from_numpy(array) for array in gathered_places(dim))
    return lambda: a.gather(dim, places)
