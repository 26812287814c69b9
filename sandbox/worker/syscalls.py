"""The kernel's door: system call numbers of each machine we know, and one way to make a raw call.

Owns the number tables, the audit architecture constants, and the ctypes handles of ``syscall(2)``
and ``prctl(2)`` with their error handling. The handles are resolved at import, because nothing can
be loaded any more once a worker is confined. Knows no policy: which calls a worker may make is
decided in ``seccomp``, and what is given up in which order in ``confine``.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

AUDIT_ARCH_X86_64 = 0xC000003E  # EM_X86_64 | 64 bit | little endian, from <linux/audit.h>
AUDIT_ARCH_AARCH64 = 0xC00000B7  # EM_AARCH64 | 64 bit | little endian

# The x32 ABI uses the audit architecture of x86_64 and marks its numbers with this bit.
X32_SYSCALL_BIT = 0x40000000


@dataclass(frozen=True, slots=True)
class Machine:
    """One instruction set as the kernel sees it.

    ``name`` is what uname(2) calls it, ``audit_arch`` what a seccomp filter sees as ``arch``,
    ``foreign_abi_bit`` the bit in a call number that selects another ABI under the same ``arch``
    (0: there is none), ``numbers`` the call numbers by name.
    """

    name: str
    audit_arch: int
    foreign_abi_bit: int
    numbers: Mapping[str, int]


# From <asm/unistd_64.h>.
X86_64 = Machine(
    "x86_64",
    AUDIT_ARCH_X86_64,
    X32_SYSCALL_BIT,
    MappingProxyType(
        {
            # what a confined worker may call
            "read": 0,
            "write": 1,
            "mmap": 9,
            "mprotect": 10,
            "munmap": 11,
            "brk": 12,
            "rt_sigprocmask": 14,
            "rt_sigreturn": 15,
            "mremap": 25,
            "madvise": 28,
            "futex": 202,
            "restart_syscall": 219,
            "clock_gettime": 228,
            "exit_group": 231,
            "getrandom": 318,
            # what confining itself needs
            "seccomp": 317,
            "close_range": 436,
            "landlock_create_ruleset": 444,
            "landlock_restrict_self": 446,
            # what no filter may ever allow
            "open": 2,
            "creat": 85,
            "openat": 257,
            "openat2": 437,
            "ioctl": 16,
            "dup": 32,
            "fcntl": 72,
            "socket": 41,
            "socketpair": 53,
            "connect": 42,
            "sendto": 44,
            "sendmsg": 46,
            "recvmsg": 47,
            "clone": 56,
            "fork": 57,
            "vfork": 58,
            "clone3": 435,
            "execve": 59,
            "execveat": 322,
            "kill": 62,
            "tkill": 200,
            "tgkill": 234,
            "pidfd_send_signal": 424,
            "pidfd_getfd": 438,
            "ptrace": 101,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "prctl": 157,
            "personality": 135,
            "unshare": 272,
            "setns": 308,
            "mount": 165,
            "bpf": 321,
            "perf_event_open": 298,
            "userfaultfd": 323,
            "keyctl": 250,
            "memfd_create": 319,
            "memfd_secret": 447,
            "io_uring_setup": 425,
            "pkey_mprotect": 329,
            "shmat": 30,
            "remap_file_pages": 216,
        }
    ),
)

# The generic table, from <asm-generic/unistd.h>. It has no open, creat, fork and vfork.
AARCH64 = Machine(
    "aarch64",
    AUDIT_ARCH_AARCH64,
    0,
    MappingProxyType(
        {
            # what a confined worker may call
            "read": 63,
            "write": 64,
            "exit_group": 94,
            "futex": 98,
            "clock_gettime": 113,
            "restart_syscall": 128,
            "rt_sigprocmask": 135,
            "rt_sigreturn": 139,
            "brk": 214,
            "munmap": 215,
            "mremap": 216,
            "mmap": 222,
            "mprotect": 226,
            "madvise": 233,
            "getrandom": 278,
            # what confining itself needs
            "seccomp": 277,
            "close_range": 436,
            "landlock_create_ruleset": 444,
            "landlock_restrict_self": 446,
            # what no filter may ever allow
            "openat": 56,
            "openat2": 437,
            "ioctl": 29,
            "dup": 23,
            "fcntl": 25,
            "socket": 198,
            "socketpair": 199,
            "connect": 203,
            "sendto": 206,
            "sendmsg": 211,
            "recvmsg": 212,
            "clone": 220,
            "clone3": 435,
            "execve": 221,
            "execveat": 281,
            "kill": 129,
            "tkill": 130,
            "tgkill": 131,
            "pidfd_send_signal": 424,
            "pidfd_getfd": 438,
            "ptrace": 117,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "prctl": 167,
            "personality": 92,
            "unshare": 97,
            "setns": 268,
            "mount": 40,
            "bpf": 280,
            "perf_event_open": 241,
            "userfaultfd": 282,
            "keyctl": 219,
            "memfd_create": 279,
            "memfd_secret": 447,
            "io_uring_setup": 425,
            "pkey_mprotect": 288,
            "shmat": 196,
            "remap_file_pages": 234,
        }
    ),
)

MACHINES: tuple[Machine, ...] = (X86_64, AARCH64)


def machine() -> Machine:
    """The machine this process runs on.

    Raises OSError (ENOSYS) which names the machine when there is no table for it. A 32-bit
    interpreter on a 64-bit kernel counts as unknown: it makes the calls of another table.
    """
    name = os.uname().machine
    pointer_bits = 8 * ctypes.sizeof(ctypes.c_void_p)
    for known in MACHINES:
        if known.name == name and pointer_bits == 64:
            return known
    raise OSError(
        errno.ENOSYS,
        f"syscall table: none for machine {name!r} with {pointer_bits}-bit processes"
        f" (known: 64-bit {', '.join(known.name for known in MACHINES)})",
    )


_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = (ctypes.c_long,) * 5
_prctl = _libc.prctl
_prctl.restype = ctypes.c_int
_prctl.argtypes = (ctypes.c_int,) + (ctypes.c_ulong,) * 4


def _error(mechanism: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{mechanism}: {os.strerror(number)}")


def call(mechanism: str, number: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
    """Make system call ``number`` with plain integers or addresses; see syscall(2).

    Returns what the kernel returned. Raises OSError with ``mechanism`` in its message.
    """
    result: int = _syscall(number, a, b, c, d)
    if result < 0:
        raise _error(mechanism)
    return result


def prctl(mechanism: str, option: int, value: int = 0) -> int:
    """Set or get an attribute of this process; see prctl(2).

    The unused arguments are passed as zeros, which several options insist on. Raises OSError with
    ``mechanism`` in its message.
    """
    result: int = _prctl(option, value, 0, 0, 0)
    if result < 0:
        raise _error(mechanism)
    return result
