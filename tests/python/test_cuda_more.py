"""Scripts on GPU tensors: classes, devices and gradients as on the processor (U-60 to U-66)."""

import copy
import pickle

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Function, Variable
from support import array, same, tensor

A = [[3.5, 1.0, 2.0, -4.0], [6.0, -5.0, 9.0, 0.5], [7.0, 2.5, -2.0, 8.0]]
SQUARE = [[4.0, 1.0, 0.5], [1.0, 5.0, -1.0], [0.5, -1.0, 3.0]]


def kind_on(device, name):
    return getattr(torch.cuda if device == "gpu" else torch, name)


def to(device, t):
    return t.cuda() if device == "gpu" else t


def floats(device, a=A):
    return to(device, tensor("FloatTensor", np.float32(a)))


def places(device, a=(2, 0)):
    return to(device, torch.LongTensor(np.asarray(a).tolist()))


def flat(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


# What a script may write, as a function of a FloatTensor and of a device.

TENSOR_OPS = {
    "std": lambda x, d: x.std(),
    "std of rows": lambda x, d: x.std(1),
    "var biased": lambda x, d: x.var(0, False),
    "sort": lambda x, d: x.sort(),
    "sort down": lambda x, d: x.sort(0, True),
    "topk": lambda x, d: x.topk(2),
    "topk smallest": lambda x, d: x.topk(2, 0, False),
    "kthvalue": lambda x, d: x.kthvalue(3),
    "median": lambda x, d: x.median(),
    "median of rows": lambda x, d: x.median(1),
    "mode": lambda x, d: x.round().mode(),
    "cumsum": lambda x, d: x.cumsum(1),
    "cumprod": lambda x, d: x.cumprod(0),
    "norm": lambda x, d: x.norm(),
    "norm of rows": lambda x, d: x.norm(1, 1),
    "renorm": lambda x, d: x.renorm(2, 0, 5),
    "histc": lambda x, d: x.histc(4),
    "nonzero": lambda x, d: (x > 2).nonzero(),
    "gather": lambda x, d: x.gather(1, places(d, [[1, 0], [3, 3], [2, 1]])),
    "index_select": lambda x, d: x.index_select(1, places(d)),
    "take": lambda x, d: x.take(places(d, [[11, 0]])),
    "by list": lambda x, d: x[places(d)],
    "by mask": lambda x, d: x[x > 2],
    "masked_select": lambda x, d: x.masked_select(x < 1),
    "index_add_": lambda x, d: x.index_add_(0, places(d), x[:2].clone()),
    "index_copy_": lambda x, d: x.index_copy_(0, places(d), x[:2].clone()),
    "index_fill_": lambda x, d: x.index_fill_(1, places(d), 7),
    "scatter_": lambda x, d: x.scatter_(0, places(d, [[1, 0, 2, 2]]), -1.5),
    "scatter_add_": lambda x, d: x.scatter_add_(0, places(d, [[1, 1, 2, 2]]), x.clone()),
    "masked_fill_": lambda x, d: x.masked_fill_(x > 2, 0),
    "masked_scatter_": lambda x, d: x.masked_scatter_(x > 6, x.clone().fill_(9)),
    "put_": lambda x, d: x.put_(places(d), x[0][:2].clone()),
    "assign rows": lambda x, d: x.__setitem__(places(d), 5) or x,
    "assign by mask": lambda x, d: x.__setitem__(x > 2, 5) or x,
    "assign a part": lambda x, d: x.__setitem__((slice(1), slice(1, 3)), 8) or x,
    "add_ with out": lambda x, d: torch.add(x, 2, out=x.new(3, 4)),
    "max with out": lambda x, d: torch.max(x, 1, out=(x.new(), kind_on(d, "LongTensor")())),
    "diag": lambda x, d: x.diag(1),
    "tril": lambda x, d: x.tril(),
    "trace": lambda x, d: x[:, :3].trace(),
    "unfold": lambda x, d: x.unfold(1, 2, 1),
    "split": lambda x, d: x.split(2),
    "stack": lambda x, d: torch.stack([x, x * 2], 1),
    "repeat": lambda x, d: x.repeat(2, 1),
    "cross": lambda x, d: torch.cross(x, x + 1, 0),
    "ger": lambda x, d: torch.ger(x[0], x[1]),
    "equal": lambda x, d: torch.equal(x, x.clone()),
    "fmod": lambda x, d: x.fmod(2.5),
    "lerp": lambda x, d: x.lerp(x * 2, 0.25),
    "to int": lambda x, d: x.int(),
    "to long": lambda x, d: x.long() * 2**33 if d == "cpu" else (x.cpu().long() * 2**33).cuda(),
    "empty sum": lambda x, d: x.new().numel(),
}


@pytest.mark.parametrize("name", TENSOR_OPS)
def test_tensor_operations_stay_there(gpu, name):
    """Results are of the same classes, on the GPU, with the processor's numbers (U-66)."""
    op = TENSOR_OPS[name]
    here, there = flat(op(floats("cpu"), "cpu")), flat(op(floats("gpu"), "gpu"))
    assert len(here) == len(there)
    for h, t in zip(here, there, strict=True):
        if not torch.is_tensor(h):
            assert type(h) is type(t)
            assert t == pytest.approx(h, rel=1e-6)  # sums in another order, in single precision
            continue
        assert t.type() == h.type().replace("torch.", "torch.cuda.") and t.is_cuda
        assert t.size() == h.size()
        np.testing.assert_allclose(array(t), array(h), rtol=1e-5, atol=1e-6)


def test_sort_by_key_carries_long_indices(gpu):
    x = torch.arange(0, 1000).cuda()
    values, at = (x * -1).sort()
    assert type(at) is torch.cuda.LongTensor
    same(at.cpu(), np.arange(999, -1, -1))
    same(x.gather(0, at).cpu(), -array(values))


@pytest.mark.parametrize(
    "name, op, rebuild",
    [
        ("svd", lambda x: x.svd(), lambda u, s, v: u.mm(s.diag()).mm(v.t())),
        ("qr", lambda x: x.qr(), lambda q, r: q.mm(r)),
        (
            "symeig",
            lambda x: x.symeig(eigenvectors=True),
            lambda e, v: v.mm(e.diag()).mm(v.t()),
        ),
        ("potrf", lambda x: [x.potrf()], lambda u: u.t().mm(u)),
        ("inverse", lambda x: [x.inverse()], lambda i: i.inverse()),
    ],
)
def test_factorizations_come_back_to_the_gpu(gpu, name, op, rebuild):
    x = floats("gpu", SQUARE)
    parts = op(x)
    assert all(type(p) is torch.cuda.FloatTensor for p in parts)
    np.testing.assert_allclose(array(rebuild(*parts)), SQUARE, atol=1e-5)


# Gradients

GRADIENTS = {
    "std": lambda x, d: x.std(1),
    "var": lambda x, d: x.var(),
    "sort": lambda x, d: x.sort(1)[0] * x,
    "topk": lambda x, d: x.topk(2, 1)[0],
    "kthvalue": lambda x, d: x.kthvalue(2, 0)[0],
    "median": lambda x, d: x.median(1)[0],
    "gather": lambda x, d: x.gather(1, Variable(places(d, [[1, 0], [3, 3], [2, 1]]))),
    "index_select": lambda x, d: x.index_select(1, Variable(places(d))),
    "by list": lambda x, d: x[places(d, [2, 0, 2])],
    "cumsum": lambda x, d: x.cumsum(1) * x,
    "cumprod": lambda x, d: x.cumprod(0),
    "prod": lambda x, d: x.prod(1),
    "norm": lambda x, d: x.norm(2, 0),
    "renorm": lambda x, d: x.renorm(2, 0, 5),
    "index_add_": lambda x, d: (x * 2).index_add_(0, Variable(places(d)), x[:2]),
    "index_copy_": lambda x, d: (x * 2).index_copy_(0, Variable(places(d)), x[:2]),
    "index_fill_": lambda x, d: (x * 2).index_fill_(1, Variable(places(d)), 7),
    "scatter_": lambda x, d: (x * 2).scatter_(0, Variable(places(d, [[1, 0, 2, 2]])), x[:1]),
    "masked_fill_": lambda x, d: (x * 2).masked_fill_(x > 2, 0),
    "masked_select": lambda x, d: x.masked_select(x > 2),
    "assign": lambda x, d: assigned(x * 2, x[0] * 3),
    "cat": lambda x, d: torch.cat([x, x.t().contiguous().view(3, 4)], 1),
    "tan": lambda x, d: (x / 9).tan(),
    "atan2": lambda x, d: x.atan2(x * x + 1),
    "angles": lambda x, d: (x / 10).asin() * (x / 10).cosh() + (x.abs() + 1).rsqrt(),
    "lerp": lambda x, d: torch.lerp(x, x * x, 0.25),
    "dist": lambda x, d: x.dist(x * x),
    "inverse": lambda x, d: x[:, :3].clone().inverse(),
    "gesv": lambda x, d: torch.gesv(x, x[:, :3].t() + 1)[0],
}


def assigned(x, row):
    x[1] = row
    return x


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_the_processors(gpu, name):
    both = []
    for device in ("cpu", "gpu"):
        x = Variable(floats(device), requires_grad=True)
        y = GRADIENTS[name](x, device)
        (y * y).sum().backward()
        assert type(x.grad.data) is kind_on(device, "FloatTensor")
        assert type(y.data) is kind_on(device, "FloatTensor")
        both.append((array(y), array(x.grad)))
    for here, there in zip(*both, strict=True):
        # Single precision, with sums and factorizations in another order.
        np.testing.assert_allclose(there, here, rtol=2e-4, atol=2e-4 * np.abs(here).max())


def test_second_order(gpu):
    grads = []
    for device in ("cpu", "gpu"):
        x = Variable(floats(device), requires_grad=True)
        (g,) = torch.autograd.grad((x.std(1) * x.topk(1)[0].squeeze(1)).sum(), x, create_graph=True)
        assert g.is_cuda == (device == "gpu")
        (g * g).sum().backward()
        grads.append(array(x.grad))
    np.testing.assert_allclose(grads[1], grads[0], rtol=1e-4, atol=1e-4)


# Hooks and Functions


def test_hooks_see_gpu_gradients(gpu):
    x = Variable(floats("gpu"), requires_grad=True)
    y = x * 2
    seen = []
    x.register_hook(lambda g: seen.append(type(g.data)))
    handle = y.register_hook(lambda g: g * 10)
    y.sum().backward()
    same(x.grad.cpu(), np.full((3, 4), 20))
    handle.remove()
    (x * 2).sum().backward()
    assert seen == [torch.cuda.FloatTensor] * 2
    same(x.grad.cpu(), np.full((3, 4), 22))


def test_a_hook_that_changes_the_device_is_refused(gpu):
    x = Variable(floats("gpu"), requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: g.cpu())
    with pytest.raises((TypeError, RuntimeError)) as e:
        y.sum().backward()
    assert "cuda.FloatTensor" in str(e.value)
    assert x.grad is None


def test_a_function_of_the_users(gpu):
    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            assert type(x) is torch.cuda.FloatTensor
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_variables
            assert g.is_cuda and x.is_cuda
            return g * 3 * x * x

    x = Variable(floats("gpu"), requires_grad=True)
    Cube.apply(x).sum().backward()
    np.testing.assert_allclose(array(x.grad), 3 * np.square(A), rtol=1e-6)


def test_a_move_in_the_middle(gpu):  # U-65
    x = Variable(floats("cpu"), requires_grad=True)
    w = Variable(floats("gpu"), requires_grad=True)
    ((x.cuda() * w).cpu() + x).sum().backward()
    assert type(x.grad.data) is torch.FloatTensor and type(w.grad.data) is torch.cuda.FloatTensor
    same(x.grad, np.float32(A) + 1)
    same(w.grad.cpu(), np.float32(A))


# Storages, copies and files


def test_storage(gpu):
    x = floats("gpu")
    s = x.storage()
    assert s.is_cuda and len(s) == 12
    assert s.tolist() == np.ravel(A).tolist()
    s[1] = 50
    assert x[0][1] == 50
    s.fill_(2)
    same(x.cpu(), np.full((3, 4), 2))
    assert x.t().storage().data_ptr() == s.data_ptr()
    assert type(s.cpu()).__name__ == "FloatStorage" and not s.cpu().is_cuda
    y = torch.cuda.FloatTensor().set_(s, 4, (2, 2), (4, 1))
    y.zero_()
    same(x.cpu(), [[2, 2, 2, 2], [0, 0, 2, 2], [0, 0, 2, 2]])


@pytest.mark.parametrize("name", ["FloatTensor", "LongTensor", "IntTensor", "ByteTensor"])
def test_pickle(gpu, name):
    x = tensor(name, np.arange(6).reshape(2, 3)).cuda()
    back = pickle.loads(pickle.dumps(x.t()))
    assert type(back) is kind_on("gpu", name)
    same(back.cpu(), np.arange(6).reshape(2, 3).T)


def test_pickle_keeps_what_is_shared(gpu):  # T-44
    x = floats("gpu")
    whole, row = pickle.loads(pickle.dumps([x, x[1]]))
    whole.zero_()
    same(row.cpu(), np.zeros(4))
    same(x.cpu(), np.float32(A))


def test_deepcopy(gpu):
    x = floats("gpu")
    one, two = copy.deepcopy([x, x[0]])
    one.fill_(3)
    same(two.cpu(), np.full(4, 3))  # T-44
    same(x.cpu(), np.float32(A))
    v = copy.deepcopy(Variable(x, requires_grad=True))
    assert v.is_cuda and v.requires_grad


# Random numbers

RANDOM = {
    "uniform_": lambda t: t.uniform_(-1, 3),
    "normal_": lambda t: t.normal_(1, 2),
    "exponential_": lambda t: t.exponential_(2),
    "cauchy_": lambda t: t.cauchy_(),
    "log_normal_": lambda t: t.log_normal_(0, 1),
    "geometric_": lambda t: t.geometric_(0.3),
    "bernoulli_": lambda t: t.bernoulli_(0.25),
    "random_": lambda t: t.random_(10),
    "bernoulli": lambda t: torch.bernoulli(t.fill_(0.5)),
    "multinomial": lambda t: torch.multinomial(t.fill_(1), 5000, True),
    "normal": lambda t: torch.normal(t.fill_(3), t.clone().fill_(0.5)),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_repeat(gpu, name):
    def draw():
        return RANDOM[name](torch.cuda.FloatTensor(5000))

    torch.cuda.manual_seed(3)
    first, second = draw(), draw()
    assert first.is_cuda
    torch.cuda.manual_seed(3)
    assert torch.equal(draw(), first) and torch.equal(draw(), second)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    "name, mean, deviation",
    [("uniform_", 1, 4 / 12**0.5), ("normal_", 1, 2), ("exponential_", 0.5, 0.5)],
)
def test_random_numbers_are_of_their_distribution(gpu, name, mean, deviation):
    torch.cuda.manual_seed(4)
    a = array(RANDOM[name](torch.cuda.FloatTensor(20000)))
    # Five standard errors of a mean of 20000.
    assert abs(a.mean() - mean) < 5 * deviation / 20000**0.5
    assert abs(a.std() - deviation) < 0.05 * deviation


def test_state_of_the_generator(gpu):  # U-63
    torch.cuda.manual_seed_all(9)
    state = torch.cuda.get_rng_state()
    first = torch.cuda.FloatTensor(50).normal_()
    torch.cuda.set_rng_state(state)
    assert torch.equal(torch.cuda.FloatTensor(50).normal_(), first)
    assert torch.cuda.initial_seed() == 9


# A whole script


def test_a_script_with_many_of_them(gpu):
    """K-means steps and a layer with a loss on the chosen rows, the same on both devices."""

    def run(device):
        torch.manual_seed(0)
        x = to(device, torch.randn(40, 3))
        centres = x[:4].clone()
        for _ in range(3):
            gaps = (x.unsqueeze(1) - centres.unsqueeze(0)).pow(2).sum(2)
            near = gaps.min(1)[1]
            sums = x.new(4, 3).zero_().index_add_(0, near, x)
            counts = x.new(4).zero_().index_add_(0, near, x.new(40).fill_(1)).clamp(min=1)
            centres = sums / counts.unsqueeze(1)
        w = Variable(centres.t().contiguous(), requires_grad=True)
        scores = Variable(x).mm(w)
        best, _ = scores.topk(10, 0)
        loss = best.std(0).sum() + scores[:5].cumsum(0).tanh().norm()
        loss.backward()
        return array(near), array(centres), array(loss), array(w.grad)

    for here, there in zip(run("cpu"), run("gpu"), strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-4)
