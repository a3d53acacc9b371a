"""Classes, casts, queries, sizes and printing options (T-1 to T-4, T-22 to T-45, T-75 to T-80)."""

import html
import re

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from rgrad.nn import Parameter
from support import CLASSES, FLOATS, run_python, same, tensor

EVERY = [*CLASSES, "HalfTensor"]
each = pytest.mark.parametrize("name", EVERY)


# --- classes --------------------------------------------------------------------------------------


def test_isinstance_tells_classes_apart():  # T-1
    t = torch.DoubleTensor(1)
    assert isinstance(t, torch.DoubleTensor)
    assert not isinstance(t, torch.Tensor) and torch.Tensor is torch.FloatTensor
    assert torch.Storage is torch.FloatStorage
    assert torch.is_tensor(t) and not torch.is_tensor(Variable(t))
    for thing in (None, 1.0, [1], np.zeros(1), t.storage(), torch.DoubleTensor):
        assert not torch.is_tensor(thing)


@pytest.mark.parametrize(
    "thing, name",
    [
        (torch.FloatTensor(1), "torch.FloatTensor"),
        (torch.FloatTensor, "torch.FloatTensor"),
        (torch.LongStorage(1), "torch.LongStorage"),
        (torch.Size([1]), "torch.Size"),
        (Variable(torch.ones(1)), "torch.autograd.variable.Variable"),
        (Parameter(torch.ones(1)), "torch.nn.parameter.Parameter"),
        (1, "int"),
        ([], "list"),
        (len, "len"),
        (np.float64(1), "numpy.float64"),
    ],
)
def test_typename(thing, name):  # T-3
    assert torch.typename(thing) == name


@pytest.mark.parametrize("name", FLOATS)
def test_the_default_class_is_a_binding(name):  # T-2
    said = run_python(
        f"""
        import rgrad as torch
        torch.set_default_tensor_type("torch.{name}")
        assert torch.Tensor is torch.{name}
        assert torch.Storage is torch.{name.replace("Tensor", "Storage")}
        makers = [torch.zeros, torch.ones, torch.rand, torch.randn, torch.eye, torch.arange]
        made = [make(3) for make in makers] + [torch.linspace(0, 1, 3), torch.Tensor(3)]
        print({{type(t).__name__ for t in made}})
        """
    )
    assert said == f"{{{name!r}}}\n"


def test_the_default_class_on_the_gpu(gpu):  # T-2
    said = run_python(
        """
        import rgrad as torch
        torch.set_default_tensor_type("torch.cuda.FloatTensor")
        assert torch.Tensor is torch.cuda.FloatTensor and torch.Storage is torch.cuda.FloatStorage
        print(torch.zeros(2).type(), torch.Tensor([1]).type())
        """
    )
    assert said == "torch.cuda.FloatTensor torch.cuda.FloatTensor\n"


@pytest.mark.parametrize(
    "name", [torch.FloatTensor, None, 1, "FloatTensor", "torch.NoTensor", "LongTensor", ""]
)
def test_what_is_no_default_class(name):  # E-93
    with pytest.raises(TypeError, match=r"torch\.FloatTensor"):
        torch.set_default_tensor_type(name)
    assert torch.Tensor is torch.FloatTensor


# --- construction ---------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("sizes", [(2, 0, 3), (2, 0), (2, 3, 0, 4)])
def test_sizes_end_before_a_zero(name, sizes):  # T-4
    cut = sizes[: sizes.index(0)]
    cls = getattr(torch, name)
    for t in (cls(*sizes), cls(torch.Size(sizes)), cls(1).new(*sizes), cls(1).resize_(*sizes)):
        assert t.size() == cut and t.numel() == int(np.prod(cut))
    assert torch.zeros(*sizes).size() == torch.ones(sizes).size() == cut


@each
def test_other_sequences_are_values_too(name):  # T-18
    from collections import deque

    cls = getattr(torch, name)
    assert cls(range(3)).tolist() == cls(deque([0, 1, 2])).tolist() == [0, 1, 2]
    assert cls([range(2), [5, 6]]).tolist() == [[0, 1], [5, 6]]


@each
def test_new_makes_what_the_class_makes(name):  # T-27
    cls = getattr(torch, name)
    t = cls([1, 2])
    assert t.new().dim() == 0
    assert t.new(2, 3).size() == t.new(torch.Size([2, 3])).size() == (2, 3)
    assert t.new([[1], [2]]).tolist() == [[1], [2]]
    assert t.new(t).is_set_to(t)
    assert t.new(t.storage()).storage() is t.storage()
    assert t.new(np.ones(2)).tolist() == [1, 1]
    assert all(type(x) is cls for x in (t.new(), t.new(1), t.new([1]), t.new(t)))
    for wrong in ("x", 1.5, None, Variable(t)):
        with pytest.raises(TypeError, match=f"torch.{name}"):
            t.new(wrong)


@pytest.mark.parametrize(
    "values, words",
    [
        ([[1, 2], [3]], [r"\[1\]", "length 1", "length 2"]),
        ([[[1], [2]], [[3], [4, 5]]], [r"\[1\]\[1\]", "length 2", "length 1"]),
        ([[1, 2], 3], [r"\[1\]", "int"]),
        ([1, [2]], [r"\[1\]", "list"]),
        ([[1, 2], [3, "x"]], [r"\[1\]\[1\]", "str"]),
        ([1, None], [r"\[1\]", "NoneType"]),
        ([[1], [torch.ones(1)]], [r"\[1\]\[0\]", "torch.FloatTensor"]),
        ([1, Variable(torch.ones(1))], [r"\[1\]", "Variable"]),
        ([0, np.complex64(1)], [r"\[1\]", "numpy.complex64"]),
        ([0, 1 << 70], [r"\[1\]", "64 bits"]),
        ([[]], [r"\[0\]", "empty"]),
    ],
)
def test_a_bad_item_is_named_with_its_place(values, words):  # T-19 to T-21, E-94
    with pytest.raises(RuntimeError) as e:
        torch.LongTensor(values)
    for word in words:
        assert re.search(word, str(e.value)), e.value


@pytest.mark.parametrize(
    "arguments",
    [(torch.DoubleTensor(1),), (Variable(torch.ones(1)),), (1.5,), ("x",), (b"x",), (None,), ({},)],
)
def test_the_accepted_forms_are_told(arguments):  # T-23, E-95
    with pytest.raises(TypeError) as e:
        torch.FloatTensor(*arguments)
    for form in ("(int ...)", "torch.Size", "viewed_tensor", "FloatStorage", "sequence", "ndarray"):
        assert form in str(e.value)


@pytest.mark.parametrize("make", [torch.FloatTensor, torch.cuda.FloatTensor])
def test_unknown_keywords(make):  # T-26
    with pytest.raises(TypeError, match="keyword"):
        make(2, sizes=3)


def test_the_gpu_classes_take_a_device(gpu):  # T-26
    assert torch.cuda.FloatTensor(2, device=0).size() == (2,)
    with pytest.raises(RuntimeError):
        torch.cuda.FloatTensor(2, device=1)


# --- queries --------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda t: t, Variable], ids=["tensor", "variable"])
@each
def test_queries(name, wrap):  # T-36, T-37
    t = getattr(torch, name)(range(24)).view(4, 6)
    x = wrap(t[1:, ::2].t())
    assert x.size() == x.shape == torch.Size([3, 3]) and type(x.size()) is torch.Size
    assert [x.size(0), x.size(-1)] == [3, 3]
    assert x.stride() == (2, 6) and [x.stride(0), x.stride(-1)] == [2, 6]
    assert x.storage_offset() == 6
    assert x.dim() == x.ndimension() == 2
    assert x.numel() == x.nelement() == torch.numel(x) == 9
    assert x.element_size() == t.element_size()
    assert x.data_ptr() == t.data_ptr() + 6 * t.element_size()
    assert len(x) == 3
    assert x.is_signed() == (name != "ByteTensor")
    assert not (x.is_contiguous() or x.is_cuda or x.is_sparse or x.is_pinned())
    assert x.is_same_size(wrap(t.view(4, 6)[:3, :3])) and not x.is_same_size(wrap(t))
    assert x.storage() is t.storage()
    with pytest.raises(RuntimeError):
        x.get_device()
    for ask in (x.size, x.stride):
        for d in (2, -3):
            with pytest.raises(RuntimeError, match=r"\[-2, 1\]"):  # E-61
                ask(d)


@each
def test_queries_of_the_empty_tensor(name):  # T-4
    t = getattr(torch, name)()
    assert (t.size(), t.stride(), t.dim(), t.numel(), len(t)) == ((), (), 0, 0, 0)
    assert t.tolist() == [] and not bool(t) and list(t) == []


def test_sizes_of_one_never_break_contiguity():  # T-37
    t = torch.zeros(4, 6)
    assert t[:, :1].t().is_contiguous() is False
    assert t[:1].is_contiguous() and t[0:1, 2:5].is_contiguous()


def test_queries_do_not_mix_kinds():  # E-13
    with pytest.raises(TypeError):
        torch.zeros(1).is_same_size(Variable(torch.zeros(1)))
    with pytest.raises(TypeError):
        Variable(torch.zeros(1)).is_same_size(torch.zeros(1))


@pytest.mark.parametrize("order", [(0,), (0, 0), (0, 2), (0, 1, 2), (-3, 0)])
def test_a_permutation_that_is_none(order):  # T-45, E-97
    with pytest.raises(AssertionError, match="Invalid permutation"):
        torch.zeros(2, 3).permute(*order)
    with pytest.raises(RuntimeError):
        Variable(torch.zeros(2, 3)).permute(*order)


def test_size_class():  # T-35
    size = torch.Size([2, 3])
    assert repr(size) == "torch.Size([2, 3])" and isinstance(size, tuple)
    for made in (size[:1], size + torch.Size([1]), size * 2, 2 * size):
        assert type(made) is torch.Size
    assert type(size[0]) is int and size.__class__.__module__ == "torch"
    for wrong in ([1.5], ["x"], [None]):
        with pytest.raises(TypeError):
            torch.Size(wrong)


# --- conversion -----------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("other", EVERY)
@pytest.mark.parametrize("wrap", [lambda t: t, Variable], ids=["tensor", "variable"])
def test_casts(name, other, wrap):  # T-75
    x = wrap(getattr(torch, name)([1, 2, 100]))
    ways = [
        getattr(x, other.removesuffix("Tensor").lower())(),
        x.type(f"torch.{other}"),
        x.type(getattr(torch, other)),
        x.type_as(wrap(getattr(torch, other)(1))),
    ]
    for made in ways:
        assert made.type() == f"torch.{other}" and type(made) is (
            Variable if wrap is Variable else getattr(torch, other)
        )
        assert (made is x) == (name == other)
        assert (made.data if wrap is Variable else made).tolist() == [1, 2, 100]
    assert x.cpu() is x


@pytest.mark.parametrize("new_type", ["FloatTensor", "torch.FloatStorage", int, 3, ""])
def test_an_unknown_class(new_type):
    for x in (torch.zeros(1), Variable(torch.zeros(1))):
        with pytest.raises(TypeError, match=r"torch\.FloatTensor"):
            x.type(new_type)


def test_fractions_truncate_and_integers_wrap():  # T-75
    assert torch.FloatTensor([1.9, -1.9]).int().tolist() == [1, -1]
    assert torch.LongTensor([257, -1]).byte().tolist() == [1, 255]
    assert torch.LongTensor([200]).char().tolist() == [-56]


@each
def test_truth_and_numbers_of_one_element(name):  # T-77
    cls = getattr(torch, name)
    assert bool(cls([3])) and not bool(cls([0])) and bool(cls([[3]]))
    assert (int(cls([3])), float(cls([3]))) == (3, 3.0)
    assert type(int(cls([3]))) is int and type(float(cls([3]))) is float
    with pytest.raises(RuntimeError, match="ambiguous"):  # E-11
        bool(cls([0, 0]))
    for f in (int, float):
        for wrong in (cls(), cls([1, 2])):
            with pytest.raises(TypeError, match="one element"):  # E-12
                f(wrong)


def test_membership_goes_through_truth():  # T-80
    a, b = torch.zeros(2), torch.zeros(2)
    assert a in [a, b]
    with pytest.raises(RuntimeError, match="ambiguous"):
        assert b in [a]
    assert len({a, b, a}) == 2


@pytest.mark.parametrize("name", CLASSES)
def test_comparisons_give_bytes(name):  # T-79
    a, b = tensor(name, [1, 2, 3]), tensor(name, [3, 2, 1])
    found = [a == b, a != b, a < b, a <= b, a > b, a >= b]
    wanted = [[0, 1, 0], [1, 0, 1], [1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1]]
    assert [x.tolist() for x in found] == wanted
    assert {type(x) for x in found} == {torch.ByteTensor}


def test_data_of_a_tensor():  # T-78
    with pytest.raises(RuntimeError, match="Variable"):
        _ = torch.zeros(1).data


# --- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.FloatTensor([[1, 2.5], [3, 4]]),
        lambda: torch.FloatTensor(),
        lambda: torch.zeros(200, 200),
        lambda: Variable(torch.ones(2)),
        lambda: Parameter(torch.ones(2)),
        lambda: torch.FloatStorage([1, 2]),
    ],
)
def test_notebooks_show_the_same(make):
    x = make()
    shown = x._repr_html_()
    assert shown.startswith("<pre>") and shown.endswith("</pre>")
    assert html.unescape(shown[5:-6]) == repr(x)


def test_notebooks_get_no_markup():
    class Odd(Variable):
        pass

    Odd.__name__ = "<b>&"
    assert "&lt;b&gt;&amp; containing:" in Odd(torch.ones(1))._repr_html_()


def test_printing_options():
    t = torch.FloatTensor(range(2000)).div_(7)
    full = t.view(2, 1000)
    torch.set_printoptions(profile="full")
    assert "..." not in str(full) and str(t).count("\n") == 2002
    torch.set_printoptions(profile="short")
    assert str(t).count("\n") == 7 and "..." in str(full)
    torch.set_printoptions(profile="default")
    assert str(t).count("\n") == 9
    torch.set_printoptions(threshold=10**9)
    assert str(t).count("\n") == 2002
    torch.set_printoptions(threshold=float("inf"), edgeitems=1)
    assert str(t).count("\n") == 2002
    torch.set_printoptions(threshold=5)
    assert str(t).count("\n") == 5
    torch.set_printoptions(profile="default", precision=2, linewidth=20)
    assert "Columns 0 to 1 " in str(torch.ones(2, 3).div_(3))
    with pytest.raises(ValueError, match="default, short and full"):
        torch.set_printoptions(profile="long")


def test_iteration_and_lists():
    t = torch.LongTensor([[1, 2], [3, 4]])
    assert [row.tolist() for row in t] == t.tolist() == [[1, 2], [3, 4]]
    assert list(t[0]) == [1, 2] and type(next(iter(t[0]))) is int
    same(torch.LongTensor(t.t().tolist()), [[1, 3], [2, 4]])
