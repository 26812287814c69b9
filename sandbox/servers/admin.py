"""The admin API below `/admin/`: JSON for the web page and for programs, operators only.

    GET  /admin/session                         who asks, and what this server can do   anyone
    POST /admin/login      {"token": TEXT}      sets the cookie                         anyone
    POST /admin/logout                          takes it away                           anyone
    GET  /admin/plugins                         plugins and modules; names and labels   anyone
    GET  /admin/plugins/NAME                    manifest, capabilities, usage, log
    GET  /admin/plugins/NAME/log                the end of its log
    POST /admin/plugins/NAME/grant, revoke      {"capability": TEXT}
    POST /admin/plugins/NAME/enable, disable, reload, uninstall
    POST /admin/packages?name=FILE              the package itself, as application/octet-stream
    GET  /admin/settings, POST /admin/settings  an object, as in the settings file
    GET  /admin/log                             the end of the server's own log
    POST /admin/modules/HOST/NAME/reload, reset

What is new here is switched off until somebody has seen what it asks for, and an upgrade that asks
for more than it was granted.  Nothing changes by GET; bodies have types that no form of another
page can send (`access.py` has the rest of what keeps such pages out).  Errors are `{"error": TEXT}`
with a fitting status.
"""

from __future__ import annotations

import json
import logging
import posixpath
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from sandbox.engine.faults import one_line
from sandbox.errors import (
    ConfigurationError,
    LifecycleError,
    PackageRejected,
    SandboxError,
    UnknownPlugin,
)
from sandbox.packages.caps import Caps
from sandbox.servers.access import COOKIE
from sandbox.servers.answers import author_text
from sandbox.servers.house import House
from sandbox.servers.names import NAME, VERSION
from sandbox.servers.overview import Overview
from sandbox.servers.replies import Refused, as_text, body

log: Final = logging.getLogger("sandbox.servers.admin")

MAX_PACKAGE: Final = Caps().package
_PREFIX: Final = "/admin/"
_MONTH: Final = 30 * 24 * 3600
_FIELDS: Final = {
    "Content-Type": "application/json; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Messages that begin so are about what was sent; others may name a place on this machine.
_ABOUT_VALUES: Final = ("capability: ", "grants: ", "settings: ")

Page: TypeAlias = Callable[[Request], Awaitable[Response]]
_Action: TypeAlias = Callable[[Request, str], Awaitable[Any]]


class Admin:
    """The admin API of one house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._overview = Overview(house)
        self._actions: dict[str, _Action] = {
            "grant": self._grant,
            "revoke": self._revoke,
            "enable": self._enable,
            "disable": self._disable,
            "reload": self._reload,
            "uninstall": self._uninstall,
        }

    def find(self, path: str) -> Page | None:
        """The page at an unescaped path, or None when that is not below `/admin/`."""
        if not path.startswith(_PREFIX):
            return None
        return partial(self._answer, path.removeprefix(_PREFIX).split("/"))

    async def _answer(self, parts: list[str], request: Request) -> Response:
        """Every refusal of the API as JSON; what is not foreseen is the front end's."""
        try:
            return await self._found(parts, request)
        except Refused as refused:
            return _refusal(refused)
        except UnknownPlugin:
            return _error(404, "there is no such plugin")
        except PackageRejected as error:
            return _error(400, error.message)
        except LifecycleError as error:
            return _error(409, author_text(error))
        except ConfigurationError as error:
            if error.message.startswith(_ABOUT_VALUES):
                return _error(400, error.message)
            log.error("an operator's change failed: %s", error.message)
            return _error(500, "it could not be kept; the server's log says why")
        except SandboxError as error:
            return _error(502, author_text(error))

    async def _found(self, parts: list[str], request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        if method not in ("GET", "POST"):
            raise Refused(405, allowed=("GET", "HEAD", "POST"))
        match method, *parts:
            case "GET", "session":
                return _answer(self._session(request))
            case "GET", "plugins":
                return _answer(self._plugins(request))
            case "POST", "login":
                return await self._login(request)
            case "POST", "logout":
                return _left(_answer({}))
        if not self._house.is_operator(request.scope):
            raise Refused(403, "only an operator may see or change this; show the token")
        match method, *parts:
            case "GET", "settings":
                return _answer(self._settings())
            case "POST", "settings":
                return _answer(await self._change(request))
            case "GET", "log":
                return _answer({"log": self._overview.log("")})
            case "GET", "plugins", name:
                return _answer(self._overview.detail(self._known(name)))
            case "GET", "plugins", name, "log":
                return _answer({"log": self._overview.log(self._known(name))})
            case "POST", "plugins", name, action if action in self._actions:
                return _answer(await self._actions[action](request, self._known(name)))
            case "POST", "packages":
                return await self._install(request)
            case "POST", "modules", host, name, action if action in ("reload", "reset"):
                return _answer(await self._module(request, host, name, action))
        raise Refused(404)

    # ------------------------------------------------------------------ who asks

    def _session(self, request: Request) -> dict[str, Any]:
        operator = self._house.is_operator(request.scope)
        shown = {"name": NAME, "version": VERSION, "operator": operator}
        if not operator:
            return shown
        return {
            **shown,
            "installs": self._house.root is not None,
            "restarts": self._house.restart is not None,
            "max_package": MAX_PACKAGE,
            "signed_in": COOKIE in request.cookies,
        }

    async def _login(self, request: Request) -> Response:
        token = (await _object(request)).get("token")
        shown = token if isinstance(token, str) and len(token) <= 200 else ""
        # As a program would show it: there is one place that compares tokens.
        field = (b"authorization", b"Bearer " + shown.strip().encode("utf-8", "replace"))
        if not shown or not self._house.access.is_shown({"type": "http", "headers": [field]}):
            log.warning("somebody showed a wrong token")
            raise Refused(403, "this is not the token of this server")
        answer = _answer({"operator": True})
        answer.set_cookie(
            COOKIE,
            self._house.admin,
            max_age=_MONTH,
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    # ------------------------------------------------------------------ plugins

    def _plugins(self, request: Request) -> dict[str, Any]:
        view = self._overview
        if not self._house.is_operator(request.scope):
            return {"operator": False, "plugins": [view.brief(name) for name in view.names()]}
        return {"operator": True, "plugins": view.rows(), "modules": view.modules()}

    def _known(self, name: str) -> str:
        if name not in self._overview.names():
            raise UnknownPlugin("there is no such plugin", plugin=name)
        return name

    async def _grant(self, request: Request, name: str) -> dict[str, Any]:
        capability = await _capability(request)
        self._house.grant(name, capability)
        return self._done(name, f"granted {capability} to %s")

    async def _revoke(self, request: Request, name: str) -> dict[str, Any]:
        capability = await _capability(request)
        self._house.revoke(name, capability)
        return self._done(name, f"revoked {capability} from %s")

    async def _enable(self, request: Request, name: str) -> dict[str, Any]:
        await _object(request)
        self._house.enable(name)
        return self._done(name, "switched on %s")

    async def _disable(self, request: Request, name: str) -> dict[str, Any]:
        await _object(request)
        self._house.disable(name)
        self._house.engine.renew(name)  # it is not to be asked again: no worker need wait
        return self._done(name, "switched off %s")

    async def _reload(self, request: Request, name: str) -> dict[str, Any]:
        await _object(request)
        self._house.engine.renew(name)
        return self._done(name, "reloaded %s")

    async def _uninstall(self, request: Request, name: str) -> dict[str, Any]:
        await _object(request)
        self._with_folder()
        if name not in [one.name for one in self._house.installed()]:
            raise Refused(409, "it was not installed from a package; remove its folder by hand")
        await self._house.uninstall(name)
        return {}

    def _done(self, name: str, what: str) -> dict[str, Any]:
        """`what` is a format: its `%s` is the plugin's name."""
        log.info("an operator %s", what % one_line(name), extra={"plugin": name})
        return self._overview.detail(name)

    # ------------------------------------------------------------------ packages

    async def _install(self, request: Request) -> Response:
        """Install; what nobody has seen yet is off (see `House.install`)."""
        filename = posixpath.basename(request.query_params.get("name", ""))
        try:
            self._with_folder()
            if not filename:
                raise Refused(400, "name the file: /admin/packages?name=NAME.PPP.tgz")
            _typed(request, "application/octet-stream")
            data = await body(request, MAX_PACKAGE)
        except Refused as refused:
            self._house.refused(filename or "without a name", refused.text)
            answer = _refusal(refused)
            answer.headers["Connection"] = "close"  # what is left of the package is not read
            return answer
        before = self._overview.names()
        done = await self._house.install(filename, data, off=True)
        shown = {"plugin": self._overview.detail(done.name), "upgraded": done.name in before}
        return _answer(shown, 201)

    def _with_folder(self) -> None:
        if self._house.root is None:
            raise Refused(409, "this server has no folder for plugins; start it with --dir")

    # ------------------------------------------------------------------ settings and modules

    def _settings(self) -> dict[str, Any]:
        shown = self._house.settings.as_json()
        del shown["Clients"]  # switches of devices, which each turns for itself
        return shown

    async def _change(self, request: Request) -> dict[str, Any]:
        changes = await _object(request)
        self._house.change(self._house.settings.changed(changes))
        log.info("an operator changed settings: %s", ", ".join(sorted(changes)))
        return self._settings()

    async def _module(self, request: Request, host: str, name: str, action: str) -> dict[str, Any]:
        await _object(request)
        engine = self._house.engine
        if not any((one.host, one.name) == (host, name) for one in engine.status()):
            raise Refused(404, "there is no such module")
        await (engine.reset if action == "reset" else engine.reload)(host, name)
        where, about = f"{one_line(name)} on {one_line(host)}", {"plugin": name}
        log.info("an operator: %s of the module %s", action, where, extra=about)
        return {"modules": self._overview.modules()}


# ---------------------------------------------------------------------- answers and bodies


def _answer(value: dict[str, Any], status: int = 200) -> Response:
    return Response(as_text(value) + "\n", status, headers=_FIELDS)


def _error(status: int, text: str) -> Response:
    return _answer({"error": text}, status)


def _refusal(refused: Refused) -> Response:
    answer = _error(refused.status, refused.text)
    if refused.allowed:
        answer.headers["Allow"] = ", ".join(refused.allowed)
    return answer


def _left(answer: Response) -> Response:
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


def _typed(request: Request, wanted: str) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != wanted:
        raise Refused(415, f"send it as {wanted}")


async def _object(request: Request) -> dict[str, Any]:
    """The JSON object in a request's body."""
    _typed(request, "application/json")
    try:
        content = json.loads(await body(request))
    except (ValueError, RecursionError):
        raise Refused(400, "the body is no JSON") from None
    if not isinstance(content, dict):
        raise Refused(400, "the body must be a JSON object")
    return content


async def _capability(request: Request) -> str:
    capability = (await _object(request)).get("capability")
    if not isinstance(capability, str):
        raise Refused(400, "the object must have a text 'capability'")
    return capability
