"""Landlock with a ruleset that allows nothing: no file, no network, no signal to the outside.

Owns the table of rights each Landlock ABI knows and the two calls that give all of them up. What
Landlock cannot refuse (stat, Unix sockets and UDP on older kernels) is left to the seccomp filter.
Knows nothing about workers; the restriction is inherited by every fork of the calling thread.

Sources: landlock(7), Documentation/userspace-api/landlock.rst, <linux/landlock.h>.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from dataclasses import dataclass

from sandbox.worker.syscalls import call, machine

_CREATE_RULESET_VERSION = 1  # flag: answer the ABI instead of making a ruleset


@dataclass(frozen=True, slots=True)
class _Rights:
    """All rights of one ABI: what a ruleset without rules takes away."""

    abi: int
    files: int
    network: int = 0
    scoped: int = 0

    def attribute(self) -> bytes:
        """struct landlock_ruleset_attr, as long as this ABI knows it."""
        words = (self.files, self.network, self.scoped)
        used = 3 if self.scoped else 2 if self.network else 1
        return struct.pack(f"={used}Q", *words[:used])


def _bits(count: int) -> int:
    return (1 << count) - 1


# Newest first. ABI 7 and 8 only added flags for logging and for other threads.
_KNOWN: tuple[_Rights, ...] = (
    _Rights(10, _bits(17), _bits(4), _bits(2)),  # UDP: bind, connect and send
    _Rights(9, _bits(17), _bits(2), _bits(2)),  # connect to a Unix socket by its path
    _Rights(6, _bits(16), _bits(2), _bits(2)),  # abstract Unix sockets, signals
    _Rights(5, _bits(16), _bits(2)),  # ioctl on devices
    _Rights(4, _bits(15), _bits(2)),  # TCP: bind, connect
    _Rights(3, _bits(15)),  # truncate
    _Rights(2, _bits(14)),  # link and rename between directories
    _Rights(1, _bits(13)),  # execute, read, write, list, make and remove of every kind
)


def abi() -> int:
    """The Landlock ABI of this kernel; 0 when it is not built in, switched off or refused to us."""
    try:
        number = machine().numbers["landlock_create_ruleset"]
        return call("landlock", number, 0, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def restrict_everything() -> int:
    """Give up every right Landlock knows, for this thread and its descendants, for ever.

    Needs no_new_privs. Open descriptors stay usable. Returns the ABI whose rights were given up:
    on a kernel newer than our table that is the newest we know. Raises OSError: EOPNOTSUPP when
    there is no Landlock, EPERM without no_new_privs, E2BIG with 16 nested restrictions.
    """
    running = abi()
    for rights in _KNOWN:
        if rights.abi <= running and (ruleset := _create(rights)) is not None:
            break
    else:
        raise OSError(errno.EOPNOTSUPP, "landlock: not available on this kernel")
    try:
        call("landlock", machine().numbers["landlock_restrict_self"], ruleset)
    finally:
        os.close(ruleset)
    return rights.abi


def _create(rights: _Rights) -> int | None:
    """A descriptor of a ruleset that handles ``rights``; None when the kernel has not got them."""
    attribute = rights.attribute()
    buffer = ctypes.create_string_buffer(attribute, len(attribute))
    number = machine().numbers["landlock_create_ruleset"]
    try:
        return call("landlock", number, ctypes.addressof(buffer), len(attribute))
    except OSError as error:
        # A kernel may have been configured without a part of its ABI, or only claim to have it:
        # fewer rights taken away is still better than none.
        if error.errno in (errno.EINVAL, errno.E2BIG):
            return None
        raise
