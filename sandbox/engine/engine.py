"""`Engine`: what a server author holds, blocking.  `AsyncEngine` has the same methods, awaitable.

Both are thin: they turn arguments into operations of `modules.py`, `scripts.py` and `core.py`
and run them, here by stepping a coroutine that never suspends.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from sandbox.engine.blocking import BlockingDriver
from sandbox.engine.clock import Clock, SystemClock
from sandbox.engine.core import Core
from sandbox.engine.driver import Chain, step
from sandbox.engine.modules import Modules
from sandbox.engine.network import Network
from sandbox.engine.scripts import Run, Scripts
from sandbox.engine.status import ModuleStatus
from sandbox.engine.storage import Storage
from sandbox.engine.workers import current_chain
from sandbox.errors import EngineClosed
from sandbox.limits import Limits, parse_seconds
from sandbox.messages import Request, Response
from sandbox.policy import Policy
from sandbox.usage import Usage
from sandbox.values import Value

T = TypeVar("T")
PathLike = str | os.PathLike[str]


class Engine:
    """Runs plugins in confined workers; blocking, and safe to use from several threads.

    `plugins` are folders to search; `hosts` the virtual hosts that modules live on; `config`
    what modules read with `get_option` (a key that is a host holds that host's own options).
    `policy` says what plugins may reach, `limits` what one call may use.  `isolation` is
    `"confined"` (the default), `"process"` (a worker without the kernel's jail) or `"inline"` (a
    thread of this process, for trusted plugins and debugging: limits are reported, not enforced).
    `groups` are lists of modules that trust each other and share one worker.  `workers` is how
    many workers the scripts of one plugin, and bare code of one language, may run at a time
    (default: the number of processors).  `clock` is the time that timers run by.  `checkpoint` is
    how often, in seconds or as a text such as `"30s"`, modules are asked to `save`, so that they
    are brought back with that when their worker died; by default only when they are reloaded.
    `data` is the folder below which plugins keep their files (made when first needed); without it
    they have none of their own.  `memory` lasts as long as the engine; with `keep_memory` it is
    kept below `data` and is there again in the next engine.  `queue` is how many requests may
    wait for the scripts of one plugin: one more raises `Busy`.

    Raises `ConfinementUnavailable` when this kernel cannot confine and `isolation` is not one of
    the others, and `ConfigurationError` for arguments that make no sense.
    """

    def __init__(
        self,
        plugins: Iterable[PathLike] = (),
        hosts: Iterable[str] = (),
        config: Mapping[str, Value] | None = None,
        policy: Policy | None = None,
        limits: Limits | None = None,
        isolation: str = "confined",
        groups: Iterable[Sequence[str]] = (),
        workers: int | None = None,
        clock: Clock | None = None,
        checkpoint: float | str | None = None,
        data: PathLike | None = None,
        queue: int = 100,
        keep_memory: bool = False,
    ) -> None:
        self._core = Core(
            plugins=[os.fspath(folder) for folder in plugins],
            hosts=hosts,
            config=config or {},
            policy=policy,
            limits=limits,
            isolation=isolation,
            clock=clock,
        )
        self._driver = BlockingDriver(self._core.serve, self._core.take_note)
        self._core.driver = self._driver
        self._core.run = self._run
        every = None if checkpoint is None else parse_seconds("checkpoint", checkpoint)
        self._modules = Modules(self._core, groups, every)
        self._scripts = Scripts(self._core, workers, queue)
        self._storage = Storage(self._core, data, keep_memory)
        self._network = Network(self._core)
        self._lifecycle = threading.RLock()
        self._timer_thread: threading.Thread | None = None
        self._timer_wake = threading.Event()
        if isinstance(self._core.clock, SystemClock):
            self._core.timer_added = self._wake_timer_thread

    # ------------------------------------------------------------------ running operations

    def _run(self, operation: Coroutine[Any, Any, T]) -> T:
        with self._driver.lock:
            if self._core.closed:
                operation.close()
                raise EngineClosed("the engine is closed")
            result: T = step(operation)
            return result

    def _loading(self, chain: Chain) -> AbstractContextManager[object]:
        """Loading and unloading, one at a time; within a plugin's call the lock may be held by
        whoever waits for us."""
        return self._lifecycle if chain.depth == 0 else nullcontext()

    def close(self) -> None:
        """End every worker and thread of this engine.  Safe to call again."""
        with self._driver.lock:
            if not self._core.closed:
                self._core.close()
        self._driver.watchdog.join()
        self._timer_wake.set()
        if self._timer_thread is not None and self._timer_thread is not threading.current_thread():
            self._timer_thread.join()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def policy(self) -> Policy:
        """Who is granted what.  A new one holds from the next question of a plugin on; raises
        `ConfigurationError` for a grant that cannot be read."""
        return self._core.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._core.policy = policy

    # ------------------------------------------------------------------ modules

    def load(self, host: str, name: str) -> ModuleStatus:
        """Load module `name` on `host` ("*" for the global host).

        Raises `LifecycleError` (its `reason` is Prosody's text: `unknown-host`,
        `module-already-loaded`, `global-module-already-loaded`, `insufficient-parameters`),
        `UnknownPlugin`, `PluginError` when its code fails, `LimitExceeded`, `SandboxCrashed`.
        A failed load leaves nothing behind.
        """
        chain = current_chain.get()
        with self._loading(chain):
            module = self._run(self._modules.load(host, name, chain))
        return self._status_of(module.host, name)

    def unload(self, host: str, name: str) -> None:
        """Unload a module; the global part of a shared module takes its host parts along.

        Raises `LifecycleError` (`module-not-loaded`).
        """
        chain = current_chain.get()
        with self._loading(chain):
            self._run(self._modules.unload(host, name, chain))

    def reload(self, host: str, name: str) -> ModuleStatus:
        """Reload a module: check the new file, `save`, unload, run the new one, `restore`.

        Raises as `load`, and `LifecycleError` (`module-not-loaded`, `save-state-failed`).  A file
        that does not compile leaves the running module alone.
        """
        chain = current_chain.get()
        with self._loading(chain):
            module = self._run(self._modules.reload(host, name, chain))
        return self._status_of(module.host, name)

    def reset(self, host: str, name: str) -> ModuleStatus:
        """Bring a `failed` or `restarting` module back now, and forget that its worker died.

        The modules that share its sandbox come back with it, each with its stored state.  Does
        nothing to one that is active.  Raises `LifecycleError` (`module-not-loaded`), and what
        went wrong when it does not come back.
        """
        chain = current_chain.get()
        with self._loading(chain):
            module = self._run(self._modules.reset(host, name))
        return self._status_of(module.host, name)

    def checkpoint(self) -> int:
        """Have every module `save`, and keep what it gives for the case that its worker dies;
        returns how many did.  Errors of `save` are logged."""
        with self._loading(current_chain.get()):
            return self._run(self._modules.checkpoint())

    def is_loaded(self, host: str, name: str) -> bool:
        """Whether `name` has an instance or a host part on `host` itself."""
        return self._modules.is_loaded(host, name)

    def modules(self, host: str) -> list[str]:
        """The names of the modules on `host`, sorted."""
        return self._modules.names(host)

    def status(self) -> list[ModuleStatus]:
        """Every module instance with its state, sandbox and process, by host and name."""
        return self._modules.status()

    def _status_of(self, host: str, name: str) -> ModuleStatus:
        return next(one for one in self.status() if (one.host, one.name) == (host, name))

    # ------------------------------------------------------------------ events and items

    def fire(self, host: str, event: str, data: Value = None) -> Value:
        """Fire an event on a host's bus ("*" for the global one): the first result that is not
        None of its handlers, by priority, in every sandbox that listens.

        `data` is plain data, and may hold callables: plugins can call those while they have
        them.  Raises what a handler raised as `PluginError`, and `LimitExceeded` and so on.
        """
        return self._run(self._core.fire(host, event, data))

    def items(self, host: str, key: str) -> list[Value]:
        """The items that modules on `host` added under `key`, in loading order.  A function in an
        item is a `GuestFunction`: calling it runs it in its sandbox."""
        return self._run(self._core.items(host, key))

    def run_timers(self) -> int:
        """Run the timers of plugins that are due by the clock; returns how many ran.

        With the real clock a thread does this by itself.
        """
        return self._run(self._core.run_timers())

    def _wake_timer_thread(self) -> None:
        if self._timer_thread is None:
            self._timer_thread = threading.Thread(
                target=self._timer_loop, name="sandbox-timers", daemon=True
            )
            self._timer_thread.start()
        self._timer_wake.set()

    def _timer_loop(self) -> None:
        while True:
            with self._driver.lock:
                if self._core.closed:
                    return
                due = self._core.next_due()
                delay = None if due is None else due - self._core.clock.monotonic()
            if delay is None or delay > 0:
                self._timer_wake.wait(delay)
                self._timer_wake.clear()
                continue
            try:
                self.run_timers()
            except EngineClosed:
                return

    # ------------------------------------------------------------------ scripts and bare code

    def request(self, plugin: str, request: Request) -> Response:
        """Answer one HTTP request with a plugin's script or file, chosen by the path.

        `panic(x)` in the script becomes the answer: an integer its status, anything else status
        500 with its text.  A file is in the answer as a whole, so it may have 16 MiB; larger ones
        are the HTTP front end's business, which streams them.  Raises `UnknownPlugin`,
        `PluginError` when the script fails or the file cannot be read, `LimitExceeded`,
        `SandboxCrashed`, `ConfigurationError` for limits above the operator's, and `Busy` when too
        many requests wait already.
        """
        return self._run(self._scripts.request(plugin, request))

    def execute(
        self,
        source: str | bytes,
        language: str,
        inputs: Mapping[str, Value] | None = None,
        modules: Mapping[str, str | bytes] | None = None,
        limits: Limits | None = None,
        file: str = "(main)",
    ) -> Run:
        """Run bare code in a fresh environment of a pooled worker.

        `inputs` become its globals, `modules` what it can import by name.  What the code does
        wrong is in the result (`ok`, `error`), never raised.  Raises `ConfigurationError` for an
        unknown language and `ValueError` for an input that cannot cross.
        """
        return self._run(
            self._scripts.execute(source, language, inputs or {}, modules or {}, limits, file)
        )

    def names_in(self, path: PathLike) -> list[str]:
        """Compile a source file in a worker, without running it; returns the names it uses.

        Raises `PluginError` with file and line when it does not compile.
        """
        return self._run(self._scripts.names_in(self._scripts.source_file(path)))

    def compiled(self, path: PathLike) -> str:
        """What a source file is compiled to, in a worker and without running it: Lua for Tengo.

        Raises `PluginError` with file and line when it does not compile, and for a language that
        is not compiled to another one.
        """
        return self._run(self._scripts.compiled(self._scripts.source_file(path)))

    def usage(self) -> dict[str, Usage]:
        """The limit matrix of every sandbox that has a worker, by sandbox name; pooled workers
        of one plugin are numbered (`name#2`)."""
        with self._driver.lock:
            return self._core.usage()
