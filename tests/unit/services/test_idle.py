"""Connections kept between calls: how many, for how long, and for whom."""

from __future__ import annotations

import pytest

from sandbox.engine.services import idle
from sandbox.engine.services.idle import MAX_AGE, MAX_EACH, MAX_IDLE, Idle, Key


class Line:
    closed = False

    def close(self) -> None:
        self.closed = True


def key(number: int, plugin: str = "radio") -> Key:
    return plugin, "http", "a.example", number


def test_the_one_used_last_is_taken_first() -> None:
    kept: Idle[Line] = Idle()
    lines = [Line() for _ in range(3)]
    for line in lines:
        kept.put(key(1), line)
    assert [kept.take(key(1)) for _ in range(4)] == [*reversed(lines), None]
    assert not any(line.closed for line in lines)


def test_there_are_not_too_many() -> None:
    kept: Idle[Line] = Idle()
    same = [Line() for _ in range(MAX_EACH + 2)]
    for line in same:
        kept.put(key(1), line)
    assert [line.closed for line in same] == [True, True] + [False] * MAX_EACH
    others = [Line() for _ in range(MAX_IDLE)]
    for number, line in enumerate(others, 2):
        kept.put(key(number), line)
    assert len(kept) == MAX_IDLE
    assert all(line.closed for line in same)
    assert not any(line.closed for line in others)


def test_the_old_ones_go(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: Idle[Line] = Idle()
    now = 100.0
    monkeypatch.setattr(idle.time, "monotonic", lambda: now)
    line, other = Line(), Line()
    kept.put(key(1), line)
    now += MAX_AGE - 1
    kept.put(key(2), other)
    now += 2
    assert kept.take(key(1)) is None
    assert line.closed
    assert kept.take(key(2)) is other


def test_plugins_are_apart() -> None:
    kept: Idle[Line] = Idle()
    mine, theirs = Line(), Line()
    kept.put(key(1, "a"), mine)
    kept.put(key(1, "b"), theirs)
    assert kept.take(key(1, "c")) is None
    kept.forget("a")
    assert mine.closed
    assert kept.take(key(1, "b")) is theirs


def test_nothing_is_kept_once_closed() -> None:
    kept: Idle[Line] = Idle()
    early, late = Line(), Line()
    kept.put(key(1), early)
    kept.close()
    kept.put(key(1), late)
    assert early.closed
    assert late.closed
    assert kept.take(key(1)) is None
