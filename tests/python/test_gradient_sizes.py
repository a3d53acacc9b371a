"""A gradient of another size than the result has, but of as many elements: a gradient or an error,
never a third outcome (A-78, A-162)."""

import itertools

import pytest

import rgrad as torch
from rgrad.autograd import Function, Variable
from support import double, leaf, numbers

pytestmark = pytest.mark.filterwarnings("ignore:non-inplace resize")

# Of a result of 2 x 3; each keeps its elements, or some, in another order or size.
MOVES = {
    "view": lambda v: v.view(3, 2),
    "view -1": lambda v: v.view(-1),
    "resize": lambda v: v.resize(3, 2),
    "t": lambda v: v.t(),
    "transpose": lambda v: v.transpose(0, 1),
    "permute": lambda v: v.permute(1, 0),
    "unsqueeze": lambda v: v.unsqueeze(1),
    "squeeze": lambda v: v.unsqueeze(0).squeeze(),
    "squeeze 0": lambda v: v.unsqueeze(0).squeeze(0),
    "expand": lambda v: v.expand(2, 2, 3),
    "narrow": lambda v: v.narrow(1, 0, 2),
    "select": lambda v: v.select(0, 1),
    "index": lambda v: v[:, 1:],
    "new": lambda v: v[None],
    "unfold": lambda v: v.unfold(1, 2, 1),
    "as_strided": lambda v: v.as_strided((3, 2), (2, 1)),
    "repeat": lambda v: v.repeat(2, 1),
    "take": lambda v: v.take(Variable(torch.LongTensor([[0, 1], [5, 4]]))),
    "masked_select": lambda v: v.masked_select(Variable(torch.ByteTensor([[1, 0, 1]]))),
    "cat": lambda v: torch.cat([v, v]),
    "stack": lambda v: torch.stack([v, v]),
    "chunk": lambda v: v.chunk(2, 0)[0],
    "diag": lambda v: v[:, :2].diag(),
    "contiguous": lambda v: v.t().contiguous(),
    "sum": lambda v: v.sum(1),
    "clone": lambda v: v.clone(),
}


class Twice(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return Variable(double(numbers(2, 3)))


MOVES["Function"] = Twice.apply


def other_sizes(sizes):
    """Sizes of as many elements."""
    count = 1
    for size in sizes:
        count *= size
    found = {(count,), (1, count), (count, 1), (*sizes, 1), (1, *sizes)}
    found |= set(itertools.permutations(sizes))
    found |= {(k, count // k) for k in range(1, count + 1) if count % k == 0}
    return sorted(found - {tuple(sizes)})


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", MOVES)
def test_a_node_hook_cannot_slip_in_another_size(name, create_graph):
    for sizes in other_sizes(MOVES[name](leaf(numbers(2, 3))).size()):
        x = leaf(numbers(2, 3))
        moved = MOVES[name](x * 1)
        # What follows is a clone, whose node keeps no size.
        out = moved.clone()
        wrong = Variable(double(numbers(*sizes)))
        out.grad_fn.register_hook(lambda given, got, wrong=wrong: (wrong,))
        with pytest.raises(RuntimeError, match="size"):
            out.backward(double(numbers(*out.size())), create_graph=create_graph)
        assert x.grad is None


@pytest.mark.parametrize("name", MOVES)
def test_a_called_node_takes_no_other_size(name):  # issue 4: nodes can be called
    moved = MOVES[name](leaf(numbers(2, 3)) * 1)
    right = moved.grad_fn(Variable(double(numbers(*moved.size()))))
    right = right if isinstance(right, tuple) else (right,)
    wanted = [g.size() for g in right if g is not None]
    for sizes in other_sizes(moved.size()):
        try:
            got = moved.grad_fn(Variable(double(numbers(*sizes))))
        except RuntimeError as error:
            assert "size" in str(error)
            continue
        # A node that keeps no size hands on what is seen to be of another size.
        got = got if isinstance(got, tuple) else (got,)
        assert all(
            g.size() != size
            for g, size in zip((g for g in got if g is not None), wanted, strict=True)
        )
