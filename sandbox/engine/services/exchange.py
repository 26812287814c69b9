"""One HTTP call under way: its deadline, what it has sent and received, and how it is ended.

The sockets of `lines.py` ask an `Exchange` before and after everything they do, so that one
deadline and one set of caps hold over every part of a call, redirects included.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from dataclasses import dataclass
from typing import Final

from sandbox.errors import LimitExceeded, PluginError

MIB: Final = 2**20


class RequestFailed(PluginError):
    """An HTTP request of a plugin did not come to an answer.

    `reason` is one word for programs: `call` (it makes no sense), `dns`, `connect`, `tls`,
    `timeout`, `protocol` (the answer is not HTTP, or ends early), `too-large`, `redirects`,
    `closed`.  The text is for people and names the host, never anything of this machine.
    """

    def __init__(self, reason: str, message: str, *, plugin: str = "") -> None:
        super().__init__(message, plugin=plugin)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Caps:
    """What one call may take at most: `seconds` in all (also the default when a call names no
    timeout), bytes of header of each answer, bytes of body (`max_bytes`, as received and as
    decompressed), bytes of upload, redirects followed.
    """

    seconds: float = 30.0
    max_header: int = 64 * 1024
    max_bytes: int = 8 * MIB
    max_upload: int = 8 * MIB
    redirects: int = 10


class Traffic:
    """Bytes sent and received, of one call or several after each other; right after failures too.

    `allowed` is how many there may be in both directions together (None: any number); beyond,
    the call ends with `LimitExceeded("egress")`.  Handshakes and packet headers do not count.
    """

    __slots__ = ("allowed", "received", "sent")

    def __init__(self, allowed: int | None = None) -> None:
        self.allowed = allowed
        self.sent = 0
        self.received = 0

    @property
    def total(self) -> int:
        """Bytes in both directions."""
        return self.sent + self.received


class Exchange:
    """The state of one call.  All methods but `end` belong to the thread that makes the call."""

    def __init__(self, plugin: str, seconds: float, traffic: Traffic) -> None:
        self.plugin = plugin
        self.seconds = seconds
        self.traffic = traffic
        self.heard = False
        """Whether anything came back since it was last set to False."""
        self.place = "the server"
        """Who answers now, for people."""
        self.whole = False
        """Whether the answer that is being read was read to its end."""
        self._deadline = time.monotonic() + seconds
        self._part, self._size, self._window = "", 0, 0
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._ended = threading.Event()

    # ------------------------------------------------------------------ time

    def remaining(self) -> float:
        """Seconds left, more than 0.  Raises `RequestFailed` when there are none."""
        self.check()
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self.late()
        return left

    def late(self) -> RequestFailed:
        """The error of a call whose time is up."""
        return self.failed("timeout", f"no whole answer within {self.seconds:g}s")

    def failed(self, reason: str, message: str) -> RequestFailed:
        """An error of this call."""
        return RequestFailed(reason, f"request: {message}", plugin=self.plugin)

    # ------------------------------------------------------------------ sizes

    def expect(self, part: str, size: int, slack: int) -> None:
        """From now on at most `size` bytes of `part` may come, plus `slack` for its framing."""
        self._part, self._size, self._window = part, size, size + slack

    def too_large(self) -> RequestFailed:
        """The error of an answer with more of what is expected than there may be."""
        whole, rest = divmod(self._size, MIB)
        most = f"{self._size} bytes" if rest else f"{whole} MiB"
        text = f"{self.place} sent an answer whose {self._part} is larger than {most}"
        return self.failed("too-large", text)

    def took(self, count: int) -> None:
        """`count` bytes came, 0 at the end.  Raises when that is too many."""
        self.heard = self.heard or count > 0
        self.traffic.received += count
        self._window -= count
        self.check()
        self._check_traffic(0)
        if self._window < 0:
            raise self.too_large()

    def gives(self, count: int) -> None:
        """`count` bytes are about to be sent.  Raises when the owner allows fewer."""
        self._check_traffic(count)
        self.traffic.sent += count

    def _check_traffic(self, more: int) -> None:
        allowed, used = self.traffic.allowed, self.traffic.total + more
        if allowed is not None and used > allowed:
            raise LimitExceeded("egress", allowed=allowed, used=used, plugin=self.plugin)

    # ------------------------------------------------------------------ ending it from outside

    def check(self) -> None:
        """Raise `RequestFailed` when the call was ended from outside."""
        if self._ended.is_set():
            raise self.failed("closed", "it was cancelled")

    def hold(self, sock: socket.socket) -> None:
        """The call now waits for `sock`.

        A second descriptor of it is kept: the first moves into a TLS object and back to the pool,
        and its number may name something else when another thread comes to end the call.
        """
        self.release()
        handle = socket.socket(fileno=os.dup(sock.fileno()))
        with self._lock:
            self._handle = handle
        self.check()

    def release(self) -> None:
        """The call no longer waits for a socket."""
        with self._lock:
            handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()

    def end(self) -> None:
        """End the call, from any thread: whatever it waits for fails at once."""
        self._ended.set()
        with self._lock:
            if self._handle is not None:
                with contextlib.suppress(OSError):  # not connected, or no longer
                    self._handle.shutdown(socket.SHUT_RDWR)
