"""One row for each differentiable form: the call and its inputs, away from kinks and ties."""

import rgrad as torch
import rgrad.nn.functional as F
from rgrad.autograd import Variable
from support import double, numbers

A, B = numbers(2, 3), numbers(2, 3, seed=1)
POSITIVE = numbers(2, 3, low=0.4, high=3)
OTHER = numbers(2, 3, seed=1, low=0.4, high=3)
ROW, COLUMN = numbers(3, seed=2), numbers(2, 1, seed=3)
MATRIX = numbers(3, 4, seed=4)


def long(values):
    return Variable(torch.LongTensor(values))


GATHER = long([[1, 0, 2], [2, 2, 0]])

ROWS = {
    "add": (lambda a, b: a + b, A, B),
    "add scaled": (lambda a, b: a.add(3, b), A, B),
    "add number": (lambda a: 2 + a, A),
    "add broadcast": (lambda a, b: a + b, ROW, COLUMN),
    "sub": (lambda a, b: a - b, A, B),
    "sub broadcast": (lambda a, b: a - b, A, ROW),
    "rsub": (lambda a: 3 - a, A),
    "mul": (lambda a, b: a * b, A, B),
    "mul broadcast": (lambda a, b: a * b, COLUMN, A),
    "mul itself": (lambda a: a * a * a, A),
    "mul number": (lambda a: a * -1.5, A),
    "div": (lambda a, b: a / b, A, OTHER),
    "div broadcast": (lambda a, b: a / b, ROW, OTHER),
    "div number": (lambda a: a / 4, A),
    "rdiv": (lambda a: 2 / a, POSITIVE),
    "neg": (lambda a: -a, A),
    "pow 2": (lambda a: a**2, A),
    "pow 3": (lambda a: a**3, A),
    "pow 1": (lambda a: a**1, A),
    "pow half": (lambda a: a**0.5, POSITIVE),
    "pow -1": (lambda a: a**-1, POSITIVE),
    "pow 2.5": (lambda a: a**2.5, POSITIVE),
    "pow Variable": (lambda a, b: a**b, POSITIVE, A),
    "pow base": (lambda a: 2**a, A),
    "exp": (lambda a: a.exp(), A),
    "log": (lambda a: a.log(), POSITIVE),
    "sqrt": (lambda a: a.sqrt(), POSITIVE),
    "tanh": (lambda a: a.tanh(), A),
    "sigmoid": (lambda a: a.sigmoid(), A),
    "abs": (lambda a: a.abs(), A),
    "relu": (F.relu, A),
    "threshold": (lambda a: F.threshold(a, 0.4, 5), A),
    "clamp": (lambda a: a.clamp(-0.7, 1.1), A),
    "clamp min": (lambda a: a.clamp(min=0.2), A),
    "clamp max": (lambda a: a.clamp(max=0.2), A),
    "sum": (lambda a: a.sum(), A),
    "sum 0": (lambda a: a.sum(0), A),
    "sum -1 kept": (lambda a: a.sum(-1, True), A),
    "sum of 1-D": (lambda a: a.sum(0), ROW),
    "mean": (lambda a: a.mean(), A),
    "mean 1": (lambda a: a.mean(1), A),
    "mean 0 kept": (lambda a: a.mean(0, keepdim=True), A),
    "max": (lambda a: a.max(), A),
    "min": (lambda a: a.min(), A),
    "max 0": (lambda a: a.max(0)[0], A),
    "max 1 kept": (lambda a: a.max(1, True)[0], A),
    "min 1": (lambda a: a.min(1)[0], A),
    "max two": (lambda a, b: torch.max(a, b), A, B),
    "min broadcast": (lambda a, b: torch.min(a, b), A, ROW),
    "softmax": (lambda a: F.softmax(a, dim=1), A),
    "softmax 0": (lambda a: F.softmax(a, dim=0), A),
    "log_softmax": (lambda a: F.log_softmax(a, dim=1), A),
    "nll_loss": (lambda a: F.nll_loss(a, long([2, 0])), A),
    "nll_loss weights": (
        lambda a: F.nll_loss(a, long([2, 0]), weight=double([1, 2, 3])),
        A,
    ),
    "cross_entropy": (lambda a: F.cross_entropy(a, long([2, 0])), A),
    "mse_loss": (lambda a: F.mse_loss(a, Variable(double(B))), A),
    "mm": (lambda a, b: a.mm(b), A, MATRIX),
    "mm of t": (lambda a, b: a.t().mm(b), A, B),
    "matmul": (lambda a, b: a @ b, A, MATRIX),
    "matmul row": (lambda a, b: a @ b, ROW, MATRIX),
    "matmul batch": (lambda a, b: a @ b, numbers(2, 2, 3), MATRIX),
    "addmm": (lambda m, a, b: torch.addmm(m, a, b), numbers(2, 4), A, MATRIX),
    "addmm scaled": (lambda m, a, b: torch.addmm(0.5, m, -2, a, b), numbers(2, 4), A, MATRIX),
    "addmm row": (lambda m, a, b: torch.addmm(m, a, b), numbers(4), A, MATRIX),
    "linear": (F.linear, A, numbers(4, 3), numbers(4, seed=5)),
    "mv": (lambda a, v: a.mv(v), A, ROW),
    "dot": (lambda a, b: a.dot(b), ROW, numbers(3, seed=6)),
    "dot itself": (lambda a: a.dot(a), ROW),
    "bmm": (lambda a, b: a.bmm(b), numbers(2, 2, 3), numbers(2, 3, 2, seed=1)),
    "t": (lambda a: a.t(), A),
    "transpose": (lambda a: a.transpose(0, 2), numbers(2, 1, 3)),
    "view": (lambda a: a.view(3, -1), A),
    "expand": (lambda a: a.expand(3, 2, 3), A),
    "expand 1": (lambda a: a.expand(2, 3), COLUMN),
    "squeeze": (lambda a: a.squeeze(), COLUMN),
    "squeeze 1": (lambda a: a.squeeze(1), COLUMN),
    "unsqueeze": (lambda a: a.unsqueeze(1), A),
    "narrow": (lambda a: a.narrow(1, 1, 2), A),
    "select": (lambda a: a.select(1, 0), A),
    "int": (lambda a: a[1], A),
    "element": (lambda a: a[1, 2], A),
    "slice": (lambda a: a[:, ::2], A),
    "row selection": (lambda a: a[long([1, 0, 1])], A),
    "mask": (lambda a: a[Variable(torch.ByteTensor([[1, 0, 1], [0, 0, 1]]))], A),
    "index_select": (lambda a: a.index_select(1, long([2, 2, 0])), A),
    "gather": (lambda a: a.gather(1, GATHER), A),
    "scatter_add": (lambda a, b: (a * 1).scatter_add_(1, GATHER, b), A, B),
    "masked_fill": (
        lambda a: (a * 1).masked_fill_(Variable(torch.ByteTensor([[1, 0, 1], [0, 0, 1]])), 3),
        A,
    ),
    "cat": (lambda a, b: torch.cat([a, b, a], 1), A, B),
    "stack": (lambda a, b: torch.stack([a, b], 1), A, B),
    "clone": (lambda a: a.clone(), A),
    "contiguous": (lambda a: a.t().contiguous(), A),
    "add_": (lambda a, b: (a * 1).add_(b), A, B),
    "sub_": (lambda a, b: (a * 1).sub_(b), A, ROW),
    "mul_": (lambda a, b: (a * 1).mul_(b), A, B),
    "div_": (lambda a, b: (a * 1).div_(b), A, OTHER),
    "pow_": (lambda a: (a * 1).pow_(2), A),
    "exp_": (lambda a: (a * 1).exp_(), A),
    "tanh_": (lambda a: (a * 1).tanh_(), A),
    "sigmoid_": (lambda a: (a * 1).sigmoid_(), A),
    "relu_": (lambda a: F.relu(a * 1, inplace=True), A),
    "assigned slice": (lambda a, b: assigned(a * 1, b), A, ROW),
    "composed": (lambda a, b: ((a * b).tanh() + a.exp() / (b * b + 1)).sum(0), A, B),
}


def assigned(y, value):
    y[1] = value
    return y
