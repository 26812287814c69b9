"""Running one Python program behind the fence, and one without it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import CodeType
from typing import Any, Final

from runtimes.python.environment import new_globals
from runtimes.python.errors import GuestSyntaxError
from runtimes.python.facade import Facade, freeze
from runtimes.python.host import HostGate, Panic
from runtimes.python.loader import Modules
from runtimes.python.policy import compile_source
from runtimes.python.printing import printer
from runtimes.python.server import Answer, Server
from sandbox.wire.codec import decode, encode
from sandbox.wire.frames import Kind
from sandbox.wire.framing import HEADER
from tests.fuzz.grammar import words
from tests.fuzz.python_oracle import Shared, control_reason, found
from tests.fuzz.python_programs import SETUP, Program

_FUNCTIONS: Final = frozenset(
    words(
        "timer.add timer.cancel event.listeners option.get option.own items.elsewhere memory.get "
        "memory.set module.depends module.library environment.get environment.call plugin.file"
    )
)
_TOPICS: Final = frozenset({"log", "hooks", "items", "status"})
_REQUEST: Final[dict[str, Any]] = {
    "query": "x=1", "body": b"y=2", "proto": "HTTP/1.1", "method": "GET", "host": "h",
    "remote_addr": "::1", "headers": {"A": ["b"]}, "uri": "/", "version": "1", "path": "/",
    "base_url": "http://h",
}  # fmt: skip
WAYS: Final = 3
"""As a module, as a script, as bare code."""
_OWN_FILE: Final = "x = [1]\n_x = 2\ndef method(): return x\nclass A: pass\n"


class Late(BaseException):
    """A program takes too long.  Programs cannot name it, so most cannot catch it."""


@contextlib.contextmanager
def deadline(seconds: float = 1.0) -> Iterator[None]:
    """End the block from outside; only a loop in C does not notice."""

    def end(_number: int, _frame: object) -> None:
        raise Late

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class Watcher:
    """The engine's side of a worker: answers, and remembers what no program may ask."""

    def __init__(self) -> None:
        self.wrong: str | None = None
        self.asked = 0

    def call(self, body: bytes) -> bytes:
        """Answer a host call."""
        self.asked += 1
        frame = decode(body)
        good = isinstance(frame, list) and frame[0] == Kind.HOST_CALL and frame[2] in _FUNCTIONS
        if not good:
            self.wrong = f"a host call {frame!r}"[:200]
        name = frame[2]  # type: ignore[index]
        if name in ("event.listeners", "items.elsewhere"):
            return encode([int(Kind.HOST_RETURN), frame[1], []])  # type: ignore[index]
        if name == "module.library":
            problem = {"message": "no such library"}
            return encode([int(Kind.HOST_RAISE), frame[1], problem])  # type: ignore[index]
        return encode([int(Kind.HOST_RETURN), frame[1], None])  # type: ignore[index]

    def write(self, frames: bytes) -> None:
        """Take notes."""
        while frames:
            length = int.from_bytes(frames[:HEADER], "big")
            body, frames = frames[HEADER : HEADER + length], frames[HEADER + length :]
            frame = decode(body)
            if not (isinstance(frame, list) and frame[0] == Kind.NOTE and frame[1] in _TOPICS):
                self.wrong = f"a note {frame!r}"[:200]

    def exceeded(self, limit: str, used: int) -> Any:
        """The program used up a limit: it ends."""
        raise MemoryError(f"{limit} {used}")


_SETUP: CodeType = compile_source(SETUP, "setup.py")


def accepted(program: Program) -> tuple[Program, CodeType]:
    """The program without the statements that the compiler refuses, compiled."""
    while True:
        try:
            return program, compile_source(program.source(), "fuzz.py")
        except GuestSyntaxError as error:
            lines = {error.line} | {
                int(part.removeprefix("line ").partition(":")[0])
                for part in error.message.split("\n")
                if part.startswith("line ")
            }
            bad = {at for at, where in enumerate(program.lines()) if lines & set(where)}
            if not bad:
                # The compiler names no line, or one of another statement: drop what it may be.
                bad = {len(program.statements) - 1}
            program = program.without(bad)


class Fence:
    """The fence with everything around it that a program can reach, in one process."""

    def __init__(self) -> None:
        self._shared = Shared()
        self._known = self._baseline()
        self.refused = 0
        self.statements = 0

    def _baseline(self) -> frozenset[int]:
        # What the builtins and façades show was crawled for good in test_python_facades.
        space = new_globals(name="fuzz", filename="fuzz.py")
        return frozenset(map(id, space["__builtins__"].values()))  # type: ignore[attr-defined]

    def _space(self, way: int, watcher: Watcher) -> dict[str, Any]:
        gate = HostGate()
        gate.host = watcher
        if way == 0:  # a module on a host
            modules = Modules(gate)
            modules.start(("h",))
            empty = f"{_OWN_FILE}def load(): pass\n".encode()
            modules.load("m", "h", "m.py", empty, False, None)
            (module,) = modules._modules.values()
            space = module._globals
        else:
            api = Facade("api", {"value": 1, "call": lambda *v: v, "none": lambda: None})
            answer, panic = Answer(), Panic()
            server = Server(gate, "p", "fuzz.py", dict(_REQUEST), answer)
            space = new_globals(
                name="__main__",
                filename="fuzz.py",
                extra_names={
                    "api": api,
                    "print": printer(lambda _text: None),
                    "panic": freeze(panic.__call__),
                    "server": server,
                },
                modules={"server": server} if way == 1 else {},
            )
        return space

    def verdict(self, code: CodeType, way: int) -> str | None:
        """What a program reached that it must not, or None.  `way`: module, script or code."""
        watcher = Watcher()
        space = self._space(way, watcher)
        exec(_SETUP, space)
        with contextlib.suppress(BaseException), deadline():
            exec(code, space)
        why = self._shared.changed() or watcher.wrong
        if why is None:
            roots = [(name, value) for name, value in space.items() if name.isidentifier()]
            roots = [item for item in roots if item[0] != "__builtins__"]
            with contextlib.suppress(Late), deadline():
                why = found(roots, space, known=self._known)
        return why or self._shared.changed()

    def run(self, program: Program, way: int) -> str | None:
        """The verdict over what the compiler accepts of a program."""
        kept, code = accepted(program)
        self.statements += len(program.statements)
        self.refused += len(program.statements) - len(kept.statements)
        return self.verdict(code, way)


def control(program: Program) -> str | None:
    """What the same program reaches in a bare interpreter.  Call it in a process of its own."""
    while True:
        try:
            code = compile(program.source(), "fuzz.py", "exec", dont_inherit=True)
            break
        except SyntaxError as error:
            line = error.lineno or 0
            bad = {at for at, where in enumerate(program.lines()) if line in where}
            program = program.without(bad or {len(program.statements) - 1})
    space: dict[str, Any] = {"__name__": "fuzz", "api": os.path.basename}
    exec(compile(SETUP, "setup.py", "exec", dont_inherit=True), space)
    with contextlib.suppress(BaseException), deadline():
        exec(code, space)
    given = [(f"GIVEN[{at}]", value) for at, value in enumerate(space["GIVEN"])]
    return found(given, space, guards_free, control_reason)


def guards_free(value: Any, name: str, default: Any) -> object:
    """No attribute is followed from outside: the control's program has to get there itself."""
    return default
