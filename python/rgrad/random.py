"""The state of random numbers."""

import contextlib
from collections.abc import Iterator

from . import _C
from ._C import get_rng_state, initial_seed, set_rng_state

__all__ = ["fork_rng", "get_rng_state", "initial_seed", "manual_seed", "set_rng_state"]


def manual_seed(seed: int) -> _C.Generator:
    """Seeds the generator of the CPU and gives it; the GPU's fills are drawn from it too."""
    return _C.manual_seed(seed)


@contextlib.contextmanager
def fork_rng(devices: object = None, enabled: bool = True) -> Iterator[None]:
    """Puts the state of random numbers back at the end of the block."""
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
