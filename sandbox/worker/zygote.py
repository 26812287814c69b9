"""The zygote: a small single-threaded process with one runtime imported, which forks workers.

Started by exec with an empty environment and one socket, descriptor 3, to the engine.  Messages
on it keep their borders (SOCK_SEQPACKET); they come from the engine and are trusted:

    engine  ["fork", settings]  with a worker's socket attached     no answer: the worker greets
    engine  ["reap", pid]                                           ["reaped", pid, status, rss]
    zygote  ["ready", base address space] or ["failed", text], once, at the start

Knows the runtime only by the name of its factory.  Nothing here runs guest code.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import socket
from typing import Any, Final, NoReturn

import msgpack

from sandbox.worker import allocator, confine
from sandbox.worker.loop import Loop
from sandbox.worker.runtime import Factory, Runtime, Settings

CONTROL_FD: Final = 3
OUT_OF_MEMORY: Final = 72
"""Exit status of a worker that had no memory left outside guest code."""

_SLACK: Final = 32 * 2**20
"""Address space beyond what the plugin is granted, in bytes: allocator arenas and the stack."""

_LIFETIME_CPU: Final = 24 * 3600
"""Processor seconds of a whole worker's life, after which the kernel ends it: a backstop for an
engine that is gone or stuck.  The limit of one call is the engine's and much finer."""


def load_factory(name: str) -> Factory:
    """The factory that `package.module:attribute` names."""
    module, _, attribute = name.partition(":")
    factory: Factory = getattr(importlib.import_module(module), attribute)
    return factory


def main(factory_name: str, jail: bool) -> NoReturn:
    """Run the zygote until the engine hangs up.  Never returns."""
    control = socket.socket(fileno=CONTROL_FD)
    try:
        runtime = load_factory(factory_name)()
        allocator.keep_freed_memory()
        runtime.settle()
        gc.collect()
        # What exists now is shared with every worker: the collector need not touch its pages.
        gc.freeze()
        base = confine.base_address_space()
        if jail:
            confine.harden_zygote()
    except Exception as error:  # noqa: BLE001 - whatever it was, the engine is told
        control.send(msgpack.packb(["failed", f"{type(error).__name__}: {error}"]))
        os._exit(1)
    control.send(msgpack.packb(["ready", base]))
    _serve(control, runtime, base, jail)
    os._exit(0)


def _serve(control: socket.socket, runtime: Runtime, base: int, jail: bool) -> None:
    here = os.getpid()
    while True:
        data, fds, _, _ = socket.recv_fds(control, 65_536, 1)
        if not data:
            return
        verb, argument = msgpack.unpackb(data)
        if verb == "fork":
            try:
                pid = os.fork()
            except OSError:
                pid = -1  # the engine sees the worker's socket close without a greeting
            if pid == 0:
                _become_worker(fds[0], runtime, base, argument, here, jail)
            os.close(fds[0])
        elif verb == "reap":
            control.send(msgpack.packb(["reaped", argument, *_reap(argument)]))


def _reap(pid: int) -> tuple[int, int]:
    """Wait for a worker that was killed or has hung up: its status and peak memory in bytes."""
    try:
        _, status, usage = os.wait4(pid, 0)
    except ChildProcessError:
        return 0, 0
    return status, usage.ru_maxrss * 1024


def _become_worker(
    fd: int, runtime: Runtime, base: int, settings: Any, parent: int, jail: bool
) -> NoReturn:
    """Everything of a worker's life.  No exception may leave: printing one would open files."""
    status = 70
    try:
        os.dup2(fd, CONTROL_FD)
        memory, output, hosts = settings
        loop = Loop(
            runtime,
            functools.partial(os.read, CONTROL_FD),
            functools.partial(os.write, CONTROL_FD),
            os._exit,
            output,
        )
        pid = os.getpid()
        confine.confine_worker(
            confine.Rlimits(address_space=base + memory + _SLACK, cpu_seconds=_LIFETIME_CPU),
            parent,
            jail=jail,
        )
        runtime.start(Settings(memory, output, tuple(hosts)))
        loop.greet(pid)
        loop.run()
        status = 0
    except MemoryError:
        status = OUT_OF_MEMORY
    except OSError:
        status = 71
    finally:
        os._exit(status)
