"""A second driver for our shaders: wgpu-py, told only what the list of shaders says.

It shares nothing with the Rust runner but the texts, so a mistake in either one shows.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
from pathlib import Path

import numpy as np
import wgpu

ROOT = Path(__file__).resolve().parents[2]
KINDS = {
    "f32": np.float32,
    "i32": np.int32,
    "u8": np.uint8,
    "i64": np.int64,
    "raw32": np.uint32,
    "raw64": np.int64,
}
# Room behind every array, so that whole groups of four can be read, and to see what is overwritten.
MARGIN = 64


def manifest() -> dict:
    """The list of shaders: from the extension, from a file, or asked of cargo."""
    try:
        from rgrad import _C

        return json.loads(_C._gpu_manifest())
    except (ImportError, AttributeError):
        pass
    path = os.environ.get("RGRAD_MANIFEST")
    if not path:
        path = str(ROOT / "target" / "manifest.json")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        command = ["cargo", "test", "-q", "--test", "rust", "the_list_of_shaders_has_every_row"]
        subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "RGRAD_MANIFEST": path})
    return json.loads(Path(path).read_text())


class Driver:
    """One device of wgpu-py, on the software adapter where there is one."""

    def __init__(self, listing: dict):
        adapters = [
            a for a in wgpu.gpu.enumerate_adapters_sync() if a.info["backend_type"] == "Vulkan"
        ]
        if not adapters:
            raise RuntimeError("no Vulkan adapter was found; install Mesa's lavapipe")
        adapters.sort(key=lambda a: a.info["adapter_type"] != "CPU")
        self.device = adapters[0].request_device_sync()
        self.listing = listing
        self.pipelines = {}

    def text(self, shader: dict) -> str:
        return "\n".join(
            [self.listing["prelude"], shader["defs"], self.listing["files"][shader["file"]]]
        )

    def pipeline(self, shader: dict):
        key = shader["file"], shader["defs"]
        if key not in self.pipelines:
            text = self.text(shader)
            entry = shader["file"]
            module = self.device.create_shader_module(code=text)
            # Bindings are declared in any order; the layout wants them by number.
            order = [
                (int(line.split("@binding(")[1].split(")")[0]), "read_write>" in line)
                for line in text.splitlines()
                if line.startswith("@group(0)")
            ]
            assert len(order) == len({n for n, _ in order})
            storage = [{"type": "storage" if w else "read-only-storage"} for _, w in sorted(order)]
            complains = "fn complain(" in text
            groups = [storage, [{"type": "uniform"}] + [{"type": "storage"}] * complains]
            layouts = [
                self.device.create_bind_group_layout(
                    entries=[
                        {"binding": i, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": b}
                        for i, b in enumerate(group)
                    ]
                )
                for group in groups
            ]
            layout = self.device.create_pipeline_layout(bind_group_layouts=layouts)
            pipeline = self.device.create_compute_pipeline(
                layout=layout, compute={"module": module, "entry_point": entry}
            )
            self.pipelines[key] = pipeline, layouts, complains
        return self.pipelines[key]

    def run(self, shader: dict, arrays: list, walk: dict, grid: tuple) -> list:
        """Runs a shader over copies of `arrays` (in binding order) and returns them afterwards.

        The last item of the result is the error words, or None for a shader that has none.
        """
        pipeline, layouts, complains = self.pipeline(shader)
        usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
        make = self.device.create_buffer_with_data
        padded = []
        for array in arrays:
            raw = array.tobytes() + b"\x4d" * MARGIN
            padded.append(raw + b"\x4d" * (-len(raw) % 16))
        buffers = [make(data=raw, usage=usage) for raw in padded]
        uniform = make(data=geometry(walk), usage=wgpu.BufferUsage.UNIFORM)
        trouble = make(data=bytes(16), usage=usage)
        groups = [buffers, [uniform] + [trouble] * complains]
        encoder = self.device.create_command_encoder()
        work = encoder.begin_compute_pass()
        work.set_pipeline(pipeline)
        for i, (layout, group) in enumerate(zip(layouts, groups, strict=True)):
            entries = [{"binding": j, "resource": {"buffer": b}} for j, b in enumerate(group)]
            work.set_bind_group(i, self.device.create_bind_group(layout=layout, entries=entries))
        work.dispatch_workgroups(*grid)
        work.end()
        self.device.queue.submit([encoder.finish()])
        out = []
        for array, raw, buffer in zip(arrays, padded, buffers, strict=True):
            back = bytes(self.device.queue.read_buffer(buffer))
            assert back[array.nbytes :] == raw[array.nbytes :], (
                "something behind the end was written"
            )
            out.append(np.frombuffer(back[: array.nbytes], array.dtype).copy())
        words = bytes(self.device.queue.read_buffer(trouble)) if complains else None
        out.append(np.frombuffer(words, np.uint32) if words else None)
        return out


def geometry(walk: dict) -> bytes:
    """The uniform `Walk` of the prelude, from the fields that are not zero."""

    def four(name: str) -> list:
        return (list(walk.get(name, ())) + [0] * 4)[:4]

    sizes = list(walk.get("sizes", ()))
    strides = [(list(row) + [0] * 4)[:4] for row in walk.get("strides", ())]
    rank = walk.get("rank", len(sizes))
    words = [walk.get("count", 0), walk.get("invocations", 0), rank, walk.get("tag", 7)]
    for name in ("params", "offsets", "steps", "extra"):
        words += four(name)
    words += (sizes + [0] * 8)[:8]
    for row in (strides + [[0] * 4] * 8)[:8]:
        words += row
    return struct.pack("<60I", *[int(w) & 0xFFFFFFFF for w in words])
