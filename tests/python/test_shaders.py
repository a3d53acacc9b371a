"""Every shader text that rgrad sends, run through wgpu-py on the software driver against NumPy.

The list comes from the program that sends the texts; a shader without a runner here fails.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("wgpu", reason="wgpu-py is the second driver (pip install wgpu)")
if os.environ.get("RGRAD_GPU") == "off":
    pytest.skip("RGRAD_GPU=off", allow_module_level=True)

from shader_answers import (
    FORMULAS,
    SPECIAL,
    TABLE,
    function_inputs,
    random,
    row_case,
    ulp_error,
)
from shader_driver import KINDS, Driver, manifest

LISTING = manifest()
SHADERS = LISTING["shaders"]


def name(shader: dict) -> str:
    facts = [v for k, v in shader.items() if k not in ("file", "defs", "expr")]
    return "-".join([shader["file"], *facts]).replace(" ", ",")


@pytest.fixture(scope="module")
def driver() -> Driver:
    return Driver(LISTING)


# --- element by element -------------------------------------------------------------------------


def map_case(shader: dict):
    """Inputs, numbers and the wanted result of a map; the bound in ulp."""
    op, kinds = shader["op"], shader["inputs"].split()
    out = KINDS[shader["out"]]
    if op == "fill":
        value = {"f32": 1.5, "raw32": 1.5, "i32": -7, "u8": 200, "raw64": -5_000_000_000}[
            shader["out"]
        ]
        if shader["out"] == "raw32":
            bits = [int(np.float32(value).view(np.uint32))]
            want = np.full(1001, bits[0], np.uint32)
        else:
            bits = [value & 0xFFFFFFFF, (value >> 32) & 0xFFFFFFFF]
            want = np.full(1001, value).astype(out)
        return [], bits, want, 0
    if op == "copy":
        x = random(kinds[0], 1001, 1)
        if kinds[0] == "f32":
            x = np.concatenate([x * np.float32(1e4), SPECIAL, np.float32([3e9, -3e9, 1e19, -1e19])])
        if kinds[0] in ("raw64", "i64"):
            wide = np.random.default_rng(2).integers(-(2**63), 2**63, 500)
            x = np.concatenate([x, wide, [2**24 + 1, 2**53 + 1, -(2**63), 2**63 - 1]])
        if kinds[0] == "raw32":
            x = np.random.default_rng(3).integers(0, 2**32, 1001, dtype=np.uint32)
        if kinds[0] == "f32" and shader["out"] != "f32":
            wide = np.nan_to_num(x.astype(np.float64), nan=0, posinf=1e30, neginf=-1e30)
            whole = [max(-(2**63), min(2**63 - 1, int(v))) for v in wide]
            return [x], [], np.array(whole, np.int64).astype(out), 0
        return [x], [], x.astype(out), 0
    if op == "scale":
        x = random("f32", 1001, 1)
        bits = [int(np.float32(2.0).view(np.uint32)), -3 & 0xFFFFFFFF]
        return [x], bits, x.astype(np.float64) * 2 - 3, 1
    if op in TABLE and not (op == "add" and kinds == ["i32", "i64"]):
        return row_case(shader)
    if op in ("add", "shared"):
        inputs = [random(k, 1001, i) for i, k in enumerate(kinds)]
        with np.errstate(over="ignore"):
            wide = [
                x if k == "u8" else x.astype(np.float32 if k == "f32" else np.int64)
                for x, k in zip(inputs, kinds, strict=True)
            ]
            return inputs, [], FORMULAS[op][0](*wide).astype(out), 0
    if op == "where":
        inputs = [random(k, 1001, i) for i, k in enumerate(kinds)]
        inputs[0][::3] = 0
        return inputs, [], FORMULAS[op][0](*inputs), 0
    function, bound = FORMULAS[op]
    inputs = function_inputs(len(kinds))
    with np.errstate(all="ignore"):
        want = function(*[x.astype(np.float64) for x in inputs])
    return inputs, [], want if shader["out"] == "f32" else want.astype(out), bound


def same(got: np.ndarray, want: np.ndarray, bound: float | str, what: str) -> None:
    if bound == "close" and got.dtype == np.float32:
        np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6, err_msg=what)
        return
    if got.dtype == np.float32:
        error = ulp_error(got, want.astype(np.float64))
        assert error <= max(bound, 0.5), f"{what}: {error:.2f} ulp"
    else:
        np.testing.assert_array_equal(got, want, err_msg=what)


def run_map(driver: Driver, shader: dict) -> None:
    inputs, params, want, bound = map_case(shader)
    shared = [i == "1" for i in shader["shared"].split()]
    # Odd counts; strided variants get stepped inputs and a shifted, stepped result.
    for count in (1, 3, 4, len(want)):
        out = KINDS[shader["out"]]
        cut = [x[-count:] for x in inputs]
        wanted = want[-count:]
        walk = {"count": count, "params": params, "offsets": [0, 0, 0, 0]}
        if shader["flat"] == "true":
            walk |= {"steps": [1, 1, 1, 1], "invocations": -(-count // 4)}
            walk["offsets"] = [4, 0, 8, 4]
            places = [slice(o, o + count) for o in walk["offsets"]]
            sizes = [o + count for o in walk["offsets"]]
        else:
            steps = [2, 3, 1, 3]
            walk |= {"invocations": count, "sizes": [count], "strides": [steps]}
            walk["offsets"] = [1, 0, 2, 1]
            places = [
                slice(o, o + count * s, s) for o, s in zip(walk["offsets"], steps, strict=True)
            ]
            sizes = [o + count * s for o, s in zip(walk["offsets"], steps, strict=True)]
        y = np.full(sizes[3], 77, out)
        arrays = []
        for i, x in enumerate(cut):
            if shared[i]:
                y[places[3]] = x
                for key in ("offsets", "steps"):
                    if key in walk:
                        walk[key][i] = walk[key][3]
                if "strides" in walk:
                    walk["strides"][0][i] = walk["strides"][0][3]
                continue
            array = np.full(sizes[i], 55, x.dtype)
            array[places[i]] = x
            arrays.append(array)
        before = y.copy()
        groups = -(-walk["invocations"] // 256)
        *_, got, trouble = driver.run(
            shader, [*arrays, y], walk, (min(groups, 7), -(-groups // min(groups, 7)), 1)
        )
        same(got[places[3]], wanted, bound, name(shader))
        rest = np.ones(len(y), bool)
        rest[places[3]] = False
        np.testing.assert_array_equal(got[rest], before[rest])
        assert trouble is None or not trouble.any()
    if shader["flat"] == "true" and inputs and not any(shared):
        # The first input repeats one element.
        cut = [np.full(13, inputs[0][0]), *[x[:13] for x in inputs[1:]]]
        walk = {"count": 13, "params": params, "invocations": 4, "steps": [0, 1, 1, 1]}
        full = map_case({**shader, "inputs": shader["inputs"]})
        y = np.zeros(13, KINDS[shader["out"]])
        *_, got, _ = driver.run(shader, [cut[0][:1], *cut[1:], y], walk, (1, 1, 1))
        if len(inputs) == 1:
            same(got, np.repeat(full[2][:1], 13), bound, "one for all")
        else:
            walk["steps"][0] = 1
            *_, plain, _ = driver.run(shader, [*cut, y], walk, (1, 1, 1))
            np.testing.assert_array_equal(got, plain)


# --- folds --------------------------------------------------------------------------------------

FOLDS = {
    "sum": lambda x: x.sum(-1),
    "prod": lambda x: x.prod(-1),
    "max": lambda x: x.max(-1),
    "min": lambda x: x.min(-1),
}


def run_fold(driver: Driver, shader: dict) -> None:
    kind, out = shader["in"], KINDS[shader["out"]]
    rowwise = shader["file"] == "fold_row"
    for rows, length, stretch in [(1, 1, 64), (5, 7, 3), (3, 700, 300), (4, 0, 16)]:
        if length == 0 and shader["reduce"] in ("max", "min"):
            continue
        x = random(kind, rows * length, 3).reshape(rows, length)
        if shader["reduce"] == "prod":
            x = (1 + x / 500).astype(np.float32) if kind == "f32" else (x % 3 + 1).astype(x.dtype)
        if kind == "f32" and length > 2 and shader["reduce"] in ("max", "min"):
            x[0, 1], x[-1, 2] = np.nan, np.inf
        parts = max(1, -(-length // stretch))
        # x lies across memory: the rows are its columns.
        across = np.ascontiguousarray(x.T)
        walk = {
            "count": rows,
            "invocations": rows * parts,
            "sizes": [rows],
            "strides": [[1, 0, 0, parts]],
            "steps": [rows],
            "extra": [length, stretch, parts, 1],
        }
        groups = rows * parts if rowwise else -(-rows * parts // 256)
        y = np.full(rows * parts, 77, out)
        source = across.ravel() if length else np.zeros(1, KINDS[kind])
        _, got, _ = driver.run(shader, [source, y], walk, (groups, 1, 1))
        pieces = [x[:, p * stretch : (p + 1) * stretch] for p in range(parts)]
        wide = np.float64 if kind == "f32" else np.int64
        with np.errstate(over="ignore", invalid="ignore"):
            want = np.stack([FOLDS[shader["reduce"]](p.astype(wide)) for p in pieces], 1).ravel()
        if kind == "f32":
            # Rounding grows with the sizes that are added, not with what is left of them.
            np.testing.assert_allclose(got, want, rtol=2e-6 * max(1, stretch) ** 0.5, atol=2e-5)
        else:
            np.testing.assert_array_equal(got, want.astype(out))


def run_arg(driver: Driver, shader: dict) -> None:
    kind = shader["in"]
    for rows, length in [(1, 1), (5, 7), (3, 700), (300, 2)]:
        x = (random(kind, rows * length, 4) // KINDS[kind](40)).reshape(rows, length)
        if kind == "f32":
            x = np.round(random(kind, rows * length, 4) * 2).reshape(rows, length)
            if length > 3:
                x[0, 3] = np.nan
                x[0, 5] = np.nan
        if kind == "raw64":
            x = x * 2**33
        across = np.ascontiguousarray(x.T)
        walk = {
            "count": rows,
            "sizes": [rows],
            "strides": [[1, 0, 2, 1]],
            "steps": [rows],
            "extra": [length],
        }
        groups = rows if shader["file"] == "arg_row" else -(-rows // 256)
        values, places = np.zeros(rows, KINDS[kind]), np.full(rows * 2, 77, np.int64)
        _, values, places, _ = driver.run(
            shader, [across.ravel(), values, places], walk, (groups, 1, 1)
        )
        # NumPy's argmax also gives the first of equals, and the first NaN.
        want = x.argmax(1) if shader["pick"] == "max" else x.argmin(1)
        np.testing.assert_array_equal(places[::2], want)
        assert (places[1::2] == 77).all()
        np.testing.assert_array_equal(values, x[np.arange(rows), want])


def run_softmax(driver: Driver, shader: dict) -> None:
    log = shader["log"] == "true"
    for rows, length in [(1, 1), (5, 7), (3, 700), (70, 40)]:
        x = random("f32", rows * length, 6).reshape(rows, length) * 20
        if length == 7:
            x[1, 2], x[2] = -np.inf, np.float32(3e4)
        wide = x.astype(np.float64)
        shifted = wide - wide.max(1, keepdims=True)
        want = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        want = want if log else np.exp(want)
        walk = {"count": rows, "sizes": [rows], "extra": [length]}
        if shader["file"] == "softmax":
            # Rows of x are its columns; rows of y are stepped.
            walk |= {"strides": [[1, 0, 0, 2 * length]], "steps": [rows, 0, 0, 2]}
            source = np.ascontiguousarray(x.T).ravel()
            _, y, _ = driver.run(
                shader, [source, np.full(rows * length * 2, 77, np.float32)], walk, (rows, 1, 1)
            )
            assert (y[1::2] == 77).all()
            np.testing.assert_allclose(y[::2].reshape(rows, length), want, rtol=1e-5, atol=1e-5)
            continue
        y = want.astype(np.float32)
        g = random("f32", rows * length, 7).reshape(rows, length)
        up, soft = g.astype(np.float64), np.exp(want) if log else want
        grad = (
            up - soft * up.sum(1, keepdims=True)
            if log
            else soft * (up - (up * soft).sum(1, keepdims=True))
        )
        walk |= {"strides": [[1, length, 0, length]], "steps": [rows, 1, 0, 1]}
        arrays = [np.ascontiguousarray(g.T).ravel(), y.ravel(), np.zeros(rows * length, np.float32)]
        *_, gx, _ = driver.run(shader, arrays, walk, (rows, 1, 1))
        np.testing.assert_allclose(gx.reshape(rows, length), grad, rtol=1e-5, atol=1e-5)


# --- products -----------------------------------------------------------------------------------


def filled(x: np.ndarray) -> np.ndarray:
    """A binding cannot be empty."""
    return x.ravel() if x.size else np.zeros(1, x.dtype)


def run_product(driver: Driver, shader: dict) -> None:
    thin, kind = shader["file"] == "gemv", shader["in"]
    for batches, m, k, n, stretch in [
        (1, 1, 1, 1, 1),
        (2, 33, 17, 37, 17),
        (1, 70, 21, 65, 8),
        (1, 3, 0, 5, 1),
    ]:
        n = 1 if thin else n
        a = random(kind, batches * m * k, 8).reshape(batches, m, k)
        b = random(kind, batches * k * n, 9).reshape(batches, k, n)
        c = random(kind, batches * m * n, 10).reshape(batches, m, n)
        stretches = max(1, -(-k // stretch))
        turn_a, turn_b = shader["a_along"] == "false", shader.get("b_along") == "true"
        memory_a = np.ascontiguousarray(a.swapaxes(1, 2)) if turn_a else a
        memory_b = np.ascontiguousarray(b.swapaxes(1, 2)) if not turn_b else b
        steps_a = (1, m) if turn_a else (k, 1)
        steps_b = (1, k) if not turn_b else (n, 1)
        number = KINDS[kind]
        alpha, beta = (0.5, 2.0) if kind == "f32" else (3, -2)
        beta = beta if stretches == 1 else 0
        walk = {
            "offsets": [0, 0, 0, 0],
            "params": [int(number(v).view(np.uint32)) for v in (alpha, beta)],
            "extra": [stretch, stretches, batches * m * n],
            "sizes": [m, n, k, batches],
            "strides": [
                [steps_a[0], steps_b[0], 0, n],
                [steps_a[1], steps_b[1], 0, 1],
                [m * k, k * n, 0, m * n],
            ],
        }
        if thin:
            rows = 4 if shader["a_along"] == "true" else 32
            grid = (-(-m // rows), 1, batches * stretches)
        else:
            bm, bn = map(int, shader["tile"].split())
            grid = (-(-n // bn), -(-m // bm), batches * stretches)
        spare = np.full(c.size * (stretches - 1), np.nan if kind == "f32" else 77, number)
        room = np.concatenate([c.ravel(), spare])
        *_, got, _ = driver.run(shader, [filled(memory_a), filled(memory_b), room], walk, grid)
        wide = a.astype(np.float64), b.astype(np.float64)
        for s in range(stretches):
            part = slice(s * stretch, (s + 1) * stretch)
            want = alpha * (wide[0][:, :, part] @ wide[1][:, part]) + beta * c
            piece = got[s * c.size : (s + 1) * c.size].reshape(c.shape)
            np.testing.assert_allclose(piece, want, rtol=1e-5, atol=1e-5)


# --- by index -----------------------------------------------------------------------------------


def grid(count: int) -> tuple:
    return (-(-count // 256), 1, 1)


def run_gather(driver: Driver, shader: dict) -> None:
    kind = KINDS[shader["in"]]
    x = random(shader["in"], 6 * 50, 11).astype(kind).reshape(6, 50)
    for bad in (None, 6, -1, 2**40):
        index = np.random.default_rng(12).integers(0, 6, (9, 50))
        if bad is not None:
            index[4, 3] = bad
        y = np.full(9 * 50, 77, kind)
        walk = {
            "count": 450,
            "invocations": 450,
            "sizes": [50, 9],
            "strides": [[1, 1, 0, 1], [0, 50, 0, 50]],
            "steps": [50],
            "extra": [6],
        }
        *_, y, trouble = driver.run(shader, [x.ravel(), index.ravel(), y], walk, grid(450))
        good = np.where((index >= 0) & (index < 6), index, 0)
        want = np.take_along_axis(x, good, 0)
        if bad is not None:
            want[4, 3] = 77
        np.testing.assert_array_equal(y.reshape(9, 50), want)
        check_trouble(trouble, bad)


def check_trouble(trouble: np.ndarray, bad: int | None) -> None:
    if bad is None:
        assert not trouble.any()
    else:
        assert trouble[0] == 7
        assert int(trouble[1:3].copy().view(np.int64)[0]) == bad


def run_scatter_mark(driver: Driver, shader: dict) -> None:
    for bad in (None, 9, -5):
        index = np.random.default_rng(13).integers(0, 9, 300)
        if bad is not None:
            index[7] = bad
        marks = np.zeros(9, np.uint32)
        walk = {"count": 300, "invocations": 300, "sizes": [300], "strides": [[1]], "extra": [9]}
        walk["steps"] = [0, 0, 0, 1]
        _, marks, trouble = driver.run(shader, [index, marks], walk, grid(300))
        want = np.zeros(9, np.uint32)
        for i, k in enumerate(index):
            if 0 <= k < 9:
                want[k] = i + 1
        np.testing.assert_array_equal(marks, want)
        check_trouble(trouble, bad)


def run_scatter_move(driver: Driver, shader: dict) -> None:
    kind = KINDS[shader["in"]]
    source = random(shader["in"], 20, 14).astype(kind)
    marks = np.random.default_rng(15).integers(0, 21, 301).astype(np.uint32)
    y = np.full(602, 77, kind)
    walk = {
        "count": 301,
        "invocations": 301,
        "sizes": [301],
        "strides": [[0, 1, 0, 2]],
        "offsets": [0, 0, 0, 1],
    }
    *_, y, _ = driver.run(shader, [source, marks, y], walk, grid(301))
    np.testing.assert_array_equal(
        y[1::2], np.where(marks > 0, source[marks.astype(int) - 1], kind(77))
    )
    assert (y[::2] == 77).all()


def run_scatter_add(driver: Driver, shader: dict) -> None:
    lines, length, width = 40, 70, 6
    for bad in (None, 6, -1, -(2**35)):
        index = np.random.default_rng(16).integers(0, width, (length, lines))
        if bad is not None:
            index[9, 4] = bad
        x = random(shader["in"], length * lines, 17).reshape(length, lines)
        start = random(shader["in"], width * lines, 18).reshape(width, lines)
        by_line = shader["file"] == "scatter_add_line"
        count = lines if by_line else lines * width
        walk = {
            "count": lines,
            "invocations": count,
            "sizes": [lines],
            "strides": [[1, 1, 0, 1]],
            "steps": [lines, lines, 0, lines],
            "extra": [width, 2, length],
        }
        *_, y, trouble = driver.run(
            shader, [x.ravel(), index.ravel(), start.ravel()], walk, grid(count)
        )
        want = start.copy()
        # The same order of additions gives the same bits.
        for k in range(2, length):
            for line in range(lines):
                if 0 <= index[k, line] < width:
                    want[index[k, line], line] += x[k, line]
        np.testing.assert_array_equal(y.reshape(width, lines), want)
        check_trouble(trouble, bad)


RUNNERS = {
    **{f"map{i}": run_map for i in range(4)},
    "fold_row": run_fold,
    "fold_col": run_fold,
    "arg_row": run_arg,
    "arg_col": run_arg,
    "softmax": run_softmax,
    "softmax_grad": run_softmax,
    "matmul": run_product,
    "gemv": run_product,
    "gather": run_gather,
    "scatter_mark": run_scatter_mark,
    "scatter_move": run_scatter_move,
    "scatter_add_line": run_scatter_add,
    "scatter_add_scan": run_scatter_add,
}


@pytest.mark.parametrize("shader", SHADERS, ids=name)
def test_shader(driver: Driver, shader: dict) -> None:
    assert shader["file"] in RUNNERS, f"{shader['file']} has no test through the second driver"
    if shader["file"].startswith("map") and shader["op"] not in ("fill", "copy", "scale"):
        assert shader["op"] in FORMULAS or shader["op"] in TABLE, (
            f"the formula of {shader['op']} has no answer to compare with"
        )
    RUNNERS[shader["file"]](driver, shader)


def test_every_file_is_run() -> None:
    listed = {s["file"] for s in SHADERS}
    assert listed == set(LISTING["files"]) == set(RUNNERS)


def test_empty_work_writes_nothing(driver: Driver) -> None:
    for shader in SHADERS:
        if shader["file"] in ("map1", "fold_row", "softmax", "gather", "arg_col"):
            sizes = shader["defs"].count("@group(0)") + LISTING["files"][shader["file"]].count(
                "@group(0)"
            )
            arrays = [np.full(64, 77, np.uint8) for _ in range(sizes)]
            for got in driver.run(shader, arrays, {}, (1, 1, 1))[:-1]:
                assert (got == 77).all(), name(shader)
