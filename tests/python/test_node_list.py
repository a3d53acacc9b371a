"""Every node of tensor operations in the list of 0.3: name, inputs, second backward (A-50 to A-64).

`golden/graph_nodes.tsv` has a row for each class of node. Rows of family `nn` belong to layers and
losses, and where `release_prints` is empty no release records a node; all others are made here.
"""

import csv
import gc

import pytest

import rgrad as torch
from rgrad._C import saved_bytes
from rgrad.autograd import Variable
from support import GOLDEN, double, name_of, numbers

with open(GOLDEN / "graph_nodes.tsv", newline="") as file:
    NODES = {row["node_class"]: row for row in csv.DictReader(file, delimiter="\t")}
TENSOR = [name for name, r in NODES.items() if r["family"] == "tensor" and r["release_prints"]]

LONG = Variable(torch.LongTensor([[0, 1, 2], [1, 2, 0], [2, 0, 1]]))
ROW = Variable(torch.LongTensor([0, 2, 1]))
MASK = Variable(torch.ByteTensor([[1, 0, 0], [0, 1, 0], [1, 0, 1]]))

# What follows the operands that the list names, or the whole call where those come in between; `{}`
# is the operation. Operands are called as in the list and are 3 x 3 unless SIZES says otherwise.
RECIPES = {
    "AddBackward0": "1",
    "AliasBackward": "self[...]",
    "AsStridedBackward": "(2, 2), (3, 1), 0",
    "BtrisolveBackward": "self.btrisolve(*Variable(plain.data).btrifact())",
    "CatBackward": "torch.cat([self, other, self])",
    "ClampBackward": "-0.5, 0.5",
    "ClampMaxBackward": "self.clamp(max=0.5)",
    "ClampMinBackward": "self.clamp(min=0.5)",
    "CumsumBackward": "1",
    "DivBackward0": "2",
    "EqBackward0": "1",
    "ExpandBackward": "(2, 3, 3)",
    "FillBackward": "2",
    "FmodBackward0": "2",
    "GatherBackward": "0, LONG",
    "GeBackward0": "1",
    "GtBackward0": "1",
    "IndexAddBackward": "self.{}(0, ROW, source)",
    "IndexCopyBackward": "self.{}(0, ROW, source)",
    "IndexFillBackward": "0, ROW, 2",
    "IndexSelectBackward": "0, ROW",
    "KthvalueBackward": "2, 1",
    "LeBackward0": "1",
    "LerpBackward": "0.3",
    "LtBackward0": "1",
    "MaskedFillBackward": "MASK, 2",
    "MaskedScatterBackward": "self.{}(MASK, source)",
    "MaskedSelectBackward": "MASK",
    "MaxBackward0": "1",
    "MeanBackward0": "1",
    "MedianBackward1": "1",
    "MinBackward0": "1",
    "ModeBackward": "1",
    "MulBackward0": "2",
    "NarrowBackward": "0, 1, 2",
    "NeBackward0": "1",
    "NormBackward1": "2, 1",
    "PermuteBackward": "1, 0",
    "PowBackward0": "3",
    "PutBackward": "self.{}(LONG, source)",
    "RemainderBackward0": "2",
    "RemainderBackward1": "plain",
    "ScatterAddBackward": "self.{}(0, LONG, src)",
    "ScatterBackward0": "self.{}(0, LONG, src)",
    "ScatterBackward1": "0, LONG, 2",
    "SelectBackward": "0, 1",
    "SplitBackward": "2",
    "SortBackward": "1",
    "SqueezeBackward1": "0",
    "StdBackward1": "1",
    "SubBackward0": "1",
    "SumBackward1": "1",
    "TakeBackward": "LONG",
    "TopkBackward": "2, 1",
    "TransposeBackward": "0, 1",
    "TrtrsBackward": "plain",
    "UnfoldBackward": "0, 2, 1",
    "UnsqueezeBackward": "0",
    "VarBackward1": "1",
    "ViewBackward": "9",
}
SIZES = {
    "AddbmmBackward": {"batch1": (2, 3, 3), "batch2": (2, 3, 3)},
    "AddmvBackward": {"self": (3,), "vec": (3,)},
    "AddrBackward": {"vec1": (3,), "vec2": (3,)},
    "BaddbmmBackward": dict.fromkeys(("self", "batch1", "batch2"), (2, 3, 3)),
    "BmmBackward": dict.fromkeys(("self", "mat2"), (2, 3, 3)),
    "BtrifactBackward": {"self": (2, 3, 3)},
    "BtrisolveBackward": {"self": (2, 3), "plain": (2, 3, 3)},
    "DotBackward": dict.fromkeys(("self", "tensor"), (3,)),
    "GerBackward": dict.fromkeys(("self", "vec2"), (3,)),
    "MvBackward": {"vec": (3,)},
    "OrgqrBackward": {"input2": (3,)},
    "OrmqrBackward": {"input2": (3,)},
    "SqueezeBackward0": {"self": (1, 3)},
    "SqueezeBackward1": {"self": (1, 3)},
}


def values(sizes, seed):
    """Numbers between 0.1 and 0.9, all different; matrices of them are definite."""
    a = numbers(*sizes, seed=seed, low=0.1, high=0.4)
    if len(sizes) >= 2 and sizes[-1] == sizes[-2]:
        for i in range(sizes[-1]):
            a[..., i, i] += 0.45
    return a


def operands(node, wanted=None):
    names = NODES[node]["next_functions_order"].split(",")
    names = ["self", "other"] if names == ["tensors"] else names
    sizes = SIZES.get(node, {})
    made = {}
    for seed, name in enumerate([*names, "plain"]):
        flag = name in (wanted or names)
        made[name] = Variable(double(values(sizes.get(name, (3, 3)), seed)), requires_grad=flag)
    return names, made


def call(node, operation, names, space):
    """The results of `operation`, whose operands are in `space`."""
    recipe = RECIPES.get(node, "")
    if recipe.startswith(("self", "torch")):
        text = recipe.format(operation)
    else:
        text = f"self.{operation}({', '.join([*names[1:], *([recipe] if recipe else [])])})"
    result = eval(text, {"torch": torch, "Variable": Variable, **space})
    return result if isinstance(result, tuple) else (result,)


def build(node, operation, wanted=None):
    """The result of `operation`, in place on a copy where its name ends so, and the operands."""
    names, made = operands(node, wanted)
    space = {**made, "LONG": LONG, "ROW": ROW, "MASK": MASK}
    if operation.endswith("_"):
        space["self"] = made["self"].clone()
    return call(node, operation, names, space)[0], names, made


def leaves_of(node):
    """The leaves that a node leads to."""
    if hasattr(node, "variable"):
        return {id(node.variable)}
    return set().union(*(leaves_of(f) for f, _ in node.next_functions if f is not None))


CASES = [(node, op) for node in TENSOR for op in NODES[node]["recorded_by"].split(",")]


@pytest.mark.parametrize("node, operation", CASES)
def test_name_and_inputs(node, operation):
    y, names, made = build(node, operation)
    assert name_of(y.grad_fn) in {node, NODES[node]["release_prints"]}
    expected = [made[name] for name in names]
    if NODES[node]["next_functions_order"] == "tensors":
        expected = [made["self"], made["other"], made["self"]]
    if name_of(y.grad_fn) != node and NODES[node]["in_version"] == "snapshot":
        # The release makes it of several operations.
        assert leaves_of(y.grad_fn) == {id(made[name]) for name in names}
        return
    found = [f for f, _ in y.grad_fn.next_functions]
    if operation.endswith("_") and name_of(found[0]) == "CloneBackward":
        found[0] = found[0].next_functions[0][0]
    assert all(f.variable is v for f, v in zip(found, expected, strict=True))


@pytest.mark.parametrize("node, operation", CASES)
def test_second_backward(node, operation):  # E-27, E-33
    y, names, made = build(node, operation)
    gradient = torch.ones(*y.size()).type_as(y.data)
    derivative = NODES[node]["has_derivative"]
    if derivative != "yes":
        with pytest.raises(RuntimeError, match="not implemented"):
            y.backward(gradient)
        if derivative == "no":
            return
        y, names, made = build(node, operation, wanted=[derivative])
    y.backward(gradient)
    first = {name: made[name].grad.data.clone() for name in names if made[name].grad is not None}
    assert first
    if NODES[node]["errors_on_second_backward"] == "yes":
        with pytest.raises(RuntimeError, match="retain_graph"):
            y.backward(gradient)
        return
    y.backward(gradient)
    for name, once in first.items():
        assert (made[name].grad.data - 2 * once).abs().max() == 0


# What is saved.

# Nodes of the snapshot that the release makes of several operations: those keep other things
# than the one node would, and so have other consequences. For each, the operands and results whose
# change is noticed, and what is as large as all that is kept: the operand of the mean (only of all
# elements), what lies apart from the mean, and the variance below a root.
COMPOSED = {
    "StdBackward0": ({"self"}, ["self", "self", "result"]),
    "StdBackward1": (set(), ["self", "result"]),
    "VarBackward0": ({"self"}, ["self", "self"]),
    "VarBackward1": (set(), ["self"]),
}
# Nodes that keep less than in 0.3 and so also work where 0.3 raised.
LESS = {
    "SplitBackward": {"self"},  # only its sizes are read
}


def fresh(node, operation):
    """The results, and the operands as copies that may be changed."""
    derivative = NODES[node]["has_derivative"]
    names, made = operands(node, None if derivative in ("yes", "no") else [derivative])
    space = {name: v.clone() for name, v in made.items()}
    space |= {"LONG": LONG.clone(), "ROW": ROW.clone(), "MASK": MASK.clone()}
    return call(node, operation, names, space), space


def place_of(node, name):
    """What the list calls `name`, as an operand or the number of a result."""
    recipe = RECIPES.get(node, "")
    if name == "index":
        return "ROW" if "ROW" in recipe else "LONG"
    if name == "mask":
        return "MASK"
    if name in NODES[node]["saved_outputs"].split(",") or name == "result":
        return 1 if name.endswith("indices") else 0
    return name


def listed(node):
    """Operands and results that 0.3 saves."""
    row = NODES[node]
    names = [*row["saved_inputs"].split(","), *row["saved_outputs"].split(",")]
    return [place_of(node, name) for name in names if name]


def composed(node, operation):
    return node in COMPOSED and NODES[node]["release_prints"] != node


@pytest.mark.parametrize("node, operation", CASES)
def test_no_more_is_kept_than_listed(node, operation):  # graph-nodes.tsv: memory is the user's
    gc.collect()
    before = saved_bytes()
    results, space = fresh(node, operation)
    kept = saved_bytes() - before
    places = listed(node)
    if composed(node, operation):
        places = [place_of(node, name) for name in COMPOSED[node][1]]
    tensors = [(results[at] if isinstance(at, int) else space[at]).data for at in places]
    assert kept <= sum(t.nelement() * t.element_size() for t in tensors)


@pytest.mark.parametrize(
    "node, operation", [c for c in CASES if NODES[c[0]]["has_derivative"] != "no"]
)
def test_changes_of_what_is_listed_are_noticed_and_no_others(node, operation):
    noticed = (
        {place_of(node, name) for name in COMPOSED[node][0]}
        if composed(node, operation)
        else (set(listed(node)) - LESS.get(node, set()))
    )
    results, space = fresh(node, operation)
    tried = 0
    for place in [*space, *range(len(results))]:
        if place == "self" and operation.endswith("_"):
            continue  # it is the result
        results, space = fresh(node, operation)
        changed = results[place] if isinstance(place, int) else space[place]
        if changed is results[0] and node in ("ExpandBackward", "UnfoldBackward"):
            continue  # elements that share memory are not changed in place at all
        changed.add_(0)
        tried += 1
        gradient = torch.ones(*results[0].size()).type_as(results[0].data)
        if place in noticed:
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                results[0].backward(gradient)
        else:
            results[0].backward(gradient)
    assert tried
