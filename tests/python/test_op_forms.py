"""Every operation of 0.3 in every form it had, by place and by name (tests/golden/ops.tsv, O-1)."""

import csv
import inspect
import re

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, GOLDEN, array, tensor

with (GOLDEN / "ops.tsv").open(encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
each = pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])


def classes(row):
    """The classes of tensors that have the row."""
    dtypes = row["tensor_dtypes"]
    if dtypes in ("", "all"):
        return list(CLASSES)
    return [f"{dtype.capitalize()}Tensor" for dtype in dtypes.split("/")]


NAMES = {row["name"] for row in ROWS}


def in_place(name):
    return f"__i{name[2:]}" if name.startswith("__") else f"{name}_"


@each
def test_the_forms_are_there(row):
    name = row["name"]
    if row["torch_fn"]:
        assert callable(getattr(torch, name))
    for cls in CLASSES:
        kind, have = getattr(torch, cls), cls in classes(row)
        if row["tensor_method"]:
            assert hasattr(kind, name) == have or name in ("all", "any"), cls
        if row["tensor_inplace"]:
            # A sampler in place has a row of its own, with classes of its own.
            assert hasattr(kind, in_place(name)) == have or in_place(name) in NAMES, cls
    if row["variable_method"] and (row["tensor_method"] or not row["torch_fn"]):
        assert hasattr(Variable(torch.ones(1)), name)
    if row["variable_inplace"]:
        assert hasattr(Variable, in_place(name))


# Calls.

SQUARE = [[4.0, 0.5], [0.25, 3.0]]
SMALL = [[0.4, 0.5], [0.25, 0.3]]
VECTOR = [0.25, 0.75]
STACK = [SQUARE, SMALL]
FACTOR = [[2.0, 0.5], [0.0, 1.5]]  # upper triangular, positive diagonal
INDEX = ("LongTensor", [[0, 1], [1, 0]])
ROW = ("LongTensor", [1, 0])
MASK = ("ByteTensor", [[1, 0], [0, 1]])

# What an argument of this name is, unless the operation says otherwise.
ARGUMENTS = {
    "dim0": 0, "dim1": 1, "dim": 0, "dimension": 0, "k": 1, "index": ROW, "mask": MASK,
    "start": 0, "length": 1, "step": 1, "diagonal": 1, "bins": 3, "chunks": 2, "split_size": 1,
    "min": 0.3, "max": 2.0, "p": 2, "maxnorm": 0.5, "weight": 0.5, "tol": -1, "num_samples": 1,
    "bool": True, "number": 2, "float": 0.5, "sizes": [2, 2], "ints": [2, 2],
    "storage_offset": 0, "size": [2, 2], "stride": [1, 2], "end": 2, "sliceIndex": 1,
    "exponent": 2.0, "from": 1, "to": 5,
}  # fmt: skip
# Operands of single operations: `self` and arguments by name; several where overloads need them.
OPERANDS = {
    "acos": {"self": SMALL}, "asin": {"self": SMALL}, "erfinv": {"self": SMALL},
    "bernoulli": {"self": SMALL}, "all": {"self": MASK}, "any": {"self": MASK},
    "__invert__": {"self": MASK},
    **{f"__{n}__": {"self": ("IntTensor", [[5, 6], [7, 8]]), "other": [[1, 2], [3, 1]]}
       for n in ("and", "or", "xor", "lshift", "rshift")},
    "dot": {"self": VECTOR, "tensor": VECTOR}, "ger": {"self": VECTOR, "vec2": VECTOR},
    "mv": {"vec": VECTOR}, "addmv": {"self": VECTOR, "vec": VECTOR},
    "addr": {"vec1": VECTOR, "vec2": VECTOR},
    "bmm": {"self": STACK, "mat2": STACK},
    "addbmm": {"batch1": STACK, "batch2": STACK},
    "baddbmm": {"self": STACK, "batch1": STACK, "batch2": STACK},
    "cross": {"self": [[1.0], [2.0], [3.0]], "other": [[4.0], [5.0], [7.0]]},
    "expand": {"self": [[1.0, 2.0]]}, "squeeze": {"self": [[1.0, 2.0]]},
    "gather": {"index": INDEX}, "take": {"index": INDEX}, "put_": {"index": INDEX},
    "scatter_": {"index": INDEX}, "scatter_add_": {"index": INDEX},
    "select": {"index": 1}, "as_strided": {"stride": [2, 1]},
    "unfold": {"size": 1}, "histc": {"min": 0, "max": 5},
    "potrf": {"self": [[4.0, 0.5], [0.5, 3.0]]}, "potri": {"self": FACTOR},
    "potrs": {"input2": FACTOR}, "pstrf": {"self": [[4.0, 0.5], [0.5, 3.0]]},
    "symeig": {"self": [[4.0, 0.5], [0.5, 3.0]]}, "trtrs": {"A": FACTOR},
    "orgqr": {"input2": VECTOR}, "ormqr": {"input2": VECTOR, "input3": SQUARE},
    "btrifact": {"self": STACK, "info": ("IntTensor", [0, 0])},
    "btrisolve": {"self": [VECTOR, VECTOR], "LU_data": STACK,
                  "LU_pivots": ("IntTensor", [[1, 2], [1, 2]])},
    "permute": {"dims": [1, 0]}, "bernoulli_": {"p": 0.5},
    "geometric_": {"p": 0.5}, "log_normal_": {"mean": 1.0, "std": 0.5},
    "index": {"indices": ROW}, "clamp": {"min": 0.3}, "norm": {"p": 3}, "dist": {"p": 3},
}  # fmt: skip
# What says so where there is no GPU of the tensor's, or no CUDA.
NEEDS_GPU = {"get_device": "CPU", "pin_memory": "CUDA"}
# Where `self` stands in functions of the old order, behind beta.
BETA = dict.fromkeys(["addmm", "addmv", "addr", "addbmm", "baddbmm"], 1)
# What functions call the tensor where it is not `input`.
OWN = {"split": "tensor", "chunk": "tensor"}
ARGUMENT = re.compile(r"(\w+) (\w+)(?:=(\S+))?")


def signatures(text):
    """Lists of (type, name, by name only), for signatures whose types are written."""
    text = re.sub(r"snapshot \(int dim.*?\)|snapshot|0\.3\.x|\[legacy\]", "", text)
    for signature in re.findall(r"\(([^()]*)\)", text):
        parts = [p for p in signature.split(", ") if p]
        found = [ARGUMENT.fullmatch(p) for p in parts if p != "*"]
        if all(found):
            star = parts.index("*") if "*" in parts else len(found)
            yield [(m[1], m[2], i >= star) for i, m in enumerate(found)]


def sample(row, kind, name):
    """A value for an argument."""
    special = OPERANDS.get(row["name"], {})
    if name in special:
        return special[name]
    if kind == "Storage":
        return torch.DoubleStorage([4.0, 0.5, 0.25, 3.0])
    if kind in ("Tensor", "Variable") and name not in ("index", "mask"):
        return SMALL if name != "A" else SQUARE
    return ARGUMENTS.get(name, ARGUMENTS.get(kind))


def made(value, own, variables):
    """The value as an argument on this side."""
    if isinstance(value, tuple):
        value = tensor(*value)
    elif isinstance(value, list) and (own == "IntTensor" or not isinstance(value[0], int)):
        value = tensor(own, value)
    else:
        return value
    return Variable(value) if variables else value


def plain(result):
    """Results that can be compared."""
    if isinstance(result, tuple):
        return [plain(r) for r in result]
    if isinstance(result, Variable) or torch.is_tensor(result):
        return array(result).tolist()
    return list(result) if torch.is_storage(result) else result


def agree(a, b):
    """Asserts the same numbers; memory that nobody has written may hold NaN."""
    if isinstance(a, list) and any(isinstance(x, list) for x in a):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            agree(x, y)
    else:
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def has_method(row, side):
    return row["tensor_method"] or (side == "variable" and not row["torch_fn"])


CALLS = [
    (row, side, signature)
    for row in ROWS
    for side in ("tensor", "variable")
    for signature in signatures(row[f"{side}_signatures"])
    if has_method(row, side)
]  # fmt: skip


def call_name(call):
    row, side, signature = call
    return f"{row['name']}-{side}-{'-'.join(name for _, name, _ in signature)}"


@pytest.mark.parametrize("call", CALLS, ids=map(call_name, CALLS))
def test_arguments_by_place_and_by_name(call):
    row, side, signature = call
    name, variables = row["name"], side == "variable"
    if name == "__invert__" and variables:
        return
    start = OPERANDS.get(name, {}).get("self", SQUARE)
    own_class = start[0] if isinstance(start, tuple) else "DoubleTensor"

    def fresh():
        own = made(start, own_class, variables)
        values = [(n, made(sample(row, k, n), own_class, variables), by) for k, n, by in signature]
        return own, values

    def by_place(call, own, values):
        places = [v for _, v, only in values if not only]
        # torch.addmm(beta, self, alpha, mat1, mat2)
        places[BETA.get(name, 0) if values[:1] and values[0][0] == "beta" else 0 : 0] = own
        return call(*places, **{n: v for n, v, only in values if only})

    def by_name(call, own, values):
        return call(*own, **{n: v for n, v, _ in values})

    def run(function, how, first=()):
        torch.manual_seed(0)
        own, values = fresh()
        call = getattr(torch, name) if function else getattr(own, name)
        return plain(how(call, (own,) if function else first, values))

    if signature and signature[0][1] == "base":  # torch.pow(base, x)
        return
    if name in NEEDS_GPU:
        with pytest.raises(RuntimeError, match=NEEDS_GPU[name]):
            run(False, by_place)
        return
    wanted = run(False, by_place)
    if name == "data_ptr":
        return
    if name not in ("set_", "as_strided") and any(
        kind in ("sizes", "ints") for kind, *_ in signature
    ):
        own, _ = fresh()
        agree(plain(getattr(own, name)(*sample(row, "sizes", signature[0][1]))), wanted)
    if name.startswith("__"):
        return  # an operator takes its operand by place
    agree(run(False, by_name), wanted)
    if row["torch_fn"]:
        agree(run(True, by_place), wanted)
        own, values = fresh()
        torch.manual_seed(0)
        named = {n: v for n, v, _ in values}
        agree(plain(getattr(torch, name)(**{OWN.get(name, "input"): own}, **named)), wanted)


def result_tensors(result):
    return result if isinstance(result, tuple) else (result,)


OUT = [c for c in CALLS if c[0]["out_kw"] and c[0]["torch_fn"] and c[1] == "tensor"]


@pytest.mark.parametrize("call", OUT, ids=map(call_name, OUT))
def test_out_takes_size_and_values(call):  # O-7
    row, _, signature = call
    name = row["name"]
    start = OPERANDS.get(name, {}).get("self", SQUARE)
    own = made(start, "DoubleTensor", False)
    if signature and signature[0][1] == "base":
        return
    values = [(n, made(sample(row, k, n), "DoubleTensor", False), by) for k, n, by in signature]
    places = [v for _, v, only in values if not only]
    places.insert(BETA.get(name, 0), own)
    named = {n: v for n, v, only in values if only}
    torch.manual_seed(0)
    wanted = getattr(torch, name)(*places, **named)
    if not torch.is_tensor(wanted) and not isinstance(wanted, tuple):
        return  # a number has no out=
    out = tuple(type(t)() for t in result_tensors(wanted))
    out = out if isinstance(wanted, tuple) else out[0]
    torch.manual_seed(0)
    assert getattr(torch, name)(*places, **named, out=out) is out
    agree(plain(out), plain(wanted))


def test_the_list_is_whole():
    assert len(ROWS) == 221 and len(CALLS) > 250 and inspect.ismodule(torch)
    assert np.all([row["name"] for row in ROWS])
