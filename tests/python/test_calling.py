"""Calling: which argument is what, what mixes, where results go (O-1 to O-20, T-5 to T-83)."""

import csv
import operator
import warnings

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from rgrad.utils import backcompat
from support import CLASSES, FLOATS, GOLDEN, INTEGERS, array, leaf, live_nodes, same, tensor

RE, TE = RuntimeError, TypeError
T = torch.FloatTensor


def var(values, cls="FloatTensor"):
    return Variable(tensor(cls, values))


A, B, C = [[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]], [[0.5, 1.5], [2.5, 3.5]]
a, b, c = (np.array(x) for x in (A, B, C))

# Order and names (O-1, O-9, T-83).
# fmt: off
CALLS = [  # on tensors (T-83: value) and on Variables (other, alpha); what it gives
    (lambda x, y, z: x.add(2, y), "both", a + 2 * b),
    (lambda x, y, z: torch.add(x, 2, y), "both", a + 2 * b),
    (lambda x, y, z: x.add(value=2, other=y), "tensors", a + 2 * b),
    (lambda x, y, z: x.add(y, alpha=2), "variables", a + 2 * b),
    (lambda x, y, z: torch.add(x, y, alpha=2), "variables", a + 2 * b),
    (lambda x, y, z: x.add(other=y, alpha=2), "variables", a + 2 * b),
    (lambda x, y, z: x.add(3, alpha=2), "variables", a + 6),
    (lambda x, y, z: torch.add(x, 3, alpha=2), "variables", a + 6),
    (lambda x, y, z: x.add(value=3), "tensors", a + 3),
    (lambda x, y, z: x.add(other=3), "variables", a + 3),
    (lambda x, y, z: torch.add(input=x, other=y), "both", a + b),
    (lambda x, y, z: torch.add(self=x, other=y), "both", a + b),
    (lambda x, y, z: x.sub(2, y), "both", a - 2 * b),
    (lambda x, y, z: x.sub(value=2), "tensors", a - 2),
    (lambda x, y, z: x.sub(y, alpha=2), "variables", a - 2 * b),
    (lambda x, y, z: x.mul(value=2), "tensors", a * 2),
    (lambda x, y, z: x.mul(other=2), "variables", a * 2),
    (lambda x, y, z: x.eq(value=2), "tensors", a == 2),
    (lambda x, y, z: x.eq(other=2), "variables", a == 2),
    (lambda x, y, z: x.pow(exponent=2), "both", a ** 2),
    (lambda x, y, z: torch.pow(2, x), "both", 2 ** a),
    (lambda x, y, z: x.mm(mat2=y), "both", a @ b),
    (lambda x, y, z: torch.mm(input=x, mat2=y), "both", a @ b),
    (lambda x, y, z: x.addmm(y, z), "both", a + b @ c),
    (lambda x, y, z: x.addmm(2, y, z), "both", 2 * a + b @ c),
    (lambda x, y, z: x.addmm(2, 3, y, z), "both", 2 * a + 3 * b @ c),
    (lambda x, y, z: x.addmm(y, z, beta=2, alpha=3), "both", 2 * a + 3 * b @ c),
    (lambda x, y, z: x.addmm(beta=2, alpha=3, mat1=y, mat2=z), "both", 2 * a + 3 * b @ c),
    (lambda x, y, z: x.addmm(alpha=3, mat1=y, mat2=z), "both", a + 3 * b @ c),
    (lambda x, y, z: torch.addmm(2, x, 3, y, z), "both", 2 * a + 3 * b @ c),
    (lambda x, y, z: torch.addmm(2, x, y, z), "both", 2 * a + b @ c),
    (lambda x, y, z: torch.addmm(x, y, z), "both", a + b @ c),
    (lambda x, y, z: torch.addmm(x, y, z, beta=2, alpha=3), "both", 2 * a + 3 * b @ c),
    (lambda x, y, z: x.narrow(dimension=0, start=1, length=1), "both", a[1:]),
    (lambda x, y, z: x.expand(size=(2, 2, 2)), "both", np.stack([a, a])),
    (lambda x, y, z: x.view(size=[4]), "both", a.ravel()),
    (lambda x, y, z: x.select(0, 1), "both", a[1]),
    (lambda x, y, z: x.sum(0, True), "both", a.sum(0, keepdims=True)),
    (lambda x, y, z: x.sum(dim=0, keepdim=True), "both", a.sum(0, keepdims=True)),
    (lambda x, y, z: torch.max(x, y), "both", np.maximum(a, b)),
    (lambda x, y, z: x.clamp(min=2, max=3), "both", a.clip(2, 3)),
    (lambda x, y, z: x.clamp(2, 3), "both", a.clip(2, 3)),
    (lambda x, y, z: x.clamp(min=2), "both", a.clip(2)),
]
IN_PLACE = [
    (lambda x, y, z: x.add_(-0.5, y), "both", a - 0.5 * b),
    (lambda x, y, z: x.sub_(0.5, y), "both", a - 0.5 * b),
    (lambda x, y, z: x.add_(y, alpha=2), "variables", a + 2 * b),
    (lambda x, y, z: x.mul_(3).add_(1 - 0.9, y), "both", 3 * a + (1 - 0.9) * b),
    (lambda x, y, z: x.addmm_(2, 3, y, z), "both", 2 * a + 3 * b @ c),
    (lambda x, y, z: x.addmm_(y, z), "both", a + b @ c),
]
# fmt: on


@pytest.mark.parametrize("cls", FLOATS)
@pytest.mark.parametrize("call, side, wanted", CALLS + IN_PLACE)
def test_orders_and_names(call, side, wanted, cls):
    for kind, make in [("tensors", tensor), ("variables", lambda n, v: Variable(tensor(n, v)))]:
        operands = [make(cls, x) for x in (A, B, C)]
        if side in ("both", kind):
            result = call(*operands)
            np.testing.assert_allclose(array(result), wanted, rtol=1e-6)
            if (call, side, wanted) in IN_PLACE:
                assert result is operands[0]  # O-6
        else:
            with pytest.raises(TE, match="invalid combination"):
                call(*operands)


def test_numbers_are_matched_by_type():  # O-8, T-6
    t, n = T([1, 2]), torch.LongTensor([1, 2])
    same(t + True, [2, 3])
    same(n + True, [2, 3])
    same(t + np.float64(0.5), [1.5, 2.5])
    same(t * np.float64(2), [2, 4])
    for call in [
        lambda: t.sum(0.0),
        lambda: t.sum(np.int64(0)),
        lambda: t.sum("0"),
        lambda: t.sum(0, 1),
        lambda: t.view(2.0),
        lambda: t.narrow(0, 0, 1.0),
        lambda: t.sum(None),
        lambda: t.sum(dim=None),
        lambda: t.add([1, 2]),
    ]:
        with pytest.raises(TE, match="invalid combination"):
            call()
    same(t, [1, 2])


@pytest.mark.parametrize("cls", INTEGERS)
def test_float_numbers_beside_integers(cls):  # E-80, A-19
    t = tensor(cls, [2, 3])
    for call in [lambda: t + 1.5, lambda: t.add(1.5), lambda: t.mul_(1.5), lambda: t.fill_(1.5),
                 lambda: t.add(1.5, t), lambda: t.clamp(0.5, 2.5), lambda: t == 1.5]:  # fmt: skip
        with pytest.raises(TE, match="float"):
            call()
    same(t, [2, 3])
    v = Variable(t)
    assert (v + 1.9).data.tolist() == [3, 4]
    assert v.add(1.9).data.tolist() == [3, 4]
    assert v.add(v, alpha=2.9).data.tolist() == [6, 9]
    assert (v * 1.9).data.type() == f"torch.{cls}"


MIXTURES = [
    lambda x, y: x + y,
    lambda x, y: x.add(y),
    lambda x, y: x.add_(y),
    lambda x, y: torch.add(x, y),
    lambda x, y: torch.mm(x, y),
    lambda x, y: torch.addmm(x, x, y),
    lambda x, y: x.__iadd__(y),
    lambda x, y: x < y,
    lambda x, y: torch.max(x, y),
    lambda x, y: x @ y,
    lambda x, y: torch.cat([x, y]),
    lambda x, y: torch.stack([x, y]),
]


@pytest.mark.parametrize("call", MIXTURES)
def test_variables_and_tensors_do_not_mix(call):  # E-13, O-1
    for x, y in [(T(A), var(A)), (var(A), T(A))]:
        nodes = live_nodes()
        with pytest.raises(TE, match="Variable"):
            call(x, y)
        assert array(x).tolist() == A and live_nodes() == nodes


def test_index_tensors_do_not_mix_either():
    with pytest.raises(TE):
        var(A).index_select(0, torch.LongTensor([0]))
    with pytest.raises(TE):
        T(A).index_select(0, Variable(torch.LongTensor([0])))


@pytest.mark.parametrize("call", MIXTURES[:9])
def test_classes_do_not_mix(call):  # T-5, E-14, O-13
    for wrap in (lambda t: t, Variable):
        x, y = wrap(T(A)), wrap(torch.DoubleTensor(A))
        with pytest.raises(TE, match="FloatTensor") as e:
            call(x, y)
        e.match("DoubleTensor")
        assert array(x).tolist() == A


MESSAGES = [
    (
        lambda: T(A).add("x"),
        r"\(number value\).*!str!.*\(number value=1, torch.FloatTensor other\)",
    ),
    (lambda: torch.LongTensor([1]).add("x"), r"\(int value=1, torch.LongTensor other\)"),
    (lambda: var(A).add("x"), r"\(number other\).*\(Variable other, \*, number alpha=1\)"),
    (lambda: var(A).mul(None), r"\(number other\).*!NoneType!.*\(Variable other\)"),
    (lambda: T(A) + torch.DoubleTensor(A), r"torch.FloatTensor other\).*!torch.DoubleTensor!"),
    (lambda: T(A) + var(A), r"!Variable\[torch.FloatTensor\]!"),
    (
        lambda: torch.mm(T(A), 3),
        r"mm received.*\(torch.FloatTensor input, torch.FloatTensor mat2\)",
    ),
    (lambda: T(A).addmm(1, 2, 3), r"\(number beta=1, number alpha=1, torch.FloatTensor mat1"),
    (lambda: T(A).sum(1.5), r"\(int dim, bool keepdim=False\).*!float!"),
    (lambda: T(A).index_select(0, T([1])), "LongTensor"),
    (lambda: T(A).add_(1, 2, 3), "add_ received"),
    (lambda: T(A).sum(nonsense=3), "nonsense=int"),
    (lambda: var(A) + None, "Variable other"),
]


@pytest.mark.parametrize("call, words", MESSAGES)
def test_messages_list_signatures_and_mark_types(call, words):  # E-60
    with pytest.raises((TE, RE), match=f"(?s){words}"):
        call()


# What integer classes lack (T-82, E-81).


@pytest.mark.parametrize("name", ["mean", "exp", "sqrt", "sigmoid", "log"])
@pytest.mark.parametrize("cls", INTEGERS)
def test_float_ops_on_integers(name, cls):
    t = tensor(cls, [1, 2])
    with pytest.raises(AttributeError, match=name):
        getattr(t, name)()
    with pytest.raises(TE, match="does not implement"):
        getattr(torch, name)(t)
    with pytest.raises(RE, match="not implemented for type"):
        getattr(Variable(t), name)()
    with pytest.raises(RE, match="not implemented for type"):
        getattr(torch, name)(Variable(t))


def test_power_of_integer_variables():  # E-81
    v = Variable(torch.LongTensor([1]))
    for call in (lambda: v**2, lambda: v**v, lambda: 2**v, lambda: 2 / v):
        with pytest.raises(RE, match=r"not implemented for type torch.LongTensor"):
            call()


# Operators (O-10).


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("wrap", [lambda t: t, Variable], ids=["tensor", "variable"])
def test_operators(cls, wrap):
    real = CLASSES[cls]
    x, y = np.array([7, 12, 5], real), np.array([2, 5, 3], real)
    t, u = wrap(tensor(cls, x)), wrap(tensor(cls, y))
    floats = cls in FLOATS
    divided = x / y if floats else x // y
    same(t + u, x + y)
    same(t - u, x - y)
    same(t * u, x * y)
    same(t / u, divided.astype(real))
    same(t.__div__(u), divided.astype(real))
    same(t % u, x % y)
    same(t + 3, x + 3)
    same(3 + t, x + 3)
    same(20 - t, 20 - x)
    same(t % 4, x % 4)
    same(3 * t, 3 * x)
    same(t / 2, (x / 2 if floats else x // 2).astype(real))
    for call, wanted in [(t < u, x < y), (t >= 7, x >= 7), (t == u, x == y), (t != 5, x != 5)]:
        same(call, wanted)
    if floats:
        same(t**2, x**2)
        np.testing.assert_allclose(array(2**t), 2.0**x)
        np.testing.assert_allclose(array(60 / t), (60 / x).astype(real), rtol=1e-6)
        same(-t, -x)
    elif wrap is not Variable:
        same(60 / t, 60 // x)
        same(t.__rdiv__(60), 60 // x)
    t += u
    t *= 2
    t -= 1
    same(t, (x + y) * 2 - 1)


def test_in_place_operators_keep_the_object():
    t = T([7, 12, 5])
    for name, other, wanted in [
        ("__iadd__", 1, [8, 13, 6]),
        ("__isub__", T([1, 1, 1]), [7, 12, 5]),
        ("__imul__", 2, [14, 24, 10]),
        ("__itruediv__", 2, [7, 12, 5]),
        ("__idiv__", T([1, 2, 1]), [7, 6, 5]),
        ("__imod__", 4, [3, 2, 1]),
        ("__ipow__", 2, [9, 4, 1]),
    ]:
        before = t
        assert getattr(t, name)(other) is t or t is before
        same(t, wanted)
    kept = t
    t **= 2
    t %= 10
    t /= 2
    assert t is kept and t.tolist() == [0.5, 3, 0.5]


def test_operators_that_do_not_exist():  # O-10, E-18
    t, v = T(A), var(A)
    for call in (lambda x: x // 2, lambda x: abs(x), lambda x: round(x), lambda x: divmod(x, 2)):
        for x in (t, v):
            with pytest.raises(TE):
                call(x)
    with pytest.raises(TE):
        operator.invert(v)
    with pytest.raises(NotImplementedError):
        v **= 2
    with pytest.raises(RE, match="ByteTensor"):
        operator.invert(t)


def test_invert_is_one_minus_x():  # T-79
    same(~torch.ByteTensor([0, 1, 3]), [1, 0, 254])


def test_matrix_product_operator():  # O-11
    same(T(A) @ T(B), a @ b)
    same((var(A) @ var(B)), a @ b)
    assert T([1, 2]) @ T([3, 4]) == 11


def test_comparison_with_foreign_objects():  # E-15
    for x in (T(A), var(A)):
        for other in (None, "x", [1]):
            with pytest.raises(TE, match="eq received"):
                operator.eq(x, other)


def test_in():
    assert 3.0 in T([1, 3]) and 2 not in T([1, 3])
    assert 2 in T(A) and 2 in var(A) and 9 not in var(A)
    assert 1 not in T()


# Broadcasting and what came before it (T-50 to T-55).

with (GOLDEN / "ops.tsv").open(encoding="utf-8") as file:
    MARKED = [r["name"] for r in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
              if r["old_1d_fallback"]]  # fmt: skip
EXTRA = {"addcmul": 2, "addcdiv": 2}


def call_of(name, x, others):
    """The method on operands of the same count."""
    if name.startswith("masked_"):
        mask = torch.ByteTensor([1, 0, 1, 0, 0, 1]).view(others[0].size())
        more = {"masked_fill_": (7,), "masked_scatter_": (others[0],), "masked_select": ()}
        return getattr(x, name)(mask, *more[name])
    more = (0.25,) if name == "lerp" else ()
    return getattr(x, name)(*others, *more)


def operand_of(name, *sizes):
    cls = torch.IntTensor if name.startswith("__") else T
    return cls([3, 1, 2, 2, 4, 1]).view(*sizes)


@pytest.mark.parametrize("name", MARKED)
def test_equal_counts_go_element_by_element(name):  # T-52, O-12
    count = EXTRA.get(name, 1)
    x, flat = operand_of(name, 2, 3), operand_of(name, 6)
    got = call_of(name, x.clone(), [flat] * count)
    wanted = call_of(name, x.clone(), [flat.view(2, 3)] * count)
    assert got == wanted if isinstance(wanted, float) else got.equal(wanted)
    turned = operand_of(name, 3, 2)
    got = call_of(name, x.clone(), [turned.t().contiguous().t()] * count)
    wanted = call_of(name, x.clone(), [turned.contiguous().view(2, 3)] * count)
    assert got == wanted if isinstance(wanted, float) else got.equal(wanted)


@pytest.mark.parametrize("name", MARKED)
def test_variables_have_no_fallback(name):  # T-53
    x, flat = Variable(operand_of(name, 2, 3)), Variable(operand_of(name, 6))
    if name.startswith("masked_"):
        mask = Variable(torch.ByteTensor(6).fill_(1))
        more = {"masked_fill_": (7,), "masked_scatter_": (flat,), "masked_select": ()}
        with pytest.raises(RE):
            getattr(x, name)(mask, *more[name])
        return
    with pytest.raises(RE) as e:
        call_of(name, x, [flat] * EXTRA.get(name, 1))
    e.match("2 x 3")
    e.match("6")


def test_the_fallback_in_place_and_with_out():
    t = T(2, 3).fill_(1)
    assert t.add_(T([1, 2, 3, 4, 5, 6])) is t
    same(t, [[2, 3, 4], [5, 6, 7]])
    t += T([1, 1, 1, 1, 1, 1])
    t.mul_(T(6, 1).fill_(2))
    same(t, [[6, 8, 10], [12, 14, 16]])
    column = T(4, 1).fill_(1)
    column.add_(T([[1, 2, 3, 4]]))  # 4 x 1 cannot become 4 x 4 in place, but counts agree
    same(column, [[2], [3], [4], [5]])
    out = torch.add(t, T(6).fill_(1), out=T())
    same(out, [[7, 9, 11], [13, 15, 17]])
    same(T(2, 3).copy_(T([1, 2, 3, 4, 5, 6])), [[1, 2, 3], [4, 5, 6]])  # T-76
    with pytest.raises(RE):
        T(2, 3).copy_(T(5))


def test_broadcasting():  # T-50, T-51
    x = T([[1], [2]]) + T([10, 20, 30])
    same(x, [[11, 21, 31], [12, 22, 32]])
    for y in (T(), var([])):
        with pytest.raises(RE, match="empty"):
            y + (T([1]) if torch.is_tensor(y) else var([1]))
    with pytest.raises(RE):
        T([1, 2]).add_(T(A))  # E-63
    with pytest.raises(RE):
        torch.mm(T(2, 3), T(1, 3))  # T-54
    with pytest.raises(RE):
        T(2).zero_().addmm_(T(A), T(B))  # T-54: only out of place


@pytest.fixture
def warnings_on():
    yield backcompat
    backcompat.broadcast_warning.enabled = False
    backcompat.keepdim_warning.enabled = False


def test_broadcast_warning(warnings_on):  # T-52
    x, flat, turned = T(2, 3).fill_(1), T(6).fill_(1), T(1, 4).fill_(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x + flat  # silent by default
    assert backcompat.broadcast_warning.enabled is False
    backcompat.broadcast_warning.enabled = True
    assert torch.utils.backcompat.broadcast_warning.enabled is True
    for call in [lambda: x + flat, lambda: x.add(flat), lambda: x.add_(flat), lambda: x.copy_(flat),
                 lambda: torch.mul(x, flat, out=T())]:  # fmt: skip
        with pytest.warns(UserWarning, match="not broadcastable"):
            call()
    with pytest.warns(UserWarning, match="so they broadcast"):
        assert (turned + T(4, 1).fill_(1)).size() == (4, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x + x, x + T([1, 2, 3]), x + 1  # nothing changed here
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = x.tolist()
        with pytest.raises(UserWarning):
            x.add_(flat)
        assert x.tolist() == before  # a warning turned into an error writes nothing


def test_keepdim_warning(warnings_on):  # T-55
    for t in (T(A), var(A)):
        backcompat.keepdim_warning.enabled = False
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert t.sum(0).size() == (2,)
        backcompat.keepdim_warning.enabled = True
        for name in ("sum", "mean", "max", "min"):
            with pytest.warns(UserWarning, match="keepdim"):
                getattr(t, name)(0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            t.sum(0, True), t.sum(0, keepdim=False), t.sum()


# out= (O-7, T-81).


def test_out_of_every_state():
    x, y = T(A), T(B)
    for out in (T(), T(2, 2), T(7), T(1), T(2, 2).t(), T(4, 4)[::2, ::2]):
        place = out.data_ptr() if out.size() == (2, 2) else None
        assert torch.add(x, y, out=out) is out
        same(out, a + b)
        assert place in (None, out.data_ptr())
    values, indices = T(), torch.LongTensor()
    got = torch.max(x, 0, out=(values, indices))
    assert got[0] is values and got[1] is indices and values.tolist() == [3, 4]
    same(torch.eq(x, y, out=torch.ByteTensor()), a == b)
    same(torch.eq(x, x, out=T()), np.ones((2, 2)))  # also the class that was compared


@pytest.mark.parametrize(
    "call",
    [
        lambda x, o: torch.mm(x, x, out=o),
        lambda x, o: torch.add(x, x.t(), out=o),
        lambda x, o: torch.mul(x, x, out=o),
        lambda x, o: torch.addmm(x, x, x, out=o),
        lambda x, o: torch.cat([x, x], out=o),
        lambda x, o: torch.max(x, 0, out=(o, torch.LongTensor()))[0],
        lambda x, o: torch.exp(x, out=o),
    ],
)
def test_out_may_overlap_operands(call):
    wanted = call(T(A), T())
    x = T(A)
    assert call(x, x).equal(wanted)  # the operand itself
    x = T(A)
    assert call(x, x.t()).equal(wanted)  # the same elements in another order
    wide = T(3, 2).fill_(9)
    x = wide[1:].copy_(T(A))
    assert call(x, wide[:2]).equal(wanted) or wanted.size() != (2, 2)


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda: torch.add(T(A), 1, out=torch.DoubleTensor()), TE),
        (lambda: torch.add(T(A), 1, out=3), TE),
        (lambda: torch.add(T(A), 1, out=(T(), T())), TE),
        (lambda: torch.max(T(A), 0, out=T()), TE),
        (lambda: torch.max(T(A), 0, out=(T(), T())), TE),
        (lambda: torch.add(var(A), 1, out=var(A)), TE),
        (lambda: torch.add(var(A), 1, out=T()), TE),
        (lambda: torch.sum(T(A), out=T()), TE),
        (lambda: torch.add(T(A), T(B), out=T(1).expand(2, 2)), RE),
        (lambda: T(A).add_(T(B), out=T()), TE),
    ],
)
def test_out_that_does_not_fit(call, error):
    with pytest.raises(error):
        call()


def test_results_do_not_share_one_out():
    x = torch.LongTensor([[1, 2], [3, 4]])
    out = torch.LongTensor([5, 6])
    with pytest.raises(RE, match="share memory"):
        torch.max(x, 0, out=(out, out))
    assert out.tolist() == [5, 6]


# Targets with several elements in one place.

EXPANDED = [
    lambda t: t.add_(1),
    lambda t: t.mul_(T(A) if torch.is_tensor(t) else var(A)),
    lambda t: t.exp_(),
    lambda t: t.copy_(T(A) if torch.is_tensor(t) else var(A)),
    lambda t: t.__iadd__(2),
    lambda t: t.clamp_(0, 1),
]


@pytest.mark.parametrize("call", EXPANDED)
def test_expanded_targets_are_refused_first(call):
    base = T([5, 6])
    for t in (base.expand(2, 2), Variable(base).expand(2, 2)):
        with pytest.raises(RE, match="expanded"):
            call(t)
        assert base.tolist() == [5, 6]
    assert base.expand(2, 2).fill_(3).tolist() == [[3, 3], [3, 3]]  # one value is right there


# Names (tensors.md 13).


def test_names_at_module_level():
    assert isinstance(torch.__version__, str)
    assert issubclass(torch.FatalError, Exception)
    torch.set_num_threads(torch.get_num_threads())
    assert isinstance(torch.default_generator, torch.Generator)
    assert torch.numel(T(A)) == torch.numel(var(A)) == 4
    assert torch.is_tensor(T()) and not torch.is_tensor(var(A))


ABSENT = ["optim", "sparse", "distributed", "onnx", "jit", "legacy"]


@pytest.mark.parametrize("name", [n for n in ABSENT if n not in dir(torch)])
def test_absent_modules_name_themselves(name):
    with pytest.raises(AttributeError, match=rf"torch\.{name} .*not part of rgrad yet"):
        getattr(torch, name)
    for line in (f"import rgrad.{name}", f"from rgrad import {name}", f"import rgrad.{name}.x"):
        with pytest.raises(ImportError, match=rf"torch\.{name} .*not part of rgrad yet"):
            exec(line)


def test_absent_names_name_themselves():
    with pytest.raises(AttributeError, match=r"torch\.nn\.FractionalMaxPool2d .*not part of rgrad"):
        torch.nn.FractionalMaxPool2d  # noqa: B018
    with pytest.raises(ImportError, match=r"torch\.nn\.FractionalMaxPool2d .*not part of rgrad"):
        exec("from rgrad.nn import FractionalMaxPool2d")
    with pytest.raises(AttributeError, match=r"torch\.cuda\.nvtx .*not part of rgrad"):
        torch.cuda.nvtx  # noqa: B018


def test_other_names_are_plain_errors():
    with pytest.raises(AttributeError, match="module 'rgrad' has no attribute 'colour'"):
        torch.colour  # noqa: B018
    with pytest.raises(ImportError):
        exec("from rgrad import colour")
    assert not hasattr(torch, "optimum") and not hasattr(torch.nn, "Convolution")


def test_gradients_of_both_orders():
    for call in (lambda x, y: x.add(3, y), lambda x, y: x.add(y, alpha=3)):
        x, y = leaf([1.0]), leaf([2.0])
        call(x, y).backward()
        assert (x.grad.data[0], y.grad.data[0]) == (1, 3)
