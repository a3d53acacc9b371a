"""What pickles name: how tensors and storages are built from what was written down (T-44).

Classes call their module `torch`, as they did. A pickle can name them that way only where a module
of that name has them; elsewhere it names functions of this file.
"""

import sys
from collections.abc import Sequence
from typing import Any

from . import _C


def _rebuild_tensor(
    storage: _C._StorageBase, storage_offset: int, size: Sequence[int], stride: Sequence[int]
) -> _C._TensorBase:
    """A tensor on `storage`."""
    tensor = _C._tensor_class(storage.type().replace("Storage", "Tensor"))()
    return tensor.set_(storage, storage_offset, tuple(size), tuple(stride))


def _rebuild_storage(name: str, values: list[Any]) -> _C._StorageBase:
    """A storage of the class called `name`; of the CPU's where there is no GPU."""
    if name.startswith("torch.cuda.") and not _C._gpu_is_available():
        name = name.replace("cuda.", "")
    return _C._storage_class(name)(values)


def _reduce_storage(storage: _C._StorageBase) -> tuple[Any, tuple[Any, ...]]:
    """The class and the values, the class by its name where nobody could find it."""
    kind = type(storage)
    values = storage.tolist()
    if getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind:
        return kind, (values,)
    return _rebuild_storage, (storage.type(), values)
