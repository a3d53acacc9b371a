"""How storages travel between processes: as handles of their memory.

Tensors and Variables travel as they are pickled, around their storages, so what shares memory here
shares it there (T-121, T-122).
"""

import os
from multiprocessing.reduction import ForkingPickler
from typing import Any

from .. import _C
from .memory import Named, Unnamed, file_of, share, used

Handle = tuple[Any, tuple[Any, ...]]


def reduce_storage(storage: _C._StorageBase) -> Handle:
    """Moves a storage to shared memory and gives what another process finds it by."""
    name = storage.type()
    part = storage._part_of()
    if part is not None:
        whole, start = part
        return rebuild_part, (whole, start, len(storage))
    if len(storage) == 0:
        return rebuild_empty, (name,)
    if storage.is_cuda:
        raise RuntimeError(
            f"sending a {name}: the memory of the GPU is this process's alone; send .cpu() of it"
        )
    if storage._memory() is None:
        share("sending to another process", storage)
    found = storage._memory()
    assert found is not None, "a storage that moved to shared memory is there"
    number, memory = found
    rebuild = rebuild_named if isinstance(memory, Named) else rebuild_unnamed
    return rebuild, (name, len(storage), number, memory.ticket())


def rebuild_part(whole: _C._StorageBase, start: int, length: int) -> Any:
    """A view of another storage."""
    return whole[start : start + length]


def rebuild_empty(name: str) -> _C._StorageBase:
    """A storage of the class called `name`, without elements."""
    empty: _C._StorageBase = _C._storage_class(name)()
    return empty


def rebuild_unnamed(name: str, length: int, number: int, ticket: Any) -> _C._StorageBase:
    """The storage on memory whose descriptor came along."""
    try:
        memory = Unnamed(ticket.detach())
    except (OSError, EOFError, RuntimeError) as e:
        raise RuntimeError(
            f"a {name} of {length} elements cannot arrive ({e}): the sender must live until the "
            "message is read, and each side can have only so many descriptors open (ulimit -n); "
            "set_sharing_strategy('file_system') needs neither"
        ) from e
    return _arrived(name, length, number, memory)


def rebuild_named(name: str, length: int, number: int, ticket: tuple[str, str]) -> _C._StorageBase:
    """The storage on memory whose name came along."""
    known = _C._known_storage(number)
    try:
        return known if known is not None else _arrived(name, length, number, Named.take(ticket))
    finally:
        used(ticket)


def _arrived(name: str, length: int, number: int, memory: Unnamed | Named) -> _C._StorageBase:
    room = os.fstat(memory.descriptor).st_size
    storage = _C._storage_on(name, length, file_of(memory), room, number, memory)
    memory.mapped()
    return storage


def register() -> None:
    """Makes queues, pipes and pools of multiprocessing use the handles."""
    for name in ("Byte", "Char", "Short", "Int", "Long", "Half", "Float", "Double"):
        for prefix in ("torch", "torch.cuda"):
            ForkingPickler.register(_C._storage_class(f"{prefix}.{name}Storage"), reduce_storage)
