"""`python -m rgrad`: what this installation is and what it can use."""

import argparse
import platform
from collections.abc import Iterator

from . import _C, cuda


def report() -> Iterator[str]:
    """Lines about version, processor, threads and adapters."""
    yield f"rgrad {_C._version}, Python {platform.python_version()} on {platform.system()}"
    yield f"processor: {platform.machine()}, loops compiled for {_C._cpu_features()}"
    count = _C.get_num_threads()
    yield f"threads: {count} thread{'s' if count != 1 else ''} (RGRAD_NUM_THREADS)"
    adapters = _C._gpu_adapters()
    if not adapters:
        yield "adapters: none found; everything runs on the CPU"
    for adapter in adapters:
        yield f"adapter: {adapter}"
    used = f"in use: {cuda.get_device_name()}" if cuda.is_available() else "none in use"
    yield f"adapter {used} (RGRAD_GPU)"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rgrad",
        description="Shows version, processor features, threads and adapters of this rgrad.",
        epilog="To come: python -m rgrad SCRIPT runs a program written for PyTorch 0.3 unmodified.",
    )
    parser.add_argument("--version", action="version", version=f"rgrad {_C._version}")
    parser.parse_args()
    print("\n".join(report()))


if __name__ == "__main__":
    main()
