"""How malloc behaves in workers: it keeps what was freed, up to a bound.

Out of the box glibc gives the top of the heap back to the kernel after every burst of work and
takes it again, page fault by page fault, at the next: a fifth of the time of a program that
builds strings.  Knows nothing of languages; where there is no mallopt, nothing is done.
"""

from __future__ import annotations

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_THRESHOLD: Final = -3
_KEPT: Final = 16 * 2**20
_STEP: Final = 2**20


def keep_freed_memory() -> None:
    """Set the thresholds, for this process and its forks; see mallopt(3)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _KEPT)
        mallopt(_M_TOP_PAD, _STEP)
