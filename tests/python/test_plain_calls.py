"""A call on operands alone takes a way of its own: it means what the general way makes of it."""

import itertools
import types

import pytest

import rgrad as torch
from rgrad.autograd import Variable

SIZES = [(3, 3), (3,), (1, 3, 3)]


def operands():
    """Tensors and Variables of several classes and sizes, elements inside most domains."""
    torch.manual_seed(5)
    tensors = [torch.rand(*size) * 0.5 + 0.25 for size in SIZES]
    tensors += [torch.rand(3, 3).double(), torch.LongTensor([[0, 1, 2], [2, 1, 0], [1, 1, 1]])]
    tensors += [torch.ByteTensor([[1, 0, 1], [0, 1, 0], [1, 1, 0]])]
    square, vector = tensors[:2]
    variables = [Variable(t.clone()) for t in (square, vector, tensors[4])]
    variables += [Variable(square.clone(), requires_grad=True)]
    variables += [torch.nn.Parameter(square.clone()), Variable(square.clone(), volatile=True)]
    return tensors + variables


def outcome(call):
    """What a call gives, in words: values, class, flags and node, or the error."""
    try:
        made = call()
    except Exception as error:
        return type(error).__name__, str(error)
    told = []
    for item in made if isinstance(made, tuple) else (made,):
        told.append((type(item).__name__, repr(item)))
        if isinstance(item, Variable):
            node = item.grad_fn
            told.append((item.requires_grad, item.volatile, node and type(node).__name__))
            told.append([type(n).__name__ for n, _ in node.next_functions if n] if node else None)
    return told


def names():
    return sorted(
        name
        for name in dir(torch._C)
        if isinstance(getattr(torch, name, None), types.BuiltinFunctionType)
        and hasattr(torch.FloatTensor, name)
    )


def combinations():
    things = operands()
    few = [things[i] for i in (0, 1, 4, 6, 9, 10)]
    yield from ([thing] for thing in things)
    yield from itertools.product(things, repeat=2)
    yield from itertools.product(few, repeat=3)


# Random rows differ from call to call, and matmul is no row.
OTHERS = {"bernoulli", "matmul", "multinomial", "normal"}
ROWS = [name for name in names() if name not in OTHERS]


def short_and_whole(name):
    """Outcomes of calls by the short way and by the general one, which `out=None` asks for."""
    function = getattr(torch, name)
    if "unexpected keyword" in str(outcome(lambda: function(out=None))):
        return
    for arguments in combinations():
        short = outcome(lambda a=arguments: function(*a))
        yield short, outcome(lambda a=arguments: function(*a, out=None)), arguments
        method = getattr(arguments[0], name, None)
        if method is not None:
            rest = arguments[1:]
            short = outcome(lambda m=method, r=rest: m(*r))
            yield short, outcome(lambda m=method, r=rest: m(*r, out=None)), arguments


@pytest.mark.parametrize("name", ROWS)
def test_the_short_way_means_the_same(name):  # O-1, O-8
    for short, whole, arguments in short_and_whole(name):
        assert short == whole, [type(a).__name__ for a in arguments]


def test_many_rows_were_compared():
    made = {name for name in ROWS for short, _, _ in short_and_whole(name) if type(short) is list}
    assert len(made) > 80 and {"add", "mm", "exp", "addmm", "masked_select"} <= made
