"""The jail of a worker, seen from outside: real processes that try to leave it.

Every case forks a process that plays the zygote, which forks the worker. The worker runs one
action and answers with b"done" or the name of the error; how it ended comes from wait().
"""

from __future__ import annotations

import ctypes
import errno
import gc
import json
import mmap
import os
import random
import re
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("confinement needs Linux", allow_module_level=True)

from sandbox.worker import confine, landlock, seccomp, syscalls
from sandbox.worker.confine import Rlimits, confine_worker, harden_zygote
from sandbox.worker.seccomp import NEVER_ALLOWED, WORKER_RULES, assemble
from sandbox.worker.syscalls import AARCH64, MACHINES, X86_64, Machine

NOBODY = 65534
USERS = [None, NOBODY] if os.geteuid() == 0 else [None]
NUMBERS = syscalls.machine().numbers
MIB = 1 << 20
PATIENCE = 10.0  # seconds until a test gives up; nothing waits that long when all is well
PAGE = mmap.mmap(-1, mmap.PAGESIZE)
PAGE_ADDRESS = ctypes.addressof(ctypes.c_char.from_buffer(PAGE))
CPU_CLOCK_OF_PID_1 = (~1 << 3) | 2

confinable = pytest.mark.skipif(
    bool(confine.missing_mechanisms()), reason=f"kernel lacks {confine.missing_mechanisms()}"
)
as_each_user = pytest.mark.parametrize("uid", USERS, ids=["as-is", "uid-65534"][: len(USERS)])


@dataclass
class Worker:
    """The outside view: its socket, its process and the zygote's, and how it ended."""

    socket: socket.socket
    pid: int
    zygote: int
    report: int

    def answer(self) -> bytes:
        """All it sends until it is gone."""
        return b"".join(iter(lambda: self.socket.recv(65536), b""))

    def status(self) -> int:
        """Exit status, or minus the signal that ended it."""
        return os.waitstatus_to_exitcode(struct.unpack("i", os.read(self.report, 4))[0])


@contextmanager
def worker(
    action: Callable[[], object],
    *,
    uid: int | None = None,
    jail: bool = True,
    harden: bool = True,
    confined: bool = True,
    before: Callable[[], object] = lambda: None,
    parent: int | None = None,
    memory: int = 256 * MIB,
    cpu: int = 30,
) -> Iterator[Worker]:
    mine, theirs = socket.socketpair()
    report, reporter = os.pipe()
    zygote = os.fork()
    if zygote == 0:
        try:
            if uid is not None:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
            before()
            limits = Rlimits(confine.base_address_space() + memory, cpu)
            if harden:
                harden_zygote()
            zygote_pid = os.getpid()
            pid = os.fork()
            if pid == 0:
                os.dup2(theirs.fileno(), 3)
                try:
                    if confined:
                        confine_worker(limits, parent or zygote_pid, jail=jail)
                    action()
                    os.write(3, b"done")
                except MemoryError:
                    os.write(3, b"MemoryError")
                except OSError as error:
                    os.write(3, errno.errorcode[error.errno or 0].encode())
                os._exit(0)
            os.write(reporter, struct.pack("i", pid))
            os.closerange(3, reporter)
            os.closerange(reporter + 1, 1024)
            os.write(reporter, struct.pack("i", os.waitpid(pid, 0)[1]))
        finally:
            os._exit(99)
    theirs.close()
    os.close(reporter)
    try:
        pid = struct.unpack("i", os.read(report, 4))[0]
        yield Worker(mine, pid, zygote, report)
    finally:
        mine.close()
        if not select.select([report], [], [], PATIENCE)[0]:  # a broken jail fails, never hangs
            os.kill(pid, signal.SIGKILL)
        os.close(report)
        with suppress(ChildProcessError):  # the test may have done it
            os.waitpid(zygote, 0)


def outcome(action: Callable[[], object], **options: Any) -> tuple[bytes, int]:
    with worker(action, **options) as running:
        return running.answer(), running.status()


def raw(name: str, *arguments: int) -> int:
    return syscalls.call(name, NUMBERS[name], *arguments)


def start_thread() -> None:
    threading.Thread(target=time.monotonic).start()


ESCAPES: dict[str, Callable[[], object]] = {
    "python open": lambda: Path("/etc/passwd").read_bytes(),
    "python socket": socket.socket,
    "python fork": os.fork,
    "python execv": lambda: os.execv("/bin/true", ["true"]),
    "python kill": lambda: os.kill(1, 0),
    "python stat": lambda: os.stat("/"),
    "python listdir": lambda: os.listdir("/"),
    "python sleep": lambda: time.sleep(0),
    "thread start": start_thread,
    **{name: partial(raw, name) for name in sorted(NEVER_ALLOWED & set(NUMBERS))},
}
REFUSALS: dict[str, tuple[Callable[[], object], bytes]] = {
    "mmap RWX": (lambda: mmap.mmap(-1, 4096, prot=7), b"EPERM"),
    "mprotect RX": (lambda: raw("mprotect", PAGE_ADDRESS, 4096, 5), b"EPERM"),
    "write stdout": (lambda: os.write(1, b"x"), b"EBADF"),
    "write stderr": (lambda: os.write(2, b"x"), b"EBADF"),
    "write 2**32+1": (lambda: raw("write", (1 << 32) + 1, PAGE_ADDRESS, 1), b"EBADF"),
    "read stdin": (lambda: os.read(0, 1), b"EBADF"),
    "read 4": (lambda: os.read(4, 1), b"EBADF"),
    "madvise HWPOISON": (lambda: raw("madvise", PAGE_ADDRESS, 4096, 100), b"EINVAL"),
    "futex LOCK_PI": (lambda: raw("futex", PAGE_ADDRESS, 6, 0, 0), b"ENOSYS"),
    "clock of pid 1": (lambda: time.clock_gettime(CPU_CLOCK_OF_PID_1), b"EINVAL"),
    "memory bomb": (lambda: bytearray(1 << 30), b"MemoryError"),
    "small memory bombs": (lambda: [bytes(1000) for _ in range(10**7)], b"MemoryError"),
}


@confinable
@as_each_user
@pytest.mark.parametrize("name", ESCAPES)
def test_escape_kills_the_worker(name: str, uid: int | None) -> None:
    assert outcome(ESCAPES[name], uid=uid) == (b"", -signal.SIGSYS)


@confinable
@as_each_user
@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_is_an_error_and_the_worker_goes_on(name: str, uid: int | None) -> None:
    action, error = REFUSALS[name]
    assert outcome(action, uid=uid) == (error, 0)


def connect_tcp() -> None:
    socket.socket().connect(("127.0.0.1", 9))


@confinable
@as_each_user
@pytest.mark.parametrize(
    ("since", "action", "error"),
    [
        (1, lambda: Path("/etc/passwd").read_bytes(), b"EACCES"),
        (1, lambda: os.listdir("/"), b"EACCES"),
        (1, lambda: os.execv("/bin/true", ["true"]), b"EACCES"),
        (4, connect_tcp, b"EACCES"),
        (6, lambda: os.kill(1, 0), b"EPERM"),
        (1, lambda: os.kill(os.getpid(), 0), b"done"),
    ],
    ids=["open", "listdir", "execv", "connect", "kill", "kill-self"],
)
def test_landlock_alone(
    since: int, action: Callable[[], object], error: bytes, uid: int | None
) -> None:
    if landlock.abi() < since:
        pytest.skip(f"Landlock ABI {landlock.abi()} has no right for this")
    assert outcome(action, uid=uid, confined=False) == (error, 0)


def workload(job: int) -> object:
    numbers = [random.Random(job).randrange(10**6) for _ in range(1000)]
    text = json.dumps({"sorted": sorted(numbers), "job": job})
    big = bytearray(32 * MIB)
    big.extend(b"x" * MIB)
    del big
    lock = threading.Lock()
    assert lock.acquire() and not lock.acquire(timeout=0.0001)  # a wait in the kernel
    clocks = [time.time(), time.monotonic(), time.process_time(), time.thread_time()]
    assert all(clocks) and len(os.urandom(16)) == 16
    try:
        eval("1 / 0")
    except ZeroDivisionError:
        gc.collect()
    return json.loads(re.sub("sorted", "order", text))


def serve() -> None:
    unpacker = msgpack.Unpacker()
    while data := os.read(3, 65536):
        unpacker.feed(data)
        for job in unpacker:
            os.write(3, msgpack.packb(workload(job)))


@confinable
@as_each_user
@pytest.mark.parametrize("jail", [True, False])
def test_real_work_goes_on_in_the_jail(jail: bool, uid: int | None) -> None:
    with worker(serve, uid=uid, jail=jail) as running:
        for job in range(5):
            running.socket.sendall(msgpack.packb(job))
            unpacker = msgpack.Unpacker()
            while not (answers := list(unpacker)):
                unpacker.feed(running.socket.recv(65536))
            assert answers == [workload(job)]
        running.socket.shutdown(socket.SHUT_WR)
        assert (running.answer(), running.status()) == (b"done", 0)


@confinable
@pytest.mark.parametrize("native", [True, False], ids=["close_range", "fallback"])
def test_inherited_descriptors_are_closed(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not native:
        monkeypatch.setattr(confine, "_close_range", None)
    reader, writer = os.pipe()
    with worker(lambda: os.read(3, 1)) as running:
        os.close(writer)
        # End of file: nobody holds the other end any more, while the worker is alive.
        assert select.select([reader], [], [], PATIENCE)[0] and os.read(reader, 1) == b""
        running.socket.sendall(b"x")
        assert (running.answer(), running.status()) == (b"done", 0)
    os.close(reader)


@confinable
@as_each_user
def test_worker_dies_with_its_zygote(uid: int | None) -> None:
    subreaper = 36
    syscalls.prctl("PR_SET_CHILD_SUBREAPER", subreaper, 1)  # the orphan becomes our child
    try:
        with worker(serve, uid=uid) as running:
            running.socket.sendall(msgpack.packb(1))
            assert running.socket.recv(65536)  # it is up and confined
            os.kill(running.zygote, signal.SIGKILL)
            os.waitpid(running.zygote, 0)  # when this returns, the kernel has sent the signal
            running.socket.close()  # without the signal this would end the worker with status 0
            assert os.waitstatus_to_exitcode(os.waitpid(running.pid, 0)[1]) == -signal.SIGKILL
    finally:
        syscalls.prctl("PR_SET_CHILD_SUBREAPER", subreaper, 0)


def test_worker_without_its_parent_exits() -> None:
    assert outcome(lambda: None, parent=1, harden=False, jail=False) == (b"", confine.ORPHANED)


def test_a_jail_needs_a_hardened_zygote() -> None:
    assert outcome(lambda: None, harden=False) == (b"EPERM", 0)


def test_a_zygote_with_threads_is_refused() -> None:
    def with_thread() -> None:
        forever = threading.Lock()
        forever.acquire()
        threading.Thread(target=forever.acquire, daemon=True).start()
        with pytest.raises(OSError, match=r"landlock: .* thread"):
            harden_zygote()
        os.write(3, b"refused, ")

    assert outcome(with_thread, harden=False, confined=False) == (b"refused, done", 0)


def test_cpu_limit_kills() -> None:
    def spin() -> None:
        while True:
            pass

    assert outcome(spin, cpu=1, harden=False, jail=False) == (b"", -signal.SIGKILL)
    for limits in ((0, 1), (1, 0), (2**63, 1)):
        with pytest.raises(ValueError, match="rlimits"):
            Rlimits(*limits)


def test_limits_hold_without_a_jail(tmp_path: Path) -> None:
    def write_a_file() -> None:
        with open(tmp_path / "file", "wb", buffering=0) as file:
            file.write(b"x")

    def get_dumpable() -> None:
        if syscalls.prctl("PR_GET_DUMPABLE", 3) != 0:
            os.write(3, b"dumpable ")

    unjailed: dict[str, Any] = {"harden": False, "jail": False}
    assert outcome(write_a_file, **unjailed) == (b"EFBIG", 0)
    assert outcome(lambda: os.write(2, b"x"), **unjailed) == (b"EBADF", 0)
    assert outcome(lambda: [os.dup(3) for _ in range(20)], **unjailed) == (b"EMFILE", 0)
    assert outcome(lambda: bytearray(1 << 30), **unjailed) == (b"MemoryError", 0)
    assert outcome(get_dumpable, **unjailed) == (b"done", 0)
    if NOBODY in USERS:
        assert outcome(os.fork, uid=NOBODY, **unjailed) == (b"EAGAIN", 0)


@confinable
def test_inherited_executable_memory_is_switched_off() -> None:
    read_implies_exec = 0x0400000

    def query() -> None:
        if raw("personality", 0xFFFFFFFF) & read_implies_exec:
            os.write(3, b"executable ")

    def inherit() -> None:
        raw("personality", read_implies_exec)

    assert outcome(query, before=inherit, harden=False, confined=False)[0] == b"executable done"
    assert outcome(query, before=inherit, confined=False) == (b"done", 0)


def test_probing_changes_nothing_and_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def marks() -> list[str]:
        lines = Path("/proc/self/status").read_text().splitlines()
        return [line for line in lines if line.startswith(("NoNewPrivs", "Seccomp"))]

    earlier = marks()
    confine.missing_mechanisms()
    assert marks() == earlier
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    assert "landlock" in confine.missing_mechanisms()
    monkeypatch.undo()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "h", "6", "1", "riscv64")))
    with pytest.raises(OSError, match="riscv64"):
        syscalls.machine()
    assert {"landlock", "seccomp filter"} <= set(confine.missing_mechanisms())


@confinable
@pytest.mark.parametrize("running", [1, 2, 3, 4, 5, 6, 7, 1000])
def test_every_landlock_abi_has_rights(running: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = landlock.abi()
    expected = max(rights.abi for rights in landlock._KNOWN if rights.abi <= min(running, real))
    monkeypatch.setattr(landlock, "abi", lambda: running)

    def restrict() -> None:
        syscalls.prctl("no_new_privs", 38, 1)
        os.write(3, f"{landlock.restrict_everything()} ".encode())
        os.listdir("/")

    answer = outcome(restrict, harden=False, confined=False)
    assert answer == (f"{expected} EACCES".encode(), 0)


# The filter as a pure program: a small machine runs it for both instruction sets.

KILL, ALLOW = seccomp.RET_KILL_PROCESS, seccomp.RET_ALLOW
ANY = (0xFFFFFFFF_FFFFFFFF,) * 6
each_machine = pytest.mark.parametrize("target", MACHINES, ids=[m.name for m in MACHINES])


def simulate(program: bytes, arch: int, number: int, arguments: tuple[int, ...] = ANY) -> int:
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *arguments)
    instructions = list(struct.iter_unpack("<HBBI", program))
    accumulator = at = 0
    while True:
        code, yes, no, k = instructions[at]
        at += 1
        if code == 0x06:
            return int(k)
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, k)[0]
        else:
            tests = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: accumulator & k}
            at += yes if tests[code] else no


@each_machine
def test_filter_follows_its_rules(target: Machine) -> None:
    program = assemble(target)
    for rule in WORKER_RULES:

        def verdict(value: int, rule: seccomp.Rule = rule) -> int:
            arguments = [*ANY]
            arguments[rule.argument or 0] = value
            number = target.numbers[rule.name]
            return simulate(program, target.audit_arch, number, tuple(arguments))

        refusal = seccomp.RET_ERRNO | rule.refusal
        for value in [*range(600), 2**31, 2**32 - 1, 2**32, 2**32 + 3, 2**63, 2**64 - 1]:
            low = value % 2**32
            good = low in rule.values if rule.values else not low & rule.forbidden_bits
            if rule.argument is None or good:
                assert verdict(value) == ALLOW, (rule, value)
            else:
                assert verdict(value) == refusal, (rule, value)


@each_machine
def test_filter_says_what_was_meant(target: Machine) -> None:
    def verdict(name: str, *arguments: int) -> int:
        filled = (arguments + (0,) * 6)[:6]
        return simulate(assemble(target), target.audit_arch, target.numbers[name], filled)

    for name in ("read", "write"):
        assert verdict(name, 3) == ALLOW
        assert {verdict(name, fd) for fd in (0, 1, 2, 4, 2**32 - 1)} == {0x50000 | errno.EBADF}
    for name in ("mmap", "mprotect"):
        assert verdict(name, 0, 4096, 3) == ALLOW
        assert {verdict(name, 0, 4096, prot) for prot in (4, 5, 7)} == {0x50000 | errno.EPERM}
    assert [verdict("madvise", 0, 4096, advice) for advice in (4, 8, 14)] == [ALLOW] * 3
    assert {verdict("madvise", 0, 4096, n) for n in (12, 100, 101)} == {0x50000 | errno.EINVAL}
    assert [verdict("futex", 0, operation) for operation in (128, 129, 393)] == [ALLOW] * 3
    assert {verdict("futex", 0, n) for n in (6, 7, 11, 12, 134)} == {0x50000 | errno.ENOSYS}
    assert [verdict("clock_gettime", clock) for clock in (0, 1, 2, 3)] == [ALLOW] * 4
    assert verdict("clock_gettime", CPU_CLOCK_OF_PID_1 % 2**64) == 0x50000 | errno.EINVAL


@each_machine
def test_everything_else_is_killed(target: Machine) -> None:
    program = assemble(target)
    allowed = {target.numbers[rule.name] for rule in WORKER_RULES}
    zeros = (0,) * 6
    for number in {*range(600), 2**31, 2**32 - 1} - allowed:
        assert simulate(program, target.audit_arch, number) == KILL
        assert simulate(program, target.audit_arch, number, zeros) == KILL
    i386, arm = 0x40000003, 0x40000028
    for arch in {0, i386, arm, X86_64.audit_arch, AARCH64.audit_arch} - {target.audit_arch}:
        assert {simulate(program, arch, number) for number in range(600)} == {KILL}
    x32 = syscalls.X32_SYSCALL_BIT
    assert {simulate(program, target.audit_arch, x32 | n) for n in range(600)} == {KILL}


@each_machine
def test_a_filter_cannot_allow_an_escape(target: Machine) -> None:
    for name in NEVER_ALLOWED & set(target.numbers):
        with pytest.raises(ValueError, match=name):
            assemble(target, [*WORKER_RULES, seccomp.Rule(name)])
    with pytest.raises(ValueError, match="two rules"):
        assemble(target, [*WORKER_RULES, seccomp.Rule("read")])
    with pytest.raises(ValueError, match="jump"):
        assemble(target, [seccomp.Rule("read", argument=0, values=tuple(range(300)))])
    with pytest.raises(ValueError, match="8-byte"):
        seccomp.Filter(b"short")


@pytest.mark.parametrize(
    ("target", "header"),
    [
        (X86_64, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        (AARCH64, "/usr/include/asm-generic/unistd.h"),
    ],
    ids=["x86_64", "aarch64"],
)
def test_numbers_are_those_of_the_kernel_headers(target: Machine, header: str) -> None:
    if not Path(header).exists():
        pytest.skip(f"{header} is not installed")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text())
    kernel = {name: int(number) for name, number in found}
    assert dict(target.numbers) == {name: kernel[name] for name in target.numbers}
    # What has no number here must really not exist on this machine.
    assert not (NEVER_ALLOWED - set(target.numbers)) & set(kernel)
