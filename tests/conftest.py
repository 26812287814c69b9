"""What holds for every test of the suite."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Each run tries the same examples, so that a change is judged by what it changed and a failure
# can be repeated; SANDBOX_RANDOM=1 looks for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("new", derandomize=False, print_blob=True)
settings.load_profile("new" if os.environ.get("SANDBOX_RANDOM") else "same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The jail's tests come first.

    Their stand-in for a zygote is a fork of the test process. A real zygote has never had a
    second thread, and the C library behaves otherwise in a process that once had: with no memory
    left it asks the kernel things that a worker may not ask.
    """
    items.sort(key=lambda item: item.path.name != "test_confine.py")
