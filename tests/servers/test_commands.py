"""`sandbox serve` as an operator uses it: token, configuration, restart; and packages by hand."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import Serve
from talking import HELLO, lay_out, package

from sandbox import Engine, Request
from sandbox.cli import configuration, main
from sandbox.engine.storage import stored
from sandbox.errors import ConfigurationError

Cli = Callable[..., tuple[int, str, str]]
GRANTED = """local s = require "server"
local answer, problem = s.request("http://127.0.0.1:1/")
s.write(tostring(problem))"""


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    """Runs a command in this process: exit status, output, errors."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    yield run
    root.handlers[:], root.level = before, level


# ---------------------------------------------------------------------- packages


def test_packages_by_hand(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "news.203.tgz"
    file.write_bytes(package())
    root = tmp_path / "root"
    root.mkdir()
    status, out, err = cli("install", file, "--dir", root)
    assert (status, err) == (0, "")
    assert out.startswith("installed news: engine 203, 2 files, ")
    status, out, _ = cli("list", "--dir", root, "--json")
    assert [one["name"] for one in json.loads(out)["packages"]] == ["news"]
    assert cli("list", "--dir", root)[1].startswith("news: engine 203, ")
    status, out, _ = cli("uninstall", "news", "--dir", root, "--json")
    assert (status, json.loads(out)["uninstalled"]["name"]) == (0, "news")
    assert cli("list", "--dir", root) == (0, "", "")


STORED = {"files/news/a/b.txt": "x", "memory/news.value": "y", "memory/news.value.corrupt": "z"}
OTHERS = {"files/new/a.txt": "x", "memory/newss.value": "y"}


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("later", [False, True])
def test_what_a_plugin_stored_is_forgotten_when_you_say_so(
    cli: Cli, tmp_path: Path, elsewhere: bool, later: bool
) -> None:
    file, root = tmp_path / "news.203.tgz", tmp_path / "the root"
    file.write_bytes(package())
    data = tmp_path / "elsewhere" if elsewhere else root / "data"
    where = ["--dir", root, *(["--data", data] if elsewhere else [])]
    lay_out(root, {})
    lay_out(data, {**STORED, **OTHERS})
    paths = [str(data / name) for name in ("files/news", *list(STORED)[1:])]
    assert cli("install", file, "--dir", root)[0] == 0
    if later:
        status, out, err = cli("uninstall", "news", *where)
        assert (status, err) == (0, "")
        kept, told = out.splitlines()[1:]
        assert kept.endswith(f"would find it: {' and '.join(paths)}")
        _, _, command = told.partition(": sandbox ")
        assert (data / "files/news/a/b.txt").exists()
        status, out, err = cli(*shlex.split(command))
        assert out == f"removed what it stored: {' and '.join(paths)}\n"
    else:
        status, out, err = cli("uninstall", "news", *where, "--forget", "--json")
        assert json.loads(out)["uninstalled"]["name"] == "news"
        assert (json.loads(out)["stored"], json.loads(out)["forgotten"]) == (paths, True)
    assert (status, err) == (0, "")
    assert not [path for path in paths if Path(path).exists()]
    assert all((data / name).exists() for name in OTHERS)
    status, out, err = cli("uninstall", "news", *where, "--forget")
    assert (status, out) == (2, "")
    assert "no package 'news' is installed" in err


def test_what_no_package_brought_is_not_forgotten(cli: Cli, tmp_path: Path) -> None:
    lay_out(tmp_path, {"plugins/radio/main.lua": HELLO, "data/files/radio/a.txt": "x"})
    status, _, err = cli("uninstall", "radio", "--dir", tmp_path, "--forget")
    assert (status, "no package 'radio' is installed" in err) == (2, True)
    assert (tmp_path / "data/files/radio/a.txt").exists()


def test_a_plugin_that_stored_nothing(cli: Cli, tmp_path: Path) -> None:
    (lay_out(tmp_path, {}) / "news.203.tgz").write_bytes(package())
    assert cli("install", tmp_path / "news.203.tgz", "--dir", tmp_path)[0] == 0
    status, out, _ = cli("uninstall", "news", "--dir", tmp_path)
    assert (status, out.splitlines()[1]) == (0, f"it stored nothing in {tmp_path / 'data'}")


def test_what_is_stored_is_where_the_engine_looks(cli: Cli, tmp_path: Path) -> None:
    keeps = "local s = require'server' s.memory(1) s.file('a', 'x')"
    files = {"manifest.json": "{}", "main.lua": keeps}
    (lay_out(tmp_path, {}) / "News.203.tgz").write_bytes(package(files))
    assert cli("install", tmp_path / "News.203.tgz", "--dir", tmp_path)[0] == 0
    data = tmp_path / "data"
    with Engine([tmp_path / "plugins"], data=data, keep_memory=True) as engine:
        assert engine.request("News", Request("GET", "/News/")).status == 200
    assert len(stored(data, "News")) == 2
    out = cli("uninstall", "News", "--dir", tmp_path, "--forget", "--json")[1]
    assert len(json.loads(out)["stored"]) == 2
    assert [path for path in data.rglob("*") if not path.is_dir()] == []


def test_a_link_is_removed_and_not_what_it_leads_to(cli: Cli, tmp_path: Path) -> None:
    lay_out(tmp_path, {"data/memory/x": "", "data/files/x": "", "mine/a.txt": "x"})
    (tmp_path / "data/files/news").symlink_to(tmp_path / "mine")
    assert cli("uninstall", "news", "--dir", tmp_path, "--forget")[0] == 0
    assert stored(tmp_path / "data", "news") == []
    assert (tmp_path / "mine/a.txt").exists()


def test_what_cannot_be_forgotten_is_named(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    lay_out(tmp_path, {"data/files/news/a.txt": "x"})
    monkeypatch.setattr(shutil, "rmtree", refuse)
    status, _, err = cli("uninstall", "news", "--dir", tmp_path, "--forget")
    assert status == 2
    assert f"{tmp_path}/data/files/news: cannot be removed: Permission denied" in err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["install", "nothing.203.tgz"], "cannot be opened"),
        (["install", "bad.203.tgz"], "not gzip data"),
        (["install", "news.999.tgz"], "needs the plugin engine version 999"),
        (["install", "admin.203.tgz"], "is reserved"),
        (["install", "radio.203.tgz"], "was not installed from a package"),
        (["uninstall", "nothing"], "no package 'nothing' is installed"),
        (["uninstall", "../x"], "plugin name"),
        (["uninstall", "", "--forget"], "plugin name"),
    ],
)
def test_packages_that_are_refused(
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    problem: str,
) -> None:
    lay_out(tmp_path, {"plugins/radio/main.lua": HELLO, "bad.203.tgz": "no gzip"})
    for name in ("news.999", "admin.203", "radio.203"):
        (tmp_path / f"{name}.tgz").write_bytes(package())
    monkeypatch.chdir(tmp_path)
    status, out, err = cli(*arguments, "--dir", tmp_path)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert problem in err


@pytest.mark.parametrize("command", [["install", "x.203.tgz"], ["uninstall", "x"], ["list"]])
def test_a_folder_that_is_none(cli: Cli, tmp_path: Path, command: list[str]) -> None:
    assert cli(*command, "--dir", tmp_path / "no")[0] == 2
    (tmp_path / "plugins").write_text("a file")
    status, _, err = cli(*command, "--dir", tmp_path)
    assert (status, err.count("\n")) == (2, 1)


# ---------------------------------------------------------------------- configuration


@pytest.mark.parametrize("name", ["c.json", "c.toml"])
def test_a_configuration(tmp_path: Path, name: str) -> None:
    texts = {
        "c.json": '{"grants": {"*": ["timer"], "a": ["http"]}, "limits": {"cpu": "2s"},'
        ' "withheld": {"a": ["memory"], "*": ["http"]}}',
        "c.toml": '[grants]\n"*" = ["timer"]\na = ["http"]\n[limits]\ncpu = "2s"\n'
        '[withheld]\na = ["memory"]\n"*" = ["http"]\n',
    }
    (tmp_path / name).write_text(texts[name])
    read = configuration.read(tmp_path / name)
    assert read.everyone() == ["timer"]
    assert read.some() == {"a": ["http"]}
    assert read.withheld == {"a": ["memory"], "*": ["http"]}
    assert (read.limits, read.settings) == ({"cpu": "2s"}, {})


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("c.json", "{", "cannot be read"),
        ("c.json", "[]", "must hold an object"),
        ("c.json", '{"x": 1}', "'x' is unknown"),
        ("c.json", '{"grants": []}', "grants must be an object"),
        ("c.json", '{"grants": {"a": "timer"}}', "must have a list"),
        ("c.json", '{"grants": {"a": ["fly"]}}', r"c\.json: capability: 'fly' is unknown"),
        ("c.json", '{"withheld": ["http"]}', "withheld must be an object"),
        ("c.json", '{"withheld": {"a": "http"}}', "withheld: 'a' must have a list"),
        ("c.json", '{"withheld": {"a": ["fly"]}}', r"c\.json: withheld: cannot withhold 'fly'"),
        ("c.json", '{"withheld": {"*": ["http:a"]}}', "there are file, http, memory, timer"),
        ("c.toml", "a = ", "cannot be read"),
        ("c.toml", "\udcff", "cannot be read"),
        ("c.yaml", "", ".json or .toml"),
        ("c.json", None, "No such file"),
        ("c.json", "[" * 100_000, "cannot be read"),
        ("c.json", " " * 1_100_000, "longer than"),
    ],
)
def test_a_broken_configuration(tmp_path: Path, name: str, text: str | None, problem: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, errors="surrogateescape")
    with pytest.raises(ConfigurationError, match=problem):
        configuration.read(tmp_path / name)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--grant", "nonsense"], "{}"),
        (["--grant", "http:["], "{}"),
        (["--grant", "file:/etc"], "{}"),
        (["--withhold", "nonsense"], "{}"),
        (["--withhold", "http:a.example"], "{}"),
        ([], '{"withheld": {"radio": ["nonsense"]}}'),
        (["--workers", "0"], "{}"),
        ([], '{"limits": {"nonsense": 1}}'),
        ([], '{"limits": {"cpu": {}}}'),
        ([], '{"grants": {"radio": ["nonsense"]}}'),
        ([], '{"settings": {"Video": "/no/such/folder"}}'),
    ],
)
def test_serve_refuses_what_it_cannot_do(
    cli: Cli, tmp_path: Path, arguments: list[str], text: str
) -> None:
    lay_out(tmp_path, {"c.json": text})
    serve = ("serve", "--http", "127.0.0.1:0", "--dir", tmp_path, "--config", tmp_path / "c.json")
    status, out, err = cli(*serve, *arguments)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith("sandbox: ")


# ---------------------------------------------------------------------- a real server


def test_a_server_restarts_in_its_place(serve: Serve, tmp_path: Path) -> None:
    count = """local s = require "server"
    local n = (s.memory() or 0) + 1
    s.memory(n)
    s.write(tostring(n))"""
    lay_out(
        tmp_path,
        {
            "plugins/count/main.lua": count,
            "plugins/asks/main.lua": GRANTED,
            "plugins/spins/main.lua": "while true do end",
            "c.toml": '[grants]\nasks = ["http:127.0.0.1:1"]\n[limits]\ncpu = "200ms"\n',
        },
    )
    served = serve("--dir", str(tmp_path), "--config", str(tmp_path / "c.toml"), "--workers", "2")
    token = (tmp_path / "admin-token").read_text().strip()
    assert served.log.read_text().count(token) == 1
    assert served.ask("/count/").text == "1"
    assert served.ask("/count/").text == "2"
    assert "capability" not in served.ask("/asks/").text
    assert served.ask("/spins/").status == 503
    assert served.ask("/restart", headers={"Origin": "http://evil.example"}).status == 403
    assert served.ask("/restart").status == 200
    # The listening socket stays: whoever comes meanwhile is answered by the next server.
    assert served.ask("/count/", headers={"Connection": "close"}).status == 200
    bearer = {"Authorization": f"Bearer {token}", "Origin": "http://elsewhere.example"}
    assert served.ask("/restart", headers=bearer).status == 200
    assert served.ask("/count/").status == 200
    status, printed = served.end()
    assert (status, printed) == (0, b"")
    assert served.log.read_text().count("restarting") == 2
    assert served.log.read_text().count(token) == 1


@pytest.mark.parametrize("keep", [False, True])
def test_memory_is_forgotten_unless_it_is_to_be_kept(
    serve: Serve, tmp_path: Path, keep: bool
) -> None:
    count = """local s = require "server"
    s.memory((s.memory() or 0) + 1)
    s.write(tostring(s.memory()))"""
    lay_out(tmp_path, {"plugins/count/main.lua": count})
    options = ["--dir", str(tmp_path), *(["--keep-memory"] if keep else [])]
    served = serve(*options)
    assert [served.ask("/count/").text for _ in range(2)] == ["1", "2"]
    served.end()
    assert serve(*options).ask("/count/").text == ("3" if keep else "1")


def test_memory_cannot_be_kept_nowhere(cli: Cli) -> None:
    status, _, err = cli("serve", "--http", "127.0.0.1:0", "--keep-memory")
    assert status == 2
    assert "keep_memory: there is no data folder" in err


def test_only_the_token_counts(serve: Serve, tmp_path: Path) -> None:
    served = serve("--dir", str(lay_out(tmp_path, {})), "--token-only")
    assert served.ask("/restart").status == 403
    token = (tmp_path / "admin-token").read_text().strip()
    assert served.ask("/settings", headers={"Authorization": f"Bearer {token}"}).status == 200
