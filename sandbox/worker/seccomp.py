"""The seccomp filter of a worker: which system calls are left once guest code may run.

Owns the allow-list, the pure assembler that turns it into a classic BPF program, and its
installation. Everything not listed kills the process. Knows nothing about limits, file
descriptors other than the number of the worker's socket, or the order of confinement.

Sources: seccomp(2), Documentation/userspace-api/seccomp_filter.rst, <linux/seccomp.h>.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.worker.syscalls import Machine, call, machine

# The only descriptor a worker keeps: its stream to the engine.
SOCKET_FD = 3

RET_KILL_PROCESS = 0x80000000
RET_ERRNO = 0x00050000  # the error number goes into the low 16 bits
RET_ALLOW = 0x7FFF0000

_SET_MODE_FILTER = 1
_GET_ACTION_AVAIL = 2

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

# Offsets in struct seccomp_data.
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16

# Part of every filter's contract, whatever list it was made from: with one of these a worker could
# reach a file, another process, or a part of the kernel with a long record of holes.
NEVER_ALLOWED = frozenset(
    [
        *("open", "creat", "openat", "openat2", "ioctl", "dup", "fcntl", "mount", "shmat"),
        *("socket", "socketpair", "connect", "sendto", "sendmsg", "recvmsg"),
        *("clone", "clone3", "fork", "vfork", "execve", "execveat", "unshare", "setns"),
        *("kill", "tkill", "tgkill", "pidfd_send_signal", "pidfd_getfd"),
        *("ptrace", "process_vm_readv", "process_vm_writev"),
        *("bpf", "perf_event_open", "userfaultfd", "keyctl", "io_uring_setup"),
        *("memfd_create", "memfd_secret", "pkey_mprotect", "remap_file_pages"),
        *("prctl", "personality", "seccomp", "close_range"),
        *("landlock_create_ruleset", "landlock_restrict_self"),
    ]
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One system call a worker may make.

    Without ``argument`` the call is allowed as it is. With it, the call is allowed only when the
    low 32 bits of that argument are one of ``values``, or, when ``values`` is empty, have none of
    ``forbidden_bits``; otherwise the call fails with the error number ``refusal``.

    The high 32 bits are not looked at, so a rule may only be made for an argument where the kernel
    itself ignores them: the descriptor, advice, futex operation and clock are all declared 32 bits
    wide there and cut off before use, and the protection bits of mmap(2) and mprotect(2) which
    have a meaning are all in the low half. 2**32 + 3 is therefore descriptor 3 for filter and
    kernel alike.
    """

    name: str
    argument: int | None = None
    values: tuple[int, ...] = ()
    forbidden_bits: int = 0
    refusal: int = errno.EPERM


_PROT_EXEC = 4
# DONTNEED, FREE and HUGEPAGE are what malloc uses. In a worker of root, HWPOISON and SOFT_OFFLINE
# would take pages of real memory away from the whole machine, and MERGEABLE opens a side channel.
_MADVISE = (4, 8, 14)
# WAIT, WAKE, WAIT_BITSET, WAKE_BITSET; plain, private, and with a wall-clock timeout. A worker has
# one thread, so nobody needs the priority-inheritance operations, where the holes used to be.
_FUTEX = (0, 1, 9, 10, 128, 129, 137, 138, 265, 393)
# The clocks of this process and of the machine. Negative numbers name the CPU clock of any other
# process, without a permission check: a way to watch the engine and other tenants at work.
_CLOCKS = (0, 1, 2, 3, 4, 5, 6, 7, 11)

# Found by tracing a warm CPython 3.11 worker, plus what malloc and signal delivery may need.
# CPython reads clocks through the vDSO on both machines and falls back to the call.
WORKER_RULES: tuple[Rule, ...] = (
    Rule("read", argument=0, values=(SOCKET_FD,), refusal=errno.EBADF),
    Rule("write", argument=0, values=(SOCKET_FD,), refusal=errno.EBADF),
    Rule("mmap", argument=2, forbidden_bits=_PROT_EXEC),
    Rule("munmap"),
    Rule("brk"),
    Rule("mremap"),
    Rule("madvise", argument=2, values=_MADVISE, refusal=errno.EINVAL),
    Rule("mprotect", argument=2, forbidden_bits=_PROT_EXEC),
    Rule("futex", argument=1, values=_FUTEX, refusal=errno.ENOSYS),
    Rule("clock_gettime", argument=0, values=_CLOCKS, refusal=errno.EINVAL),
    Rule("getrandom"),
    Rule("rt_sigprocmask"),
    Rule("rt_sigreturn"),
    Rule("restart_syscall"),
    Rule("exit_group"),
)


@dataclass(frozen=True, slots=True)
class _Line:
    """An instruction; ``yes`` and ``no`` name the labels a jump goes to, "" the next line."""

    code: int
    operand: int = 0
    yes: str = ""
    no: str = ""


def assemble(target: Machine, rules: Iterable[Rule] = WORKER_RULES) -> bytes:
    """The BPF program (array of struct sock_filter) that enforces ``rules`` on ``target``.

    Pure: nothing is asked of the kernel. Raises ValueError for a rule about a call in
    ``NEVER_ALLOWED``, twice the same call, or a program too long for BPF's 8-bit jumps; KeyError
    for a call the machine does not have.
    """
    rules = tuple(rules)
    names = [rule.name for rule in rules]
    if refused := NEVER_ALLOWED.intersection(names):
        raise ValueError(f"seccomp filter: {', '.join(sorted(refused))} can never be allowed")
    if len(set(names)) != len(names):
        raise ValueError("seccomp filter: two rules for one call, the second would be ignored")

    # A call of another ABI (int 0x80, 32-bit ARM, x32) has other numbers: check that first.
    lines: list[_Line | str] = [
        _Line(_LOAD, _ARCH),
        _Line(_JUMP_EQUAL, target.audit_arch, no="kill"),
        _Line(_LOAD, _NUMBER),
    ]
    if target.foreign_abi_bit:
        # Their numbers match no rule and would be killed below as well. This stops a rule that
        # one day tests a range or a mask of numbers from letting another ABI in.
        lines.append(_Line(_JUMP_AT_LEAST, target.foreign_abi_bit, yes="kill"))
    for rule in rules:
        destination = "allow" if rule.argument is None else rule.name
        lines.append(_Line(_JUMP_EQUAL, target.numbers[rule.name], yes=destination))
    lines += ["kill", _Line(_RETURN, RET_KILL_PROCESS)]
    for rule in rules:
        if rule.argument is not None:
            lines += _check_argument(rule, rule.argument)
    lines += ["allow", _Line(_RETURN, RET_ALLOW)]
    return _link(lines)


def _check_argument(rule: Rule, argument: int) -> list[_Line | str]:
    # Both machines are little endian: the low word of a 64-bit argument comes first.
    lines: list[_Line | str] = [rule.name, _Line(_LOAD, _ARGUMENTS + 8 * argument)]
    if rule.values:
        lines += [_Line(_JUMP_EQUAL, value, yes="allow") for value in rule.values]
    else:
        lines.append(_Line(_JUMP_ANY_BIT, rule.forbidden_bits, no="allow"))
    return [*lines, _Line(_RETURN, RET_ERRNO | rule.refusal)]


def _link(lines: list[_Line | str]) -> bytes:
    """Replace the labels by relative jumps, which in BPF only go forward."""
    labels: dict[str, int] = {}
    code: list[_Line] = []
    for line in lines:
        if isinstance(line, str):
            labels[line] = len(code)
        else:
            code.append(line)

    def distance(label: str, position: int) -> int:
        steps = labels[label] - position - 1 if label else 0
        if not 0 <= steps <= 255:
            raise ValueError(f"seccomp filter: jump of {steps} to {label!r}; use fewer rules")
        return steps

    return b"".join(
        struct.pack("<HBBI", line.code, distance(line.yes, at), distance(line.no, at), line.operand)
        for at, line in enumerate(code)
    )


class _Program(ctypes.Structure):
    """struct sock_fprog of <linux/filter.h>."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


class Filter:
    """A program laid out in memory for this machine, ready to be installed without more work.

    Raises OSError on a machine without a table, ValueError when ``program`` is no BPF program.
    """

    __slots__ = ("_buffer", "_number", "_program", "address")

    def __init__(self, program: bytes) -> None:
        if not program or len(program) % 8:
            raise ValueError("seccomp filter: the program is not a series of 8-byte instructions")
        self._number = machine().numbers["seccomp"]
        self._buffer = ctypes.create_string_buffer(program, len(program))
        self._program = _Program(len(program) // 8, ctypes.addressof(self._buffer))
        self.address = ctypes.addressof(self._program)

    def install(self) -> None:
        """Bind this thread and all its descendants to the program, for ever; see seccomp(2).

        The thread must have no_new_privs set. Raises OSError (EACCES without no_new_privs).
        """
        call("seccomp filter", self._number, _SET_MODE_FILTER, 0, self.address)


def install(program: bytes) -> None:
    """Lay out and install ``program`` at once; see ``Filter`` for doing it in two steps."""
    Filter(program).install()


def available() -> bool:
    """Whether this kernel can run our filter; changes nothing. See SECCOMP_GET_ACTION_AVAIL.

    False also for a machine without a table and where an outer sandbox refuses the question.
    """
    try:
        number = machine().numbers["seccomp"]
        for action in (RET_KILL_PROCESS, RET_ERRNO, RET_ALLOW):
            word = ctypes.c_uint32(action)
            call("seccomp filter", number, _GET_ACTION_AVAIL, 0, ctypes.addressof(word))
    except OSError:
        return False
    return True
