"""Tensors, storages and calls in corners that a review found."""

import array
import collections
import collections.abc
import os
import pickle

import numpy as np
import pytest

import rgrad as torch
from rgrad import Variable
from rgrad.utils.dlpack import from_dlpack, to_dlpack
from support import run_python

D, F, L, I = torch.DoubleTensor, torch.FloatTensor, torch.LongTensor, torch.IntTensor  # noqa: E741
RE, TE = RuntimeError, TypeError


# Files.


@pytest.mark.parametrize("size", [2**62, 2**62 + 1, 2**61, 2**61 + 1, 2**63 - 1])
@pytest.mark.parametrize("name", ["FloatStorage", "DoubleStorage", "ByteStorage"])
def test_from_file_keeps_the_file_when_no_file_can_be_so_long(tmp_path, name, size):
    path = tmp_path / "numbers"
    path.write_bytes(b"\0\0\x80?" * 4)
    with pytest.raises(RE, match="from_file"):
        getattr(torch, name).from_file(path, True, size)
    assert path.read_bytes() == b"\0\0\x80?" * 4


def test_from_file_leaves_no_file_behind_when_it_fails(tmp_path):
    path = tmp_path / "numbers"
    with pytest.raises(RE, match="from_file"):
        torch.FloatStorage.from_file(path, True, 2**60)
    assert not path.exists()


def test_from_file_never_cuts_a_file(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(b"\0\0\x80?" * 3 + b"ab")
    assert torch.FloatStorage.from_file(path, True, 2).tolist() == [1, 1]
    assert torch.FloatStorage.from_file(path, True).tolist() == [1, 1, 1]
    assert path.stat().st_size == 14
    assert len(torch.FloatStorage.from_file(path, True, 4)) == 4
    assert path.stat().st_size == 16


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: torch.FloatStorage.from_file(None), "from_file"),
        (lambda: torch.FloatStorage.from_buffer("abc", "little"), "from_buffer"),
        (lambda: torch.FloatStorage(torch.FloatStorage(4), 5), "element 5"),
    ],
)
def test_storages_name_what_was_wrong(call, words):
    with pytest.raises((RE, TE), match=words) as caught:
        call()
    assert "-1 elements" not in str(caught.value)


# Results in out=.


@pytest.mark.parametrize(
    "call, size",
    [
        (lambda out: torch.cat([F(2), F(2)], out=out), (4,)),
        (lambda out: torch.stack([F(2), F(2)], out=out), (2, 2)),
        (lambda out: torch.matmul(F(2, 3, 1), F(2, 1, 1), out=out), (2, 3, 1)),
        (lambda out: torch.arange(3, out=out), (3,)),
        (lambda out: torch.linspace(0, 1, 3, out=out), (3,)),
        (lambda out: torch.eye(3, out=out), (3, 3)),
        (lambda out: torch.randperm(3, out=out), (3,)),
    ],
)
def test_expanded_out_is_refused(call, size):
    out = F([7]).expand(*size)
    if call.__code__.co_names[1] == "randperm":
        out = out.long()[:1].expand(*size)
    with pytest.raises(RE, match="expanded"):
        call(out)
    assert set(out.contiguous().view(-1).tolist()) == {7}


def fixed(kind="i8"):
    """A tensor that cannot take another size."""
    return torch.from_numpy(np.full(2, 5, kind))


@pytest.mark.parametrize(
    "call",
    [
        lambda out: torch.sort(torch.arange(3), out=out),
        lambda out: torch.topk(torch.arange(3), 3, out=out),
        lambda out: torch.max(torch.arange(9).view(3, 3), 0, out=out),
        lambda out: torch.median(torch.arange(9).view(3, 3), 0, out=out),
        lambda out: torch.mode(torch.arange(9).view(3, 3), 0, out=out),
        lambda out: torch.kthvalue(torch.arange(9).view(3, 3), 1, 0, out=out),
    ],
)
def test_out_of_two_results_is_checked_before_any_is_written(call):
    first, second = F([9]), fixed()
    with pytest.raises(RE, match="not resizable"):
        call((first, second))
    assert first.tolist() == [9] and second.tolist() == [5, 5]


def test_out_of_three_results_is_checked_before_any_is_written():
    u, s, v = F([9]), F([8]), fixed("f4")
    with pytest.raises(RE, match="not resizable"):
        torch.svd(torch.eye(3), out=(u, s, v))
    assert u.tolist() == [9] and s.tolist() == [8] and v.tolist() == [5, 5]


def test_info_and_out_of_btrifact_are_checked_before_any_is_written():
    stack = torch.eye(3).unsqueeze(0)
    info, lu, pivots = I([4]), F([9]), fixed("i4")
    with pytest.raises(RE, match="not resizable"):
        torch.btrifact(stack, info=info, out=(lu, pivots))
    assert info.tolist() == [4] and lu.tolist() == [9] and pivots.tolist() == [5, 5]


def test_matmul_of_vectors_says_that_a_number_has_no_out():
    with pytest.raises(TE, match="number"):
        torch.matmul(F([1, 2]), F([3, 4]), out=F())
    with pytest.raises(TE, match="got int"):
        torch.matmul(torch.eye(2), torch.eye(2), out=3)


# Factors at the ends of the range.

SCALES = {
    "FloatTensor": [1e-44, 1e-40, 1e-37, 1e-30, 1e-24, 1e-22, 1e-13, 1, 1e13, 1e20, 1e30, 1e37],
    "DoubleTensor": [1e-320, 1e-308, 1e-200, 1e-150, 1, 1e150, 1e160, 1e300],
}
scaled = pytest.mark.parametrize(
    "name, scale", [(name, scale) for name, scales in SCALES.items() for scale in scales]
)


def matrix(name, scale, size=(5, 5)):
    """Seeded numbers of this size, as the class holds them, and as doubles in a safe range."""
    a = np.random.RandomState(3).randn(*size) * 0.5
    kind = np.float32 if name == "FloatTensor" else np.float64
    a = (a * np.float64(scale)).astype(kind)
    return getattr(torch, name)(a), np.ldexp(a.astype(np.float64), -int(np.log2(scale)))


def near(name, scale):
    """Error relative to the largest: rounding, and that of numbers of less than full precision."""
    least, eps = (1e-45, 1e-7) if name == "FloatTensor" else (5e-324, 2e-16)
    return 50 * eps + 10 * least / scale


@scaled
def test_svd_at_any_scale(name, scale):
    x, safe = matrix(name, scale, (5, 4))
    u, s, v = x.svd()
    back = np.ldexp(s.numpy().astype(np.float64), -int(np.log2(scale)))
    product = u.numpy().astype(np.float64) * back @ v.numpy().T.astype(np.float64)
    assert np.abs(product - safe).max() <= near(name, scale) * np.abs(safe).max()
    expected = np.linalg.svd(safe, compute_uv=False)
    np.testing.assert_allclose(back, expected, rtol=0, atol=near(name, scale) * expected[0])


@scaled
def test_eig_at_any_scale(name, scale):
    x, safe = matrix(name, scale, (20, 20))
    e, v = x.eig(True)
    back = np.ldexp(e.numpy().astype(np.float64), -int(np.log2(scale)))
    back = np.sort_complex(back[:, 0] + 1j * back[:, 1])
    expected = np.sort_complex(np.linalg.eigvals(safe))
    assert np.abs(back - expected).max() <= 20 * near(name, scale) * np.abs(expected).max()
    assert np.isfinite(v.numpy()).all()


@scaled
def test_symeig_at_any_scale(name, scale):
    x, safe = matrix(name, scale)
    e, v = x.symeig(True)
    safe = np.triu(safe) + np.triu(safe, 1).T
    back = np.ldexp(e.numpy().astype(np.float64), -int(np.log2(scale)))
    expected = np.linalg.eigvalsh(safe)
    np.testing.assert_allclose(
        back, expected, rtol=0, atol=near(name, scale) * np.abs(expected).max()
    )
    vectors = v.numpy().astype(np.float64)
    assert np.abs(vectors.T @ vectors - np.eye(5)).max() < 1e-5


@pytest.mark.parametrize("name", ["FloatTensor", "DoubleTensor"])
def test_factors_of_zero(name):
    x = getattr(torch, name)(3, 3).zero_()
    assert x.svd()[1].tolist() == [0, 0, 0]
    assert x.symeig()[0].tolist() == [0, 0, 0]
    assert x.eig()[0].tolist() == [[0, 0]] * 3


# Halves.


def test_a_function_on_every_half():
    t = torch.HalfTensor([1, 2, 3])
    assert t.apply_(lambda x: x + 0.5).tolist() == [1.5, 2.5, 3.5]
    assert t.map_(torch.HalfTensor([1, 0, 1]), lambda x, y: x * y).tolist() == [1.5, 0, 3.5]
    assert t.map2_(t, t, lambda x, y, z: x + y - z).tolist() == [1.5, 0, 3.5]


# Sequences in sequences (T-18).


class Items(collections.abc.Sequence):
    """Has a length, and an item for every int."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        return float(i)


class Plain:
    """As a sequence of C sees it: a length and items."""

    def __len__(self):
        return 2

    def __getitem__(self, i):
        if i >= 2:
            raise IndexError(i)
        return i + 1


@pytest.mark.parametrize(
    "row",
    [
        np.array([1.0, 2.0]),
        collections.deque([1, 2]),
        collections.UserList([1, 2]),
        array.array("d", [1, 2]),
        memoryview(array.array("d", [1, 2])),
        range(1, 3),
        (1, 2),
        Plain(),
    ],
    ids=lambda row: type(row).__name__,
)
def test_rows_of_any_sequence(row):
    assert F([row]).tolist() == [[1, 2]]
    assert D((row, [3, 4])).tolist() == [[1, 2], [3, 4]]
    assert F([[3, 4], row]).tolist() == [[3, 4], [1, 2]]
    assert F([[row], [row]]).tolist() == [[[1, 2]], [[1, 2]]]


def test_rows_of_matrices():
    a = np.arange(6.0).reshape(2, 3)
    assert D([a, a]).tolist() == [a.tolist()] * 2


@pytest.mark.parametrize(
    "data, place",
    [
        ([np.array(1.0)], r"\[0\].*ndarray"),
        ([F([1])], r"\[0\].*FloatTensor"),
        ([Variable(F([1]))], r"\[0\].*Variable"),
        ([torch.FloatStorage(2)], r"\[0\].*FloatStorage"),
        ([{0: 1.0}], r"\[0\].*dict"),
        ([{1.0}], r"\[0\].*set"),
        (["1"], r"\[0\].*str"),
        ([b"1"], r"\[0\].*bytes"),
        ([1.0, np.array([1.0])], r"\[1\].*ndarray"),
        ([np.zeros(2), np.zeros(3)], r"\[1\] has length 3.*length 2"),
    ],
)
def test_items_that_are_no_numbers_of_the_class(data, place):
    with pytest.raises(RE, match=place):
        F(data)


def test_a_sequence_has_as_many_items_as_it_says():
    assert F(Items(3)).tolist() == [0, 1, 2]
    assert F([Items(2), Items(2)]).tolist() == [[0, 1], [0, 1]]
    assert F(Plain()).tolist() == [1, 2]


def test_an_error_of_a_sequence_comes_out():
    class Broken(Items):
        def __getitem__(self, i):
            raise KeyError(i)

    with pytest.raises(KeyError):
        F(Broken(2))
    with pytest.raises(KeyError):
        F([[1, 2], Broken(2)])


# Gradients in hooks.


def triple(g):
    g.data.mul_(3)


def halve(inputs, outputs):
    inputs[0].data.mul_(0.5)


@pytest.mark.parametrize(
    "loss", [lambda x: x.sum(), lambda x: (x + x).sum(), lambda x: (x * 2).sum()]
)
def test_a_hook_may_write_to_the_gradient(loss):
    x = Variable(torch.ones(3), requires_grad=True)
    y = x * 1
    for v in (x, y):
        v.register_hook(triple)
    loss(y).backward()
    plain = Variable(torch.ones(3), requires_grad=True)
    loss(plain).backward()
    assert x.grad.data.tolist() == [9 * g for g in plain.grad.data.tolist()]


def test_a_hook_of_a_node_may_write_to_the_gradients():
    x = Variable(torch.ones(3), requires_grad=True)
    y = (x * 2).sum()
    y.grad_fn.register_hook(halve)
    y.backward()
    assert x.grad.data.tolist() == [1, 1, 1]


def test_a_hook_that_only_looks_sees_the_gradient():
    x = Variable(torch.ones(3), requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append(g.data.tolist()))
    x.sum().backward(create_graph=True)
    assert seen == [[1, 1, 1]] and x.grad.data.tolist() == [1, 1, 1]


# The rest.


@pytest.mark.parametrize("name", ["ByteTensor", "CharTensor", "ShortTensor", "IntTensor"])
def test_trace_counts_in_64_bits(name):
    x = getattr(torch, name)([[100, 0], [0, 100]]).mul_(1)
    top = {"ByteTensor": 255, "CharTensor": 127, "ShortTensor": 2**15 - 1, "IntTensor": 2**31 - 1}
    x.fill_(top[name])
    assert x.trace() == torch.trace(x) == 2 * top[name]


def test_trace_of_floats_is_a_double():
    x = F([[1, 0], [0, 1e-10]])
    assert x.trace() == 1 + float(x[1][1])
    with pytest.raises(RE, match="trace"):
        torch.trace(F([1]))
    with pytest.raises((TE, AttributeError), match="trace"):
        torch.HalfTensor(2, 2).trace()


def test_setstate_takes_the_data_of_old_pickles():
    v = Variable()
    v.__setstate__((F([1, 2]), None, None, True, False))
    assert v.data.tolist() == [1, 2] and v.requires_grad and not v.volatile
    w = pickle.loads(pickle.dumps(v))
    assert w.data.tolist() == [1, 2] and w.requires_grad


@pytest.mark.parametrize("state", [(), (1, 2), 3, None, (None, None, None, True, False)])
def test_setstate_of_something_else(state):
    v = Variable(F([1]))
    with pytest.raises((TE, RE), match=r"__setstate__|data"):
        v.__setstate__(state)
    assert v.data.tolist() == [1] and not v.requires_grad


@pytest.mark.parametrize("name", ["FloatTensor", "LongTensor", "HalfTensor"])
def test_dlpack_of_the_empty_tensor(name):
    t = from_dlpack(to_dlpack(getattr(torch, name)()))
    assert t.size() == () and t.type() == "torch." + name
    assert from_dlpack(np.zeros(0, "f4")).size() == ()


def test_an_error_of_the_one_who_lends_comes_out():
    class Lender:
        def __dlpack__(self, **options):
            raise KeyError("mine")

        def __dlpack_device__(self):
            return (1, 0)

    with pytest.raises(KeyError, match="mine"):
        from_dlpack(Lender())


# Words.

BIG = 10**400
V = Variable


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: torch.arange(0, 10, float("inf")), r"arange: .*finite"),
        (lambda: torch.arange(0, 10, float("nan")), r"arange: .*finite"),
        (lambda: F(3) * BIG, "mul: the int of 1329 bits does not fit 64 bits"),
        (lambda: F(3) + 2**63, "add: the int 9223372036854775808 does not fit 64 bits"),
        (lambda: F(3).fill_(BIG), "fill"),
        (lambda: F(3).__iadd__(BIG), "add: the int of"),
        (lambda: V(F(3)).__imul__(BIG), "mul: the int of"),
        (lambda: F(3).clamp(0, BIG), "clamp: the int of"),
        (lambda: F(3).apply_(lambda x: 2**63), "apply_: the int 9223372036854775808"),
        (lambda: F(3).size(2**63), "size: the int 9223372036854775808"),
        (lambda: F(3).chunk(2**63), "chunk: the int 9223372036854775808"),
        (lambda: F(3).split(2**63), "split: the int 9223372036854775808"),
        (lambda: torch.cat([F(3)], 2**63), "cat: the int 9223372036854775808"),
        (lambda: torch.cat([F(3)], "a"), r"cat .*got str"),
        (lambda: torch.stack([F(3)], 2**63), "stack: the int 9223372036854775808"),
        (lambda: torch.manual_seed(float("nan")), r"manual_seed: .*nan"),
        (lambda: torch.manual_seed(2**64), r"manual_seed: .*64 bits"),
        (lambda: torch.cat(None), r"cat: .*NoneType"),
        (lambda: torch.stack(3), r"stack: .*int"),
        (lambda: torch.stack([F(), F()]), r"^stack: .*empty"),
        (lambda: torch.unbind(F()), r"^unbind: .*empty tensor"),
        (lambda: F().set_(torch.FloatStorage(9), -1, (2,), (3,)), r"^set_: .*-1"),
        (
            lambda: F().set_(torch.FloatStorage(9).resize_(4), 2**62, (1,), (1,)),
            r"^set_: .*of 4 el",
        ),
        (lambda: F().set_(torch.FloatStorage(9), 1, (2**62,), (2**62,)), r"^set_: .*of 9 el"),
        (lambda: F().set_(torch.FloatStorage(9), 0, (2, 3), (1,)), r"^set_: .*stride"),
        (lambda: F(3).__setitem__(L([0, 7]), 2), r"^index: index 7"),
        (lambda: V(F(3)).copy_(V(F(2))), r"^copy_: .*size 2 .*3"),
        (lambda: L([1]) / 0, r"the number 0; .*\.float\(\)"),
        (lambda: V(L([1])) / 0.5, r"the 0\.5 here was cut"),
        (lambda: V(L([1])).__itruediv__(0.5), r"the 0\.5 here was cut"),
        (lambda: L([5]) & 2.0, r"__and__: .*LongTensor or an int.*float"),
        (lambda: torch.LongStorage([1.5]), r"a torch.LongStorage is made of int"),
    ],
)
def test_errors_name_the_operation_and_what_was_given(call, words):
    with pytest.raises((RE, TE, ZeroDivisionError), match=words):
        call()


def test_an_int_of_thousands_of_digits_is_told_by_its_bits(capfd):
    with pytest.raises(RE, match="add: the int of 33220 bits does not fit 64 bits"):
        F(3) + 10**10000
    assert capfd.readouterr().err == ""


def test_one_dimension_too_many_names_the_operation():
    x = F(1)
    with pytest.raises(RE, match=r"^unsqueeze: .*64 dimensions"):
        for _ in range(70):
            x = x.unsqueeze(0)


# Later findings.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need the system's fork")
def test_a_forked_child_draws_while_a_thread_of_the_parent_does():  # E-39
    out = run_python(
        """
        import os, signal, sys, threading
        import rgrad as torch

        going = True

        def draw():
            while going:
                torch.randn(200000)

        thread = threading.Thread(target=draw)
        thread.start()
        bad = 0
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                signal.alarm(20)
                torch.rand(1)
                os._exit(0)
            bad += os.waitpid(pid, 0)[1] != 0
        going = False
        thread.join()
        print(bad)
        """
    )
    assert out.strip() == "0"


@pytest.mark.parametrize(
    "sizes, strides",
    [((2, 3), (3, 2)), ((3, 2), (2, 3)), ((2, 2, 2), (4, 3, 2)), ((2, 3, 1), (3, 2, 7))],
)
def test_interleaved_views_are_written(sizes, strides):
    t = F().set_(torch.FloatStorage(20).fill_(0), 1, sizes, strides)
    assert t.add_(1).mul_(2).contiguous().view(-1).tolist() == [2] * t.numel()
    t.copy_(torch.arange(t.numel()).view(*sizes))
    assert t.contiguous().view(-1).tolist() == list(range(t.numel()))
    assert torch.add(t, 1, out=t).contiguous().view(-1).tolist() == list(range(1, t.numel() + 1))


@pytest.mark.parametrize(
    "sizes, strides",
    [((2, 3), (2, 1)), ((3, 4), (3, 2)), ((2, 2, 2), (5, 3, 8)), ((2,), (0,))],
)
def test_views_with_an_element_twice_are_not_written(sizes, strides):
    s = torch.FloatStorage(40).fill_(0)
    t = F().set_(s, 1, sizes, strides)
    with pytest.raises(RE, match="share memory"):
        t.add_(1)
    assert s.tolist() == [0] * 40


def test_gradient_of_an_interleaved_view():
    x = V(torch.arange(8).double(), requires_grad=True)
    y = x.unfold(0, 4, 3)
    (y * y).sum().backward()
    assert x.grad.data.tolist() == [0, 2, 4, 12, 8, 10, 12, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.normal_(F([1])),
        lambda t: t.uniform_(F([0]), 1),
        lambda t: t.uniform_("a"),
        lambda t: t.cauchy_(None),
        lambda t: t.exponential_([1]),
        lambda t: t.geometric_(F([0.5])),
        lambda t: V(t).log_normal_(F([1])),
    ],
)
def test_samplers_match_numbers_by_type(call):  # O-8
    with pytest.raises(TE, match="int and float numbers"):
        call(F(3))


def test_samplers_take_numbers():
    F(3).uniform_(0, 1).normal_(0, np.float64(1)).cauchy_(0, True).exponential_(1)


def test_reversed():
    assert list(reversed(torch.arange(3))) == [2, 1, 0]
    assert [r.tolist() for r in reversed(torch.arange(4).view(2, 2))] == [[2, 3], [0, 1]]
    assert [v.data[0] for v in reversed(V(torch.arange(3)))] == [2, 1, 0]
    assert list(reversed(torch.LongStorage([1, 2]))) == [2, 1]


def test_likes_with_out():
    t, out = F([[1, 2]]), F([7])
    assert torch.zeros_like(t, out=out) is out and out.tolist() == [[0, 0]]
    assert torch.ones_like(t, out=out) is out and out.tolist() == [[1, 1]]
    with pytest.raises(TE, match="ones_like"):
        torch.ones_like(t, out=L([1]))
    with pytest.raises(TE, match="zeros_like"):
        torch.zeros_like(V(t), out=out)
    assert out.tolist() == [[1, 1]]


@pytest.mark.parametrize("kind", ["FloatTensor", "LongTensor", "HalfTensor"])
def test_iteration_of_a_vector_follows_its_stride(kind):
    t = torch.arange(0, 6).view(3, 2).type(f"torch.{kind}")
    assert list(t[:, 1]) == t[:, 1].tolist() == [1, 3, 5]
    assert list(t.t()[0]) == [0, 2, 4] and list(t[0].expand(2)) == [0, 1]
    assert list(t[:1, 1].expand(3)) == [1, 1, 1]
