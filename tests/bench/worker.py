"""One library in one process: prepares a piece of work and times it when asked.

The parent speaks lines of JSON on stdin and stdout. A crash, a recursion error or a run that
never ends stays in this process and becomes one cell of the table.
"""

import importlib
import json
import os
import sys
import time


def memory(field):
    """`VmRSS` or `VmHWM` of this process in bytes; None where /proc has no such line."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def reset_peak():
    """Makes `VmHWM` start again from what is used at this moment."""
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")


def sample(run, count):
    """Seconds for one call of `run`, over `count` calls."""
    start = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - start) / count


def calibrate(run, wanted):
    """How many calls take about `wanted` seconds; the first call, which may compile, is not one."""
    if sample(run, 1) > 40 * wanted:
        return 1
    count = 1
    while True:
        took = sample(run, count) * count
        if took >= wanted / 2 or count >= 1_000_000:
            return max(1, round(count * wanted / max(took, 1e-9)))
        count *= 2 if took > wanted / 20 else 10


class Session:
    """What is prepared between one command and the next."""

    def __init__(self, peer):
        self.peer = peer
        self.run = None

    def about(self, _):
        return {"version": self.peer.version(), "threads": self.peer.threads()}

    def prepare(self, ask):
        make = getattr(self.peer, ask["work"], None)
        if make is None:
            return {"skip": "not offered"}
        self.run = make(*ask["args"])
        return {"count": calibrate(self.run, ask["seconds"])}

    def sample(self, ask):
        self.run()  # wakes the threads
        return {"time": sample(self.run, ask["count"])}

    def peak(self, ask):
        """Peak memory above what is used before, in a process that did this work only in small."""
        make = getattr(self.peer, ask["work"], None)
        if make is None:
            return {"skip": "not offered"}
        make(*ask["warm"])()
        run = make(*ask["args"])
        reset_peak()
        before = memory("VmRSS")
        run()
        return {"bytes": memory("VmHWM") - before}


def main(name, processors=None):
    if processors is not None and hasattr(os, "sched_setaffinity"):
        # Before the import: libraries count the processors they may use when they start.
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[-int(processors) :])
    # Whatever a library prints must not land between our lines.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**what):
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    try:
        session = Session(importlib.import_module("peers." + name))
    except ImportError as error:
        answer(skip=f"not installed ({error})")
        return
    answer(ready=True)
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            answer(**getattr(session, ask["do"])(ask))
        except Exception as error:  # the table shows the class, and the run goes on
            answer(skip=type(error).__name__, detail=str(error)[:300])


if __name__ == "__main__":
    main(*sys.argv[1:])
