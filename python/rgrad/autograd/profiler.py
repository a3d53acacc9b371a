"""How long operations and nodes take (A-180, A-181)."""

from os import PathLike
from typing import Any, Self

from .. import _C


def _time(us: float) -> str:
    return f"{us:.3f}us"


class FunctionEvent:
    """One operation, or one node on its way back; times in microseconds."""

    count = 1
    cuda_time = cuda_time_total = 0.0

    def __init__(self, id: int, name: str, thread: int, start: float, end: float) -> None:
        self.id = id
        self.name = self.key = name
        self.thread = thread
        self.start = start
        self.end = end

    @property
    def cpu_time(self) -> float:
        return self.end - self.start

    @property
    def cpu_time_total(self) -> float:
        return self.cpu_time

    def __repr__(self) -> str:
        return f"<FunctionEvent id={self.id} cpu_time={_time(self.cpu_time)} name={self.name}>"


class FunctionEventAvg:
    """Events of one name together."""

    cuda_time = cuda_time_total = 0.0

    def __init__(self, key: str | None = None) -> None:
        self.key = key
        self.count = 0
        self.cpu_time_total = 0.0

    @property
    def name(self) -> str | None:
        return self.key

    @property
    def cpu_time(self) -> float:
        return self.cpu_time_total / self.count if self.count else 0.0

    def __iadd__(self, event: Any) -> Self:
        self.count += event.count
        self.cpu_time_total += event.cpu_time_total
        return self

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg cpu_time={_time(self.cpu_time)} count={self.count} key={self.key}>"
        )


class EventList(list[Any]):
    """Events, or averages of them, with the table and the sums."""

    def __str__(self) -> str:
        return self.table()

    def table(self, sort_by: str | None = None) -> str:
        """All as text; `sort_by` names a column: cpu_time, cuda_time, cpu_time_total,
        cuda_time_total or count."""
        columns = ("cpu_time", "cuda_time", "cpu_time_total", "cuda_time_total", "count")
        if sort_by is not None and sort_by not in columns:
            raise ValueError(f"table: sort_by is one of {', '.join(columns)}; got {sort_by!r}")
        events = sorted(self, key=lambda e: getattr(e, sort_by)) if sort_by else list(self)
        width = max([len(e.key or "") for e in events] + [4]) + 2
        heads = ("Name", "CPU time", "CUDA time", "Calls", "CPU total", "CUDA total")

        def line(cells: tuple[str, ...]) -> str:
            return f"{cells[0]:<{width}}  " + "  ".join(f"{c:>14}" for c in cells[1:]).rstrip()

        rule = line(("-" * width, *["-" * 14] * 5))
        lines = [rule, line(heads), rule]
        for e in events:
            times = (e.cpu_time, e.cuda_time, e.cpu_time_total, e.cuda_time_total)
            cpu, cuda, total, cuda_total = map(_time, times)
            lines.append(line((e.key or "", cpu, cuda, str(e.count), total, cuda_total)))
        return "\n".join(lines) + "\n"

    def key_averages(self) -> "EventList":
        """One entry for each name, in the order of their first event."""
        by_name: dict[str, FunctionEventAvg] = {}
        for event in self:
            average = by_name.setdefault(event.key, FunctionEventAvg(event.key))
            average += event
        return EventList(by_name.values())

    def total_average(self) -> FunctionEventAvg:
        """All events together."""
        total = FunctionEventAvg()
        for event in self:
            total += event
        return total

    def export_chrome_trace(self, path: str | PathLike[str]) -> None:
        """Writes the events as chrome://tracing reads them."""
        import json  # not needed by a program that profiles nothing

        trace = [
            {
                "name": e.name,
                "ph": "X",
                "ts": e.start,
                "dur": e.cpu_time,
                "tid": e.thread,
                "pid": "CPU functions",
                "args": {},
            }
            for e in self
        ]
        with open(path, "w", encoding="utf-8") as file:
            json.dump(trace, file)


class profile:
    """Notes what runs inside a `with` block: operations by name, nodes on their way back by class.

    After the block it has `table`, `key_averages`, `total_average` and `export_chrome_trace`, and
    prints as a table. One block at a time; nothing is noted with `enabled=False`.

    >>> import rgrad as torch
    >>> from rgrad.autograd import Variable, profiler
    >>> x = Variable(torch.ones(2), requires_grad=True)
    >>> with profiler.profile() as p:
    ...     (x * 2).sum().backward()
    >>> [event.name for event in p.function_events]
    ['mul', 'sum', 'SumBackward0', 'MulBackward0', 'AccumulateGrad']
    """

    def __init__(self, enabled: bool = True, use_cuda: bool = False) -> None:
        self.enabled = enabled
        self.use_cuda = use_cuda
        self.function_events: EventList | None = None
        self.entered = False
        self.running = False

    def __enter__(self) -> Self:
        if not self.enabled:
            return self
        if self.entered:
            raise RuntimeError("profile: a profiler is not reentrant; make another one")
        if _C._profile_start():
            raise RuntimeError("profile: another profiler is running; leave its block first")
        self.entered = self.running = True
        return self

    def __exit__(self, *error: object) -> None:
        if not self.running:
            return
        self.running = False
        events = enumerate(_C._profile_stop())
        self.function_events = EventList(
            FunctionEvent(i, name, thread, start / 1000, end / 1000)
            for i, (name, start, end, thread) in events
        )

    def _finished(self) -> EventList:
        if self.function_events is None:
            raise RuntimeError("profile: there are no events before the end of the with block")
        return self.function_events

    def __repr__(self) -> str:
        if self.function_events is None:
            return "<unfinished torch.autograd.profile>"
        return repr(self.function_events)

    def __str__(self) -> str:
        if self.function_events is None:
            return "<unfinished torch.autograd.profile>"
        return str(self.function_events)

    def table(self, sort_by: str | None = None) -> str:
        """All events as text."""
        return self._finished().table(sort_by)

    def key_averages(self) -> EventList:
        """One entry for each name."""
        return self._finished().key_averages()

    def total_average(self) -> FunctionEventAvg:
        """All events together."""
        return self._finished().total_average()

    def export_chrome_trace(self, path: str | PathLike[str]) -> None:
        """Writes the events as chrome://tracing reads them."""
        self._finished().export_chrome_trace(path)


#: Shows a stretch of the program under a name: `with range("epoch"):`.
range = _C._Range


class emit_nvtx:
    """Would mark operations for NVIDIA's profiler; this package has no CUDA to be profiled."""

    def __init__(self, enabled: bool = True) -> None:
        if enabled:
            raise RuntimeError("emit_nvtx: there is no CUDA here to be profiled; use profile()")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def load_nvprof(path: str | PathLike[str]) -> EventList:
    """Would read a trace of NVIDIA's profiler; this package writes none."""
    raise RuntimeError(f"load_nvprof: traces of nvprof are not read ({path}); use profile()")
