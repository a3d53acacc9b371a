"""Checks python/rgrad/_C.pyi: it is what the op table writes, and it fits the built module.

`--update` writes the file anew from the table.
"""

import subprocess
import sys
from pathlib import Path

STUB = Path("python/rgrad/_C.pyi")


def main(update):
    from rgrad import _C

    write = getattr(_C, "stub_text", None)
    if write is None:
        print("rgrad._C has no stub_text(): the stubs cannot be compared", file=sys.stderr)
        return 1
    text = write()
    if update:
        STUB.write_text(text, encoding="utf-8")
        print(f"wrote {STUB}")
        return 0
    if not STUB.exists() or STUB.read_text(encoding="utf-8") != text:
        print(f"{STUB} is not what the op table says: run {sys.argv[0]} --update", file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "mypy.stubtest", "rgrad._C", "--concise"]
    allowed = Path("tests/tools/stubtest_allowed.txt")
    if allowed.exists():
        command += ["--allowlist", str(allowed)]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main("--update" in sys.argv[1:]))
