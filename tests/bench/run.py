"""Ratios against other libraries, all measured in one run: `make bench`, `make bench ONLY=matmul`.

Each library lives in its own process; samples are taken in turn, so that a slow minute of the
machine is everyone's, and the median counts. A ratio is the other's figure over ours: above 1 we
win.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
import timeit
from pathlib import Path

import footprint
from libraries import PEERS, Library, Skip, installed

SIDES = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)

# name, title, what the worker prepares, the arguments of each row and their names; titles that end
# with "one thread" are measured in processes that may use one processor.
ALONE = "one thread"
TIMED = [
    ("tutorial", "tutorial graph, forward and backward", "tutorial", [([], "5 operations")]),
    ("mul", "a*b of one element, recorded", "mul", [([], "1 element")]),
    (
        "chain",
        "chain of one-element products, forward and backward, per node",
        "chain",
        [([n], f"{n:.0e} nodes") for n in (1_000, 10_000, 100_000, 1_000_000)],
    ),
    (
        "add",
        "a+b of f32, nothing recorded",
        "add",
        [([10**e], f"1e{e} elements") for e in range(8)],
    ),
    (
        "add",
        "a+b of f32, recorded",
        "add_recorded",
        [([10**e], f"1e{e} elements") for e in range(8)],
    ),
    *(
        (
            "matmul",
            f"matrix product of {kind}, {threads}",
            "matmul",
            [([n, kind], f"{n} squared") for n in SIDES],
        )
        for kind in ("f32", "f64")
        for threads in (ALONE, "all threads")
    ),
    (
        "products",
        "matrix times vector of f32",
        "mv",
        [([n], f"{n} squared") for n in (64, 512, 4096)],
    ),
    (
        "products",
        "stack of products of f32",
        "bmm",
        [([n, side], f"{n} of {side} squared") for n, side in ((1000, 8), (256, 32), (64, 128))],
    ),
    (
        "products",
        "inner product of f32",
        "dot",
        [([10**e], f"1e{e} elements") for e in (2, 4, 6)],
    ),
    (
        "mlp",
        "training step of a 784-256-10 perceptron",
        "mlp",
        [([n], f"batch {n}") for n in (64, 1024)],
    ),
    (
        "moves",
        "row-major copy of a transposed f32 matrix",
        "transposed",
        [([n], f"{n} squared") for n in (256, 1024, 4096)],
    ),
    ("moves", "two f32 vectors joined", "joined", [([10**e], f"1e{e} each") for e in (5, 7)]),
    (
        "moves",
        "1e5 rows of 64 f32 chosen from a table",
        "rows",
        [([n], f"{n:.0e} rows") for n in (10_000, 100_000)],
    ),
    (
        "moves",
        "the same rows, backward",
        "rows_back",
        [([n], f"{n:.0e} rows") for n in (10_000, 100_000)],
    ),
    (
        "moves",
        "elements gathered along a dimension of a 2048 squared f32 matrix",
        "gathered",
        [([dim], f"dimension {dim}") for dim in (0, 1)],
    ),
    (
        "reduce",
        "reductions of f32, 4096 squared",
        "reduce",
        [
            ([4096, op, dim], f"{op} {'all' if dim is None else f'axis {dim}'}")
            for op, dim in [
                ("sum", None),
                ("sum", 0),
                ("sum", 1),
                ("max", 0),
                ("max", 1),
                ("argmax", 1),
                ("var", 0),
                ("var", 1),
            ]
        ],
    ),
    (
        "softmax",
        "softmax of f32 along the rows, 4096 x 1024",
        "softmax",
        [([4096, 1024, log], "log_softmax" if log else "softmax") for log in (False, True)],
    ),
    (
        "sort",
        "order of 1e6 random f32",
        "sort",
        [([10**6, op], op) for op in ("sort", "topk 100", "median")],
    ),
    (
        "scan",
        "cumulative sums of f32, 4096 squared",
        "scan",
        [([4096, dim], f"axis {dim}") for dim in (0, 1)],
    ),
]
NAMES = [*dict.fromkeys(case[0] for case in TIMED), "memory", "import"]
# Seconds before a sample.
PAUSE = 0.1
UNITS = [(1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]


def seconds(value):
    """`value` with the unit that leaves one to three digits before the point."""
    size, unit = next(((s, u) for s, u in UNITS if value >= s), UNITS[-1])
    return f"{value / size:.3g} {unit}"


def octets(value):
    """Bytes as a person reads them."""
    return f"{value:.0f} B" if value < 10_000 else f"{value / 2**20:.1f} MiB"


def table(title, names, rows, text):
    """A line for each row, a column for each library, with its ratio to the first column."""
    print(f"\n{title}")
    cells = [["", *names]]
    for row, figures in rows:
        base = figures.get(names[0])
        line = [row]
        for name in names:
            figure = figures.get(name, "-")
            if isinstance(figure, str):
                line.append(figure)
            elif name == names[0] or not isinstance(base, (int, float)):
                line.append(text(figure))
            else:
                line.append(f"{text(figure)} ({figure / base:.2f}x)" if base else text(figure))
        cells.append(line)
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    for line in cells:
        first, *rest = line
        columns = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        print("  " + "   ".join([first.ljust(widths[0]), *columns]).rstrip())
    sys.stdout.flush()


def timed_row(libraries, work, arguments, options):
    """The median time of each library, its samples taken in turn; a text where there is none."""
    counts, figures = {}, {}
    for library in libraries:
        try:
            reply = library.ask(do="prepare", work=work, args=arguments, seconds=options.sample)
            counts[library] = reply["count"]
        except Skip as reason:
            figures[library.name] = str(reason)
    samples = {library: [] for library in counts}
    for turn in range(options.rounds):
        order = list(counts)
        for library in order[turn % max(1, len(order)) :] + order[: turn % max(1, len(order))]:
            if library.name in figures:
                continue
            # Threads of the library before this one may still spin, waiting for its next call.
            time.sleep(0 if library.processors else PAUSE)
            try:
                reply = library.ask(do="sample", count=counts[library])
                samples[library].append(reply["time"])
            except Skip as reason:
                figures[library.name] = str(reason)
    for library, times in samples.items():
        if library.name not in figures:
            figures[library.name] = statistics.median(times)
    return figures


def chosen(only, case):
    return not only or case in only


def run_timed(everyone, options, results):
    # Pinned before they start, so that every library sees one processor and starts one thread.
    alone = [Library(x.name, x.patience, processors=1) for x in everyone]
    for case, title, work, rows in TIMED:
        if not chosen(options.only, case):
            continue
        libraries = alone if title.endswith(ALONE) else everyone
        able, done, lost = list(libraries), [], {}
        for arguments, row in rows:
            if options.largest and arguments and arguments[0] > options.largest:
                continue
            figures = {**lost, **timed_row(able, work, arguments, options)}
            # What a library could not do at this size it is not asked at a larger one.
            lost = {name: figure for name, figure in figures.items() if isinstance(figure, str)}
            able = [library for library in able if library.name not in lost]
            if case == "chain":
                per = arguments[0]
                figures = {n: f if isinstance(f, str) else f / per for n, f in figures.items()}
            done.append((row, figures))
        results[title] = done
        offered = [
            library.name
            for library in libraries
            if any(figures.get(library.name) != "not offered" for _, figures in done)
        ]
        table(title, offered or ["-"], done, seconds)
    for library in alone:
        library.stop()


def run_memory(libraries, options, results):
    """Peak memory of a chain per node: each figure from a process that did nothing else."""
    done, lost = [], {}
    for length in (10_000, 100_000, 1_000_000):
        if options.largest and length > options.largest:
            continue
        figures = dict(lost)
        for library in libraries:
            if library.name in lost:
                continue
            library.stop()
            try:
                reply = library.ask(do="peak", work="chain", args=[length], warm=[100])
                figures[library.name] = reply["bytes"] / length
            except Skip as reason:
                figures[library.name] = lost[library.name] = str(reason)
        done.append((f"{length:.0e} nodes", figures))
    if not done:
        return
    title = "peak memory of the same chain, per node"
    results[title] = done
    able = [x.name for x in libraries if any(f[x.name] != "not offered" for _, f in done)]
    table(title, able or ["-"], done, octets)


def about(libraries, missing):
    """The machine and the versions: a figure without them says nothing."""
    # Builds of one version differ up to twofold, and no flag tells: so their pace is printed.
    call = min(timeit.repeat("f()", "def f(): pass", number=200_000, repeat=5)) / 200_000
    print(f"interpreter  {sys.executable}, CPython {platform.python_version()}")
    print(f"             an empty Python call takes {seconds(call)}")
    model = "unknown processor"
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(": ", 1)[1] for x in lines if x.startswith("model name")), model)
    print(f"machine      {model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    busy = os.getloadavg()[0]
    print(f"load         {busy:.1f} when it began (above 0.5 the figures are doubtful)")
    for library in libraries:
        facts = library.about
        print(f"{library.name:<12} {facts['version']}, {facts['threads']} threads")
    for name, reason in missing.items():
        print(f"{name:<12} skipped: {reason}")


def main():
    parser = argparse.ArgumentParser(description="Measures rgrad beside other libraries.")
    parser.add_argument("only", nargs="*", help=f"what to measure: {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=7, help="samples of each figure (7)")
    parser.add_argument("--sample", type=float, default=0.05, help="seconds of a sample (0.05)")
    parser.add_argument("--patience", type=float, default=120, help="seconds for one answer (120)")
    parser.add_argument("--largest", type=int, help="leave out rows with a larger size")
    parser.add_argument("--libraries", default=",".join(PEERS), help="comma separated")
    parser.add_argument("--json", help="also write every figure to this file")
    options = parser.parse_args()
    if unknown := [name for name in options.only if name not in NAMES]:
        parser.error(f"nothing is called {', '.join(unknown)}; there are {', '.join(NAMES)}")

    libraries, missing = installed(options.libraries.split(","), options.patience)
    about(libraries, missing)
    results = {}
    try:
        run_timed(libraries, options, results)
        if chosen(options.only, "memory"):
            run_memory(libraries, options, results)
    finally:
        for library in libraries:
            library.stop()
    if chosen(options.only, "import"):
        footprint.run([library.name for library in libraries], options, results, table)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
