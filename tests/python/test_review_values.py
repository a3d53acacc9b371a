"""Values, texts and errors in corners that a review found."""

import pytest

import rgrad as torch
from rgrad import Variable

INF, NAN = float("inf"), float("nan")
D, F, L, I = torch.DoubleTensor, torch.FloatTensor, torch.LongTensor, torch.IntTensor  # noqa: E741


@pytest.fixture
def options():
    """Print options that are put back."""
    yield torch.set_printoptions
    torch.set_printoptions(profile="default")


def test_histc_of_ranges_beyond_the_largest_number():
    assert D([-1e308, 0, 1e308]).histc(2, -1e308, 1e308).tolist() == [1, 2]
    assert D([-1e308, 1e308]).histc(2).tolist() == [1, 1]
    assert D([1e308, 1e308]).histc(2).tolist() == [0, 2]
    assert D([0, 5e-324]).histc(2, 0, 5e-324).tolist() == [1, 1]


def test_histc_counts_nothing_outside_finite_bounds():
    values = F([-INF, NAN, 0, 1, 2, 3, INF])
    assert values.histc(2, 1, 3).tolist() == [1, 2]


@pytest.mark.parametrize("values", [[0, INF], [-INF, 0]])
def test_histc_refuses_infinite_bounds_of_the_data(values):
    with pytest.raises(RuntimeError, match=r"histc: min and max .*inf"):
        F(values).histc(3)


def test_histc_refuses_bounds_in_the_wrong_order():
    with pytest.raises(RuntimeError, match=r"histc: .*min 3 and max 1"):
        F([1, 2]).histc(5, 3, 1)


def test_vertical_dots_are_centred_in_the_real_row(options):
    options(precision=1, threshold=10)
    lines = str(F(10, 2).fill_(6000)).split("\n")
    row, dots = lines[3], lines[4]
    assert dots.strip() == "⋮" and len(dots) == len(row) + 1
    assert dots == "⋮".center(len(dots)) or dots == f"{'⋮':^{len(dots)}}"


def test_truncated_rows_with_a_common_factor_are_not_indented(options):
    options(threshold=10)
    lines = str(F(9, 2).fill_(0.0002)).split("\n")
    assert lines[1].endswith(" *")
    assert lines[2] == " 2.0000  2.0000"
    assert lines[5] == f"{'⋮':^{len(lines[2]) + 1}}"
    options(threshold=1000)
    assert str(F(9, 2).fill_(0.0002)).split("\n")[2] == "  2.0000  2.0000"


def test_out_of_range_dimensions_name_the_op():
    f = F([[1, 2], [3, 4]])
    for call in (lambda: torch.stack([f, f], 3), lambda: torch.stack([f, f], -4)):
        with pytest.raises(RuntimeError, match=r"stack: .*\[-3, 2\]"):
            call()
    with pytest.raises(RuntimeError, match=r"unbind: .*\[-2, 1\].* 2"):
        torch.unbind(f, 2)
    with pytest.raises(RuntimeError, match=r"map_: .*3.*2 x 2|map_: .*3.*2x2"):
        f.map_(F([1, 2, 3]), lambda a, b: a)


@pytest.mark.parametrize("pivots", [[9, -7], [1, 3], [0, 2]])
def test_btriunpack_names_the_pivot(pivots):
    wrong = next(p for p in pivots if not 1 <= p <= 2)
    with pytest.raises(RuntimeError, match=f"btriunpack: .*{wrong}"):
        torch.btriunpack(F([[[2, 0], [0, 4]]]), I([pivots]))


def test_permute_says_it_once():
    with pytest.raises(AssertionError, match=r"Invalid permutation") as caught:
        F([[1, 2]]).permute(0, 0)
    assert str(caught.value).count("Invalid permutation") == 1


@pytest.mark.parametrize("operator", ["__add__", "__sub__", "__mul__", "__iadd__"])
def test_fractions_beside_integers_list_the_signatures(operator):
    with pytest.raises(
        TypeError, match=r"invalid combination of arguments.*float.*LongTensor.*\n.*int value"
    ):
        getattr(L([1, 2]), operator)(1.5)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("size", lambda: F([1]).size("a")),
        ("stride", lambda: F([1]).stride("a")),
        ("size", lambda: Variable(F([1])).size("a")),
        ("split", lambda: F([1, 2]).split([1, 1])),
        ("split", lambda: torch.split(Variable(F([1, 2])), [1, 1])),
        ("linspace", lambda: torch.linspace(0, 1, 2.0)),
        ("randperm", lambda: torch.randperm(4.0)),
    ],
)
def test_wrong_types_name_the_op_and_its_form(name, call):
    with pytest.raises(TypeError, match=rf"{name} received .* expected {name}\(.*int"):
        call()


@pytest.mark.parametrize("bounds", [(0, NAN), (NAN, 1), (0, INF)])
def test_arange_needs_finite_bounds(bounds):
    with pytest.raises(RuntimeError, match=r"arange: .*finite"):
        torch.arange(*bounds)


def test_results_without_memory_fail_before_the_indices_are_read():
    far = L([5]).expand(2**50)
    for call in (lambda: F([1, 2]).index_select(0, far), lambda: torch.take(F([1, 2]), far)):
        with pytest.raises((MemoryError, RuntimeError), match=r"memory|size|bytes"):
            call()


def test_resize_to_its_own_sizes_changes_nothing():
    t = F([[1, 2, 3], [4, 5, 6]]).t()
    t.resize_(3, 2)
    t.resize_as_(F(3, 2))
    assert t.stride() == (1, 3)
    assert t.tolist() == [[1, 4], [2, 5], [3, 6]]


def test_sign_of_nan_is_zero():
    for cls in (F, D):
        assert cls([NAN, -INF, INF, -0.0]).sign().tolist() == [0, -1, 1, 0]


def test_indices_have_no_flags():
    v = Variable(F([[3, 1, 2], [0, 5, 4]]), volatile=True)
    r = Variable(v.data, requires_grad=True)
    for x in (v, r):
        found = [x.nonzero(), x.max(1)[1], x.min(1)[1], x.sort(1)[1], x.topk(2)[1]]
        found += [x.median(1)[1], x.mode(1)[1], x.kthvalue(1)[1]]
        for index in found:
            assert not index.volatile and not index.requires_grad and index.grad_fn is None
    assert v.max(1)[0].volatile and v.sort(1)[0].volatile
