"""Checks python/rgrad/_C.pyi: it is what the op table writes, and it fits the built module.

`--update` writes the file anew from the module.
"""

import difflib
import subprocess
import sys
from pathlib import Path

from stub_writer import stub_text

STUB = Path("python/rgrad/_C.pyi")
# `@disjoint_base` says more than users' checkers need to know, and old ones do not know the word.
STUBTEST = ["-m", "mypy.stubtest", "rgrad._C", "--concise", "--ignore-disjoint-bases"]


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
    return subprocess.run([sys.executable, *STUBTEST]).returncode


if __name__ == "__main__":
    sys.exit(main("--update" in sys.argv[1:]))
