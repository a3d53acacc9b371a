"""Nothing is left behind by many training steps; tests/bench/steady.py does a million."""

import gc

import rgrad as torch
from rgrad.autograd import Function, Variable, grad, live_nodes, saved_bytes


class Half(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x / 2

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_variables
        return g / 2 + x * 0


def step(x, target, w1, w2, kind):
    hidden = x.mm(w1).tanh()
    if kind == 1:
        hidden = Half.apply(hidden)
    if kind == 2:
        hidden = hidden.clone()
        hidden[0] = hidden[1] * 2
    loss = ((hidden.mm(w2) - target) ** 2).mean()
    if kind == 3:
        first, second = grad(loss, [w1, w2], create_graph=True)
        loss = loss + first.sum() + (second * second).sum()
    if kind == 4:
        hidden.register_hook(lambda g: g * 1)
        hidden.retain_grad()
    loss.backward()
    for w in (w1, w2):
        w.data.add_(-0.01, w.grad.data)
        w.grad = None if kind == 3 else w.grad.detach()


def test_counters_stand_still_over_twenty_thousand_steps():
    torch.manual_seed(0)
    x, target = Variable(torch.randn(8, 4)), Variable(torch.randn(8, 2))
    w1 = Variable(torch.randn(4, 6) * 0.1, requires_grad=True)
    w2 = Variable(torch.randn(6, 2) * 0.1, requires_grad=True)
    for kind in range(5):
        step(x, target, w1, w2, kind)
    gc.collect()
    start = (live_nodes(), saved_bytes(), len(gc.get_objects()))
    for i in range(20_000):
        step(x, target, w1, w2, i % 5)
    gc.collect()
    assert (live_nodes(), saved_bytes()) == start[:2]
    # The interpreter keeps a few things for itself.
    assert len(gc.get_objects()) < start[2] + 100
