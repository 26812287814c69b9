"""One process of programs: `python -m tests.fuzz.child LANGUAGE MODE FIRST COUNT`.

Writes a line of JSON for each program, so that whoever started it can tell a program that does not
end from one that does.  Ends after a finding: the state that it shares may be spoilt.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any, Final

_MEMORY: Final = 2 * 2**30
_CONTROL_SECONDS: Final = 3


def limit() -> None:
    """No files, no processes, not much memory: the programs of the control are not confined."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def forked(work: Callable[[], str | None]) -> str | None:
    """The answer of `work` from a process of its own; None if it dies or does not end."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = ""
        try:
            os.close(reading)
            null = os.open(os.devnull, os.O_RDWR)
            for standard in range(3):
                os.dup2(null, standard)
            signal.alarm(_CONTROL_SECONDS)
            said = work() or ""
            signal.alarm(0)
            os.write(writing, said.encode("utf-8", "backslashreplace")[:4000])
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode("utf-8", "replace")
    os.waitpid(pid, 0)
    return said or None


def language(name: str) -> Any:
    """The modules of a language: `generate`, and a `Fence` and `control` to run programs."""
    if name == "python":
        from tests.fuzz import python_programs, python_run

        return python_programs.generate, python_run
    from tests.fuzz import lua_programs, lua_run

    return lua_programs.generate, lua_run


def main(arguments: list[str]) -> int:
    """Run programs FIRST to FIRST + COUNT - 1."""
    name, mode, first, count = arguments[0], arguments[1], int(arguments[2]), int(arguments[3])
    warnings.simplefilter("ignore")
    generate, running = language(name)
    out = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    limit()
    fence = running.Fence() if mode == "fence" else None
    for seed in range(first, first + count):
        program = generate(seed)
        if fence is not None:
            why = fence.run(program, seed % running.WAYS)
        else:
            why = forked(lambda program=program: running.control(program))  # type: ignore[misc]
        line: dict[str, Any] = {"seed": seed, "why": why}
        if fence is not None:
            line |= {"statements": fence.statements, "refused": fence.refused}
        out.write(json.dumps(line) + "\n")
        out.flush()
        if fence is not None and why is not None:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
