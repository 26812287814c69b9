"""Random programs against the two language fences: `python -m tests.fuzz`."""
