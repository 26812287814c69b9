"""The `module` object of Python modules: the same API as in Lua, over this sandbox's buses.

Its class uses the metaclass of plugin classes, so that plugin code may set attributes on it
(`module.add_host = add_host`) and nothing else of ours; what must stay hidden has a name that
begins with an underscore, which plugin code cannot spell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from runtimes.python.bus import Bus, Handler, Wrapper, shows
from runtimes.python.guards import GuestType

if TYPE_CHECKING:
    from runtimes.python.loader import Modules

_LEVELS: Final = frozenset({"debug", "info", "warn", "error"})
_RANK: Final = {"core": 0, "info": 1, "warn": 2, "error": 3}
_BOOLEANS: Final[dict[Any, bool]] = {True: True, "true": True, False: False, "false": False}


class Timer(metaclass=GuestType):
    """A timer that a module set."""

    def __init__(self, modules: Modules, number: int, plugin: str) -> None:
        self._modules = modules
        self._plugin = plugin
        self.id = number

    def stop(self) -> None:
        """Do not run any more."""
        self._modules.stop_timer(self.id)

    disarm = stop

    def reschedule(self, delay: float) -> None:
        """Run `delay` seconds from now instead, if still set."""
        self._modules.move_timer(self.id, delay, self._plugin)


class Module(metaclass=GuestType):
    """One module instance, or the part of a shared module on one host."""

    def __init__(self, modules: Modules, name: str, host: str, parent: Module | None) -> None:
        self._modules = modules
        self._parent = parent
        self._hooks: list[tuple[Any, str, Any, str]] = []
        self._shared_paths: set[str] = set()
        self._globals: dict[str, Any] = {}
        self._given: dict[str, Any] = {}
        self._status: tuple[str, str, float] = ("core", "", 0.0)
        self.name = name
        self.host = host
        self.items: dict[str, list[Any]] = {}
        self.reloading = False
        self.saved_state: Any = None
        self.loaded: bool | None = None
        self.path: str = parent.path if parent else ""
        if parent is not None:
            setattr(self, "global", False)

    # ------------------------------------------------------------------ identity

    def get_name(self) -> str:
        """The module's name."""
        return self.name

    def get_host(self) -> str:
        """The host, or "*"."""
        return self.host

    def get_host_type(self) -> str | None:
        """ "global", "local", or None for a host the engine does not have."""
        if self.host == "*":
            return "global"
        return "local" if self.host in self._modules.hosts else None

    def get_directory(self) -> str:
        """The plugin's own folder.  Plugins have no file system; paths are names below it."""
        return "."

    def set_global(self) -> None:
        """Make this module global: one instance for all hosts."""
        self.host = "*"
        setattr(self, "global", True)

    # ------------------------------------------------------------------ hooks

    def _bus(self) -> Bus:
        return self._modules.bus(self.host) or self._modules.bus_of_all

    def _hook(self, bus: Any, event: str, handler: Handler, priority: float) -> None:
        if not callable(handler):
            raise TypeError(f"module.hook: no handler given for event {event!r}")
        self._hooks.append((bus, event, handler, "remove_handler"))
        bus.add_handler(event, handler, priority)

    def hook(self, event: str, handler: Handler, priority: float = 0) -> None:
        """Call `handler(data)` when `event` is fired on this module's host."""
        self._hook(self._bus(), event, handler, priority)

    def hook_global(self, event: str, handler: Handler, priority: float = 0) -> None:
        """As `hook`, on the global bus."""
        self._hook(self._modules.bus_of_all, event, handler, priority)

    def hook_object_event(
        self, target: Any, event: str, handler: Handler, priority: float = 0
    ) -> None:
        """As `hook`, on any object with `add_handler` and `remove_handler`."""
        self._hook(target, event, handler, priority)

    def hook_tag(
        self,
        xmlns: str | None,
        name: str,
        handler: Callable[[Any, Any, Any], Any],
        priority: float = 0,
    ) -> None:
        """Call `handler(origin, stanza, data)` for stanzas' child elements of that name."""
        prefix = f"{xmlns}:" if xmlns else ""

        def called(data: Any) -> Any:
            return handler(data.get("origin"), data.get("stanza"), data)

        self.hook(f"stanza/{prefix}{name}", called, priority)

    def unhook(self, event: str, handler: Handler) -> None:
        """Undo `hook`."""
        self._unhook(self._bus(), event, handler)

    def unhook_object_event(self, target: Any, event: str, handler: Handler) -> None:
        """Undo `hook_object_event`."""
        self._unhook(target, event, handler)

    def _unhook(self, bus: Any, event: str, handler: Handler) -> None:
        entry = (bus, event, handler, "remove_handler")
        if entry in self._hooks:
            self._hooks.remove(entry)
        bus.remove_handler(event, handler)

    def wrap_event(self, event: str, wrapper: Wrapper) -> None:
        """Call `wrapper(next, event, data)` around an event of this module's host."""
        bus = self._bus()
        self._hooks.append((bus, event, wrapper, "remove_wrapper"))
        bus.add_wrapper(event, wrapper)

    def wrap_global(self, event: str, wrapper: Wrapper) -> None:
        """As `wrap_event`, on the global bus."""
        bus = self._modules.bus_of_all
        self._hooks.append((bus, event, wrapper, "remove_wrapper"))
        bus.add_wrapper(event, wrapper)

    def fire_event(self, event: str, data: Any = None) -> Any:
        """Fire an event on this module's host; the first result that is not None."""
        return self._bus().fire(event, data)

    # ------------------------------------------------------------------ items

    def add_item(self, key: str, value: Any) -> None:
        """Offer `value` to whoever handles items of that key."""
        self.items.setdefault(key, []).append(value)
        self._modules.count_items(self, key)
        self.fire_event(f"item-added/{key}", {"source": self, "item": value})

    def remove_item(self, key: str, value: Any) -> Any:
        """Take back the last item equal to `value`; returns it, or None."""
        own = self.items.get(key, [])
        for index in range(len(own) - 1, -1, -1):
            if own[index] == value:
                item = own.pop(index)
                self._modules.count_items(self, key)
                self.fire_event(f"item-removed/{key}", {"source": self, "item": item})
                return item
        return None

    def get_host_items(self, key: str) -> list[Any]:
        """The items of every module on this host."""
        return self._modules.host_items(self.host, key)

    def handle_items(
        self, key: str, added: Handler, removed: Handler, existing: bool = True
    ) -> None:
        """Be told of items as they come and go, and of those there are."""
        self.hook(f"item-added/{key}", added)
        self.hook(f"item-removed/{key}", removed)
        if existing:
            for item in self.get_host_items(key):
                added({"item": item})

    def provides(self, name: str, item: dict[str, Any] | None = None) -> None:
        """Offer an implementation of `name` as the item `name-provider`."""
        if item is None:
            item = {
                key: value
                for key, value in self._globals.items()
                if key[:1].isalpha() and not any(value is one for one in self._given.values())
            }
        if "name" not in item:
            prefix = name.replace("-", "_") + "_"
            item["name"] = self.name.removeprefix(prefix)
        item["_provided_by"] = self.name
        self.add_item(f"{name}-provider", item)

    def add_feature(self, xmlns: str) -> None:
        """Announce a feature (XEP-0030)."""
        self.add_item("feature", xmlns)

    def add_identity(self, category: str, kind: str, name: str) -> None:
        """Announce an identity (XEP-0030)."""
        self.add_item("identity", {"category": category, "type": kind, "name": name})

    def add_extension(self, data: Any) -> None:
        """Announce extended information (XEP-0128)."""
        self.add_item("extension", data)

    # ------------------------------------------------------------------ other modules

    def context(self, host: str = "*") -> Module:
        """This module as seen from another host: options, events and shared dicts of there.
        Attributes are read from and written to this module."""
        return Context(self, host)

    def depends(self, name: str) -> Any:
        """Load `name` if it is not loaded, and give its globals, read-only."""
        return self._modules.depends(self, name)

    def require(self, name: str) -> Any:
        """Run a library file of this plugin anew and give its globals, read-only."""
        return self._modules.require(self, name)

    def shared(self, *paths: str) -> Any:
        """A dict shared by the modules of this sandbox, by path; several paths give a tuple."""
        found = [self._modules.shared_dict(self, path) for path in paths]
        return found[0] if len(found) == 1 else tuple(found)

    # ------------------------------------------------------------------ options

    def get_option(self, name: str, default: Any = None) -> Any:
        """The option for this host, else the global one, else `default`."""
        value = self._modules.option("option.get", self.host, name)
        return default if value is None else value

    def get_option_scalar(self, name: str, default: Any = None) -> Any:
        """As `get_option`; the first element of a list."""
        value = self.get_option(name, default)
        if not isinstance(value, list):
            return value
        if len(value) > 1:
            text = "Config option '%s' does not take a list, using just the first item"
            self.log("error", text, name)
        return value[0] if value else None

    def get_option_string(self, name: str, default: str | None = None) -> str | None:
        """A text; other scalars become one."""
        value = self.get_option_scalar(name, default)
        if isinstance(value, bool):
            return "true" if value else "false"
        return None if value is None else str(value)

    def get_option_path(
        self, name: str, default: str | None = None, parent: str | None = None
    ) -> str | None:
        """A path below the plugin's folder, or below the folder `parent` ("data", "config")."""
        value = self.get_option_string(name, default)
        if value is None or value.startswith("/"):
            return value
        return f"{parent or self.get_directory()}/{value}"

    def get_option_number(self, name: str, default: Any = None) -> int | float | None:
        """A number, or None for what is none (not the default, as in Prosody)."""
        value = self.get_option_scalar(name, default)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
        if isinstance(value, str):
            for kind in (int, float):
                try:
                    return kind(value)
                except ValueError:
                    continue
        if value is not None:
            self.log("error", "Config option '%s' not understood, expecting a number", name)
        return None

    def get_option_boolean(self, name: str, default: Any = None) -> bool | None:
        """True or False, or None for what is neither (not the default, as in Prosody)."""
        value = self.get_option_scalar(name, default)
        if value is None:
            return None
        boolean = _BOOLEANS.get(value)
        if boolean is None:
            self.log("error", "Config option '%s' not understood, expecting true/false", name)
        return boolean

    def get_option_array(self, name: str, default: Any = None) -> list[Any] | None:
        """A list; a scalar becomes a list of one."""
        value = self.get_option(name, default)
        if value is None:
            return None
        return list(value) if isinstance(value, (list, tuple, set)) else [value]

    def get_option_set(self, name: str, default: Any = None) -> set[Any] | None:
        """As `get_option_array`, as a set."""
        value = self.get_option_array(name, default)
        return None if value is None else set(value)

    def get_option_inherited_set(self, name: str, default: Any = None) -> set[Any] | None:
        """The union of the host's and the global set."""
        everywhere = self._modules.option("option.get", "*", name)
        here = self._modules.option("option.own", self.host, name) if self.host != "*" else None
        if everywhere is None and here is None:
            return None if default is None else set(default)
        union: set[Any] = set()
        for value in (everywhere, here):
            if value is not None:
                union |= set(value) if isinstance(value, list) else {value}
        return union

    # ------------------------------------------------------------------ timers, log, status

    def add_timer(self, delay: float, callback: Callable[..., Any], *arguments: Any) -> Timer:
        """Call `callback(now, *arguments)` after `delay` seconds; a number that it returns is
        the delay until the next time."""

        def run(now: float) -> Any:
            return None if self.loaded is False else callback(now, *arguments)

        return self._modules.start_timer(self, delay, run)

    def log(self, level: str, message: str, *arguments: Any) -> None:
        """Write a line to the server's log; `%s` and the like are filled in from `arguments`."""
        if level not in _LEVELS:
            return
        text = str(message)
        if arguments:
            try:
                text = text % arguments
            except (TypeError, ValueError):
                text = " ".join([text, *(f"[{argument}]" for argument in arguments)])
        self._modules.log(self.name, self.host, level, text)

    def set_status(self, kind: str, message: str = "", override: bool = False) -> None:
        """Tell operators how the module does; an error stays until it is overridden."""
        if kind not in _RANK:
            self.log("error", "set_status: Invalid status type '%s', assuming 'info'", kind)
            kind = "info"
        if not override and self._status[0] == "error" and kind != "error":
            return
        self._status = (kind, message, self._modules.now())
        self._modules.note_status(self, kind, message)
        self.fire_event("module-status/updated", {"name": self.name})

    def log_status(self, level: str, message: str, *arguments: Any) -> None:
        """`set_status` and `log` in one."""
        self.set_status(level, message % arguments if arguments else message)
        self.log(level, message, *arguments)

    def get_status(self) -> tuple[str, str, float]:
        """The status' kind, message and time."""
        return self._status


def _shown(module: Module) -> dict[str, str]:
    return {"name": module.name, "host": module.host}


shows[Module] = _shown  # as the source of an item, for handlers in other sandboxes


class Context(Module):
    """`module.context(host)`: the same module, with another host."""

    _OWN: Final = frozenset({"_target", "host", "global"})

    def __init__(self, target: Module, host: str) -> None:
        self._target = target
        self.host = host
        setattr(self, "global", host == "*")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self._target, name, value)
