"""What a library costs before it does anything: import time, memory, bytes on disk."""

import importlib.metadata
import statistics
import subprocess
import sys
import time
from pathlib import Path

DIST = Path(__file__).parents[2] / "dist"
# Where the package itself is empty: what its users import.
MODULES = {"micrograd": "micrograd.engine"}
# What a bare interpreter runs, so that only the import differs.
PROGRAM = """
{line}
with open("/proc/self/status") as status:
    print(next(int(x.split()[1]) * 1024 for x in status if x.startswith("VmRSS")))
"""


def start(line):
    """Seconds and resident bytes of an interpreter that runs `line`."""
    begin = time.perf_counter()
    program = [sys.executable, "-c", PROGRAM.format(line=line)]
    out = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    return time.perf_counter() - begin, int(out.split()[-1])


def installed_bytes(name):
    """The size of everything the package's own files take once installed."""
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        return "-"
    paths = [path.locate() for path in files if "__pycache__" not in str(path)]
    return sum(path.stat().st_size for path in paths if path.is_file())


def newest_wheel():
    """The wheel that `make wheel` left in dist/, if any."""
    wheels = sorted(DIST.glob("rgrad-*.whl"), key=lambda path: path.stat().st_mtime)
    return wheels[-1] if wheels else None


def megabytes(value):
    return f"{value / 2**20:.1f} MiB"


def milliseconds(value):
    return f"{value * 1e3:.1f} ms"


def run(names, options, results, table):
    if not names:
        return
    lines = {"bare": "pass", **{name: f"import {MODULES.get(name, name)}" for name in names}}
    taken = {name: [] for name in lines}
    for line in lines.values():
        start(line)  # once, so that the disk cache and the .pyc files are warm
    for _ in range(options.rounds):
        for name, line in lines.items():
            taken[name].append(start(line))
    times = {name: statistics.median(t for t, _ in both) for name, both in taken.items()}
    sizes = {name: statistics.median(s for _, s in both) for name, both in taken.items()}
    above = {name: times[name] - times["bare"] for name in names}
    grown = {name: sizes[name] - sizes["bare"] for name in names}
    disk = {name: installed_bytes(name) for name in names}
    results["import"] = [("time", above), ("memory", grown), ("installed", disk)]
    bare = f"bare Python: {milliseconds(times['bare'])}, {megabytes(sizes['bare'])}"
    table(f"import, above bare Python ({bare})", names, [("time", above)], milliseconds)
    table("memory after import, above bare Python", names, [("resident", grown)], megabytes)
    table("size on disk once installed", names, [("package alone", disk)], megabytes)
    if "rgrad" in names:
        wheel = newest_wheel()
        said = f"{megabytes(wheel.stat().st_size)} ({wheel.name})" if wheel else "none in dist/"
        print(f"\nwheel of rgrad: {said}")
