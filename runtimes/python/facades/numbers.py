"""Façades of ``math`` and ``random``.

``math`` is let through whole: C functions of numbers and four constants.

``random`` is one generator per environment, so that seeding it is nobody else's business.  Left
out: ``SystemRandom`` (the operating system's generator is not the plugin's to drain),
``Random`` (its ``setstate`` and ``seed`` hooks are Python functions of a shared class; one
generator is enough for a plugin) and ``getstate``/``setstate`` (thousands of integers that
nothing but ``setstate`` can use).
"""

from __future__ import annotations

import math
import random
from typing import Final

from runtimes.python.facade import Facade
from runtimes.python.names import words

MATH: Final = Facade(
    "math", {name: getattr(math, name) for name in dir(math) if not name.startswith("_")}
)

_RANDOM_METHODS: Final = words(
    "random uniform triangular randint randrange randbytes getrandbits choice choices sample "
    "shuffle seed betavariate expovariate gammavariate gauss lognormvariate normalvariate "
    "vonmisesvariate paretovariate weibullvariate"
)


def make_random() -> Facade:
    """Make the ``random`` of one environment, seeded by the operating system."""
    generator = random.Random()
    return Facade("random", {name: getattr(generator, name) for name in _RANDOM_METHODS})
