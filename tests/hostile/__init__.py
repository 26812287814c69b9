"""The hostile corpus against the real sandbox: `python -m tests.hostile`."""
