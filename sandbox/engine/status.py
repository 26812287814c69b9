"""What an operator sees of a module: plain data, no way back into the engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModuleStatus:
    """A module instance as an operator sees it.

    `state` is a state of the life cycle; `sandbox` names the worker's sandbox, which modules of
    one group share; `deaths` counts the recent deaths of its worker.  `status` and `message` are
    what the module last said of itself with `set_status` (`core` and nothing by default).
    """

    host: str
    name: str
    state: str
    sandbox: str
    language: str
    pid: int
    deaths: int
    status: str = "core"
    message: str = ""
