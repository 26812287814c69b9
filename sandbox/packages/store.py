"""The folder that packages are installed into, and how a version gets into its place.

Everything happens below a descriptor of that folder and never through a link.  Its private
folder `.packages` (no plugin's name begins with a dot) holds the lock and what is on its way:

    new-NAME    staged: not yet installed, or, once exchanged, the version before
    old-NAME    the version before, where names cannot be exchanged; restored if NAME is missing
    gone-NAME   uninstalled

The one rename into place is the moment of change.  Whatever is interrupted before it leaves the
old version, whatever is after it the new one, and `recover` clears away what is left.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Final

from sandbox.errors import ConfigurationError, PackageRejected
from sandbox.packages import renames

PRIVATE: Final = ".packages"
_LOCK: Final = "lock"
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE: Final = 0o022

_Nested = dict[str, object]
"""Name -> content, or what is in the folder of that name."""


@contextlib.contextmanager
def told(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Turns an `OSError` into the operator's `ConfigurationError`, naming folder and reason."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(f"plugins: cannot work in {os.fspath(folder)}: {reason}") from None


@contextlib.contextmanager
def opened(name: str, folder: int) -> Iterator[int]:
    """A descriptor of the folder `name` below another; a link is an `OSError`."""
    number = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
    try:
        yield number
    finally:
        os.close(number)


class Store:
    """A plugin folder, locked for one installer.  Use it with `with`.

    Entering raises `PackageRejected` when another installer is at work and `OSError` when the
    folder is not usable; it also recovers from an installer that was interrupted.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = folder
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Store:
        with contextlib.ExitStack() as stack:
            self.top = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, self.top)
            with contextlib.suppress(FileExistsError):
                os.mkdir(PRIVATE, 0o700, dir_fd=self.top)
            self._private = stack.enter_context(opened(PRIVATE, self.top))
            self._check_private()
            self._lock(stack)
            self._recover()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _check_private(self) -> None:
        found = os.fstat(self._private)
        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_WRITE:
            raise PermissionError(errno.EPERM, f"{PRIVATE} in it is open to other users")

    def _lock(self, stack: contextlib.ExitStack) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        number = os.open(_LOCK, flags, 0o600, dir_fd=self._private)
        stack.callback(os.close, number)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PackageRejected(
                "another installation is at work in this folder; try again when it is done"
            ) from None

    def _recover(self) -> None:
        for name in sorted(os.listdir(self._private)):
            what, _, plugin = name.partition("-")
            if what == "old" and plugin and self._identity(plugin, self.top) is None:
                renames.move(name, self._private, plugin, self.top)
            elif what in ("old", "new", "gone"):
                self._remove(name)

    # ------------------------------------------------------------------ changes

    def put(self, name: str, files: Mapping[str, bytes]) -> None:
        """Make `files` (relative names to contents) the folder `name`, in place of what it is.

        Raises `OSError`, and `PackageRejected` when the staged folder was replaced meanwhile;
        the old version is in its place then.
        """
        new = f"new-{name}"
        try:
            os.mkdir(new, 0o755, dir_fd=self._private)
            with opened(new, self._private) as staged:
                found = os.fstat(staged)
                _write(staged, _nested(files))
            identity = (found.st_dev, found.st_ino)
            if not self._is(new, self._private, identity):
                raise _replaced()
            os.fsync(self._private)
            self._place(new, name, identity)
        finally:
            with contextlib.suppress(OSError):  # `recover` gets another chance
                self._remove(new)

    def _place(self, new: str, name: str, identity: tuple[int, int]) -> None:
        if self._identity(name, self.top) is None:
            renames.move(new, self._private, name, self.top)
            if not self._is(name, self.top, identity):
                renames.move(name, self.top, new, self._private)
                raise _replaced()
            self._settle()
        elif renames.exchange(new, self._private, name, self.top):
            if not self._is(name, self.top, identity):
                renames.exchange(new, self._private, name, self.top)
                raise _replaced()
            self._settle()
        else:
            self._swap(new, name, identity)

    def _swap(self, new: str, name: str, identity: tuple[int, int]) -> None:
        """In two steps, with `old-NAME` to come back to."""
        old = f"old-{name}"
        renames.move(name, self.top, old, self._private)
        try:
            renames.move(new, self._private, name, self.top)
            if not self._is(name, self.top, identity):
                renames.move(name, self.top, new, self._private)
                raise _replaced()
        except BaseException:
            renames.move(old, self._private, name, self.top)
            raise
        self._settle()
        with contextlib.suppress(OSError):
            self._remove(old)

    def _settle(self) -> None:
        """Have the renames on the disk before the old version is removed from it.

        Where that fails they are done all the same; after a loss of power it may be either
        version, and each was whole on the disk before.
        """
        for folder in (self.top, self._private):
            with contextlib.suppress(OSError):
                os.fsync(folder)

    def take_away(self, name: str) -> None:
        """Remove the folder `name`: out of its place in one step, then from the disk."""
        gone = f"gone-{name}"
        renames.move(name, self.top, gone, self._private)
        self._settle()
        with contextlib.suppress(OSError):  # it is gone; `recover` clears what is left of it
            self._remove(gone)

    @staticmethod
    def _identity(name: str, folder: int) -> tuple[int, int] | None:
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _is(self, name: str, folder: int, identity: tuple[int, int]) -> bool:
        """Whether the name means that folder; where that cannot be seen, it does not."""
        with contextlib.suppress(OSError):
            return self._identity(name, folder) == identity
        return False

    def _remove(self, name: str) -> None:
        """Remove a private entry, whatever it is; links are not followed."""
        try:
            mode = os.stat(name, dir_fd=self._private, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            shutil.rmtree(name, dir_fd=self._private)
        else:
            os.unlink(name, dir_fd=self._private)


def _replaced() -> PackageRejected:
    return PackageRejected("somebody replaced the staged folder; nothing was installed")


def _nested(files: Mapping[str, bytes]) -> _Nested:
    """`{"a/b": x}` as `{"a": {"b": x}}`."""
    top: _Nested = {}
    for path, content in files.items():
        *folders, name = path.split("/")
        place = top
        for folder in folders:
            below = place.setdefault(folder, {})
            assert isinstance(below, dict)  # the names were checked: no file is a folder too
            place = below
        place[name] = content
    return top


def _write(folder: int, tree: _Nested) -> None:
    """Write what `_nested` made, and have it on the disk."""
    for name, node in tree.items():
        if isinstance(node, dict):
            os.mkdir(name, 0o755, dir_fd=folder)
            with opened(name, folder) as below:
                _write(below, node)
        elif isinstance(node, bytes):
            _write_file(folder, name, node)
    os.fsync(folder)


def _write_file(folder: int, name: str, content: bytes) -> None:
    number = os.open(name, _NEW_FLAGS, 0o644, dir_fd=folder)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(number, rest) :]
        os.fsync(number)
    finally:
        os.close(number)
