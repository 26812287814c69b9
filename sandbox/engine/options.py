"""Configuration that plugins read: options by host, a host's own before the global one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sandbox.errors import ConfigurationError
from sandbox.values import Value
from sandbox.wire.codec import encode
from sandbox.wire.extensions import EncodeError


class Options:
    """`config` maps option names to values; a key that is a host holds that host's own options,
    and the key "*" more global ones.  Every plugin can read every option: no secrets in here."""

    def __init__(self, config: Mapping[str, Value], hosts: Iterable[str]) -> None:
        self._hosts: dict[str, Mapping[str, Value]] = {}
        everywhere = dict(config)
        for host in (*hosts, "*"):
            section = everywhere.pop(host, None)
            if section is None:
                continue
            if not isinstance(section, Mapping):
                raise ConfigurationError(f"config[{host!r}] must be a mapping of options")
            self._hosts[host] = dict(section)
        self._everywhere = {**everywhere, **self._hosts.pop("*", {})}
        for name, value in self._all():
            try:
                encode(value)
            except EncodeError as error:
                raise ConfigurationError(f"config[{name!r}]: {error}") from None

    def _all(self) -> Iterable[tuple[str, Value]]:
        yield from self._everywhere.items()
        for options in self._hosts.values():
            yield from options.items()

    def get(self, host: str, name: str) -> Value:
        """The option as modules on `host` see it; None when it is not set."""
        own = self.own(host, name)
        return self._everywhere.get(name) if own is None else own

    def own(self, host: str, name: str) -> Value:
        """The option as set for `host` alone."""
        return self._hosts.get(host, {}).get(name)
