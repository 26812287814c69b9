"""Runs sent ahead to a busy worker: they are many, and none of them suffers from the one before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox import AsyncEngine, LimitExceeded, Limits, ManualClock, Policy, Request
from sandbox.engine.driver import Chain
from sandbox.engine.pool import AHEAD, QUICK_SECONDS, Pool
from sandbox.engine.scripts import _SHORT
from sandbox.engine.workers import current_chain

BOUND = 60.0
SOURCES = {
    "main.lua": """
        local s = require "server"
        local what = s.read("do")
        if what == "fetch" then s.write(s.request(s.read("from")).body) end
        if what == "loop" then while true do end end
        if what == "work" then for _ = 1, 3e7 do end end
        local held, much = {}, ("x"):rep(1e6)
        while what == "hoard" do held[#held + 1] = much .. #held end
        s.write("did ", s.read("n") or what)
    """,
    "main.py": """
import server
what = server.read("do")
if what == "fetch":
    server.write(server.request(server.read("from"))["body"])
while what == "loop":
    pass
if what == "work":
    for _ in range(5_000_000):
        pass
held = []
while what == "hoard":
    held.append("x" * 1_000_000 + "y")
server.write("did ", server.read("n") or what)
""",
    "main.tengo": """
        s := import("server")
        what := s.read("do")
        if what == "fetch" { s.write(s.request(s.read("from")).body) }
        for what == "loop" {}
        if what == "work" { for i := 0; i < 30000000; i++ {} }
        held := []
        for what == "hoard" { held = append(held, bytes(1000000)) }
        s.write("did ", s.read("n") || what)
    """,
}


class Scene:
    """An engine with one worker for one plugin, whose runs count as quick."""

    def __init__(self, engine: AsyncEngine, clock: ManualClock, url: str) -> None:
        self.engine, self.clock, self.url = engine, clock, url
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def ask(self, what: str, number: int | str = "", body: bytes = b"") -> str:
        query = (
            f"do={what}&n={number}&from={self.url}"
            if number != ""
            else f"do={what}&from={self.url}"
        )
        return (
            await self.engine.request("some", Request("GET", f"/some/?{query}", body=body))
        ).text

    def begin(self, what: str, number: int | str = "") -> asyncio.Task[str]:
        return asyncio.create_task(self.ask(what, number))

    @property
    def pool(self) -> Pool:
        (pool,) = self.engine._scripts.pools._pools.values()
        return pool

    @property
    def runs(self) -> list[int]:
        """How much each busy worker has to do."""
        return [load.runs for load in self.pool.busy.values()]

    async def warm_up(self) -> None:
        assert await self.ask("nothing") == "did nothing"
        self.pool.seconds = 0.0


@pytest.fixture(params=SOURCES)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same plugin in each language."""
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / request.param).write_text(SOURCES[request.param])
    return tmp_path


@asynccontextmanager
async def scene(root: Path, **limits: float | str) -> AsyncIterator[Scene]:
    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        here.asked.set()
        await here.answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow")
        writer.close()

    # The clock stands still: no run is ever slow, however slow the machine is.
    clock = ManualClock()
    server = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    policy = Policy(plugins={"some": [f"http:{host}"]})
    allowed = Limits(cpu=10 * BOUND, wall=10 * BOUND).replace(**limits)
    async with (
        server,
        AsyncEngine([root], policy=policy, limits=allowed, workers=1, clock=clock) as engine,
    ):
        here = Scene(engine, clock, f"http://{host}/")
        await here.warm_up()
        yield here
        here.answer.set()


def run(root: Path, scenario: Callable[[Scene], Awaitable[None]], **limits: float | str) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(BOUND), scene(root, **limits) as here:
            await scenario(here)

    asyncio.run(bounded())


def test_quick_runs_are_sent_ahead(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        tasks = [here.begin("count", number) for number in range(3 * AHEAD)]
        await asyncio.sleep(0)  # each of them has asked now
        assert here.runs == [AHEAD]
        assert len(here.pool.waiting) == 2 * AHEAD
        assert await asyncio.gather(*tasks) == [f"did {number}" for number in range(3 * AHEAD)]
        assert here.runs == []
        assert len(here.engine.usage()) == 1

    run(root, scenario)


def test_who_waits_for_the_network_holds_up_nobody(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        slow = here.begin("fetch")
        quick = [here.begin("count", number) for number in range(AHEAD - 1)]
        await asyncio.sleep(0)
        assert here.runs == [AHEAD]
        assert await asyncio.gather(*quick) == [f"did {number}" for number in range(AHEAD - 1)]
        assert here.asked.is_set()
        assert not slow.done()
        here.answer.set()
        assert (await slow).startswith("slow")
        assert await here.ask("again") == "did again"

    run(root, scenario)


def test_a_death_takes_nobody_along(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        dies = here.begin("loop")
        quick = [here.begin("count", number) for number in range(AHEAD - 1)]
        await asyncio.sleep(0)
        assert here.runs == [AHEAD]
        with pytest.raises(LimitExceeded, match="cpu"):
            await dies
        assert await asyncio.gather(*quick) == [f"did {number}" for number in range(AHEAD - 1)]

    run(root, scenario, cpu=0.3)


def test_who_leaves_before_its_run_began_disturbs_nobody(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        works = here.begin("work")
        leaves = here.begin("loop")
        stays = here.begin("count", 1)
        await asyncio.sleep(0)
        assert here.runs == [3]
        leaves.cancel()
        await asyncio.gather(leaves, return_exceptions=True)
        assert here.runs == [2]
        # It would run for ever: when it begins, and nobody waits for it, its worker is ended.
        assert await asyncio.gather(works, stays) == ["did work", "did 1"]
        assert here.runs == []

    run(root, scenario)


def test_who_leaves_ends_what_runs_for_it(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        leaves = here.begin("loop")
        quick = [here.begin("count", number) for number in range(3)]
        await asyncio.sleep(0)
        assert here.runs == [4]
        leaves.cancel()
        assert await asyncio.gather(*quick) == ["did 0", "did 1", "did 2"]
        assert leaves.cancelled()

    run(root, scenario)


def test_all_leave(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        tasks = [here.begin("loop") for _ in range(3 * AHEAD)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        assert await here.ask("on") == "did on"

    run(root, scenario)


def test_nothing_is_sent_behind_a_slow_run(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        slow = here.begin("work")
        await asyncio.sleep(0)
        here.clock.advance(2 * QUICK_SECONDS)
        waits = here.begin("count", 1)
        await asyncio.sleep(0)
        assert here.runs == [1]
        assert len(here.pool.waiting) == 1
        assert await asyncio.gather(slow, waits) == ["did work", "did 1"]

    run(root, scenario)


def test_nothing_is_sent_ahead_where_runs_are_slow(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        here.pool.seconds = 2 * QUICK_SECONDS
        tasks = [here.begin("count", number) for number in range(3)]
        await asyncio.sleep(0)
        assert here.runs == [1]
        assert await asyncio.gather(*tasks) == ["did 0", "did 1", "did 2"]

    run(root, scenario)


def test_long_requests_are_not_sent_ahead(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        tasks = [here.begin("count", 0)]
        tasks.append(asyncio.create_task(here.ask("count", 1, body=bytes(_SHORT))))
        await asyncio.sleep(0)
        assert here.runs == [1]
        assert await asyncio.gather(*tasks) == ["did 0", "did 1"]

    run(root, scenario)


def test_one_that_runs_out_of_memory_takes_nobody_along(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        dies = here.begin("hoard")
        quick = [here.begin("count", number) for number in range(AHEAD - 1)]
        await asyncio.sleep(0)
        assert here.runs == [AHEAD]
        with pytest.raises(LimitExceeded, match="memory"):
            await dies
        assert await asyncio.gather(*quick) == [f"did {number}" for number in range(AHEAD - 1)]

    run(root, scenario, memory="32MiB")


def test_a_turn_that_comes_as_the_run_before_begins_to_wait(root: Path) -> None:
    """Its worker was given to it, and begins to wait before it hears of that."""

    async def scenario(here: Scene) -> None:
        runs = here.begin("loop")
        others = [here.begin("count", number) for number in range(AHEAD)]
        await asyncio.sleep(0)
        assert here.runs == [AHEAD]
        assert len(here.pool.waiting) == 1
        (sandbox,) = here.pool.busy
        others[0].cancel()
        while here.pool.waiting:
            await asyncio.sleep(0)
        with here.engine._core.away(sandbox):
            assert await others[-1] == f"did {AHEAD - 1}"
        runs.cancel()
        numbers = range(1, AHEAD - 1)
        assert await asyncio.gather(*others[1:-1]) == [f"did {number}" for number in numbers]

    run(root, scenario)


def test_who_leaves_does_not_make_a_slow_run_look_new(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        slow = here.begin("loop")
        leaves = here.begin("count", 1)
        await asyncio.sleep(0)
        assert here.runs == [2]
        here.clock.advance(2 * QUICK_SECONDS)
        leaves.cancel()
        await asyncio.gather(leaves, return_exceptions=True)
        waits = here.begin("count", 2)
        await asyncio.sleep(0)
        assert here.runs == [1]
        slow.cancel()
        assert await waits == "did 2"

    run(root, scenario)


def test_what_has_not_begun_says_nothing_of_how_long_runs_take(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        slow = here.begin("fetch")
        quick = [here.begin("count", number) for number in range(AHEAD - 1)]
        await asyncio.sleep(0)
        here.pool.seconds = 0.001
        while not here.pool.away:
            await asyncio.sleep(0)
        for _ in range(2):
            await asyncio.sleep(0)
        assert here.pool.seconds == 0.001
        here.answer.set()
        await asyncio.gather(slow, *quick)

    run(root, scenario)


def test_who_leaves_while_its_worker_starts(root: Path) -> None:
    async def scenario(here: Scene) -> None:
        slow = here.begin("fetch")
        await here.asked.wait()
        first, *others = (here.begin("count", number) for number in range(3))
        await asyncio.sleep(0)
        first.cancel()
        assert await asyncio.gather(*others) == ["did 1", "did 2"]
        assert len(here.engine.usage()) == 2
        here.answer.set()
        assert (await slow).startswith("slow")

    run(root, scenario)


def test_what_a_plugin_waits_for_is_not_sent_ahead(root: Path) -> None:
    """A function of the embedder, which a plugin called, asks for a script."""

    async def scenario(here: Scene) -> None:
        runs = here.begin("loop")
        await asyncio.sleep(0)
        token = current_chain.set(Chain(1))
        inner = here.begin("count", 1)
        current_chain.reset(token)
        await asyncio.sleep(0)
        assert here.runs == [1]
        with pytest.raises(LimitExceeded):
            await runs
        assert await inner == "did 1"

    run(root, scenario, cpu=0.3)


def test_other_calls_to_the_worker_are_not_withdrawn(root: Path) -> None:
    """A script's worker may say that it hooks an event; then it is asked, in its turn."""

    async def scenario(here: Scene) -> None:
        slow = here.begin("fetch")
        quick = [here.begin("count", number) for number in range(3)]
        await asyncio.sleep(0)
        (sandbox,) = here.pool.busy
        here.engine._core.routes.listen(sandbox, "*", "e", [0])
        fired = asyncio.create_task(here.engine.fire("*", "e"))
        await here.asked.wait()
        here.answer.set()
        assert await asyncio.gather(*quick) == ["did 0", "did 1", "did 2"]
        await slow
        await asyncio.gather(fired, return_exceptions=True)

    run(root, scenario)
