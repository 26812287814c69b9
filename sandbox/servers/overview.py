"""What the web page and the admin API show of the plugins and modules of one house: plain data.

Texts come from strangers' manifests and logs and stay as they are; whoever shows them escapes.
Nothing here is a path of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import quote, unquote

from sandbox.engine.plugins import Source, StaticFile
from sandbox.engine.services.asking import opened
from sandbox.errors import SandboxError
from sandbox.manifest import Manifest
from sandbox.policy import CAPABILITIES
from sandbox.servers.answers import author_text
from sandbox.servers.house import KIND, House
from sandbox.usage import Usage

_BASE_URL: Final = "{BASE_URL}"
_NUMBER: Final = re.compile(r"#[0-9]+$", re.ASCII)
_BAD: Final = ("WARNING", "ERROR", "CRITICAL")


class Overview:
    """A view of one house; it changes nothing."""

    def __init__(self, house: House) -> None:
        self._house = house

    # ------------------------------------------------------------------ for everyone

    def names(self) -> list[str]:
        """The plugins that the engine serves."""
        return self._house.engine.plugin_names()

    def brief(self, name: str) -> dict[str, Any]:
        """What anyone may know of a plugin: the page lists no more without the token."""
        about, problem = self._manifest(name)
        language, trouble = self._language(name)
        problem = problem or trouble
        state = "disabled" if name in self._house.disabled else "failed" if problem else "enabled"
        return {
            "name": name,
            # A name that is no UTF-8 on disk is linked as bytes.
            "link": quote(name.encode("utf-8", "surrogateescape"), safe=""),
            "label": about.label or name,
            "image": self._image(name, about),
            "language": language,
            "state": state,
            "problem": problem,
        }

    def _manifest(self, name: str) -> tuple[Manifest, str]:
        try:
            return self._house.engine.manifest(name), ""
        except SandboxError as error:
            return Manifest(), author_text(error)

    def _language(self, name: str) -> tuple[str, str]:
        try:
            main = self._house.engine.resolve(name, "")
        except SandboxError as error:
            return "", author_text(error)
        return (main.runtime.name, "") if isinstance(main, Source) else ("", "")

    def _image(self, name: str, about: Manifest) -> str:
        """The path of a plugin's own picture.

        Not of one elsewhere, which would tell its server who looks at this page; and not of what
        is no file, because then the plugin would run whenever somebody looks.
        """
        rest = about.image.removeprefix(_BASE_URL)
        if not rest or rest == about.image or any(char in rest for char in "?#\\"):
            return ""
        path = f"/{name}/{unquote(rest)}"
        try:
            found = self._house.engine.resolve(name, path)
        except (SandboxError, ValueError):
            return ""
        if not isinstance(found, StaticFile):
            return ""
        return quote(path.encode("utf-8", "surrogateescape"))

    # ------------------------------------------------------------------ for operators

    def row(
        self, name: str, workers: Mapping[str, Usage], packages: Iterable[str]
    ) -> dict[str, Any]:
        """What the list shows an operator; `workers` and `packages` are of all plugins."""
        shown = self.brief(name)
        capabilities = self.capabilities(name)
        missing = any(one["state"] == "missing" for one in capabilities)
        if shown["state"] == "enabled" and missing:
            shown["state"] = "ungranted"
        lines = self._house.logs.lines(name)
        last = lines[-1] if lines and lines[-1].level in _BAD else None
        return {
            **shown,
            "missing": [one["name"] for one in capabilities if one["state"] == "missing"],
            "installed": name in packages,
            "workers": len(self._of(name, workers)),
            "trouble": asdict(last) if last else None,
        }

    def rows(self) -> list[dict[str, Any]]:
        """The list for an operator."""
        workers, packages = self._house.engine.usage(), {p.name for p in self._house.installed()}
        return [self.row(name, workers, packages) for name in self.names()]

    def detail(self, name: str) -> dict[str, Any]:
        """All that an operator sees of a plugin, the end of its log included."""
        workers, installed = self._house.engine.usage(), self._house.installed()
        about, _ = self._manifest(name)
        package = next((asdict(one) for one in installed if one.name == name), None)
        return {
            **self.row(name, workers, [one.name for one in installed]),
            "manifest": {
                "Label": about.label,
                "Image": about.image,
                "Icon": about.icon,
                "URL": about.url,
                "Torrent": about.torrent,
                "Capabilities": list(about.capabilities),
                "Limits": dict(about.limits),
            },
            "capabilities": self.capabilities(name),
            "given": self.given(name),
            "base": self.base(name),
            "package": package,
            "usage": self._of(name, workers),
            "log": self.log(name),
        }

    def capabilities(self, name: str) -> list[dict[str, Any]]:
        """What a plugin asks for and what it was granted here besides.

        `state` is `granted` for what an operator granted here and can revoke, `allowed` for what
        is open to it otherwise, `missing` for what is asked for only.  `source` says by whom:
        `base` and `all` are every plugin's, from the kind of plugin and from the server's start;
        `start` and `page` are this one's, from the start and from operators.
        """
        about, _ = self._manifest(name)
        granted, start = self._house.grants.get(name, []), self._house.start
        sources: dict[str, Iterable[str]] = {
            "base": start.base(name, KIND),
            "all": start.everyone(),
            "start": start.own(name),
            "page": granted,
        }
        everything = [one for some in sources.values() for one in some]
        found = []
        for capability in dict.fromkeys([*about.capabilities, *granted]):
            state, source = "missing", ""
            if capability in granted:
                state, source = "granted", "page"
            elif opened(capability, everything):
                state = "allowed"
                by = (one for one, some in sources.items() if opened(capability, some))
                source = next(by)
            asked = capability in about.capabilities
            found.append({**_shown(capability, source), "state": state, "asked": asked})
        return found

    def given(self, name: str) -> list[dict[str, Any]]:
        """What the server's start granted by name, to every plugin and to this one; it cannot be
        revoked here."""
        start = self._house.start
        named = [(one, "all") for one in sorted(start.everyone())]
        named += [(one, "start") for one in sorted(start.own(name) - start.everyone())]
        return [_shown(*one) for one in named]

    def base(self, name: str) -> list[dict[str, Any]]:
        """What the plugin may do because every plugin may, unless it is withheld from it."""
        return [_shown(one, "base") for one in sorted(self._house.start.base(name, KIND))]

    def log(self, name: str) -> list[dict[str, Any]]:
        """The last lines of a plugin's log; of the server's own with an empty name."""
        return [asdict(line) for line in self._house.logs.lines(name)]

    def modules(self) -> list[dict[str, Any]]:
        """The modules of the engine, without what only this machine knows them by."""
        workers = self._house.engine.usage()
        found = []
        for one in self._house.engine.status():
            shown = asdict(one)
            del shown["pid"]
            usage = workers.get(one.sandbox)
            found.append({**shown, "usage": usage.as_dict() if usage else None})
        return found

    def _of(self, name: str, workers: Mapping[str, Usage]) -> list[dict[str, Any]]:
        """The workers of one plugin: the first has its name, further ones `NAME#2` and so on."""
        known = set(self.names())
        return [
            {"name": worker, "usage": usage.as_dict()}
            for worker, usage in workers.items()
            if (worker if worker in known else _NUMBER.sub("", worker)) == name
        ]


def _shown(capability: str, source: str) -> dict[str, Any]:
    word, _, subject = capability.partition(":")
    return {"name": capability, "about": CAPABILITIES[word], "subject": subject, "source": source}
