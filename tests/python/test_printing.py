"""Text forms, byte for byte (T-95, section 8 of the tensor rules, A-14)."""

import json
import re

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, GOLDEN, leaf, tensor

CASES = json.loads((GOLDEN / "print_golden.json").read_text())["cases"]
FORMULA = re.compile(r"arange\((\d+)\)(?:([*/])([\d.]+))?$")


def values_of(case):
    """Numbers of a case: a list, or a formula such as `arange(240)/7`."""
    given = case["values"]
    if isinstance(given, list):
        return np.array([float(v) for v in given])
    count, sign, number = FORMULA.match(given).groups()
    a = np.arange(int(count), dtype=np.float64)
    return a if sign is None else a * float(number) if sign == "*" else a / float(number)


def build(case):
    name = case["type"].removeprefix("torch.")
    if not case["shape"]:
        return getattr(torch, name)()
    a = values_of(case)
    if name not in ("FloatTensor", "DoubleTensor"):
        a = a.astype(CLASSES[name])
    return getattr(torch, name)(a.tolist()).view(*case["shape"])


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
def test_golden_text(case):
    t = build(case)
    if case["options"]:
        torch.set_printoptions(**case["options"])
    assert str(t) == case["expect"]
    assert repr(t) == case["expect"]  # T-95


@pytest.mark.parametrize("case", CASES[:12], ids=[c["name"] for c in CASES[:12]])
def test_layout_does_not_change_the_text(case):
    t = build(case)
    t = t.t().contiguous().t() if t.dim() == 2 else t.unsqueeze(1).expand(t.numel(), 2)[:, 1]
    assert str(t) == case["expect"]


def test_variable():
    t = torch.LongTensor([[2, 4], [5, 6]])
    assert repr(Variable(t)) == "Variable containing:" + repr(t)
    assert (
        str(Variable(t)) == "Variable containing:\n 2  4\n 5  6\n[torch.LongTensor of size 2x2]\n"
    )


def test_computed_variable():
    v = leaf([1, 2], "FloatTensor") * 3
    assert str(v) == "Variable containing:\n 3\n 6\n[torch.FloatTensor of size 2]\n"


def test_parameter():
    from rgrad.nn import Parameter

    p = Parameter(torch.ones(1))
    assert repr(p) == "Parameter containing:\n 1\n[torch.FloatTensor of size 1]\n"


def test_empty():
    assert str(torch.FloatTensor()) == "[torch.FloatTensor with no dimension]\n"
    assert str(Variable(torch.FloatTensor())) == (
        "Variable containing:[torch.FloatTensor with no dimension]\n"
    )


def test_gpu_trailer(gpu):  # T-95
    t = torch.ones(2).cuda()
    assert str(t) == "\n 1\n 1\n[torch.cuda.FloatTensor of size 2 (GPU 0)]\n"
    assert str(Variable(t)) == "Variable containing:" + str(t)


def test_node_text():
    text = repr((leaf([1]) + 1).grad_fn)
    assert re.fullmatch(r"<AddBackward0 object at 0x[0-9a-f]+>", text)
    node = (leaf([1]) + leaf([1])).grad_fn
    assert str(type(node)) == "<class 'AddBackward1'>"


def test_options_come_back():
    t = torch.FloatTensor([1.23456])
    torch.set_printoptions(precision=2)
    # Width 7 whatever the precision (section 8.1, step 4).
    assert str(t) == "\n   1.23\n[torch.FloatTensor of size 1]\n"
    torch.set_printoptions(profile="default")
    assert str(t) == "\n 1.2346\n[torch.FloatTensor of size 1]\n"


@pytest.mark.parametrize("name", CLASSES)
def test_trailer_names_the_class(name):
    text = str(tensor(name, [[1, 2, 3]]))
    assert text.endswith(f"[torch.{name} of size 1x3]\n")
    assert text.startswith("\n")
