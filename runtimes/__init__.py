"""The languages: one package each, found by name through the entry points `sandbox.runtimes`."""
