"""start.*, memory.*: what a sandbox costs to begin, to replace, and to keep."""

from __future__ import annotations

import logging
import os
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from typing import Final

import msgpack

from benchmarks.call import HOST, PLUGINS
from benchmarks.report import Row, alternate, benchmark
from sandbox import Engine, SandboxError
from sandbox.engine.runtimes import by_name
from sandbox.engine.sandbox import Sandbox

_ROUNDS: Final = 40


def _floor_zygote() -> tuple[socket.socket, int]:
    """A bare fork server with the same imports as the engine's zygote: fork, echo, gone."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid:
        theirs.close()
        return ours, pid
    ours.close()
    from runtimes.lua.runtime import create

    runtime = create()  # the floor's child holds what a worker holds, and does nothing with it
    while True:
        data, fds, _, _ = socket.recv_fds(theirs, 100, 1)
        if not data:
            os._exit(0)
        child = os.fork()
        if child == 0:
            connection = socket.socket(fileno=fds[0])
            connection.sendall(msgpack.packb(msgpack.unpackb(connection.recv(65_536))))
            os._exit(0 if runtime else 1)
        os.close(fds[0])
        os.waitpid(child, 0)


@benchmark("start.sandbox")
def sandbox() -> Iterator[Row]:
    """Ask for a sandbox until its first answer, against fork and echo from such a zygote."""
    control, pid = _floor_zygote()
    with Engine() as engine:
        pools = engine._scripts.pools
        assert engine.execute("return 1", language="lua").value == 1

        def floor() -> float:
            start = time.perf_counter()
            ours, theirs = socket.socketpair()
            with ours:
                socket.send_fds(control, [b"x"], [theirs.fileno()])
                theirs.close()
                ours.sendall(msgpack.packb([1, 2]))
                ours.recv(100)
                return time.perf_counter() - start

        def subject() -> float:
            for pool in pools._pools.values():
                while pool.idle:
                    pools._end(pool.idle.pop()[0])
            start = time.perf_counter()
            assert engine.execute("return 1", language="lua").value == 1
            return time.perf_counter() - start

        bare, ours, ratio = alternate(floor, subject, _ROUNDS)
    control.close()
    os.waitpid(pid, 0)
    yield Row("start.sandbox", ours * 1e3, "ms", bare * 1e3, ratio)


@benchmark("start.replace")
def replace() -> Iterator[Row]:
    """SIGKILL of a module's worker until the replacement, module loaded, answers."""
    times = []
    # The engine reports each of the deaths that we cause.
    logging.getLogger("sandbox.engine").setLevel(logging.ERROR)
    with Engine([PLUGINS], [HOST]) as engine:
        engine.load(HOST, "echo")
        for _ in range(_ROUNDS):
            for sandbox in engine._core.sandboxes:
                sandbox.deaths.clear()  # this many deaths in a minute would be a crash loop
            pid = engine.status()[0].pid
            start = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            while True:
                try:
                    engine.fire(HOST, "echo", {})
                    break
                except SandboxError:
                    continue
            times.append(time.perf_counter() - start)
    yield Row("start.replace", statistics.median(times) * 1e3, "ms", None, None)


def pss(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    raise ValueError("no Pss line")


@benchmark("memory.idle")
def idle() -> Iterator[Row]:
    """Proportional memory of an idle sandbox with a module loaded, among twenty."""
    with Engine() as engine:
        pids = []
        for number in range(20):
            one = Sandbox(f"idle{number}", "code", ("",), by_name("lua"), engine._core.limits)
            engine._core.sandboxes.append(one)
            arguments = ["(main)", b"return 1", {}, {}]
            engine._run(engine._core.call(one, "execute", arguments))
            assert one.worker is not None
            pids.append(one.worker.pid)
        median = statistics.median(pss(pid) for pid in pids)
    yield Row("memory.idle", median / 2**20, "MiB", None, None)
