"""The admin API: who may ask, what each address answers, and every kind of bad input."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from packing import package
from serving import BOUND, Serve, Served

from sandbox import AsyncEngine
from sandbox.engine.services.asking import opened
from sandbox.servers.access import COOKIE
from sandbox.servers.admin import MAX_PACKAGE
from sandbox.servers.house import House
from sandbox.servers.msx import create_app

HELLO = 'import server\nserver.log("said hello")\nserver.write("hello")\n'
PRIVATE = "http:10.1.2.3:8090"
EVIL = "<img src=x onerror=alert(1)>"


def files_in(root: Path, files: dict[str, str]) -> None:
    """Put plugins into a server's folder."""
    for name, text in files.items():
        path = root / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Client:
    """Speaks the API; every answer is checked for what holds of all."""

    def __init__(self, served: Served, **headers: str) -> None:
        self.served, self.headers = served, headers

    def ask(
        self, path: str, method: str = "GET", body: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of one request."""
        sent = {**self.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if method == "POST":
            data = b"{}" if data is None else data
            sent.setdefault("content-type", "application/json")
        answer = self.served.ask("/admin/" + path, method, data, sent)
        assert answer.header("content-type") == "application/json; charset=utf-8"
        assert answer.header("cache-control") == "no-store"
        assert answer.header("x-content-type-options") == "nosniff"
        content = json.loads(answer.body) if method != "HEAD" else {}
        assert isinstance(content, dict)
        assert (answer.status >= 400) == ("error" in content) or method == "HEAD"
        return answer.status, content

    def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """A POST of JSON."""
        return self.ask(path, "POST", body, **headers)

    def upload(self, filename: str, data: bytes) -> tuple[int, dict[str, Any]]:
        """Install a package."""
        where = f"packages?name={quote(filename)}"
        return self.ask(where, "POST", data, content_type="application/octet-stream")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's folder with plugins put there by hand."""
    root = tmp_path_factory.mktemp("admin")
    asks = json.dumps({"Label": EVIL, "Icon": "movie", "Capabilities": ["memory", "timer"]})
    files_in(
        root,
        {
            "asks/manifest.json": asks,
            "asks/main.py": HELLO,
            "broken/manifest.json": "{",
            "broken/main.py": HELLO,
            "plain/main.py": HELLO,
        },
    )
    return root


@pytest.fixture(scope="module")
def admin(serve: Serve, root: Path) -> Client:
    """The operator of one server on loopback."""
    return Client(serve("--dir", str(root)))


def plugin(admin: Client, name: str) -> dict[str, Any]:
    """What the API says of one plugin."""
    status, content = admin.ask(f"plugins/{quote(name)}")
    assert status == 200
    return content


# ---------------------------------------------------------------------- reading


def test_the_list(admin: Client) -> None:
    status, content = admin.ask("plugins")
    assert (status, content["operator"], content["modules"]) == (200, True, [])
    found = {one["name"]: one for one in content["plugins"]}
    assert set(found) >= {"asks", "broken", "plain"}
    assert (found["asks"]["label"], found["asks"]["state"]) == (EVIL, "ungranted")
    assert found["asks"]["missing"] == ["timer"]
    assert found["broken"]["state"] == "failed"
    assert found["broken"]["problem"].startswith("manifest.json:1: ")
    assert (found["plain"]["state"], found["plain"]["language"]) == ("enabled", "python")
    assert admin.ask("plugins", "HEAD")[0] == 200


def test_a_plugin_with_its_usage_and_log(admin: Client) -> None:
    assert admin.served.ask("/plain/").text == "hello"
    shown = plugin(admin, "plain")
    assert shown["package"] is None
    assert not shown["installed"]
    assert any("said hello" in line["text"] for line in shown["log"])
    (worker,) = shown["usage"]
    assert worker["name"] == "plain"
    assert set(worker["usage"]["cpu"]) == {"limit", "current", "peak"}
    assert admin.ask("plugins/plain/log")[1]["log"] == shown["log"]
    # Its worker ends, and the next request has another.
    assert admin.post("plugins/plain/reload")[1]["usage"] == []
    assert admin.served.ask("/plain/").text == "hello"
    assert len(plugin(admin, "plain")["usage"]) == 1


def test_capabilities(admin: Client) -> None:
    asked = {one["name"]: one for one in plugin(admin, "asks")["capabilities"]}
    assert asked["memory"]["state"] == "allowed"
    assert asked["timer"]["state"] == "missing"
    assert asked["timer"]["about"]
    refused = admin.served.ask("/asks/")
    assert (refused.status, "timer" in refused.text) == (500, True)
    status, content = admin.post("plugins/asks/grant", {"capability": "timer"})
    assert (status, content["state"], content["missing"]) == (200, "enabled", [])
    assert admin.served.ask("/asks/").text == "hello"
    # What it did not ask for can be granted and seen as well.
    admin.post("plugins/asks/grant", {"capability": PRIVATE})
    extra = {one["name"]: one for one in plugin(admin, "asks")["capabilities"]}[PRIVATE]
    assert (extra["state"], extra["asked"]) == ("granted", False)
    for capability in ("timer", PRIVATE):
        assert admin.post("plugins/asks/revoke", {"capability": capability})[0] == 200
    assert plugin(admin, "asks")["state"] == "ungranted"
    status, content = admin.post("plugins/asks/revoke", {"capability": "timer"})
    assert (status, "was not granted" in content["error"]) == (400, True)


def test_switching_off_and_on(admin: Client) -> None:
    assert admin.post("plugins/plain/disable")[1]["state"] == "disabled"
    assert admin.served.ask("/plain/").status == 404
    assert admin.post("plugins/plain/enable")[1]["state"] == "enabled"
    assert admin.served.ask("/plain/").text == "hello"


def test_settings(admin: Client, root: Path) -> None:
    status, content = admin.post("settings", {"Video": "/usr", "VideoWall": 3})
    assert (status, content["Video"], content["VideoWall"]) == (200, "/usr", 3)
    assert json.loads((root / "settings.json").read_text())["Video"] == "/usr"
    for bad in ({"Video": "films"}, {"VideoWall": 9}, {"Nothing": 1}, {"VideoWall": "3"}):
        status, content = admin.post("settings", bad)
        assert (status, content["error"].startswith("settings: ")) == (400, True)
    admin.post("settings", {"Video": "", "VideoWall": 0})
    assert admin.ask("settings")[1]["Video"] == ""


# ---------------------------------------------------------------------- packages


def test_a_package_from_upload_to_removal(admin: Client) -> None:
    data = package({"main.py": HELLO}, Label="Radio", Capabilities=["memory", "timer", PRIVATE])
    status, content = admin.upload("radio.200.tgz", data)
    shown = content["plugin"]
    assert (status, shown["name"], shown["state"]) == (201, "radio", "disabled")
    assert shown["missing"] == ["timer", PRIVATE]
    assert (shown["package"]["files"], shown["installed"]) == (2, True)
    # It does not run before somebody has seen what it asks for.
    assert admin.served.ask("/radio/").status == 404
    for capability in shown["missing"]:
        assert admin.post("plugins/radio/grant", {"capability": capability})[0] == 200
    assert admin.post("plugins/radio/enable")[1]["state"] == "enabled"
    assert admin.served.ask("/radio/").text == "hello"
    # An upgrade that asks for no more stays on; one that does is off.
    status, content = admin.upload("radio.200.tgz", package({"main.py": HELLO}, Label="Two"))
    assert (content["upgraded"], content["plugin"]["state"]) == (True, "enabled")
    more = package({"main.py": HELLO}, Capabilities=["http:10.9.9.9"])
    assert admin.upload("radio.200.tgz", more)[1]["plugin"]["state"] == "disabled"
    assert admin.post("plugins/radio/uninstall") == (200, {})
    assert admin.ask("plugins/radio")[0] == 404
    # The next plugin of that name has none of its grants, and not its log.
    shown = admin.upload("radio.200.tgz", data)[1]["plugin"]
    assert shown["missing"] == ["timer", PRIVATE]
    assert not any("said hello" in line["text"] for line in shown["log"])
    assert admin.post("plugins/radio/uninstall") == (200, {})


@pytest.mark.parametrize(
    ("filename", "text"),
    [
        ("radio.tgz", "radio.tgz"),
        ("msx.200.tgz", "reserved"),
        ("admin.200.tgz", "reserved"),
        ("static.200.tgz", "reserved"),
        ("radio.999.tgz", "needs the plugin engine"),
        ("plain.200.tgz", "not installed from a package"),
        ("radio.200.zip", ""),
    ],
)
def test_rejected_packages(admin: Client, filename: str, text: str) -> None:
    status, content = admin.upload(filename, package({"main.py": HELLO}))
    assert status == 400
    assert text in content["error"]
    # What was refused has changed nothing.
    assert admin.ask("plugins/radio")[0] == 404
    assert plugin(admin, "plain")["state"] == "enabled"


def test_a_package_that_is_too_long(admin: Client) -> None:
    status, _ = admin.upload("radio.200.tgz", bytes(MAX_PACKAGE + 1))
    assert status == 413


# ---------------------------------------------------------------------- who may


CHANGES = (
    "plugins/plain/disable",
    "plugins/plain/grant",
    "plugins/plain/uninstall",
    "packages?name=radio.200.tgz",
    "settings",
    "modules/example.org/hello/reset",
)
SECRETS = ("plugins/plain", "plugins/plain/log", "log", "settings")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://elsewhere.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"x-forwarded-for": "192.0.2.1"},
    ],
)
def test_pages_of_others_are_no_operators(admin: Client, headers: dict[str, str]) -> None:
    stranger = Client(admin.served, **headers)
    for path in CHANGES:
        assert stranger.post(path, {"capability": "timer"})[0] == 403, path
    for path in SECRETS:
        assert stranger.ask(path)[0] == 403, path
    assert plugin(admin, "plain")["state"] == "enabled"


def test_a_name_that_leads_here_is_not_ours(admin: Client) -> None:
    """As after DNS rebinding: the page is of the same origin, but the name is not this machine."""
    with httpx.Client(base_url=admin.served.url, timeout=BOUND) as client:
        headers = {"host": "elsewhere.example", "sec-fetch-site": "same-origin"}
        assert client.post("/admin/settings", headers=headers, json={}).status_code == 403
        assert client.get("/admin/session", headers=headers).json()["operator"] is False


@pytest.fixture(scope="module")
def strict(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> tuple[Served, str]:
    """A server where only the token makes an operator, and the token."""
    root = tmp_path_factory.mktemp("strict")
    asks = json.dumps({"Label": "Asks", "Capabilities": ["timer"]})
    files_in(root, {"asks/manifest.json": asks, "asks/main.py": HELLO})
    served = serve("--dir", str(root), "--token-only")
    return served, (root / "admin-token").read_text().strip()


def test_without_the_token(strict: tuple[Served, str]) -> None:
    anyone = Client(strict[0])
    status, content = anyone.ask("plugins")
    (shown,) = content["plugins"]
    assert (status, content["operator"], "modules" in content) == (200, False, False)
    # What a plugin lacks is for operators to know.
    assert (shown["label"], shown["state"]) == ("Asks", "enabled")
    assert not {"missing", "trouble", "workers"} & set(shown)
    assert anyone.ask("session")[1]["operator"] is False
    for path in CHANGES:
        assert anyone.post(path)[0] == 403, path
    for path in SECRETS:
        assert anyone.ask(path)[0] == 403, path
    for wrong in ({"token": "x" * 32}, {"token": ""}, {"token": 1}, {}, {"token": "\u00e9"}):
        assert anyone.post("login", wrong)[0] == 403


def test_with_the_token(strict: tuple[Served, str]) -> None:
    served, token = strict
    with httpx.Client(base_url=served.url, timeout=BOUND) as client:
        answer = client.post("/admin/login", json={"token": token})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}={token}; HttpOnly; ")
        assert "SameSite=strict" in cookie
        assert "Path=/" in cookie
        session = client.get("/admin/session").json()
        assert (session["operator"], session["signed_in"]) == (True, True)
        assert client.get("/admin/plugins/asks").json()["missing"] == ["timer"]
        # The cookie alone does not help a page of somebody else.
        elsewhere = {"origin": "http://elsewhere.example"}
        assert client.get("/admin/plugins/asks", headers=elsewhere).status_code == 403
        assert client.post("/admin/logout", json={}).status_code == 200
        assert client.get("/admin/session").json()["operator"] is False
    program = Client(served, authorization=f"Bearer {token}")
    assert program.ask("log")[0] == 200


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("plugins/plain/grant", {}, 400),
        ("plugins/plain/grant", {"capability": 1}, 400),
        ("plugins/plain/grant", {"capability": "fly"}, 400),
        ("plugins/plain/grant", {"capability": "http:999.1.1.1/99"}, 400),
        ("plugins/plain/grant", b"{", 400),
        ("plugins/plain/grant", b"[" * 100_000, 413),
        ("plugins/plain/grant", b"[" * 60_000, 400),
        ("plugins/plain/grant", b"[]", 400),
        ("plugins/plain/grant", b"\xff", 400),
        ("plugins/nothing/grant", {"capability": "timer"}, 404),
        ("plugins/nothing/enable", {}, 404),
        ("plugins/../enable", {}, 404),
        ("plugins/plain/fly", {}, 404),
        ("plugins/plain/uninstall", {}, 409),
        ("plugins/plain/enable/more", {}, 404),
        ("packages", {}, 400),
        ("packages?name=radio.200.tgz", {}, 415),
        ("modules/example.org/hello/reset", {}, 404),
        ("modules/example.org/hello/fly", {}, 404),
        ("", {}, 404),
        ("settings", [], 400),
    ],
)
def test_bad_input(admin: Client, path: str, body: Any, status: int) -> None:
    if "/../" in path:
        assert admin.served.ask("/admin/" + path, "POST", b"{}").status == 301
        return
    found, content = admin.post(path, body)
    assert found == status
    assert content["error"]


def test_what_forms_can_send_is_refused(admin: Client) -> None:
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""):
        assert admin.post("plugins/plain/disable", {}, content_type=kind)[0] == 415
        where = "packages?name=radio.200.tgz"
        assert admin.post(where, package({"main.py": HELLO}), content_type=kind)[0] == 415


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods(admin: Client, method: str) -> None:
    assert admin.served.ask("/admin/plugins", method).header("allow") == "GET, HEAD, POST"
    assert admin.ask("plugins", method)[0] == 405
    assert admin.ask("plugins/plain/disable", "GET")[0] == 404


def test_a_server_without_a_folder(serve: Serve) -> None:
    client = Client(serve())
    assert client.ask("session")[1]["installs"] is False
    status, content = client.upload("radio.200.tgz", package({"main.py": HELLO}))
    assert (status, "--dir" in content["error"]) == (409, True)
    assert client.post("plugins/hello_python/uninstall")[0] == 409
    assert client.post("plugins/hello_python/disable")[0] == 200


# ---------------------------------------------------------------------- modules, failures


def test_modules(tmp_path: Path) -> None:
    files_in(tmp_path, {"mod_hello.py": 'module.set_status("info", "<b>at work</b>")\n'})

    async def scenario() -> None:
        plugins = [tmp_path / "plugins"]
        async with AsyncEngine(plugins, hosts=["example.org"]) as engine:
            house = House(engine, None, loopback=False)
            await engine.load("example.org", "hello")
            transport = httpx.ASGITransport(app=create_app(engine, house))
            headers = {"authorization": f"Bearer {house.admin}"}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers=headers
            ) as client:
                (shown,) = (await client.get("/admin/plugins")).json()["modules"]
                assert (shown["host"], shown["name"], shown["state"]) == (
                    "example.org",
                    "hello",
                    "active",
                )
                assert shown["message"] == "<b>at work</b>"
                assert "pid" not in shown
                assert shown["usage"]["memory"]["limit"] > 0
                for action in ("reload", "reset"):
                    where = f"/admin/modules/example.org/hello/{action}"
                    answer = await client.post(where, json={})
                    assert answer.status_code == 200
                    assert answer.json()["modules"][0]["state"] == "active"
                (tmp_path / "plugins" / "mod_hello.py").write_text("x = = 1")
                answer = await client.post("/admin/modules/example.org/hello/reload", json={})
                assert answer.status_code in (409, 502)
                assert "mod_hello.py" in answer.json()["error"]
            house.close()

    asyncio.run(scenario())


def test_what_cannot_be_kept_names_no_path(tmp_path: Path) -> None:
    files_in(tmp_path, {"plain/main.py": HELLO})

    async def scenario() -> None:
        async with AsyncEngine([tmp_path / "plugins"]) as engine:
            house = House(engine, tmp_path, loopback=False)
            (tmp_path / "grants.json").mkdir()  # so that it cannot be replaced by a file
            transport = httpx.ASGITransport(app=create_app(engine, house))
            headers = {"authorization": f"Bearer {house.admin}"}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers=headers
            ) as client:
                answer = await client.post("/admin/plugins/plain/disable", json={})
                assert answer.status_code == 500
                assert str(tmp_path) not in answer.text
                assert not house.disabled
            house.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("asked", "granted", "whether"),
    [
        ("timer", ["timer"], True),
        ("timer", ["memory"], False),
        ("file:rw", ["file"], True),
        ("http", ["http"], True),
        ("http:api.example.org", ["http"], True),
        ("http:api.example.org:8443", ["http"], True),
        ("http:api.example.org:25", ["http"], False),
        ("http:api.example.org", ["http:*.example.org"], True),
        ("http:example.org", ["http:*.example.org"], False),
        ("http:api.example.org", ["http:api.example.org:443"], False),
        ("http:10.1.2.3", ["http"], False),
        ("http:10.1.2.3", ["http:10.0.0.0/8"], True),
        ("http:10.0.0.0/8", ["http:10.1.2.3"], False),
        ("http:10.1.2.3:80", ["http:10.1.2.3"], True),
        ("http:10.1.2.3", ["http:[::1]"], False),
        ("http:9.9.9.9", ["http"], True),
        ("http:9.9.9.9", ["http:*:443"], False),
        ("http:0.0.0.0/0", ["http"], False),
        ("http", ["http:api.example.org"], False),
        ("http:::", ["http"], False),
    ],
)
def test_what_a_grant_opens(asked: str, granted: list[str], whether: bool) -> None:
    assert opened(asked, granted) is whether
