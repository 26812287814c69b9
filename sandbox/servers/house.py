"""What a running server knows besides its engine: its folder, settings, grants, logs, operators.

A server's folder (`--dir`) holds:

    plugins/       the plugins, one folder each
    data/          what they keep
    settings.json  what an operator set                    (`settings`)
    grants.json    what an operator granted to plugins, and which plugins are switched off (`kept`)
    admin-token    the operator's secret, for its owner's eyes only (`access`)
    dictionary.json, dictionaries/NAME.json                texts in other languages

Without a folder, for the bundled plugins, all of it is in memory and nothing can be installed.

`grants.json` is looked at before each use, because `sandbox uninstall` changes it, too: what one
stranger's plugin was granted is not to be found by the next one of its name.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from starlette.types import Scope

from sandbox.engine.async_engine import AsyncEngine
from sandbox.engine.faults import one_line
from sandbox.engine.services.asking import opened
from sandbox.engine.services.egress import Egress
from sandbox.engine.unchanged import Look, look
from sandbox.errors import ConfigurationError, PackageRejected, UnknownPlugin
from sandbox.packages import install as packages
from sandbox.packages.archive import Package, parse_package
from sandbox.packages.install import Installed
from sandbox.policy import Policy
from sandbox.servers import settings as words
from sandbox.servers.access import Access, kept_token
from sandbox.servers.devices import Devices
from sandbox.servers.kept import (
    GRANTS,
    Decisions,
    alone,
    decide,
    read_decisions,
    read_object,
    readable,
    write_object,
)
from sandbox.servers.logs import Logs
from sandbox.servers.names import RESERVED, VERSION
from sandbox.servers.settings import Settings
from sandbox.values import Value

log: Final = logging.getLogger("sandbox.servers.house")

KIND: Final = "script"
"""The kind of plugin that this front end serves, as `Policy` names it."""

_MAX_GRANTS: Final = 100
_SUBJECTS: Final = {"http": None, "file": ("rw",)}
"""Capabilities that mean something with a subject, and with which; None for what `http` reads."""


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
        self.settings = settings or Settings()
        given = {name: list(map(checked, some)) for name, some in (plugin_grants or {}).items()}
        self.start: Policy = engine.policy.adding(*map(checked, grants), plugins=given)
        """What the start granted; what operators grant here comes on top."""
        self._decisions = Decisions()
        self._file = os.fspath(root / GRANTS) if root else ""
        self._seen: Look | None = None
        """The file of the decisions as it was when it was read last."""
        self.logs, self.devices = Logs(self._since), Devices()
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
            try:
                self.settings = words.from_json(content)
            except ConfigurationError as error:
                raise ConfigurationError(f"{root / 'settings.json'}: {error.message}") from None
        self._seen = look(self._file)
        self._decisions = read_decisions(root)
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
        self._look()
        return {name: sorted(some) for name, some in sorted(self._decisions.granted.items())}

    def given(self, plugin: str) -> list[str]:
        """What the server's start granted to a plugin, for as long as it runs."""
        return sorted(self.start.everyone() | self.start.own(plugin))

    def missing(self, plugin: str, asked: Iterable[str]) -> list[str]:
        """What of `asked` the plugin has not been granted: with any of it, it is not run."""
        self._look()
        granted = self.engine.policy.grants(plugin, KIND)
        return [capability for capability in asked if not opened(capability, granted)]

    def grant(self, plugin: str, capability: str) -> None:
        """Grant a capability and keep that.  Running calls have it from now on, too.

        Raises `ConfigurationError` for an unknown capability, `UnknownPlugin` for a plugin that
        is not there: a stranger's later one of that name would have the grant.
        """
        checked(capability)
        self._known(plugin)

        def more(now: Decisions) -> Decisions:
            new = now.of(plugin) | {capability}
            if len(new) > _MAX_GRANTS:
                raise ConfigurationError(f"grants: {plugin!r} has {_MAX_GRANTS} already")
            return now.granting(plugin, new)

        self._decide(more)

    def revoke(self, plugin: str, capability: str) -> None:
        """Take a capability away.  Raises `ConfigurationError` when it was not granted here."""

        def less(now: Decisions) -> Decisions:
            granted = now.of(plugin)
            if capability not in granted:
                raise ConfigurationError(f"grants: {plugin!r} was not granted {capability!r} here")
            return now.granting(plugin, granted - {capability})

        self._decide(less)

    # ------------------------------------------------------------------ switching off

    @property
    def disabled(self) -> frozenset[str]:
        """The plugins that are switched off: a request to one is answered 404.

        Asked before each run of a plugin; so its grants, too, are those of this moment.
        """
        self._look()
        return self._decisions.disabled

    def disable(self, plugin: str) -> None:
        """Switch a plugin off and keep that.  Raises `UnknownPlugin`."""
        self._known(plugin)
        self._decide(lambda now: now.switched(plugin, on=False))

    def enable(self, plugin: str) -> None:
        """Switch a plugin on again; nothing happens when it is on."""
        self._decide(lambda now: now.switched(plugin, on=True))

    def _known(self, plugin: str) -> None:
        if plugin not in self.engine.plugin_names():
            raise UnknownPlugin(f"there is no plugin {plugin!r}", plugin=plugin)

    # ------------------------------------------------------------------ packages

    async def install(self, filename: str, data: bytes, *, off: bool = False) -> Installed:
        """Install the package `data`, whose file has the name `filename` (`NAME.PPP.tgz`).

        With `off` an operator is to look at it first: a new plugin is switched off before it is
        there, and an upgrade that asks for more than it was granted as soon as it is.  Any other
        upgrade leaves the plugin on or off, as it is, and takes its place in one step.

        Raises `PackageRejected` with the rule that was broken, and `ConfigurationError` when this
        server has no folder or it cannot be written.
        """
        folder = self._folder()

        def put(package: Package) -> Installed:
            folder.mkdir(exist_ok=True)
            return packages.install(package, folder, version=VERSION, reserved=RESERVED)

        async with self._installing:
            try:
                package = await asyncio.to_thread(parse_package, data, filename)
                name, new = package.name, self.absent(package.name)
                if new:
                    self._decide(lambda now: now.without(name).switched(name, on=not off))
                try:
                    done = await asyncio.to_thread(put, package)
                except BaseException:
                    if new:
                        self._decide(lambda now: now.without(name))
                    raise
            except PackageRejected as error:
                self.refused(filename, error.message)
                raise
            lacks = self.missing(name, package.manifest.capabilities)
            if off and lacks and not new:
                self._decide(lambda now: now.switched(name, on=False))
        self.engine.renew(name)
        log.info("installed %s, %d files", name, done.files, extra={"plugin": name})
        if lacks:
            wanted, about = ", ".join(lacks), {"plugin": name}
            log.info("%s does not run until it is granted %s", name, wanted, extra=about)
        return done

    @staticmethod
    def refused(filename: str, why: str) -> None:
        """Say so in the server's own log: there may be no plugin that it could be about."""
        log.warning("refused the package %s: %s", one_line(filename), one_line(why))

    async def uninstall(self, name: str) -> Installed:
        """Remove an installed package, and what was decided about it here; its log, too.

        What the plugin kept stays.  Raises as `install` does.
        """
        folder = self._folder()
        async with self._installing:
            try:
                done = await asyncio.to_thread(packages.uninstall, name, folder)
            except PackageRejected as error:
                log.warning("%s is not uninstalled: %s", one_line(name), one_line(error.message))
                raise
        # The next plugin of that name may be another stranger's.
        self.engine.renew(name)
        self.logs.forget(name)
        self._decide(lambda now: now.without(name))
        log.info("uninstalled %s", name)
        return done

    def _since(self, name: str) -> float:
        """When the package of that name was put in its place, by whatever program.

        With an older log of the same name nothing tells whether it is of an older version or of
        a stranger's plugin that `sandbox uninstall` removed.
        """
        if self.root is None:
            return 0.0
        _, stamp = look(self.root / "plugins" / name / packages.RECORD)
        return stamp[0] / 1e9 if stamp else 0.0

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

    # ------------------------------------------------------------------ decisions

    def _decide(self, change: Callable[[Decisions], Decisions]) -> None:
        """Change what is decided about plugins and keep that."""
        if self.root is None:
            decided = change(self._decisions)
        else:
            with alone(self.root, wait=False):
                decided = decide(self.root, change)
        self._take(decided)

    def _look(self) -> None:
        """Take what somebody else decided meanwhile: `sandbox uninstall`, or a hand."""
        if self.root is None:
            return
        now = look(self._file)
        if now == self._seen:
            return
        self._seen = now  # also when it cannot be read: once is enough to say so
        try:
            self._take(read_decisions(self.root))
        except ConfigurationError as error:
            log.error("%s; what was decided before holds", error.message)

    def _take(self, decided: Decisions) -> None:
        if decided != self._decisions:
            self._decisions = decided
            self._apply()

    def _apply(self) -> None:
        self.engine.policy = self.start.adding(plugins=self._decisions.granted)


def checked(capability: str) -> str:
    """`capability` itself when it can be granted and means something.

    Raises `ConfigurationError`.
    """
    readable(capability)
    word, colon, subject = capability.partition(":")
    subjects = _SUBJECTS.get(word, ())
    if colon and subjects is not None and subject not in subjects:
        raise ConfigurationError(
            f"capability: {capability!r} means nothing; {word!r} is granted as a whole"
        )
    return capability
