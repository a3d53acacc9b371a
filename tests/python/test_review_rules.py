"""Rules that hold on the way less walked: failing marks, shared memory, foreign gradients."""

import pytest

import rgrad as torch
import rgrad.nn.functional as F
from rgrad.autograd import Function, Variable
from support import double, leaf, numbers, same


class Add1(Function):
    @staticmethod
    def forward(ctx, a):
        a.add_(1)
        ctx.mark_dirty(a)
        return a

    @staticmethod
    def backward(ctx, g):
        return g


class Add1AndFail(Add1):
    @staticmethod
    def forward(ctx, a):
        a.add_(1)
        ctx.mark_dirty(a)
        raise KeyError("no")


class Add1AndMore(Add1):
    @staticmethod
    def forward(ctx, a):
        a.add_(1)
        ctx.mark_dirty(a)
        return a, a * 2


class Column(Function):
    @staticmethod
    def forward(ctx, a):
        return a.view(-1, 1)

    @staticmethod
    def backward(ctx, g):
        return g.contiguous().view(-1)


def test_a_failed_mark_on_a_view_counts():
    z = leaf([1.0, 2.0]) * 1
    s = (z * z).sum()
    with pytest.raises(RuntimeError, match="view"):
        Add1AndMore.apply(z.narrow(0, 0, 1))
    with pytest.raises(RuntimeError, match=r"in-?place"):
        s.backward()


def test_a_forward_that_raises_after_its_mark_counts():
    z = leaf([1.0, 2.0]) * 1
    s = (z * z).sum()
    with pytest.raises(KeyError):
        Add1AndFail.apply(z)
    with pytest.raises(RuntimeError, match=r"in-?place"):
        s.backward()


def test_a_failed_mark_on_a_leaf_counts():
    x = leaf([1.0, 2.0])
    s = (x * x).sum()
    with pytest.raises(RuntimeError, match="leaf") as error:
        Add1.apply(x)
    assert "'x'" in str(error.value) or "x" in str(error.value).split("leaf")[-1]
    with pytest.raises(RuntimeError, match=r"in-?place"):
        s.backward()


def test_memory_shared_without_a_mark_shares_the_count():
    x = leaf([1.0, 2.0]) * 1
    y = Column.apply(x)
    s, t = (x * x).sum(), (y * y).sum()
    y.mul_(3)
    for changed in (s, t):
        with pytest.raises(RuntimeError, match=r"in-?place"):
            changed.backward(retain_graph=True)
    assert x._version == y._version == 1


def test_changes_of_the_argument_count_for_the_result():
    x = leaf([1.0, 2.0]) * 1
    y = Column.apply(x)
    t = (y * y).sum()
    x.mul_(3)
    with pytest.raises(RuntimeError, match=r"in-?place"):
        t.backward()


def test_in_place_on_a_sharing_result_gives_its_gradient():
    x = leaf([1.0, 2.0])
    z = x * 1
    (Column.apply(z).mul_(3)).sum().backward()
    same(x.grad, [3, 3])


NODES = [
    "m.cumsum(0)",
    "m.cumprod(0)",
    "m.unfold(0, 2, 1)",
    "m.permute(1, 0)",
    "F.softmax(m, dim=1)",
    "F.log_softmax(m, dim=1)",
    "F.nll_loss(m, Variable(torch.LongTensor([0, 1, 2])))",
    "torch.addbmm(m, q, q)",
    "m.mm(m)",
    "m.max(0)[0]",
    "m.gather(0, Variable(torch.LongTensor([[0, 1, 1]])))",
    "m.tril()",
    "m.narrow(0, 0, 2)",
]


@pytest.mark.parametrize("text", NODES)
@pytest.mark.parametrize("size", [(), (7,), (2, 2, 2)])
def test_a_gradient_of_another_size(text, size):
    m, q = leaf(numbers(3, 3)), leaf(numbers(2, 3, 3))
    made = eval(text, {"torch": torch, "F": F, "Variable": Variable, "m": m, "q": q})
    given = Variable(torch.DoubleTensor(*size))
    try:
        made.grad_fn(given)
    except RuntimeError as error:
        assert type(error) is RuntimeError, error
        assert type(made.grad_fn).__name__ in str(error)
        assert "size" in str(error)


def test_node_hooks_keep_sizes():
    x = leaf([1.0, 2.0])
    y = x * 2
    y.grad_fn.register_hook(lambda inputs, outputs: (Variable(double([1.0])),))
    with pytest.raises(RuntimeError, match="has changed the type or size"):
        y.sum().backward()


def test_every_name_of_dir_resolves():
    v = leaf([1.0]) * 1
    assert [name for name in dir(v) if not hasattr(v, name)] == []
    v.retain_grad()
    assert "retains_grad" in dir(v)


@pytest.mark.parametrize("text", ["v & 1", "v | 1", "v ^ 1", "v << 1", "v >> 1", "v | v"])
def test_bit_operators_are_not_volatile(text):
    made = eval(text, {"v": Variable(torch.LongTensor([1, 2]), volatile=True)})
    assert (made.volatile, made.requires_grad, made.grad_fn) == (False, False, None)


def test_grad_fn_can_be_forgotten():  # section 1.2
    x = leaf([1.0])
    y = x * 2
    y._grad_fn = None
    assert y.grad_fn is None and y.is_leaf
    (y * 3).backward()
    assert x.grad is None
    same(y.grad, [3])
    with pytest.raises(RuntimeError, match="None"):
        y._grad_fn = (x * 2).grad_fn


def test_fmod_keeps_the_divisor():
    y = torch.fmod(leaf([3.0, 4.0]), Variable(double([2.0, 3.0]))).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_assigning_to_a_leaf_names_it():
    weights = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="leaf") as error:
        weights[0] = 1
    assert "weights" in str(error.value)


@pytest.mark.parametrize("result, advice", [(3, "tuple of tensors"), ("v", "wrap nothing")])
def test_what_forward_returns(result, advice):  # E-44
    class Wrong(Function):
        @staticmethod
        def forward(ctx, a):
            return Variable(a) if result == "v" else result

    with pytest.raises(RuntimeError, match=advice):
        Wrong.apply(leaf([1.0]))
