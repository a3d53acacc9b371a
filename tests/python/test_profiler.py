"""`autograd.profiler` (A-180, A-181)."""

import json

import pytest

import rgrad as torch
from rgrad.autograd import Function, Variable, profiler


def measured():
    x = Variable(torch.ones(3), requires_grad=True)
    with profiler.profile() as p:
        y = (x * 2).sum()
        y.backward()
    return p


def test_events_are_operations_then_nodes_in_the_order_they_start():
    p = measured()
    names = [event.name for event in p.function_events]
    assert names == ["mul", "sum", "SumBackward0", "MulBackward0", "AccumulateGrad"]
    starts = [event.start for event in p.function_events]
    assert starts == sorted(starts)
    assert all(event.cpu_time > 0 for event in p.function_events)


def test_before_the_end_there_is_nothing():
    p = profiler.profile()
    assert str(p) == "<unfinished torch.autograd.profile>"
    for call in (p.table, p.key_averages, p.total_average):
        with pytest.raises(RuntimeError, match="before the end"):
            call()
    with pytest.raises(RuntimeError, match="before the end"):
        p.export_chrome_trace("nowhere")


def test_it_is_not_reentrant():
    with profiler.profile() as p:
        with pytest.raises(RuntimeError, match="not reentrant"):
            p.__enter__()
        with pytest.raises(RuntimeError, match="another profiler"):
            profiler.profile().__enter__()
    with pytest.raises(RuntimeError, match="not reentrant"):
        p.__enter__()


def test_nothing_is_noted_when_disabled_or_outside():
    x = Variable(torch.ones(3), requires_grad=True)
    with profiler.profile(enabled=False) as p:
        x * 2
    assert p.function_events is None
    x * 2
    with profiler.profile() as p:
        pass
    assert p.function_events == []


def test_table_and_averages():
    x = Variable(torch.ones(3))
    with profiler.profile() as p:
        for _ in range(3):
            x * 2
        x + 1
    table = str(p.key_averages())
    for head in ("Name", "CPU time", "CUDA time", "Calls", "CPU total", "CUDA total"):
        assert head in table
    averages = {average.key: average for average in p.key_averages()}
    assert averages["mul"].count == 3 and averages["add"].count == 1
    total = sum(event.cpu_time for event in p.function_events)
    assert p.total_average().cpu_time_total == pytest.approx(total)
    by_time = p.table(sort_by="cpu_time").splitlines()[3:]
    assert len(by_time) == 4 and all(line.count("us") == 4 for line in by_time)
    with pytest.raises(ValueError, match="sort_by"):
        p.table(sort_by="colour")


def test_chrome_trace(tmp_path):
    p = measured()
    p.export_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())
    assert [e["name"] for e in events] == [e.name for e in p.function_events]
    for event in events:
        assert event["ph"] == "X" and event["pid"] == "CPU functions"
        assert event["dur"] > 0 and event["ts"] >= 0


def test_ranges_of_the_user():
    x = Variable(torch.ones(3))
    with profiler.profile() as p, profiler.range("forward"):
        x * 2
    assert [event.name for event in p.function_events] == ["forward", "mul"]
    outer, inner = p.function_events
    assert outer.start <= inner.start and inner.end <= outer.end


def test_cuda_tools_say_what_is_there():
    """A-181."""
    with pytest.raises(RuntimeError, match="no CUDA"):
        profiler.emit_nvtx()
    with pytest.raises(RuntimeError, match="nvprof"):
        profiler.load_nvprof("trace")


class Cubed(Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a * a * a

    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_variables
        return g * a * a * 3


class Old(Function):
    def forward(self, a):
        return a * 2

    def backward(self, g):
        return g * 2


def test_functions_of_users_have_their_class_name():
    x = Variable(torch.ones(2), requires_grad=True)
    with profiler.profile() as p:
        Old()(Cubed.apply(x)).sum().backward()
    names = [event.name for event in p.function_events]
    assert names.count("Cubed") == names.count("Old") == 1
    assert names.index("Cubed") < names.index("Old") < names.index("sum")
    back = ["SumBackward0", "OldLegacyBackward", "CubedBackward", "AccumulateGrad"]
    assert [name for name in names if name in back] == back
    outer = p.function_events[names.index("Cubed")]
    inside = [e for e in p.function_events if e.name == "mul" and e.start < outer.end]
    assert all(outer.start <= e.start and e.end <= outer.end for e in inside)
