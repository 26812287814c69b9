"""What a running server knows besides its engine: its folder, settings, grants, logs, operators.

A server's folder (`--dir`) holds:

    plugins/       the plugins, one folder each
    data/          what they keep
    settings.json  what an operator set                    (`settings`)
    grants.json    what an operator granted to plugins, and which plugins are switched off
    admin-token    the operator's secret, for its owner's eyes only (`access`)
    dictionary.json, dictionaries/NAME.json                texts in other languages

Without a folder, for the bundled plugins, all of it is in memory and nothing can be installed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from starlette.types import Scope

from sandbox.engine.async_engine import AsyncEngine
from sandbox.engine.services.egress import Egress
from sandbox.engine.services.grants import parse_grant
from sandbox.errors import ConfigurationError, PackageRejected, UnknownPlugin
from sandbox.packages import install as packages
from sandbox.packages.archive import Package, parse_package
from sandbox.packages.install import Installed
from sandbox.policy import parse_capability
from sandbox.servers import settings as words
from sandbox.servers.access import Access, kept_token
from sandbox.servers.devices import Devices
from sandbox.servers.kept import read_object, write_object
from sandbox.servers.logs import Logs
from sandbox.servers.names import RESERVED, VERSION
from sandbox.servers.settings import Settings
from sandbox.values import Value

log: Final = logging.getLogger("sandbox.servers.house")

_MAX_GRANTS: Final = 100


class House:
    """One server's knowledge.  Use it in the engine's event loop alone.

    `grants` are for every plugin and `plugin_grants` for some by name, as given at the start:
    those are not kept and cannot be revoked here.  `loopback` tells that only this machine
    reaches the server; `settings` hold until an operator changes any.  Raises
    `ConfigurationError` when a file in `root` cannot be used.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        root: Path | None,
        *,
        loopback: bool,
        grants: Sequence[str] = (),
        plugin_grants: Mapping[str, Iterable[str]] | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.engine, self.root = engine, root
        self._policy = engine.policy
        """What the embedder granted; what operators grant here comes on top."""
        self.settings = settings or Settings()
        self._everyone = tuple(map(checked, grants))
        self._given = {
            name: frozenset(map(checked, some)) for name, some in (plugin_grants or {}).items()
        }
        self._granted: dict[str, frozenset[str]] = {}
        self._disabled: frozenset[str] = frozenset()
        self.logs, self.devices = Logs(), Devices()
        self.egress = Egress()
        """Makes the requests of our own pages to other servers."""
        self.access = Access(secrets.token_urlsafe(24), loopback=loopback, made=True)
        self.restart: Callable[[], None] | None = None
        """Ends the server so that it starts again; None where nothing would start it."""
        self._installing = asyncio.Lock()
        if root is not None:
            self._read(root)
        self._apply()
        self.logs.attach()

    def _read(self, root: Path) -> None:
        if content := read_object(root / "settings.json"):
            self.settings = words.from_json(content)
        self._read_grants(root / "grants.json")
        if (root / "plugins").is_dir():
            try:
                packages.recover(root / "plugins")
            except PackageRejected as error:  # another installer is at work, and clears away itself
                log.warning("%s", error.message)
        try:
            token, made = kept_token(root / "admin-token")
        except ConfigurationError as error:
            if (root / "admin-token").exists():
                raise
            log.warning("%s; the token is good until the server ends", error.message)
        else:
            self.access = Access(token, loopback=self.access.loopback, made=made)

    def close(self) -> None:
        """Listen to no more logs and end our own requests.  Safe to call again."""
        self.logs.detach()
        self.egress.close()

    # ------------------------------------------------------------------ operators

    @property
    def admin(self) -> str:
        """The operator's token."""
        return self.access.token

    def is_operator(self, scope: Scope) -> bool:
        """See `Access.is_operator`."""
        return self.access.is_operator(scope)

    # ------------------------------------------------------------------ settings

    def change(self, settings: Settings, *, sure: bool = True) -> None:
        """Take other settings and keep them (`sure` as for `write_bytes`).

        Raises `ConfigurationError` when they cannot be kept; then nothing changes.
        """
        if self.root is not None:
            write_object(self.root / "settings.json", settings.as_json(), sure=sure)
        self.settings = settings

    def seen(self, device: str) -> dict[str, Value]:
        """What scripts see of the settings when one device asks, by ServeMSX's names."""
        switches = self.settings.switches(device)
        player, platform = self.devices.of(device)
        return {
            "compressed": bool(switches & words.COMPRESSED),
            "html5x": bool(switches & words.HTML5X),
            "dic": self.settings.language or None,
            "torr": self.settings.torrserver,
            "player": player,
            "platform": platform,
        }

    # ------------------------------------------------------------------ grants

    @property
    def grants(self) -> dict[str, list[str]]:
        """What an operator granted here, by plugin: it can be revoked."""
        return {name: sorted(some) for name, some in sorted(self._granted.items()) if some}

    def given(self, plugin: str) -> list[str]:
        """What the server's start granted to a plugin, for as long as it runs."""
        return sorted({*self._everyone, *self._given.get(plugin, ())})

    def grant(self, plugin: str, capability: str) -> None:
        """Grant a capability and keep that.  Running calls have it from now on, too.

        Raises `ConfigurationError` for an unknown capability, `UnknownPlugin` for a plugin that
        is not there: a stranger's later one of that name would have the grant.
        """
        checked(capability)
        if plugin not in self.engine.plugin_names():
            raise UnknownPlugin(f"there is no plugin {plugin!r}", plugin=plugin)
        new = self._granted.get(plugin, frozenset()) | {capability}
        if len(new) > _MAX_GRANTS:
            raise ConfigurationError(f"grants: {plugin!r} has {_MAX_GRANTS} already")
        self._keep({**self._granted, plugin: new}, self._disabled)

    def revoke(self, plugin: str, capability: str) -> None:
        """Take a capability away.  Raises `ConfigurationError` when it was not granted here."""
        granted = self._granted.get(plugin, frozenset())
        if capability not in granted:
            raise ConfigurationError(f"grants: {plugin!r} was not granted {capability!r} here")
        self._keep({**self._granted, plugin: granted - {capability}}, self._disabled)

    # ------------------------------------------------------------------ switching off

    @property
    def disabled(self) -> frozenset[str]:
        """The plugins that are switched off: a request to one is answered 404."""
        return self._disabled

    def disable(self, plugin: str) -> None:
        """Switch a plugin off and keep that.  Raises `UnknownPlugin`."""
        if plugin not in self.engine.plugin_names():
            raise UnknownPlugin(f"there is no plugin {plugin!r}", plugin=plugin)
        self._keep(self._granted, self._disabled | {plugin})

    def enable(self, plugin: str) -> None:
        """Switch a plugin on again; nothing happens when it is on."""
        self._keep(self._granted, self._disabled - {plugin})

    # ------------------------------------------------------------------ packages

    async def install(self, filename: str, data: bytes, *, off: bool = False) -> Installed:
        """Install the package `data`, whose file has the name `filename` (`NAME.PPP.tgz`).

        With `off` it is switched off before it is there, for an operator to look at first.

        Raises `PackageRejected` with the rule that was broken, and `ConfigurationError` when this
        server has no folder or it cannot be written.
        """
        folder = self._folder()

        def put(package: Package) -> Installed:
            folder.mkdir(exist_ok=True)
            return packages.install(package, folder, version=VERSION, reserved=RESERVED)

        async with self._installing:
            package = await asyncio.to_thread(parse_package, data, filename)
            turned = off and package.name not in self._disabled
            if turned:
                self._keep(self._granted, self._disabled | {package.name})
            try:
                done = await asyncio.to_thread(put, package)
            except BaseException:
                if turned:
                    self._keep(self._granted, self._disabled - {package.name})
                raise
        log.info("installed %s, %d files", done.name, done.files, extra={"plugin": done.name})
        return done

    async def uninstall(self, name: str) -> Installed:
        """Remove an installed package, and what was granted to it here.

        What the plugin kept stays.  Raises as `install` does.
        """
        folder = self._folder()
        async with self._installing:
            done = await asyncio.to_thread(packages.uninstall, name, folder)
        # The next plugin of that name may be another stranger's.
        granted = {plugin: some for plugin, some in self._granted.items() if plugin != name}
        self._keep(granted, self._disabled - {name})
        log.info("uninstalled %s", name, extra={"plugin": name})
        return done

    def absent(self, name: str) -> bool:
        """Whether nothing in the plugin folder has that name, which must be a plain one."""
        plain = bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name
        return plain and not os.path.lexists(self._folder() / name)

    def installed(self) -> list[Installed]:
        """The installed packages by name; a plugin that was put there by hand is none."""
        if self.root is None or not (self.root / "plugins").is_dir():
            return []
        return packages.installed(self.root / "plugins")

    def _folder(self) -> Path:
        if self.root is None:
            raise ConfigurationError("plugins: this server has no folder; start it with --dir")
        return self.root / "plugins"

    # ------------------------------------------------------------------ keeping

    def _keep(self, granted: Mapping[str, frozenset[str]], disabled: frozenset[str]) -> None:
        granted = {name: some for name, some in granted.items() if some}
        if self.root is not None:
            content: dict[str, Any] = {
                "grants": {name: sorted(some) for name, some in granted.items()},
                "disabled": sorted(disabled),
            }
            write_object(self.root / "grants.json", content, 0o600)
        self._granted, self._disabled = granted, disabled
        self._apply()

    def _read_grants(self, path: Path) -> None:
        content = read_object(path)
        granted, disabled = content.get("grants", {}), content.get("disabled", [])
        lists = [disabled, *granted.values()] if isinstance(granted, dict) else [None]
        for one in lists:
            if not isinstance(one, list) or not all(isinstance(text, str) for text in one):
                raise ConfigurationError(f"{path}: must hold lists of texts")
        try:
            self._granted = {name: frozenset(map(checked, some)) for name, some in granted.items()}
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error.message}") from None
        self._disabled = frozenset(disabled)

    def _apply(self) -> None:
        names = {*self._given, *self._granted}
        empty: frozenset[str] = frozenset()
        plugins = {
            name: self._given.get(name, empty) | self._granted.get(name, empty) for name in names
        }
        self.engine.policy = self._policy.adding(*self._everyone, plugins=plugins)


def checked(capability: str) -> str:
    """`capability` itself when it can be granted.  Raises `ConfigurationError`."""
    parse_capability(capability)
    if capability.partition(":")[0] == "http":
        parse_grant(capability)
    return capability
