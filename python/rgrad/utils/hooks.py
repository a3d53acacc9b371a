"""Handles of hooks."""

import collections
import itertools
import weakref
from typing import Any, Self

__all__ = ["RemovableHandle"]

_ids = itertools.count()


class RemovableHandle:
    """Takes a hook out of its table again: by `remove()`, or at the end of a `with` block.

    >>> table = collections.OrderedDict()
    >>> handle = RemovableHandle(table)
    >>> table[handle.id] = print
    >>> handle.remove()
    >>> len(table)
    0
    """

    def __init__(self, hooks_dict: dict[Any, Any]) -> None:
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = next(_ids)

    def remove(self) -> None:
        """Takes the hook out; nothing happens the second time."""
        table = self.hooks_dict_ref()
        if table is not None:
            table.pop(self.id, None)

    def __getstate__(self) -> tuple[Any, int]:
        return self.hooks_dict_ref(), self.id

    def __setstate__(self, state: tuple[Any, int]) -> None:
        # Without its table a handle comes back dead.
        table = collections.OrderedDict() if state[0] is None else state[0]
        self.hooks_dict_ref = weakref.ref(table)
        global _ids
        self.id = state[1]
        _ids = itertools.count(max(next(_ids), self.id + 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()
