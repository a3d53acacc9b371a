"""The GPU: any adapter that wgpu can use stands for the one CUDA device of 0.3.

`RGRAD_GPU` chooses it: auto (default), off, software, an index, or a part of its name.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .. import _C, _absent

if not TYPE_CHECKING:
    __getattr__ = _absent.names_itself(__name__)

# A layer of Mesa's, loaded with Vulkan, complains on standard error where there is no desktop.
# Adapters are chosen by RGRAD_GPU here, so it is not needed.
os.environ.setdefault("NODEVICE_SELECT", "1")

ByteTensor = _C.cuda_ByteTensor
CharTensor = _C.cuda_CharTensor
ShortTensor = _C.cuda_ShortTensor
IntTensor = _C.cuda_IntTensor
LongTensor = _C.cuda_LongTensor
FloatTensor = _C.cuda_FloatTensor
DoubleTensor = _C.cuda_DoubleTensor
HalfTensor = _C.cuda_HalfTensor
ByteStorage = _C.cuda_ByteStorage
CharStorage = _C.cuda_CharStorage
ShortStorage = _C.cuda_ShortStorage
IntStorage = _C.cuda_IntStorage
LongStorage = _C.cuda_LongStorage
FloatStorage = _C.cuda_FloatStorage
DoubleStorage = _C.cuda_DoubleStorage
HalfStorage = _C.cuda_HalfStorage


def is_available() -> bool:
    """Whether there is an adapter to use."""
    return _C._gpu_is_available()


def device_count() -> int:
    """How many devices can be used: 0 or 1."""
    return _C._gpu_device_count()


def current_device() -> int:
    """The number of the device in use.

    Raises RuntimeError where there is none.
    """
    _C._gpu_device_name()
    return 0


def get_device_name(device: int = 0) -> str:
    """The adapter's name.

    Raises RuntimeError where there is none.
    """
    return _C._gpu_device_name()


def synchronize() -> None:
    """Waits until all work on the device is done, and raises what went wrong there."""
    _C._gpu_synchronize()


def manual_seed(seed: int) -> None:
    """Seeds the random numbers of the GPU, a stream of their own."""
    _C._gpu_generator().manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Seeds the random numbers of the GPU from the operating system."""
    _C._gpu_generator().seed()


seed_all = seed


def initial_seed() -> int:
    """The seed that the GPU's random numbers started from."""
    return _C._gpu_generator().initial_seed()


def get_rng_state(device: int = -1) -> _C.ByteTensor:
    """The state of the GPU's random numbers."""
    return _C._gpu_generator().get_state()


def get_rng_state_all() -> list[_C.ByteTensor]:
    """The state of each GPU's random numbers."""
    return [get_rng_state()]


def set_rng_state(new_state: _C.ByteTensor, device: int = -1) -> None:
    """Puts the GPU's random numbers into a state that `get_rng_state` gave."""
    _C._gpu_generator().set_state(new_state)


def set_rng_state_all(new_states: Iterable[_C.ByteTensor]) -> None:
    """Puts each GPU's random numbers into the state given for it."""
    for state in new_states:
        set_rng_state(state)


def set_device(device: int) -> None:
    """Chooses the device; there is one, and -1 leaves the choice as it is.

    Raises RuntimeError for others, and where there is none.
    """
    if device not in (0, -1):
        raise RuntimeError(f"set_device: there is no device {device}; only device 0 is used")
    if device == 0:
        _C._gpu_device_name()


@contextlib.contextmanager
def device(idx: int) -> Iterator[None]:
    """Uses device `idx` inside the block."""
    set_device(idx)
    yield
