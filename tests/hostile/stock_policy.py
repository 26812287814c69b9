"""One probe under RestrictedPython as its documentation sets it up; for `old_versions`.

Run as a script, with the folder of some version of RestrictedPython in PYTHONPATH: prints what the
probe says.  Knows nothing of this project: it is the policy that plugins do *not* get.
"""

from __future__ import annotations

import resource
import sys

from RestrictedPython import compile_restricted, safe_builtins
from RestrictedPython.Eval import default_guarded_getitem, default_guarded_getiter
from RestrictedPython.Guards import (
    full_write_guard,
    guarded_iter_unpack_sequence,
    guarded_unpack_sequence,
    safer_getattr,
)

_SECONDS = 3
_MEMORY = 2**30


def _limit() -> None:
    for limit, value in (
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, 2**20),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _inplace(_operator: str, left: object, _right: object) -> object:
    return left


def _space() -> dict[str, object]:
    builtins = dict(safe_builtins)
    builtins |= {"getattr": safer_getattr, "_getattr_": safer_getattr, "__metaclass__": type}
    return {
        "__builtins__": builtins,
        "__name__": "probe",
        "__metaclass__": type,
        "_getattr_": safer_getattr,
        "_getitem_": default_guarded_getitem,
        "_getiter_": default_guarded_getiter,
        "_write_": full_write_guard,
        "_inplacevar_": _inplace,
        "_unpack_sequence_": guarded_unpack_sequence,
        "_iter_unpack_sequence_": guarded_iter_unpack_sequence,
    }


def main(path: str) -> int:
    """Run the probe in the file `path`."""
    _limit()
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        source = file.read()
    space = _space()
    said = ""
    try:
        exec(compile_restricted(source, "(probe)", "exec"), space)
        said = str(space.get("RESULT"))
    except BaseException as error:  # noqa: BLE001 - a probe may raise anything
        said = f"refused: {type(error).__name__}"
    sys.stdout.write(said.encode("ascii", "backslashreplace").decode()[:4000] + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
