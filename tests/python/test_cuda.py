"""The GPU half: moving, naming, every operation against the processor, refusals (U-60 to U-66)."""

import warnings

import numpy as np
import pytest

import rgrad as torch
import rgrad.nn.functional as F
from gradient_cases import ROWS, long
from rgrad.autograd import Variable
from support import array, close, name_of, numbers, run_python, same, tensor

# Without a GPU


def test_off_means_off():
    """No adapter: a quiet False, zero devices, and a RuntimeError that says what to do."""
    out = run_python(
        """
        import warnings; warnings.simplefilter("error")
        import rgrad as torch
        print(torch.cuda.is_available(), torch.cuda.device_count())
        torch.cuda.manual_seed(1)
        kind = torch.cuda.FloatTensor if torch.cuda.is_available() else torch.FloatTensor
        print(kind.__name__)
        for bad in (lambda: torch.zeros(2).cuda(), lambda: torch.cuda.FloatTensor(2)):
            try:
                bad()
            except RuntimeError as e:
                print("RuntimeError", "RGRAD_GPU" in str(e), "\\n" not in str(e))
        """,
        RGRAD_GPU="off",
    )
    assert out.split("\n")[:4] == [
        "False 0",
        "FloatTensor",
        "RuntimeError True True",
        "RuntimeError True True",
    ]


@pytest.mark.parametrize("value", ["auto", "off", "software", "no such adapter", "97"])
def test_every_setting_starts_quietly(value):
    run_python(
        "import warnings; warnings.simplefilter('error')\n"
        "import rgrad; assert rgrad.cuda.is_available() in (True, False)",
        RGRAD_GPU=value,
    )


def test_import_does_not_look_for_adapters():
    out = run_python("import rgrad, sys; print(rgrad.__version__)", RGRAD_GPU="no such adapter")
    assert out.strip()


# With one


def test_the_surface(gpu):  # U-60
    assert torch.cuda.is_available() is True
    assert torch.cuda.device_count() >= 1
    assert isinstance(torch.cuda.get_device_name(0), str) and torch.cuda.get_device_name(0)
    assert torch.cuda.current_device() == 0
    torch.cuda.synchronize()


def test_there_and_back(gpu):  # U-65
    a = numbers(3, 4)
    t = tensor("FloatTensor", a)
    g = t.cuda()
    assert g.is_cuda and not t.is_cuda and g.get_device() == 0
    assert g.type() == "torch.cuda.FloatTensor"
    assert str(type(g)) == "<class 'torch.cuda.FloatTensor'>"
    assert isinstance(g, torch.cuda.FloatTensor) and torch.is_tensor(g)
    assert g.size() == t.size()
    assert g.cuda() is g
    back = g.cpu()
    assert type(back) is torch.FloatTensor
    same(back, array(t))


@pytest.mark.parametrize("name", ["LongTensor", "ByteTensor", "IntTensor"])
def test_index_and_mask_classes_travel(gpu, name):
    t = tensor(name, [1, 0, 1])
    assert t.cuda().type() == f"torch.cuda.{name}"
    same(t.cuda().cpu(), array(t))


def test_views_travel_and_share(gpu):
    t = torch.zeros(3, 4).cuda()
    t[1].fill_(5)
    t.t()[0].add_(1)
    same(t.cpu(), [[1, 0, 0, 0], [6, 5, 5, 5], [1, 0, 0, 0]])
    same(torch.arange(0, 6).view(2, 3).t().cuda().cpu(), np.arange(6).reshape(2, 3).T)


def test_constructed_there(gpu):
    t = torch.cuda.FloatTensor([[1, 2], [3, 4]])
    assert t.is_cuda
    same(t.cpu(), [[1, 2], [3, 4]])
    assert torch.cuda.FloatTensor(2, 3).size() == (2, 3)
    assert t.new(2).is_cuda
    same(torch.ones(2).type("torch.cuda.FloatTensor").cpu(), [1, 1])


def test_reading_elements(gpu):
    t = torch.FloatTensor([1, 2]).cuda()
    assert t[1] == 2.0 and type(t[1]) is float
    assert t.sum() == 3.0
    assert t.tolist() == [1, 2]


def test_variables_on_the_gpu(gpu):
    x = Variable(torch.FloatTensor([1, 2]), requires_grad=True)
    y = x.cuda() * 3
    assert y.is_cuda and type(y.data) is torch.cuda.FloatTensor
    y.sum().backward()
    assert type(x.grad.data) is torch.FloatTensor  # the move is differentiable
    same(x.grad, [3, 3])
    w = Variable(torch.FloatTensor([1, 2]).cuda(), requires_grad=True)
    (w * w).sum().backward()
    assert w.grad.is_cuda
    same(w.grad.cpu(), [2, 4])


def test_node_names_are_the_same(gpu):
    x = Variable(torch.ones(2).cuda(), requires_grad=True)
    assert name_of((x * x).grad_fn) == "MulBackward1"


@pytest.mark.parametrize(
    "mix",
    [
        lambda c, g: c + g,
        lambda c, g: g * c,
        lambda c, g: g.add_(c),
        lambda c, g: torch.mm(c, g),
        lambda c, g: torch.cat([c, g]),
    ],
)
@pytest.mark.parametrize("wrap", [lambda t: t, Variable], ids=["tensor", "Variable"])
def test_devices_do_not_mix(gpu, mix, wrap):  # U-66, E-14
    with pytest.raises((TypeError, RuntimeError)) as e:
        mix(wrap(torch.ones(2, 2)), wrap(torch.ones(2, 2).cuda()))
    assert "cuda.FloatTensor" in str(e.value)


def test_numpy_of_a_gpu_tensor(gpu):  # E-84
    with pytest.raises(RuntimeError, match=r"cpu\(\)"):
        torch.ones(2).cuda().numpy()


@pytest.mark.parametrize("name", ["DoubleTensor", "ShortTensor", "CharTensor"])
def test_other_element_types_raise(gpu, name):
    with pytest.raises(TypeError, match=name):
        t = tensor(name, [1, 2]).cuda()
        t + t


def test_copy_between_devices(gpu):  # T-76
    g, c = torch.zeros(2, 2).cuda(), torch.ones(2, 2)
    same(g.copy_(c).cpu(), np.ones((2, 2)))
    same(c.copy_(g * 3), 3 * np.ones((2, 2)))


# Each row of the gradient table, in float32, on both devices.


def on(device, a):
    t = tensor("FloatTensor", a)
    return Variable(t.cuda() if device == "gpu" else t, requires_grad=True)


# Rows that carry constants of their own, which live on the processor in double.
CONSTANTS = {
    "nll_loss": lambda d: lambda a: F.nll_loss(a, moved(d, long([2, 0]))),
    "nll_loss weights": lambda d: (
        lambda a: F.nll_loss(
            a,
            moved(d, long([2, 0])),
            weight=moved(d, Variable(torch.FloatTensor([1, 2, 3]))).data,
        )
    ),
    "cross_entropy": lambda d: lambda a: F.cross_entropy(a, moved(d, long([2, 0]))),
    "mse_loss": lambda d: (
        lambda a: F.mse_loss(a, moved(d, Variable(tensor("FloatTensor", ROWS["add"][2]))))
    ),
    "row selection": lambda d: lambda a: a[moved(d, long([1, 0, 1]))],
    "mask": lambda d: lambda a: a[moved(d, MASK)],
    "index_select": lambda d: lambda a: a.index_select(1, moved(d, long([2, 2, 0]))),
    "gather": lambda d: lambda a: a.gather(1, moved(d, INDEX)),
    "scatter_add": lambda d: lambda a, b: (a * 1).scatter_add_(1, moved(d, INDEX), b),
    "masked_fill": lambda d: lambda a: (a * 1).masked_fill_(moved(d, MASK), 3),
}
INDEX = long([[1, 0, 2], [2, 2, 0]])
MASK = Variable(torch.ByteTensor([[1, 0, 1], [0, 0, 1]]))


def moved(device, v):
    return v.cuda() if device == "gpu" else v


def forward_and_gradients(name, device):
    op, *arrays = ROWS[name]
    op = CONSTANTS[name](device) if name in CONSTANTS else op
    inputs = [on(device, a) for a in arrays]
    y = op(*inputs)
    w = np.random.RandomState(5).uniform(0.5, 1.5, tuple(y.size()))
    weight = Variable(tensor("FloatTensor", w))
    (y * (weight.cuda() if device == "gpu" else weight)).sum().backward()
    assert y.is_cuda == (device == "gpu")
    return [array(y)] + [None if v.grad is None else array(v.grad) for v in inputs]


@pytest.mark.parametrize("name", ROWS)
def test_against_the_processor(gpu, name):
    # 1e-5: float32 sums in another order, and shader functions of a few units in the last place.
    both = forward_and_gradients(name, "cpu"), forward_and_gradients(name, "gpu")
    for here, there in zip(*both, strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 255, 256, 257, 1000, 70001])
@pytest.mark.parametrize("op", ["sum", "mean", "max", "exp", "add", "t"])
def test_sizes_around_the_workgroup(gpu, op, n):
    a = np.random.RandomState(n).uniform(-1, 1, n).astype(np.float32)
    g = torch.from_numpy(a).cuda()
    if op in ("sum", "mean", "max"):
        assert getattr(g, op)() == pytest.approx(getattr(a.astype(np.float64), op)(), abs=2e-2)
    elif op == "t":
        same(g.view(n, 1).expand(n, 2).t().contiguous().cpu(), np.stack([a, a]))
    else:
        wanted = np.exp(a) if op == "exp" else a + a
        close((g.exp() if op == "exp" else g + g).cpu(), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    "m, k, n", [(1, 1, 1), (3, 5, 7), (16, 16, 16), (33, 65, 17), (64, 64, 64)]
)
def test_products(gpu, m, k, n):
    a, b = numbers(m, k), numbers(k, n, seed=1)
    got = tensor("FloatTensor", a).cuda().mm(tensor("FloatTensor", b.T).cuda().t())
    close(got.cpu(), a @ b, rtol=1e-4, atol=1e-4)  # sums of up to 65 float32 products


def test_int_tensors_compute(gpu):
    a = np.int32([2**31 - 1, -7, 5])
    t = torch.IntTensor(a.tolist()).cuda()
    same((t + t).cpu(), a + a)
    same((t * 3).cpu(), a * np.int32(3))
    same((t / 2).cpu(), np.int32([2**30 - 1, -3, 2]))
    same((t > 0).cpu(), np.uint8([1, 0, 1]))


def test_special_values(gpu):
    inf, nan = float("inf"), float("nan")
    t = torch.FloatTensor([0, 1, inf, -inf, nan])
    for op in (lambda x: x + 1, lambda x: x.tanh(), lambda x: x.exp(), lambda x: x.sigmoid()):
        np.testing.assert_allclose(array(op(t.cuda())), array(op(t)), rtol=1e-6)
    assert np.isnan(t.cuda().max())


def test_random_fills_there(gpu):  # T-113: no bitwise promise, but one stream for each seed
    torch.cuda.manual_seed(5)
    a = array(torch.cuda.FloatTensor(1000).uniform_())
    torch.cuda.manual_seed(5)
    assert (array(torch.cuda.FloatTensor(1000).uniform_()) == a).all()
    assert a.min() >= 0 and a.max() < 1 and abs(a.mean() - 0.5) < 0.05


def test_results_repeat(gpu):
    def run():
        torch.manual_seed(1)
        x = Variable(torch.randn(40, 30).cuda(), requires_grad=True)
        F.log_softmax(x.mm(x.t()).tanh(), dim=1).sum().backward()
        return array(x.grad)

    assert (run() == run()).all()


def test_errors_come_before_the_work(gpu):
    g = torch.ones(2, 3).cuda()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError, match="mm"):
            g.mm(g)
        with pytest.raises(RuntimeError):
            g.gather(0, torch.LongTensor([[5, 0, 0]]).cuda()).cpu()
    same(g.cpu(), np.ones((2, 3)))


def test_a_training_step(gpu):
    torch.manual_seed(0)
    w = Variable(torch.randn(3, 2).cuda(), requires_grad=True)
    x = Variable(torch.randn(8, 3).cuda())
    t = Variable(torch.LongTensor([0, 1] * 4).cuda())
    losses = []
    for _ in range(5):
        loss = F.cross_entropy(x.mm(w), t)
        loss.backward()
        losses.append(loss.data[0])
        w.data.add_(-0.5, w.grad.data)
        w.grad.data.zero_()
    assert losses == sorted(losses, reverse=True)


def test_no_device_can_be_chosen_where_there_is_none():  # E-140
    run_python(
        """
        import rgrad as torch
        assert torch.cuda.device_count() == 0
        torch.cuda.set_device(-1)
        for call in (torch.cuda.current_device, lambda: torch.cuda.set_device(0)):
            try:
                call()
            except RuntimeError as error:
                assert str(error)
            else:
                raise AssertionError("a device that is not there")
        """,
        RGRAD_GPU="off",
    )
