"""Compiles every shader text with Tint, the other WGSL compiler: `python tests/tools/tint.py`.

Needs the package dawn-python; the list of shaders comes as for tests/python/test_shaders.py.
Compiling is all it does: Tint refuses what naga lets through, such as barriers in flow that is not
uniform.
"""

import sys
from pathlib import Path

from pydawn import utils, webgpu

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
from shader_driver import manifest


def main() -> int:
    listing = manifest()
    adapter = utils.request_adapter_sync(webgpu.WGPUPowerPreference_HighPerformance)
    device = utils.request_device_sync(adapter, [])
    texts = {
        "\n".join([listing["prelude"], s["defs"], listing["files"][s["file"]]]): s["file"]
        for s in listing["shaders"]
    }
    bad = 0
    for text, name in texts.items():
        try:
            utils.create_shader_module(device, text)
        except RuntimeError as error:
            bad += 1
            print(f"{name}: {error}")
    print(f"tint: {len(texts) - bad} of {len(texts)} texts compile")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
