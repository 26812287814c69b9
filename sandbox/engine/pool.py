"""Pools of workers for scripts and bare code: who runs now, who waits, and when workers end.

A plugin's scripts have a pool for each of their languages; bare code has one per language.  Of a
pool's workers at most `size` *run* when another one is let in; everybody else waits in the order
of arrival.  A worker that waits for the answer to its script's own HTTP request does not run: it
keeps its environment and memory but no processor, so others may run in its stead, up to
`WAITING_FACTOR` times `size` workers in all.  Thus a slow server elsewhere holds up neither other
plugins, who have pools of their own, nor soon the plugin itself.

When all of a pool's workers run something, and its runs are quick, more are sent ahead to them, up
to `AHEAD` each: a worker that goes on at once does in half the time what it does when it is woken
for each.  What was sent ahead is taken back, and run elsewhere, when the run before it begins to
wait for an HTTP request, or its worker dies.

Runs go to the worker that ran last: its memory is warm, and those that a burst needed fall idle
for good, and are ended after `IDLE_SECONDS` by the engine's clock; one stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sandbox.engine.core import Core
from sandbox.engine.runtimes import RuntimeInfo
from sandbox.engine.sandbox import Sandbox
from sandbox.errors import Busy, UnknownPlugin
from sandbox.limits import Limits

WAITING_FACTOR: Final = 8
"""How many times more workers than `size` a pool may have while most of them wait."""

AHEAD: Final = 8
"""How many runs a worker may have, those sent ahead included."""

QUICK_SECONDS: Final = 0.002
"""Nothing is sent ahead in a pool where a run takes longer than this on average, nor to a worker
whose present run has taken as long: who waits behind a slow run waits for the whole of it."""

IDLE_SECONDS: Final = 60.0
"""How long a worker that is not the last of its pool is kept without work."""

_LONGEST_RETRY: Final = 60.0
_FIRST_GUESS: Final = 0.1  # seconds that a run takes, before any was seen
_NEWEST: Final = 0.2  # how much of the running mean of durations the newest makes up


class Turn:
    """A place in the line.  `sandbox` is set when its turn has come; `ahead`: see `Pools.take`."""

    __slots__ = ("ahead", "first", "line", "sandbox")

    def __init__(self, ahead: bool, first: bool) -> None:
        self.ahead = ahead
        self.first = first
        self.line: deque[Any] = deque()
        self.sandbox: Sandbox | None = None


class Load:
    """What a busy worker has to do."""

    __slots__ = ("runs", "since", "spent")

    def __init__(self, since: float) -> None:
        self.runs = 1
        """Those sent ahead included."""
        self.since = since
        """When the present one began."""
        self.spent = False
        """Whether it is given nothing more, and is ended."""


class Pool:
    """The workers for one kind of runs."""

    __slots__ = ("away", "busy", "dropped", "idle", "key", "seconds", "size", "waiting")

    def __init__(self, key: tuple[str, str, RuntimeInfo, Limits], size: int) -> None:
        self.key = key
        self.size = size
        self.idle: list[tuple[Sandbox, float]] = []
        """Workers without work, and since when, the longest first."""
        self.busy: dict[Sandbox, Load] = {}
        """Workers that run something."""
        self.away: set[Sandbox] = set()
        """Those of them that wait for an HTTP request of their own."""
        self.waiting: deque[Turn] = deque()
        self.seconds = _FIRST_GUESS
        """How long runs take: a running mean."""
        self.dropped = False
        """Whether nobody will ask for it any more; its workers end as they come back."""

    def retry_after(self) -> float:
        """Seconds after which the line will be gone, as far as one can tell."""
        expected = (len(self.waiting) + 1) * self.seconds / self.size
        return min(max(expected, 1.0), _LONGEST_RETRY)


class Pools:
    """All pools of one engine.

    `size` is how many workers of a pool run at a time, `queue` how many requests may wait for
    each plugin's scripts.  Bare code waits without a limit: who runs it is the embedder.
    """

    def __init__(self, core: Core, size: int, queue: int) -> None:
        self._core = core
        self._size = size
        self._queue = queue
        self._pools: dict[tuple[str, str, RuntimeInfo, Limits], Pool] = {}
        self._of: dict[Sandbox, Pool] = {}
        core.away = self._away
        core.sweep = self._sweep

    # ------------------------------------------------------------------ taking and giving back

    async def take(
        self,
        kind: str,
        name: str,
        runtime: RuntimeInfo,
        limits: Limits,
        *,
        ahead: bool = False,
        first: bool = False,
    ) -> Sandbox:
        """A sandbox to run something in, at once or when its turn comes.

        With `ahead` it may be one that runs something else first.  With `first` the turn comes
        before those of all others.  Raises `Busy` when too many wait already.
        """
        key = (kind, name, runtime, limits)
        pool = self._pools.get(key)
        if pool is None:
            self.drop(kind, name, runtime)  # what it ran under before its manifest changed
            pool = self._pools[key] = Pool(key, self._size)
        if first or not pool.waiting:
            sandbox = self._obtain(pool, ahead)
            if sandbox is not None:
                return sandbox
        if kind == "script" and len(pool.waiting) >= self._queue and not first:
            raise Busy(pool.retry_after(), plugin=name)
        turn = Turn(ahead, first)
        if first:
            before = sum(one.first for one in pool.waiting)  # who was first before stays so
            pool.waiting.insert(before, turn)
        else:
            pool.waiting.append(turn)
        return await self._wait(pool, turn)

    def takes_more(self, sandbox: Sandbox) -> bool:
        """Whether a worker that was taken can be sent something now.  One that was to be sent it
        ahead may have begun to wait, or have come to its end, before our turn was told us."""
        load = self._of[sandbox].busy[sandbox]
        return not load.spent and (load.runs == 1 or sandbox not in self._of[sandbox].away)

    async def _wait(self, pool: Pool, turn: Turn) -> Sandbox:
        try:
            await self._core.driver.wait_in(turn.line)
        except BaseException:
            if turn.sandbox is None:
                pool.waiting.remove(turn)
                self._forget_if_empty(pool)
            else:  # our turn had come: it goes to the next
                self.give_back(turn.sandbox, ran=False)
            raise
        assert turn.sandbox is not None
        return turn.sandbox

    def _obtain(self, pool: Pool, ahead: bool) -> Sandbox | None:
        if len(pool.busy) - len(pool.away) >= pool.size:
            return self._shared(pool) if ahead else None
        if pool.idle:
            sandbox, _ = pool.idle.pop()
        elif len(pool.busy) < pool.size * WAITING_FACTOR:
            kind, name, runtime, limits = pool.key
            sandbox = Sandbox(name or runtime.name, kind, (name,), runtime, limits)
            self._core.sandboxes.append(sandbox)
            self._of[sandbox] = pool
        else:
            return None
        pool.busy[sandbox] = Load(self._core.clock.monotonic())
        return sandbox

    def _shared(self, pool: Pool) -> Sandbox | None:
        """The busy worker with least to do, if anything may be sent ahead at all."""
        if pool.seconds > QUICK_SECONDS or not self._core.driver.sends_ahead:
            return None
        begun = self._core.clock.monotonic() - QUICK_SECONDS
        found, least = None, AHEAD
        for sandbox, load in pool.busy.items():
            worker = sandbox.worker
            if (
                load.runs < least
                and load.since > begun
                and not load.spent
                and sandbox not in pool.away
                and not sandbox.busy  # its worker is being started
                and worker is not None
                and worker.alive
            ):
                found, least = sandbox, load.runs
        if found is not None:
            pool.busy[found].runs += 1
        return found

    def give_back(self, sandbox: Sandbox, *, keep: bool = True, ran: bool = True) -> None:
        """A run is over.  Its worker serves the next one, unless it is dead or not to be kept.
        One that has not begun (not `ran`) says nothing of how long runs take."""
        pool = self._of[sandbox]
        load = pool.busy[sandbox]
        now = self._core.clock.monotonic()
        load.runs -= 1
        worker = sandbox.worker
        if load.runs and not keep and worker is not None and worker.alive:
            # What was given up may be one that had not begun.
            keep = not self._core.driver.is_forsaken(worker)
            ran = ran and not keep
        if ran:
            pool.seconds += _NEWEST * (now - load.since - pool.seconds)
            load.since = now
        if load.runs:
            if not keep:
                load.spent = True
                self._core.discard(sandbox)
            self._serve_next(pool)
            return
        keep = keep and not load.spent
        del pool.busy[sandbox]
        pool.away.discard(sandbox)
        # One that never came to be made is as good as new.
        if keep and not pool.dropped and (worker is None or worker.alive):
            pool.idle.append((sandbox, now))
        else:
            self._end(sandbox)
        self._serve_next(pool)
        if not pool.idle:
            self._forget_if_empty(pool)
        elif self._core.next_sweep is None and (len(pool.idle) > 1 or pool.key[0] == "script"):
            if self._core.closed:
                return
            self._core.next_sweep = now + IDLE_SECONDS
            self._core.timer_added()

    def _serve_next(self, pool: Pool) -> None:
        while pool.waiting:
            sandbox = self._obtain(pool, pool.waiting[0].ahead)
            if sandbox is None:
                return
            turn = pool.waiting.popleft()
            turn.sandbox = sandbox
            self._core.driver.wake(turn.line)

    @contextmanager
    def _away(self, sandbox: Sandbox) -> Iterator[None]:
        """While a worker waits for an HTTP request of its own, another one may run."""
        pool = self._of.get(sandbox)
        if pool is None or sandbox not in pool.busy:
            yield
            return
        pool.away.add(sandbox)
        if pool.busy[sandbox].runs > 1 and sandbox.worker is not None:
            self._core.driver.withdraw(sandbox.worker)
        self._serve_next(pool)
        try:
            yield
        finally:
            pool.away.discard(sandbox)

    # ------------------------------------------------------------------ ending workers

    def _end(self, sandbox: Sandbox) -> None:
        del self._of[sandbox]
        self._core.sandboxes.remove(sandbox)
        self._core.discard(sandbox)

    def _forget_if_empty(self, pool: Pool) -> None:
        if not (pool.idle or pool.busy or pool.waiting) and self._pools.get(pool.key) is pool:
            del self._pools[pool.key]

    def drop(self, kind: str, name: str, runtime: RuntimeInfo | None = None) -> None:
        """End the workers of a plugin that was removed, or whose terms changed in `runtime`.

        Those that run something end after it, and who waits for them is still served.
        """
        for key, pool in list(self._pools.items()):
            if key[:2] == (kind, name) and name and runtime in (None, key[2]):
                pool.dropped = True
                del self._pools[key]
                while pool.idle:
                    self._end(pool.idle.pop()[0])

    def _sweep(self) -> None:
        """End workers that had no work for long, and those of plugins that are no more."""
        core, now = self._core, self._core.clock.monotonic()
        again = False
        for (kind, name, _, _), pool in list(self._pools.items()):
            if kind == "script":
                try:
                    core.plugins.folder(name)
                except UnknownPlugin:
                    self.drop(kind, name)
                    continue
            while len(pool.idle) > 1 and pool.idle[0][1] <= now - IDLE_SECONDS:
                self._end(pool.idle.pop(0)[0])
            again = again or kind == "script" or len(pool.idle) > 1
        core.next_sweep = now + IDLE_SECONDS if again else None
