"""Processes that share tensors: multiprocessing that sends tensors without copying them.

All of Python's multiprocessing is here under its own names. A tensor, Variable or storage that goes
through a queue, a pipe or a pool, or to a process as an argument, moves to shared memory, and what
arrives is the same memory:

>>> import rgrad as torch
>>> import rgrad.multiprocessing as mp
>>> here, there = mp.Pipe()
>>> t = torch.zeros(3)
>>> here.send(t)
>>> there.recv().fill_(7)
<BLANKLINE>
 7
 7
 7
[torch.FloatTensor of size 3]
<BLANKLINE>
>>> t[0], t.is_shared()
(7.0, True)

- Tensors on one storage arrive on one storage, also if they come one after the other, and what
  comes back to a process is the storage that it had.
- Variables arrive as leaves with their flags and hooks, but without gradient and history.
- Memory that a NumPy array or a file has too cannot move: send `t.clone()`. What `t.numpy()` gave
  keeps the memory of `t` in place as long as it lives.
- A queue sends from a thread of its own, soon after `put`. What cannot be sent is reported there.
- Memory of the GPU stays in its process: send `t.cpu()`.

There are two ways to share, see `set_sharing_strategy`.
"""

import multiprocessing
from multiprocessing import *  # noqa: F403
from typing import Any

from . import memory as _memory
from . import reductions

reductions.register()


def get_all_sharing_strategies() -> set[str]:
    """The ways to share that this system has: 'file_descriptor' and 'file_system'; on macOS and
    Windows the second only.
    """
    return set(_memory.STRATEGIES)


def get_sharing_strategy() -> str:
    """The way in which memory is shared that is not yet.

    >>> import rgrad.multiprocessing as mp
    >>> mp.get_sharing_strategy() in mp.get_all_sharing_strategies()
    True
    """
    return _memory.strategy


def set_sharing_strategy(new_strategy: str) -> None:
    """Chooses how this process shares memory from here on; what is shared stays as it is.

    'file_descriptor', the default on Linux: each shared storage keeps a descriptor open, of which a
    process can have a thousand or so (`ulimit -n`). The sender must live until the message is read.
    Nothing is ever left behind.

    'file_system': the memory has a name in /dev/shm. There can be any number, and the sender may
    end. The last user removes it; what killed processes leave goes with the program. Choose it
    before the first child starts.

    Raises ValueError for a name that is not in `get_all_sharing_strategies()`.

    >>> import rgrad as torch
    >>> before = torch.multiprocessing.get_sharing_strategy()
    >>> torch.multiprocessing.set_sharing_strategy("file_system")
    >>> torch.zeros(3).share_memory_().is_shared()
    True
    >>> torch.multiprocessing.set_sharing_strategy(before)
    """
    if new_strategy not in _memory.STRATEGIES:
        raise ValueError(
            f"set_sharing_strategy: there is no strategy {new_strategy!r} here; choose one of "
            f"{', '.join(sorted(_memory.STRATEGIES))}"
        )
    if new_strategy == "file_system":
        _memory.start_tracker()
    _memory.strategy = new_strategy


def __getattr__(name: str) -> Any:
    """What multiprocessing has beside its public names, such as its modules."""
    if name.startswith("__"):
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(multiprocessing, name)


__all__ = [
    *multiprocessing.__all__,
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
]
