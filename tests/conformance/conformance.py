"""The harness of the conformance suite: cases written once, run in every language and place.

A case is a folder below `cases/`: plugin files in each language, and one `steps.json` with what
to do and what must come of it.  A step is an object with one verb (see `VERBS`), and with what is
expected: `result` or `error`, and `log`, the exact lines written since the step before (absent
means none).  Strings in expectations may be `{"$contains": ...}` and the like; see `matches`.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import math
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sandbox
from sandbox import AsyncEngine, Engine, GuestError, GuestFunction, Limits, Policy, Stanza

CASES = Path(__file__).parent / "cases"
EXTENSIONS = {"lua": "lua", "python": "py", "tengo": "tengo"}
MODULE_LANGUAGES = ("lua", "python")
"""What a case is run in unless it names its languages: Tengo has scripts and bare code only."""
HOSTS = ("localhost", "two.localhost")
ENGINES = ("Engine", "AsyncEngine")
ISOLATIONS = ("confined", "process", "inline")


# ---------------------------------------------------------------------------------- both engines


class Blocking:
    """`Engine`, as the harness drives it."""

    def __init__(self, **options: Any) -> None:
        self._engine = Engine(**options)

    def do(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of the engine."""
        return getattr(self._engine, method)(*arguments, **named)

    def invoke(self, function: GuestFunction, *arguments: Any) -> Any:
        """Call a plugin's function."""
        return function(*arguments)

    def beside(self, long: Callable[[], Any], short: Callable[[], Any]) -> tuple[Any, int]:
        """Run `short` again and again while `long` runs; how often it ended meanwhile."""
        count = 0
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(long)
            while not running.done():
                short()
                count += not running.done()
            return running.result(), count

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


class Awaited:
    """`AsyncEngine`, as the harness drives it: one loop, each call awaited to its end."""

    def __init__(self, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self._engine = AsyncEngine(**options)
        except BaseException:
            self._stop()
            raise

    def _run(self, call: Callable[[], Any]) -> Any:
        async def run() -> Any:
            result = call()
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(timeout=60)

    def do(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of the engine."""
        return self._run(lambda: getattr(self._engine, method)(*arguments, **named))

    def invoke(self, function: GuestFunction, *arguments: Any) -> Any:
        """Call a plugin's function."""
        return self._run(lambda: function(*arguments))

    beside = Blocking.beside

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def close(self) -> None:
        """Close the engine and its loop."""
        self._run(self._engine.close)
        self._stop()


def open_engine(kind: str, **options: Any) -> Blocking | Awaited:
    """An engine of that kind (`Engine` or `AsyncEngine`)."""
    return Blocking(**options) if kind == "Engine" else Awaited(**options)


# ---------------------------------------------------------------------------------- the log


class Lines(logging.Handler):
    """Collects what plugins and the engine log: `info` lines as they are, others with their
    level in front; the engine's own with `engine`."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        words = [] if record.levelno == logging.INFO else [record.levelname.lower()]
        if record.name == "sandbox.engine":
            words.insert(0, "engine")
        self.lines.append(" ".join([*words, record.getMessage()]))

    def take(self) -> list[str]:
        """The lines since the last time."""
        taken, self.lines = self.lines, []
        return taken


@contextmanager
def logged() -> Iterator[Lines]:
    """Collect the log of all engines meanwhile."""
    lines, logger = Lines(), logging.getLogger("sandbox")
    before = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        logger.setLevel(before)
        logger.removeHandler(lines)


# ---------------------------------------------------------------------------------- values


def shown(value: Any) -> Any:
    """A value that came from a plugin, in the form in which steps.json writes it."""
    if isinstance(value, bytes):
        return {"$bytes": value.decode("latin-1")}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if isinstance(value, datetime.datetime):
        return {"$time": value.astimezone(datetime.UTC).isoformat()}
    if isinstance(value, Stanza):
        return {"$stanza": [value.name, value.attr, shown(value.children)]}
    if isinstance(value, GuestError):
        return {"$error": shown(value.value)}
    if isinstance(value, GuestFunction):
        return {"$function": True}
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    return value


def given(value: Any, functions: Callable[[str], Callable[..., Any]]) -> Any:
    """A value of steps.json as it is handed to the engine."""
    if isinstance(value, list):
        return [given(item, functions) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (key, inner), *_ = value.items()
        if key == "$bytes":
            return inner.encode("latin-1")
        if key == "$float":
            return float(inner)
        if key == "$time":
            return datetime.datetime.fromisoformat(inner)
        if key == "$stanza":
            name, attr, children = inner
            return Stanza(name, attr, given(children, functions))
        if key == "$error":
            return GuestError(given(inner, functions))
        if key == "$callable":
            return functions(inner)
        if key == "$repeat":
            return given(inner[0], functions) * inner[1]
        if key == "$nest":
            nested: Any = []
            for _ in range(inner):
                nested = [nested]
            return nested
    return {key: given(item, functions) for key, item in value.items()}


def matches(wanted: Any, actual: Any, language: str) -> bool:
    """Whether a value is what a step expects: equal and of the same type, or as a `$` says."""
    if isinstance(wanted, dict) and len(wanted) == 1:
        (key, inner), *_ = wanted.items()
        if key == "$contains":
            parts = [inner] if isinstance(inner, str) else inner
            return isinstance(actual, str) and all(
                part.replace("{ext}", EXTENSIONS.get(language, "")) in actual for part in parts
            )
        if key == "$any":
            return True
        if key == "$type":
            return type(actual).__name__ == inner
        if key == "$by":
            return matches(inner[language], actual, language)
        if key == "$has":
            return isinstance(actual, dict) and all(
                name in actual and matches(item, actual[name], language)
                for name, item in inner.items()
            )
    if isinstance(wanted, str):
        wanted = wanted.replace("{ext}", EXTENSIONS.get(language, ""))
    if type(wanted) is not type(actual):
        return False
    if isinstance(wanted, list):
        return len(wanted) == len(actual) and all(
            matches(one, other, language) for one, other in zip(wanted, actual, strict=True)
        )
    if isinstance(wanted, dict):
        return list(wanted.keys() ^ actual.keys()) == [] and all(
            matches(item, actual[key], language) for key, item in wanted.items()
        )
    return bool(wanted == actual)


def error_as_shown(error: sandbox.SandboxError) -> dict[str, Any]:
    """What steps can expect of an error."""
    found: dict[str, Any] = {"type": type(error).__name__, "message": str(error)}
    for name in ("plugin", "file", "line", "limit", "capability", "reason", "status", "value"):
        if hasattr(error, name):
            found[name] = getattr(error, name)
    if isinstance(error, sandbox.PluginError):
        found["kind"] = error.type
    found["frames"] = [[frame.file, frame.line] for frame in error.frames]
    return found


# ---------------------------------------------------------------------------------- cases


@dataclass
class Case:
    """One case in one choice of languages.

    `mix` maps a plugin's name to its language; `default` is that of the others.
    """

    folder: Path
    label: str
    default: str
    mix: dict[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> dict[str, Any]:
        """steps.json."""
        found: dict[str, Any] = json.loads((self.folder / "steps.json").read_text())
        return found

    def language_of(self, plugin: str) -> str:
        """The language that `plugin` is taken in."""
        return self.mix.get(plugin, self.default)

    def copy_to(self, target: Path) -> None:
        """Lay out the plugin folder: each plugin's files, in its language."""
        for path in sorted(self.folder.rglob("*")):
            place = path.relative_to(self.folder)
            if path.is_dir() or place.name == "steps.json":
                continue
            stem = place.parts[0].partition(".")[0].partition("@")[0].removeprefix("mod_")
            others = set(EXTENSIONS.values()) - {EXTENSIONS[self.language_of(stem)]}
            if path.suffix[1:] in others:
                continue
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / place)


def all_cases() -> list[Case]:
    """Every case in every language, and in the mixes that its steps.json names."""
    found = []
    for folder in sorted(path.parent for path in CASES.glob("*/steps.json")):
        spec = json.loads((folder / "steps.json").read_text())
        for language in spec.get("languages", MODULE_LANGUAGES):
            found.append(Case(folder, language, language))
        for label, mix in spec.get("mixes", {}).items():
            found.append(Case(folder, label, mix.get("*", "lua"), mix))
    return found


class Run:
    """One case under way."""

    def __init__(self, case: Case, engine: str, isolation: str, place: Path) -> None:
        self.case = case
        self.spec = case.spec
        self.place = place
        case.copy_to(place)
        self.clock = sandbox.ManualClock(start=1_000_000.0)
        hosts = tuple(self.spec.get("hosts", HOSTS))
        policy = self.spec.get("policy")
        self.engine = open_engine(
            engine,
            plugins=[place],
            hosts=hosts,
            config=self.spec.get("config", {}),
            policy=None if policy is None else Policy(**policy),
            limits=Limits(**self.spec.get("limits", {})),
            isolation=isolation,
            groups=self.spec.get("groups", ()),
            workers=1,
            clock=self.clock,
        )

    def run(self) -> None:
        """Take every step."""
        with logged() as lines:
            self.lines = lines
            for number, step in enumerate(self.spec["steps"], 1):
                self._step(number, dict(step))

    def _step(self, number: int, step: dict[str, Any]) -> None:
        wanted = {key: step.pop(key) for key in ("result", "error", "log", "note") if key in step}
        meanwhile = step.pop("meanwhile", None)
        (verb, arguments), *more = step.items()
        assert not more, f"step {number}: {step}"
        call = getattr(self, f"do_{verb}")
        act = lambda: self._act(call, arguments)  # noqa: E731
        if meanwhile is None:
            outcome = act()
        else:
            outcome, answers = self._beside(act, meanwhile)
            assert answers > 0, f"step {number}: nobody else was served meanwhile"
        self._compare(f"step {number} {verb} {json.dumps(arguments)}", wanted, *outcome)

    def _act(self, call: Callable[..., Any], arguments: Any) -> tuple[Any, dict[str, Any] | None]:
        try:
            listed = arguments if isinstance(arguments, list) else [arguments]
            return shown(call(*listed)), None
        except sandbox.SandboxError as error:
            return None, error_as_shown(error)

    def _beside(self, act: Callable[[], Any], meanwhile: dict[str, Any]) -> tuple[Any, int]:
        expected = meanwhile.pop("result")
        (verb, arguments), *_ = meanwhile.items()

        def short() -> None:
            assert shown(getattr(self, f"do_{verb}")(*arguments)) == expected

        return self.engine.beside(act, short)

    def _compare(
        self, where: str, wanted: dict[str, Any], result: Any, error: dict[str, Any] | None
    ) -> None:
        language = self.case.default
        if "error" in wanted:
            assert error is not None, f"{where}: no error, but {result!r}"
            for key, value in wanted["error"].items():
                text = f"{where}: error.{key}\n wanted {value!r}\n got    {error.get(key)!r}"
                assert matches(value, error.get(key), language), f"{text}\n of {error}"
        else:
            assert error is None, f"{where}: {error}"
            if "result" in wanted:
                text = f"{where}\n wanted {wanted['result']!r}\n got    {result!r}"
                assert matches(wanted["result"], result, language), text
        lines, expected = self.lines.take(), wanted.get("log", [])
        text = "\n  ".join([f"{where}: log wanted", *map(str, expected), "but got", *lines])
        assert matches(expected, lines, language), text

    # ------------------------------------------------------------------ verbs

    def do_load(self, host: str, name: str) -> Any:
        """Load; the host of the instance."""
        return self.engine.do("load", host, name).host

    def do_unload(self, host: str, name: str) -> Any:
        """Unload."""
        return self.engine.do("unload", host, name)

    def do_reload(self, host: str, name: str) -> Any:
        """Reload; the host of the instance."""
        return self.engine.do("reload", host, name).host

    def do_where(self, name: str) -> Any:
        """The hosts that have the module."""
        hosts = ("*", *self.spec.get("hosts", HOSTS))
        return [host for host in hosts if self.engine.do("is_loaded", host, name)]

    def do_modules(self, host: str) -> Any:
        """The modules on a host."""
        return self.engine.do("modules", host)

    def do_status(self) -> Any:
        """Host, name, state and sandbox of every instance."""
        rows = self.engine.do("status")
        return [[row.host, row.name, row.state, row.sandbox] for row in rows]

    def do_fire(self, host: str, event: str, data: Any = None) -> Any:
        """Fire an event."""
        return self.engine.do("fire", host, event, given(data, self._function))

    def do_echo(self, host: str, event: str, data: Any) -> Any:
        """Fire an event whose handler gives its data back; whether they came back unchanged."""
        value = given(data, self._function)
        back = self.engine.do("fire", host, event, value)
        return True if type(back) is type(value) and shown(back) == shown(value) else back

    def do_items(self, host: str, key: str) -> Any:
        """The items of a key."""
        return self.engine.do("items", host, key)

    def do_call_item(self, host: str, key: str, index: int, name: str, *arguments: Any) -> Any:
        """Call a function in an item."""
        item = self.engine.do("items", host, key)[index]
        return self.engine.invoke(item[name] if name else item, *arguments)

    def do_advance(self, seconds: float) -> Any:
        """Let time pass and run what is due; how many timers ran."""
        self.clock.advance(seconds)
        return self.engine.do("run_timers")

    def do_swap(self, name: str) -> None:
        """Replace a plugin's file with its variant: `mod_a@v2` replaces `mod_a`."""
        plugin = name.partition("@")[0].removeprefix("mod_")
        extension = EXTENSIONS[self.case.language_of(plugin)]
        shutil.copyfile(
            self.place / f"{name}.{extension}",
            self.place / f"{name.partition('@')[0]}.{extension}",
        )

    def do_request(self, plugin: str, method: str, uri: str, options: Any = None) -> Any:
        """A request of a script: status, headers, body, panicked."""
        options = options or {}
        request = sandbox.Request(
            method,
            uri,
            headers=options.get("headers", {}),
            body=options.get("body", "").encode("latin-1"),
            **{key: options[key] for key in ("host", "remote_addr", "settings") if key in options},
        )
        answer = self.engine.do("request", plugin, request)
        return {
            "status": answer.status,
            "headers": dict(answer.headers),
            "all_headers": [list(pair) for pair in answer.headers.items_all()],
            "body": answer.text,
            "panicked": answer.panicked,
        }

    def do_execute(self, stem: str, options: Any = None) -> Any:
        """Run a file of the case as bare code."""
        options = options or {}
        extension = EXTENSIONS[self.case.default]
        run = self.engine.do(
            "execute",
            (self.place / f"{stem}.{extension}").read_bytes(),
            self.case.default,
            inputs=given(options.get("inputs", {}), self._function),
            modules={
                name: (self.place / f"{file}.{extension}").read_bytes()
                for name, file in options.get("modules", {}).items()
            },
            limits=Limits(**options["limits"]) if "limits" in options else None,
            **{"file": f"{stem}.{extension}"} if options.get("file") else {},
        )
        found = {"ok": run.ok, "value": run.value, "globals": run.globals, "output": run.output}
        found["error"] = None if run.error is None else error_as_shown(run.error)
        return found

    def _function(self, name: str) -> Callable[..., Any]:
        """A function of the embedder that traces its calls in the log; it returns the sum of
        its arguments, or raises when it is called `broken`."""

        def function(*arguments: Any) -> Any:
            logging.getLogger("sandbox.host").info(
                "host: %s(%s)", name, ", ".join(json.dumps(shown(one)) for one in arguments)
            )
            if name == "broken":
                raise ValueError("out of order")
            return sum(arguments) if arguments and all(type(a) is int for a in arguments) else None

        function.__name__ = name
        return function
