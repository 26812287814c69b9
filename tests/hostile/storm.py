"""One storm: every probe through one engine, while a well-behaved plugin is served.

Owns the engine, the canaries and the verdict on each probe.
"""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sandbox import Engine, LimitExceeded, Limits, PluginError, PolicyDenied, SandboxCrashed
from sandbox.engine.runtimes import RuntimeInfo
from sandbox.engine.sandbox import Sandbox
from sandbox.engine.zygote import Zygote
from sandbox.errors import SandboxError
from tests.hostile import traces
from tests.hostile.bystander import HOST, Bystander, Latencies
from tests.hostile.corpus import CANARY_FILE, Probe
from tests.hostile.liar import ALSO, STREAMS
from tests.hostile.looped import LoopedEngine
from tests.hostile.packages import Packages

GRACE: Final = 1.0
"""Seconds past its deadline within which a probe must be over: killing, reaping, a busy machine."""

_HANG: Final = 10.0
"""Seconds past its deadline after which a probe's workers are killed from outside."""

_GROWTH: Final = 32 * 2**20
"""How much more memory than before the engine may have needed during one byte stream, at most:
the 16 MiB of the corpus, and as much again for what the second plugin's measurements take."""

_LIMIT_WORDS: Final = {
    "cpu": "cpu_limit",
    "wall": "wall_limit",
    "memory": "mem_limit",
    "output": "output_limit",
    "host_calls": "rate_limit",
    "egress": "rate_limit",
    "storage": "mem_limit",
    "log_lines": "rate_limit",
}

_WITNESS: Final = {
    "python": """
import json, math, random
RESULT = [math.sqrt(4), json.dumps([1]), len("abc"), sorted([2, 1]), "a".upper(), len(given)]
RESULT.append(random.random())
""",
    "lua": """
local found = { math.sqrt(4), string.format("%d", 1), #"abc", ("a"):upper(), rawlen({ 1 }), #given }
found[#found + 1] = tostring(injected_by_plugin) .. tostring(CROSS_PLUGIN_MARK) .. type(_G.table)
found[#found + 1] = math.random()
return found
""",
}
"""A second program, run after each probe where the probe ran: it must find everything as it was."""

_WITNESSED: Final[dict[str, list[Any]]] = {
    "python": [2.0, "[1]", 3, [1, 2], "A", 100_000],
    "lua": [2.0, "1", 3, "A", 1, 100_000, "nilniltable"],
}


@dataclass
class Verdict:
    """What came of one probe."""

    probe: Probe
    outcome: str = ""
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    leak: str = ""
    hung: bool = False

    def escaped(self) -> bool:
        """Whether anything got out."""
        return any(problem.startswith("ESCAPED") for problem in self.problems)


class Canaries:
    """What no probe may read, change or make."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = f"CANARY-ENV-{secrets.token_hex(8)}"
        self.content = f"CANARY-FILE-{secrets.token_hex(8)}"
        self._file = folder / "canary"
        self._pwned = folder / "canary_pwned"
        self._outside = Path(f"{CANARY_FILE}_pwned")
        self._was_outside = self._outside.exists()

    @contextmanager
    def out(self) -> Iterator[None]:
        """Put them out, and take them in again."""
        self._file.write_text(self.content)
        before = os.environ.get("SANDBOX_CANARY")
        os.environ["SANDBOX_CANARY"] = self.secret
        try:
            yield
        finally:
            if before is None:
                del os.environ["SANDBOX_CANARY"]
            else:
                os.environ["SANDBOX_CANARY"] = before

    def placed(self, source: str) -> str:
        """A probe's source with our private path in it."""
        return source.replace(CANARY_FILE, str(self._file))

    def problems(self, text: str) -> Iterator[str]:
        """What is wrong with what a probe said and did."""
        if "ESCAPED" in text:
            start = text.index("ESCAPED")
            yield text[start : start + 200]
        if self.secret in text or self.content in text:
            yield "ESCAPED: the value of a canary is in the reply"
        if self._pwned.exists() or (self._outside.exists() and not self._was_outside):
            self._pwned.unlink(missing_ok=True)
            yield "ESCAPED: it wrote a file"
        if self._file.read_text() != self.content:
            yield "ESCAPED: it changed a file"


class Journal(logging.Handler):
    """What the plugins and the engine logged since the last look."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's text."""
        self._texts.append(record.getMessage())

    def taken(self) -> str:
        """The texts, which are then forgotten."""
        texts, self._texts = self._texts, []
        return "\n".join(texts)


def word_for(error: BaseException | None) -> str:
    """The corpus's word for how a run ended."""
    if error is None:
        return "contained"
    if isinstance(error, LimitExceeded):
        return _LIMIT_WORDS[error.limit]
    if isinstance(error, (PluginError, PolicyDenied)):
        return "policy_error"
    if isinstance(error, SandboxCrashed):
        return "protocol_error" if "protocol" in error.message else "worker_death"
    return f"raised {type(error).__name__}"


def told(error: BaseException | None) -> str:
    """All the texts of an error."""
    if error is None:
        return ""
    frames = getattr(error, "traceback", str)
    return f"{error} {frames() if frames is not str else ''} {vars(error)!r}"


class Storm:
    """The engine, the bystander, and the probes one after another."""

    def __init__(self, cpu: float, stack: ExitStack, kind: str = "blocking") -> None:
        self._cpu = cpu
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storm-")))
        self._canaries = Canaries(self._folder)
        stack.enter_context(self._canaries.out())
        self._files = traces.open_files()
        self._threads = traces.threads()
        self._journal = Journal()
        logger = logging.getLogger("sandbox")
        level = logger.level
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self._journal)
        stack.callback(logger.setLevel, level)
        stack.callback(logger.removeHandler, self._journal)
        self._limits = self._limits_for(1.0)
        here = Path(__file__).parent / "plugins"
        make = {"blocking": Engine, "asyncio": LoopedEngine}[kind]
        self.engine = stack.enter_context(
            make([here, self._folder], [HOST], limits=self._limits, workers=1)
        )
        if kind == "asyncio":  # its thread, and the descriptors of its loop
            self._threads += 1
            self._files = traces.open_files()
        self._core = self.engine._core
        # The liar's zygote is not hardened: a taken-over worker with a broken jail around it.
        runtime = RuntimeInfo("liar", "tests.hostile.liar:create", "liar")
        self._core._zygotes["liar"] = Zygote(runtime.factory, jail=False)
        self._liar = runtime
        for language in _WITNESS:
            self._witness(language)
        self._packages = Packages(self._folder / "packages")
        self.bystander = stack.enter_context(Bystander(self.engine))
        self._names = {path.name for path in self._folder.iterdir()}
        self._random: set[Any] = set()
        self.before = Latencies()

    def _limits_for(self, deadline: float) -> Limits:
        return Limits(cpu=self._cpu, wall=deadline, memory="64MiB", output="1MiB")

    # ------------------------------------------------------------------ what is left behind

    def _left(self) -> list[str]:
        """Processes, threads and descriptors that should not be there, a second later at most:
        a thread that was joined still shows among the kernel's tasks for a moment."""
        until = time.monotonic() + 1.0
        found = self._seen()
        while found and time.monotonic() < until:
            os.sched_yield()
            found = self._seen()
        return found

    def _seen(self) -> list[str]:
        core = self._core
        zygotes = {one.pid for one in (*core._zygotes.values(), *core._following.values())}
        alive = [one.worker for one in self._core.sandboxes if one.worker is not None]
        known = zygotes | {worker.pid for worker in alive}
        family = traces.descendants(os.getpid())
        found = [
            f"process {pid} ({one.state}) is left"
            for pid, one in family.items()
            if pid not in known or one.state == "Z"
        ]
        # A socket and a pidfd for each worker, a socket for each zygote.
        files = traces.open_files() - self._files - 2 * len(alive) - len(zygotes)
        if files > 0:
            found.append(f"{files} descriptors are left")
        threads = traces.threads() - self._threads - 1  # the bystander's
        if threads > 0:
            found.append(f"{threads} threads are left")
        names = {path.name for path in self._folder.iterdir()} - self._names
        if names:
            found.append(f"files are left: {sorted(names)}")
        return found

    def _kill_all_but_the_bystander(self) -> None:
        for one in list(self._core.sandboxes):
            worker = one.worker
            if worker is not None and worker.pid != self.bystander.pid:
                os.kill(worker.pid, 9)

    @contextmanager
    def _watched(self, verdict: Verdict) -> Iterator[None]:
        """Ends a probe that hangs, and says that it did."""

        def end() -> None:
            verdict.hung = True
            self._kill_all_but_the_bystander()

        timer = threading.Timer(verdict.probe.deadline + _HANG, end)
        timer.start()
        start = time.monotonic()
        try:
            yield
        finally:
            verdict.seconds = time.monotonic() - start
            timer.cancel()
            timer.join()

    # ------------------------------------------------------------------ running

    def run(self, probe: Probe) -> Verdict:
        """Run one probe in every way it asks for; a verdict without problems is a pass."""
        verdict = Verdict(probe)
        if probe.folder == "protocol":
            self._lie(verdict)
        elif probe.folder == "package":
            self._unpack(verdict)
        else:
            way = self._as_module if probe.wants_api else self._as_code
            self._once(verdict, way)
            if probe.folder != "resource" and not verdict.problems:
                self._once(verdict, way)  # once more, as somebody else's program
            self._second_step(verdict)
        verdict.problems += self._left()
        if self.bystander.replacements():
            verdict.problems.append("the second plugin's worker was replaced")
        return verdict

    def _once(self, verdict: Verdict, way: Callable[[Probe], tuple[str, str]]) -> None:
        self._journal.taken()
        with self._watched(verdict):
            verdict.outcome, said = way(verdict.probe)
        self._judge(verdict, said, verdict.probe.expect)

    def _judge(self, verdict: Verdict, said: str, expect: frozenset[str]) -> None:
        said += self._journal.taken()
        verdict.problems += self._canaries.problems(said)
        if "LEAK" in said:
            start = said.index("LEAK")
            verdict.leak = said[start : start + 100].splitlines()[0]
        if "cpu_limit" in expect:
            expect |= {"wall_limit"}  # a machine too busy to give it that much of a processor
        if "worker_death" in expect:
            expect |= frozenset(_LIMIT_WORDS.values())  # each ends the worker, and says more
        if verdict.outcome not in expect and not verdict.escaped():
            wanted = "|".join(sorted(expect))
            verdict.problems.append(f"{verdict.outcome} is not {wanted}: {said[:200]}")
        late = verdict.seconds - verdict.probe.deadline - GRACE
        if late > 0:
            verdict.problems.append(f"over {late:.2f} s after its deadline and {GRACE} s")
        if verdict.hung:
            verdict.problems.append("it hung, and was ended from outside")

    def _as_code(self, probe: Probe) -> tuple[str, str]:
        run = self.engine.execute(
            self._canaries.placed(probe.source),
            probe.language,
            inputs={"api": None},
            limits=self._limits_for(probe.deadline),
        )
        said = f"{run.value!r} {run.globals!r} {run.output} {told(run.error)}"
        return word_for(run.error), said

    def _as_module(self, probe: Probe) -> tuple[str, str]:
        """As a module on a host, with functions of ours in the data of the event."""
        heard: list[str] = []

        def log(*args: Any) -> None:
            heard.append(repr(args))

        def echo(*args: Any) -> Any:
            return args[0] if args else None

        def config(*args: Any) -> Any:
            return {"name": "host"}

        def get(key: Any = None, default: Any = None) -> Any:
            return default

        name = f"p{probe.id.replace('-', '')}"
        file = self._folder / f"mod_{name}.lua"
        source = self._canaries.placed(probe.source)
        file.write_text(
            f"module:hook({probe.id!r}, function(event)\nlocal api = event.api\n{source}\nend)\n",
            errors="surrogateescape",
        )
        errors: list[SandboxError] = []
        value = None
        try:
            self.engine.load(HOST, name)
            api = {"log": log, "echo": echo, "config": config, "get": get}
            value = self.engine.fire(HOST, probe.id, {"api": api})
        except SandboxError as failed:
            errors.append(failed)
        try:
            if name in self.engine.modules(HOST):
                self.engine.unload(HOST, name)
        except SandboxError as failed:  # it ate all memory and kept it, for example
            errors.append(failed)
        file.unlink()
        texts = " ".join(map(told, errors))
        return word_for(errors[0] if errors else None), f"{value!r} {heard!r} {texts}"

    def _lie(self, verdict: Verdict) -> None:
        name = verdict.probe.source
        if name not in STREAMS:
            verdict.problems.append("the harness has no such byte stream")
            return
        one = Sandbox("liar", "code", ("liar",), self._liar, self._limits_for(1.0))
        self._core.sandboxes.append(one)
        self._journal.taken()
        traces.reset_peak()
        before = traces.peak()
        errors: list[SandboxError] = []
        said = ""
        with self._watched(verdict):
            for _ in range(2):  # the second call is where a lie told ahead would be believed
                try:
                    said += repr(self.engine._run(self._core.call(one, name, [])))
                except SandboxError as error:
                    errors.append(error)
                    said += told(error)
                    break
        growth = traces.peak() - before
        if growth > _GROWTH:
            verdict.problems.append(f"the engine grew by {growth / 2**20:.0f} MiB")
        self._core.sandboxes.remove(one)
        if isinstance(self.engine, LoopedEngine):
            self.engine.do(lambda: self._core.discard(one))
        else:
            self._core.discard(one)
        verdict.outcome = word_for(errors[0]) if errors else "ok"
        if verdict.outcome == "wall_limit":
            verdict.outcome = "call_timeout"
        self._judge(verdict, said, verdict.probe.expect | ALSO.get(name, frozenset()))

    def _unpack(self, verdict: Verdict) -> None:
        """Try to install a package, as it is and in our own words."""
        self._packages.build(verdict.probe)  # the attacker's work, which does not count
        self._journal.taken()
        traces.reset_peak()
        before = traces.peak()
        with self._watched(verdict):
            verdict.outcome, said, problems = self._packages.run(verdict.probe)
        verdict.problems += problems
        growth = traces.peak() - before
        if growth > _GROWTH:
            verdict.problems.append(f"the engine grew by {growth / 2**20:.0f} MiB")
        self._judge(verdict, said, verdict.probe.expect)

    # ------------------------------------------------------------------ afterwards

    def _witness(self, language: str) -> list[Any]:
        inputs = {"given": "x" * 100_000}
        run = self.engine.execute(_WITNESS[language], language, inputs, limits=self._limits)
        if not run.ok:
            return [told(run.error)]
        found = run.globals.get("RESULT") if language == "python" else run.value
        return found if isinstance(found, list) else [found]

    def _second_step(self, verdict: Verdict) -> None:
        """Another program, with a long argument, in the worker that the probe was in."""
        language = verdict.probe.language
        *found, number = self._witness(language)
        if found != _WITNESSED[language]:
            verdict.problems.append(f"the next program found {[*found, number]!r}"[:300])
        if number in self._random or number == 0.6394267984578837:
            verdict.problems.append("the next program's random numbers are known")
        self._random.add(number)
