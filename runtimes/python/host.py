"""The way from guest code to the engine: host calls, notes, printing, functions as data.

Owns the frames of the Python runtime; decides nothing about what a guest may do.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, Final

from runtimes.python.plain import shown
from sandbox.values import GuestFunction, HostFunction, Value
from sandbox.wire.codec import Decoder, Encoder
from sandbox.wire.extensions import EncodeError, pack_special
from sandbox.wire.frames import Kind
from sandbox.wire.framing import frame
from sandbox.worker.runtime import Host

_MAX_ID: Final = 0xFFFFFFFF


class HostError(RuntimeError):
    """A host function refused or failed; plugins catch it as RuntimeError."""


class Denied(PermissionError):
    """A capability is missing; plugins catch it as PermissionError.  `_capability` names it."""

    _capability: str


class Panicked(BaseException):
    """`panic(x)` ends the script.  Plugins cannot name BaseException, so none can catch it."""


class Panic:
    """Whether and with what the running script panicked."""

    def __init__(self) -> None:
        self.value: Any = None
        self.happened = False

    def __repr__(self) -> str:
        return "<panic>"

    def __call__(self, value: Any) -> None:
        """End the script, unless `value` is None."""
        if value is not None:
            self.value, self.happened = value, True
            raise Panicked

    def answer(self) -> dict[str, Value]:
        """What the engine is told: the status of an integer, the text of anything else."""
        if type(self.value) is int:
            return {"status": self.value if abs(self.value) < 2**62 else -1}
        try:
            return {"text": (self.value if type(self.value) is str else shown(self.value))[:8000]}
        except Exception:  # noqa: BLE001 - a plugin's __str__ can raise anything
            return {"text": "(panic with a value that has no text)"}


class HostGate:
    """The engine as guest-side code sees it.  One per runtime."""

    def __init__(self) -> None:
        self.host: Host | None = None
        self.output_limit = 2**20
        self.output_used = 0
        self.giving = False
        self.encode = Encoder(self._special).encode
        """As the wire's `encode`, with functions as handles where they may leave."""
        self.decode = Decoder(self._resolve, any_keys=True).decode
        """As the wire's `decode`, with handles as functions that guests can call."""
        self._call_id = 0
        self._handles: dict[Any, int] = {}
        self._callables: dict[int, Any] = {}
        self._given: dict[int, Callable[..., Any]] = {}
        self._given_ids: dict[Callable[..., Any], int] = {}

    # ------------------------------------------------------------------ frames

    def _connected(self) -> Host:
        if self.host is None:
            raise HostError("the engine cannot be reached outside a call")
        return self.host

    def call(self, name: str, *arguments: Value) -> Value:
        """Call the engine's function `name`.

        Raises `Denied` or `HostError` with the engine's words, and `ValueError` for an argument
        that cannot cross.
        """
        self._call_id = (self._call_id + 1) & _MAX_ID
        body = self.encode([int(Kind.HOST_CALL), self._call_id, name, list(arguments)])
        answer = self.decode(self._connected().call(body))
        if answer[0] == Kind.HOST_RETURN:
            return answer[2]
        problem = answer[2]
        capability = problem.get("capability")
        if capability:
            denied = Denied(problem["message"])
            denied._capability = capability
            raise denied
        raise HostError(problem["message"])

    def note(self, topic: str, *payload: Value) -> None:
        """Send a note."""
        self._connected().write(frame(self.encode([int(Kind.NOTE), topic, list(payload)])))

    def log(self, plugin: str, host: str, level: str, text: str) -> None:
        """One line for the engine's log, out of the output budget."""
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
        self.spend(len(text))
        self.note("log", plugin, host, level, text)

    def spend(self, amount: int) -> None:
        """Take `amount` from the call's output budget; running out ends the worker."""
        self.output_used += amount
        if self.output_used > self.output_limit:
            self._connected().exceeded("output", self.output_used)

    # ------------------------------------------------------------------ values

    def _special(self, value: Any) -> Any:
        if isinstance(value, MethodType) and value in self._handles:
            return pack_special(HostFunction(self._handles[value]))
        if isinstance(value, FunctionType | MethodType):
            if not self.giving:
                raise EncodeError("a function cannot cross")
            return pack_special(GuestFunction(self._give(value)))
        return pack_special(value)

    def _give(self, function: Callable[..., Any]) -> int:
        number = self._given_ids.get(function)
        if number is None:
            number = len(self._given) + 1
            self._given[number] = function
            self._given_ids[function] = number
        return number

    def given(self, number: int) -> Callable[..., Any]:
        """The guest function behind a handle that the engine calls."""
        return self._given[number]

    def is_host_function(self, value: Any) -> bool:
        """Whether `value` is a function of the embedder that came as data."""
        return type(value) is MethodType and value in self._handles

    def _resolve(self, function: HostFunction | GuestFunction) -> Any:
        if isinstance(function, GuestFunction):
            return self._given.get(function.handle)
        known = self._callables.get(function.handle)
        if known is None:
            known = self._callable(function.handle)
            self._callables[function.handle] = known
            self._handles[known] = function.handle
        return known

    def _callable(self, handle: int) -> Any:
        def call(*arguments: Any) -> Any:
            return self.call("handle.call", handle, list(arguments))

        # A bound method of operator.call: callable, and without attributes to write to.
        return MethodType(operator.call, call)
