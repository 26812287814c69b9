"""Pools: who runs, who waits, who is refused, and when workers end; and what is kept of files."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from sandbox import (
    AsyncEngine,
    Busy,
    ConfigurationError,
    Engine,
    Limits,
    ManualClock,
    PluginError,
    Policy,
    Request,
    UnknownPlugin,
)
from sandbox.engine import scripts, unchanged
from sandbox.engine.plugins import Plugins, Source, StaticFile, read_source
from sandbox.engine.pool import IDLE_SECONDS, WAITING_FACTOR
from sandbox.manifest import Manifest

BOUND = 60.0
MORE = WAITING_FACTOR + 2
LIMITS = Limits(cpu=10 * BOUND, wall=10 * BOUND)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Plugins that answer, wait for a server, or never end."""
    files = {
        "quick/main.lua": "require'server'.write('quick')",
        "other/main.lua": "require'server'.write('other')",
        "fetch/main.lua": "local s = require'server' s.write(s.request(s.read('from')).body)",
        "loop/main.lua": "while true do end",
        "sized/main.lua": "require'server'.write('sized')",
        "fails/main.lua": "error('no')",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path


class Slow:
    """A server elsewhere that answers nobody until it is told to; it counts who asks."""

    def __init__(self) -> None:
        self.asked = 0
        self.gone = asyncio.Event()
        self.answer = asyncio.Event()
        self.changed = asyncio.Condition()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        async with self.changed:
            self.asked += 1
            self.changed.notify_all()
        ended = asyncio.ensure_future(reader.read())
        answer = asyncio.ensure_future(self.answer.wait())
        await asyncio.wait([ended, answer], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            self.gone.set()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow")
        answer.cancel()
        writer.close()
        await ended

    async def until_asked(self, times: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.asked >= times)


@asynccontextmanager
async def slow_server() -> AsyncIterator[Slow]:
    slow = Slow()
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
    slow.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        yield slow


def engine_for(root: Path, slow: Slow, workers: int = 1, queue: int = 100) -> AsyncEngine:
    policy = Policy(plugins={"fetch": ["http:" + slow.url.split("/")[2]]})
    return AsyncEngine([root], policy=policy, limits=LIMITS, workers=workers, queue=queue)


async def ask(engine: AsyncEngine, plugin: str, query: str = "") -> str:
    return (await engine.request(plugin, Request("GET", f"/{plugin}/{query}"))).text


def run(scenario: Callable[[], object]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(BOUND):
            await scenario()  # type: ignore[misc]

    asyncio.run(bounded())


# ---------------------------------------------------------------------- who runs, who waits


def test_who_waits_for_the_network_lets_others_run(root: Path) -> None:
    async def scenario() -> None:
        async with slow_server() as slow, engine_for(root, slow) as engine:
            query = f"?from={slow.url}"
            waiting = [asyncio.create_task(ask(engine, "fetch", query)) for _ in range(MORE)]
            await slow.until_asked(WAITING_FACTOR)
            assert await ask(engine, "other") == "other"
            assert slow.asked == WAITING_FACTOR  # and no more, though more were asked for
            names = [name for name in engine.usage() if name.startswith("fetch")]
            assert len(names) == WAITING_FACTOR
            slow.answer.set()
            assert await asyncio.gather(*waiting) == ["slow"] * MORE

    run(scenario)


def test_a_computing_script_keeps_its_place(root: Path) -> None:
    async def scenario() -> None:
        async with AsyncEngine([root], limits=LIMITS, workers=2) as engine:
            loops = [asyncio.create_task(ask(engine, "loop")) for _ in range(3)]
            for _ in range(20):
                assert await ask(engine, "quick") == "quick"
            assert sum(name.startswith("loop") for name in engine.usage()) == 2
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            assert not any(name.startswith("loop") for name in engine.usage())

    run(scenario)


def test_turns_come_in_order_and_pass_on_when_given_up(root: Path) -> None:
    async def scenario() -> None:
        async with slow_server() as slow, engine_for(root, slow) as engine:
            query = f"?from={slow.url}"
            first = [
                asyncio.create_task(ask(engine, "fetch", query)) for _ in range(WAITING_FACTOR)
            ]
            await slow.until_asked(WAITING_FACTOR)
            done: list[int] = []

            async def one(number: int) -> None:
                await ask(engine, "fetch", query)
                done.append(number)

            line = [asyncio.create_task(one(number)) for number in range(6)]
            await asyncio.sleep(0)  # all of them are in line now
            line[1].cancel()
            line[3].cancel()
            slow.answer.set()
            await asyncio.gather(*first, *line, return_exceptions=True)
            assert sorted(done) == [0, 2, 4, 5]
            pool = next(iter(engine._scripts.pools._pools.values()))
            assert not pool.busy and not pool.waiting and not pool.away

    run(scenario)


def test_too_many_in_line_are_refused(root: Path) -> None:
    async def scenario() -> None:
        async with slow_server() as slow, engine_for(root, slow, queue=2) as engine:
            query = f"?from={slow.url}"
            tasks = []
            for running in range(WAITING_FACTOR):
                tasks.append(asyncio.create_task(ask(engine, "fetch", query)))
                await slow.until_asked(running + 1)
            tasks += [asyncio.create_task(ask(engine, "fetch", query)) for _ in range(2)]
            await asyncio.sleep(0)  # those are in line now
            with pytest.raises(Busy, match="too many requests") as refused:
                await ask(engine, "fetch", query)
            assert 1 <= refused.value.retry_after <= 60
            assert refused.value.plugin == "fetch"
            assert await ask(engine, "quick") == "quick"  # the line is the plugin's own
            slow.answer.set()
            assert await asyncio.gather(*tasks) == ["slow"] * MORE
            assert await ask(engine, "fetch", query) == "slow"

    run(scenario)


def test_bare_code_waits_without_a_limit() -> None:
    async def scenario() -> None:
        async with AsyncEngine(workers=1, queue=0) as engine:
            runs = await asyncio.gather(*(engine.execute("return 1", "lua") for _ in range(20)))
            assert [one.value for one in runs] == [1] * 20

    run(scenario)


def test_an_impossible_queue_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="queue"):
        Engine(queue=-1)


def test_a_cancelled_script_takes_its_request_along(root: Path) -> None:
    async def scenario() -> None:
        async with slow_server() as slow, engine_for(root, slow) as engine:
            task = asyncio.create_task(ask(engine, "fetch", f"?from={slow.url}"))
            await slow.until_asked(1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert engine.usage() == {}
            await slow.gone.wait()

    run(scenario)


def test_only_the_cancelled_ones_request_ends(root: Path) -> None:
    async def scenario() -> None:
        async with slow_server() as slow, engine_for(root, slow) as engine:
            tasks = [
                asyncio.create_task(ask(engine, "fetch", f"?from={slow.url}")) for _ in range(2)
            ]
            await slow.until_asked(2)
            tasks[0].cancel()
            await slow.gone.wait()
            slow.answer.set()
            assert await tasks[1] == "slow"

    run(scenario)


def test_the_blocking_engine_waits_too(root: Path) -> None:
    with Engine([root], workers=1) as engine:
        answers: list[str] = []

        def client() -> None:
            for _ in range(10):
                answers.append(engine.request("quick", Request("GET", "/quick/")).text)

        threads = [threading.Thread(target=client) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(BOUND)
        assert answers == ["quick"] * 40
        assert list(engine.usage()) == ["quick"]


def test_who_leaves_while_a_worker_starts_leaves_no_zombie(root: Path) -> None:
    async def scenario() -> None:
        async with AsyncEngine([root], limits=LIMITS, workers=1) as engine:
            assert await ask(engine, "quick") == "quick"
            zygote = next(iter(engine._core._zygotes.values())).pid
            task = asyncio.create_task(ask(engine, "other"))
            while "other" not in engine.usage():  # its worker was asked for, and has not greeted
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert "other" not in engine.usage()
            children = Path(f"/proc/{zygote}/task/{zygote}/children")
            while len(children.read_text().split()) > 1:  # the one that answered stays
                await asyncio.sleep(0)

    run(scenario)


def test_close_ends_who_waits(root: Path) -> None:
    async def scenario() -> None:
        engine = AsyncEngine([root], limits=LIMITS, workers=1)
        async with engine:
            tasks = [asyncio.create_task(ask(engine, "loop")) for _ in range(3)]
            assert await ask(engine, "quick") == "quick"
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, Exception) for result in results)

    run(scenario)


# ---------------------------------------------------------------------- idle workers


@contextmanager
def burst(root: Path) -> Iterator[tuple[AsyncEngine, ManualClock, asyncio.Runner]]:
    """An engine on which three runs of one plugin have just ended."""
    clock = ManualClock()
    with asyncio.Runner() as runner:
        engine = AsyncEngine([root], workers=3, clock=clock)

        async def start() -> None:
            await asyncio.gather(*(ask(engine, "quick") for _ in range(3)))
            assert len(engine.usage()) == 3

        runner.run(start())
        yield engine, clock, runner
        runner.run(engine.close())


def test_idle_workers_end_but_one(root: Path) -> None:
    with burst(root) as (engine, clock, runner):
        clock.advance(IDLE_SECONDS / 2)
        runner.run(engine.run_timers())
        assert len(engine.usage()) == 3
        runner.run(ask(engine, "quick"))  # the one that ran last serves again, the others idle on
        clock.advance(IDLE_SECONDS / 2)
        runner.run(engine.run_timers())
        assert len(engine.usage()) == 1
        clock.advance(IDLE_SECONDS * 2)
        runner.run(engine.run_timers())
        assert len(engine.usage()) == 1


def test_workers_of_a_removed_plugin_end(root: Path) -> None:
    with burst(root) as (engine, clock, runner):
        (root / "quick").rename(root / ".quick")
        clock.advance(IDLE_SECONDS)
        runner.run(engine.run_timers())
        assert engine.usage() == {}


def test_asking_for_a_removed_plugin_ends_its_workers(root: Path) -> None:
    with burst(root) as (engine, _, runner):
        (root / "quick").rename(root / ".quick")
        with pytest.raises(UnknownPlugin):
            runner.run(ask(engine, "quick"))
        assert engine.usage() == {}


def test_other_limits_mean_other_workers(root: Path) -> None:
    with burst(root) as (engine, _, runner):
        (root / "quick" / "manifest.json").write_text('{"Limits": {"cpu": "500ms"}}')
        assert runner.run(ask(engine, "quick")) == "quick"
        (usage,) = engine.usage().values()
        assert usage.cpu.limit == 0.5


def test_a_failing_script_keeps_its_worker(root: Path) -> None:
    with Engine([root], workers=1) as engine:
        for _ in range(2):
            with pytest.raises(PluginError, match="no"):
                engine.request("fails", Request("GET", "/fails/"))
        assert list(engine.usage()) == ["fails"]


# ---------------------------------------------------------------------- what is kept of files


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled at once, so that they are kept; changes must be seen all the same."""
    monkeypatch.setattr(unchanged, "SETTLED_SECONDS", -1.0)


def content(plugins: Plugins, plugin: str, path: str = "") -> bytes:
    found = plugins.resolve(plugin, path)
    assert isinstance(found, Source)
    return found.content


@pytest.mark.usefixtures("settled")
def test_an_unchanged_script_is_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = Plugins([root])
    before = plugins.resolve("quick", "")
    monkeypatch.setattr("sandbox.engine.plugins.read_source", lambda *_: b"read again")
    assert plugins.resolve("quick", "") is before
    assert plugins.resolve("quick", "what/is/not/there") is before
    assert plugins.resolve("quick", "main.lua") is before


def test_what_has_just_changed_is_not_kept(root: Path) -> None:
    plugins = Plugins([root])
    assert plugins.resolve("quick", "") is not plugins.resolve("quick", "")


@pytest.mark.usefixtures("settled")
def test_changes_are_seen(root: Path) -> None:
    plugins = Plugins([root])
    main = root / "quick" / "main.lua"
    assert b"quick" in content(plugins, "quick")
    main.write_bytes(b"-- longer than before, and not the same")
    assert b"longer" in content(plugins, "quick")
    (root / "quick" / "x.lua").write_bytes(b"x")
    assert content(plugins, "quick", "x.lua") == b"x"
    (root / "quick" / "x.lua").unlink()
    assert b"longer" in content(plugins, "quick", "x.lua")
    (root / "quick" / "sub").mkdir()
    (root / "quick" / "sub" / "main.lua").write_bytes(b"sub")
    assert content(plugins, "quick", "sub/") == b"sub"
    (root / "quick" / "sub").rename(root / "quick" / "bus")
    assert b"longer" in content(plugins, "quick", "sub/")
    assert content(plugins, "quick", "bus") == b"sub"
    assert plugins.manifest("quick").label == ""
    (root / "quick" / "manifest.json").write_text('{"Label": "L"}')
    assert plugins.manifest("quick").label == "L"
    main.unlink()
    assert plugins.resolve("quick", "") is None


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("place", ["root/quick/main.lua", "root/quick/sub", "root/quick", "root"])
def test_a_link_that_takes_a_place_is_seen(root: Path, tmp_path: Path, place: str) -> None:
    top = tmp_path / "top"
    (top / "root" / "quick" / "sub").mkdir(parents=True)
    (top / "root" / "quick" / "main.lua").write_bytes(b"inside")
    (top / "root" / "quick" / "sub" / "main.lua").write_bytes(b"inside")
    secret = tmp_path / "secret"
    (secret / "quick" / "sub").mkdir(parents=True)
    for path in (secret, secret / "quick", secret / "quick" / "sub"):
        (path / "main.lua").write_bytes(b"outside")
    plugins = Plugins([top / "root"])
    for _ in range(2):
        assert content(plugins, "quick") == content(plugins, "quick", "sub/") == b"inside"
    target = top / place
    target.rename(tmp_path / "away")
    target.symlink_to(secret / Path(place).relative_to("root"))
    if place == "root":  # the operator's own choice: links to the folder itself are followed
        assert content(plugins, "quick", "sub/") == b"outside"
    elif place == "root/quick":
        with pytest.raises(UnknownPlugin):
            plugins.resolve("quick", "")
    else:
        found = plugins.resolve("quick", "sub/")
        assert found is None or (isinstance(found, Source) and found.content == b"inside")
        main = plugins.resolve("quick", "")
        assert main is None or (isinstance(main, Source) and main.content == b"inside")


@pytest.mark.usefixtures("settled")
def test_an_earlier_folder_takes_precedence_when_it_appears(root: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    plugins = Plugins([first, root])
    assert b"quick" in content(plugins, "quick")
    (first / "quick").mkdir()
    assert b"quick" in content(plugins, "quick")  # it holds nothing yet
    (first / "quick" / "main.lua").write_bytes(b"first")
    assert content(plugins, "quick") == b"first"


def test_a_link_swapped_between_check_and_read_leads_nowhere(root: Path, tmp_path: Path) -> None:
    """As if somebody had won the race: the check is made again on the way to the file."""
    (tmp_path / "secret.lua").write_bytes(b"outside")
    path = root / "quick" / "late.lua"
    path.symlink_to(tmp_path / "secret.lua")
    with pytest.raises(PluginError, match="leads out of its folder"):
        read_source(path, "late.lua", "quick", root / "quick")


def test_a_pipe_is_refused_at_once(root: Path) -> None:
    os.mkfifo(root / "quick" / "main.py")
    (root / "quick" / "main.lua").unlink()
    with pytest.raises(PluginError, match=r"main\.py cannot be read: it is a pipe"):
        Plugins([root]).resolve("quick", "")


def test_a_pipe_that_is_named_by_its_path_is_refused_too(root: Path) -> None:
    """As `sandbox check` names sources."""
    pipe = root / "quick" / "pipe.lua"
    os.mkfifo(pipe)
    with pytest.raises(PluginError, match=r"pipe\.lua cannot be read: it is a pipe"):
        read_source(pipe, "pipe.lua", "quick")


def static(root: Path, change: Callable[[Path], object]) -> tuple[int, bytes]:
    """What answers a request for a file that `change` changes after it was found."""
    path = root / "quick" / "a.txt"
    path.write_bytes(b"inside")

    async def run() -> tuple[int, bytes]:
        async with AsyncEngine([root]) as engine:
            found = engine.resolve("quick", "/quick/a.txt")
            assert isinstance(found, StaticFile)
            change(path)
            answer = await engine.request("quick", Request("GET", "/quick/a.txt"), found)
            return answer.status, answer.body

    return asyncio.run(run())


@pytest.mark.parametrize("late", ["pipe", "socket", "folder", "nothing", "link out", "link"])
def test_a_file_that_is_none_any_more_is_not_sent(root: Path, tmp_path: Path, late: str) -> None:
    """As if somebody had won the race between the check and the use."""
    (tmp_path / "secret").write_bytes(b"outside")

    def change(path: Path) -> None:
        path.unlink()
        if late == "pipe":
            os.mkfifo(path)
        elif late == "socket":
            os.mknod(path, stat.S_IFSOCK | 0o600)
        elif late == "folder":
            path.mkdir()
        elif late == "link out":
            path.symlink_to(tmp_path / "secret")
        elif late == "link":
            path.symlink_to("main.lua")

    status, body = static(root, change)
    if late == "link":  # what is in the folder may be read
        assert (status, body) == (200, b"require'server'.write('quick')")
    else:
        assert (status, body) == (404, b"Not Found\n")


def test_a_file_that_is_sent_at_once_may_not_be_long(root: Path) -> None:
    def grow(by: int) -> Callable[[Path], None]:
        return lambda path: os.truncate(path, scripts.MAX_STATIC + by)

    status, body = static(root, grow(0))
    assert (status, len(body)) == (200, scripts.MAX_STATIC)
    with pytest.raises(PluginError, match=r"^a\.txt is longer than 16777216 bytes ") as caught:
        static(root, grow(1))
    assert (caught.value.plugin, caught.value.file) == ("quick", "a.txt")


def test_a_file_that_cannot_be_read_is_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(scripts, "read_file", refuse)
    with pytest.raises(PluginError, match=r"^a\.txt cannot be read: Permission denied "):
        static(root, lambda path: None)


@pytest.mark.parametrize("linked", [False, True])
def test_a_plugin_whose_manifest_is_a_pipe_does_not_run(root: Path, linked: bool) -> None:
    name = "pipe" if linked else "manifest.json"
    os.mkfifo(root / "quick" / name)
    if linked:
        (root / "quick" / "manifest.json").symlink_to("pipe")
    found = Plugins([root])
    with pytest.raises(PluginError, match="cannot be read: it is not a regular file"):
        found.manifest("quick")
    with Engine([root]) as engine, pytest.raises(PluginError, match="it is not a regular file"):
        engine.request("quick", Request("GET", "/quick/"))


def test_a_manifest_that_leads_out_counts_as_absent(root: Path, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"Label": "not ours"}')
    (root / "quick" / "manifest.json").symlink_to(tmp_path / "other.json")
    (root / "bare").mkdir()
    (root / "bare" / "manifest.json").symlink_to(tmp_path / "other.json")
    found = Plugins([root])
    assert found.manifest("quick") == Manifest()
    assert content(found, "quick") == b"require'server'.write('quick')"
    assert "quick" in found.names()
    assert "bare" not in found.names()
    with pytest.raises(UnknownPlugin):
        found.place("bare")


def test_a_socket_is_refused(root: Path) -> None:
    (root / "quick" / "main.lua").unlink()
    before = os.getcwd()
    os.chdir(root / "quick")  # a socket's path may have 107 characters
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("main.lua")
            with pytest.raises(PluginError, match=r"main\.lua cannot be read"):
                Plugins([root]).resolve("quick", "")
    finally:
        os.chdir(before)


def test_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "SETTLED_SECONDS", -1.0)
    kept: unchanged.Unchanged[str, str] = unchanged.Unchanged(entries=2, room=100)
    looks = [unchanged.look(tmp_path)]
    for name in "abc":
        kept.put(name, name, looks, 10)
    assert [kept.get(name) for name in "abc"] == [None, "b", "c"]
    kept.put("d", "d", looks, 95)
    assert [kept.get(name) for name in "bcd"] == [None, None, "d"]
    kept.put("e", "e", looks, 101)
    assert kept.get("e") is None and kept.get("d") == "d"
