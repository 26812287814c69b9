"""The life cycle of a module: a table, then little code.

Theory.  A module instance lives on a host, or on "*" for a global module.  A shared module has
its global part on "*" and a host part on each host that loaded it; parts follow the same table.
The semantics are Prosody's module manager's; where its documentation promises more than it does
(shared modules are unloaded and reloaded "transparently") the promise is kept: the global part
takes its host parts along.

    ABSENT     not loaded
    LOADING    its chunk and `load` run; already found by `depends`, so that circles work
    ACTIVE     loaded
    SAVING     `save` runs, before a reload; if it fails the module stays as it was
    UNLOADING  `unload` runs, then everything it registered is removed
    RELOADING  the new version's chunk and `load` run, with what `save` returned at hand
    RESTORING  `restore` runs
    RESTARTING its sandbox died and is being brought back, or rests before that
    FAILED     it could not be brought back, or died too often; an operator may load or reset it

An operation drives an instance through the table; the table is what makes an operation in the
wrong state impossible rather than merely absent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from sandbox.errors import LifecycleError

if TYPE_CHECKING:
    from sandbox.engine.sandbox import Sandbox


class ModuleState(Enum):
    """The states of a module instance."""

    ABSENT = "absent"
    LOADING = "loading"
    ACTIVE = "active"
    SAVING = "saving"
    UNLOADING = "unloading"
    RELOADING = "reloading"
    RESTORING = "restoring"
    RESTARTING = "restarting"
    FAILED = "failed"


class Step(Enum):
    """What moves a module instance."""

    LOAD = "load"
    LOADED = "loaded"
    SAVE = "save"
    SAVED = "saved"
    SAVE_FAILED = "save failed"
    UNLOAD = "unload"
    UNLOADED = "unloaded"
    RELOAD = "reload"
    RESTORE = "restore"
    RESTORED = "restored"
    DIED = "died"
    RESTART = "restart"
    GIVE_UP = "give up"
    FAIL = "fail"


_M, _S = ModuleState, Step

TRANSITIONS: Final[dict[ModuleState, dict[Step, ModuleState]]] = {
    _M.ABSENT: {_S.LOAD: _M.LOADING},
    _M.LOADING: {
        _S.LOADED: _M.ACTIVE,
        _S.FAIL: _M.ABSENT,
        _S.DIED: _M.ABSENT,
    },
    _M.ACTIVE: {
        _S.SAVE: _M.SAVING,
        _S.UNLOAD: _M.UNLOADING,
        _S.DIED: _M.RESTARTING,
    },
    _M.SAVING: {
        _S.SAVED: _M.ACTIVE,
        _S.SAVE_FAILED: _M.ACTIVE,
        _S.DIED: _M.RESTARTING,
    },
    _M.UNLOADING: {
        _S.UNLOADED: _M.ABSENT,
        _S.RELOAD: _M.RELOADING,
        _S.DIED: _M.ABSENT,
    },
    _M.RELOADING: {
        _S.RESTORE: _M.RESTORING,
        _S.FAIL: _M.ABSENT,
        _S.DIED: _M.ABSENT,
    },
    _M.RESTORING: {
        _S.RESTORED: _M.ACTIVE,
        _S.DIED: _M.RESTARTING,
    },
    _M.RESTARTING: {
        _S.LOADED: _M.ACTIVE,
        _S.DIED: _M.RESTARTING,
        _S.GIVE_UP: _M.FAILED,
    },
    _M.FAILED: {
        _S.RESTART: _M.RESTARTING,
        _S.DIED: _M.FAILED,
    },
}
"""state -> step -> next state.  A step that is absent is refused."""


@dataclass(slots=True, eq=False)
class Module:
    """One module instance, or the part of a shared module on one host."""

    host: str
    name: str
    sandbox: Sandbox
    state: ModuleState = ModuleState.ABSENT
    has_add_host: bool = False
    part: bool = False
    needs: set[str] = field(default_factory=set)
    """The modules it asked for with `depends`."""
    saved: bytes | None = None
    """What its `save` last gave, encoded: it is brought back with that."""

    def move(self, step: Step) -> None:
        """Take a step of the table; raises `LifecycleError` when the state does not allow it."""
        following = TRANSITIONS[self.state].get(step)
        if following is None:
            raise LifecycleError(
                f"module-busy: {step.value} is not possible while {self.state.value}",
                plugin=self.name,
            )
        self.state = following
