"""How big a package may be, and the counter that stops at once when one is bigger.

Sizes that an archive declares are promises of a stranger, so what counts is what was really
inflated, counted while inflating.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sandbox.errors import PackageRejected

MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Caps:
    """The operator's caps.  Sizes in bytes.

    `package` is the archive itself, `total` all of it inflated, `member` one file of it,
    `entries` the number of files and folders.  `ratio` is how many times its own size an archive
    may inflate to, once it is over `ratio_from` bytes: the padding of a small tar compresses
    better than any honest file, and no bomb is worth having below that.
    """

    package: int = 16 * MIB
    total: int = 32 * MIB
    member: int = 16 * MIB
    entries: int = 2000
    ratio: int = 100
    ratio_from: int = 4 * MIB


class Counter:
    """What one archive came to so far; every method raises `PackageRejected` over a cap."""

    __slots__ = ("_caps", "_entries", "_size", "_total")

    def __init__(self, caps: Caps, size: int) -> None:
        if size > caps.package:
            raise PackageRejected(f"the package is longer than {caps.package} bytes")
        self._caps = caps
        self._size = size
        self._entries = 0
        self._total = 0

    def entry(self, count: int = 1) -> None:
        """So many more entries."""
        self._entries += count
        if self._entries > self._caps.entries:
            raise PackageRejected(f"the package has more than {self._caps.entries} entries")

    def member(self, size: int, shown: str) -> None:
        """A member says that it is `size` bytes long; `shown` is its name, made printable."""
        if size > self._caps.member:
            raise PackageRejected(f"member {shown}: is longer than {self._caps.member} bytes")

    def inflated(self, size: int) -> None:
        """So many more bytes came out of the archive."""
        self._total += size
        if self._total > self._caps.total:
            raise PackageRejected(f"the package inflates to more than {self._caps.total} bytes")
        if self._total > max(self._caps.ratio_from, self._size * self._caps.ratio):
            raise PackageRejected(
                f"the package inflates to more than {self._caps.ratio} times its size"
            )
