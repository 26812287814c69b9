"""What plugins may do: what is forgotten with them, what is withheld, what operators see of it."""

from __future__ import annotations

import fcntl
import http.client
import json
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from packing import package
from serving import BOUND, Serve, Served
from talking import HELLO, lay_out, talk

from sandbox.cli import main
from sandbox.engine.async_engine import AsyncEngine
from sandbox.errors import ConfigurationError, PackageRejected
from sandbox.policy import Policy
from sandbox.servers.house import House

MINE = package({"main.lua": HELLO}, Capabilities=["timer"])
STRANGER = package({"main.lua": "require'server'.write('stranger')"}, Capabilities=["timer"])


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Commands that run in this process set up logging for a process of their own."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level


def cli(*arguments: object) -> None:
    """A command that goes well."""
    assert main([str(argument) for argument in arguments]) == 0


def packed(folder: Path, data: bytes, name: str = "radio.203.tgz") -> Path:
    """A package as a file."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


def post(served: Served, path: str, content: Any = None) -> dict[str, Any]:
    """What the API answers to a change that goes well."""
    body = json.dumps(content or {}).encode()
    answer = served.ask(f"/admin/{path}", "POST", body, {"content-type": "application/json"})
    assert answer.status == 200, answer.text
    found: dict[str, Any] = json.loads(answer.body)
    return found


def shown(served: Served, name: str) -> dict[str, Any]:
    """What the API says of a plugin."""
    found: dict[str, Any] = json.loads(served.ask(f"/admin/plugins/{name}").body)
    return found


def names(capabilities: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Names and sources."""
    return [(one["name"], one["source"]) for one in capabilities]


# ---------------------------------------------------------------------- forgotten with the plugin


def test_a_running_server_forgets_what_was_uninstalled(serve: Serve, tmp_path: Path) -> None:
    root = lay_out(tmp_path / "root", {"plugins/other/main.lua": HELLO})
    cli("install", packed(tmp_path / "mine", MINE), "--dir", root)
    served = serve("--dir", str(root))
    assert served.ask("/radio/").status == 500
    post(served, "plugins/radio/grant", {"capability": "timer"})
    post(served, "plugins/other/grant", {"capability": "timer"})
    assert served.ask("/radio/").text == "hello"
    post(served, "plugins/radio/disable")
    cli("uninstall", "radio", "--dir", root)
    kept = json.loads((root / "grants.json").read_text())
    assert kept == {"grants": {"other": ["timer"]}, "disabled": []}
    # The next plugin of that name is another's: it has no grants, and nobody switched it off.
    cli("install", packed(tmp_path / "strangers", STRANGER), "--dir", root)
    refused = served.ask("/radio/")
    assert (refused.status, "'timer'" in refused.text) == (500, True)
    assert shown(served, "radio")["missing"] == ["timer"]
    # What the server decides from now on brings nothing back.
    post(served, "plugins/other/revoke", {"capability": "timer"})
    assert json.loads((root / "grants.json").read_text())["grants"] == {}
    assert served.ask("/radio/").status == 500


def test_a_running_server_shows_no_log_of_what_was_uninstalled(
    serve: Serve, tmp_path: Path
) -> None:
    root = lay_out(tmp_path / "root", {})
    cli("install", packed(tmp_path / "mine", MINE), "--dir", root)
    served = serve("--dir", str(root))
    assert served.ask("/radio/").status == 500
    (old,) = shown(served, "radio")["log"]
    # Nobody asks while it is away.
    cli("uninstall", "radio", "--dir", root)
    cli("install", packed(tmp_path / "strangers", STRANGER), "--dir", root)
    now = shown(served, "radio")
    assert (now["log"], now["trouble"]) == ([], None)
    assert served.ask("/radio/").status == 500
    (new,) = shown(served, "radio")["log"]
    assert new["time"] > old["time"]


def test_an_upgrade_by_hand_keeps_what_was_granted(serve: Serve, tmp_path: Path) -> None:
    root = lay_out(tmp_path / "root", {})
    cli("install", packed(tmp_path / "mine", MINE), "--dir", root)
    served = serve("--dir", str(root))
    post(served, "plugins/radio/grant", {"capability": "timer"})
    cli("install", packed(tmp_path / "newer", STRANGER), "--dir", root)
    assert served.ask("/radio/").text == "stranger"


@pytest.mark.parametrize("way", ["cli", "house"])
def test_what_was_removed_by_hand_leaves_nothing_to_inherit(tmp_path: Path, way: str) -> None:
    decided = {"grants": {"radio": ["timer"], "other": ["timer"]}, "disabled": ["radio"]}
    root = lay_out(tmp_path, {"grants.json": json.dumps(decided)})

    async def install(client: httpx.AsyncClient, house: House) -> None:
        await house.install("radio.203.tgz", STRANGER)
        assert house.grants == {"other": ["timer"]}
        assert house.disabled == frozenset()

    if way == "cli":
        cli("install", packed(tmp_path / "packages", STRANGER), "--dir", root)
    else:
        talk(root, install)
    kept = json.loads((root / "grants.json").read_text())
    assert kept == {"grants": {"other": ["timer"]}, "disabled": []}


def test_a_file_that_was_broken_meanwhile_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = lay_out(tmp_path, {"plugins/radio/main.lua": HELLO})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        house.grant("radio", "timer")
        for text in ("{", '{"grants": {"radio": ["http:["]}}', '{"granted": {}}'):
            (root / "new").write_text(text)
            os.replace(root / "new", root / "grants.json")
            caplog.clear()
            for _ in range(3):
                assert (await client.get("/radio/")).text == "hello"
            assert house.grants == {"radio": ["timer"]}
            assert caplog.text.count("what was decided before holds") == 1
            assert "grants.json" in caplog.text
            with pytest.raises(ConfigurationError, match=r"grants\.json"):
                house.grant("radio", "memory")  # it would write over what somebody wrote
        os.unlink(root / "grants.json")
        assert house.grants == {}
        assert not house.engine.policy.allows("radio", "script", "timer")

    talk(root, scenario)


def test_no_two_programs_decide_at_once(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"plugins/radio/main.lua": HELLO})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        held = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            answer = await client.post("/admin/plugins/radio/disable", json={})
        finally:
            os.close(held)
        assert (answer.status_code, "try again" in answer.text) == (400, True)
        assert (await client.get("/radio/")).text == "hello"
        house.disable("radio")
        assert house.disabled == {"radio"}

    talk(root, scenario)


# ---------------------------------------------------------------------- withheld


ASKS = """local s = require "server"
if s.path == "http" then s.request("http://example.org/")
elseif s.path == "memory" then s.memory(1) end
s.write("hello")"""


def test_what_is_withheld_is_refused(serve: Serve, tmp_path: Path) -> None:
    config = {"withheld": {"radio": ["memory"]}, "grants": {"news": ["http:10.1.2.3", "memory"]}}
    root = lay_out(
        tmp_path,
        {
            "plugins/radio/main.lua": ASKS,
            "plugins/news/main.lua": ASKS,
            "plugins/wants/main.lua": ASKS,
            "plugins/wants/manifest.json": '{"Capabilities": ["http"]}',
            "c.json": json.dumps(config),
        },
    )
    options = ("--config", str(root / "c.json"), "--withhold", "http", "--grant", "timer")
    served = serve("--dir", str(root), *options)
    assert served.ask("/radio/").text == "hello"
    assert served.ask("/news/memory").text == "hello"
    for plugin, word in (("radio", "http"), ("radio", "memory")):
        refused = served.ask(f"/{plugin}/{word}")
        assert refused.status == 500
        assert f"plugin '{plugin}' needs the capability '{word}'" in refused.text
        assert f"--grant {word}" in refused.text
        assert f"plugin {plugin}: PolicyDenied: " in served.log.read_text()
    # One that cannot do without is not run at all.
    assert "needs the capability 'http'" in served.ask("/wants/").text
    assert shown(served, "wants")["state"] == "ungranted"
    # The operator sees what is left, and who gave what besides.
    radio, news = shown(served, "radio"), shown(served, "news")
    assert names(radio["base"]) == [("file", "base")]
    assert names(radio["given"]) == [("timer", "all")]
    assert names(news["base"]) == [("file", "base"), ("memory", "base")]
    assert names(news["given"]) == [
        ("timer", "all"),
        ("http:10.1.2.3", "start"),
        ("memory", "start"),
    ]
    assert all(one["about"] for one in news["given"] + news["base"])
    # What is granted on the page is granted, withheld or not.
    assert post(served, "plugins/wants/grant", {"capability": "http"})["state"] == "enabled"
    assert served.ask("/wants/").text == "hello"


def test_where_capabilities_come_from(serve: Serve, tmp_path: Path) -> None:
    asks = ["memory", "timer", "http:10.1.2.3:80", "http:10.9.9.9", "http:192.168.1.1"]
    root = lay_out(
        tmp_path,
        {
            "plugins/asks/main.lua": HELLO,
            "plugins/asks/manifest.json": json.dumps({"Capabilities": asks}),
            "plugins/plain/main.lua": HELLO,
            "c.toml": '[grants]\nasks = ["http:10.1.2.0/24"]\n',
        },
    )
    served = serve("--dir", str(root), "--config", str(root / "c.toml"), "--grant", "timer")
    post(served, "plugins/asks/grant", {"capability": "http:10.9.9.9"})
    found = shown(served, "asks")["capabilities"]
    assert names(found) == list(zip(asks, ["base", "all", "start", "page", ""], strict=True))
    states = [one["state"] for one in found]
    assert states == ["allowed", "allowed", "allowed", "granted", "missing"]
    # A plugin that asks for nothing is not said to be able to do nothing.
    plain = shown(served, "plain")
    assert plain["capabilities"] == []
    assert [name for name, _ in names(plain["base"])] == ["file", "http", "memory"]
    assert names(plain["given"]) == [("timer", "all")]


def test_an_embedder_s_policy_counts(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"plugins/radio/main.lua": HELLO})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        policy = Policy(plugins={"radio": ["timer"]}, withheld={"*": ["http"]})
        async with AsyncEngine([root / "plugins"], policy=policy) as engine:
            other = House(engine, None, loopback=True, grants=["memory"])
            assert other.given("radio") == ["memory", "timer"]
            other.grant("radio", "http:10.0.0.1")
            assert not engine.policy.allows("radio", "script", "http:a.example")
            assert engine.policy.allows("radio", "script", "http:10.0.0.1")
            other.revoke("radio", "http:10.0.0.1")
            assert engine.policy.grants("radio", "script") == {"file", "memory", "timer"}
            other.close()

    talk(root, scenario)


# ---------------------------------------------------------------------- installing


def test_the_command_tells_what_a_package_asks_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = lay_out(tmp_path / "root", {})
    asks = ["memory", "timer", "http:10.1.2.3:80"]
    file = packed(tmp_path / "packages", package({"main.lua": HELLO}, Capabilities=asks))
    cli("install", file, "--dir", root)
    said = capsys.readouterr().out
    for line in (
        "  http: make HTTP requests: to every public address",
        "this one asks for: memory, timer, http:10.1.2.3:80",
        "not granted yet: timer, http:10.1.2.3:80; it is not run until you grant that",
        "sandbox serve --grant timer --grant http:10.1.2.3:80",
    ):
        assert line in said
    # What was granted before is not asked for again.
    (root / "grants.json").write_text('{"grants": {"radio": ["timer"]}}')
    cli("install", file, "--dir", root, "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["asks"], told["missing"]) == (asks, ["http:10.1.2.3:80"])
    cli("install", packed(tmp_path / "packages", package({"main.lua": HELLO})), "--dir", root)
    said = capsys.readouterr().out
    assert "this one asks for: nothing more" in said
    assert "not granted yet" not in said


@contextmanager
def reader(served: Served, path: str) -> Iterator[list[tuple[int, str]]]:
    """Asks again and again until the end; gives what it was answered."""
    seen: list[tuple[int, str]] = []
    done, begun = threading.Event(), threading.Event()

    def read() -> None:
        connection = http.client.HTTPConnection(served.host, served.port, timeout=BOUND)
        with closing(connection):
            while not done.is_set():
                connection.request("GET", path)
                answer = connection.getresponse()
                seen.append((answer.status, answer.read().decode()))
                begun.set()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert begun.wait(BOUND)
        yield seen
    finally:
        done.set()
        thread.join()


def upload(served: Served, data: bytes, name: str = "radio.203.tgz") -> tuple[int, dict[str, Any]]:
    """Install through the page."""
    kind = {"content-type": "application/octet-stream"}
    answer = served.ask(f"/admin/packages?name={name}", "POST", data, kind)
    found: dict[str, Any] = json.loads(answer.body)
    return answer.status, found


def test_an_upgrade_is_one_step(serve: Serve, tmp_path: Path) -> None:
    served = serve("--dir", str(lay_out(tmp_path, {})))

    def version(number: int, *asks: str) -> bytes:
        text = f"require'server'.write('version {number}')"
        return package({"main.lua": text}, Capabilities=list(asks))

    status, found = upload(served, version(0))
    assert (status, found["upgraded"], found["plugin"]["state"]) == (201, False, "disabled")
    post(served, "plugins/radio/enable")
    with reader(served, "/radio/") as seen:
        for number in range(1, 6):
            status, found = upload(served, version(number))
            assert (status, found["upgraded"]) == (201, True)
            assert found["plugin"]["state"] == "enabled"
            # One that is refused changes as little.
            assert upload(served, b"no package")[0] == 400
            assert upload(served, version(9), "radio.999.tgz")[0] == 400
    assert {status for status, _ in seen} == {200}
    known = [f"version {number}" for number in range(6)]
    order = [known.index(text) for _, text in seen]
    assert order == sorted(order)
    assert served.ask("/radio/").text == "version 5"
    # One that asks for more than it has is off, and the answer says what it lacks.
    _, found = upload(served, version(6, "timer"))
    plugin = found["plugin"]
    assert (found["upgraded"], plugin["state"], plugin["missing"]) == (True, "disabled", ["timer"])
    assert served.ask("/radio/").status == 404
    # What somebody switched off stays off, upgraded or not.
    _, found = upload(served, version(7))
    assert (found["upgraded"], found["plugin"]["state"]) == (True, "disabled")


def test_refusals_and_changes_are_in_the_log(serve: Serve, tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"plugins/hand/main.lua": HELLO})
    served = serve("--dir", str(root))
    assert upload(served, b"no package")[0] == 400
    assert upload(served, MINE, "admin.203.tgz")[0] == 400
    assert served.ask("/admin/packages?name=text.203.tgz", "POST", b"x").status == 415
    with httpx.Client(base_url=served.url, timeout=BOUND) as client:
        assert client.post("/install", files={"file": ("hand.203.tgz", MINE)}).status_code == 400
        assert client.post("/install", data={"remove": "hand"}).status_code == 400
        assert client.post("/install", content=b"x").status_code == 400
        answer = client.post("/install", files={"file": ("radio.203.tgz", MINE)})
        assert (answer.status_code, answer.text) == (200, "true")
    assert shown(served, "radio")["state"] == "ungranted"
    assert served.ask("/radio/").status == 500
    for action in ("grant", "revoke"):
        post(served, f"plugins/radio/{action}", {"capability": "timer"})
    for action in ("disable", "enable", "reload", "uninstall"):
        post(served, f"plugins/radio/{action}")
    said = served.log.read_text().splitlines()
    for line in (
        "WARNING refused the package radio.203.tgz: ",
        "WARNING refused the package admin.203.tgz: plugin name 'admin': is reserved",
        "WARNING refused the package text.203.tgz: send it as application/octet-stream",
        "WARNING refused the package hand.203.tgz: 'hand' in the plugin folder",
        "WARNING hand is not uninstalled: ",
        "INFO /install: 400 this is no form",
        "INFO installed radio, ",
        "INFO radio does not run until it is granted timer",
        "INFO an operator granted timer to radio",
        "INFO an operator revoked timer from radio",
        "INFO an operator switched off radio",
        "INFO an operator switched on radio",
        "INFO an operator reloaded radio",
        "INFO uninstalled radio",
    ):
        assert [one for one in said if one.startswith(line)], (line, said)
    # All but what is about a plugin is in the log of the server that the page shows.
    log = json.loads(served.ask("/admin/log").body)["log"]
    assert any("refused the package hand.203.tgz" in line["text"] for line in log)


def test_without_a_folder_nothing_is_installed(serve: Serve) -> None:
    served = serve()
    assert upload(served, MINE)[0] == 409
    with httpx.Client(base_url=served.url, timeout=BOUND) as client:
        for form in ({"files": {"file": ("radio.203.tgz", MINE)}}, {"data": {"remove": "radio"}}):
            answer = client.post("/install", **form)
            assert (answer.status_code, "--dir" in answer.text) == (409, True)
    said = served.log.read_text()
    assert said.count("/install: 409 this server has no folder for plugins") == 2
    assert "refused the package radio.203.tgz: this server has no folder" in said


def test_a_refused_package_leaves_what_was_decided(tmp_path: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        await house.install("radio.203.tgz", MINE)
        house.grant("radio", "timer")
        for name, data in (("radio.999.tgz", MINE), ("radio.203.tgz", b""), ("new.999.tgz", MINE)):
            with pytest.raises(PackageRejected):
                await house.install(name, data, off=True)
        assert house.grants == {"radio": ["timer"]}
        assert house.disabled == frozenset()

    talk(lay_out(tmp_path, {}), scenario)


# ---------------------------------------------------------------------- what makes no sense


@pytest.mark.parametrize("capability", ["file:/etc", "timer:5", "memory:all", "file:*"])
def test_grants_that_mean_nothing(serve: Serve, tmp_path: Path, capability: str) -> None:
    root = lay_out(tmp_path, {"plugins/radio/main.lua": HELLO})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        body = {"capability": capability}
        answer = await client.post("/admin/plugins/radio/grant", json=body)
        assert (answer.status_code, "means nothing" in answer.text) == (400, True)
        assert house.grants == {}

    talk(root, scenario)
    assert main(["serve", "--http", "127.0.0.1:0", "--dir", str(root), "--grant", capability]) == 2


def test_a_folder_that_went_away_stays_set(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"films/a.mp4": "x"})
    films = str(root / "films")

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        house.change(house.settings.changed({"Video": films}))
        shutil.rmtree(films)
        answer = await client.post("/admin/settings", json={"Video": films, "VideoWall": 2})
        assert (answer.status_code, answer.json()["VideoWall"]) == (200, 2)
        answer = await client.post("/admin/settings", json={"Music": films})
        assert (answer.status_code, "no such folder" in answer.text) == (400, True)
        assert house.settings.video == films

    talk(root, scenario)
