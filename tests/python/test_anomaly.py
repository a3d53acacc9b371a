"""Anomaly mode: the node, the line and the Variable where a gradient stops being a number."""

import pytest

import rgrad as torch
from rgrad import _C
from rgrad.autograd import Variable, detect_anomaly, set_detect_anomaly


def zero():
    return Variable(torch.zeros(2), requires_grad=True)


def test_an_infinite_gradient_names_node_line_and_variable():
    x = zero()
    root = x.sqrt()
    loss = root.sum()
    with detect_anomaly(), pytest.raises(RuntimeError) as caught:
        loss.backward()
    text = str(caught.value)
    assert text.startswith("SqrtBackward: returned inf values in its 0th output")
    assert "`root` was computed at" in text and "x.sqrt()" in text
    assert x.grad is None


def test_nan_is_found_where_it_begins():
    x = zero()
    y = (x * 0).sqrt() * 0
    with detect_anomaly(), pytest.raises(RuntimeError, match="SqrtBackward: returned nan"):
        y.sum().backward()


def test_finite_gradients_pass_and_nothing_is_looked_at_outside():
    x = zero()
    with detect_anomaly():
        (x * 2).sum().backward()
    assert x.grad.data[0] == 2
    x.sqrt().sum().backward()
    assert x.grad.data[0] == float("inf")


def test_blocks_nest_and_restore():
    before = _C._set_source_lines(False)
    try:
        mode = detect_anomaly()
        with mode:
            with mode, set_detect_anomaly(False):
                zero().sqrt().sum().backward()
            with pytest.raises(RuntimeError, match="SqrtBackward"):
                zero().sqrt().sum().backward()
        assert _C._set_source_lines(False) is False
        zero().sqrt().sum().backward()
    finally:
        _C._set_source_lines(before)
