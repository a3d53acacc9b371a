"""DLPack: elements shared with other libraries, in capsules or by objects that make them.

>>> import rgrad as torch
>>> from rgrad.utils.dlpack import from_dlpack, to_dlpack
>>> t = torch.zeros(2)
>>> u = from_dlpack(to_dlpack(t))
>>> u[0] = 5
>>> t[0]
5.0
"""

from typing import Any

from .. import _C

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: _C._TensorBase) -> Any:
    """A capsule with the elements of `tensor`, which can be used once.

    Raises BufferError for tensors of the GPU and TypeError for what is no tensor.
    """
    return _C._to_dlpack(tensor)


def from_dlpack(dlpack: Any) -> _C._TensorBase:
    """A tensor on the elements in a capsule, or of any object with `__dlpack__`.

    Raises RuntimeError for a capsule that was used and for elements that have no class.
    """
    return _C._from_dlpack(dlpack)
