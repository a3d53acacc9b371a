"""Prints the longest files, the lines of each layer, the rows of the table, the `unsafe` count.

Fails when a file is longer than 600 lines or `unsafe` stands where it may not.
"""

import re
import subprocess
import sys
from pathlib import Path

LONGEST = 600
SUFFIXES = {".rs", ".py", ".wgsl", ".sh"}
# Written by a tool from the table, so its length says nothing about how it reads.
GENERATED = {"python/rgrad/_C.pyi"}
UNSAFE_ALLOWED = (
    "src/cpu/",
    "src/tensor/shared.rs",
    "src/tensor/storage.rs",
    "src/gpu/buffer.rs",
    "src/python/table.rs",
    "src/python/ending.rs",
    "src/python/fork.rs",
    "src/python/interop.rs",
    "src/python/site/frames.rs",
)
# A row opens at the first step of indentation inside a table: `tanh(x) -> y: Float as "..." {`.
ROW = re.compile(r"^ {4}[^\s/}].*[{;]$")
TABLE_OPENS = re.compile(r"^\w+! \{$")


def tracked():
    """Every file of ours that git knows or would add, longest first."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    found = []
    for name in sorted(set(names)):
        path = Path(name)
        if path.suffix in SUFFIXES and path.is_file() and name not in GENERATED:
            found.append((name, path.read_text(encoding="utf-8").splitlines()))
    return sorted(found, key=lambda file: -len(file[1]))


def layer(name):
    """The layer a file belongs to: `src/ops`, `python`, `shaders`, `tests/rust`, ..."""
    parts = Path(name).parts
    if parts[0] in ("src", "tests") and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0] if len(parts) > 1 else "."


def rows(lines):
    """How many rows of the op table are written in these lines."""
    count, inside = 0, False
    for line in lines:
        if TABLE_OPENS.match(line):
            inside = True
        elif line.startswith("}"):
            inside = False
        elif inside and ROW.match(line):
            count += 1
    return count


def unsafe(lines):
    """How many times code, not a comment, says `unsafe`."""
    code = (re.sub(r'"[^"]*"', '""', line.split("//")[0]) for line in lines)
    return sum(len(re.findall(r"\bunsafe\b", line)) for line in code if "unsafe_" not in line)


def main():
    files = tracked()
    print("longest  " + ", ".join(f"{name} {len(lines)}" for name, lines in files[:5]))
    layers = {}
    for name, lines in files:
        layers[layer(name)] = layers.get(layer(name), 0) + len(lines)
    print("lines    " + ", ".join(f"{name} {count}" for name, count in sorted(layers.items())))
    rust = [(name, lines) for name, lines in files if name.endswith(".rs")]
    written = sum(rows(lines) for name, lines in rust if name.startswith("src/ops/"))
    print(f"rows     {written} written")
    counts = {name: unsafe(lines) for name, lines in rust if name.startswith("src/")}
    print(f"unsafe   {sum(counts.values())}")

    wrong = [
        f"{name} has {len(lines)} lines; split it ({LONGEST} is the most)"
        for name, lines in files
        if len(lines) > LONGEST
    ]
    wrong += [
        f"{name} says unsafe; only these may: {', '.join(UNSAFE_ALLOWED)}"
        for name, count in counts.items()
        if count and not name.startswith(UNSAFE_ALLOWED)
    ]
    for line in wrong:
        print(line, file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
