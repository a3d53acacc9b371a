"""What the user's program calls its Variables: for pictures, explanations and errors."""

import sys
from types import FrameType

from . import _C

#: Names, and members of one container, looked at before giving up.
_MOST = 1000
_MEMBERS = 100

#: Whether the locals of a frame are a copy that it keeps; since 3.13 they are a window on it.
_COPIES = sys.version_info < (3, 13)
#: Of code objects: a function's, whose variables are in no dict.
_OPTIMIZED = 1


def _inside(name: str, value: object) -> list[tuple[str, object]]:
    """What a container or an object holds, with the names that reach it; runs no code of a user."""
    if type(value) in (list, tuple):
        return [(f"{name}[{i}]", item) for i, item in enumerate(value[:_MEMBERS])]  # type: ignore[index]
    if type(value) is dict:
        return [
            (f"{name}[{key!r}]", value[key]) for key in list(value)[:_MEMBERS] if type(key) is str
        ]
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return []
    if type(own) is not dict or isinstance(value, (type, type(sys))):
        return []
    return [(f"{name}.{key}", own[key]) for key in list(own)[:_MEMBERS] if type(key) is str]


def _empty(frame: FrameType, space: dict[str, object]) -> None:
    """Takes a function's variables out of the copy that its frame keeps, and with it their values,
    until the function ends."""
    code = frame.f_code
    for name in (*code.co_varnames, *code.co_cellvars, *code.co_freevars):
        space.pop(name, None)


def visible(frame: FrameType | None) -> list[tuple[str, _C.Variable]]:
    """(name, Variable) pairs that `frame` and its callers can see, locals before globals, plain
    names before members of lists, dicts and objects."""
    seen: dict[int, tuple[str, _C.Variable]] = {}
    members: list[tuple[str, object]] = []
    spaces: dict[int, dict[str, object]] = {}
    while frame is not None and len(seen) < _MOST:
        spaces.setdefault(id(frame.f_globals), frame.f_globals)
        space = frame.f_locals
        for name, value in list(space.items()):
            _note(seen, members, name, value)
        # Three references: the frame's, ours, and that of the call.
        if _COPIES and frame.f_code.co_flags & _OPTIMIZED and sys.getrefcount(space) == 3:
            _empty(frame, space)
        frame = frame.f_back
    for space in spaces.values():
        for name, value in list(space.items()):
            _note(seen, members, name, value)
    for name, value in members:
        if isinstance(value, _C.Variable):
            seen.setdefault(id(value), (name, value))
    return list(seen.values())


def _note(
    seen: dict[int, tuple[str, _C.Variable]],
    members: list[tuple[str, object]],
    name: str,
    value: object,
) -> None:
    if name.startswith("_"):
        return
    if isinstance(value, _C.Variable):
        seen.setdefault(id(value), (name, value))
    elif len(members) < _MOST:
        members += _inside(name, value)


def calling() -> list[tuple[str, _C.Variable]]:
    """What is visible from where the extension was called."""
    return visible(sys._getframe(1))
