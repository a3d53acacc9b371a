"""Checks the types: python/rgrad/_C.pyi is what the op table writes and fits the built module.

The package and a program that uses it must pass mypy too. `--update` writes the file anew first.
"""

import difflib
import os
import subprocess
import sys
from pathlib import Path

from stub_writer import stub_text

STUB = Path("python/rgrad/_C.pyi")
ALLOWED = ["--allowlist", "tests/tools/stubtest_allowed.txt"]
CHECKS = [
    # `@disjoint_base` says more than users' checkers need to know, and old ones do not know it.
    ["mypy.stubtest", "rgrad._C", "--concise", "--ignore-disjoint-bases", *ALLOWED],
    ["mypy"],
    ["mypy", "--strict", "tests/tools/typed_program.py"],
]


def difference(text):
    """What a new text changes in the checked-in file."""
    have = STUB.read_text(encoding="utf-8") if STUB.exists() else ""
    lines = difflib.unified_diff(
        have.splitlines(), text.splitlines(), str(STUB), "the built module", lineterm="", n=1
    )
    return "\n".join(lines)


def main(update):
    text = stub_text()
    if update:
        STUB.write_text(text, encoding="utf-8")
        print(f"wrote {STUB}")
    elif changes := difference(text):
        print(changes)
        print(f"{STUB} is not what the module says: run {sys.argv[0]} --update", file=sys.stderr)
        return 1
    # The stub beside this file, not the one that was installed with the module.
    env = os.environ | {"MYPYPATH": "python"}
    runs = [subprocess.run([sys.executable, "-m", *check], env=env) for check in CHECKS]
    return int(any(run.returncode for run in runs))


if __name__ == "__main__":
    sys.exit(main("--update" in sys.argv[1:]))
