"""HalfTensor: stored, moved and converted, not computed with (T-9, E-81)."""

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, same

VALUES = [0.0, 1.0, -2.5, 65504.0, 6e-8, 1 / 3]


def test_class():  # T-1, T-3
    h = torch.HalfTensor(2, 3)
    assert type(h) is torch.HalfTensor and h.type() == "torch.HalfTensor"
    assert h.size() == (2, 3) and h.element_size() == 2 and h.is_signed()
    assert torch.is_tensor(h) and not isinstance(h, torch.FloatTensor)


def test_elements_round_to_the_nearest():
    h = torch.HalfTensor(VALUES)
    assert h.tolist() == np.float16(VALUES).astype(float).tolist()
    assert type(h[1]) is float and h[2] == -2.5
    h[0] = 0.1
    assert h[0] == float(np.float16(0.1))
    assert torch.HalfTensor([1e6, -1e6, float("nan")]).tolist()[:2] == [float("inf"), -float("inf")]


@pytest.mark.parametrize("wide", [np.float32, np.float64])
def test_conversion_rounds_as_numpy_does(wide):
    """Every half, the middle between each two, and the neighbours of the middle."""
    bits = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(wide)
    middle = (bits[:-1] + bits[1:]) / 2
    a = np.concatenate(
        [bits, middle, np.nextafter(middle, wide(0)), np.nextafter(middle, wide(9e9))]
    )
    a = np.concatenate([a, -a, wide([65519.9, 65520, 1e30, np.inf])])
    with np.errstate(over="ignore"):
        expected = a.astype(np.float16)
    got = torch.from_numpy(a.copy()).half().numpy()
    assert got.view(np.uint16).tolist() == expected.view(np.uint16).tolist()
    back = torch.from_numpy(expected.copy()).type(
        "torch.FloatTensor" if wide is np.float32 else "torch.DoubleTensor"
    )
    np.testing.assert_array_equal(back.numpy(), expected.astype(wide))


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_to_half_and_back(name):
    t = getattr(torch, name)([0, 1, 100])
    assert type(t.half()) is torch.HalfTensor
    same(t.half().type(f"torch.{name}"), np.array([0, 1, 100], CLASSES[name]))
    same(getattr(torch, name)(3).copy_(t.half()), np.array([0, 1, 100], CLASSES[name]))
    h = torch.HalfTensor(3).copy_(t)
    assert h.tolist() == [0, 1, 100]


def test_fractions_truncate_toward_zero():  # T-75
    assert torch.HalfTensor([1.9, -1.9]).long().tolist() == [1, -1]


def test_same_class_is_the_same_object():
    h = torch.HalfTensor(1)
    assert h.half() is h and h.type("torch.HalfTensor") is h and h.cpu() is h


def test_numpy_shares():  # T-85, T-30
    a = np.float16([[1, 2], [3, 4]])
    h = torch.from_numpy(a)
    assert type(h) is torch.HalfTensor
    h[0][1] = 9
    assert a[0, 1] == 9
    b = h.t().numpy()
    assert b.dtype == np.float16 and b.tolist() == [[1, 3], [9, 4]]
    b[0, 0] = 7
    assert a[0, 0] == 7
    assert torch.HalfTensor(a).data_ptr() == h.data_ptr()
    assert torch.HalfTensor(np.float64([0.1])).tolist() == [float(np.float16(0.1))]


def test_views_and_copies():
    h = torch.HalfTensor([[1, 2, 3], [4, 5, 6]])
    assert h.t().tolist() == [[1, 4], [2, 5], [3, 6]]
    assert h[1].tolist() == [4, 5, 6] and h[:, 1:].tolist() == [[2, 3], [5, 6]]
    assert h.view(6)[4] == 5 and h.unsqueeze(0).expand(2, 2, 3)[1].tolist() == h.tolist()
    assert h.t().contiguous().view(6).tolist() == [1, 4, 2, 5, 3, 6]
    assert h.clone().storage().tolist() == [1, 2, 3, 4, 5, 6]
    h[0] = torch.HalfTensor([7, 8, 9])
    assert h.narrow(1, 0, 2).tolist() == [[7, 8], [4, 5]]
    assert torch.cat([h[0], h[1]]).tolist() == [7, 8, 9, 4, 5, 6]
    assert h.fill_(0.1).tolist() == [[float(np.float16(0.1))] * 3] * 2
    assert h.zero_().tolist() == [[0] * 3] * 2


def test_indexing_copies():
    h = torch.HalfTensor([[1, 2, 3], [4, 5, 6]])
    rows = torch.LongTensor([1, 0, 1])
    assert h[rows].tolist() == h.index_select(0, rows).tolist() == [[4, 5, 6], [1, 2, 3], [4, 5, 6]]
    mask = torch.ByteTensor([[1, 0, 0], [0, 0, 1]])
    assert h[mask].tolist() == h.masked_select(mask).tolist() == [1, 6]
    assert h.gather(1, torch.LongTensor([[2], [0]])).tolist() == [[3], [4]]


def test_text():
    assert str(torch.HalfTensor([1, 2.5])) == "\n 1.0000\n 2.5000\n[torch.HalfTensor of size 2]\n"
    assert str(torch.HalfTensor()) == "[torch.HalfTensor with no dimension]\n"


@pytest.mark.parametrize("name", ["add", "mul", "sum", "mean", "exp", "neg", "mm", "add_", "abs_"])
def test_arithmetic_is_missing(name):  # T-9, E-81
    h = torch.HalfTensor([1, 2])
    assert not hasattr(h, name) and hasattr(h.float(), name)
    with pytest.raises(AttributeError, match="HalfTensor"):
        getattr(h, name)


@pytest.mark.parametrize(
    "call",
    [
        lambda h: h + h,
        lambda h: h * 2,
        lambda h: 1 - h,
        lambda h: -h,
        lambda h: h == h,
        lambda h: h < 1,
        lambda h: torch.add(h, h),
        lambda h: torch.sum(h),
        lambda h: torch.mean(h),
        lambda h: torch.exp(h),
        lambda h: torch.mm(h, h),
    ],
)
def test_what_computes_raises(call):  # E-81
    with pytest.raises(TypeError):
        call(torch.HalfTensor([[1, 2], [3, 4]]))


def test_what_computes_raises_on_variables():
    v = Variable(torch.HalfTensor([1, 2]))
    for call in (lambda: v + v, lambda: v * 2, lambda: v.sum(), lambda: v.exp(), lambda: -v):
        with pytest.raises((TypeError, RuntimeError)):
            call()


def test_a_failed_call_changes_nothing():
    h = torch.HalfTensor([1, 2])
    with pytest.raises(TypeError):
        h += h
    assert h.tolist() == [1, 2]


def test_a_gradient_passes_through_halves():
    x = Variable(torch.FloatTensor([1, 2]), requires_grad=True)
    y = x.half()
    assert type(y.data) is torch.HalfTensor
    y.float().sum().backward()
    assert type(x.grad.data) is torch.FloatTensor
    same(x.grad, [1, 1])


def test_halves_stay_off_the_gpu(gpu):
    with pytest.raises(TypeError, match=r"cuda\.HalfTensor"):
        torch.HalfTensor([1]).cuda()
    with pytest.raises(TypeError, match=r"cuda\.HalfTensor"):
        torch.cuda.HalfTensor(2)
    assert torch.HalfTensor([1, 2]).float().cuda().cpu().half().tolist() == [1, 2]


def test_dlpack():  # T-123
    h = torch.HalfTensor([1, 2])
    a = np.from_dlpack(h)
    assert a.dtype == np.float16
    h[0] = 5
    assert a[0] == 5
