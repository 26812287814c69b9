"""What a server keeps in its folder: settings, grants, switched-off plugins, packages, logs."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import re
from pathlib import Path

import httpx
import pytest
from talking import HELLO, lay_out, package, talk, talking

from sandbox import PackageRejected
from sandbox.errors import ConfigurationError, UnknownPlugin
from sandbox.servers.house import House
from sandbox.servers.logs import MAX_LINES, Logs
from sandbox.servers.settings import MAX_CLIENTS, Settings, from_json

PLUGIN = {"plugins/radio/main.lua": HELLO, "plugins/radio/manifest.json": "{}"}


def test_settings_are_kept(tmp_path: Path) -> None:
    lay_out(tmp_path, {"films/a.mp4": "x"})

    async def change(client: httpx.AsyncClient, house: House) -> None:
        house.change(house.settings.changed({"video": str(tmp_path / "films")}))
        house.change(house.settings.toggled("tv", 2))

    async def look(client: httpx.AsyncClient, house: House) -> None:
        assert house.settings.video == str(tmp_path / "films")
        assert house.settings.switches("tv") == 2
        assert house.seen("tv")["compressed"] is True

    talk(tmp_path, change)
    talk(tmp_path, look, settings=Settings(video="/elsewhere"))
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
    kept = json.loads((tmp_path / "settings.json").read_text())
    assert from_json(kept).as_json() == kept


def test_settings_of_the_start_hold_until_a_change(tmp_path: Path) -> None:
    async def look(client: httpx.AsyncClient, house: House) -> None:
        assert house.settings.torrserver == "10.0.0.1:8090"

    talk(lay_out(tmp_path, {}), look, settings=Settings(torrserver="10.0.0.1:8090"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"video": "films"}, "absolute"),
        ({"Video": "/no/such/folder"}, "no such folder"),
        ({"Photo": 5}, "must be a text"),
        ({"Music": "/\0"}, "must be a text"),
        ({"TorrServer": "http://x/"}, "address"),
        ({"TorrServer": "x:99999"}, "address"),
        ({"TorrServer": "x:0"}, "address"),
        ({"TorrServer": "a b"}, "address"),
        ({"FFstream": "abc"}, "port"),
        ({"VideoWall": 7}, "number"),
        ({"VideoWall": True}, "number"),
        ({"Language": "../x"}, "plain file name"),
        ({"Background": "a/b"}, "plain file name"),
        ({"Clients": [1]}, "object"),
        ({"Clients": {"a": 64}}, "sum"),
        ({"Clients": {"a" * 200: 1}}, "ids"),
        ({"Nonsense": 1}, "there is no 'Nonsense'"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        Settings().changed(changes)
    assert caught.value.message.startswith("settings: ")


def test_devices_have_room_for_some(tmp_path: Path) -> None:
    settings = Settings()
    for number in range(MAX_CLIENTS + 10):
        settings = settings.toggled(f"tv{number}", 1)
    assert len(settings.clients) == MAX_CLIENTS
    assert settings.switches("tv0") == 0
    assert settings.toggled("tv100", 1).switches("tv100") == 0
    for device, switch in (("", 1), ("x" * 200, 1), ("tv", 3), ("tv", -1)):
        with pytest.raises(ConfigurationError):
            settings.toggled(device, switch)


def test_grants_are_kept_and_applied(tmp_path: Path) -> None:
    lay_out(tmp_path, PLUGIN)

    async def first(client: httpx.AsyncClient, house: House) -> None:
        house.grant("radio", "http:10.0.0.1:80")
        house.grant("radio", "timer")
        assert house.engine.policy.allows("radio", "script", "timer")
        assert house.engine.policy.allows("other", "script", "http:10.9.9.9")
        house.revoke("radio", "timer")
        for capability in ("nonsense", "http:[", "timer:"):
            with pytest.raises(ConfigurationError):
                house.grant("radio", capability)
        with pytest.raises(ConfigurationError, match="was not granted"):
            house.revoke("radio", "http:10.9.9.9")
        with pytest.raises(UnknownPlugin):
            house.grant("later", "timer")

    async def second(client: httpx.AsyncClient, house: House) -> None:
        assert house.grants == {"radio": ["http:10.0.0.1:80"]}
        assert not house.engine.policy.allows("radio", "script", "timer")
        assert house.given("radio") == []

    talk(tmp_path, first, grants=["http:10.9.9.9"], plugin_grants={"news": ["timer"]})
    talk(tmp_path, second)
    assert (tmp_path / "grants.json").stat().st_mode & 0o777 == 0o600


def test_a_plugin_that_is_off_is_not_there(tmp_path: Path) -> None:
    lay_out(tmp_path, PLUGIN)

    async def off(client: httpx.AsyncClient, house: House) -> None:
        assert (await client.get("/radio/")).text == "hello"
        house.disable("radio")
        with pytest.raises(UnknownPlugin):
            house.disable("nothing")

    async def on(client: httpx.AsyncClient, house: House) -> None:
        assert (await client.get("/radio/")).status_code == 404
        assert (await client.get("/radio/manifest.json")).status_code == 404
        assert '"http://127.0.0.1:8080/radio/"' not in (await client.get("/msx/menu")).text
        house.enable("radio")
        assert (await client.get("/radio/")).text == "hello"

    talk(tmp_path, off)
    talk(tmp_path, on)


def test_packages_come_and_go(tmp_path: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        done = await house.install("news.203.tgz", package())
        assert (done.name, done.engine_version) == ("news", 203)
        assert [one.name for one in house.installed()] == ["news"]
        assert (await client.get("/news/")).text == "hello"
        house.grant("news", "timer")
        house.disable("news")
        await house.uninstall("news")
        # Another plugin of that name is another's.
        assert house.grants == {}
        assert house.disabled == frozenset()
        for name in ("msx.203.tgz", "admin.203.tgz", "settings.203.tgz", "../x.203.tgz"):
            with pytest.raises(PackageRejected):
                await house.install(name, package())
        assert os.listdir(tmp_path / "plugins") in ([], [".packages"])

    talk(lay_out(tmp_path, {}), scenario)


def test_without_a_folder_nothing_is_kept_or_installed() -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        house.change(dataclasses.replace(house.settings, video_wall=2))
        assert house.settings.video_wall == 2
        assert house.installed() == []
        with pytest.raises(ConfigurationError, match="--dir"):
            await house.install("news.203.tgz", package())
        with pytest.raises(ConfigurationError, match="--dir"):
            await house.uninstall("news")

    talk(None, scenario)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("settings.json", "{"),
        ("settings.json", "[]"),
        ("settings.json", '{"Nonsense": 1}'),
        ("settings.json", '{"VideoWall": "x"}'),
        ("grants.json", '{"grants": []}'),
        ("grants.json", '{"grants": {"a": "timer"}}'),
        ("grants.json", '{"grants": {"a": ["nonsense"]}}'),
        ("grants.json", '{"disabled": [1]}'),
        ("grants.json", '{"grant": {"a": ["timer"]}}'),
        ("grants.json", '{"grants": {"a": ["http:["]}}'),
        ("settings.json", "[" * 100_000),
        ("settings.json", " " * 2_000_000),
    ],
)
def test_a_broken_file_is_named_at_the_start(tmp_path: Path, file: str, content: str) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        raise AssertionError("it must not start")

    with pytest.raises(ConfigurationError, match=rf"^{re.escape(str(tmp_path / file))}:"):
        talk(lay_out(tmp_path, {file: content}), scenario)


@pytest.mark.parametrize("file", ["settings.json", "grants.json", "admin-token"])
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_does_not_keep_the_start_waiting(tmp_path: Path, file: str, linked: bool) -> None:
    pipe = tmp_path / "pipe" if linked else lay_out(tmp_path, {}) / file
    lay_out(tmp_path, {})
    os.mkfifo(pipe)
    if linked:
        (tmp_path / file).symlink_to(pipe)

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        raise AssertionError("it must not start")

    problem = f"{tmp_path / file}: cannot be read: it is not a regular file"
    with pytest.raises(ConfigurationError, match=f"^{re.escape(problem)}$"):
        talk(tmp_path, scenario)


def test_a_pipe_is_no_dictionary(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(lay_out(tmp_path, {}) / "dictionary.json")

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        assert (await client.get("/msx/dictionary.json")).status_code == 500
        assert "dictionary.json: cannot be read: it is not a regular file" in caplog.text

    talk(tmp_path, scenario)


def test_what_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (lay_out(tmp_path, {}) / "settings.json").mkdir()

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        raise AssertionError("it must not start")

    with pytest.raises(ConfigurationError, match=r"settings\.json: cannot be read"):
        talk(tmp_path, scenario)


def test_a_folder_that_cannot_be_written_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> tuple[str, bool]:
        raise ConfigurationError(f"{path}: cannot be written: Read-only file system")

    monkeypatch.setattr("sandbox.servers.house.kept_token", refuse)

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        assert house.access.made
        assert (await client.get("/radio/")).text == "hello"

    talk(lay_out(tmp_path, PLUGIN), scenario)
    assert "the token is good until the server ends" in caplog.text


def test_logs_are_kept_by_plugin_and_cut() -> None:
    logs = Logs()
    logs.attach()
    try:
        plugin = logging.getLogger("sandbox.plugin.radio.fm")
        for number in range(MAX_LINES + 5):
            plugin.error("line %d\x1b[31m\n", number)
        logging.getLogger("sandbox.servers.msx").error("about", extra={"plugin": "news"})
        logs.handle(logging.LogRecord("sandbox.servers", 40, "", 1, "%d", ("no number",), None))
        plugin.error("x" * 5000)
    finally:
        logs.detach()
    plugin.error("unheard")
    lines = logs.lines("radio.fm")
    assert len(lines) == MAX_LINES
    assert lines[0].text == "line 6\ufffd[31m\\n"
    assert len(lines[-1].text) <= 1001
    assert [line.text for line in logs.lines("news")] == ["about"]
    assert logs.lines("nobody") == []
    assert [line.text for line in logs.lines("")] == ["%d"]
    logs.forget("news")
    assert logs.lines("news") == []


def test_lines_that_are_older_than_the_plugin_are_another_s() -> None:
    begun = {"radio": 20.0}
    logs = Logs(lambda name: begun.get(name, 0.0))
    for plugin in ("radio", "news"):
        for time in (10, 20, 30):
            record = logging.LogRecord("sandbox.servers", 40, "", 1, str(time), None, None)
            record.created, record.plugin = time, plugin
            logs.handle(record)
    assert [line.text for line in logs.lines("radio")] == ["20", "30"]
    assert [line.text for line in logs.lines("news")] == ["10", "20", "30"]


def test_plugins_have_no_hand_in_the_operator_s_cookie(tmp_path: Path) -> None:
    script = """local s = require 'server'
    s.write({
        ['Set-Cookie'] = {
            'a=sandbox', 'sandbox-token=x', ' sandbox-token = x; Path=/',
            'sandbox-token; Max-Age=0', '=sandbox-token=x', 'b=1; Path=/sandbox-token',
        },
        ['Clear-Site-Data'] = '"*"',
        ['X-A'] = 'sandbox-token=x',
    }, 'x')"""

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        answer = await client.get("/radio/")
        assert (answer.status_code, answer.text) == (200, "x")
        cookies = answer.headers.get_list("set-cookie")
        assert cookies == ["a=sandbox", "b=1; Path=/sandbox-token"]
        assert "clear-site-data" not in answer.headers
        assert answer.headers["x-a"] == "sandbox-token=x"
        # The page's own is set all the same.
        answer = await client.post("/admin/login", json={"token": house.admin})
        assert answer.headers["set-cookie"].startswith(f"sandbox-token={house.admin};")

    talk(lay_out(tmp_path, {"plugins/radio/main.lua": script}), scenario)


async def _errors_of(root: Path) -> list[str]:
    async with talking(root) as (client, house):
        await client.get("/bad/")
        return [line.text for line in house.logs.lines("bad")]


def test_errors_of_scripts_are_in_the_plugin_s_log(tmp_path: Path) -> None:
    lay_out(tmp_path, {"plugins/bad/main.lua": "error('it broke')"})
    assert any("it broke" in line for line in asyncio.run(_errors_of(tmp_path)))
