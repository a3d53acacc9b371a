"""A program that is only checked, never run: what a strict type checker must know of rgrad."""

from typing import assert_type

import rgrad as torch
import rgrad.nn.functional as F
from rgrad.autograd import Variable


def tensors(x: torch.FloatTensor, n: torch.LongTensor) -> None:
    assert_type(x + 1, torch.FloatTensor)
    assert_type(2 * x - x, torch.FloatTensor)
    assert_type(x > 1, torch.ByteTensor)
    assert_type(x.eq(x), torch.ByteTensor)
    assert_type(x.mul_(2).clamp(max=3).exp(), torch.FloatTensor)
    assert_type(x.max(1), tuple[torch.FloatTensor, torch.LongTensor])
    assert_type(x.sum(1), torch.FloatTensor)
    assert_type(x.sum(), int | float)
    assert_type(x.long(), torch.LongTensor)
    assert_type(x.view(-1), torch.FloatTensor)
    assert_type(x.view([4, 1]), torch.FloatTensor)
    assert_type(x.size(), torch.Size)
    assert_type(x.size()[0], int)
    assert_type(x.size(0), int)
    assert_type(x.type(), str)
    assert_type(x.type(torch.DoubleTensor), torch.DoubleTensor)
    assert_type(x.cuda(), torch.cuda.FloatTensor)
    assert_type(x.cuda() > 1, torch.cuda.ByteTensor)
    assert_type(x.cuda().cpu(), torch.FloatTensor)
    x[0, 1:] = 3
    x[x > 1] = 0
    x.scatter_(1, n, 1)


def functions(x: torch.FloatTensor) -> None:
    out = torch.DoubleTensor()
    assert_type(torch.randn(2, 3), torch.FloatTensor)
    assert_type(torch.zeros([2, 3]), torch.FloatTensor)
    assert_type(torch.zeros(2, out=out), torch.DoubleTensor)
    assert_type(torch.linspace(0, 1, 5, out=out), torch.DoubleTensor)
    assert_type(torch.addmm(x, x, x), torch.FloatTensor)
    assert_type(torch.max(x, 1)[1], torch.LongTensor | torch.cuda.LongTensor)
    assert_type(torch.cat([x, x], 1), torch.FloatTensor)
    assert_type(torch.split(x, 2), tuple[torch.FloatTensor, ...])
    assert_type(torch.manual_seed(1), torch.Generator)


def variables(w: Variable) -> None:
    y = (w * 2 + w).sum()
    assert_type(y, Variable)
    y.backward()
    assert_type(w.grad, Variable | None)
    assert_type(torch.autograd.grad(y, [w]), tuple[Variable, ...])
    assert_type(w.max(1), tuple[Variable, Variable])
    assert_type(torch.mm(w, w), Variable)
    assert_type(torch.cat([w, w]), Variable)
    assert_type(w.detach_(), Variable)
    for row in w:
        assert_type(row, Variable)
    target = Variable(torch.LongTensor([0, 1]))
    with torch.no_grad():
        assert_type(F.nll_loss(F.log_softmax(w, 1), target), Variable)
    prediction = w.data.max(1)[1]
    prediction.eq(target.data.view_as(prediction)).sum()
    torch.draw(y).save("graph.svg")
    torch.nn.Parameter(torch.ones(2)).add_(1)


def refused(x: torch.FloatTensor, n: torch.LongTensor, w: Variable) -> None:
    w + "a"  # type: ignore[operator]
    w + x  # type: ignore[operator]
    2 % x  # type: ignore[operator]
    n.exp()  # type: ignore[attr-defined]
    x.view("a")  # type: ignore[call-overload]
    del x[0]  # type: ignore[arg-type]
    w.is_leaf = True  # type: ignore[misc]
