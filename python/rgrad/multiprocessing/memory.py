"""Memory that other processes can have: made here, found by its number or name there.

There is a kind for each strategy of sharing. `Unnamed` memory is had by its descriptor, which is
open as long as the storage lives; it is gone with the last process that has it, however that ends.

`Named` memory is a file where files are memory, and costs no descriptor. Who uses it holds a shared
lock that the system drops with the mapping, also when a process is killed: the last to let go finds
nobody's lock and removes the file. A message under way is a second name of the file, which the
receiver removes. What is left by messages that nobody read, and by last users that were killed or
ended with the storage in hand, goes when the program's main process ends, or with the resource
tracker of multiprocessing if that process was killed.
"""

import contextlib
import errno
import os
import secrets
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from multiprocessing import parent_process, reduction, resource_tracker, util

from .. import _C

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

#: Where files are memory.
_SHM = "/dev/shm"
#: Whether a lock lives as long as the mapping, so that the descriptor need not.
_LOCK_STAYS = sys.platform == "linux"


def _reserve(descriptor: int, size: int) -> None:
    """Makes the file `size` bytes long, on pages that are there: a full file system says so here
    and not by a bus error later."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


class Unnamed:
    """Memory that is had by its descriptor."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def create(cls, size: int) -> "Unnamed":
        """Fresh memory."""
        made = cls(_unnamed_file())
        _reserve(made.descriptor, size)
        return made

    def mapped(self) -> None:
        """Tells that the memory is mapped."""

    def ticket(self) -> object:
        """What travels: a duplicate of the descriptor."""
        return reduction.DupFd(self.descriptor)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self.descriptor)


def _unnamed_file() -> int:
    # Not within the limits that containers set for /dev/shm.
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):
            return os.memfd_create("rgrad", os.MFD_CLOEXEC)
    descriptor, path = tempfile.mkstemp(prefix="rgrad-", dir=_folder())
    os.unlink(path)
    return descriptor


def _folder() -> str:
    return _SHM if os.path.isdir(_SHM) else tempfile.gettempdir()


class Named:
    """Memory that is had by the name of its file."""

    __slots__ = ("descriptor", "path")

    def __init__(self, path: str, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor
        if sys.platform != "win32":
            # Waits for those only who look whether they were the last.
            fcntl.flock(descriptor, fcntl.LOCK_SH)

    @classmethod
    def create(cls, size: int) -> "Named":
        """Fresh memory."""
        path = os.path.join(_folder(), f"{_prefix()}{secrets.token_hex(8)}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _MORE_FLAGS
        made = cls(path, os.open(path, flags, 0o600))
        _track(path)
        _reserve(made.descriptor, size)
        return made

    @classmethod
    def take(cls, ticket: tuple[str, str]) -> "Named":
        """The memory that a ticket is for; a copy of a used one is good as long as somebody has the
        memory."""
        path, link = ticket
        for name in (link, path):
            with contextlib.suppress(FileNotFoundError):
                taken = cls(path, os.open(name, os.O_RDWR | _MORE_FLAGS))
                # The last user may have removed the file before this one had the lock.
                if os.fstat(taken.descriptor).st_nlink > 0:
                    return taken
        raise RuntimeError(
            f"the shared memory {path} is gone: this message was read before, or the program that "
            "sent it has ended"
        )

    def mapped(self) -> None:
        """Tells that the memory is mapped."""
        if _LOCK_STAYS:
            self._close()

    def ticket(self) -> tuple[str, str]:
        """What travels: the name of the file, and a second one that keeps it."""
        link = f"{self.path}-{secrets.token_hex(4)}"
        try:
            os.link(self.path, link)
        except FileNotFoundError:
            raise RuntimeError(
                f"the shared memory {self.path} has no name any more, since the program that made "
                "it has ended; send a clone()"
            ) from None
        _track(link)
        return self.path, link

    def _close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __del__(self) -> None:
        self._close()
        _remove_unused(self.path)


_MORE_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def used(ticket: tuple[str, str]) -> None:
    """Ends the life of a ticket."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(ticket[1])
        _untrack(ticket[1])


def _remove_unused(path: str) -> None:
    """Removes the file unless somebody maps it or a message has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | _MORE_FLAGS)
    except FileNotFoundError:
        return
    try:
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_last = os.fstat(descriptor).st_nlink == 1
        if sys.platform == "win32":
            # There an open file cannot go, and neither can one that is mapped.
            os.close(descriptor)
            descriptor = -1
        if is_last:
            os.unlink(path)
            _untrack(path)
    except (BlockingIOError, FileNotFoundError, PermissionError):
        pass
    finally:
        if descriptor >= 0:
            os.close(descriptor)


# The files of one program have the pipe of its resource tracker in their names, to which all its
# processes write.


_AT_FIRST = os.getpid()


def _is_main() -> bool:
    """Whether this process is the program's first, and no child that `os.fork` made of it."""
    return parent_process() is None and os.getpid() == _AT_FIRST


def _is_tracked() -> bool:
    """Whether the tracker is the whole program's. A child that was forked before there was one
    would start its own, which takes away what the child made when the child ends."""
    tracker = getattr(resource_tracker, "_resource_tracker", None)
    return _folder() == _SHM and (_is_main() or getattr(tracker, "_fd", None) is not None)


def start_tracker() -> None:
    """Starts the tracker in the main process, for the children to have."""
    if _is_tracked():
        resource_tracker.ensure_running()


def _prefix() -> str:
    if not _is_tracked():
        return "rgrad-0-"
    descriptor = resource_tracker.getfd()
    assert descriptor is not None, "the tracker runs once it was asked for"
    pipe = os.fstat(descriptor).st_ino
    prefix = f"rgrad-{pipe:x}-"
    if _is_main() and prefix not in _to_sweep:
        _to_sweep.add(prefix)
        # Below zero comes after the children, for which multiprocessing waits.
        util.Finalize(None, _sweep, args=(prefix,), exitpriority=-100)
    return prefix


_to_sweep: set[str] = set()
#: Names that the tracker is still to forget.
_gone: deque[str] = deque()


def _track(path: str) -> None:
    if _is_tracked():
        _settle()
        resource_tracker.register(_name(path), "shared_memory")


def _untrack(path: str) -> None:
    if _is_tracked() and os.path.basename(path).startswith(_prefix()):
        _gone.append(_name(path))
        _settle()


def _name(path: str) -> str:
    """The name in the list of shared memory."""
    return "/" + os.path.basename(path)


def _settle() -> None:
    """Makes the tracker forget; later, where a destructor comes in the middle of its work."""
    lock = getattr(resource_tracker._resource_tracker, "_lock", None)
    if getattr(lock, "locked", bool)():
        return
    # Another thread may take the last name first.
    with contextlib.suppress(IndexError):
        while True:
            name = _gone.popleft()
            try:
                resource_tracker.unregister(name, "shared_memory")
            except RuntimeError:  # newer ones find out themselves
                _gone.append(name)
                return


def _sweep(prefix: str) -> None:
    """Removes what the program leaves."""
    for name in os.listdir(_SHM):
        if name.startswith(prefix):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(_SHM, name))
                _untrack(name)
    _settle()


#: Named memory only, where descriptors do not travel well.
STRATEGIES: dict[str, type[Unnamed] | type[Named]] = (
    {"file_system": Named}
    if sys.platform in ("darwin", "win32")
    else {"file_descriptor": Unnamed, "file_system": Named}
)
strategy = next(iter(STRATEGIES))


def file_of(memory: Unnamed | Named) -> int:
    """What the system maps: a descriptor, on Windows a handle."""
    if sys.platform == "win32":
        return msvcrt.get_osfhandle(memory.descriptor)
    return memory.descriptor


def share(op: str, storage: _C._StorageBase) -> None:
    """Moves a storage to fresh memory of the strategy's kind."""
    room = storage._room()
    if room == 0:
        # Nothing to see for others; but it counts as shared.
        storage._move_to(op, -1, 0, None)
        return
    try:
        memory = STRATEGIES[strategy].create(room)
    except OSError as e:
        way_out = (
            "; raise ulimit -n, or use torch.multiprocessing.set_sharing_strategy('file_system')"
            if e.errno == errno.EMFILE
            else ""
        )
        raise RuntimeError(
            f"{op}: the system gives no shared memory of {room} bytes: {e}{way_out}"
        ) from e
    storage._move_to(op, file_of(memory), secrets.randbits(64), memory)
    memory.mapped()
