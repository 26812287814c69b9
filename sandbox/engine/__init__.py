"""The engine: what a server author holds.  Knows no language; workers are reached by frames.

The operations are coroutines that never import an event loop.  `AsyncEngine` awaits them with
an asyncio driver; `Engine` steps them with a driver that blocks, where they never suspend.
"""
