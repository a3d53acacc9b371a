"""Fails when a shader file and shaders/manifest.json do not name each other.

The tests walk the manifest, so a shader outside it would ship untested.
"""

import json
import sys
from pathlib import Path

SHADERS = Path("shaders")
MANIFEST = SHADERS / "manifest.json"
# Put in front of the others; it has no entry point of its own.
PRELUDE = "prelude"


def named(value):
    """Every file of shaders/ that the manifest names: a list, a mapping, or both nested."""
    if isinstance(value, dict):
        found = set()
        for key, inner in value.items():
            found |= {key} | named(inner)
        return found
    if isinstance(value, list):
        return set().union(*(named(item) for item in value))
    return {value} if isinstance(value, str) else set()


def main():
    files = {path.stem for path in SHADERS.glob("*.wgsl")} - {PRELUDE}
    if not MANIFEST.exists():
        print(f"shaders  {len(files)}, no manifest yet")
        return False
    words = named(json.loads(MANIFEST.read_text(encoding="utf-8")))
    entries = {word.removesuffix(".wgsl") for word in words if word.endswith(".wgsl")}
    unlisted = sorted(name for name in files if name not in words and name not in entries)
    lost = sorted(entries - files - {PRELUDE})
    print(f"shaders  {len(files)}")
    for name in unlisted:
        print(f"shaders/{name}.wgsl has no entry in {MANIFEST}", file=sys.stderr)
    for name in lost:
        print(f"{MANIFEST} names {name}.wgsl, which does not exist", file=sys.stderr)
    return bool(unlisted or lost)


if __name__ == "__main__":
    sys.exit(main())
