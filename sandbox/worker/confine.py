"""What a worker gives up, in order, before it reads the first byte of guest code.

Owns the sequence: once in the zygote (no_new_privs, no core dumps and no debugging, Landlock),
then in each forked worker (tied to its parent's life, every descriptor but its socket closed,
limits set, seccomp last). Each step is irrevocable and inherited. Everything slow happens at
import or in the zygote, so that the worker's part is a dozen system calls. Must not know
languages, frames, plugins or the engine.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
from dataclasses import dataclass

from sandbox.worker import landlock, seccomp, syscalls
from sandbox.worker.seccomp import SOCKET_FD

# Exit status of a worker whose parent died before it could be tied to it.
ORPHANED = 71

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_PR_GET_NO_NEW_PRIVS = 39
_READ_IMPLIES_EXEC = 0x0400000
_QUERY_PERSONALITY = 0xFFFFFFFF
_LAST_FD = 0xFFFFFFFF
_FALLBACK_LAST_FD = 1 << 16
_CLOSE_RANGE = "close_range"

# A worker without a jail may import a module late; a confined one cannot open anything.
_MAX_FILES = 16

# Set by harden_zygote() and inherited by its forks.
_filter: seccomp.Filter | None = None


@dataclass(frozen=True, slots=True)
class Rlimits:
    """Hard limits of one worker, see setrlimit(2).

    ``address_space``: bytes of virtual memory in all, that is ``base_address_space()`` plus what
    the plugin is granted. ``cpu_seconds``: whole seconds of processor time over the worker's whole
    life, then SIGKILL; a backstop behind the engine's own, finer deadline. Raises ValueError
    for a value below 1 or above what the kernel can hold.
    """

    address_space: int
    cpu_seconds: int

    def __post_init__(self) -> None:
        for value in (self.address_space, self.cpu_seconds):
            if not 1 <= value < 2**63:
                raise ValueError(f"rlimits: {value} is not between 1 and 2**63, in {self}")


def missing_mechanisms() -> tuple[str, ...]:
    """What confinement needs and this kernel, or an outer sandbox, does not offer.

    A subset of ("no_new_privs", "landlock", "seccomp filter"), empty when workers can be
    confined. Asks only; the calling process stays as it is.
    """
    missing = []
    try:
        syscalls.prctl("no_new_privs", _PR_GET_NO_NEW_PRIVS)
    except OSError:
        missing.append("no_new_privs")
    if landlock.abi() == 0:
        missing.append("landlock")
    if not seccomp.available():
        missing.append("seccomp filter")
    return tuple(missing)


def base_address_space() -> int:
    """Virtual memory of this process in bytes (VmSize), see proc_pid_statm(5).

    What a worker forked now would start with. Call it before ``harden_zygote``, after which
    /proc cannot be read any more. Raises OSError.
    """
    with open("/proc/self/statm", "rb") as file:
        pages = int(file.read().split()[0])
    return pages * resource.getpagesize()


def harden_zygote() -> None:
    """Give up, in the zygote and for ever, what no worker may have.

    Call it once, after everything is imported and before the first fork. Sets no_new_privs, makes
    the process undumpable, denies everything Landlock knows and prepares the seccomp filter.
    Raises OSError naming the mechanism; the process may then be half hardened and must not be used.
    """
    global _filter
    target = syscalls.machine()
    prepared = seccomp.Filter(seccomp.assemble(target))
    # Landlock and no_new_privs bind the calling thread alone: with a second one around, a worker
    # forked from there would be free.
    if len(os.listdir("/proc/self/task")) != 1:
        raise OSError(errno.EBUSY, "landlock: the zygote has more than one thread")
    syscalls.prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)
    syscalls.prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, 0)
    # With this flag, inherited from whoever started us, readable memory is executable memory and
    # the filter's refusal of PROT_EXEC would be empty. See personality(2).
    number = target.numbers["personality"]
    persona = syscalls.call("personality", number, _QUERY_PERSONALITY)
    if persona & _READ_IMPLIES_EXEC:
        syscalls.call("personality", number, persona & ~_READ_IMPLIES_EXEC)
    landlock.restrict_everything()
    _filter = prepared


def confine_worker(rlimits: Rlimits, parent_pid: int, *, jail: bool) -> None:
    """Confine this freshly forked process, whose socket is already at descriptor 3.

    ``parent_pid`` is the process that forked it; when that has died meanwhile, this one exits with
    status ``ORPHANED``. With ``jail`` the seccomp filter is the last step and nothing but its
    allow-list works afterwards; without it all the rest is still applied ("process" isolation).
    Raises OSError naming the mechanism; the caller must then exit, its standard streams are gone.
    """
    if jail and _filter is None:
        # Installing the filter could work all the same (root needs no no_new_privs) and would
        # leave a worker without Landlock that looks confined.
        raise OSError(errno.EPERM, "landlock: harden_zygote() was not called before the fork")
    syscalls.prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, signal.SIGKILL)
    # A parent that died before the line above sends no signal any more. See prctl(2).
    if os.getppid() != parent_pid:
        os._exit(ORPHANED)
    _close_inherited()
    # Again, for a worker without a jail: a core_pattern that is a pipe ignores RLIMIT_CORE, and
    # the dump of a crashed worker would hand its memory to a program outside.
    syscalls.prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, 0)
    for limit, wanted in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),  # no effect for root, where the filter stops fork
        (resource.RLIMIT_NOFILE, _MAX_FILES),
        (resource.RLIMIT_CPU, rlimits.cpu_seconds),
        (resource.RLIMIT_AS, rlimits.address_space),
    ):
        _lower(limit, wanted)
    if jail and _filter is not None:
        _filter.install()


def _close_range_number() -> int | None:
    try:
        return syscalls.machine().numbers[_CLOSE_RANGE]
    except OSError:  # "process" isolation works on a machine without a table
        return None


_close_range = _close_range_number()


def _close_inherited() -> None:
    """Close every descriptor but the socket: the zygote's own, other workers', standard streams."""
    try:
        if _close_range is None:
            raise OSError(errno.ENOSYS, _CLOSE_RANGE)
        syscalls.call(_CLOSE_RANGE, _close_range, SOCKET_FD + 1, _LAST_FD)
        syscalls.call(_CLOSE_RANGE, _close_range, 0, SOCKET_FD - 1)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        # Linux before 5.9, or an outer sandbox which does not know the call. The floor stops two
        # things: "unlimited" is -1, which would close nothing, and a hard limit lowered after
        # descriptors above it were opened would leave those open.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        os.closerange(SOCKET_FD + 1, max(hard, _FALLBACK_LAST_FD))
        os.closerange(0, SOCKET_FD)


def _lower(limit: int, wanted: int) -> None:
    """Set both the soft and the hard limit, never above the hard limit we were started with."""
    hard = resource.getrlimit(limit)[1]
    # Only root may raise a hard limit; a stricter one that the administrator set stays.
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(limit, (value, value))
    except (OSError, ValueError) as error:
        raise OSError(errno.EPERM, f"rlimits: limit {limit} to {value}: {error}") from error
