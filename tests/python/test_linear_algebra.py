"""Factorizations against their definition and NumPy, their errors and derivatives (O-7)."""

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import (
    CLASSES,
    FLOATS,
    array,
    check_first,
    check_second,
    close,
    double,
    name_of,
    numbers,
    tensor,
)

SIZES = [1, 2, 3, 7, 33, 70]
# Residuals relative to the size of the matrix: some sums of 70 products.
BOUND = {"FloatTensor": 2e-4, "DoubleTensor": 2e-12}


def regular(n, seed=0):
    """Far from singular."""
    return numbers(n, n, seed=seed) + np.eye(n) * (2 + n**0.5)


def definite(n, seed=0):
    a = numbers(n, n, seed=seed)
    return a @ a.T + np.eye(n)


def laid_out(name, a, how):
    if how == "columns":
        return tensor(name, np.asarray(a).T).t()
    if how == "step":
        return tensor(name, np.repeat(a, 2, axis=1))[:, ::2]
    return tensor(name, a)


def near(got, wanted, name="DoubleTensor", scale=1.0):
    got = array(got).astype(np.float64) if not isinstance(got, np.ndarray) else got
    assert got.shape == np.shape(wanted)
    assert np.abs(got - wanted).max() <= BOUND[name] * max(1.0, scale, np.abs(wanted).max())


def values(*results):
    return [array(r).astype(np.float64) for r in results]


# Linear equations.


@pytest.mark.parametrize("layout", ["rows", "columns", "step"])
@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("n", SIZES)
def test_inverse(n, name, layout):
    a = regular(n)
    x = laid_out(name, a, layout)
    near(x.inverse(), np.linalg.inv(a), name)
    near(torch.inverse(Variable(x)), np.linalg.inv(a), name)
    np.testing.assert_array_equal(array(x), a.astype(CLASSES[name]))


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("k", [1, 3])
def test_gesv(n, k, name):
    a, b = regular(n), numbers(n, k, seed=1)
    x, lu = torch.gesv(tensor(name, b), tensor(name, a))
    near(x, np.linalg.solve(a, b), name)
    (f,) = values(lu)
    product = (np.tril(f, -1) + np.eye(n)) @ np.triu(f)
    # The rows of A in another order.
    order = [int(np.abs(a - row).sum(1).argmin()) for row in product]
    assert sorted(order) == list(range(n))
    near(product, a[order], name)
    # The largest of a column is its pivot.
    assert np.abs(np.tril(f, -1)).max() <= 1.0


def test_gesv_of_a_vector_gives_a_column():
    a, b = regular(3), numbers(3, seed=1)
    x, _ = double(b).gesv(double(a))
    close(x, np.linalg.solve(a, b)[:, None])


@pytest.mark.parametrize("op", ["inverse", "gesv"])
@pytest.mark.parametrize("row", [0, 2, 3])
def test_a_singular_matrix_names_its_zero_pivot(op, row):  # E-85
    a = np.triu(np.ones((4, 4)))
    a[row, row] = 0
    # Columns before it are regular; elimination finds nothing in this one.
    call = double(a).inverse if op == "inverse" else lambda: torch.gesv(double(a), double(a))
    if row < 3:
        a[row + 1 :, row] = 0
    with pytest.raises(RuntimeError, match=f"{op}.*pivot {row + 1} "):
        call()


SQUARE = ["inverse", "potrf", "potri", "pstrf", "symeig", "eig"]


@pytest.mark.parametrize("kind", ["tensor", "Variable"])
@pytest.mark.parametrize("op", SQUARE)
def test_square_matrices_are_needed(op, kind):  # E-86
    for bad in (torch.ones(2, 3), torch.ones(2), torch.ones(2, 2, 2), torch.Tensor()):
        x = Variable(bad) if kind == "Variable" else bad
        with pytest.raises(RuntimeError, match=op):
            getattr(x, op)()


@pytest.mark.parametrize("op", ["qr", "svd", "geqrf"])
def test_matrices_are_needed(op):
    for bad in (torch.ones(2), torch.ones(2, 2, 2), torch.Tensor()):
        with pytest.raises(RuntimeError, match=op):
            getattr(bad, op)()


@pytest.mark.parametrize("op", ["gesv", "trtrs", "gels", "potrs"])
def test_right_hand_sides_have_as_many_rows(op):  # E-64
    with pytest.raises(RuntimeError, match=f"{op}.*3"):
        getattr(torch, op)(torch.ones(4, 1), torch.eye(3))
    if op != "gels":
        with pytest.raises(RuntimeError, match=f"{op}.*square"):
            getattr(torch, op)(torch.ones(2, 1), torch.ones(2, 3))


@pytest.mark.parametrize("op", [*SQUARE, "qr", "svd", "geqrf"])
def test_integers_have_no_factorizations(op):  # E-81
    x = torch.ones(2, 2).long()
    assert not hasattr(x, op)
    with pytest.raises(TypeError):
        getattr(torch, op)(x)
    with pytest.raises(RuntimeError, match=op):
        getattr(Variable(x), op)()


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("n", SIZES)
def test_cholesky_family(n, name, upper):
    a = definite(n)
    size = np.abs(a).max()
    lower = np.linalg.cholesky(a)
    factor = lower.T if upper else lower
    # The other triangle is not read.
    half = np.triu(a) + np.tril(np.full((n, n), np.nan), -1) if upper else None
    read = half if upper else np.tril(a) + np.triu(np.full((n, n), np.nan), 1)
    u = tensor(name, read).potrf(upper)
    near(u, factor, name, size)
    assert not np.tril(array(u).T if not upper else array(u), -1).any()
    near(u.potri(upper), np.linalg.inv(a), name, size)
    b = numbers(n, 2, seed=1)
    near(torch.potrs(tensor(name, b), u, upper), np.linalg.solve(a, b), name, size)
    if upper:
        near(torch.potrf(tensor(name, a)), factor, name, size)  # the default


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("order", [1, 2, 3, 40])
def test_an_indefinite_matrix_names_its_minor(order, upper):  # E-85
    a = definite(40)
    a[order - 1, order - 1] = -1.0
    with pytest.raises(RuntimeError, match=rf"potrf.*order {order} "):
        double(a).potrf(upper)
    a[order - 1, order - 1] = np.nan
    with pytest.raises(RuntimeError, match=r"potrf.*order"):
        double(a).potrf(upper)


@pytest.mark.parametrize("op", ["potri", "potrs", "trtrs"])
def test_a_triangle_with_a_zero_names_it(op):
    u = np.triu(numbers(3, 3))
    u[1, 1] = 0
    with pytest.raises(RuntimeError, match=f"{op}.*pivot 2"):
        double(u).potri() if op == "potri" else getattr(torch, op)(
            torch.ones(3).double(), double(u)
        )


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("n, rank", [(1, 1), (4, 4), (4, 2), (30, 11), (30, 30)])
def test_pivoted_cholesky(n, rank, upper):
    b = numbers(n, rank)
    a = b @ b.T
    u, piv = torch.pstrf(double(a), upper)
    assert piv.type() == "torch.IntTensor"
    order = array(piv) - 1
    assert sorted(order) == list(range(n))
    (f,) = values(u)
    f = f if upper else f.T
    near(f.T @ f, a[np.ix_(order, order)])
    diagonal = np.diag(f)
    assert (np.diff(diagonal) <= 1e-12).all() and (diagonal[:rank] > 0).all()
    assert not f[rank:].any()
    with pytest.raises(RuntimeError, match="pstrf"):
        torch.pstrf(double(-a))


@pytest.mark.parametrize("unitriangular", [False, True])
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("n", [1, 3, 40])
def test_trtrs(n, upper, transpose, unitriangular):
    a, b = regular(n) / 3, numbers(n, 2, seed=1)
    x, clone = torch.trtrs(double(b), double(a), upper, transpose, unitriangular)
    t = np.triu(a) if upper else np.tril(a)
    if unitriangular:
        np.fill_diagonal(t, 1)
        if n > 3:
            return  # Its inverse is too large to compare.
    t = t.T if transpose else t
    near(t @ array(x), b, scale=np.abs(array(x)).max())
    near(clone, a)
    assert x.size() == torch.Size([n, 2])


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("m, n", [(1, 1), (4, 2), (2, 4), (3, 3), (70, 40), (40, 70)])
def test_gels(m, n, name):
    a, b = numbers(m, n), numbers(m, 2, seed=1)
    a[: min(m, n)] += np.eye(min(m, n), n) * 4
    x, packed = torch.gels(tensor(name, b), tensor(name, a))
    assert x.size() == torch.Size([max(m, n), 2])
    near(array(x)[:n].astype(float), np.linalg.lstsq(a, b, rcond=None)[0], name)
    assert packed.size() == torch.Size([m, n])
    if m > n:
        residual = np.linalg.norm(a @ array(x)[:n] - b, axis=0)
        near(np.linalg.norm(array(x)[n:].astype(float), axis=0), residual, name)
    with pytest.raises(RuntimeError, match=r"gels.*full rank"):
        torch.gels(torch.ones(3, 1), torch.zeros(3, 2))


# Stacks.


def stack(count, n):
    return np.stack(
        [regular(n, seed=i)[np.random.RandomState(i).permutation(n)] for i in range(count)]
    )


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("count, n", [(1, 1), (3, 2), (4, 5), (2, 40)])
def test_stacks_of_equations(count, n, name):
    a = stack(count, n)
    lu, pivots = torch.btrifact(tensor(name, a))
    assert pivots.type() == "torch.IntTensor" and pivots.size() == torch.Size([count, n])
    p, lower, upper = (array(x).astype(float) for x in torch.btriunpack(lu, pivots))
    near(p @ lower @ upper, a, name)
    assert not np.triu(lower, 1).any() and not np.tril(upper, -1).any()
    assert (np.abs(lower) <= 1).all() and (lower[:, range(n), range(n)] == 1).all()
    b = numbers(count, n, seed=3)
    near(
        torch.btrisolve(tensor(name, b), lu, pivots), np.linalg.solve(a, b[..., None])[..., 0], name
    )
    c = numbers(count, n, 3, seed=3)
    near(tensor(name, c).btrisolve(lu, pivots), np.linalg.solve(a, c), name)


def test_btrifact_reports_singular_matrices():
    a = stack(3, 4)
    a[1, :, 2] = a[1, :, 0] * 0
    with pytest.raises(RuntimeError, match=r"matrix 1.*pivot 3"):
        double(a).btrifact()
    info = torch.IntTensor()
    lu, pivots = torch.btrifact(double(a), info=info)
    assert array(info).tolist() == [0, 3, 0]
    p, lower, upper = (array(x) for x in torch.btriunpack(lu, pivots))
    near(p @ lower @ upper, a)
    again = torch.DoubleTensor(), torch.IntTensor()
    assert torch.btrifact(double(a), info=info, out=again)[0] is again[0]
    np.testing.assert_array_equal(array(again[0]), array(lu))
    lu, pivots, status = torch.btrifact_with_info(Variable(double(a)))
    assert array(status).tolist() == [0, 3, 0]
    with pytest.raises(RuntimeError, match=r"btrisolve.*zero"):
        torch.btrisolve(Variable(torch.ones(3, 4).double()), lu, pivots)


def test_btrifact_refusals():
    with pytest.raises(RuntimeError, match="GPU"):
        torch.btrifact(torch.ones(1, 2, 2), pivot=False)
    with pytest.raises(RuntimeError, match="b x n x n"):
        torch.btrifact(torch.ones(1, 2, 3))
    with pytest.raises(TypeError, match="IntTensor"):
        torch.btrifact(torch.ones(1, 2, 2), info=torch.LongTensor())
    lu, pivots = torch.btrifact(torch.eye(2).unsqueeze(0))
    with pytest.raises(TypeError, match="IntTensor"):
        torch.btrisolve(torch.ones(1, 2), lu, pivots.long())
    with pytest.raises(RuntimeError, match="pivot is 3"):
        torch.btrisolve(torch.ones(1, 2), lu, pivots + 1)
    with pytest.raises(RuntimeError, match="btrisolve"):
        torch.btrisolve(torch.ones(2, 2), lu, pivots)


def test_btriunpack_leaves_out_what_is_not_wanted():
    lu, pivots = torch.btrifact(Variable(torch.eye(2).unsqueeze(0)))
    p, lower, upper = torch.btriunpack(lu, pivots, unpack_data=False)
    assert lower is None and upper is None and isinstance(p, Variable)
    assert torch.btriunpack(lu, pivots, True, False)[0] is None


# Orthogonal factors.

SHAPES = [(1, 1), (3, 3), (5, 2), (2, 5), (40, 33), (33, 40), (90, 70)]


def lapack_qr(a):
    """Packed Householder QR by its definition, column by column."""
    a = a.copy()
    m, n = a.shape
    tau = np.zeros(min(m, n))
    for j in range(min(m, n)):
        alpha, tail = a[j, j], a[j + 1 :, j].copy()
        norm = np.linalg.norm(tail)
        if norm == 0:
            continue
        beta = -np.copysign(np.hypot(alpha, norm), alpha)
        tau[j] = (beta - alpha) / beta
        v = np.concatenate([[1.0], tail / (alpha - beta)])
        a[j:, j + 1 :] -= tau[j] * np.outer(v, v @ a[j:, j + 1 :])
        a[j, j], a[j + 1 :, j] = beta, v[1:]
    return a, tau


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("m, n", SHAPES)
def test_packed_qr_is_lapacks(m, n, name):
    a = numbers(m, n)
    packed, tau = torch.geqrf(tensor(name, a))
    wanted = lapack_qr(a)
    near(packed, wanted[0], name, 10)
    near(tau, wanted[1], name)


def test_packed_qr_of_a_deficient_matrix():
    a = numbers(6, 1) @ numbers(1, 4, seed=1)
    a[:, 2] = 0
    q, r = torch.qr(double(a))
    near(array(q) @ array(r), a)
    near(array(q).T @ array(q), np.eye(4))
    q, r = torch.qr(double(np.zeros((3, 2))))
    near(array(q), np.eye(3, 2))
    huge = numbers(4, 3) * 1e200
    q, r = torch.qr(double(huge))
    near(array(q) @ (array(r) / 1e200), huge / 1e200)


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("m, n", SHAPES)
def test_qr(m, n, name):
    a = numbers(m, n)
    q, r = torch.qr(tensor(name, a))
    k = min(m, n)
    assert q.size() == torch.Size([m, k]) and r.size() == torch.Size([k, n])
    Q, R = values(q, r)
    near(Q @ R, a, name, 10)
    near(Q.T @ Q, np.eye(k), name)
    assert not np.tril(R, -1).any()
    wanted = np.linalg.qr(a)
    near(Q, wanted[0], name, 10)
    near(R, wanted[1], name, 10)


@pytest.mark.parametrize("m, n", [s for s in SHAPES if s[0] >= s[1]])
def test_q_of_packed_factors(m, n):
    packed, tau = torch.geqrf(double(numbers(m, n)))
    q = torch.orgqr(packed, tau)
    near(q, np.linalg.qr(numbers(m, n))[0])
    whole = np.linalg.qr(numbers(m, n), mode="complete")[0]
    c, d = numbers(m, 3, seed=1), numbers(3, m, seed=1)
    for transpose in (False, True):
        Q = whole.T if transpose else whole
        near(torch.ormqr(packed, tau, double(c), True, transpose), Q @ c)
        near(torch.ormqr(packed, tau, double(d), False, transpose), d @ Q)
    with pytest.raises(RuntimeError, match=r"ormqr.*left"):
        torch.ormqr(packed, tau, double(numbers(m + 1, 1)))
    with pytest.raises(RuntimeError, match="tau"):
        torch.orgqr(packed, torch.zeros(n + 1).double())


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("some", [True, False])
@pytest.mark.parametrize("m, n", SHAPES)
def test_svd(m, n, some, name):
    a = numbers(m, n)
    k = min(m, n)
    u, s, v = torch.svd(tensor(name, a), some)
    assert u.size() == torch.Size([m, k if some else m])
    assert v.size() == torch.Size([n, k if some else n])
    U, S, V = values(u, s, v)
    near(S, np.linalg.svd(a, compute_uv=False), name)
    near(U[:, :k] * S @ V[:, :k].T, a, name, 10)
    near(U.T @ U, np.eye(U.shape[1]), name)
    near(V.T @ V, np.eye(V.shape[1]), name)


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("n", SIZES)
def test_symmetric_eigenvalues(n, upper, name):
    a = numbers(n, n)
    whole = np.triu(a) + np.triu(a, 1).T if upper else np.tril(a) + np.tril(a, -1).T
    e, none = torch.symeig(tensor(name, a), upper=upper)
    assert none.numel() == 0
    near(e, np.linalg.eigvalsh(whole), name, 10)
    e, v = tensor(name, a).symeig(True, upper)
    E, V = values(e, v)
    assert (np.diff(E) >= 0).all()
    near(whole @ V, V * E, name, 10)
    near(V.T @ V, np.eye(n), name)


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("n", SIZES)
def test_eigenvalues(n, name):
    a = numbers(n, n)
    e, none = torch.eig(tensor(name, a))
    assert e.size() == torch.Size([n, 2]) and none.numel() == 0
    e, v = torch.eig(tensor(name, a), True)
    E, V = values(e, v)
    z = E[:, 0] + 1j * E[:, 1]
    wanted = list(np.linalg.eigvals(a))
    for x in z:
        nearest = min(range(len(wanted)), key=lambda i: abs(wanted[i] - x))
        assert abs(wanted.pop(nearest) - x) <= 100 * BOUND[name]
    j = 0
    while j < n:
        if E[j, 1] == 0:
            vector, step = V[:, j] + 0j, 1
        else:
            assert E[j, 1] > 0 and z[j + 1] == np.conj(z[j])
            vector, step = V[:, j] + 1j * V[:, j + 1], 2
            assert vector[np.abs(vector).argmax()].imag == 0
        assert np.abs(a @ vector - z[j] * vector).max() <= 100 * BOUND[name]
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        j += step


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("op", ["svd", "symeig", "eig"])
def test_iterations_refuse_what_is_not_finite(op, n, bad):
    a = numbers(n, n)
    a[0, n - 1] = bad
    with pytest.raises(RuntimeError, match=f"{op}.*NaN"):
        getattr(double(a), op)()


@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("op", ["inverse", "qr", "geqrf", "gesv", "gels"])
def test_nan_goes_through_the_others(op, n):
    a = regular(n)
    a[0, n - 1] = np.nan
    x = double(a)
    made = getattr(torch, op)(x, x) if op in ("gesv", "gels") else getattr(x, op)()
    results = made if isinstance(made, tuple) else (made,)
    assert any(np.isnan(array(r)).any() for r in results)


def test_outputs_of_several_results():  # O-7
    a = numbers(4, 3)
    out = torch.DoubleTensor(), torch.DoubleTensor()
    assert torch.qr(double(a), out=out)[0] is out[0]
    near(array(out[0]) @ array(out[1]), a)
    with pytest.raises(TypeError, match="gives 2"):
        torch.qr(double(a), out=torch.DoubleTensor())
    with pytest.raises(TypeError, match="class"):
        torch.qr(double(a), out=(torch.FloatTensor(), torch.DoubleTensor()))


# Derivatives.


def test_gradients_of_equations():
    check_first(lambda x: x.inverse(), regular(3))
    check_second(lambda x: x.inverse(), regular(3))
    solve = lambda b, a: torch.gesv(b, a)[0]  # noqa: E731
    check_first(solve, numbers(3, 2), regular(3))
    check_second(solve, numbers(3, 2), regular(3))


@pytest.mark.parametrize("upper", [True, False])
def test_gradients_of_cholesky(upper):
    def factor(b):
        return (b.mm(b.t()) + Variable(torch.eye(3).double())).potrf(upper)

    check_first(factor, numbers(3, 3))
    check_second(factor, numbers(3, 3))


def test_only_the_solution_of_gesv_has_a_gradient():
    a = Variable(double(regular(3)), requires_grad=True)
    x, _lu = torch.gesv(Variable(double(numbers(3, 1))), a)
    assert name_of(x.grad_fn) == "GesvBackward"


UNDERIVED = {
    "potri": ("PotriBackward", lambda x, y: x.potri()),
    "potrs": ("PotrsBackward", lambda x, y: x.potrs(y)),
    "pstrf": ("PstrfBackward", lambda x, y: x.mm(x.t()).pstrf()[0]),
    "trtrs": ("TrtrsBackward", lambda x, y: x.trtrs(y)[0]),
    "gels": ("GelsBackward", lambda x, y: x.gels(y)[0]),
    "geqrf": ("GeqrfBackward", lambda x, y: x.geqrf()[0]),
    "orgqr": ("OrgqrBackward", lambda x, y: x.orgqr(y[0])),
    "ormqr": ("OrmqrBackward", lambda x, y: x.ormqr(y[0], y)),
    "qr": ("QrBackward", lambda x, y: x.qr()[0]),
    "svd": ("SvdBackward", lambda x, y: x.svd()[1]),
    "symeig": ("SymeigBackward", lambda x, y: x.symeig(True)[1]),
    "eig": ("EigBackward", lambda x, y: x.eig()[0]),
    "btrifact": ("BtrifactBackward", lambda x, y: x.unsqueeze(0).btrifact()[0]),
    "btrisolve": (
        "BtrisolveBackward",
        lambda x, y: x.unsqueeze(0).btrisolve(*y.unsqueeze(0).btrifact()),
    ),
}


@pytest.mark.parametrize("op", UNDERIVED)
def test_missing_derivatives_are_reported_when_backward_runs(op):  # E-33
    node, run = UNDERIVED[op]
    x = Variable(double(regular(3)), requires_grad=True)
    out = run(x, Variable(double(regular(3, seed=1))))
    assert name_of(out.grad_fn) == node and out.requires_grad
    with pytest.raises(RuntimeError, match=f"{node}.*derivative.*not implemented"):
        out.sum().backward()


def test_factors_on_the_gpu(gpu):
    a = definite(4).astype(np.float32)
    x = torch.FloatTensor(a.tolist()).cuda()
    for made, wanted in [
        (x.inverse(), np.linalg.inv(a)),
        (x.potrf(False), np.linalg.cholesky(a)),
        (x.symeig()[0], np.linalg.eigvalsh(a)),
        (torch.gesv(x, x)[0], np.eye(4)),
    ]:
        assert made.is_cuda
        near(made, wanted, "FloatTensor", 10)
    lu, pivots = torch.btrifact(x.unsqueeze(0), pivot=False)
    assert array(pivots).tolist() == [[1, 2, 3, 4]] and lu.is_cuda
    p, lower, upper = (array(t).astype(float) for t in torch.btriunpack(lu, pivots))
    near(p @ lower @ upper, a[None], "FloatTensor", 10)
    info = torch.cuda.IntTensor()
    torch.btrifact(x.unsqueeze(0), info=info)
    assert array(info).tolist() == [0]
