"""The state of random numbers."""

import contextlib
from collections.abc import Iterator, Sequence

from ._C import (
    _gpu_generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    set_rng_state,
)

__all__ = [
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "set_rng_state",
]


@contextlib.contextmanager
def fork_rng(devices: Sequence[int] | None = None, enabled: bool = True) -> Iterator[None]:
    """Puts the random numbers of the CPU, and of the GPU, back at the end of the block.

    `devices` are the GPUs it is about, all by default.
    """
    if not enabled:
        yield
        return
    state = get_rng_state()
    there = _gpu_generator() if devices is None or list(devices) else None
    gpu_state = there.get_state() if there else None
    try:
        yield
    finally:
        set_rng_state(state)
        if there and gpu_state is not None:
            there.set_state(gpu_state)
