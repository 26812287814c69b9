"""What holds for every test of the suite."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The jail's tests come first.

    Their stand-in for a zygote is a fork of the test process. A real zygote has never had a
    second thread, and the C library behaves otherwise in a process that once had: with no memory
    left it asks the kernel things that a worker may not ask.
    """
    items.sort(key=lambda item: item.path.name != "test_confine.py")
