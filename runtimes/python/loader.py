"""Module instances of this sandbox: making them, running their callbacks, taking them down.

The engine's life cycle decides what happens when; here is how each step is done.  A step that
fails leaves nothing registered.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import FunctionType
from typing import Any, Final

from runtimes.python import faults
from runtimes.python.bus import Bus
from runtimes.python.environment import new_globals
from runtimes.python.facade import Frozen, GuestModule, freeze
from runtimes.python.guards import is_guest_function
from runtimes.python.host import HostGate
from runtimes.python.module import Module, Timer
from runtimes.python.plain import is_plain
from runtimes.python.policy import compile_source
from runtimes.python.printing import printer

_CALLBACKS: Final = frozenset({"add_host", "load", "unload", "save", "restore"})


class ForeignModule(Frozen):
    """A module of another sandbox as `depends` gives it: its globals are read and its functions
    called through the engine, at that moment; nothing of it is kept here."""

    __slots__ = ("_gate", "_host", "_name", "_prefix")
    _gate: HostGate
    _host: str
    _name: str
    _prefix: str

    def __init__(self, gate: HostGate, host: str, name: str, prefix: str = "") -> None:
        for key, value in (("_gate", gate), ("_host", host), ("_name", name), ("_prefix", prefix)):
            object.__setattr__(self, key, value)

    def __getattr__(self, key: str) -> Any:
        path = self._prefix + key
        gate, host, name = self._gate, self._host, self._name
        kind, *value = gate.call("environment.get", host, name, path) or ["nil"]
        if kind == "function":

            def call(*arguments: Any) -> Any:
                return gate.call("environment.call", host, name, path, list(arguments))

            return freeze(call)
        if kind == "module":
            return ForeignModule(gate, host, name, path + ".")
        if kind == "nil":
            raise AttributeError(f"module {name} has no {path}")
        return value[0]


class Modules:
    """Every module instance of one sandbox, and what they share."""

    def __init__(self, gate: HostGate) -> None:
        self._gate = gate
        self._modules: dict[tuple[str, str], Module] = {}
        self._shared: dict[str, dict[Any, Any]] = {}
        self._timers: dict[int, tuple[Callable[[float], Any], Module]] = {}
        self._timer_count = 0
        self._buses: dict[str, Bus] = {}
        self.hosts: frozenset[str] = frozenset()
        self.bus_of_all = self._new_bus("*")

    def start(self, hosts: tuple[str, ...]) -> None:
        """The worker starts: the hosts there are."""
        self.hosts = frozenset(hosts)

    # ------------------------------------------------------------------ buses

    def _new_bus(self, host: str) -> Bus:
        def changed(event: str, priorities: list[float], wrapped: bool) -> None:
            self._gate.note("hooks", host, event, priorities, wrapped)

        bus = self._buses[host] = Bus(host, changed, self._gate.call, self._gate.is_host_function)
        return bus

    def bus(self, host: str) -> Bus | None:
        """The bus of a host; None for one that the engine does not have."""
        if host in self._buses:
            return self._buses[host]
        return self._new_bus(host) if host in self.hosts else None

    def listeners_changed(self, host: str, event: str, priorities: list[float]) -> None:
        """A note of the engine."""
        if host in self._buses:
            self._buses[host].listeners_changed(event, priorities)

    # ------------------------------------------------------------------ load

    def load(
        self, name: str, host: str, file: str, source: bytes, reloading: bool, saved: Any
    ) -> dict[str, bool]:
        """Run a module's source and its `load`."""
        module = Module(self, name, host, None)
        module.path = file
        module.reloading, module.saved_state = reloading, saved
        # Registered before the code runs, so that circular `depends` find it.
        self._modules[host, name] = module
        try:
            code = compile_source(source, file)
            module._globals = self._environment(module, file)
            exec(code, module._globals)
            if host == "*" or module.host == "*":
                if module.host == "*" and not getattr(module, "global", False) and host != "*":
                    text = "Setting module.host = '*' deprecated, call module.set_global() instead"
                    self.log(name, "*", "warn", text)
                module.set_global()
            self._callback(module, "load")
        except BaseException:
            self._release(module, host, quiet=True)
            raise
        module.reloading, module.saved_state = False, None
        del self._modules[host, name]
        self._modules[module.host, name] = module
        has_add_host = self._find_callback(module, "add_host") is not None
        return {"global": module.host == "*", "add_host": has_add_host}

    def _environment(self, module: Module, file: str) -> dict[str, Any]:
        loaded: dict[str, Any] = {}

        def find(name: str) -> Any:
            if name not in loaded:
                loaded[name] = self._library(module, name)
            return loaded[name]

        given = module._given or {"module": module, "print": self._printer(module)}
        module._given = given
        return new_globals(
            name=module.name,
            filename=file,
            extra_names=given,
            import_hook=find,
        )

    def _printer(self, module: Module) -> Any:
        return printer(
            lambda text: self.log(module.name, module.host, "info", text.removesuffix("\n"))
        )

    def add_host(self, name: str, host: str, reloading: bool, saved: Any) -> dict[str, Any]:
        """Make the host part of a shared module."""
        whole = self._modules["*", name]
        part = Module(self, name, host, whole)
        part._globals = whole._globals
        part.reloading, part.saved_state = reloading, saved
        self._modules[host, name] = part
        callback = self._find_callback(whole, "add_host")
        try:
            result = callback(part) if callback else None
        except BaseException:
            self._release(part, host, quiet=True)
            raise
        refused, reason = result is False, ""
        if isinstance(result, tuple) and result and result[0] is False:
            refused, reason = True, str(result[1]) if len(result) > 1 else ""
        if refused:
            self._release(part, host, quiet=True)
        part.reloading, part.saved_state = False, None
        return {"refused": refused, "reason": reason}

    def _find_callback(self, module: Module, name: str) -> Callable[..., Any] | None:
        """A callback set as an attribute, or for a whole module a top-level function."""
        own = vars(module).get(name)
        if own is None and module._parent is None and name in _CALLBACKS:
            function = module._globals.get(name)
            own = function if is_guest_function(function) else None
        return own

    def _callback(self, module: Module, name: str, *arguments: Any) -> Any:
        callback = self._find_callback(module, name)
        return None if callback is None else callback(*arguments)

    # ------------------------------------------------------------------ the other steps

    def _instance(self, name: str, host: str) -> Module:
        module = self._modules.get((host, name))
        if module is None:
            raise LookupError(f"module {name} is not loaded on {host} in this sandbox")
        return module

    def save(self, name: str, host: str) -> Any:
        """What the module wants to have back after a reload."""
        return self._callback(self._instance(name, host), "save")

    def restore(self, name: str, host: str, saved: Any) -> None:
        """Give back what `save` returned."""
        self._callback(self._instance(name, host), "restore", {} if saved is None else saved)

    def unload(self, name: str, host: str, reloading: bool) -> str | None:
        """Take a module down; an error in its `unload` does not stop it, and is returned."""
        module = self._instance(name, host)
        module.reloading = reloading
        problem = None
        try:
            self._callback(module, "unload")
        except Exception as error:  # noqa: BLE001 - any plugin error is non-fatal here
            problem = faults.one_line(error)
        self._release(module, host, quiet=False)
        return problem

    def discard(self, name: str, host: str) -> None:
        """Take down without callbacks, after a later step of loading failed."""
        module = self._modules.get((host, name))
        if module is not None:
            self._release(module, host, quiet=True)

    def _release(self, module: Module, host: str, *, quiet: bool) -> None:
        for bus, event, handler, undo in reversed(module._hooks):
            getattr(bus, undo)(event, handler)
        module._hooks = []
        self._stop_timers(module)
        for key, items in module.items.items():
            while items:
                item = items.pop()
                self.count_items(module, key)
                if not quiet:
                    self._item_removed(module, key, item)
        module.loaded = False
        for at in {host, module.host}:
            if self._modules.get((at, module.name)) is module:
                del self._modules[at, module.name]
        self._drop_shared(module)

    def _item_removed(self, module: Module, key: str, item: Any) -> None:
        try:
            module.fire_event(f"item-removed/{key}", {"source": module, "item": item})
        except Exception as error:  # noqa: BLE001 - one handler must not keep the others' items
            text = f"Error in item-removed/{key} handler: {faults.one_line(error)}"
            self.log(module.name, module.host, "error", text)

    # ------------------------------------------------------------------ shared things

    def count_items(self, module: Module, key: str) -> None:
        """Tell the engine how many items of a key a module has."""
        self._gate.note("items", module.name, module.host, key, len(module.items.get(key, ())))

    def host_items(self, host: str, key: str) -> list[Any]:
        """The items on a host, ours first."""
        found = self.own_items(host, key)
        return found + (self._gate.call("items.elsewhere", host, key) or [])

    def own_items(self, host: str, key: str) -> list[Any]:
        """The items of this sandbox's modules on a host."""
        return [
            item
            for (at, _), module in sorted(self._modules.items(), key=lambda entry: entry[0])
            if at == host
            for item in module.items.get(key, ())
        ]

    def depends(self, module: Module, name: str) -> Any:
        """Another module's globals, loading it if need be."""
        where = self._gate.call("module.depends", module.host, module.name, name)
        if where["here"]:
            found = self._modules.get((where["host"], name))
            if found is not None:
                return GuestModule(name, found._globals)
        return ForeignModule(self._gate, where["host"], name)

    def require(self, module: Module, name: str) -> Any:
        """A library of the plugin, run anew."""
        source, file, problem = self._gate.call("module.library", module.name, name)
        if source is None:
            raise ImportError(f"Failed to load plugin library '{name}', error: {problem}")
        return self._run_library(module, name, source, file)

    def _library(self, module: Module, name: str) -> Any:
        source, file, _ = self._gate.call("module.library", module.name, name)
        return None if source is None else self._run_library(module, name, source, file)

    def _run_library(self, module: Module, name: str, source: bytes, file: str) -> GuestModule:
        code = compile_source(source, file)
        space = self._environment(module, file)
        exec(code, space)
        return GuestModule(name, space)

    def shared_dict(self, module: Module, path: str) -> dict[Any, Any]:
        """The shared dict of a path; relative paths are filled up from the left."""
        if not path.startswith("/"):
            missing = 2 - min(path.count("/"), 2)
            prefix = ["", f"/{module.host}", f"/{module.host}/{module.name}"][missing]
            path = f"{prefix}/{path}"
        module._shared_paths.add(path)
        return self._shared.setdefault(path, {})

    def _drop_shared(self, module: Module) -> None:
        held = {path for other in self._modules.values() for path in other._shared_paths}
        for path in module._shared_paths - held:
            self._shared.pop(path, None)

    def option(self, function: str, host: str, name: str) -> Any:
        """A configuration option."""
        return self._gate.call(function, host, name)

    def log(self, plugin: str, host: str, level: str, text: str) -> None:
        """A line for the engine's log."""
        self._gate.log(plugin, host, level, text)

    def note_status(self, module: Module, kind: str, message: str) -> None:
        """Tell the engine of a module's status."""
        self._gate.note("status", module.name, module.host, kind, str(message))

    @staticmethod
    def now() -> float:
        """Seconds since 1970."""
        return time.time()

    # ------------------------------------------------------------------ timers

    def start_timer(self, module: Module, delay: float, run: Callable[[float], Any]) -> Timer:
        """Set a timer; it ends with its module."""
        self._timer_count += 1
        number = self._timer_count
        self._gate.call("timer.add", number, delay, module.name)
        self._timers[number] = (run, module)
        return Timer(self, number, module.name)

    def stop_timer(self, number: int) -> None:
        """Forget a timer."""
        if self._timers.pop(number, None) is not None:
            self._gate.call("timer.cancel", number)

    def move_timer(self, number: int, delay: float, plugin: str) -> None:
        """Have a timer run at another time."""
        if number in self._timers:
            self._gate.call("timer.add", number, delay, plugin)

    def run_timer(self, number: int, now: float) -> float | None:
        """A timer is due; returns the delay until it wants to run again."""
        if number not in self._timers:
            return None
        again = None
        try:
            again = self._timers[number][0](now)
        finally:
            if not isinstance(again, (int, float)) or isinstance(again, bool):
                again = None
                self._timers.pop(number, None)
        return again if number in self._timers else None

    def _stop_timers(self, module: Module) -> None:
        for number in [n for n, (_, owner) in self._timers.items() if owner is module]:
            self.stop_timer(number)

    # ------------------------------------------------------------------ other modules' eyes

    def _look(self, host: str, name: str, path: str) -> Any:
        module = self._modules.get((host, name))
        if module is None:
            return None
        if path.startswith("module."):
            key = path.removeprefix("module.")
            return getattr(module, key, None) if key in ("name", "host", "global") else None
        return module._globals.get(path) if path[:1].isalpha() else None

    def environment_get(self, host: str, name: str, path: str) -> list[Any]:
        """What a module of another sandbox sees through `depends`."""
        if path == "module":
            return ["module"]
        value = self._look(host, name, path)
        if isinstance(value, FunctionType):
            return ["function"]
        return ["nil"] if value is None or not is_plain(value) else ["value", value]

    def environment_call(self, host: str, name: str, path: str, arguments: list[Any]) -> Any:
        """Call a global function for a module of another sandbox."""
        function = self._look(host, name, path)
        if not is_guest_function(function):
            raise LookupError(f"{name}.{path} is not a function")
        return function(*arguments)
