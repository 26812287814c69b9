"""The command line: what it prints where, and with which exit status."""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from lupa import lua54

import sandbox
from sandbox.cli import main
from sandbox.cli.bundle import bundled_plugins
from sandbox.cli.output import as_json
from sandbox.engine.plugins import MAX_SOURCE
from sandbox.values import GuestError, GuestFunction, Stanza

BOUND = 60.0
COMMANDS = ("serve", "run", "check", "install", "uninstall", "list")
Cli = Callable[..., tuple[int, str, str]]


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


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file below a fresh folder."""

    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


Write = Callable[[str, str | bytes], Path]


def run_json(cli: Cli, *arguments: object) -> tuple[int, dict[str, Any]]:
    """`sandbox run --json`: exit status and the one object that it prints."""
    status, out, _ = cli("run", "--json", *arguments)
    assert out.count("\n") == 1
    return status, json.loads(out)


# ---------------------------------------------------------------------- in general


def test_version(cli: Cli) -> None:
    assert cli("--version") == (0, f"sandbox {version('plugin-sandbox')}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(cli: Cli, command: str) -> None:
    status, out, _ = cli(command, "--help")
    assert status == 0
    assert f"example: sandbox {command} " in out


def test_as_a_process(write: Write) -> None:
    path = write("a.lua", "for _ = 1, 20000 do print('x') end")
    command = [sys.executable, "-m", "sandbox.cli", "run", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=BOUND)
    assert (process.returncode, out, err) == (0, b"x\n" * 20000, b"")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(BOUND) == 1


# ---------------------------------------------------------------------- run


def test_run_prints_output_then_value(cli: Cli, write: Write) -> None:
    assert cli("run", write("a.lua", "print('hi') return {1, 'a'}")) == (0, 'hi\n[1, "a"]\n', "")
    assert cli("run", write("a.py", "print('hi')\n'value'")) == (0, "hi\nvalue\n", "")
    assert cli("run", write("empty.py", "")) == (0, "", "")


def test_run_json(cli: Cli, write: Write) -> None:
    status, shown = run_json(cli, write("a.py", "print('hi')\nx = float('inf')\nb'\\xff'"))
    assert status == 0
    assert shown.pop("usage")["cpu"]["limit"] == 1.0
    assert shown == {
        "ok": True,
        "value": {"$bytes": "/w=="},
        "output": "hi\n",
        "globals": {"x": {"$float": "inf"}},
        "error": None,
    }


def test_run_shows_the_plugins_error(cli: Cli, write: Write) -> None:
    path = write("e.py", "def f():\n    return 1 / 0\nprint('first')\nf()\n")
    status, out, err = cli("run", path)
    assert (status, out) == (1, "first\n")
    assert err == "e.py:2: division by zero\n  e.py:2: in f\n  e.py:4: in <module>\n"
    status, shown = run_json(cli, path)
    assert status == 1
    assert shown["error"] == {
        "type": "ZeroDivisionError",
        "message": "division by zero",
        "file": "e.py",
        "line": 2,
        "frames": [["e.py", 4, "<module>"], ["e.py", 2, "f"]],
    }


@pytest.mark.parametrize(
    ("name", "source", "error"),
    [
        ("l.lua", "while true do end", "LimitExceeded"),
        ("m.py", "'x' * 10**9", "LimitExceeded"),
        ("p.lua", "panic(404)", "Panic"),
        ("s.lua", "x = = 1", "SyntaxError"),
        ("u.py", b"\xff", "SyntaxError"),
        ("i.py", "import os", "ImportError"),
    ],
)
def test_run_fails_with(cli: Cli, write: Write, name: str, source: str, error: str) -> None:
    status, shown = run_json(cli, write(name, source), "--cpu", "200ms")
    assert (status, shown["ok"], shown["error"]["type"]) == (1, False, error)


def test_run_a_module(cli: Cli, write: Write) -> None:
    good = write("mod_good.lua", "module:log('info', 'on %s', module.host)")
    assert cli("run", good) == (0, "", "INFO localhost:good: on localhost\n")
    status, _, err = cli("run", write("mod_bad.py", "x = 1\nraise ValueError('bad')"))
    assert (status, err.splitlines()[0]) == (1, "mod_bad.py:2: bad")
    refuses = write("mod_no.py", "module.set_global()\ndef add_host(m):\n    return False, 'no'")
    assert cli("run", refuses) == (1, "", "add_host refused: no\n")


def test_run_a_plugin_folder(cli: Cli, write: Write) -> None:
    main_script = write("p/main.lua", "local s = require 's' s.write(404, s.path)")
    write("p/s.lua", "return require 'server'")
    assert cli("run", main_script)[0] == 1  # without a manifest it is bare code
    write("p/manifest.json", "{}")
    assert cli("run", main_script) == (1, "\n", "sandbox: the answer's status is 404\n")
    status, shown = run_json(cli, main_script, "--request", "x?y")
    assert (status, shown["ok"], shown["output"], shown["status"]) == (1, False, "x\n", 404)
    other = write("p/main.py", "import server\nserver.write('python')")
    assert cli("run", other) == (0, "python\n", "")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.lua", "No such file or directory"),
        ("folder.lua", "is a directory"),
        ("a.txt", "no runtime for this kind of file; there are .lua, .py"),
        ("long.py", f"{MAX_SOURCE + 1} bytes are more than {MAX_SOURCE}"),
        ("fifo.lua", "is not a file that can be read"),
    ],
)
def test_wrong_use_of_run(cli: Cli, write: Write, tmp_path: Path, name: str, says: str) -> None:
    write("folder.lua/x", "")
    write("a.txt", "")
    write("long.py", b"#" * (MAX_SOURCE + 1))
    os.mkfifo(tmp_path / "fifo.lua")
    status, out, err = cli("run", tmp_path / name)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"sandbox: {tmp_path / name}: ")
    assert says in err


def test_bad_limits_are_wrong_use(cli: Cli, write: Write) -> None:
    path = write("a.lua", "")
    for option in ("--cpu=soon", "--wall=-1", "--memory=1", "--output=nan"):
        status, _, err = cli("run", path, option)
        assert (status, err.count("\n")) == (2, 1)
    assert cli("run", path, "--isolation", "none")[0] == 2


# ---------------------------------------------------------------------- check


def test_check_the_bundled_plugins(cli: Cli) -> None:
    status, out, err = cli("check", bundled_plugins())
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "ok mod_greeter.lua: module; lua; asks for timer",
        "ok mod_visitors.py: module; python; asks for timer",
        "ok hello_lua: script; lua; asks for memory",
        "ok hello_python: script; python; asks for memory",
        "ok hello_tengo: script; tengo; asks for memory",
    ]


def test_check_finds_what_is_broken(cli: Cli, write: Write, tmp_path: Path) -> None:
    write("p/manifest.json", '{"Capabilities": ["fly"]}')
    write("p/main.py", "import server\nserver.memory()")
    write("p/lib/x.lua", "local = 1")
    write("q/main.lua/x", "")
    write("q/manifest.json", '{"Capabilities": ["http:a.example"]}')
    write("group/mod_m/mod_m.lua", "module:add_timer(1, print)")
    write("group/mod_m/m.lib.lua", "x = = 1")
    write("group/helper.lua", "not looked at")
    write(".hidden/mod_h.lua", "x = = 1")
    status, out, _ = cli("check", "--json", tmp_path)
    assert status == 1
    shown = {one["path"]: one for one in json.loads(out)["plugins"]}
    assert set(shown) == {"p", "q", "group/mod_m/mod_m.lua"}
    assert shown["p"]["capabilities"] == ["memory"]
    assert shown["p"]["languages"] == ["lua", "python"]
    assert [error.partition(": ")[0] for error in shown["p"]["errors"]] == [
        "manifest.json:1", "lib/x.lua:1",
    ]  # fmt: skip
    assert shown["q"]["errors"] == ["main.lua is a folder, not a script"]
    assert shown["q"]["capabilities"] == ["http:a.example"]
    assert shown["group/mod_m/mod_m.lua"]["capabilities"] == ["timer"]
    assert shown["group/mod_m/mod_m.lua"]["errors"][0].startswith("m.lib.lua:1: ")
    assert cli("check", tmp_path)[1].count("\nbroken ") == 2


def test_check_one_file_or_nothing(cli: Cli, write: Write, tmp_path: Path) -> None:
    path = write("x/a.py", "1")
    assert cli("check", path) == (0, "ok a.py: code; python; asks for nothing\n", "")
    assert cli("check", tmp_path)[0] == 1
    assert cli("check", tmp_path / "missing")[0] == 2
    assert cli("check", write("a.txt", ""))[0] == 1


# ---------------------------------------------------------------------- serve


@pytest.mark.parametrize("address", ["8080", "127.0.0.1", "127.0.0.1:70000", "[::1:8080", ":80"])
def test_serve_refuses_addresses(cli: Cli, address: str) -> None:
    status, out, err = cli("serve", "--http", address)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert address in err


def test_serve_without_a_folder_or_a_free_port(cli: Cli, tmp_path: Path) -> None:
    status, _, err = cli("serve", "--http", "127.0.0.1:0", "--dir", tmp_path)
    assert (status, err) == (2, f"sandbox: plugins: {tmp_path}/plugins is not a folder\n")
    (tmp_path / "plugins").mkdir()
    status, _, err = cli("serve", "--http", "192.0.2.1:80", "--dir", tmp_path)
    assert (status, err.count("\n")) == (2, 1)
    assert "cannot listen on 192.0.2.1:80" in err


def test_serve_without_its_packages(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("starlette", "starlette.applications", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)
    if hasattr(sandbox, "servers"):  # an import binds it anew, beside what is in sys.modules
        monkeypatch.setattr(sandbox, "servers", sandbox.servers)
    for name in [name for name in sys.modules if name.startswith("sandbox.servers")]:
        monkeypatch.delitem(sys.modules, name)
    status, _, err = cli("serve", "--http", "127.0.0.1:0")
    assert (status, err.count("\n")) == (2, 1)
    assert "install plugin-sandbox[servers]" in err
    importlib.invalidate_caches()


# ---------------------------------------------------------------------- JSON


def test_json_of_what_json_does_not_have() -> None:
    value = [GuestError("x"), GuestFunction(7), Stanza("iq", {"id": "1"}, ["t"]), float("nan")]
    assert json.loads(as_json(value)) == [
        {"$error": "x"},
        {"$function": 7},
        {"$stanza": ["iq", {"id": "1"}, ["t"]]},
        {"$float": "nan"},
    ]


# ---------------------------------------------------------------------- compile


def test_compile_shows_the_lua_of_a_script(cli: Cli, write: Write) -> None:
    path = write("a.tengo", "add := func(a, b) { return a + b }\nout := add(1, 2)\n")
    status, out, err = cli("compile", path)
    assert (status, err) == (0, "")
    assert "return a + b" in out
    assert lua54.LuaRuntime().compile(out) is not None


def test_compile_points_at_what_is_wrong(cli: Cli, write: Write) -> None:
    status, out, err = cli("compile", write("b.tengo", "a := 1\nb := a +* 2\n"))
    assert (status, out) == (1, "")
    assert err.startswith("b.tengo:2:9: Parse Error: ")
    lines = err.splitlines()
    assert lines[1] == "    b := a +* 2"
    assert lines[2].index("^") == 4 + 8
    assert cli("compile", write("c.lua", "return 1"))[0::2] == (
        1,
        "c.lua: lua is not compiled to another language\n",
    )
    assert cli("compile", "/nowhere/d.tengo")[0] == 1


def test_run_points_at_a_tengo_error(cli: Cli, write: Write) -> None:
    path = write("e.tengo", "f := func(x) {\n\treturn x + {}\n}\nf(1)\n")
    status, _, err = cli("run", path)
    assert status == 1
    assert err.splitlines() == [
        "e.tengo:2:9: Runtime Error: invalid operation: int + map",
        "  e.tengo:2:9: in f",
        "  e.tengo:4:1",
    ]
