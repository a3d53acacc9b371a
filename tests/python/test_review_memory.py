"""Chains of owners, lists without room, and numbers at the edges of what an argument can be."""

import math

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import run_python

CHAINS = {
    "slices of a storage": "s = torch.FloatStorage(10)\nfor i in range(120000): s = s[0:10]",
    "storages of a storage": (
        "s = torch.FloatStorage(10)\nfor i in range(120000): s = torch.FloatStorage(s)"
    ),
    "arrays": (
        "s = torch.FloatTensor([1])\nfor i in range(40000): s = torch.from_numpy(s.numpy())"
    ),
    "capsules": (
        "from rgrad.utils.dlpack import from_dlpack, to_dlpack\n"
        "s = torch.FloatTensor([1])\nfor i in range(40000): s = from_dlpack(to_dlpack(s))"
    ),
    "arrays of capsules": (
        "import numpy\ns = torch.FloatTensor([1])\n"
        "for i in range(40000): s = torch.from_numpy(numpy.from_dlpack(s))"
    ),
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_a_long_chain_of_owners_ends_without_a_deep_stack(chain):
    out = run_python(f"import rgrad as torch\n{chain}\ns[0] = 3\nprint(s[0])\ndel s\nprint('end')")
    assert out.split() == ["3.0", "end"]


def test_a_slice_of_a_slice_lies_where_both_say():
    whole = torch.FloatStorage(list(range(10)))
    part = whole[2:9][1:5][1:3]
    assert part.tolist() == [4.0, 5.0]
    part[0] = 44
    assert whole[4] == 44
    with pytest.raises(RuntimeError):
        part.resize_(3)


def test_a_chain_over_an_array_frees_it_at_the_end():
    class Kept(np.ndarray):
        gone = 0

        def __del__(self):
            Kept.gone += 1

    t = torch.from_numpy(np.zeros(3).view(Kept)[:])
    for _ in range(5):
        t = torch.from_numpy(t.numpy())
    assert Kept.gone == 0
    del t
    assert Kept.gone > 0


@pytest.mark.parametrize("wide", ["tolist()", "__iter__()"])
def test_lists_that_fit_no_memory_are_refused(wide):
    t = torch.FloatTensor([1]).expand(2**40)
    with pytest.raises(MemoryError):
        eval(f"t.{wide}", {"t": t})
    with pytest.raises(MemoryError):
        eval(f"t.{wide}", {"t": torch.FloatTensor([[1]]).expand(2**40, 1)})


@pytest.mark.parametrize("kind", ["FloatStorage", "LongStorage", "FloatTensor", "LongTensor"])
def test_lists_beyond_a_limit_are_refused(kind):
    code = f"""
        import resource
        import rgrad as torch

        s = torch.{kind}(10**7)
        s.fill_(10**6)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        for room in (40, 160):
            resource.setrlimit(resource.RLIMIT_AS, (used + room * 2**20, -1))
            try:
                s.tolist()
            except MemoryError:
                print("refused")
    """
    assert run_python(code).split() == ["refused", "refused"]


@pytest.fixture
def printing():
    yield
    torch.set_printoptions(profile="default")


@pytest.mark.parametrize("option", ["precision", "edgeitems", "linewidth", "threshold"])
@pytest.mark.parametrize("value", [-1, 2**64, -(2**70)])
def test_options_of_print_name_their_range(printing, option, value):
    before = str(torch.rand(40, 40))
    if option == "threshold" and value > 0:
        torch.set_printoptions(threshold=value)
        return
    with pytest.raises(ValueError, match=f"{option} .* from 0 .*{value}"):
        torch.set_printoptions(**{option: value})
    assert str(torch.ones(2)) == "\n 1\n 1\n[torch.FloatTensor of size 2]\n"
    assert before


@pytest.mark.parametrize("value", [65535, 65536, 2**31, 2**63 - 1])
@pytest.mark.parametrize("option", ["precision", "edgeitems", "linewidth"])
def test_large_options_of_print_print_or_are_refused(printing, option, value):
    try:
        torch.set_printoptions(threshold=4, **{option: value})
    except ValueError as e:
        assert option in str(e)
    for x in (torch.rand(3, 9, 9), torch.rand(9) * 1e30, torch.FloatTensor([1e9, math.inf])):
        assert "FloatTensor" in str(x)


def test_a_threshold_is_a_number(printing):
    with pytest.raises(ValueError, match="threshold"):
        torch.set_printoptions(threshold=math.nan)
    with pytest.raises(TypeError, match="precision"):
        torch.set_printoptions(precision=2.5)


@pytest.mark.parametrize("wrap", [lambda t: t, Variable], ids=["tensor", "variable"])
def test_int_is_that_of_the_python_float(wrap):
    for kind in (torch.FloatTensor, torch.DoubleTensor):
        with pytest.raises(ValueError, match="NaN"):
            int(wrap(kind([math.nan])))
        for value in (math.inf, -math.inf):
            with pytest.raises(OverflowError, match="infinity"):
                int(wrap(kind([value])))
        for value in (1e30, -1e30, 2.0**63, -2.75, 2.75):
            assert int(wrap(kind([value]))) == int(kind([value])[0])
    assert int(wrap(torch.DoubleTensor([1e30]))) == int(1e30)
    assert int(wrap(torch.LongTensor([-(2**63)]))) == -(2**63)


@pytest.mark.parametrize("other", [torch.DoubleTensor(2), torch.LongTensor(7), torch.HalfTensor(2)])
def test_resize_as_takes_the_same_class(other):
    x = torch.FloatTensor([[1, 2, 3], [4, 5, 6]])
    with pytest.raises(TypeError, match=r"resize_as_.*FloatTensor"):  # O-13
        x.resize_as_(other)
    assert x.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert x.resize_as_(torch.FloatTensor(3, 2)).size() == (3, 2)


@pytest.mark.parametrize("value", [2**63, 2**70, -(2**63) - 1, np.uint64(2**63)])
def test_ints_beyond_64_bits_are_refused_everywhere(value):
    for x in (torch.FloatTensor([1, 2]), torch.LongTensor([1, 2])):
        v = Variable(x.clone())
        for write in (
            lambda x=x: x.__setitem__(0, value),
            lambda x=x: x.__setitem__(slice(None), value),
            lambda v=v: v.__setitem__(0, value),
        ):
            with pytest.raises(RuntimeError, match="64 bits"):
                write()
        assert x.tolist() == v.data.tolist() == [1, 2]


CALLS = {
    "size": lambda f, n: f.size(n),
    "stride": lambda f, n: f.stride(n),
    "split": lambda f, n: f.split(n),
    "split dim": lambda f, n: f.split(1, n),
    "chunk": lambda f, n: f.chunk(n),
    "slice": lambda f, n: Variable(f).slice(n),
    "random_": lambda f, n: f.clone().random_(n),
    "random_ range": lambda f, n: f.clone().random_(0, n),
    "multinomial": lambda f, n: torch.multinomial(f, n),
    "randperm": lambda f, n: torch.randperm(n),
    "eye": lambda f, n: torch.eye(n),
    "linspace": lambda f, n: torch.linspace(0, 1, n),
    "logspace": lambda f, n: torch.logspace(0, 1, n),
    "set_num_threads": lambda f, n: torch.set_num_threads(n),
    "storage": lambda f, n: torch.FloatStorage(n),
    "tensor": lambda f, n: torch.FloatTensor(n),
    "zeros": lambda f, n: torch.zeros(n),
    "view": lambda f, n: f.view(n),
    "narrow": lambda f, n: f.narrow(0, n, 1),
    "sum": lambda f, n: f.sum(n),
    "expand": lambda f, n: f.expand(n),
    "resize_": lambda f, n: f.clone().resize_(n),
    "geometric_": lambda f, n: f.clone().geometric_(n),
}


@pytest.mark.parametrize("n", [2**63, -(2**63) - 1, 2**70])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_arguments_beyond_64_bits_are_errors_of_the_call(call, n):
    with pytest.raises((RuntimeError, TypeError)) as caught:
        call(torch.ones(3), n)
    assert "PyO3" not in str(caught.value)


def test_a_tensor_is_not_indexed_by_a_variable():  # T-68, T-70, E-13
    x = torch.LongTensor([[1, 2], [3, 4]])
    for index in (
        Variable(torch.LongTensor([0])),
        Variable(x > 2),
        (0, Variable(torch.LongTensor([0]))),
        (Variable(torch.LongTensor([0])), Ellipsis),
    ):
        with pytest.raises(TypeError, match="Variable"):
            x[index]
        with pytest.raises(TypeError, match="Variable"):
            x[index] = 5
    with pytest.raises((TypeError, IndexError), match="Variable"):
        x[[Variable(torch.LongTensor([0])), 1]]
    assert x.tolist() == [[1, 2], [3, 4]]
    assert x[x > 2].tolist() == [3, 4]
    assert Variable(x)[Variable(x > 2)].data.tolist() == [3, 4]


def test_errors_about_halves_name_the_op():  # T-9
    half, index = torch.HalfTensor([1, 2, 3]), torch.LongTensor([0])
    mask = torch.ByteTensor([1, 0, 1])
    more = [(), (half,), (1,), (0, half), (1, 2), (mask, half), (0, index, half), (0, index)]
    seen = 0
    for place in (torch, half):
        for name in dir(place):
            if name.startswith(("_", "masked_copy")) or name == "data":
                continue
            f = getattr(place, name, None)
            if not callable(f) or isinstance(f, type):
                continue
            for args in more:
                try:
                    getattr(half.clone(), name)(*args) if place is half else f(half, *args)
                except Exception as e:
                    assert "this: " not in str(e), (name, str(e))
                    assert type(e).__name__ != "InternalError", (name, str(e))
                    seen += f"{name}: torch.HalfTensor" in str(e)
    assert seen > 20
    for name in ("sum", "max", "equal", "scatter_"):
        args = {"equal": (half,), "scatter_": (0, index, half)}.get(name, ())
        words = f"torch.HalfTensor has no {name}|^{name.rstrip('_')}: torch.HalfTensor"
        with pytest.raises((TypeError, AttributeError), match=words):
            getattr(half, name)(*args)
