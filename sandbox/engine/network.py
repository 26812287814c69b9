"""The host function by which a plugin makes HTTP requests.

The request is made here, on the engine's side, under the plugin's grants; what it sends and
receives counts against its `egress` limit.
"""

from __future__ import annotations

from sandbox.engine.asked import asked
from sandbox.engine.core import Core
from sandbox.engine.driver import Chain
from sandbox.engine.sandbox import Sandbox
from sandbox.engine.services.egress import Answer, Egress
from sandbox.engine.services.exchange import Traffic
from sandbox.engine.services.fields import Cookie
from sandbox.engine.services.grants import Grants
from sandbox.errors import LimitExceeded, PluginError
from sandbox.values import Value


class Network:
    """The requests of one engine's plugins, through one shared client."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._egress: Egress | None = None
        core.functions["http.request"] = self._request
        self._under_way: dict[Sandbox, set[Traffic]] = {}
        core.closing.append(self.close)
        core.gone.append(self._ended)

    def _ended(self, sandbox: Sandbox) -> None:
        """Nobody waits any more for what a worker asked for: it was killed, or its client left."""
        for traffic in self._under_way.get(sandbox, ()):
            if self._egress is not None:
                self._egress.cancel(sandbox.name, traffic)

    def close(self) -> None:
        """End every request under way."""
        if self._egress is not None:
            self._egress.close()

    async def _request(
        self, sandbox: Sandbox, chain: Chain, url: str, options: dict[str, Value]
    ) -> dict[str, Value]:
        core, worker = self._core, sandbox.worker
        if worker is None:
            raise PluginError("the worker is gone")
        call = asked(url, options)
        granted = frozenset[str]().union(
            *(core.policy.grants(plugin, sandbox.kind) for plugin in sandbox.plugins)
        )
        egress = self._egress = self._egress or Egress()
        grants, meter = Grants(granted), worker.meter
        traffic = Traffic(worker.limits.egress - meter.egress)

        def make() -> Answer:
            if worker.death is not None:
                raise PluginError("the worker is gone")
            return egress.request(call, grants, plugin=sandbox.name, traffic=traffic)

        used = 0.0
        own = self._under_way.setdefault(sandbox, set())
        own.add(traffic)
        try:
            with core.away(sandbox):
                answer: Answer = await core.driver.apart(make)
        except LimitExceeded as limit:
            used = meter.egress + limit.used
        finally:
            meter.egress += traffic.total
            own.discard(traffic)
            if not own:
                self._under_way.pop(sandbox, None)
        if used:
            raise core.over(sandbox, "egress", used)
        return {
            "status": answer.status,
            "header": answer.by_name(),
            "cookies": [_shown(cookie) for cookie in answer.cookies],
            "body": answer.body,
            "size": answer.size,
            "url": answer.url,
            "user": answer.user,
            "pass": answer.password,
        }


def _shown(cookie: Cookie) -> dict[str, Value]:
    """A cookie as a map of what it has."""
    shown = {
        "name": cookie.name,
        "value": cookie.value,
        "path": cookie.path,
        "domain": cookie.domain,
        "expires": cookie.expires,
        "max_age": cookie.max_age,
        "secure": cookie.secure,
        "http_only": cookie.http_only,
        "same_site": cookie.same_site,
    }
    return {name: value for name, value in shown.items() if value not in ("", None, False)}
