"""NumPy's scalars count as the Python numbers of their kinds. T-6 and O-8 take float64 alone, which
was enough while `float + np.float32` was one; since NumPy 2 it is float32, and old programs would
stop. The rules of kinds stay: no float where an int is needed.
"""

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import same

FLOAT = [np.float16, np.float32, np.float64, np.longdouble]
INT = [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64]

OPERATIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


@pytest.mark.parametrize("kind", FLOAT + INT, ids=lambda k: k.__name__)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operands_on_both_sides(name, kind):
    call = OPERATIONS[name]
    for cls in (torch.FloatTensor, torch.DoubleTensor):
        t = cls([1, 4])
        for made, wanted in (
            (call(t, kind(2)), call(t, 2)),
            (call(kind(2), t), call(2, t)),
        ):
            assert type(made) is type(wanted)
            assert made.tolist() == wanted.tolist()
        v = Variable(t, requires_grad=True)
        for made, wanted in (
            (call(v, kind(2)), call(v, 2)),
            (call(kind(2), v), call(2, v)),
        ):
            assert type(made) is Variable and type(made.data) is type(wanted.data)
            assert made.data.tolist() == wanted.data.tolist()
            assert made.requires_grad == wanted.requires_grad


def test_the_reinforce_script():
    rewards = torch.FloatTensor([1, 2, 4])
    eps = np.finfo(np.float32).eps
    assert type(rewards.std() + eps) is not float  # what NumPy 2 makes of it
    made = (rewards - rewards.mean()) / (rewards.std() + eps)
    wanted = (rewards - rewards.mean()) / (rewards.std() + float(eps))
    assert made.tolist() == wanted.tolist()


def test_bools_are_ints():
    same(torch.LongTensor([1, 2]) + np.bool_(True), [2, 3])
    same(torch.FloatTensor([1, 2]).add_(np.bool_(True)), [2, 3])
    same(torch.LongTensor([1, np.bool_(False)]), [1, 0])


@pytest.mark.parametrize("scalar", [np.float32(0.5), np.float16(0.5), np.int32(3)])
def test_wherever_a_number_is_taken(scalar):
    plain = scalar.item()
    t = torch.FloatTensor([1, 2])
    same(t.clone().fill_(scalar), [plain] * 2)
    same(torch.FloatTensor([scalar, 1]), [plain, 1])
    same(torch.FloatTensor([[scalar], [1]]), [[plain], [1]])
    same(t.clamp(max=scalar), t.clamp(max=plain).numpy())
    same(torch.add(t, scalar, t), torch.add(t, plain, t).numpy())
    same(torch.mul(t, scalar), t.numpy() * plain)
    u = t.clone()
    u[0] = scalar
    same(u, [plain, 2])
    u[:] = scalar
    same(u, [plain, plain])
    u += scalar
    same(u, [2 * plain] * 2)
    v = Variable(t.clone())
    v[1] = scalar
    same(v, [1, plain])
    s = torch.FloatStorage(2)
    s[0] = scalar
    assert s[0] == plain
    torch.manual_seed(1)
    made = torch.FloatTensor(3).uniform_(scalar, np.float64(5))
    torch.manual_seed(1)
    same(made, torch.FloatTensor(3).uniform_(plain, 5.0).numpy())
    torch.manual_seed(1)
    made = torch.normal(torch.zeros(2), scalar)
    torch.manual_seed(1)
    same(made, torch.normal(torch.zeros(2), plain).numpy())


def test_bounds_of_random():
    torch.manual_seed(1)
    made = torch.LongTensor(20).random_(np.int64(2), np.uint8(5))
    torch.manual_seed(1)
    same(made, torch.LongTensor(20).random_(2, 5).numpy())
    with pytest.raises(TypeError, match="random_"):
        made.random_(np.float32(5))


def test_arrays_in_lists_are_rows_of_numbers():  # T-18
    same(torch.FloatTensor([np.array([1, 2])]), [[1, 2]])
    same(torch.FloatTensor([[1.5], np.array([2], "f4")]), [[1.5], [2]])
    same(torch.LongTensor([np.array([1, 2], "i4")]), [[1, 2]])


def test_kinds_still_matter():  # T-6, T-20, O-8
    n = torch.LongTensor([1, 2])
    for call in (n.add, n.mul_, n.eq, lambda s: n + s, lambda s: s + n, n.fill_):
        with pytest.raises(TypeError, match="float"):
            call(np.float32(1))
    with pytest.raises(RuntimeError, match="float"):
        torch.LongTensor([np.float32(1)])
    with pytest.raises(RuntimeError, match="float"):
        n[0] = np.float32(1)
    with pytest.raises(TypeError):
        torch.ones(2, 2).sum(np.float32(0))
    with pytest.raises(TypeError):
        torch.zeros(np.float32(2))
    same(n, [1, 2])


@pytest.mark.parametrize(
    "other",
    [np.complex64(1), np.datetime64(1, "s"), np.timedelta64(1, "s"), np.str_("1"), np.bytes_(b"1")],
    ids=lambda v: type(v).__name__,
)
def test_other_scalars_are_no_numbers(other):
    t = torch.FloatTensor([1, 2])
    with pytest.raises(TypeError):
        t + other
    with pytest.raises(RuntimeError):
        torch.FloatTensor([other])


def test_ints_beyond_64_bits():
    with pytest.raises(RuntimeError, match="64 bits"):
        torch.LongTensor([1]) + np.uint64(2**64 - 1)
