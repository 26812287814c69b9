"""What plugins can have done outside their worker: HTTP requests, files, kept values.

Each file here is one effect or one rule of it, as plain classes with plain arguments.  They know
capabilities and errors but neither engines nor workers; the engine decides when they run.
"""
