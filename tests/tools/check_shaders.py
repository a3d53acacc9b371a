"""Fails when the files of shaders/ are not those that src/gpu/shader.rs puts into the program.

What a file says is tested elsewhere, by walking that list: a file outside it would ship untested.
"""

import re
import sys
from pathlib import Path

SHADERS = Path("shaders")
LIST = Path("src/gpu/shader.rs")


def listed(text):
    """The names in `files!(...)`, and those that go in front of them."""
    call = re.search(r"^files!\((.*?)^\);", text, re.DOTALL | re.MULTILINE)
    entries = re.findall(r'"(\w+)"', call.group(1)) if call else []
    return entries, re.findall(r"shaders/(\w+)\.wgsl", text)


def main():
    files = {path.stem for path in SHADERS.glob("*.wgsl")}
    entries, preludes = listed(LIST.read_text(encoding="utf-8"))
    wrong = [
        f"shaders/{name}.wgsl is not in {LIST}" for name in sorted(files - {*entries, *preludes})
    ]
    wrong += [
        f"{LIST} names {name}.wgsl, which does not exist"
        for name in sorted({*entries, *preludes} - files)
    ]
    for name in sorted(files & set(entries)):
        text = (SHADERS / f"{name}.wgsl").read_text(encoding="utf-8")
        if not re.search(rf"@compute[^{{]*\bfn {name}\(", text):
            wrong.append(f"shaders/{name}.wgsl has no entry point {name}")
    for name in sorted(files & set(preludes)):
        if "@compute" in (SHADERS / f"{name}.wgsl").read_text(encoding="utf-8"):
            wrong.append(f"shaders/{name}.wgsl goes in front of others, but has an entry point")
    print(f"shaders  {len(entries)}, with {len(preludes)} in front of each")
    for line in wrong:
        print(line, file=sys.stderr)
    return bool(wrong) or not entries or not preludes


if __name__ == "__main__":
    sys.exit(main())
