"""Front ends: servers that drive an engine.  `msx` speaks HTTP as ServeMSX does.

What they need beyond the core comes with the extra: `pip install plugin-sandbox[servers]`.
"""
