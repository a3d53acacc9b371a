"""Where in the program each graph node was recorded: what errors, `explain` and `draw` point at."""

import os

from .. import _C


def set_source_lines(on: bool) -> bool:
    """Sets whether nodes remember their place in the program; gives what it was.

    It is on from the start, at a few nanoseconds for a node, where Python's frames can be read that
    fast; elsewhere it is off until asked for. The environment variable RGRAD_SOURCE_LINES=0 leaves
    it off.
    """
    return _C._set_source_lines(bool(on))


# Three nested calls: the extension reads these frames itself and asks Python for them, and trusts
# its own reading only if both agree.
def _first() -> bool:
    return _second()


def _second() -> bool:
    return _third()


def _third() -> bool:
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    wanted = os.environ.get("RGRAD_SOURCE_LINES", "1") != "0"
    return _C._start_source_lines(os.path.join(package, ""), wanted)


_first()
