"""Renaming below directory descriptors, two names at a time where the kernel can.

`os.rename` replaces what is there; Linux's renameat2(2) also exchanges two names in one step, or
refuses when the new one is taken.  The C library is asked through ctypes; a file system that
cannot do it says so by the result.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

_NOREPLACE: Final = 1
_EXCHANGE: Final = 2
_UNABLE: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP})

_renameat2: Final = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
if _renameat2 is not None:
    _renameat2.restype = ctypes.c_int
    _renameat2.argtypes = (
        ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint,
    )  # fmt: skip


def exchange(one: str, one_folder: int, other: str, other_folder: int) -> bool:
    """Exchange two names in one step; False where the system cannot.  Raises `OSError`."""
    return _rename(one, one_folder, other, other_folder, _EXCHANGE)


def move(old: str, old_folder: int, new: str, new_folder: int) -> None:
    """Rename to a name that is not taken.  Raises `OSError`, `FileExistsError` among them.

    Where the system cannot refuse by itself, it is looked whether the name is taken just before.
    """
    if _rename(old, old_folder, new, new_folder, _NOREPLACE):
        return
    try:
        os.stat(new, dir_fd=new_folder, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)


def _rename(old: str, old_folder: int, new: str, new_folder: int, flag: int) -> bool:
    if _renameat2 is None:
        return False
    if _renameat2(old_folder, os.fsencode(old), new_folder, os.fsencode(new), flag) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNABLE:
        return False
    raise OSError(number, os.strerror(number), old)
