"""What may be a size or another int (O-8, T-29): the same wherever one is taken."""

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import FLOATS, INTEGERS, run_python


class Index:
    """What Python can use as an index, and no more."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


class Failing:
    def __index__(self):
        raise KeyError("from the user")


def ones(*sizes):
    return torch.ones(*sizes)


# Each takes an int, which 1 and 2 fit, and is a method or function of tensors.
OF_TENSORS = {
    "FloatTensor": lambda n: torch.FloatTensor(n),
    "FloatTensor second": lambda n: torch.FloatTensor(2, n),
    "new": lambda n: torch.LongTensor().new(2, n),
    "zeros": lambda n: torch.zeros(n),
    "zeros tuple": lambda n: torch.zeros((2, n)),
    "ones list": lambda n: torch.ones([n, 2]),
    "rand": lambda n: torch.rand(2, n),
    "randn": lambda n: torch.randn(n),
    "eye": lambda n: torch.eye(n),
    "eye second": lambda n: torch.eye(2, n),
    "randperm": lambda n: torch.randperm(n),
    "linspace": lambda n: torch.linspace(1, 1, n) if n is True else torch.linspace(0, 1, n),
    "logspace": lambda n: torch.logspace(1, 1, n) if n is True else torch.logspace(0, 1, n),
    "view": lambda n: ones(6).view(n, -1),
    "view tuple": lambda n: ones(6).view((-1, n)),
    "resize_": lambda n: ones(6).resize_(n, 2),
    "resize_ size": lambda n: ones(6).resize_(size=(n, 2)),
    "expand": lambda n: ones(1, 6).expand(n, 6),
    "repeat": lambda n: ones(6).repeat(n),
    "narrow start": lambda n: ones(6).narrow(0, n, 2),
    "narrow length": lambda n: ones(6).narrow(0, 1, n),
    "select": lambda n: ones(6, 6).select(0, n),
    "unsqueeze": lambda n: ones(6, 6).unsqueeze(n),
    "sum": lambda n: ones(2, 2, 2).sum(n),
    "transpose": lambda n: ones(2, 2, 2).transpose(0, n),
    "unfold": lambda n: ones(6).unfold(0, n, 1),
    "chunk": lambda n: ones(6).chunk(n),
    "split": lambda n: ones(6).split(n),
    "split dim": lambda n: ones(6, 6, 6).split(1, n),
    "size": lambda n: ones(2, 2, 2).size(n),
    "stride": lambda n: ones(2, 2, 2).stride(n),
    "set_ offset": lambda n: torch.Tensor().set_(torch.FloatStorage(9), n, (2, 2)),
    "set_ size": lambda n: torch.Tensor().set_(torch.FloatStorage(9), 0, (n, 2)),
    "set_ stride": lambda n: torch.Tensor().set_(torch.FloatStorage(9), 0, (2, 2), (n, 1)),
    "topk": lambda n: ones(6).topk(n),
    "kthvalue": lambda n: ones(6).kthvalue(n),
    "multinomial": lambda n: ones(6).multinomial(n),
    "storage": lambda n: torch.FloatStorage(n),
    "Size": lambda n: torch.Size([n, 3]),
    "storage view": lambda n: torch.FloatStorage(torch.FloatStorage(6), n, 2),
    "storage resize_": lambda n: torch.FloatStorage(6).resize_(n),
    "set_num_threads": lambda n: torch.set_num_threads(n),
}
OF_VARIABLES = {
    "view": lambda v, n: v.view(n, -1),
    "view tuple": lambda v, n: v.view((-1, n)),
    "expand": lambda v, n: v.view(1, 6).expand(n, 6),
    "repeat": lambda v, n: v.repeat(n),
    "narrow": lambda v, n: v.narrow(0, n, 2),
    "select": lambda v, n: v.select(0, n),
    "sum": lambda v, n: v.view(1, 2, 3).sum(n),
    "split": lambda v, n: v.split(n)[0],
    "chunk": lambda v, n: v.chunk(n)[0],
    "topk": lambda v, n: v.topk(n)[0],
    "multinomial": lambda v, n: v.multinomial(n),
    "slice": lambda v, n: v.slice(n),
    "as_strided": lambda v, n: v.as_strided((n, 2), (n, 1)),
    "size": lambda v, n: v.view(1, 2, 3).size(n),
}
FOREIGN = [np.int64(2), np.int32(2), np.uint8(2), Index(2)]


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("call", OF_TENSORS.values(), ids=OF_TENSORS)
def test_ints_and_bools_are_sizes(call):  # O-8, T-6: a bool is an int
    call(2)
    call(True)


@pytest.mark.parametrize("call", OF_TENSORS.values(), ids=OF_TENSORS)
@pytest.mark.parametrize("n", [*FOREIGN, 2.0, np.float64(2), np.bool_(True), "2", None, Failing()])
def test_nothing_else_is_a_size_of_a_tensor(call, n):  # O-8, T-29, E-60
    if n is None and call in (OF_TENSORS["size"], OF_TENSORS["stride"], OF_TENSORS["eye second"]):
        return  # Left out.
    with pytest.raises(TypeError):
        call(n)


@pytest.mark.parametrize("call", OF_VARIABLES.values(), ids=OF_VARIABLES)
@pytest.mark.parametrize("n", FOREIGN)
def test_variables_take_what_python_takes_as_an_index(call, n):  # O-8, the snapshot's rule
    made, expected = (call(Variable(torch.ones(6)), m) for m in (n, 2))
    if isinstance(made, Variable):
        assert made.size() == expected.size()
    else:
        assert made == expected


@pytest.mark.parametrize("call", OF_VARIABLES.values(), ids=OF_VARIABLES)
def test_what_is_no_index_is_no_size_of_a_variable(call):
    v = Variable(torch.ones(6))
    for n in (2.0, np.float64(2), "2", torch.LongTensor([2]), Variable(torch.LongTensor([2]))):
        with pytest.raises(TypeError):
            call(v, n)
    with pytest.raises(KeyError, match="from the user"):
        call(v, Failing())


@pytest.mark.parametrize("call", OF_TENSORS.values(), ids=OF_TENSORS)
@pytest.mark.parametrize("n", [2**63, -(2**70)])
def test_sizes_beyond_64_bits_are_runtime_errors_that_name_the_op(call, n):  # T-29
    if call is OF_TENSORS["Size"]:
        return  # A tuple holds them; what takes it does not.
    with pytest.raises(RuntimeError, match=r"\w+: the int -?\d+ does not fit 64 bits"):
        call(n)


def test_sizes_that_are_refused_leave_the_tensor_alone():
    x = torch.FloatTensor([1, 2, 3])
    for n in (*FOREIGN, -1, 2**62):
        with pytest.raises((TypeError, RuntimeError)):
            x.resize_(n, 2)
    assert x.tolist() == [1, 2, 3]


def test_elements_of_storages_are_found_by_what_indexes_tensors():  # T-60
    s = torch.FloatStorage([1, 2, 3])
    assert s[np.int64(1)] == 2 and s[np.int32(-1)] == 3
    s[np.int64(0)] = 7
    assert s.tolist() == [7, 2, 3]
    for index in (1.0, np.float64(1), "1", None):
        with pytest.raises(TypeError):
            s[index]


def test_a_list_of_another_class_names_the_class_that_was_asked_for():  # T-20
    for name in ("LongStorage", "LongTensor"):
        with pytest.raises(RuntimeError, match=rf"a torch\.{name} is made of int numbers only"):
            getattr(torch, name)([1.5])


# --- the default class ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*INTEGERS, "HalfTensor"])
def test_any_class_can_be_the_default_one(name):  # T-2
    said = run_python(
        f"""
        import rgrad as torch
        torch.set_default_tensor_type("torch.{name}")
        assert torch.Tensor is torch.{name}
        assert torch.Storage is torch.{name.replace("Tensor", "Storage")}
        assert type(torch.randperm(3)) is torch.LongTensor
        makers = [torch.zeros, torch.ones, torch.eye, torch.arange, torch.Tensor]
        print({{type(make(3)).__name__ for make in makers}})
        print(torch.arange(3).tolist() == [0, 1, 2], torch.ones(2).tolist() == [1, 1])
        for call in (torch.rand, torch.randn, lambda n: torch.linspace(0, 1, n),
                     lambda n: torch.logspace(0, 1, n)):
            try:
                call(3)
            except TypeError as e:
                print(str(e).split(" ")[0:2])
        assert torch.rand(2, out=torch.FloatTensor()).size() == (2,)
        torch.set_default_tensor_type("torch.FloatTensor")
        assert type(torch.rand(2)) is torch.FloatTensor
        """
    )
    lines = said.splitlines()
    assert lines[:2] == [f"{{{name!r}}}", "True True"]
    ops = ("rand", "randn", "linspace", "logspace")
    assert lines[2:] == [str([f"{op}:", f"torch.{name}"]) for op in ops]  # T-82, O-14


@pytest.mark.parametrize("name", FLOATS)
def test_a_default_class_does_not_change_what_variables_are(name):
    said = run_python(
        f"""
        import rgrad as torch
        from rgrad.autograd import Variable
        x = Variable(torch.FloatTensor([2]), requires_grad=True)
        torch.set_default_tensor_type("torch.{name}")
        (x * x).sum().backward()
        print(x.grad.data.type(), x.grad.data[0])
        """
    )
    assert said == "torch.FloatTensor 4.0\n"
